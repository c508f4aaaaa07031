//! Loads become operands of what reads them: those whose two readers have become one.

use super::facts::x86;
use super::lanes::is_load;
use crate::vcode::{Inst, Kind, Mem, Opnd, VCode, takes_memory};
use regalloc2::{OperandKind, VReg};
use rustc_hash::FxHashMap;

/// Lets each vector that is loaded from where no access traps, and read once, be loaded by its reader.
pub(super) fn fold_loads(vcode: &mut VCode) {
    let readers = readers(vcode);
    for block in &mut vcode.blocks {
        let mut loads: FxHashMap<VReg, usize> = FxHashMap::default();
        let mut folded = vec![false; block.insts.len()];
        for at in 0..block.insts.len() {
            let inst = &block.insts[at];
            if let Some(to) = loaded(inst).filter(|to| readers[to.vreg()] == 1) {
                loads.insert(to, at);
                continue;
            }
            if inst.stores() || (inst.has_effect() && inst.access.is_none()) {
                loads.retain(|_, load| {
                    let load = block.insts[*load].access;
                    load.zip(inst.access).is_some_and(|(load, other)| !load.may_meet(&other))
                });
            }
            let Some((operand, load)) = foldable(inst, &loads, &block.insts) else { continue };
            let Inst { access, trap, .. } = block.insts[load];
            let Some((_, &[_, memory @ Opnd::Mem(_)])) = x86(&block.insts[load]) else { continue };
            let inst = &mut block.insts[at];
            if let Kind::X86 { ops, .. } = &mut inst.kind {
                ops[operand] = memory;
            }
            (inst.access, inst.trap) = (access, trap);
            folded[load] = true;
        }
        let mut folded = folded.into_iter();
        block.insts.retain(|_| folded.next() != Some(true));
    }
}

/// How often each register is read.
fn readers(vcode: &VCode) -> Vec<u32> {
    let mut readers = vec![0; vcode.vregs];
    let mut operands = Vec::new();
    for block in &vcode.blocks {
        for inst in &block.insts {
            operands.clear();
            inst.operands(&mut operands);
            let read = operands.iter().filter(|op| op.kind() == OperandKind::Use);
            read.for_each(|op| readers[op.vreg().vreg()] += 1);
        }
        let passed = block.succs.iter().flat_map(|edge| &edge.args);
        passed.for_each(|arg| readers[arg.vreg()] += 1);
    }
    readers
}

/// The register that an instruction loads, if it does nothing else and cannot trap.
fn loaded(inst: &Inst) -> Option<VReg> {
    inst.access?;
    match x86(inst)? {
        (code, &[Opnd::Def(to), Opnd::Mem(Mem::Address { .. })]) if is_load(code) => Some(to),
        _ => None,
    }
}

/// The operand of `inst` that may be memory and is loaded, all of it, and by which of `insts`.
fn foldable(inst: &Inst, loads: &FxHashMap<VReg, usize>, insts: &[Inst]) -> Option<(usize, usize)> {
    let (code, ops) = x86(inst)?;
    if inst.access.is_some() || ops.iter().any(|op| matches!(op, Opnd::Mem(_))) {
        return None;
    }
    let info = code.op_code();
    (1..ops.len().min(info.op_count() as usize)).find_map(|at| {
        let (Opnd::Use(reg) | Opnd::UseReg(reg)) = ops[at] else { return None };
        let load = *loads.get(&reg)?;
        let bytes = insts[load].access?.bytes as usize;
        let fits = takes_memory(code, at) && info.memory_size().size() == bytes;
        fits.then_some((at, load))
    })
}

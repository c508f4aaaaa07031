//! Gives innermost loops names of their own for what they only read.
//!
//! A value that lives long and is read in many places has one live range, and where registers are short
//! regalloc2 may keep it on the stack even in a loop that reads it each turn and leaves registers free. Under
//! a name of its own, a parameter of the loop, it has a short range there that is read often. (Live-range
//! splitting around loops; see Cooper and Simpson, "Live range splitting in a graph coloring register
//! allocator", CC 1998.)

use crate::regalloc::Allocated;
use crate::vcode::{Block, BlockId, Kind, Mem, Opnd, VCode};
use crate::work::BlockWork;
use regalloc2::{Operand, OperandKind, VReg};
use rustc_hash::{FxHashMap, FxHashSet};

/// A loop of one block, and the block on its edge back to itself.
struct Loop {
    body: usize,
    back: Option<usize>,
}

/// What is known of a function before names change.
struct Known {
    /// By value, the block that reads it, unless several do.
    readers: FxHashMap<VReg, Option<usize>>,
    /// By block, those that lead to it.
    preds: Vec<Vec<usize>>,
}

impl Known {
    fn new(vcode: &VCode) -> Known {
        let mut readers = FxHashMap::default();
        let mut preds = vec![Vec::new(); vcode.blocks.len()];
        let mut operands = Vec::new();
        for (index, block) in vcode.blocks.iter().enumerate() {
            for inst in &block.insts {
                inst.operands(&mut operands);
            }
            let read = operands.drain(..).filter(|operand| operand.kind() == OperandKind::Use);
            let passed = block.succs.iter().flat_map(|edge| edge.args.iter().copied());
            for reg in read.map(|operand| operand.vreg()).chain(passed) {
                let by = readers.entry(reg).or_insert(Some(index));
                if *by != Some(index) {
                    *by = None;
                }
            }
            for edge in &block.succs {
                let preds: &mut Vec<usize> = &mut preds[edge.to.index()];
                if preds.last() != Some(&index) {
                    preds.push(index);
                }
            }
        }
        Known { readers, preds }
    }
}

/// `vcode` with other names for what its loops only read, where these move values to or from the stack; `None`
/// if there is no such loop.
pub(crate) fn renamed_in_loops(vcode: &VCode, allocated: &Allocated) -> Option<VCode> {
    let spills = |block: usize| BlockWork::of(vcode, allocated, block).moves_on_stack();
    let loops: Vec<Loop> = (0..vcode.blocks.len())
        .filter_map(|body| find(vcode, body))
        .filter(|one| spills(one.body) || one.back.is_some_and(spills))
        .collect();
    if loops.is_empty() {
        return None;
    }
    let known = Known::new(vcode);
    let mut renamed = vcode.clone();
    let mut any = false;
    for one in loops {
        any |= rename(&mut renamed, &one, &known);
    }
    any.then_some(renamed)
}

/// The loop whose block is `body`, if that is one and its instructions are plain.
fn find(vcode: &VCode, body: usize) -> Option<Loop> {
    let is_plain = |block: &Block| {
        block.insts.iter().all(|inst| {
            matches!(
                inst.kind,
                Kind::X86 { .. }
                    | Kind::Idiom { .. }
                    | Kind::Jump
                    | Kind::Branch(_)
                    | Kind::SelectVector { .. }
                    | Kind::Move { .. }
            )
        })
    };
    let header = BlockId(body as u32);
    let block = &vcode.blocks[body];
    let back = block.succs.iter().find_map(|edge| {
        let to = &vcode.blocks[edge.to.index()];
        let returns = matches!(to.succs[..], [ref only] if only.to == header);
        match edge.to == header {
            true => Some(None),
            // The block of a split edge has no other way in.
            false if returns && to.params.is_empty() && to.insts.len() == 1 => {
                Some(Some(edge.to.index()))
            }
            false => None,
        }
    })?;
    is_plain(block).then_some(Loop { body, back })
}

fn rename(vcode: &mut VCode, one: &Loop, known: &Known) -> bool {
    let mut made: FxHashSet<VReg> = vcode.blocks[one.body].params.iter().copied().collect();
    let mut operands = Vec::new();
    for inst in &vcode.blocks[one.body].insts {
        inst.operands(&mut operands);
    }
    let regs = |kind| {
        let of_kind = move |operand: &&Operand| operand.kind() == kind;
        operands.iter().filter(of_kind).map(|operand| operand.vreg())
    };
    made.extend(regs(OperandKind::Def));
    let mut names: FxHashMap<VReg, VReg> = FxHashMap::default();
    let mut order = Vec::new();
    for reg in regs(OperandKind::Use) {
        let elsewhere = known.readers.get(&reg).is_none_or(Option::is_none);
        if elsewhere && !made.contains(&reg) && !names.contains_key(&reg) {
            let name = VReg::new(vcode.vregs, reg.class());
            vcode.vregs += 1;
            names.insert(reg, name);
            order.push((reg, name));
        }
    }
    if order.is_empty() {
        return false;
    }
    let inside = || [Some(one.body), one.back].into_iter().flatten();
    for index in inside() {
        let passed = vcode.blocks[index].succs.iter_mut().flat_map(|edge| &mut edge.args);
        passed.for_each(|arg| *arg = *names.get(arg).unwrap_or(arg));
    }
    for &pred in &known.preds[one.body] {
        let back = inside().any(|index| index == pred);
        let edges = vcode.blocks[pred].succs.iter_mut();
        for edge in edges.filter(|edge| edge.to.index() == one.body) {
            edge.args.extend(order.iter().map(|(reg, name)| if back { *name } else { *reg }));
        }
    }
    let body = &mut vcode.blocks[one.body];
    body.params.extend(order.iter().map(|(_, name)| *name));
    body.insts.iter_mut().for_each(|inst| rename_reads(&mut inst.kind, &names));
    true
}

/// Lets a plain instruction read registers by other names.
fn rename_reads(kind: &mut Kind, names: &FxHashMap<VReg, VReg>) {
    let rename = |reg: &mut VReg| *reg = *names.get(reg).unwrap_or(reg);
    match kind {
        Kind::X86 { ops, implicit, .. } => {
            for op in ops.iter_mut().chain(implicit) {
                match op {
                    Opnd::Use(reg)
                    | Opnd::UseReg(reg)
                    | Opnd::UseFixed(reg, _)
                    | Opnd::Mask(reg)
                    | Opnd::Mod { from: reg, .. } => rename(reg),
                    Opnd::Mem(Mem::Address { base, index, .. }) => {
                        rename(base);
                        index.iter_mut().for_each(|(reg, _)| rename(reg));
                    }
                    _ => {}
                }
            }
        }
        Kind::SelectVector { yes, no, .. } => [yes, no].into_iter().for_each(rename),
        Kind::Move { from, .. } => rename(from),
        _ => {}
    }
}

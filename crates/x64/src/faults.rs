//! Places of faults that are not those of their loads. Decides nothing about code.
//!
//! Stock Cranelift makes one instruction of a load and the extension of what it loads where it can,
//! and a fault then has the extension's place. Invariant: the conditions are those under which stock
//! Cranelift does so for the same CLIF (`get_value_as_source_or_const` and `compute_use_states` in
//! `machinst/lower.rs`, `extend_to_gpr` in `isa/x64/inst.isle`).

use cranelift_codegen::entity::EntitySet;
use cranelift_codegen::ir::{Function, Inst, Opcode, RelSourceLoc, Value, ValueDef};
use rustc_hash::FxHashMap;

/// The places of loads whose faults have another one.
pub(crate) type FaultPlaces = FxHashMap<Inst, RelSourceLoc>;

/// Finds them in `func` as stock Cranelift would compile it.
pub(crate) fn places(func: &Function) -> FaultPlaces {
    let shared = shared(func);
    let mut places = FaultPlaces::default();
    for block in func.layout.blocks() {
        let mut last_effect = None;
        for inst in func.layout.block_insts(block) {
            let op = func.dfg.insts[inst].opcode();
            if has_effect(op) {
                last_effect = Some(inst);
            }
            if !matches!(op, Opcode::Uextend | Opcode::Sextend) {
                continue;
            }
            let value = func.dfg.resolve_aliases(func.dfg.inst_args(inst)[0]);
            let place = func.stencil.srclocs[inst];
            if let Some(load) = func.dfg.value_def(value).inst()
                && Some(load) == last_effect
                && func.dfg.insts[load].opcode() == Opcode::Load
                && !shared.contains(value)
                && !place.is_default()
            {
                places.insert(load, place);
            }
        }
    }
    places
}

/// Whether stock Cranelift keeps an instruction in order among others of this kind.
fn has_effect(op: Opcode) -> bool {
    op.is_terminator()
        || op.is_call()
        || op.can_load()
        || op.can_store()
        || op.can_trap()
        || op.other_side_effects()
}

/// The values that stock Cranelift takes for used more than once: those with several uses, and
/// whatever these are made of.
fn shared(func: &Function) -> EntitySet<Value> {
    let mut used = EntitySet::new();
    let mut shared = EntitySet::new();
    let mut stack = Vec::new();
    for inst in func.layout.blocks().flat_map(|block| func.layout.block_insts(block)) {
        for value in func.dfg.inst_values(inst) {
            let value = func.dfg.resolve_aliases(value);
            if !used.insert(value) {
                stack.push(value);
            }
        }
        while let Some(value) = stack.pop() {
            if !shared.insert(value) {
                continue;
            }
            // Several results may have several uses without their operands having them.
            if let ValueDef::Result(maker, _) = func.dfg.value_def(value)
                && func.dfg.inst_results(maker).len() == 1
            {
                let operands = func.dfg.inst_values(maker);
                stack.extend(operands.map(|operand| func.dfg.resolve_aliases(operand)));
            }
        }
    }
    shared
}

//! Copies of a loop's instructions elsewhere, with other values for its parameters.

use crate::affine::{is_param, made_in};
use cranelift_codegen::ir::{Block, Function, Inst, Value};
use rustc_hash::FxHashMap;

/// What values of a loop are called in a copy of it.
#[derive(Default)]
pub(crate) struct Scope {
    pub(crate) map: FxHashMap<Value, Value>,
}

impl Scope {
    /// What `value` is called here; its own name if it is not of the loop.
    pub(crate) fn name(&self, value: Value) -> Value {
        self.map.get(&value).copied().unwrap_or(value)
    }

    /// `value` as it is in this scope; what is not there yet is made at the end of `into`. Only for
    /// values that are made of parameters in the scope without effects.
    pub(crate) fn value(
        &mut self,
        func: &mut Function,
        looped: Block,
        into: Block,
        value: Value,
    ) -> Value {
        if let Some(known) = self.map.get(&value) {
            return *known;
        }
        debug_assert!(!is_param(func, looped, value), "{value} is no parameter of the scope");
        let Some(inst) = made_in(func, looped, value) else { return value };
        let args: Vec<Value> = func.dfg.inst_values(inst).collect();
        for arg in args {
            self.value(func, looped, into, arg);
        }
        self.copy(func, into, inst);
        self.map[&value]
    }

    /// Copies `inst` to the end of `into`; its operands are in the scope or outside the loop.
    pub(crate) fn copy(&mut self, func: &mut Function, into: Block, inst: Inst) -> Inst {
        let data = func.dfg.insts[inst];
        let typevar = func.dfg.ctrl_typevar(inst);
        let copy = func.dfg.make_inst(data);
        func.dfg.make_inst_results(copy, typevar);
        func.dfg.map_inst_values(copy, |value| self.name(value));
        func.layout.append_inst(copy, into);
        func.stencil.srclocs[copy] = func.stencil.srclocs[inst];
        for (old, new) in func.dfg.inst_results(inst).iter().zip(func.dfg.inst_results(copy)) {
            self.map.insert(*old, *new);
        }
        copy
    }
}

//! Finds block parameters of 32 bits that can be kept zero-extended, so that addresses made of them
//! need no extension in loops. Emits nothing: edges keep the promise (see `control`).

use super::Select;
use cranelift_codegen::entity::SecondaryMap;
use cranelift_codegen::ir::{Block, BlockArg, Opcode, Value, types};
use smallvec::SmallVec;

/// What one edge passes to a parameter.
struct Passed {
    to: Block,
    param: Value,
    value: Value,
    /// Whether the edge closes a loop.
    backwards: bool,
}

impl Select<'_> {
    /// Whether the register of `value` has zeros above its 32 bits, or will when it is made.
    pub(super) fn is_zero_extended_or_constant(&self, value: Value) -> bool {
        self.zero_extended(value) || self.constant(value).is_some()
    }

    /// Fills `zero_extended`.
    ///
    /// Starts from the assumption that all parameters are extended and takes it back from those
    /// that get other values. A value that enters a loop from outside may be extended on the way,
    /// once; one that comes round in the loop may not, as that would cost in every round.
    pub(super) fn extend_params(&mut self, order: &[Block]) {
        let func = self.func;
        let mut position: SecondaryMap<Block, u32> = SecondaryMap::with_default(u32::MAX);
        for (at, &block) in order.iter().enumerate() {
            position[block] = at as u32;
        }
        let mut passed = Vec::new();
        let mut has_loop: SecondaryMap<Block, bool> = SecondaryMap::new();
        for &block in order {
            for call in self.edges(block) {
                let pool = &func.dfg.value_lists;
                let to = call.block(pool);
                let backwards = position[to] <= position[block];
                has_loop[to] |= backwards;
                let args: SmallVec<[BlockArg; 8]> = call.args(pool).collect();
                for (arg, &param) in args.iter().zip(func.dfg.block_params(to)) {
                    if self.type_of(param) != types::I32 {
                        continue;
                    }
                    let BlockArg::Value(value) = *arg else { continue };
                    let value = func.dfg.resolve_aliases(value);
                    passed.push(Passed { to, param, value, backwards });
                    self.zero_extended.insert(param);
                }
            }
        }
        // Only what is extended somewhere is worth a promise.
        let mut extended = cranelift_codegen::entity::EntitySet::<Value>::new();
        for &block in order {
            for inst in func.layout.block_insts(block) {
                if func.dfg.insts[inst].opcode() == Opcode::Uextend {
                    extended.insert(func.dfg.resolve_aliases(func.dfg.inst_args(inst)[0]));
                }
            }
        }
        loop {
            let mut changed = false;
            for edge in &passed {
                if !self.zero_extended.contains(edge.param)
                    || self.is_zero_extended_or_constant(edge.value)
                {
                    continue;
                }
                let entry = !edge.backwards && has_loop[edge.to];
                if !(entry && extended.contains(edge.param)) {
                    self.zero_extended.remove(edge.param);
                    changed = true;
                }
            }
            if !changed {
                return;
            }
        }
    }
}

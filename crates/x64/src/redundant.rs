//! Moves of the register allocation that move a value to where it is already.
//!
//! regalloc2 splits the life of a value that is spilled: a piece in a register ends with a move back to
//! the stack slot, although nothing has changed there. In a loop that reads many addresses, these
//! moves would come with each turn.

use regalloc2::{Allocation, Edit, Function, Inst, InstPosition, OperandKind, Output};
use rustc_hash::FxHashMap;

/// How many places are remembered from one block to the next.
const MAX_PLACES: usize = 256;

/// What is known to be in registers and stack slots: equal numbers, equal values.
#[derive(Clone, Default)]
struct Values {
    of: FxHashMap<Allocation, u32>,
    fresh: u32,
}

impl Values {
    /// Notes a move, and tells whether it changes anything.
    fn moves(&mut self, from: Allocation, to: Allocation) -> bool {
        let value = *self.of.entry(from).or_insert_with(|| {
            self.fresh += 1;
            self.fresh
        });
        self.of.insert(to, value) != Some(value)
    }
}

/// Drops moves that change nothing, as far as that is seen within a block and from its only predecessor.
pub(crate) fn drop_redundant_moves(flat: &impl Function, output: &mut Output) {
    let mut ends: Vec<Option<Values>> = vec![None; flat.num_blocks()];
    let mut kept = vec![true; output.edits.len()];
    let mut next = 0;
    for index in 0..flat.num_blocks() {
        let block = regalloc2::Block::new(index);
        let mut values = match flat.block_preds(block) {
            [pred] if pred.index() < index => ends[pred.index()].clone().unwrap_or_default(),
            _ => Values::default(),
        };
        for inst in flat.block_insns(block).iter() {
            for position in [InstPosition::Before, InstPosition::After] {
                while let Some((point, Edit::Move { from, to })) = output.edits.get(next)
                    && point.inst() == inst
                    && point.pos() == position
                {
                    kept[next] = values.moves(*from, *to);
                    next += 1;
                }
                if position == InstPosition::Before {
                    overwrite(flat, output, inst, &mut values);
                }
            }
        }
        if values.of.len() <= MAX_PLACES {
            ends[index] = Some(values);
        }
    }
    let mut kept = kept.into_iter();
    output.edits.retain(|_| kept.next().unwrap_or(true));
}

/// Forgets what an instruction writes over.
fn overwrite(flat: &impl Function, output: &Output, inst: Inst, values: &mut Values) {
    for (operand, place) in flat.inst_operands(inst).iter().zip(output.inst_allocs(inst)) {
        if operand.kind() == OperandKind::Def {
            values.of.remove(place);
        }
    }
    for reg in flat.inst_clobbers(inst) {
        values.of.remove(&Allocation::reg(reg));
    }
}

//! Rewriting: CLIF as captured against CLIF after elaboration, and covering: CLIF against CLIF in which instructions
//! stand for machine ops.
//!
//! Blocks and effects correspond one to one. Parameters of blocks are the same symbols on both
//! sides, and so is what an effect gives once its operands are proven equal; branches pass their
//! values as operands. By induction over the steps of a run, both sides then do the same effects on
//! the same values. What an effect gives whose operands are not proven equal is unknown, and all
//! that depends on it.
//!
//! Decides nothing about machine code.

use crate::clif::{Clif, Known, blanked};
use crate::report::Checked;
use crate::solve::{Equality, Prover};
use crate::values::Values;
use cranelift_codegen::ir::{Block, DataFlowGraph, Function, Inst};
use egraft_ir::machine::MachineOp;
use egraft_verify::smt::SolverError;
use rustc_hash::FxHashSet;

/// Memory gives equal loads of equal addresses in equal places equal bits.
const MEMORY: &str = "a load gives what the one in its place gave";
/// What a callee gives depends on its arguments and on memory alone.
const CALLS: &str = "a call gives what the one in its place gave";
/// A read-only load may be done anywhere.
const READ_ONLY: &str = "read-only memory stays as it is";

/// Checks that `after`, in which `stand_ins` are machine ops with immediates, does what `before` did.
pub(crate) fn check(
    before: &Function,
    after: &Function,
    stand_ins: impl IntoIterator<Item = (Inst, MachineOp, u32)>,
    prover: &mut Prover,
) -> Result<Checked, SolverError> {
    let mut sides = [Clif::new(before), Clif::new(after)];
    sides[1].stand_ins = stand_ins.into_iter().map(|(inst, op, imm)| (inst, (op, imm))).collect();
    let mut pair = Pair {
        sides,
        values: Values::default(),
        prover,
        checked: Checked::default(),
        unproven_params: FxHashSet::default(),
    };
    if pair.same_shape() {
        for block in pair.sides[0].order.clone() {
            pair.block(block)?;
        }
    }
    let read_only = pair.values.functions().filter(|name| name.starts_with("load")).count();
    if read_only > 0 {
        pair.checked.assumptions.insert(READ_ONLY, read_only);
    }
    Ok(pair.checked)
}

struct Pair<'a> {
    /// Before and after.
    sides: [Clif<'a>; 2],
    values: Values,
    prover: &'a mut Prover,
    checked: Checked,
    /// Blocks to which a branch passes what is not proven equal.
    unproven_params: FxHashSet<Block>,
}

impl Pair<'_> {
    /// Whether signatures and blocks correspond.
    fn same_shape(&mut self) -> bool {
        let [before, after] = &self.sides;
        let (old, new) = (&before.func.dfg, &after.func.dfg);
        if before.func.signature != after.func.signature {
            self.checked.fail("signature", "differs");
            return false;
        }
        let named = |func: &Function| -> Vec<String> {
            let dfg = &func.dfg;
            let functions = dfg.ext_funcs.iter().map(|(id, data)| format!("{id} = {data:?}"));
            let signatures = dfg.signatures.iter().map(|(id, data)| format!("{id} = {data}"));
            let slots = func.sized_stack_slots.iter().map(|(id, slot)| format!("{id} = {slot:?}"));
            functions.chain(signatures).chain(slots).collect()
        };
        let (names, new_names) = (named(before.func), named(after.func));
        if let Some(missing) = names.iter().find(|name| !new_names.contains(name)) {
            self.checked.fail("preamble", format!("`{missing}` is missing or another"));
            return false;
        }
        let reached: FxHashSet<Block> = after.order.iter().copied().collect();
        if before.func.layout.entry_block() != after.func.layout.entry_block()
            || before.order.len() != reached.len()
            || !before.order.iter().all(|block| reached.contains(block))
        {
            self.checked.fail("blocks", "are others than before");
            return false;
        }
        for &block in &before.order {
            let types = |dfg: &DataFlowGraph| -> Vec<_> {
                dfg.block_params(block).iter().map(|param| dfg.value_type(*param)).collect()
            };
            if types(old) != types(new) {
                self.checked.fail(block.to_string(), "has other parameters than before");
                return false;
            }
        }
        true
    }

    fn block(&mut self, block: Block) -> Result<(), SolverError> {
        let params = self.sides.each_ref().map(|side| side.func.dfg.block_params(block).to_vec());
        for (old, new) in params[0].iter().zip(&params[1]) {
            let known = match self.sides[0].width(*old) {
                _ if self.unproven_params.contains(&block) => {
                    Known::Nothing(format!("{block} is entered with what is not proven equal"))
                }
                Some(width) => Known::Is(self.values.symbol(&old.to_string(), width)),
                None => Known::Nothing(format!("{old} has a type of no op")),
            };
            self.sides[0].define(*old, known.clone());
            self.sides[1].define(*new, known);
        }
        let effects = [0, 1].map(|side| self.sides[side].effects(block));
        for at in 0..effects[0].len().max(effects[1].len()) {
            let pair = (effects[0].get(at).copied(), effects[1].get(at).copied());
            let text = |side: usize, inst: Option<Inst>| match inst {
                Some(inst) => blanked(self.sides[side].func, inst),
                None => "nothing".to_owned(),
            };
            match pair {
                (Some(old), Some(new)) if text(0, pair.0) == text(1, pair.1) => {
                    self.effect(block, old, new)?;
                }
                _ => {
                    let what = format!("`{}` became `{}`", text(0, pair.0), text(1, pair.1));
                    self.checked.fail(format!("{block}, effect {at}"), what);
                    // What follows has lost its counterpart.
                    for side in [0, 1] {
                        self.forget(effects[side].get(at..).unwrap_or_default(), side);
                    }
                    self.poison_successors(block);
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Says of the results of effects that they are not known.
    fn forget(&mut self, insts: &[Inst], side: usize) {
        for inst in insts {
            for result in self.sides[side].func.dfg.inst_results(*inst).to_vec() {
                let why = "made by an effect without counterpart".to_owned();
                self.sides[side].define(result, Known::Nothing(why));
            }
        }
    }

    fn poison_successors(&mut self, block: Block) {
        let func = self.sides[0].func;
        if let Some(last) = func.layout.last_inst(block) {
            let dfg = &func.dfg;
            let calls = dfg.insts[last].branch_destination(&dfg.jump_tables, &dfg.exception_tables);
            self.unproven_params.extend(calls.iter().map(|call| call.block(&dfg.value_lists)));
        }
    }

    /// Compares the operands of two effects that do the same to them.
    fn effect(&mut self, block: Block, old: Inst, new: Inst) -> Result<(), SolverError> {
        let funcs = [self.sides[0].func, self.sides[1].func];
        let place = format!("{block}: {}", funcs[0].dfg.display_inst(old));
        let operands = [funcs[0].dfg.inst_values(old), funcs[1].dfg.inst_values(new)]
            .map(|values| values.collect::<Vec<_>>());
        let mut verdict = Equality::Alike;
        if operands[0].len() != operands[1].len() {
            verdict = Equality::Unknown("passes another number of values".to_owned());
        }
        for (mine, theirs) in operands[0].iter().zip(&operands[1]) {
            let found = match (
                self.sides[0].value(&mut self.values, *mine),
                self.sides[1].value(&mut self.values, *theirs),
            ) {
                (Known::Is(mine), Known::Is(theirs)) => {
                    self.prover.equal(&mut self.values, mine, theirs)?
                }
                (Known::Nothing(why), _) | (_, Known::Nothing(why)) => Equality::Unknown(why),
            };
            verdict = verdict.worse(found);
        }
        if funcs[0].srcloc(old) != funcs[1].srcloc(new) {
            let what = "belongs to another place of the source".to_owned();
            verdict = verdict.worse(Equality::Other(what));
        }
        let equal = self.checked.record(place, verdict);
        if !equal {
            self.poison_successors_of(old, block);
        }
        self.results(old, new, equal);
        Ok(())
    }

    /// Where an effect that ends its block is not proven, so is what follows it.
    fn poison_successors_of(&mut self, inst: Inst, block: Block) {
        if self.sides[0].func.layout.last_inst(block) == Some(inst) {
            self.poison_successors(block);
        }
    }

    /// What two effects give: the same if they are proven to be.
    fn results(&mut self, old: Inst, new: Inst, equal: bool) {
        let opcode = self.sides[0].func.dfg.insts[old].opcode();
        let results = [(0, old), (1, new)]
            .map(|(side, inst)| self.sides[side].func.dfg.inst_results(inst).to_vec());
        if equal && !results[0].is_empty() {
            self.checked.assume(match () {
                _ if opcode.is_call() => CALLS,
                _ => MEMORY,
            });
        }
        for (mine, theirs) in results[0].iter().zip(&results[1]) {
            let known = match equal {
                true => self.sides[0].fresh(&mut self.values, old, *mine).1,
                false => Known::Nothing(format!("{mine} is made of what is not proven equal")),
            };
            self.sides[0].define(*mine, known.clone());
            self.sides[1].define(*theirs, known);
        }
    }
}

//! Which second versions of loops pay, and from how many turns on they are entered.
//!
//! Judged by counting the CLIF instructions that become code; those that become part of an address, and repeated ones, do not, and
//! two accesses of adjacent memory become one instruction.

use cranelift_codegen::cursor::{Cursor, FuncCursor};
use cranelift_codegen::ir::{
    Block, Function, Inst, InstBuilder, InstructionData, Opcode, ValueDef, types,
};
use egraft_loops::{Access, Accesses, Pair};
use rustc_hash::FxHashSet;

/// What entering takes besides the proof: branches that are not foreseen.
const ENTERING: u64 = 16;
/// A fast turn must save one in so many instructions.
const SAVES_ONE_IN: u64 = 16;
/// A proof that pays after more turns only is not made: rows are seldom that long, and all pay for it.
const MOST_TURNS: u64 = 15;

/// Instructions of a turn of each version, as long as the proof took.
struct Work {
    plain: u64,
    fast: u64,
    proof: u64,
}

impl Work {
    /// `accesses` are those that may become pairs.
    fn of(func: &Function, pair: &Pair, accesses: Option<&Accesses>) -> Work {
        let turns = u64::from(pair.turns);
        let pairs = accesses.map_or(0, |accesses| pairs(func, pair.fast, accesses));
        Work {
            plain: instructions(func, pair.plain) * turns,
            fast: instructions(func, pair.fast) - pairs,
            proof: instructions(func, pair.proof[1]),
        }
    }

    /// What a turn of the fast version saves.
    const fn saved(&self) -> u64 {
        self.plain.saturating_sub(self.fast)
    }

    /// How many turns save what the proof takes, where a fast turn makes `turns`.
    fn least(&self, turns: u64) -> u64 {
        ((self.proof + ENTERING) * turns).div_ceil(self.saved().max(1)).max(turns)
    }
}

/// Whether the fast version of a loop is worth having.
pub(crate) fn pays(optimized: &Function, pair: &Pair, accesses: Option<&Accesses>) -> bool {
    let work = Work::of(optimized, pair, accesses);
    work.saved() * SAVES_ONE_IN >= work.plain && work.least(pair.turns.into()) <= MOST_TURNS
}

/// Lets the fast version be entered where it saves what its proof takes, by the counts of `optimized`.
pub(crate) fn settle(
    func: &mut Function,
    optimized: &Function,
    pair: &Pair,
    accesses: Option<&Accesses>,
) {
    let least = Work::of(optimized, pair, accesses).least(pair.turns.into());
    let least = i64::from(i32::try_from(least).unwrap_or(i32::MAX));
    let compares = |inst: &Inst| match func.dfg.insts[*inst] {
        InstructionData::IntCompare { opcode: Opcode::Icmp, args, .. } => {
            number(func, args[1]) == Some(pair.least)
        }
        _ => false,
    };
    let mut insts = func.layout.block_insts(pair.proof[0]).rev();
    let Some(compare) = insts.find(compares) else { return };
    let mut cursor = FuncCursor::new(func).at_inst(compare);
    let least = cursor.ins().iconst(types::I64, least);
    if let InstructionData::IntCompare { args, .. } = &mut func.dfg.insts[compare] {
        args[1] = least;
    }
}

fn number(func: &Function, value: cranelift_codegen::ir::Value) -> Option<i64> {
    let ValueDef::Result(inst, _) = func.dfg.value_def(value) else { return None };
    match func.dfg.insts[inst] {
        InstructionData::UnaryImm { opcode: Opcode::Iconst, imm }
            if func.dfg.value_type(value) == types::I64 =>
        {
            Some(imm.bits())
        }
        _ => None,
    }
}

/// Instructions of a block that become code.
fn instructions(func: &Function, block: Block) -> u64 {
    let mut seen = FxHashSet::default();
    let is_code = |inst: &Inst| {
        let data = func.dfg.insts[*inst];
        match data.opcode() {
            Opcode::Iconst | Opcode::Bitcast | Opcode::Uextend | Opcode::Vconst => false,
            opcode if opcode.can_load() || opcode.can_store() || opcode.is_branch() => true,
            Opcode::Iadd if is_address(func, *inst) => false,
            _ => seen.insert(data),
        }
    };
    func.layout.block_insts(block).filter(is_code).count() as u64
}

/// How many accesses of vectors in a block become one instruction with another.
fn pairs(func: &Function, block: Block, accesses: &Accesses) -> u64 {
    let is_vector = |inst: &Inst| {
        func.dfg
            .inst_results(*inst)
            .iter()
            .chain(func.dfg.inst_args(*inst))
            .any(|value| func.dfg.value_type(*value).is_vector())
    };
    let insts = func.layout.block_insts(block).filter(is_vector);
    let mut all: Vec<(bool, Access)> = insts
        .filter_map(|inst| Some((func.dfg.insts[inst].opcode().can_store(), accesses[inst]?)))
        .collect();
    all.sort_by_key(|(stores, access)| (*stores, access.group, access.copy, access.start));
    let mut pairs = 0;
    let mut rest = &all[..];
    while let [(stores, low), (also, high), ..] = rest {
        let adjoin = stores == also && low.bytes == high.bytes && low.precedes(high);
        pairs += u64::from(adjoin);
        rest = &rest[if adjoin { 2 } else { 1 }..];
    }
    pairs
}

/// Whether a sum has the form of an address of two registers, one of which is extended, as wasm's are.
fn is_address(func: &Function, inst: Inst) -> bool {
    func.dfg.inst_args(inst).iter().any(|arg| match func.dfg.value_def(*arg) {
        ValueDef::Result(of, _) => func.dfg.insts[of].opcode() == Opcode::Uextend,
        _ => false,
    })
}

//! Shuffles that stock Cranelift looks up in a table of two registers: the mask is loaded each time, and both operands are moved to
//! registers that follow each other.
//!
//! Here those that are another interleaving of the same bytes become that; the others look up in one register, or in one
//! and then the other (`tbl`, `tbx`), with masks that are made before the loop.

use crate::constants::Constants;
use crate::standin::StandIns;
use cranelift_codegen::cursor::{Cursor, FuncCursor};
use cranelift_codegen::ir::{
    Block, ConstantData, Function, Inst, InstBuilder, InstructionData, Opcode, Value, ValueDef,
};
use egraft_ir::machine::MachineOp;
use egraft_lower::is_vector_bitcast;
use std::sync::LazyLock;

type Mask = [u8; 16];

/// A number that no table has.
const NONE: u8 = 0xff;

/// Replaces those shuffles of `func` for which stock's code is longer.
pub(crate) fn replace(
    func: &mut Function,
    constants: &mut Constants<'_>,
    stand_ins: &mut StandIns,
) {
    let blocks: Vec<Block> = func.layout.blocks().collect();
    for block in blocks {
        let insts: Vec<Inst> = func.layout.block_insts(block).collect();
        for inst in insts {
            if let Some(shuffle) = Shuffle::of(func, inst) {
                shuffle.replace(func, block, inst, constants, stand_ins);
            }
        }
    }
}

/// Bytes of two vectors.
struct Shuffle {
    of: [Value; 2],
    mask: Mask,
}

impl Shuffle {
    /// The shuffle that `inst` is, unless stock has one instruction for it.
    fn of(func: &Function, inst: Inst) -> Option<Shuffle> {
        let InstructionData::Shuffle { args, imm, .. } = func.dfg.insts[inst] else { return None };
        let mask = func.dfg.immediates.get(imm)?;
        let mask: Mask = mask.as_slice().try_into().ok()?;
        let of = args.map(|arg| func.dfg.resolve_aliases(arg));
        (!has_instruction(&mask)).then_some(Shuffle { of, mask })
    }

    fn replace(
        self,
        func: &mut Function,
        block: Block,
        inst: Inst,
        constants: &mut Constants<'_>,
        stand_ins: &mut StandIns,
    ) {
        let Shuffle { of: [low, high], mask } = self;
        let place = func.stencil.srclocs[inst];
        let is_zero = [low, high].map(|value| is_zero(func, value));
        let reads = |upper: bool| mask.iter().any(|byte| (*byte >= 16) == upper);
        let mut cursor = FuncCursor::new(func).at_inst(inst);
        cursor.set_srcloc(cursor.func.srcloc(inst));
        // The one vector that is read, and its bytes.
        let alone = match (low == high, is_zero) {
            (true, _) => Some((low, mask.map(|byte| byte % 16))),
            _ if !reads(true) => Some((low, mask)),
            _ if !reads(false) => Some((high, mask.map(|byte| byte - 16))),
            (_, [_, true]) => Some((low, of_low(mask))),
            (_, [true, _]) => Some((high, of_high(mask))),
            _ => None,
        };
        let swapped = mask.map(|byte| byte ^ 16);
        let made = if let Some((from, bytes)) = alone {
            let same = |known: &Mask| (0..16).all(|at| known[at] % 16 == bytes[at]);
            match INSTRUCTIONS.iter().find(|known| same(known)) {
                Some(known) => shuffle(&mut cursor, from, from, *known),
                None => {
                    let mask = constants.get(&mut cursor, block, u128::from_le_bytes(bytes));
                    cursor.ins().swizzle(from, mask)
                }
            }
        } else if has_instruction(&swapped) {
            shuffle(&mut cursor, high, low, swapped)
        } else {
            let Some(tbx) = MachineOp::by_name("a64_tbx_16b") else { return };
            let [low_mask, high_mask] = [of_low(mask), of_high(mask)]
                .map(|mask| constants.get(&mut cursor, block, u128::from_le_bytes(mask)));
            let first = cursor.ins().swizzle(low, low_mask);
            match stand_ins.insert(&mut cursor, place, (tbx, 0), &[first, high, high_mask]) {
                Some(made) => made,
                None => return,
            }
        };
        let result = func.dfg.first_result(inst);
        func.layout.remove_inst(inst);
        func.dfg.clear_results(inst);
        func.dfg.change_to_alias(result, made);
    }
}

fn shuffle(cursor: &mut FuncCursor<'_>, low: Value, high: Value, mask: Mask) -> Value {
    let imm = cursor.func.dfg.immediates.push(ConstantData::from(&mask[..]));
    cursor.ins().shuffle(low, high, imm)
}

/// Bytes of the first operand, and none for those of the second.
fn of_low(mask: Mask) -> Mask {
    mask.map(|byte| if byte < 16 { byte } else { NONE })
}

fn of_high(mask: Mask) -> Mask {
    mask.map(|byte| if byte >= 16 { byte - 16 } else { NONE })
}

/// Whether all bits of `value` are known to be zero.
fn is_zero(func: &Function, value: Value) -> bool {
    let ValueDef::Result(inst, _) = func.dfg.value_def(func.dfg.resolve_aliases(value)) else {
        return false;
    };
    match func.dfg.insts[inst] {
        InstructionData::UnaryConst { opcode: Opcode::Vconst, constant_handle } => {
            func.dfg.constants.get(constant_handle).as_slice().iter().all(|byte| *byte == 0)
        }
        InstructionData::LoadNoOffset { arg, .. } if is_vector_bitcast(&func.dfg, inst) => {
            is_zero(func, arg)
        }
        _ => false,
    }
}

fn has_instruction(mask: &Mask) -> bool {
    INSTRUCTIONS.contains(mask)
}

/// Masks for which stock has one instruction. Source: shuffles in Cranelift's `isa/aarch64/lower.isle`.
static INSTRUCTIONS: LazyLock<Vec<Mask>> = LazyLock::new(|| {
    /// Lanes of `width` bytes by their numbers among those of both operands.
    fn lanes(width: u8, lane: impl Fn(u8) -> u8) -> Mask {
        std::array::from_fn(|at| lane(at as u8 / width) * width + at as u8 % width)
    }
    let widths = [1u8, 2, 4, 8];
    let copies = widths
        .into_iter()
        .flat_map(|width| (0..16 / width).map(move |from| lanes(width, |_| from)));
    let slides = (0..16).map(|by| lanes(1, |lane| lane + by));
    let pairs = widths.into_iter().flat_map(|width| {
        let count = 16 / width;
        [0, 1].into_iter().flat_map(move |odd| {
            [
                lanes(width, |lane| 2 * lane + odd),
                lanes(width, |lane| lane / 2 + lane % 2 * count + odd * count / 2),
                lanes(width, |lane| lane / 2 * 2 + lane % 2 * count + odd),
            ]
        })
    });
    let reversals = [(1, 2), (1, 4), (2, 4), (1, 8), (2, 8), (4, 8)].into_iter();
    let reversals = reversals.map(|(width, within)| {
        let count = within / width;
        lanes(width, move |lane| lane / count * count + (count - 1 - lane % count))
    });
    copies.chain(slides).chain(pairs).chain(reversals).collect()
});

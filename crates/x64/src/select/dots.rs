//! Sums of products of adjacent lanes, and what these are added to: `vpmaddwd`, and the dot products of AVX-512
//! VNNI, which take an accumulator (Intel SDM volume 2: VPDPBUSD, VPDPWSSD; both wrap, as `iadd` does).

use super::{Fits, Root, Select, done};
use crate::error::Unsupported;
use crate::vcode::Opnd;
use cranelift_codegen::ir::{Opcode, Value, ValueDef, types};
use iced_x86::Code;
use regalloc2::VReg;

/// How many accumulators a loop needs so that none waits for the dot product of the turn before: one takes five
/// cycles from accumulator to accumulator, an addition takes one, and two of 256 bits begin in a cycle.
const ACCUMULATORS: usize = 8;
/// How many additions are looked through for the parameter of a loop.
const CHAIN: usize = 16;
/// Words whose lower bytes are ones.
const LOWER_BYTES: [u8; 16] = 0x00ff_00ff_00ff_00ff_00ff_00ff_00ff_00ff_u128.to_le_bytes();

/// Two vectors whose lanes are multiplied.
type Factors = [Value; 2];

/// Products of 16-bit lanes, summed in pairs.
pub(super) fn pairwise_products(select: &mut Select<'_>, root: &Root) -> Fits {
    let [low, high] = root.args[..] else { return Ok(false) };
    let Some([one, other]) = products_of_words(select, low, high) else { return Ok(false) };
    let one = select.reg(one)?;
    let other = select.reg(other)?;
    select.binary_regs(Code::VEX_Vpmaddwd_xmm_xmm_xmmm128, one, other);
    done(select)
}

/// `iadd` of an accumulator and products of bytes, summed in fours.
pub(super) fn accumulate_bytes(select: &mut Select<'_>, root: &Root) -> Fits {
    if !select.features.vnni {
        return Ok(false);
    }
    let [left, right] = root.args[..] else { return Ok(false) };
    if let Some(factors) = dot_of_bytes(select, left, right) {
        let zero = select.zero();
        put_dot(select, DOT_OF_BYTES, zero, factors)?;
        return done(select);
    }
    for (sum, other) in [(left, right), (right, left)] {
        let Some([one, two]) = summed_once(select, sum) else { continue };
        for (accumulator, even, odd) in [(other, one, two), (one, other, two), (two, other, one)] {
            let Some(factors) = dot_of_bytes(select, even, odd) else { continue };
            if select.waits_in_loop(accumulator) {
                let zero = select.zero();
                let dot = put_dot(select, DOT_OF_BYTES, zero, factors)?;
                let accumulator = select.reg(accumulator)?;
                select.binary_regs(Code::VEX_Vpaddd_xmm_xmm_xmmm128, accumulator, dot);
            } else {
                let accumulator = select.reg(accumulator)?;
                put_dot(select, DOT_OF_BYTES, accumulator, factors)?;
            }
            return done(select);
        }
    }
    Ok(false)
}

const DOT_OF_BYTES: Code = Code::VEX_Vpdpbusd_xmm_xmm_xmmm128;

/// `iadd` of an accumulator and products of 16-bit lanes, summed in pairs.
pub(super) fn accumulate_words(select: &mut Select<'_>, root: &Root) -> Fits {
    if !select.features.vnni {
        return Ok(false);
    }
    let [left, right] = root.args[..] else { return Ok(false) };
    for (accumulator, dot) in [(left, right), (right, left)] {
        if select.uses[select.canonical(dot)] == 1
            && let Some(factors) = dot_of_words(select, dot)
            && !select.waits_in_loop(accumulator)
        {
            let accumulator = select.reg(accumulator)?;
            put_dot(select, Code::VEX_Vpdpwssd_xmm_xmm_xmmm128, accumulator, factors)?;
            return done(select);
        }
    }
    Ok(false)
}

fn put_dot(
    select: &mut Select<'_>,
    code: Code,
    accumulator: VReg,
    [one, other]: Factors,
) -> Result<VReg, Unsupported> {
    let one = select.reg(one)?;
    let source = select.source(other, types::I8X16)?;
    let to = select.xmm();
    let before = [Opnd::Mod { from: accumulator, to }, Opnd::UseReg(one)];
    select.x86_source(code, &before, source, &[]);
    Ok(to)
}

/// The terms of `value` if it is a sum that nothing else reads.
fn summed_once(select: &Select<'_>, value: Value) -> Option<[Value; 2]> {
    let terms = select.match_op(value, Opcode::Iadd, types::I32X4)?;
    let once = select.uses[select.canonical(value)] == 1;
    if once { <[Value; 2]>::try_from(terms).ok() } else { None }
}

/// The factors of `value` if it is products of 16-bit lanes, summed in pairs.
fn dot_of_words(select: &Select<'_>, value: Value) -> Option<Factors> {
    match *select.match_op(value, Opcode::IaddPairwise, types::I32X4)? {
        [low, high] => products_of_words(select, low, high),
        _ => None,
    }
}

/// The factors if `low` and `high` are the products of their lower and of their upper lanes, of 16 bits.
fn products_of_words(select: &Select<'_>, low: Value, high: Value) -> Option<Factors> {
    let factors = |product, widening| {
        let factors = select.match_op(product, Opcode::Imul, types::I32X4)?;
        let narrow = |factor: &Value| {
            let narrow = select.match_op(*factor, widening, types::I32X4)?[0];
            (select.type_of(narrow) == types::I16X8).then_some(narrow)
        };
        Some([narrow(&factors[0])?, narrow(&factors[1])?])
    };
    let (low, high) = (factors(low, Opcode::SwidenLow)?, factors(high, Opcode::SwidenHigh)?);
    let same = |at: usize| select.canonical(low[at]) == select.canonical(high[at]);
    (same(0) && same(1)).then_some(low)
}

/// The unsigned and the signed bytes whose products, summed in fours, are the sum of these two: one of the even bytes,
/// one of the odd ones, each extended where it stands.
fn dot_of_bytes(select: &Select<'_>, one: Value, two: Value) -> Option<Factors> {
    let (one, two) = (dot_of_words(select, one)?, dot_of_words(select, two)?);
    let swapped = |[left, right]: Factors| [right, left];
    let orders = [(one, two), (two, one)].into_iter().flat_map(|(even, odd)| {
        [even, swapped(even)].into_iter().flat_map(move |even| [(even, odd), (even, swapped(odd))])
    });
    let both = |even: Option<Value>, odd: Option<Value>| {
        let (even, odd) = (even?, odd?);
        (select.canonical(even) == select.canonical(odd)).then_some(even)
    };
    orders.into_iter().find_map(|(even, odd)| {
        let unsigned =
            both(lower_bytes(select, even[0]), moved_bytes(select, Opcode::Ushr, odd[0]))?;
        let lower = moved_bytes(select, Opcode::Sshr, even[1])?;
        let lower = moved_bytes(select, Opcode::Ishl, lower);
        let signed = both(lower, moved_bytes(select, Opcode::Sshr, odd[1]))?;
        Some([unsigned, signed])
    })
}

/// What `value` is the lower bytes of all 16-bit lanes of.
fn lower_bytes(select: &Select<'_>, value: Value) -> Option<Value> {
    let inst = select.def_of(value, Opcode::Band)?;
    let args = select.func.dfg.inst_args(inst);
    let is_mask =
        |value| select.vector_constant(value).is_some_and(|bytes| bytes.as_slice() == LOWER_BYTES);
    match *args {
        [of, mask] | [mask, of] if is_mask(mask) => Some(of),
        _ => None,
    }
}

/// What `value` is with all 16-bit lanes shifted by 8.
fn moved_bytes(select: &Select<'_>, op: Opcode, value: Value) -> Option<Value> {
    let args = select.match_op(value, op, types::I16X8)?;
    (select.constant(args[1]) == Some(8)).then_some(args[0])
}

impl Select<'_> {
    /// Whether `accumulator` comes from the turn before of a loop with few of them; a block that is entered more ways
    /// than one is taken for a loop.
    fn waits_in_loop(&self, accumulator: Value) -> bool {
        let dfg = &self.func.dfg;
        let mut terms = vec![accumulator];
        for _ in 0..CHAIN {
            let Some(term) = terms.pop() else { return false };
            match dfg.value_def(self.canonical(term)) {
                ValueDef::Param(block, _) if self.func.layout.entry_block() != Some(block) => {
                    let is_vector = |value: &&Value| super::is_vector(self.type_of(**value));
                    return dfg.block_params(block).iter().filter(is_vector).count() < ACCUMULATORS;
                }
                ValueDef::Result(inst, _) if dfg.insts[inst].opcode() == Opcode::Iadd => {
                    terms.extend_from_slice(dfg.inst_args(inst));
                }
                _ => {}
            }
        }
        false
    }
}

//! From how many turns on fast versions of loops are entered.
//!
//! `egraft_loops` can only guess. Once registers are allocated it is known what a turn of each version takes,
//! spilling included, and what the proof between them takes.

use crate::regalloc::Allocated;
use crate::select::Selected;
use crate::vcode::{Kind, Opnd};
use crate::work::{BlockWork, INST};
use egraft_loops::Pair;
use iced_x86::Code;

/// What entering takes besides the proof: branches that are not foreseen.
const ENTERING: u64 = 16 * INST;

/// Lets the proofs of fast versions begin where these save what the proof takes.
pub(crate) fn settle(selected: &mut Selected, allocated: &Allocated, pairs: &[Pair]) {
    for pair in pairs {
        let work = |block| {
            let id = selected.block(block)?;
            Some(BlockWork::of(&selected.vcode, allocated, id.index()).all())
        };
        let [Some(plain), Some(fast), Some(proof)] =
            [pair.plain, pair.fast, pair.proof[1]].map(work)
        else {
            continue;
        };
        let turns = u64::from(pair.turns);
        let saved = (plain * turns).saturating_sub(fast);
        let paid = (proof + ENTERING) * turns;
        let least = paid.div_ceil(saved.max(1)).max(turns);
        let least = i64::from(i32::try_from(least).unwrap_or(i32::MAX));
        set_least(selected, pair, least);
    }
}

/// Lets the fast version of `pair` be entered with `least` turns.
fn set_least(selected: &mut Selected, pair: &Pair, least: i64) {
    let Some(id) = selected.block(pair.proof[0]) else { return };
    for inst in selected.vcode.blocks[id.index()].insts.iter_mut().rev() {
        let Kind::X86 { code: code @ (Code::Cmp_rm64_imm8 | Code::Cmp_rm64_imm32), ops, .. } =
            &mut inst.kind
        else {
            continue;
        };
        if let Some(Opnd::Imm(now)) = ops.last_mut()
            && *now == pair.least
        {
            *now = least;
            let short = i8::try_from(least).is_ok();
            *code = if short { Code::Cmp_rm64_imm8 } else { Code::Cmp_rm64_imm32 };
            return;
        }
    }
}

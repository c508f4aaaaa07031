//! Instructions that narrow lanes of two registers into one, which they do within 128 bits: two of them as one of twice
//! the width, and a permutation that puts 64 bits each to where they belong.

use super::facts::{Def, Place, x86};
use super::lanes::is_narrowing;
use super::{How, Level, Packer, Source, Step};
use crate::vcode::Opnd;
use iced_x86::Code;
use regalloc2::VReg;

/// `vpermq` that puts the low halves of both halves into the lower half, the high ones into the upper.
pub(super) const MIDDLE_SWAPPED: i64 = 0b11_01_10_00;

/// One that narrows.
struct Narrowing {
    /// The form of twice the width.
    wide: Code,
    /// What it narrows into the lower and the upper half.
    from: [VReg; 2],
    /// The instruction that narrows, where what follows it puts 64 bits each to where they belong.
    within: Option<Place>,
}

impl Packer<'_> {
    fn narrowing(&self, place: Place) -> Option<Narrowing> {
        let at = match self.level {
            Level::Bits256 => place,
            Level::Bits512 => match x86(self.inst(place))? {
                (
                    Code::VEX_Vpermq_ymm_ymmm256_imm8,
                    &[_, Opnd::Use(mixed) | Opnd::UseReg(mixed), Opnd::Imm(MIDDLE_SWAPPED)],
                ) if self.facts.uses(mixed).len() == 1 => match self.facts.def(mixed) {
                    Def::Inst(at) if at.0 == place.0 => at,
                    _ => return None,
                },
                _ => return None,
            },
        };
        let (code, ops) = x86(self.inst(at))?;
        let wide = self.level.wide(code).filter(|_| is_narrowing(code))?;
        let &[_, Opnd::Use(low) | Opnd::UseReg(low), Opnd::Use(high) | Opnd::UseReg(high)] = ops
        else {
            return None;
        };
        Some(Narrowing { wide, from: [low, high], within: (at != place).then_some(at) })
    }

    /// Packs two narrowings if it pays more to put the operands of each together than the first operands of both and
    /// the second ones.
    pub(super) fn narrow(
        &mut self,
        lo: VReg,
        hi: VReg,
        [one, other]: [Place; 2],
        depth: usize,
    ) -> Option<usize> {
        let (low, high) = (self.narrowing(one)?, self.narrowing(other)?);
        if low.wide != high.wide
            || self.trials >= super::MAX_TRIALS
            || !self.are_independent(one, other)
        {
            return None;
        }
        let along = [low.from, high.from].map(|[low, high]| (low, high));
        let across = [0, 1].map(|at| (low.from[at], high.from[at]));
        let across = self.trial(across, depth);
        if self.trial(along, depth) <= across {
            return None;
        }
        let unknown = [Source::Pack(usize::MAX); 2];
        let how = How::Narrow { lo: one, hi: other, code: low.wide, from: unknown };
        let pack = self.push(lo, hi, how);
        if let (Some(one), Some(other)) = (low.within, high.within) {
            for place in [one, other] {
                self.absorbed.insert(place, pack);
            }
            self.journal.push(Step::Absorbed([one, other]));
        }
        let sources = along.map(|(lo, hi)| self.source(lo, hi, depth + 1));
        if let How::Narrow { from, .. } = &mut self.packs[pack].how {
            *from = sources;
        }
        Some(pack)
    }
}

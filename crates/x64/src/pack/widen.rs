//! Two instructions that widen the halves of a register, as one that widens all of it.

use super::facts::{Def, Place, Use, x86};
use super::{Level, Packer};
use crate::vcode::{Kind, Opnd};
use iced_x86::Code;
use regalloc2::VReg;

impl Packer<'_> {
    /// The instruction that widens a whole register of which two widen the halves.
    pub(super) fn widening(&self, one: Place, other: Place) -> Option<(Code, VReg)> {
        let (low, low_ops) = x86(self.inst(one))?;
        let (high, high_ops) = x86(self.inst(other))?;
        if let Some(from) = self.spread((low, low_ops), (high, high_ops)) {
            return Some((Code::VEX_Vpmovzxdq_ymm_xmmm128, from));
        }
        let widening = self.level.widenings().iter().find(|widening| widening.low == low)?;
        let reg = |op: Option<&Opnd>| match op {
            Some(Opnd::Use(reg) | Opnd::UseReg(reg)) => Some(*reg),
            _ => None,
        };
        let from = reg(low_ops.get(1))?;
        let made = |reg: VReg| match self.facts.def(reg) {
            Def::Inst(place) => Some(self.inst(place)),
            _ => None,
        };
        let whole = if self.level == Level::Bits512 {
            let up = reg(high_ops.get(1)).filter(|_| high == low)?;
            let (moved, ops) = x86(made(up)?)?;
            moved == Level::Bits256.extract() && reg(ops.get(1)) == Some(from)
        } else if Some(high) == widening.high {
            let zero = made(reg(high_ops.get(2))?)?;
            let is_zero =
                matches!(zero.kind, Kind::Idiom { code: Code::VEX_Vpxor_xmm_xmm_xmmm128, .. });
            is_zero && reg(high_ops.get(1)) == Some(from)
        } else {
            let down = reg(high_ops.get(1)).filter(|_| high == low)?;
            let (moved, ops) = x86(made(down)?)?;
            let upper = matches!(ops.get(2), Some(Opnd::Imm(0b11_10 | 0b11_10_11_10)));
            moved == Code::VEX_Vpshufd_xmm_xmmm128_imm8 && upper && reg(ops.get(1)) == Some(from)
        };
        whole.then_some((widening.whole, from))
    }

    /// The register whose lanes of 32 bits two instructions spread, the one the lower and the other the
    /// upper two, for products, which read every other lane only.
    fn spread(&self, low: (Code, &[Opnd]), high: (Code, &[Opnd])) -> Option<VReg> {
        const SPREAD: Code = Code::VEX_Vpshufd_xmm_xmmm128_imm8;
        let spread = |(code, ops): (Code, &[Opnd]), by| match ops {
            &[Opnd::Def(to), Opnd::Use(from) | Opnd::UseReg(from), Opnd::Imm(imm)] => {
                (code == SPREAD && imm == by).then_some((to, from))
            }
            _ => None,
        };
        let (low, from) = spread(low, 0b01_01_00_00)?;
        let (high, _) = spread(high, 0b11_11_10_10).filter(|high| high.1 == from)?;
        let multiplies = |reader: &Use| match reader {
            Use::Inst(place) => matches!(
                x86(self.inst(*place)),
                Some((Code::VEX_Vpmuludq_xmm_xmm_xmmm128 | Code::VEX_Vpmuldq_xmm_xmm_xmmm128, _))
            ),
            Use::Edge(..) => false,
        };
        let only_multiplied = |reg: VReg| self.facts.uses(reg).iter().all(multiplies);
        (only_multiplied(low) && only_multiplied(high)).then_some(from)
    }
}

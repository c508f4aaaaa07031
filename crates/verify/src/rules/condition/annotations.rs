//! What conditions on annotations say.

use super::{Given, NUMBER, Speaker, Surroundings};
use egraft_ir::semantics::{Domain, Float};
use egraft_ir::{POWERS, Ty};
use egraft_rules::Cond;

impl<D: Domain, S: Surroundings<D>> Speaker<'_, D, S> {
    /// All lanes are equal.
    pub(super) fn uniform(&mut self, ty: Ty, x: &D::Bits) -> Given<D::Bits> {
        let lanes = self.lanes(ty, x);
        for lane in &lanes[1..] {
            let equal = self.d.eq(ty.lane_bits(), lane, &lanes[0]);
            self.assert(equal);
        }
        Given::Nothing
    }

    /// What `cond` says of each lane; what is no float has no such annotations.
    pub(super) fn each_float(
        &mut self,
        cond: Cond,
        ty: Ty,
        x: &D::Bits,
        number: Option<&D::Bits>,
    ) -> Given<D::Bits> {
        let Some(float) = Float::of_lanes(ty) else {
            let never = self.d.constant(1, 1);
            let never = self.d.is_zero(&never);
            return self.assert(never);
        };
        let limit = number.map(|number| self.exponent_limit(float, number));
        let w = float.bits();
        for lane in self.lanes(ty, x) {
            let sign = self.d.constant(w, float.sign_mask());
            let mask = self.d.constant(w, float.sign_mask() - 1);
            let magnitude = self.d.and(w, &lane, &mask);
            let fact = match (cond, &limit) {
                (Cond::not_nan, _) => {
                    let nan = self.d.is_nan(float, &lane);
                    self.d.bool_not(&nan)
                }
                (Cond::finite, _) => {
                    let infinity = self.d.constant(w, float.infinity());
                    self.d.ult(w, &magnitude, &infinity)
                }
                (Cond::float_within, Some(limit)) => {
                    let fraction = self.d.constant(w, float.fraction_bits().into());
                    let exponent = self.d.lshr(w, &magnitude, &fraction);
                    let below = self.d.ult(w, &exponent, limit);
                    let nan = self.d.is_nan(float, &lane);
                    self.d.bool_or(&below, &nan)
                }
                (Cond::not_negative, _) => {
                    let zero = self.d.constant(w, 0);
                    let below = self.d.flt(float, &lane, &zero);
                    self.d.bool_not(&below)
                }
                _ => {
                    let minus_zero = self.d.eq(w, &lane, &sign);
                    self.d.bool_not(&minus_zero)
                }
            };
            self.assert(fact);
        }
        Given::Nothing
    }

    /// The stored exponent of 2^n, n cut to the greatest power that floats are compared with.
    fn exponent_limit(&mut self, float: Float, n: &D::Bits) -> D::Bits {
        let most = self.d.constant(NUMBER, POWERS[0].into());
        let above = self.ult(&most, n);
        let n = self.d.ite(NUMBER, &above, &most, n);
        let bias = self.d.constant(NUMBER, (float.infinity() / 2) >> float.fraction_bits());
        let limit = self.d.add(NUMBER, &n, &bias);
        self.low(&limit, float.bits())
    }
}

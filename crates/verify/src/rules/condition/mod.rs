//! What conditions of rules say, over any domain.
//!
//! The twin of `egraft_rules::Cond`: that computes on numbers and on what is known of classes, this
//! says on terms what then is true of every value. A test compares both on numbers. Invariant: what
//! is said here holds whenever the condition does; it may say less.

#[cfg(test)]
mod tests;

mod annotations;

use super::mask;
use egraft_ir::semantics::Domain;
use egraft_ir::{ClassId, Facts, Ty};
use egraft_rules::{Cond, FactSource, Sort, slot};

/// Width of the numbers that conditions compute on.
pub(super) const NUMBER: u32 = 128;

const NUMBER_BITS: u128 = NUMBER as u128;

/// An argument of a condition.
#[derive(Clone, Debug)]
pub(super) enum Arg<B> {
    /// A type or a condition code, as its slot.
    Plain(u128),
    /// A number of 128 bits.
    Number(B),
    /// The value of a class and its value type.
    Class(B, Ty),
}

/// What a condition gives.
#[derive(Clone, Debug)]
pub(super) enum Given<B> {
    /// Nothing.
    Nothing,
    /// A type or code, as its slot.
    Plain(u128),
    /// A number.
    Number(B),
}

/// What follows from a condition that holds.
pub(super) struct Said<D: Domain> {
    /// Each is true.
    pub(super) facts: Vec<D::Bool>,
    pub(super) given: Given<D::Bits>,
}

/// What the encoder of conditions asks of its surroundings.
pub(super) trait Surroundings<D: Domain> {
    /// The number that `x` is, where that is known.
    fn number_of(&self, d: &D, x: &D::Bits) -> Option<u128>;
    /// A number of which nothing is known but what will be said; `least` where one must be chosen.
    fn open(&mut self, d: &mut D, least: D::Bits) -> D::Bits;
    /// Every 16-bit lane that the rule may speak of.
    fn lanes16(&mut self, d: &mut D) -> Vec<D::Bits>;
    /// Factor and offset of `umul16_round_factor` and `umul16_round_offset` for the arguments of the
    /// condition at hand, and whether nothing was said of them yet.
    fn round_pair(&mut self, d: &mut D) -> (D::Bits, D::Bits, bool);
}

/// Facts of classes whose value types are all that is known.
struct TypesOnly<'a, B>(&'a [Arg<B>]);

impl<B> FactSource for TypesOnly<'_, B> {
    fn constant(&self, _: ClassId) -> Option<u128> {
        None
    }

    fn facts(&self, _: ClassId) -> Facts {
        Facts::unknown()
    }

    fn class_type(&self, class: ClassId) -> Ty {
        match self.0[class.index()] {
            Arg::Class(_, ty) => ty,
            _ => unreachable!("classes stand for arguments that are classes"),
        }
    }
}

/// Evaluates a condition of which no argument is unknown.
///
/// Gives `None` if it must be encoded, `Some(None)` if it fails.
fn computed<D: Domain, S: Surroundings<D>>(
    d: &D,
    around: &S,
    cond: Cond,
    args: &[Arg<D::Bits>],
) -> Option<Option<u128>> {
    if cond.reads_facts() {
        return None;
    }
    let slots: Option<Vec<u128>> = args
        .iter()
        .enumerate()
        .map(|(at, arg)| match arg {
            Arg::Plain(slot) => Some(*slot),
            Arg::Number(number) => around.number_of(d, number),
            Arg::Class(..) => Some(slot::of_class(ClassId(at as u32))),
        })
        .collect();
    Some(cond.eval(&TypesOnly(args), &slots?))
}

/// What a condition says; `None` if it fails whatever the values are.
pub(super) fn say<D: Domain, S: Surroundings<D>>(
    d: &mut D,
    around: &mut S,
    cond: Cond,
    args: &[Arg<D::Bits>],
) -> Option<Said<D>> {
    if let Some(result) = computed(d, around, cond, args) {
        let given = match (cond.result(), result?) {
            (None, _) => Given::Nothing,
            (Some(Sort::Int), number) => Given::Number(d.constant(NUMBER, number)),
            (Some(_), slot) => Given::Plain(slot),
        };
        return Some(Said { facts: Vec::new(), given });
    }
    let mut speaker = Speaker { d, around, facts: Vec::new() };
    let given = speaker.say(cond, args);
    Some(Said { facts: speaker.facts, given })
}

pub(super) struct Speaker<'a, D: Domain, S> {
    pub(super) d: &'a mut D,
    around: &'a mut S,
    pub(super) facts: Vec<D::Bool>,
}

impl<D: Domain, S: Surroundings<D>> Speaker<'_, D, S> {
    fn say(&mut self, cond: Cond, args: &[Arg<D::Bits>]) -> Given<D::Bits> {
        let ty = |at: usize| match &args[at] {
            Arg::Plain(ty) => slot::ty(*ty),
            _ => unreachable!("`{}` has a type there", cond.name()),
        };
        let num = |at: usize| match &args[at] {
            Arg::Number(number) => number.clone(),
            Arg::Class(value, _) => value.clone(),
            Arg::Plain(_) => unreachable!("`{}` has a number there", cond.name()),
        };
        let class_ty = |at: usize| match &args[at] {
            Arg::Class(_, ty) => *ty,
            _ => unreachable!("`{}` has a class there", cond.name()),
        };
        use Cond::*;
        match cond {
            num_add => self.checked_sum(num(0), num(1)),
            num_sub => {
                let below = self.ult(&num(0), &num(1));
                self.deny(below);
                Given::Number(self.d.sub(NUMBER, &num(0), &num(1)))
            }
            num_mul => Given::Number(self.d.mul(NUMBER, &num(0), &num(1))),
            num_div | num_rem => {
                let none = self.d.is_zero(&num(1));
                self.deny(none);
                Given::Number(match cond {
                    num_div => self.d.udiv(NUMBER, &num(0), &num(1)),
                    _ => self.d.urem(NUMBER, &num(0), &num(1)),
                })
            }
            imm_add | imm_sub | imm_mul | imm_shl | imm_ushr | imm_sshr | imm_smin | imm_smax => {
                Given::Number(self.lane_arithmetic(cond, ty(0), &num(1), &num(2)))
            }
            imm_neg => {
                let zero = self.d.constant(NUMBER, 0);
                let negated = self.d.sub(NUMBER, &zero, &num(1));
                Given::Number(self.cut(ty(0), &negated))
            }
            imm_not => {
                let complement = self.d.not(NUMBER, &num(1));
                Given::Number(self.cut(ty(0), &complement))
            }
            imm_and => Given::Number(self.d.and(NUMBER, &num(0), &num(1))),
            imm_or => Given::Number(self.d.or(NUMBER, &num(0), &num(1))),
            imm_xor => Given::Number(self.d.xor(NUMBER, &num(0), &num(1))),
            imm_sext => {
                let lane = self.low(&num(2), ty(1).lane_bits());
                let wide = self.d.sext(&lane, ty(1).lane_bits(), NUMBER);
                Given::Number(self.cut(ty(0), &wide))
            }
            imm_cut => Given::Number(self.cut(ty(0), &num(1))),
            imm_umin | imm_umax => {
                let less = self.ult(&num(0), &num(1));
                let (a, b) = if cond == imm_umin { (num(0), num(1)) } else { (num(1), num(0)) };
                Given::Number(self.d.ite(NUMBER, &less, &a, &b))
            }
            imm_eq | imm_ne => {
                let equal = self.d.eq(NUMBER, &num(0), &num(1));
                self.assert_or_deny(cond == imm_eq, equal)
            }
            imm_ult => {
                let less = self.ult(&num(0), &num(1));
                self.assert(less)
            }
            imm_ule => {
                let greater = self.ult(&num(1), &num(0));
                self.deny(greater)
            }
            imm_slt | imm_sle => {
                let w = ty(0).lane_bits();
                let (a, b) = (self.low(&num(1), w), self.low(&num(2), w));
                let (a, b) = if cond == imm_slt { (a, b) } else { (b, a) };
                let less = self.d.slt(w, &a, &b);
                self.assert_or_deny(cond == imm_slt, less)
            }
            imm_fits_unsigned => {
                let fits = self.fits_unsigned(&num(0), &num(1));
                self.assert(fits)
            }
            imm_fits_signed => {
                let w = ty(0).lane_bits();
                let lane = self.low(&num(1), w);
                let fits = self.fits_signed(&lane, w, &num(2));
                self.assert(fits)
            }
            imm_no_uadd_wrap => {
                self.checked_sum(num(1), num(2));
                let sum = self.d.add(NUMBER, &num(1), &num(2));
                let most = self.d.constant(NUMBER, ty(0).lane_mask());
                let above = self.ult(&most, &sum);
                self.deny(above)
            }
            is_pow2 | log2 => {
                let (one, none) = (self.d.constant(NUMBER, 1), self.d.is_zero(&num(0)));
                self.deny(none);
                let below = self.d.sub(NUMBER, &num(0), &one);
                let rest = self.d.and(NUMBER, &num(0), &below);
                let alone = self.d.is_zero(&rest);
                self.assert(alone);
                if cond == is_pow2 {
                    Given::Nothing
                } else {
                    Given::Number(self.count_trailing(&num(0)))
                }
            }
            pow2 | low_mask => {
                let end = self.d.constant(NUMBER, if cond == pow2 { 127 } else { 128 });
                let inside = self.ult(&num(0), &end);
                self.assert(inside.clone());
                let power = self.power_of_two(&inside, &num(0));
                let one = self.d.constant(NUMBER, 1);
                Given::Number(if cond == pow2 { power } else { self.d.sub(NUMBER, &power, &one) })
            }
            low_mask_bits => {
                let (one, none) = (self.d.constant(NUMBER, 1), self.d.is_zero(&num(0)));
                self.deny(none);
                let above = self.d.add(NUMBER, &num(0), &one);
                let rest = self.d.and(NUMBER, &num(0), &above);
                let alone = self.d.is_zero(&rest);
                self.assert(alone);
                let complement = self.d.not(NUMBER, &num(0));
                Given::Number(self.count_trailing(&complement))
            }
            high_mask => {
                let w = self.d.constant(NUMBER, u128::from(ty(0).lane_bits()));
                let less = self.ult(&num(1), &w);
                let rest = self.d.sub(NUMBER, &w, &num(1));
                let zero = self.d.constant(NUMBER, 0);
                let rest = self.d.ite(NUMBER, &less, &rest, &zero);
                let low = self.low_ones(ty(0), &rest);
                let high = self.d.not(NUMBER, &low);
                Given::Number(self.cut(ty(0), &high))
            }
            trailing_zeros => {
                let none = self.d.is_zero(&num(0));
                self.deny(none);
                Given::Number(self.count_trailing(&num(0)))
            }
            shift_amount => {
                let below = self.d.constant(NUMBER, u128::from(ty(0).lane_bits() - 1));
                Given::Number(self.d.and(NUMBER, &num(1), &below))
            }
            vec_lane => {
                let lanes = self.d.constant(NUMBER, u128::from(ty(0).lanes()));
                let inside = self.ult(&num(2), &lanes);
                self.assert(inside);
                Given::Number(self.lane_at(ty(0), &num(1), &num(2)))
            }
            vec_splatted => {
                let lanes = self.lanes(ty(0), &num(1));
                for lane in &lanes[1..] {
                    let equal = self.d.eq(ty(0).lane_bits(), lane, &lanes[0]);
                    self.assert(equal);
                }
                Given::Number(self.d.zext(&lanes[0], ty(0).lane_bits(), NUMBER))
            }
            vec_splat => {
                let w = ty(0).lane_bits();
                let lane = self.low(&num(1), w);
                let mut vector = lane.clone();
                for below in 1..ty(0).lanes() {
                    vector = self.d.concat(&lane, w, &vector, below * w);
                }
                Given::Number(vector)
            }
            vec_not => Given::Number(self.d.not(NUMBER, &num(0))),
            float_recip_pow2 => self.reciprocal(ty(0), &num(1)),
            fits_unsigned | fits_signed | nonzero_lanes | sign_clear | sign_set | known_zero
            | known_one | low_bits_zero | ushl_fits | umul_imm_fits | known_ule_imm
            | known_uge_imm | known_sle_imm | known_sge_imm => {
                let number = (args.len() > 2).then(|| num(2));
                self.each_lane(cond, ty(0), &num(1), number.as_ref())
            }
            no_uadd_wrap | no_sadd_wrap | no_usub_wrap | no_ssub_wrap | umul_fits | smul_fits
            | known_ult | known_ule | known_slt | known_sle => {
                self.each_pair(cond, ty(0), &num(1), &num(2))
            }
            bits_known_zero => {
                let whole = class_ty(0);
                let mask = self.low(&num(1), whole.bits());
                let known = self.d.and(whole.bits(), &num(0), &mask);
                self.each_byte_zero(whole, &known)
            }
            disjoint => {
                let common = self.d.and(class_ty(1).bits(), &num(1), &num(2));
                self.each_byte_zero(class_ty(1), &common)
            }
            bits_used => {
                let most = self.most_bits(ty(0), &num(1));
                let bits = self.around.open(self.d, most);
                for lane in self.lanes(ty(0), &num(1)) {
                    let lane = self.d.zext(&lane, ty(0).lane_bits(), NUMBER);
                    let fits = self.fits_unsigned(&lane, &bits);
                    self.assert(fits);
                }
                Given::Number(bits)
            }
            lane_uniform => self.uniform(ty(0), &num(1)),
            not_nan | finite | float_within | not_negative | no_minus_zero => {
                let number = (args.len() > 2).then(|| num(2));
                self.each_float(cond, ty(0), &num(1), number.as_ref())
            }
            udiv16_divisor | udiv16_guess | umul16_round_factor | umul16_round_offset => {
                self.quotient(cond, args)
            }
            same | distinct => Given::Nothing,
            _ => mask::say(self, cond, &ty, &num),
        }
    }

    pub(super) fn assert(&mut self, fact: D::Bool) -> Given<D::Bits> {
        self.facts.push(fact);
        Given::Nothing
    }

    pub(super) fn deny(&mut self, fact: D::Bool) -> Given<D::Bits> {
        let fact = self.d.bool_not(&fact);
        self.assert(fact)
    }

    fn assert_or_deny(&mut self, holds: bool, fact: D::Bool) -> Given<D::Bits> {
        if holds { self.assert(fact) } else { self.deny(fact) }
    }

    pub(super) fn ult(&mut self, a: &D::Bits, b: &D::Bits) -> D::Bool {
        self.d.ult(NUMBER, a, b)
    }

    /// The low `w` bits of a number.
    pub(super) fn low(&mut self, number: &D::Bits, w: u32) -> D::Bits {
        self.d.extract(number, 0, w)
    }

    fn cut(&mut self, ty: Ty, number: &D::Bits) -> D::Bits {
        let lane = self.low(number, ty.lane_bits());
        self.d.zext(&lane, ty.lane_bits(), NUMBER)
    }

    /// The lanes of a value, each as wide as it is.
    pub(super) fn lanes(&mut self, ty: Ty, x: &D::Bits) -> Vec<D::Bits> {
        let w = ty.lane_bits();
        (0..ty.lanes()).map(|lane| self.d.extract(x, lane * w, w)).collect()
    }

    fn checked_sum(&mut self, a: D::Bits, b: D::Bits) -> Given<D::Bits> {
        let sum = self.d.add(NUMBER, &a, &b);
        let wrapped = self.ult(&sum, &a);
        self.deny(wrapped);
        Given::Number(sum)
    }

    /// 2^n where `inside` holds, which keeps n below 128.
    fn power_of_two(&mut self, inside: &D::Bool, n: &D::Bits) -> D::Bits {
        let (zero, one) = (self.d.constant(NUMBER, 0), self.d.constant(NUMBER, 1));
        let by = self.d.ite(NUMBER, inside, n, &zero);
        self.d.shl(NUMBER, &one, &by)
    }

    /// The low `n` bits of a lane, at most all of them.
    fn low_ones(&mut self, ty: Ty, n: &D::Bits) -> D::Bits {
        let (w, one) = (u128::from(ty.lane_bits()), self.d.constant(NUMBER, 1));
        let w = self.d.constant(NUMBER, w);
        let inside = self.ult(n, &w);
        let power = self.power_of_two(&inside, n);
        let ones = self.d.sub(NUMBER, &power, &one);
        let all = self.d.constant(NUMBER, ty.lane_mask());
        self.d.ite(NUMBER, &inside, &ones, &all)
    }

    fn count_trailing(&mut self, number: &D::Bits) -> D::Bits {
        let mut count = self.d.constant(NUMBER, 128);
        for bit in (0..128).rev() {
            let part = self.d.extract(number, bit, 1);
            let clear = self.d.is_zero(&part);
            let here = self.d.constant(NUMBER, u128::from(bit));
            count = self.d.ite(NUMBER, &clear, &count, &here);
        }
        count
    }

    /// The least n for which every lane is below 2^n.
    fn most_bits(&mut self, ty: Ty, x: &D::Bits) -> D::Bits {
        let mut most = self.d.constant(NUMBER, 0);
        for lane in self.lanes(ty, x) {
            for bit in 0..ty.lane_bits() {
                let part = self.d.extract(&lane, bit, 1);
                let clear = self.d.is_zero(&part);
                let used = self.d.constant(NUMBER, u128::from(bit) + 1);
                let less = self.ult(&most, &used);
                let larger = self.d.ite(NUMBER, &less, &used, &most);
                most = self.d.ite(NUMBER, &clear, &most, &larger);
            }
        }
        most
    }

    fn lane_arithmetic(&mut self, cond: Cond, ty: Ty, a: &D::Bits, b: &D::Bits) -> D::Bits {
        let w = ty.lane_bits();
        let width = self.d.constant(NUMBER, u128::from(w));
        let zero = self.d.constant(NUMBER, 0);
        match cond {
            Cond::imm_add | Cond::imm_sub | Cond::imm_mul => {
                let (a, b) = (self.low(a, w), self.low(b, w));
                let result = match cond {
                    Cond::imm_add => self.d.add(w, &a, &b),
                    Cond::imm_sub => self.d.sub(w, &a, &b),
                    _ => self.d.mul(w, &a, &b),
                };
                self.d.zext(&result, w, NUMBER)
            }
            Cond::imm_shl | Cond::imm_ushr => {
                let inside = self.ult(b, &width);
                let by = self.d.ite(NUMBER, &inside, b, &zero);
                let (by, lane) = (self.low(&by, w), self.low(a, w));
                let shifted = match cond {
                    Cond::imm_shl => self.d.shl(w, &lane, &by),
                    _ => self.d.lshr(w, &lane, &by),
                };
                let shifted = self.d.zext(&shifted, w, NUMBER);
                self.d.ite(NUMBER, &inside, &shifted, &zero)
            }
            Cond::imm_sshr => {
                let inside = self.ult(b, &width);
                let most = self.d.constant(NUMBER, u128::from(w - 1));
                let by = self.d.ite(NUMBER, &inside, b, &most);
                let (by, lane) = (self.low(&by, w), self.low(a, w));
                let shifted = self.d.ashr(w, &lane, &by);
                self.d.zext(&shifted, w, NUMBER)
            }
            _ => {
                let (x, y) = (self.low(a, w), self.low(b, w));
                // The first of equals, as `egraft_rules` gives it.
                let greater = self.d.slt(w, &y, &x);
                let less = self.d.slt(w, &x, &y);
                match cond {
                    Cond::imm_smin => self.d.ite(NUMBER, &greater, b, a),
                    _ => self.d.ite(NUMBER, &less, b, a),
                }
            }
        }
    }

    /// Lane `i` of a vector constant.
    fn lane_at(&mut self, ty: Ty, bits: &D::Bits, i: &D::Bits) -> D::Bits {
        let w = self.d.constant(NUMBER, u128::from(ty.lane_bits()));
        let lanes = self.d.constant(NUMBER, u128::from(ty.lanes() - 1));
        let index = self.d.and(NUMBER, i, &lanes);
        let by = self.d.mul(NUMBER, &index, &w);
        let shifted = self.d.lshr(NUMBER, bits, &by);
        self.cut(ty, &shifted)
    }

    /// Whether `number` < 2^n.
    fn fits_unsigned(&mut self, number: &D::Bits, n: &D::Bits) -> D::Bool {
        if let Some(bits @ 1..NUMBER_BITS) = self.around.number_of(self.d, n) {
            let low = self.low(number, bits as u32);
            let again = self.d.zext(&low, bits as u32, NUMBER);
            return self.d.eq(NUMBER, number, &again);
        }
        let end = self.d.constant(NUMBER, 128);
        let inside = self.ult(n, &end);
        let zero = self.d.constant(NUMBER, 0);
        let by = self.d.ite(NUMBER, &inside, n, &zero);
        let above = self.d.lshr(NUMBER, number, &by);
        let fits = self.d.is_zero(&above);
        let always = self.d.bool_not(&inside);
        self.d.bool_or(&fits, &always)
    }

    /// Whether -2^(n-1) <= `lane` < 2^(n-1).
    fn fits_signed(&mut self, lane: &D::Bits, w: u32, n: &D::Bits) -> D::Bool {
        if let Some(bits) = self.around.number_of(self.d, n)
            && (1..u128::from(w)).contains(&bits)
        {
            let low = self.low(lane, bits as u32);
            let again = self.d.sext(&low, bits as u32, w);
            return self.d.eq(w, lane, &again);
        }
        let wide = self.d.sext(lane, w, NUMBER);
        let (one, end) = (self.d.constant(NUMBER, 1), self.d.constant(NUMBER, 128));
        let none = self.d.is_zero(n);
        let inside = self.ult(n, &end);
        let by = self.d.sub(NUMBER, n, &one);
        let most = self.d.constant(NUMBER, 127);
        let by = self.d.ite(NUMBER, &inside, &by, &most);
        let by = self.d.ite(NUMBER, &none, &most, &by);
        let above = self.d.ashr(NUMBER, &wide, &by);
        let (zero, complement) = (self.d.is_zero(&above), self.d.not(NUMBER, &above));
        let ones = self.d.is_zero(&complement);
        let fits = self.d.bool_or(&zero, &ones);
        let some = self.d.bool_not(&none);
        self.d.bool_and(&fits, &some)
    }

    fn each_byte_zero(&mut self, ty: Ty, x: &D::Bits) -> Given<D::Bits> {
        for byte in 0..ty.bits() / 8 {
            let part = self.d.extract(x, byte * 8, 8);
            let clear = self.d.is_zero(&part);
            self.assert(clear);
        }
        Given::Nothing
    }

    fn each_lane(
        &mut self,
        cond: Cond,
        ty: Ty,
        x: &D::Bits,
        number: Option<&D::Bits>,
    ) -> Given<D::Bits> {
        let w = ty.lane_bits();
        let number = number.cloned().unwrap_or_else(|| self.d.constant(NUMBER, 0));
        for lane in self.lanes(ty, x) {
            let wide = self.d.zext(&lane, w, NUMBER);
            let zero = self.d.constant(w, 0);
            let fact = match cond {
                Cond::fits_unsigned => self.fits_unsigned(&wide, &number),
                Cond::fits_signed => self.fits_signed(&lane, w, &number),
                Cond::nonzero_lanes => {
                    let none = self.d.is_zero(&lane);
                    self.d.bool_not(&none)
                }
                Cond::sign_set => self.d.slt(w, &lane, &zero),
                Cond::sign_clear => {
                    let set = self.d.slt(w, &lane, &zero);
                    self.d.bool_not(&set)
                }
                Cond::known_zero | Cond::known_one | Cond::low_bits_zero => {
                    let mask = match cond {
                        Cond::low_bits_zero => self.low_ones(ty, &number),
                        _ => number.clone(),
                    };
                    let mask = self.low(&mask, w);
                    let part = self.d.and(w, &lane, &mask);
                    if cond == Cond::known_one {
                        self.d.eq(w, &part, &mask)
                    } else {
                        self.d.is_zero(&part)
                    }
                }
                Cond::ushl_fits => {
                    let width = self.d.constant(NUMBER, u128::from(w));
                    let inside = self.ult(&number, &width);
                    let none = self.d.constant(NUMBER, 0);
                    let by = self.d.ite(NUMBER, &inside, &number, &none);
                    let (by, most) = (self.low(&by, w), self.d.constant(w, ty.lane_mask()));
                    let most = self.d.lshr(w, &most, &by);
                    let above = self.d.ult(w, &most, &lane);
                    let fits = self.d.bool_not(&above);
                    self.d.bool_and(&fits, &inside)
                }
                Cond::umul_imm_fits => {
                    let factor = self.low(&number, w);
                    let (a, b) = (self.d.zext(&lane, w, 2 * w), self.d.zext(&factor, w, 2 * w));
                    let product = self.d.mul(2 * w, &a, &b);
                    let high = self.d.extract(&product, w, w);
                    let fits = self.d.is_zero(&high);
                    let high = self.d.extract(&number, w, NUMBER - w);
                    let small = self.d.is_zero(&high);
                    let fits = self.d.bool_and(&fits, &small);
                    let none = self.d.is_zero(&lane);
                    self.d.bool_or(&fits, &none)
                }
                Cond::known_ule_imm => {
                    let above = self.ult(&number, &wide);
                    self.d.bool_not(&above)
                }
                Cond::known_uge_imm => {
                    let below = self.ult(&wide, &number);
                    self.d.bool_not(&below)
                }
                Cond::known_sle_imm | Cond::known_sge_imm => {
                    let bound = self.low(&number, w);
                    let (less, greater) =
                        if cond == Cond::known_sle_imm { (&bound, &lane) } else { (&lane, &bound) };
                    let outside = self.d.slt(w, less, greater);
                    self.d.bool_not(&outside)
                }
                _ => unreachable!("`say` sends no other condition here"),
            };
            self.assert(fact);
        }
        Given::Nothing
    }

    fn each_pair(&mut self, cond: Cond, ty: Ty, x: &D::Bits, y: &D::Bits) -> Given<D::Bits> {
        let w = ty.lane_bits();
        let lanes = self.lanes(ty, x).into_iter().zip(self.lanes(ty, y)).collect::<Vec<_>>();
        for (a, b) in lanes {
            let fact = match cond {
                Cond::known_ult => self.d.ult(w, &a, &b),
                Cond::known_slt => self.d.slt(w, &a, &b),
                Cond::known_ule | Cond::known_sle | Cond::no_usub_wrap => {
                    let (a, b) = if cond == Cond::no_usub_wrap { (b, a) } else { (a, b) };
                    let greater = match cond {
                        Cond::known_sle => self.d.slt(w, &b, &a),
                        _ => self.d.ult(w, &b, &a),
                    };
                    self.d.bool_not(&greater)
                }
                Cond::no_uadd_wrap | Cond::umul_fits => {
                    let wide = if cond == Cond::umul_fits { 2 * w } else { w + 1 };
                    let (a, b) = (self.d.zext(&a, w, wide), self.d.zext(&b, w, wide));
                    let result = match cond {
                        Cond::umul_fits => self.d.mul(wide, &a, &b),
                        _ => self.d.add(wide, &a, &b),
                    };
                    let high = self.d.extract(&result, w, wide - w);
                    self.d.is_zero(&high)
                }
                _ => {
                    let wide = if cond == Cond::smul_fits { 2 * w } else { w + 1 };
                    let (a, b) = (self.d.sext(&a, w, wide), self.d.sext(&b, w, wide));
                    let result = match cond {
                        Cond::no_sadd_wrap => self.d.add(wide, &a, &b),
                        Cond::no_ssub_wrap => self.d.sub(wide, &a, &b),
                        _ => self.d.mul(wide, &a, &b),
                    };
                    let low = self.d.extract(&result, 0, w);
                    let again = self.d.sext(&low, w, wide);
                    self.d.eq(wide, &result, &again)
                }
            };
            self.assert(fact);
        }
        Given::Nothing
    }

    /// The exponent mirrored about the bias, for numbers without fraction.
    fn reciprocal(&mut self, ty: Ty, number: &D::Bits) -> Given<D::Bits> {
        let w = ty.lane_bits();
        let fraction_bits = if w == 32 { 23 } else { 52 };
        let exponent_bits = w - 1 - fraction_bits;
        let twice_bias = (1 << exponent_bits) - 2;
        let fraction = self.d.extract(number, 0, fraction_bits);
        let whole = self.d.is_zero(&fraction);
        self.assert(whole);
        let exponent = self.d.extract(number, fraction_bits, exponent_bits);
        let subnormal = self.d.is_zero(&exponent);
        self.deny(subnormal);
        let end = self.d.constant(exponent_bits, twice_bias);
        let normal = self.d.ult(exponent_bits, &exponent, &end);
        self.assert(normal);
        let mirrored = self.d.sub(exponent_bits, &end, &exponent);
        let sign = self.d.extract(number, w - 1, 1);
        let high = self.d.concat(&sign, 1, &mirrored, exponent_bits);
        let lane = self.d.concat(&high, exponent_bits + 1, &fraction, fraction_bits);
        Given::Number(self.d.zext(&lane, w, NUMBER))
    }

    /// Numbers that were tried on every 16-bit lane: what was tried is said of the lanes at hand.
    fn quotient(&mut self, cond: Cond, args: &[Arg<D::Bits>]) -> Given<D::Bits> {
        let number = |at: usize| match &args[at] {
            Arg::Number(number) => number.clone(),
            _ => unreachable!("`{}` has numbers only", cond.name()),
        };
        let lanes = self.around.lanes16(self.d);
        let zero = self.d.constant(NUMBER, 0);
        match cond {
            Cond::udiv16_divisor => {
                let d = self.around.open(self.d, zero);
                let (wide, narrow) = (self.low(&d, 32), self.d.extract(&d, 32, 96));
                let small = self.d.is_zero(&narrow);
                let none = self.d.is_zero(&wide);
                self.assert(small);
                self.deny(none);
                for lane in lanes {
                    let scaled = self.scaled(&lane, &number(0), &number(1));
                    let lane = self.d.zext(&lane, 16, 32);
                    let quotient = self.d.udiv(32, &lane, &wide);
                    let same = self.d.eq(32, &scaled, &quotient);
                    self.assert(same);
                }
                Given::Number(d)
            }
            Cond::udiv16_guess => {
                let m = self.around.open(self.d, zero);
                let (least, end) = (self.d.constant(NUMBER, 3), self.d.constant(NUMBER, 1 << 15));
                for number in [number(0), m.clone()] {
                    let small = self.ult(&number, &end);
                    self.assert(small);
                }
                let tiny = self.ult(&number(0), &least);
                self.deny(tiny);
                let (factor, divisor) = (self.low(&m, 16), self.low(&number(0), 16));
                let divisor = self.d.zext(&divisor, 16, 32);
                for lane in lanes {
                    let one = self.d.constant(16, 1);
                    let half = self.d.lshr(16, &lane, &one);
                    let guess = self.rounded_product(&half, &factor);
                    let guess = self.d.sext(&guess, 16, 32);
                    let lane = self.d.zext(&lane, 16, 32);
                    let quotient = self.d.udiv(32, &lane, &divisor);
                    let one = self.d.constant(32, 1);
                    let more = self.d.add(32, &quotient, &one);
                    let (exact, more) =
                        (self.d.eq(32, &guess, &quotient), self.d.eq(32, &guess, &more));
                    let close = self.d.bool_or(&exact, &more);
                    self.assert(close);
                    let covered = self.d.mul(32, &guess, &divisor);
                    let rest = self.d.sub(32, &lane, &covered);
                    let low = self.d.extract(&rest, 0, 16);
                    let again = self.d.sext(&low, 16, 32);
                    let fits = self.d.eq(32, &rest, &again);
                    self.assert(fits);
                }
                Given::Number(m)
            }
            _ => {
                let key = [number(0), number(1), number(2)];
                let (factor, offset, is_new) = self.around.round_pair(self.d);
                let end = self.d.constant(NUMBER, 1 << 16);
                for number in [&factor, &offset] {
                    let small = self.ult(number, &end);
                    self.assert(small);
                }
                for lane in if is_new { lanes } else { Vec::new() } {
                    let (m, o) = (self.low(&factor, 16), self.low(&offset, 16));
                    let sum = self.d.add(16, &lane, &o);
                    let product = self.rounded_product(&sum, &m);
                    let product = self.d.zext(&product, 16, 32);
                    let scaled = self.scaled(&lane, &key[0], &key[1]);
                    let same = self.d.eq(32, &scaled, &product);
                    let lane = self.d.zext(&lane, 16, NUMBER);
                    let inside = self.fits_unsigned(&lane, &key[2]);
                    let outside = self.d.bool_not(&inside);
                    let fact = self.d.bool_or(&same, &outside);
                    self.assert(fact);
                }
                Given::Number(if cond == Cond::umul16_round_factor { factor } else { offset })
            }
        }
    }

    /// `(lane * c) >> n` in 32-bit lanes, of a 16-bit lane.
    fn scaled(&mut self, lane: &D::Bits, c: &D::Bits, n: &D::Bits) -> D::Bits {
        let lane = self.d.zext(lane, 16, 32);
        let (c, n) = (self.low(c, 32), self.low(n, 32));
        let product = self.d.mul(32, &lane, &c);
        let below = self.d.constant(32, 31);
        let n = self.d.and(32, &n, &below);
        self.d.lshr(32, &product, &n)
    }

    /// `sqmul_round_sat` of two 16-bit lanes.
    fn rounded_product(&mut self, a: &D::Bits, b: &D::Bits) -> D::Bits {
        let node = egraft_ir::Node::detached(egraft_ir::Op::SqmulRoundSat, Ty::I16X8, Ty::I16X8, 0);
        let (a, b) = (self.d.zext(a, 16, 128), self.d.zext(b, 16, 128));
        let product =
            egraft_ir::semantics::apply(self.d, &node, &[a, b]).expect("the node is well typed");
        self.d.extract(&product, 0, 16)
    }
}

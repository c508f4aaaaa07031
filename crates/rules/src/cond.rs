//! The one table of what rules may ask and compute on their left sides.
//!
//! Each row is a condition term of the prelude: name, signature, meaning, implementation. The
//! prelude, the interpreter, the generated matchers, the rule checker and the authoring guide all
//! come from it. Invariant: a condition that reads facts holds only if its meaning is true of
//! every value that the facts allow.

mod imm;
mod known;
mod mask;
mod quotient;

use crate::{FactSource, slot};
use egraft_ir::{Annotation, ClassId, Facts, FloatCc, IntCc, OfFloat, Ty};

/// The sorts of things that variables of rules stand for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Sort {
    /// An e-class: ISLE `Value`.
    Value,
    /// A type: ISLE `Type`.
    Type,
    /// A number, such as a zero-extended lane value or a shuffle mask: ISLE `u128`.
    Int,
    /// An integer condition code.
    IntCc,
    /// A float condition code.
    FloatCc,
}

impl Sort {
    /// The name of the ISLE type.
    pub const fn name(self) -> &'static str {
        match self {
            Sort::Value => "Value",
            Sort::Type => "Type",
            Sort::Int => "u128",
            Sort::IntCc => "IntCc",
            Sort::FloatCc => "FloatCc",
        }
    }
}

/// The value type of a class, as an argument.
#[derive(Clone, Copy)]
pub(crate) struct ValueTy(pub(crate) Ty);

/// An argument type of a condition.
trait Arg: Sized {
    const SORT: Sort;
    const READS_FACTS: bool = false;
    fn read<F: FactSource>(facts: &F, slot: u128) -> Self;
}

macro_rules! plain_arg {
    ($($ty:ty, $sort:ident, $read:expr;)*) => { $(
        impl Arg for $ty {
            const SORT: Sort = Sort::$sort;
            #[inline]
            fn read<F: FactSource>(_: &F, slot: u128) -> $ty { $read(slot) }
        }
    )* };
}

plain_arg! {
    u128, Int, |slot| slot;
    Ty, Type, slot::ty;
    IntCc, IntCc, slot::int_cc;
    FloatCc, FloatCc, slot::float_cc;
    ClassId, Value, slot::class;
}

impl Arg for Facts {
    const SORT: Sort = Sort::Value;
    const READS_FACTS: bool = true;
    #[inline]
    fn read<F: FactSource>(facts: &F, value: u128) -> Facts {
        facts.facts(slot::class(value))
    }
}

impl Arg for ValueTy {
    const SORT: Sort = Sort::Value;
    #[inline]
    fn read<F: FactSource>(facts: &F, value: u128) -> ValueTy {
        ValueTy(facts.class_type(slot::class(value)))
    }
}

/// A result type of a condition.
trait Answer {
    const SORT: Option<Sort>;
    const PARTIAL: bool;
    fn write(self) -> Option<u128>;
}

impl Answer for bool {
    const SORT: Option<Sort> = None;
    const PARTIAL: bool = true;
    #[inline]
    fn write(self) -> Option<u128> {
        self.then_some(0)
    }
}

macro_rules! plain_answer {
    ($($ty:ty, $sort:ident, $write:expr;)*) => { $(
        impl Answer for $ty {
            const SORT: Option<Sort> = Some(Sort::$sort);
            const PARTIAL: bool = false;
            #[inline]
            fn write(self) -> Option<u128> { Some($write(self)) }
        }
        impl Answer for Option<$ty> {
            const SORT: Option<Sort> = Some(Sort::$sort);
            const PARTIAL: bool = true;
            #[inline]
            fn write(self) -> Option<u128> { self.map($write) }
        }
    )* };
}

plain_answer! {
    u128, Int, |number| number;
    Ty, Type, slot::of_ty;
    IntCc, IntCc, |code: IntCc| code as u128;
    FloatCc, FloatCc, |code: FloatCc| code as u128;
}

macro_rules! conds {
    ($( #[doc = $meaning:literal] $name:ident($($arg:ident: $ty:ty),*) -> $ret:ty = $body:expr; )*) => {
        /// A condition term of the prelude; the variants are named as rules write them.
        #[allow(non_camel_case_types, reason = "named as rules write them")]
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub enum Cond { $( #[doc = $meaning] $name, )* }

        impl Cond {
            /// Every condition, in table order.
            pub const ALL: &'static [Cond] = &[ $( Cond::$name, )* ];

            /// The name that rules write.
            pub const fn name(self) -> &'static str {
                match self { $( Cond::$name => stringify!($name), )* }
            }

            /// The names and sorts of the arguments.
            pub const fn params(self) -> &'static [(&'static str, Sort)] {
                match self { $( Cond::$name => &[ $( (stringify!($arg), <$ty as Arg>::SORT), )* ], )* }
            }

            /// The sort of the result; `None` for a condition that only holds or fails.
            pub const fn result(self) -> Option<Sort> {
                match self { $( Cond::$name => <$ret as Answer>::SORT, )* }
            }

            /// Whether it can fail.
            pub const fn is_partial(self) -> bool {
                match self { $( Cond::$name => <$ret as Answer>::PARTIAL, )* }
            }

            /// Whether it reads facts about the classes given.
            pub const fn reads_facts(self) -> bool {
                match self { $( Cond::$name => false $( || <$ty as Arg>::READS_FACTS )*, )* }
            }

            /// What it means, "for all lanes" where a lane type is given.
            pub const fn meaning(self) -> &'static str {
                match self { $( Cond::$name => $meaning, )* }
            }

            /// Evaluates the condition: its result, 0 where it only holds, `None` where it fails.
            ///
            /// `args` are slots, as many and of such sorts as [`Cond::params`] says.
            pub fn eval<F: FactSource>(self, facts: &F, args: &[u128]) -> Option<u128> {
                match self { $(
                    Cond::$name => <[u128; conds!(@count $($arg)*)]>::try_from(args)
                        .ok()
                        .and_then(|args| call::$name(facts, args)),
                )* }
            }
        }

        /// The conditions as functions over slots, for generated code.
        pub mod call {
            use super::*;
            $(
                #[doc = $meaning]
                #[inline]
                pub fn $name<F: FactSource>(facts: &F, args: [u128; conds!(@count $($arg)*)]) -> Option<u128> {
                    let _ = facts;
                    let [$($arg),*] = args;
                    $( let $arg = <$ty as Arg>::read(facts, $arg); )*
                    let answer: $ret = $body;
                    answer.write()
                }
            )*
        }
    };
    (@count) => { 0 };
    (@count $head:ident $($tail:ident)*) => { 1 + conds!(@count $($tail)*) };
}

use known::Lanes;

conds! {
    // Types.
    #[doc = "`ty` has integer lanes"]
    ty_int(ty: Ty) -> bool = ty.is_int();
    #[doc = "`ty` has float lanes"]
    ty_float(ty: Ty) -> bool = ty.is_float();
    #[doc = "`ty` is a 128-bit vector"]
    ty_vector(ty: Ty) -> bool = ty.is_vector();
    #[doc = "`ty` is a scalar"]
    ty_scalar(ty: Ty) -> bool = !ty.is_vector();
    #[doc = "`a` and `b` are different types"]
    ty_ne(a: Ty, b: Ty) -> bool = a != b;
    #[doc = "`a` and `b` have equally wide lanes"]
    same_lane_bits(a: Ty, b: Ty) -> bool = a.lane_bits() == b.lane_bits();
    #[doc = "`a` and `b` have equally many lanes"]
    same_lanes(a: Ty, b: Ty) -> bool = a.lanes() == b.lanes();
    #[doc = "the type with lanes twice as wide, for vectors half as many; fails where there is none"]
    widen_of(ty: Ty) -> Option<Ty> = ty.widened();
    #[doc = "the type with lanes half as wide, for vectors twice as many; fails where there is none"]
    narrow_of(ty: Ty) -> Option<Ty> = ty.narrowed();
    #[doc = "the scalar type of one lane; a scalar is its own lane"]
    lane_of(ty: Ty) -> Ty = ty.lane();
    #[doc = "the vector with lanes of scalar type `lane`; fails where there is none"]
    vector_of(lane: Ty) -> Option<Ty> = Ty::vector_of(lane);
    #[doc = "the integer type of the same shape"]
    int_of(ty: Ty) -> Ty = ty.as_int();
    #[doc = "the value type of `ty`: `i8x16` for every vector"]
    value_of(ty: Ty) -> Ty = ty.value();
    #[doc = "the bits in one lane"]
    lane_bits(ty: Ty) -> u128 = u128::from(ty.lane_bits());
    #[doc = "the number of lanes, 1 for scalars"]
    lane_count(ty: Ty) -> u128 = u128::from(ty.lanes());
    #[doc = "the value type of `x`: a scalar type, or `i8x16` for every vector"]
    value_type(x: ValueTy) -> Ty = x.0;

    // Condition codes.
    #[doc = "the code that holds exactly where `cc` does not"]
    cc_not(cc: IntCc) -> IntCc = cc.complement();
    #[doc = "the code for swapped operands"]
    cc_swap(cc: IntCc) -> IntCc = cc.swapped();
    #[doc = "`cc` is `slt`, `sle`, `sgt` or `sge`"]
    cc_signed(cc: IntCc) -> bool = imm::is_signed(cc);
    #[doc = "`cc` is `ult`, `ule`, `ugt` or `uge`"]
    cc_unsigned(cc: IntCc) -> bool = !imm::is_signed(cc) && !matches!(cc, IntCc::Eq | IntCc::Ne);
    #[doc = "the unsigned code for a signed `cc`; `eq`, `ne` and unsigned codes are kept"]
    cc_to_unsigned(cc: IntCc) -> IntCc = imm::to_unsigned(cc);
    #[doc = "the signed code for an unsigned `cc`; `eq`, `ne` and signed codes are kept"]
    cc_to_signed(cc: IntCc) -> IntCc = imm::to_signed(cc);
    #[doc = "`cc` is `eq` or `ne`"]
    cc_equality(cc: IntCc) -> bool = matches!(cc, IntCc::Eq | IntCc::Ne);
    #[doc = "`cc` holds of equal operands: `eq`, `sle`, `sge`, `ule` or `uge`"]
    cc_reflexive(cc: IntCc) -> bool = matches!(cc, IntCc::Eq | IntCc::Sle | IntCc::Sge | IntCc::Ule | IntCc::Uge);
    #[doc = "the float code that holds exactly where `cc` does not"]
    fcc_not(cc: FloatCc) -> FloatCc = imm::float_not(cc);
    #[doc = "the float code for swapped operands"]
    fcc_swap(cc: FloatCc) -> FloatCc = imm::float_swap(cc);
    #[doc = "the code that is the same between numbers, for `ueq`, `one`, `ult`, `ule`, `ugt` and `uge`; fails for others"]
    fcc_of_numbers(cc: FloatCc) -> Option<FloatCc> = imm::float_of_numbers(cc);

    // Plain numbers, such as shift amounts. They do not wrap: what does not fit fails.
    #[doc = "the number `a + b`"]
    num_add(a: u128, b: u128) -> Option<u128> = a.checked_add(b);
    #[doc = "the number `a - b`; fails where it is negative"]
    num_sub(a: u128, b: u128) -> Option<u128> = a.checked_sub(b);
    #[doc = "the number `a * b`"]
    num_mul(a: u128, b: u128) -> Option<u128> = a.checked_mul(b);
    #[doc = "the number `a / b`; fails for `b` = 0"]
    num_div(a: u128, b: u128) -> Option<u128> = a.checked_div(b);
    #[doc = "the number `a mod b`; fails for `b` = 0"]
    num_rem(a: u128, b: u128) -> Option<u128> = a.checked_rem(b);

    // Constants: lane values of type `ty`, zero-extended, computed modulo the lane width.
    #[doc = "`a + b` in a lane of `ty`, wrapping"]
    imm_add(ty: Ty, a: u128, b: u128) -> u128 = a.wrapping_add(b) & ty.lane_mask();
    #[doc = "`a - b` in a lane of `ty`, wrapping"]
    imm_sub(ty: Ty, a: u128, b: u128) -> u128 = a.wrapping_sub(b) & ty.lane_mask();
    #[doc = "`a * b` in a lane of `ty`, wrapping"]
    imm_mul(ty: Ty, a: u128, b: u128) -> u128 = a.wrapping_mul(b) & ty.lane_mask();
    #[doc = "`-a` in a lane of `ty`, wrapping"]
    imm_neg(ty: Ty, a: u128) -> u128 = a.wrapping_neg() & ty.lane_mask();
    #[doc = "the complement of `a` in a lane of `ty`"]
    imm_not(ty: Ty, a: u128) -> u128 = !a & ty.lane_mask();
    #[doc = "bitwise and"]
    imm_and(a: u128, b: u128) -> u128 = a & b;
    #[doc = "bitwise or"]
    imm_or(a: u128, b: u128) -> u128 = a | b;
    #[doc = "bitwise exclusive or"]
    imm_xor(a: u128, b: u128) -> u128 = a ^ b;
    #[doc = "`a` shifted left by `n` in a lane of `ty`; 0 if `n` reaches the lane width"]
    imm_shl(ty: Ty, a: u128, n: u128) -> u128 = imm::shl(ty, a, n);
    #[doc = "`a` shifted right by `n` in a lane of `ty`; 0 if `n` reaches the lane width"]
    imm_ushr(ty: Ty, a: u128, n: u128) -> u128 = imm::ushr(ty, a, n);
    #[doc = "`a` shifted right by `n` in a lane of `ty`, filled with its sign"]
    imm_sshr(ty: Ty, a: u128, n: u128) -> u128 = imm::sshr(ty, a, n);
    #[doc = "the lane value `a` of `from`, sign-extended or cut to a lane of `to`"]
    imm_sext(to: Ty, from: Ty, a: u128) -> u128 = imm::sext(from, a) as u128 & to.lane_mask();
    #[doc = "`a` cut to a lane of `ty`"]
    imm_cut(ty: Ty, a: u128) -> u128 = a & ty.lane_mask();
    #[doc = "the lesser of `a` and `b`, unsigned"]
    imm_umin(a: u128, b: u128) -> u128 = a.min(b);
    #[doc = "the greater of `a` and `b`, unsigned"]
    imm_umax(a: u128, b: u128) -> u128 = a.max(b);
    #[doc = "the lesser of lanes `a` and `b` of `ty`, signed"]
    imm_smin(ty: Ty, a: u128, b: u128) -> u128 = if imm::sext(ty, a) <= imm::sext(ty, b) { a } else { b };
    #[doc = "the greater of lanes `a` and `b` of `ty`, signed"]
    imm_smax(ty: Ty, a: u128, b: u128) -> u128 = if imm::sext(ty, a) >= imm::sext(ty, b) { a } else { b };
    #[doc = "`a` = `b`"]
    imm_eq(a: u128, b: u128) -> bool = a == b;
    #[doc = "`a` and `b` differ"]
    imm_ne(a: u128, b: u128) -> bool = a != b;
    #[doc = "`a` < `b`, unsigned"]
    imm_ult(a: u128, b: u128) -> bool = a < b;
    #[doc = "`a` <= `b`, unsigned"]
    imm_ule(a: u128, b: u128) -> bool = a <= b;
    #[doc = "`a` < `b` as signed lanes of `ty`"]
    imm_slt(ty: Ty, a: u128, b: u128) -> bool = imm::sext(ty, a) < imm::sext(ty, b);
    #[doc = "`a` <= `b` as signed lanes of `ty`"]
    imm_sle(ty: Ty, a: u128, b: u128) -> bool = imm::sext(ty, a) <= imm::sext(ty, b);
    #[doc = "`a` < 2^`n`"]
    imm_fits_unsigned(a: u128, n: u128) -> bool = n >= 128 || a < 1 << n;
    #[doc = "-2^(`n`-1) <= `a` < 2^(`n`-1) as a signed lane of `ty`"]
    imm_fits_signed(ty: Ty, a: u128, n: u128) -> bool = imm::fits_signed(imm::sext(ty, a), n);
    #[doc = "`a + b` does not leave the unsigned range of a lane of `ty`"]
    imm_no_uadd_wrap(ty: Ty, a: u128, b: u128) -> bool = a.checked_add(b).is_some_and(|sum| sum <= ty.lane_mask());
    #[doc = "`a` is a power of two"]
    is_pow2(a: u128) -> bool = a.is_power_of_two();
    #[doc = "n where `a` = 2^n; fails otherwise"]
    log2(a: u128) -> Option<u128> = a.is_power_of_two().then(|| u128::from(a.trailing_zeros()));
    #[doc = "the number 2^`n`; fails from 2^127 on"]
    pow2(n: u128) -> Option<u128> = (n < 127).then(|| 1 << n);
    #[doc = "the number 2^`n` - 1; fails from `n` = 128 on"]
    low_mask(n: u128) -> Option<u128> = (n < 128).then(|| (1 << n) - 1);
    #[doc = "n where `a` = 2^n - 1 and n > 0; fails otherwise"]
    low_mask_bits(a: u128) -> Option<u128> = (a & a.wrapping_add(1) == 0 && a != 0).then(|| u128::from(a.trailing_ones()));
    #[doc = "a lane of `ty` with its top `n` bits set"]
    high_mask(ty: Ty, n: u128) -> u128 = imm::high_mask(ty, n);
    #[doc = "a lane of `ty` with all bits set"]
    lane_ones(ty: Ty) -> u128 = ty.lane_mask();
    #[doc = "the least signed lane of `ty`: only its sign bit"]
    lane_smin(ty: Ty) -> u128 = imm::sign_bit(ty);
    #[doc = "the greatest signed lane of `ty`: all but its sign bit"]
    lane_smax(ty: Ty) -> u128 = imm::sign_bit(ty) - 1;
    #[doc = "the number of trailing zero bits of `a`; fails for 0"]
    trailing_zeros(a: u128) -> Option<u128> = (a != 0).then(|| u128::from(a.trailing_zeros()));
    #[doc = "the shift amount `n` as shifts of `ty` take it: modulo the lane width"]
    shift_amount(ty: Ty, n: u128) -> u128 = n % u128::from(ty.lane_bits());

    // 128-bit constants.
    #[doc = "lane `i` of the vector constant `bits` read as `ty`; fails where there is no such lane"]
    vec_lane(ty: Ty, bits: u128, i: u128) -> Option<u128> = imm::vec_lane(ty, bits, i);
    #[doc = "the lane value common to all lanes of `bits` read as `ty`; fails where they differ"]
    vec_splatted(ty: Ty, bits: u128) -> Option<u128> = ty.splatted(bits);
    #[doc = "the vector constant with `a` in every lane of `ty`"]
    vec_splat(ty: Ty, a: u128) -> u128 = ty.splat_bits(a);
    #[doc = "the complement of the vector constant `bits`"]
    vec_not(bits: u128) -> u128 = !bits;
    #[doc = "1 / `a` for a float lane `a` of `ty`; fails unless `a` is 2^n and both are normal"]
    float_recip_pow2(ty: Ty, a: u128) -> Option<u128> = imm::float_recip_pow2(ty, a);

    // Facts about classes: all hold for every lane of type `ty`.
    #[doc = "every lane of `x` is < 2^`n`, unsigned"]
    fits_unsigned(ty: Ty, x: Facts, n: u128) -> bool = Lanes(ty, x).all(|lane| n >= 128 || lane.umax() >> n == 0);
    #[doc = "every lane of `x` is >= -2^(`n`-1) and < 2^(`n`-1), signed"]
    fits_signed(ty: Ty, x: Facts, n: u128) -> bool = Lanes(ty, x).all(|lane| imm::fits_signed(lane.smin(), n) && imm::fits_signed(lane.smax(), n));
    #[doc = "no lane of `x` is 0"]
    nonzero_lanes(ty: Ty, x: Facts) -> bool = Lanes(ty, x).all(|lane| lane.umin() != 0);
    #[doc = "`x + y` does not leave the unsigned range in any lane"]
    no_uadd_wrap(ty: Ty, x: Facts, y: Facts) -> bool = known::both(ty, x, y, |x, y| x.umax() + y.umax() <= ty.lane_mask());
    #[doc = "`x + y` does not leave the signed range in any lane"]
    no_sadd_wrap(ty: Ty, x: Facts, y: Facts) -> bool = known::both(ty, x, y, |x, y| known::in_signed(ty, x.smin() + y.smin()) && known::in_signed(ty, x.smax() + y.smax()));
    #[doc = "`x - y` does not leave the unsigned range in any lane: `x` >= `y`"]
    no_usub_wrap(ty: Ty, x: Facts, y: Facts) -> bool = known::both(ty, x, y, |x, y| x.umin() >= y.umax());
    #[doc = "`x - y` does not leave the signed range in any lane"]
    no_ssub_wrap(ty: Ty, x: Facts, y: Facts) -> bool = known::both(ty, x, y, |x, y| known::in_signed(ty, x.smin() - y.smax()) && known::in_signed(ty, x.smax() - y.smin()));
    #[doc = "`x * y` does not leave the unsigned range in any lane"]
    umul_fits(ty: Ty, x: Facts, y: Facts) -> bool = known::both(ty, x, y, |x, y| x.umax() * y.umax() <= ty.lane_mask());
    #[doc = "`x * y` does not leave the signed range in any lane"]
    smul_fits(ty: Ty, x: Facts, y: Facts) -> bool = known::both(ty, x, y, |x, y| known::products(x, y).iter().all(|product| known::in_signed(ty, *product)));
    #[doc = "`x` times the constant `c` does not leave the unsigned range in any lane"]
    umul_imm_fits(ty: Ty, x: Facts, c: u128) -> bool = Lanes(ty, x).all(|lane| lane.umax().checked_mul(c).is_some_and(|product| product <= ty.lane_mask()));
    #[doc = "`x` shifted left by `n` loses no one bit in any lane"]
    ushl_fits(ty: Ty, x: Facts, n: u128) -> bool = Lanes(ty, x).all(|lane| n < u128::from(ty.lane_bits()) && lane.umax() <= ty.lane_mask() >> n);
    #[doc = "every lane of `x` is 0 where `mask` is 1"]
    known_zero(ty: Ty, x: Facts, mask: u128) -> bool = Lanes(ty, x).all(|lane| lane.zeros & mask == mask & ty.lane_mask());
    #[doc = "`x` as a whole is 0 where `mask` is 1, whatever its lanes"]
    bits_known_zero(x: Facts, mask: u128) -> bool = x.bits.zeros & mask == mask;
    #[doc = "every lane of `x` is 1 where `mask` is 1"]
    known_one(ty: Ty, x: Facts, mask: u128) -> bool = Lanes(ty, x).all(|lane| lane.ones & mask == mask & ty.lane_mask());
    #[doc = "no lane of `x` is negative, signed"]
    sign_clear(ty: Ty, x: Facts) -> bool = Lanes(ty, x).all(|lane| lane.smin() >= 0);
    #[doc = "every lane of `x` is negative, signed"]
    sign_set(ty: Ty, x: Facts) -> bool = Lanes(ty, x).all(|lane| lane.smax() < 0);
    #[doc = "the low `n` bits of every lane of `x` are 0"]
    low_bits_zero(ty: Ty, x: Facts, n: u128) -> bool = Lanes(ty, x).all(|lane| imm::low(ty, n) & !lane.zeros == 0);
    #[doc = "no bit is 1 in both `x` and `y`"]
    disjoint(ty: Ty, x: Facts, y: Facts) -> bool = (x.bits.zeros | y.bits.zeros) & ty.mask() == ty.mask();
    #[doc = "every lane of `x` is < that of `y`, unsigned"]
    known_ult(ty: Ty, x: Facts, y: Facts) -> bool = known::both(ty, x, y, |x, y| x.umax() < y.umin());
    #[doc = "every lane of `x` is <= that of `y`, unsigned"]
    known_ule(ty: Ty, x: Facts, y: Facts) -> bool = known::both(ty, x, y, |x, y| x.umax() <= y.umin());
    #[doc = "every lane of `x` is < that of `y`, signed"]
    known_slt(ty: Ty, x: Facts, y: Facts) -> bool = known::both(ty, x, y, |x, y| x.smax() < y.smin());
    #[doc = "every lane of `x` is <= that of `y`, signed"]
    known_sle(ty: Ty, x: Facts, y: Facts) -> bool = known::both(ty, x, y, |x, y| x.smax() <= y.smin());
    #[doc = "every lane of `x` is <= `c`, unsigned"]
    known_ule_imm(ty: Ty, x: Facts, c: u128) -> bool = Lanes(ty, x).all(|lane| lane.umax() <= c);
    #[doc = "every lane of `x` is >= `c`, unsigned"]
    known_uge_imm(ty: Ty, x: Facts, c: u128) -> bool = Lanes(ty, x).all(|lane| lane.umin() >= c);
    #[doc = "every lane of `x` is <= the lane value `c`, signed"]
    known_sle_imm(ty: Ty, x: Facts, c: u128) -> bool = Lanes(ty, x).all(|lane| lane.smax() <= imm::sext(ty, c));
    #[doc = "every lane of `x` is >= the lane value `c`, signed"]
    known_sge_imm(ty: Ty, x: Facts, c: u128) -> bool = Lanes(ty, x).all(|lane| lane.smin() >= imm::sext(ty, c));

    #[doc = "the least n for which every lane of `x` is < 2^n, unsigned"]
    bits_used(ty: Ty, x: Facts) -> u128 = Lanes(ty, x).used();

    // Annotations of classes; what known bits say of lanes counts as well.
    #[doc = "all lanes of `x` are equal"]
    lane_uniform(ty: Ty, x: Facts) -> bool = ty.lanes() == 1 || x.has(ty, Annotation::Uniform(ty.lane_bits()));
    #[doc = "no float lane of `x` is a NaN"]
    not_nan(ty: Ty, x: Facts) -> bool = known::floats(ty, x, &[OfFloat::NotNan]);
    #[doc = "no float lane of `x` is a NaN or an infinity"]
    finite(ty: Ty, x: Facts) -> bool = known::floats(ty, x, &[OfFloat::NotNan, OfFloat::NotInfinity, OfFloat::NotMinusInfinity]);
    #[doc = "every float lane of `x` is of magnitude < 2^`n` or a NaN; of `n` from 25 on 31 and 32 count"]
    float_within(ty: Ty, x: Facts, n: u128) -> bool = known::within(ty, x, n);
    #[doc = "no float lane of `x` is less than 0; it may be -0 or a NaN"]
    not_negative(ty: Ty, x: Facts) -> bool = known::floats(ty, x, &[OfFloat::NotNegative]);
    #[doc = "no float lane of `x` is -0"]
    no_minus_zero(ty: Ty, x: Facts) -> bool = known::floats(ty, x, &[OfFloat::NoMinusZero]);

    // Quotients of 16-bit lanes, tried on every lane.
    #[doc = "d where (x * `c`) >> `n` in 32-bit lanes is x / d for every 16-bit x; fails where there is none"]
    udiv16_divisor(c: u128, n: u128) -> Option<u128> = quotient::divisor(c, n);
    #[doc = "m where, for every 16-bit x, `sqmul_round_sat` of x / 2 and m is x / `d` or one more, and x minus `d` times that is a 16-bit lane; fails where there is none"]
    udiv16_guess(d: u128) -> Option<u128> = quotient::guess(d);
    #[doc = "m where `sqmul_round_sat` of x + `umul16_round_offset` and m is (x * `c`) >> `n` in 32-bit lanes for every x < 2^`bits`; fails where there is none"]
    umul16_round_factor(c: u128, n: u128, bits: u128) -> Option<u128> = quotient::rounded(c, n, bits).map(|found| found.1);
    #[doc = "the 16-bit lane to add to x for `umul16_round_factor`"]
    umul16_round_offset(c: u128, n: u128, bits: u128) -> Option<u128> = quotient::rounded(c, n, bits).map(|found| found.0);

    // The same class.
    #[doc = "`x` and `y` are the same class"]
    same(x: ClassId, y: ClassId) -> bool = x == y;
    #[doc = "`x` and `y` are different classes (their values may still be equal)"]
    distinct(x: ClassId, y: ClassId) -> bool = x != y;

    // Shuffle masks: sixteen selectors, 0-15 from the first operand, 16-31 from the second.
    #[doc = "every selector of `m` is below 16: only the first operand is read"]
    mask_only_first(m: u128) -> bool = mask::bytes(m).iter().all(|at| *at < 16);
    #[doc = "no selector of `m` is below 16: only the second operand is read"]
    mask_only_second(m: u128) -> bool = mask::bytes(m).iter().all(|at| *at >= 16);
    #[doc = "the mask for swapped operands"]
    mask_swap(m: u128) -> u128 = mask::each(m, |at| at ^ 16);
    #[doc = "the mask for equal operands: every selector reads the first"]
    mask_fold(m: u128) -> u128 = mask::each(m, |at| at & 15);
    #[doc = "the mask that gives the first operand"]
    mask_identity() -> u128 = mask::from_fn(|at| at);
    #[doc = "shuffle `outer` of (shuffle `inner` of x y) and anything, as one shuffle of x y; fails where `outer` reads its second operand"]
    mask_of_first(outer: u128, inner: u128) -> Option<u128> = mask::pick(outer, |at| (at < 16).then(|| mask::byte(inner, at)));
    #[doc = "shuffle `outer` of anything and (shuffle `inner` of x y), as one shuffle of x y; fails where `outer` reads its first operand"]
    mask_of_second(outer: u128, inner: u128) -> Option<u128> = mask::pick(outer, |at| (at >= 16).then(|| mask::byte(inner, at - 16)));
    #[doc = "shuffle `outer` of (shuffle `left` of x y) and (shuffle `right` of x y), as one shuffle of x y"]
    mask_of_both(outer: u128, left: u128, right: u128) -> u128 = mask::each(outer, |at| if at < 16 { mask::byte(left, at) } else { mask::byte(right, at - 16) });
    #[doc = "shuffle `outer` of (shuffle `inner` of x _) and z, as one shuffle of x z; fails where a used selector of `inner` reads its second operand"]
    mask_into_first_x(outer: u128, inner: u128) -> Option<u128> = mask::pick(outer, |at| if at < 16 { Some(mask::byte(inner, at)).filter(|at| *at < 16) } else { Some(at) });
    #[doc = "shuffle `outer` of (shuffle `inner` of _ y) and z, as one shuffle of y z; fails where a used selector of `inner` reads its first operand"]
    mask_into_first_y(outer: u128, inner: u128) -> Option<u128> = mask::pick(outer, |at| if at < 16 { mask::byte(inner, at).checked_sub(16) } else { Some(at) });
    #[doc = "shuffle `outer` of z and (shuffle `inner` of x _), as one shuffle of z x; fails where a used selector of `inner` reads its second operand"]
    mask_into_second_x(outer: u128, inner: u128) -> Option<u128> = mask::pick(outer, |at| if at < 16 { Some(at) } else { Some(mask::byte(inner, at - 16)).filter(|at| *at < 16).map(|at| at + 16) });
    #[doc = "shuffle `outer` of z and (shuffle `inner` of _ y), as one shuffle of z y; fails where a used selector of `inner` reads its first operand"]
    mask_into_second_y(outer: u128, inner: u128) -> Option<u128> = mask::pick(outer, |at| if at < 16 { Some(at) } else { Some(mask::byte(inner, at - 16)).filter(|at| *at >= 16) });
    #[doc = "`m` moves whole lanes of `ty`"]
    mask_moves_lanes(ty: Ty, m: u128) -> bool = mask::lanes(ty, m).is_some();
    #[doc = "i where every lane of `ty` in `m` is lane i of the two operands together; fails otherwise"]
    mask_splat_lane(ty: Ty, m: u128) -> Option<u128> = mask::splat_lane(ty, m);
    #[doc = "lane `i` of `ty`, counted through both operands, in every lane; fails where there is no such lane"]
    mask_splat(ty: Ty, i: u128) -> Option<u128> = mask::lanewise(ty, |_| i);
    #[doc = "n where `m` takes bytes n to n+15 of the operands laid end to end; fails otherwise"]
    mask_slide_by(m: u128) -> Option<u128> = mask::slide_by(m);
    #[doc = "the mask that takes bytes `n` to `n`+15 of the operands laid end to end; fails from `n` = 17 on"]
    mask_slide(n: u128) -> Option<u128> = (n <= 16).then(|| mask::from_fn(|at| at + n as u8));
    #[doc = "the low lanes of `ty` of both operands, alternating; fails for scalars"]
    mask_zip_low(ty: Ty) -> Option<u128> = mask::lanewise(ty, |lane| lane / 2 + (lane % 2) * u128::from(ty.lanes()));
    #[doc = "the high lanes of `ty` of both operands, alternating; fails for scalars"]
    mask_zip_high(ty: Ty) -> Option<u128> = mask::lanewise(ty, |lane| (lane + u128::from(ty.lanes())) / 2 + (lane % 2) * u128::from(ty.lanes()));
    #[doc = "the even lanes of `ty` of the first operand, then of the second; fails for scalars"]
    mask_even(ty: Ty) -> Option<u128> = mask::lanewise(ty, |lane| 2 * lane);
    #[doc = "the odd lanes of `ty` of the first operand, then of the second; fails for scalars"]
    mask_odd(ty: Ty) -> Option<u128> = mask::lanewise(ty, |lane| 2 * lane + 1);
    #[doc = "the lanes of `ty` of the first operand in reverse; fails for scalars"]
    mask_reverse(ty: Ty) -> Option<u128> = mask::lanewise(ty, |lane| u128::from(ty.lanes()) - 1 - lane);
    #[doc = "with a second operand of 0, `m` is `uwiden_low` of the first as `ty`"]
    mask_is_uwiden_low(ty: Ty, m: u128) -> bool = mask::widens(ty, m, 0);
    #[doc = "with a second operand of 0, `m` is `uwiden_high` of the first as `ty`"]
    mask_is_uwiden_high(ty: Ty, m: u128) -> bool = mask::widens(ty, m, 8);
    #[doc = "the shuffle mask for `swizzle` by the constant `s`, with a second operand of 0"]
    mask_of_swizzle(s: u128) -> u128 = mask::each(s, |at| at.min(16));
    #[doc = "which lane of `ty`, counted through both operands, `m` moves to lane `i`; fails where it moves none whole"]
    mask_lane(ty: Ty, m: u128, i: u128) -> Option<u128> = mask::lane(ty, m, i);
    #[doc = "the mask that replaces lane `i` of the first operand by lane `j` of the second; fails where there is no such lane"]
    mask_insert(ty: Ty, i: u128, j: u128) -> Option<u128> = mask::insert(ty, i, j);
    #[doc = "`m` reads nothing of lane `i` of `ty`, counted through both operands"]
    mask_skips_lane(ty: Ty, m: u128, i: u128) -> bool = mask::skips_lane(ty, m, i);
    #[doc = "n where the low eight selectors of `m` are n to n+7; fails otherwise"]
    mask_low_slide(m: u128) -> Option<u128> = mask::low_slide(m);
    #[doc = "the vector constant that `m` picks from the vector constants `x` and `y`"]
    mask_apply(m: u128, x: u128, y: u128) -> u128 = mask::each(m, |at| if at < 16 { mask::byte(x, at) } else { mask::byte(y, at & 15) });
}

impl Cond {
    /// The condition with this name.
    pub fn by_name(name: &str) -> Option<Cond> {
        Cond::ALL.iter().copied().find(|cond| cond.name() == name)
    }

    /// The signature as rules see it, `(log2 a) -> u128`.
    pub fn signature(self) -> String {
        let params: String =
            self.params().iter().map(|(name, sort)| format!(" {name}:{}", sort.name())).collect();
        match self.result() {
            None => format!("({}{params})", self.name()),
            Some(sort) => format!("({}{params}) -> {}", self.name(), sort.name()),
        }
    }
}

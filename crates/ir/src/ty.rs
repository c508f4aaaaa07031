//! Value types: the scalars and 128-bit vectors that wasm makes Cranelift use.
//!
//! A 128-bit vector is a bag of bits: which lanes it has is a property of the op that reads it,
//! never of the value. [`Ty::value`] forgets the lanes.

use std::fmt;
use std::str::FromStr;

/// A CLIF type as an op sees it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
#[allow(missing_docs, reason = "named after the CLIF types")]
pub enum Ty {
    I8,
    I16,
    I32,
    I64,
    I128,
    F32,
    F64,
    I8X16,
    I16X8,
    I32X4,
    I64X2,
    F32X4,
    F64X2,
}

impl Ty {
    /// Every type, in declaration order.
    pub const ALL: [Ty; 13] = [
        Ty::I8,
        Ty::I16,
        Ty::I32,
        Ty::I64,
        Ty::I128,
        Ty::F32,
        Ty::F64,
        Ty::I8X16,
        Ty::I16X8,
        Ty::I32X4,
        Ty::I64X2,
        Ty::F32X4,
        Ty::F64X2,
    ];

    /// The CLIF name, `i16x8`.
    pub const fn name(self) -> &'static str {
        match self {
            Ty::I8 => "i8",
            Ty::I16 => "i16",
            Ty::I32 => "i32",
            Ty::I64 => "i64",
            Ty::I128 => "i128",
            Ty::F32 => "f32",
            Ty::F64 => "f64",
            Ty::I8X16 => "i8x16",
            Ty::I16X8 => "i16x8",
            Ty::I32X4 => "i32x4",
            Ty::I64X2 => "i64x2",
            Ty::F32X4 => "f32x4",
            Ty::F64X2 => "f64x2",
        }
    }

    /// Whether the type has more than one lane.
    pub const fn is_vector(self) -> bool {
        self as u8 >= Ty::I8X16 as u8
    }

    /// Whether the lanes are floats.
    pub const fn is_float(self) -> bool {
        matches!(self, Ty::F32 | Ty::F64 | Ty::F32X4 | Ty::F64X2)
    }

    /// Whether the lanes are integers.
    pub const fn is_int(self) -> bool {
        !self.is_float()
    }

    /// The scalar type of one lane; a scalar is its own lane.
    pub const fn lane(self) -> Ty {
        match self {
            Ty::I8X16 => Ty::I8,
            Ty::I16X8 => Ty::I16,
            Ty::I32X4 => Ty::I32,
            Ty::I64X2 => Ty::I64,
            Ty::F32X4 => Ty::F32,
            Ty::F64X2 => Ty::F64,
            scalar => scalar,
        }
    }

    /// Bits in one lane.
    pub const fn lane_bits(self) -> u32 {
        match self.lane() {
            Ty::I8 => 8,
            Ty::I16 => 16,
            Ty::I32 | Ty::F32 => 32,
            Ty::I64 | Ty::F64 => 64,
            _ => 128,
        }
    }

    /// Number of lanes; 1 for scalars.
    pub const fn lanes(self) -> u32 {
        self.bits() / self.lane_bits()
    }

    /// Bits in the whole value.
    pub const fn bits(self) -> u32 {
        if self.is_vector() { 128 } else { self.lane_bits() }
    }

    /// A mask of [`Ty::bits`] ones.
    pub const fn mask(self) -> u128 {
        u128::MAX >> (128 - self.bits())
    }

    /// A mask of [`Ty::lane_bits`] ones.
    pub const fn lane_mask(self) -> u128 {
        u128::MAX >> (128 - self.lane_bits())
    }

    /// The type as a value has it: vectors forget their lanes and become `i8x16`.
    pub const fn value(self) -> Ty {
        if self.is_vector() { Ty::I8X16 } else { self }
    }

    /// The integer type of the same shape.
    pub const fn as_int(self) -> Ty {
        match self {
            Ty::F32 => Ty::I32,
            Ty::F64 => Ty::I64,
            Ty::F32X4 => Ty::I32X4,
            Ty::F64X2 => Ty::I64X2,
            int => int,
        }
    }

    /// The 128-bit vector with lanes of scalar type `lane`.
    pub const fn vector_of(lane: Ty) -> Option<Ty> {
        Some(match lane {
            Ty::I8 => Ty::I8X16,
            Ty::I16 => Ty::I16X8,
            Ty::I32 => Ty::I32X4,
            Ty::I64 => Ty::I64X2,
            Ty::F32 => Ty::F32X4,
            Ty::F64 => Ty::F64X2,
            _ => return None,
        })
    }

    /// Lanes twice as wide: for vectors half as many of them.
    pub const fn widened(self) -> Option<Ty> {
        Some(match self {
            Ty::I8 => Ty::I16,
            Ty::I16 => Ty::I32,
            Ty::I32 => Ty::I64,
            Ty::F32 => Ty::F64,
            Ty::I8X16 => Ty::I16X8,
            Ty::I16X8 => Ty::I32X4,
            Ty::I32X4 => Ty::I64X2,
            Ty::F32X4 => Ty::F64X2,
            _ => return None,
        })
    }

    /// Lanes half as wide: for vectors twice as many of them.
    pub const fn narrowed(self) -> Option<Ty> {
        Some(match self {
            Ty::I16 => Ty::I8,
            Ty::I32 => Ty::I16,
            Ty::I64 => Ty::I32,
            Ty::F64 => Ty::F32,
            Ty::I16X8 => Ty::I8X16,
            Ty::I32X4 => Ty::I16X8,
            Ty::I64X2 => Ty::I32X4,
            Ty::F64X2 => Ty::F32X4,
            _ => return None,
        })
    }

    /// `lane_value` (its low [`Ty::lane_bits`]) in every lane.
    pub const fn splat_bits(self, lane_value: u128) -> u128 {
        let width = self.lane_bits();
        let mut bits = 0;
        let mut lane = 0;
        while lane < self.lanes() {
            bits |= (lane_value & self.lane_mask()) << (lane * width);
            lane += 1;
        }
        bits
    }

    /// The value of lane `index` of `bits`, zero-extended.
    pub const fn lane_of(self, bits: u128, index: u32) -> u128 {
        (bits >> (index * self.lane_bits())) & self.lane_mask()
    }

    /// The common lane value if all lanes of `bits` are equal, zero-extended.
    pub const fn splatted(self, bits: u128) -> Option<u128> {
        let lane = self.lane_of(bits, 0);
        if self.splat_bits(lane) == bits & self.mask() { Some(lane) } else { None }
    }
}

impl fmt::Display for Ty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A type name that is no [`Ty`].
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not a type; write one such as `i32` or `i16x8`")]
pub struct UnknownType(pub String);

impl FromStr for Ty {
    type Err = UnknownType;

    fn from_str(name: &str) -> Result<Ty, UnknownType> {
        Ty::ALL.into_iter().find(|ty| ty.name() == name).ok_or_else(|| UnknownType(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_agree() {
        for ty in Ty::ALL {
            assert_eq!(ty.lanes() * ty.lane_bits(), ty.bits());
            assert_eq!(ty.name().parse::<Ty>().unwrap(), ty);
            if let Some(wide) = ty.widened() {
                assert_eq!(wide.narrowed(), Some(ty));
                assert_eq!(wide.lane_bits(), 2 * ty.lane_bits());
            }
        }
    }

    #[test]
    fn splats_are_seen() {
        assert_eq!(Ty::I16X8.splatted(Ty::I16X8.splat_bits(0xabcd)), Some(0xabcd));
        assert_eq!(Ty::I16X8.splatted(1), None);
        assert_eq!(Ty::I32.splatted(7), Some(7));
    }
}

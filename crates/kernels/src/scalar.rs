//! Element types of Halide buffers and values of them.

use serde_json::Value as Json;
use std::fmt;

/// The type of a buffer's element or of a scalar argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum ElementType {
    Bool,
    I8,
    U8,
    I16,
    U16,
    I32,
    U32,
    I64,
    U64,
    F32,
    F64,
}

impl ElementType {
    /// Every type with its name in descriptors.
    pub const ALL: [(ElementType, &'static str); 11] = [
        (ElementType::Bool, "bool"),
        (ElementType::I8, "i8"),
        (ElementType::U8, "u8"),
        (ElementType::I16, "i16"),
        (ElementType::U16, "u16"),
        (ElementType::I32, "i32"),
        (ElementType::U32, "u32"),
        (ElementType::I64, "i64"),
        (ElementType::U64, "u64"),
        (ElementType::F32, "f32"),
        (ElementType::F64, "f64"),
    ];

    /// The type called `name` in descriptors.
    pub fn from_name(name: &str) -> Option<ElementType> {
        Self::ALL.iter().find(|(_, known)| *known == name).map(|(ty, _)| *ty)
    }

    /// Its name in descriptors.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(ty, _)| *ty == self).map_or("?", |(_, name)| name)
    }

    /// Bytes of one element in memory.
    pub fn bytes(self) -> u32 {
        match self {
            ElementType::Bool | ElementType::I8 | ElementType::U8 => 1,
            ElementType::I16 | ElementType::U16 => 2,
            ElementType::I32 | ElementType::U32 | ElementType::F32 => 4,
            ElementType::I64 | ElementType::U64 | ElementType::F64 => 8,
        }
    }

    /// `halide_type_t`: code (0 signed, 1 unsigned, 2 float) and bits.
    pub fn halide_code_and_bits(self) -> (u8, u8) {
        match self {
            ElementType::Bool => (1, 1),
            ElementType::I8 => (0, 8),
            ElementType::U8 => (1, 8),
            ElementType::I16 => (0, 16),
            ElementType::U16 => (1, 16),
            ElementType::I32 => (0, 32),
            ElementType::U32 => (1, 32),
            ElementType::I64 => (0, 64),
            ElementType::U64 => (1, 64),
            ElementType::F32 => (2, 32),
            ElementType::F64 => (2, 64),
        }
    }

    /// Smallest and largest value of an integer type, `None` for floats.
    pub fn integer_range(self) -> Option<(i128, i128)> {
        let (code, bits) = self.halide_code_and_bits();
        match code {
            0 => Some((-(1i128 << (bits - 1)), (1i128 << (bits - 1)) - 1)),
            1 => Some((0, (1i128 << bits) - 1)),
            _ => None,
        }
    }

    /// Reads a JSON value as this type.
    ///
    /// Floats may be the strings `"nan"`, `"inf"` and `"-inf"`, which JSON numbers cannot say.
    ///
    /// # Errors
    /// A sentence that says what is wrong with the value.
    pub fn parse(self, json: &Json) -> Result<Value, String> {
        match self.integer_range() {
            Some((low, high)) => {
                let value = integer(json).ok_or_else(|| format!("{json} is not an integer"))?;
                if !(low..=high).contains(&value) {
                    return Err(format!(
                        "{value} does not fit {}, which is {low}..={high}",
                        self.name()
                    ));
                }
                Ok(Value { ty: self, bits: value as u64 })
            }
            None => {
                let value = match json {
                    Json::Number(number) => number.as_f64(),
                    Json::String(text) => match text.as_str() {
                        "nan" => Some(f64::NAN),
                        "inf" => Some(f64::INFINITY),
                        "-inf" => Some(f64::NEG_INFINITY),
                        _ => None,
                    },
                    _ => None,
                };
                let value = value.ok_or_else(|| format!("{json} is not a number"))?;
                if self == ElementType::F32 && value.is_finite() && !(value as f32).is_finite() {
                    return Err(format!("{value} does not fit f32"));
                }
                Ok(Value::float(self, value))
            }
        }
    }
}

impl fmt::Display for ElementType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// An integer, a number without fraction that a double holds exactly, or a Boolean.
fn integer(json: &Json) -> Option<i128> {
    const EXACT: f64 = (1u64 << 53) as f64;
    match json {
        Json::Bool(value) => Some(i128::from(*value)),
        Json::Number(number) => {
            number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from)).or_else(
                || {
                    number
                        .as_f64()
                        .filter(|value| value.fract() == 0.0 && value.abs() <= EXACT)
                        .map(|value| value as i128)
                },
            )
        }
        _ => None,
    }
}

/// One element: its type and its bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Value {
    ty: ElementType,
    /// Two's complement or IEEE bits; only the low bytes of the type count.
    bits: u64,
}

impl Value {
    /// A float rounded to `ty`.
    pub(crate) fn float(ty: ElementType, value: f64) -> Value {
        let bits = match ty {
            ElementType::F32 => u64::from((value as f32).to_bits()),
            _ => value.to_bits(),
        };
        Value { ty, bits }
    }

    /// An integer, wrapped to `ty`.
    pub(crate) fn integer(ty: ElementType, value: i128) -> Value {
        Value { ty, bits: value as u64 }
    }

    /// The element at the start of `bytes`, `None` if they are too few.
    pub fn from_bytes(ty: ElementType, bytes: &[u8]) -> Option<Value> {
        let mut all = [0; 8];
        let len = ty.bytes() as usize;
        all[..len].copy_from_slice(bytes.get(..len)?);
        Some(Value { ty, bits: u64::from_le_bytes(all) })
    }

    /// Its type.
    pub fn ty(self) -> ElementType {
        self.ty
    }

    /// Its bytes in a module's memory; only the first [`ElementType::bytes`] count.
    pub fn to_bytes(self) -> [u8; 8] {
        self.bits.to_le_bytes()
    }

    /// As an integer, `None` for floats.
    pub fn as_integer(self) -> Option<i128> {
        let (code, _) = self.ty.halide_code_and_bits();
        let shift = 64 - 8 * self.ty.bytes();
        match code {
            0 => Some(i128::from(((self.bits << shift) as i64) >> shift)),
            1 => Some(i128::from((self.bits << shift) >> shift)),
            _ => None,
        }
    }

    /// As a double, `None` for integers.
    pub fn as_float(self) -> Option<f64> {
        match self.ty {
            ElementType::F32 => Some(f64::from(f32::from_bits(self.bits as u32))),
            ElementType::F64 => Some(f64::from_bits(self.bits)),
            _ => None,
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.as_integer(), self.ty) {
            (Some(value), _) => write!(f, "{value}"),
            (None, ElementType::F32) => {
                let bits = self.bits as u32;
                write!(f, "{:?} (bits {bits:#010x})", f32::from_bits(bits))
            }
            (None, _) => {
                write!(f, "{:?} (bits {:#018x})", f64::from_bits(self.bits), self.bits)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_type_has_its_name_and_size() {
        for (ty, name) in ElementType::ALL {
            assert_eq!(ElementType::from_name(name), Some(ty));
            assert_eq!(ty.to_string(), name);
            let (_, bits) = ty.halide_code_and_bits();
            assert_eq!(ty.bytes(), u32::from(bits).div_ceil(8));
        }
        assert_eq!(ElementType::from_name("f16"), None);
    }

    #[test]
    fn integers_are_checked_against_their_range() {
        for (ty, _) in ElementType::ALL {
            let Some((low, high)) = ty.integer_range() else { continue };
            for value in [low, high] {
                let json: Json = serde_json::from_str(&value.to_string()).unwrap();
                assert_eq!(ty.parse(&json).unwrap().as_integer(), Some(value), "{ty}");
            }
            for value in [low - 1, high + 1] {
                let json: Json = serde_json::from_str(&value.to_string()).unwrap();
                assert!(ty.parse(&json).is_err(), "{ty} took {value}");
            }
        }
        assert!(ElementType::U8.parse(&json!(1.5)).is_err());
        assert!(ElementType::U8.parse(&json!("1")).is_err());
        assert_eq!(ElementType::I16.parse(&json!(-3.0)).unwrap().as_integer(), Some(-3));
    }

    #[test]
    fn floats_take_names_of_the_special_values() {
        assert!(ElementType::F32.parse(&json!("nan")).unwrap().as_float().unwrap().is_nan());
        assert_eq!(
            ElementType::F64.parse(&json!("-inf")).unwrap().as_float(),
            Some(-f64::INFINITY)
        );
        assert!(ElementType::F32.parse(&json!(1e300)).is_err());
        assert!(ElementType::F32.parse(&json!([])).is_err());
        assert_eq!(ElementType::F32.parse(&json!(2)).unwrap().as_float(), Some(2.0));
    }

    #[test]
    fn bytes_round_trip() {
        let value = ElementType::I16.parse(&json!(-2)).unwrap();
        assert_eq!(value.to_bytes()[..2], [0xfe, 0xff]);
        assert_eq!(
            Value::from_bytes(ElementType::I16, &value.to_bytes()).unwrap().as_integer(),
            Some(-2)
        );
        assert_eq!(Value::from_bytes(ElementType::I32, &[0; 3]), None);
    }
}

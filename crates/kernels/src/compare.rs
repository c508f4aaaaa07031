//! Outputs of two runs, compared to the bit, or within a tolerance with natives.

use crate::descriptor::Buffer;
use crate::scalar::Value;
use std::fmt;

/// What a kernel left in one output buffer, gaps between rows included.
#[derive(Debug, Clone)]
pub struct Output {
    /// The argument.
    pub buffer: Buffer,
    /// The bytes of the whole allocation.
    pub bytes: Vec<u8>,
}

/// The first element in which two runs differ.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    /// The output's name.
    pub output: String,
    /// Elements between the first of the buffer and this one.
    pub offset: u64,
    /// Its coordinates, `None` in a gap between rows.
    pub coordinates: Option<Vec<i32>>,
    /// The element in both runs, `None` where one run's buffer is shorter.
    pub values: Option<(Value, Value)>,
    /// How many elements of this output differ.
    pub count: u64,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "output `{}`", self.output)?;
        match &self.coordinates {
            Some(coordinates) => write!(f, " at {coordinates:?}")?,
            None => write!(f, " at element {} (between rows)", self.offset)?,
        }
        if let Some((left, right)) = self.values {
            write!(f, ": {left} and {right}")?;
        }
        write!(f, "; {} elements differ", self.count)
    }
}

/// Finds the first element in which `left` and `right`, outputs of one size of a kernel, differ: to
/// the bit, or by more than an absolute and a relative `tolerance`.
pub fn first_difference(
    left: &[Output],
    right: &[Output],
    tolerance: Option<(f64, f64)>,
) -> Option<Difference> {
    for (a, b) in left.iter().zip(right) {
        if a.bytes == b.bytes {
            continue;
        }
        let ty = a.buffer.ty;
        let width = ty.bytes() as usize;
        let pairs = a.bytes.chunks(width).zip(b.bytes.chunks(width)).enumerate();
        let mut differing = pairs.filter_map(|(offset, (a, b))| {
            let pair = || Some((Value::from_bytes(ty, a)?, Value::from_bytes(ty, b)?));
            let near = |tolerance| pair().is_some_and(|(a, b)| are_near(a, b, tolerance));
            (a != b && !tolerance.is_some_and(near)).then(|| (offset, pair()))
        });
        let first = differing.next();
        if first.is_none() && a.bytes.len() == b.bytes.len() {
            continue;
        }
        let shorter = a.bytes.len().min(b.bytes.len()) / width;
        let (offset, values) = first.unwrap_or((shorter, None));
        return Some(Difference {
            output: a.buffer.name.clone(),
            offset: offset as u64,
            coordinates: a.buffer.coordinates(offset as u64),
            values,
            count: differing.count() as u64 + 1,
        });
    }
    (left.len() != right.len()).then(|| Difference {
        output: "(list of outputs)".to_owned(),
        offset: left.len().min(right.len()) as u64,
        coordinates: None,
        values: None,
        count: left.len().abs_diff(right.len()) as u64,
    })
}

/// Whether two numbers are within a tolerance, as numpy's `isclose` has it; NaNs are near each other.
fn are_near(a: Value, b: Value, (absolute, relative): (f64, f64)) -> bool {
    let number = |value: Value| {
        value.as_float().or_else(|| value.as_integer().map(|integer| integer as f64))
    };
    let (Some(a), Some(b)) = (number(a), number(b)) else { return false };
    a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= absolute + relative * b.abs()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::descriptor::{Contents, Dim, Role};
    use crate::scalar::ElementType;

    fn output(ty: ElementType, bytes: &[u8]) -> Output {
        let extent = bytes.len() as i32 / ty.bytes() as i32;
        let buffer = Buffer {
            name: "out".into(),
            role: Role::Output,
            ty,
            dims: vec![Dim { min: 0, extent, stride: 1 }],
            contents: Contents::Poison,
        };
        Output { buffer, bytes: bytes.to_vec() }
    }

    #[test]
    fn the_first_differing_element_is_named() {
        let left = [output(ElementType::U16, &[1, 0, 2, 0, 3, 0])];
        let right = [output(ElementType::U16, &[1, 0, 2, 1, 4, 0])];
        assert_eq!(first_difference(&left, &left, None), None);
        let difference = first_difference(&left, &right, None).unwrap();
        assert_eq!(difference.to_string(), "output `out` at [1]: 2 and 258; 2 elements differ");
    }

    #[test]
    fn lengths_count() {
        let [long, short] = [4, 2].map(|len| [output(ElementType::U16, &vec![0; len])]);
        for tolerance in [None, Some((9.0, 9.0))] {
            assert!(first_difference(&long, &short, tolerance).is_some());
            assert!(first_difference(&long, &[], tolerance).is_some());
        }
    }

    #[test]
    fn a_tolerance_lets_near_numbers_pass() {
        let floats = |a: f32, b: f32| {
            [output(ElementType::F32, &[a.to_le_bytes(), b.to_le_bytes()].concat())]
        };
        let (left, near, far) = (floats(1.0, f32::NAN), floats(1.001, f32::NAN), floats(1.1, 0.0));
        assert_eq!(first_difference(&left, &near, Some((0.0, 0.01))), None);
        assert_eq!(first_difference(&left, &near, None).unwrap().count, 1);
        assert_eq!(first_difference(&left, &far, Some((0.0, 0.01))).unwrap().count, 2);
        let bytes = |value| [output(ElementType::U8, &[value])];
        assert_eq!(first_difference(&bytes(7), &bytes(8), Some((1.0, 0.0))), None);
        assert!(first_difference(&bytes(7), &bytes(9), Some((1.0, 0.0))).is_some());
    }
}

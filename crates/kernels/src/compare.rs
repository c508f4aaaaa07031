//! Outputs of two runs, compared to the bit.

use crate::scalar::{ElementType, Value};
use std::fmt;

/// What a kernel left in one output buffer, gaps between rows included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// The argument's name.
    pub name: String,
    /// The type of its elements.
    pub ty: ElementType,
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

/// Finds the first element in which `left` and `right`, outputs of the same size, differ.
///
/// `coordinates` turns an output's index and an offset into coordinates.
pub fn first_difference(
    left: &[Output],
    right: &[Output],
    coordinates: impl Fn(usize, u64) -> Option<Vec<i32>>,
) -> Option<Difference> {
    for (at, (a, b)) in left.iter().zip(right).enumerate() {
        if a.bytes == b.bytes {
            continue;
        }
        let width = a.ty.bytes() as usize;
        let mut differing = a
            .bytes
            .chunks(width)
            .zip(b.bytes.chunks(width))
            .enumerate()
            .filter(|(_, (a, b))| a != b);
        let first = differing.next();
        let offset = first.map_or(a.bytes.len().min(b.bytes.len()) / width, |(offset, _)| offset);
        return Some(Difference {
            output: a.name.clone(),
            offset: offset as u64,
            coordinates: coordinates(at, offset as u64),
            values: first.and_then(|(_, (left, right))| {
                Some((Value::from_bytes(a.ty, left)?, Value::from_bytes(b.ty, right)?))
            }),
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

#[cfg(test)]
mod tests {
    use super::*;

    fn output(bytes: &[u8]) -> Output {
        Output { name: "out".into(), ty: ElementType::U16, bytes: bytes.to_vec() }
    }

    #[test]
    fn the_first_differing_element_is_named() {
        let left = [output(&[1, 0, 2, 0, 3, 0])];
        let right = [output(&[1, 0, 2, 1, 4, 0])];
        assert_eq!(first_difference(&left, &left, |_, _| None), None);
        let difference = first_difference(&left, &right, |_, at| Some(vec![at as i32])).unwrap();
        assert_eq!(difference.to_string(), "output `out` at [1]: 2 and 258; 2 elements differ");
    }

    #[test]
    fn lengths_count() {
        assert!(first_difference(&[output(&[0; 4])], &[output(&[0; 2])], |_, _| None).is_some());
        assert!(first_difference(&[output(&[0; 4])], &[], |_, _| None).is_some());
    }
}

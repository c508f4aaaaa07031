//! Decisions drawn from a byte string. The same bytes give the same decisions, and bytes that ran
//! out give the first choice for ever, so that generators end.

use arbitrary::Unstructured;

/// A source of decisions.
pub struct Choices<'a> {
    bytes: Unstructured<'a>,
}

impl<'a> Choices<'a> {
    /// Decides by `bytes`.
    pub fn new(bytes: &'a [u8]) -> Choices<'a> {
        Choices { bytes: Unstructured::new(bytes) }
    }

    /// Whether the bytes have run out.
    pub fn exhausted(&self) -> bool {
        self.bytes.is_empty()
    }

    /// A number below `count`; 0 if there are no bytes left.
    pub fn below(&mut self, count: usize) -> usize {
        self.bytes.int_in_range(0..=count.max(1) - 1).unwrap_or(0)
    }

    /// True about once in `count`; false if there are no bytes left.
    pub fn one_in(&mut self, count: usize) -> bool {
        !self.exhausted() && self.below(count) == count - 1
    }

    /// One of `items`, the first if there are no bytes left.
    ///
    /// # Panics
    /// If `items` is empty.
    pub fn pick<'i, T>(&mut self, items: &'i [T]) -> &'i T {
        &items[self.below(items.len())]
    }

    /// A byte.
    pub fn byte(&mut self) -> u8 {
        self.bytes.arbitrary().unwrap_or(0)
    }

    /// Sixteen bytes.
    pub fn wide(&mut self) -> u128 {
        self.bytes.arbitrary().unwrap_or(0)
    }

    /// What is left.
    pub(crate) fn rest(&mut self) -> &mut Unstructured<'a> {
        &mut self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_decide_and_their_end_is_the_first_choice() {
        let mut first = Choices::new(&[7, 200, 31]);
        let mut second = Choices::new(&[7, 200, 31]);
        let drawn: Vec<usize> = (0..3).map(|_| first.below(100)).collect();
        assert_eq!(drawn, (0..3).map(|_| second.below(100)).collect::<Vec<_>>());
        assert!(first.exhausted() && !first.one_in(1));
        assert_eq!(
            (first.below(9), *first.pick(&[3, 4]), first.byte(), first.wide()),
            (0, 3, 0, 0)
        );
    }
}

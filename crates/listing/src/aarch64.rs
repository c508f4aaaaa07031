//! AArch64: where control goes from bits, texts from a disassembler.
//!
//! Source: Arm ARM, "Branches, exception generating and system instructions".

use crate::walk::{Flow, Step};
use crate::{ListedInst, Reader, Width};
use std::ops::Range;

/// Bytes of an instruction.
const LENGTH: u32 = 4;

/// The code of one function; `text` gives mnemonic and operands of a word at an offset.
pub(crate) struct Code<'a, T> {
    bytes: &'a [u8],
    text: T,
    /// The word read last, and where.
    last: Option<(u32, u32)>,
}

impl<T: Fn(&[u8], u32) -> Option<(String, String)>> Code<'_, T> {
    pub(crate) fn new(bytes: &[u8], text: T) -> Code<'_, T> {
        Code { bytes, text, last: None }
    }

    fn word(&self, offset: u32) -> Option<u32> {
        let bytes = self.bytes.get(offset as usize..)?.first_chunk()?;
        Some(u32::from_le_bytes(*bytes))
    }
}

impl<T: Fn(&[u8], u32) -> Option<(String, String)>> Reader for Code<'_, T> {
    fn step(&mut self, offset: u32, is_named: &dyn Fn(Range<u32>) -> bool) -> Option<Step> {
        let word = self.word(offset)?;
        let next = offset + LENGTH;
        let before = self.last.replace((offset, word));
        let before = before.filter(|(at, _)| at + LENGTH == offset).map(|(_, word)| word);
        let mut flow = flow(word, offset, before);
        // A branch to another function leaves this one.
        if matches!(flow, Flow::Jump(_)) && is_named(offset..next) {
            flow = Flow::Leaves;
        }
        Some(Step { next, flow })
    }

    fn written(&mut self, offset: u32) -> Option<(ListedInst, String)> {
        let word = self.word(offset)?;
        let text = match (self.text)(&word.to_le_bytes(), offset) {
            Some((name, operands)) if operands.is_empty() => name,
            Some((name, operands)) => format!("{name} {operands}"),
            None => format!(".inst {word:#010x}"),
        };
        let mnemonic = text.split(' ').next().unwrap_or_default();
        let changes = ["cas", "swp", "ldadd", "ldclr", "ldeor", "ldset"];
        let changes = changes.iter().any(|name| mnemonic.starts_with(name));
        let loads = changes || mnemonic.starts_with("ld");
        let stores = changes || mnemonic.starts_with("st");
        let listed = ListedInst {
            width: width(&text),
            loads,
            stores,
            stack: (loads || stores) && ["[sp", "[x29", "[fp"].iter().any(|at| text.contains(at)),
            ..ListedInst::new(offset, LENGTH, text.clone())
        };
        Some((listed, text))
    }

    fn is_jump_or_call(&mut self, offset: u32) -> bool {
        self.word(offset).is_some_and(|word| is_branch(word) || is_call(word))
    }
}

/// `B`.
const fn is_branch(word: u32) -> bool {
    word >> 26 == 0b00_0101
}

/// `BL`.
const fn is_call(word: u32) -> bool {
    word >> 26 == 0b10_0101
}

/// Where control goes from the `word` at `offset`; `before` is the one before it.
fn flow(word: u32, offset: u32, before: Option<u32>) -> Flow {
    // The distance in words in the `bits` from `low` on, with its sign.
    let target = |low: u32, bits: u32| {
        let distance = (word << (32 - low - bits)) as i32 >> (32 - bits);
        offset.wrapping_add_signed(distance.wrapping_mul(4))
    };
    let is_conditional = word >> 24 == 0x54;
    let is_zero_test = word >> 25 & 63 == 0b01_1010;
    let is_bit_test = word >> 25 & 63 == 0b01_1011;
    // `BR`, `BLR`, `RET`, `ERET` and their like with authentication; calls return.
    let is_by_register = word >> 25 == 0b110_1011;
    let is_call_by_register = is_by_register && word >> 21 & 7 == 1;
    let is_plain_jump = word & 0xffff_fc1f == 0xd61f_0000;
    // `UDF` and `BRK`.
    let is_trap = word >> 16 == 0 || word >> 21 == 0xd420_0000_u32 >> 21;
    match word {
        _ if is_branch(word) => Flow::Jump(target(0, 26)),
        _ if is_conditional || is_zero_test => Flow::Branch(target(5, 19)),
        _ if is_bit_test => Flow::Branch(target(5, 14)),
        _ if is_call_by_register => Flow::Next,
        // What was not just computed from a table is another function.
        _ if is_plain_jump && before.is_some_and(|before| makes_sum(before, word >> 5 & 31)) => {
            Flow::Table
        }
        _ if is_by_register || is_trap => Flow::Leaves,
        _ => Flow::Next,
    }
}

/// Whether `word` is an `ADD` of two registers of 64 bits into `register`.
const fn makes_sum(word: u32, register: u32) -> bool {
    word & 0xff20_0000 == 0x8b00_0000 && word & 31 == register
}

/// Instructions that name whole vectors, or lanes of them, are vector code.
fn width(text: &str) -> Width {
    let is_vector = |operand: &str| {
        let digits = |rest: &str| rest.starts_with(|c: char| c.is_ascii_digit());
        operand.strip_prefix('q').is_some_and(digits)
            || operand.strip_prefix('v').is_some_and(|rest| digits(rest) && rest.contains('.'))
    };
    let operands = text.split([' ', ',', '{', '}', '[', ']']).skip(1);
    match operands.into_iter().any(is_vector) {
        true => Width::Bits128,
        false => Width::Scalar,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loops;
    use crate::walk::walk;
    use std::collections::BTreeMap;

    fn bytes(words: &[u32]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    #[test]
    fn branches_lead_where_the_manual_says() {
        assert_eq!(flow(0x1400_0002, 8, None), Flow::Jump(16)); // b +8
        assert_eq!(flow(0x54ff_ffe1, 8, None), Flow::Branch(4)); // b.ne -4
        assert_eq!(flow(0xb5ff_ffc3, 16, None), Flow::Branch(8)); // cbnz x3, -8
        assert_eq!(flow(0x3600_0043, 0, None), Flow::Branch(8)); // tbz w3, #0, +8
        assert_eq!(flow(0x9400_0001, 0, None), Flow::Next); // bl
        assert_eq!(flow(0xd63f_0200, 0, None), Flow::Next); // blr x16
        assert_eq!(flow(0xd65f_03c0, 0, None), Flow::Leaves); // ret
        assert_eq!(flow(0xd65f_0fff, 0, None), Flow::Leaves); // retab
        assert_eq!(flow(0x0000_c11f, 0, None), Flow::Leaves); // udf
        assert_eq!(flow(0xd420_0000, 0, None), Flow::Leaves); // brk #0
        assert_eq!(flow(0xd61f_0020, 0, None), Flow::Leaves); // br x1
        assert_eq!(flow(0xd61f_0020, 0, Some(0x8b02_0021)), Flow::Table); // add x1, x1, x2
        assert_eq!(flow(0xd61f_0020, 0, Some(0x8b02_0020)), Flow::Leaves); // add x0, x1, x2
    }

    #[test]
    fn loops_tables_and_data_are_told_apart() {
        // nop; 4: subs x0, x0, #1; b.ne 4; adr x1, 24; add x1, x1, x2; br x1; two entries; ret; ret; data
        let code = bytes(&[
            0xd503_201f,
            0xf100_0400,
            0x54ff_ffe1,
            0x1000_0061,
            0x8b02_0021,
            0xd61f_0020,
            8,
            12,
            0xd65f_03c0,
            0xd65f_03c0,
            0xffff_ffff,
        ]);
        let mut reader = Code::new(&code, |_: &[u8], _| None);
        let walked = walk(&code, &mut reader, &BTreeMap::new());
        let offsets: Vec<u32> = walked.steps.keys().copied().collect();
        assert_eq!(offsets, [0, 4, 8, 12, 16, 20, 32, 36]);
        let loops = loops::find(&walked);
        assert_eq!(loops.len(), 1);
        assert_eq!((&loops[0].insts, loops[0].latch), (&vec![1, 2], 2));
    }

    #[test]
    fn widths_and_accesses_are_told_apart() {
        let listed = |name: &str, operands: &str| {
            let text = |_: &[u8], _| Some((name.to_owned(), operands.to_owned()));
            let (inst, _) = Code::new(&[0; 4], text).written(0).unwrap();
            (inst.width, inst.loads, inst.stores, inst.stack)
        };
        assert_eq!(listed("add", "v0.4s, v1.4s, v2.4s"), (Width::Bits128, false, false, false));
        assert_eq!(listed("fadd", "s0, s1, s2"), (Width::Scalar, false, false, false));
        assert_eq!(listed("ldp", "q0, q1, [x0, #0x20]"), (Width::Bits128, true, false, false));
        assert_eq!(
            listed("tbl", "v0.16b, {v1.16b}, v2.16b"),
            (Width::Bits128, false, false, false)
        );
        assert_eq!(listed("str", "x0, [sp, #8]"), (Width::Scalar, false, true, true));
        assert_eq!(listed("ldaddal", "w0, w1, [x2]"), (Width::Scalar, true, true, false));
        assert_eq!(listed("", ""), (Width::Scalar, false, false, false));
    }
}

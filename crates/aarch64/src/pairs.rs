//! Two accesses of adjacent memory become one instruction, `ldp` or `stp`, and code moves up.
//!
//! Stock Cranelift forms none in the bodies of functions, and no stand-in has two results; so this works on finished
//! words. Only accesses that cannot trap take part. Constants stay where they are: what is gained becomes padding before them.
//! Invariant: each register and each byte of memory that code reads is what it was.

use crate::words::{Effect, Plain, Registers, effect, is_literal};

/// How many words apart two accesses may be.
const WINDOW: usize = 24;

/// A branch, or another word that says how far away something is.
#[derive(Clone, Copy)]
struct Relative {
    /// Lowest bit and width of the distance in words.
    low: u32,
    width: u32,
}

impl Relative {
    /// The distance in `word`; `None` if it says none. `adr` is not known here. Source: Arm ARM, "Branches", "Load literal".
    fn of(word: u32) -> Option<Relative> {
        let of = |low, width| Some(Relative { low, width });
        match word {
            _ if word & 0x7c00_0000 == 0x1400_0000 => of(0, 26),
            _ if word & 0xff00_0010 == 0x5400_0000 => of(5, 19),
            _ if word & 0x7e00_0000 == 0x3400_0000 => of(5, 19),
            _ if word & 0x7e00_0000 == 0x3600_0000 => of(5, 14),
            _ if is_literal(word) => of(5, 19),
            _ => None,
        }
    }

    const fn get(self, word: u32) -> i64 {
        let up = 32 - self.low - self.width;
        (((word << up) as i32) >> (32 - self.width)) as i64
    }

    /// `word` with another distance; `None` if it is too far.
    fn set(self, word: u32, distance: i64) -> Option<u32> {
        let half = 1 << (self.width - 1);
        let mask = ((1u32 << self.width) - 1) << self.low;
        let bits = (distance as u32) << self.low & mask;
        (-half..half).contains(&distance).then_some(word & !mask | bits)
    }
}

/// Where code is after words went away.
pub(crate) struct Moved {
    /// For each word, its number now; one more, the end.
    now: Vec<u32>,
}

impl Moved {
    /// The offset, in bytes, of what was at `offset`.
    pub(crate) fn offset(&self, offset: u32) -> u32 {
        self.now[offset as usize / 4] * 4 + offset % 4
    }
}

/// Pairs accesses of `code` that `may_pair`. `fixed` are offsets, in bytes, of words at
/// which something is noted, that do not take part.
///
/// `None` if there are none to be paired, or the code has what cannot be moved.
pub(crate) fn pair(
    code: &mut [u8],
    fixed: impl Iterator<Item = u32>,
    may_pair: impl Fn(Plain) -> bool,
) -> Option<Moved> {
    if !code.len().is_multiple_of(4) {
        return None;
    }
    let word = |bytes: &[u8]| u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
    let mut words: Vec<u32> = code.chunks_exact(4).map(word).collect();
    let target =
        |at: usize, word: u32| Relative::of(word).map(|relative| at as i64 + relative.get(word));
    // Constants follow all code, so the first that code reads ends it.
    let mut end = words.len();
    let mut at = 0;
    while at < end {
        if is_literal(words[at]) {
            end = end.min(usize::try_from(target(at, words[at])?).ok()?);
        }
        at += 1;
    }
    let mut is_target = vec![false; end];
    for (at, word) in words[..end].iter().enumerate() {
        // Tables of jumps follow an `adr`, and stand amid code.
        if word & 0x1f00_0000 == 0x1000_0000 {
            return None;
        }
        if let Some(to) = target(at, *word)
            && !is_literal(*word)
        {
            *is_target.get_mut(usize::try_from(to).ok()?)? = true;
        }
    }
    let mut is_fixed = vec![false; end];
    for offset in fixed {
        *is_fixed.get_mut(offset as usize / 4)? = true;
    }
    let mut pairing = Pairing { words: &mut words, is_fixed, is_target, gone: vec![false; end] };
    for at in 0..end {
        if let Some(one) = pairing.plain(at)
            && !pairing.gone[at]
            && may_pair(one)
        {
            pairing.pair(at, one);
        }
    }
    let gone = pairing.gone;
    if !gone.contains(&true) {
        return None;
    }
    let (moved, now) = laid_out(&words, &gone)?;
    for (bytes, word) in code.chunks_exact_mut(4).zip(moved) {
        bytes.copy_from_slice(&word.to_le_bytes());
    }
    Some(now)
}

/// The code without what is gone, as long as before, and where everything is then. `None` if something is too far.
fn laid_out(words: &[u32], gone: &[bool]) -> Option<(Vec<u32>, Moved)> {
    let end = gone.len();
    let mut now = Vec::with_capacity(words.len() + 1);
    let mut next = 0;
    for gone in gone {
        now.push(next);
        next += u32::from(!gone);
    }
    // What is gained is padding before the constants.
    now.extend(end as u32..=words.len() as u32);
    const PADDING: u32 = 0xd503_201f;
    let mut moved = vec![PADDING; end];
    for at in (0..end).filter(|at| !gone[*at]) {
        let mut word = words[at];
        if let Some(relative) = Relative::of(word) {
            let to = usize::try_from(at as i64 + relative.get(word)).ok()?;
            let distance = i64::from(*now.get(to)?) - i64::from(now[at]);
            word = relative.set(word, distance)?;
        }
        moved[now[at] as usize] = word;
    }
    Some((moved, Moved { now }))
}

/// Words, the constants' last, and of each before these what is known.
struct Pairing<'a> {
    words: &'a mut [u32],
    is_fixed: Vec<bool>,
    is_target: Vec<bool>,
    gone: Vec<bool>,
}

impl Pairing<'_> {
    /// The access at `at`, if it may take part.
    fn plain(&self, at: usize) -> Option<Plain> {
        Plain::of(self.words[at]).filter(|_| !self.is_fixed[at])
    }

    /// Pairs the access `one` at `at` with the first that follows and can move there, or to which it can move.
    fn pair(&mut self, at: usize, one: Plain) {
        // What all that lies between touches. Of accesses that may trap no place is known.
        let mut all = Registers::default();
        let mut between: Vec<(bool, Option<Plain>)> = Vec::new();
        for later in at + 1..self.gone.len().min(at + 1 + WINDOW) {
            if self.is_target[later] {
                return;
            }
            if self.gone[later] {
                continue;
            }
            let place = self.plain(later);
            if let Some(other) = place
                && let Some(pair) = one.with(other)
            {
                let busy = match (one.vector, one.loads) {
                    (true, true) => all.vectors,
                    (true, false) => all.written_vectors,
                    (false, true) => all.general,
                    (false, false) => all.written,
                };
                let can_pass = |moved: Plain| {
                    let meets = |(loads, place): &(bool, Option<Plain>)| {
                        !(moved.loads && *loads) && place.is_none_or(|place| place.may_meet(moved))
                    };
                    busy >> moved.data & 1 == 0 && !between.iter().any(meets)
                };
                let (up, down) = (can_pass(other), can_pass(one));
                if up || down {
                    let (kept, gone) = if up { (at, later) } else { (later, at) };
                    self.words[kept] = pair;
                    self.gone[gone] = true;
                    return;
                }
            }
            let registers = match effect(self.words[later]) {
                Effect::Barrier => return,
                Effect::Pure(registers) => registers,
                Effect::Load(registers) => {
                    between.push((true, place));
                    registers
                }
                Effect::Store(registers) => {
                    between.push((false, place));
                    registers
                }
            };
            all.vectors |= registers.vectors;
            all.written_vectors |= registers.written_vectors;
            all.general |= registers.general;
            all.written |= registers.written;
            if all.written >> one.base & 1 == 1 {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LDR_Q0_X1: u32 = 0x3dc0_0020;
    const LDR_Q2_X1_16: u32 = 0x3dc0_0422;
    const STR_Q0_X1: u32 = 0x3d80_0020;
    const STR_Q2_X1_16: u32 = 0x3d80_0422;
    /// `ldp q0, q2, [x1]`, `stp q0, q2, [x1]`
    const LDP: u32 = 0xad40_0820;
    const STP: u32 = 0xad00_0820;
    /// `add v3.16b, v4.16b, v5.16b`, `add v2.16b, v4.16b, v5.16b`
    const ADD_V3: u32 = 0x4e25_8483;
    const ADD_V2: u32 = 0x4e25_8482;
    /// `add x1, x1, #16`
    const ADD_X1: u32 = 0x9100_4021;
    /// `ldr q6, [x2]`, `str q6, [x2]`
    const LDR_Q6_X2: u32 = 0x3dc0_0046;
    const STR_Q6_X2: u32 = 0x3d80_0046;
    /// `ldr w0, [x1]`, `ldr w2, [x1, #4]`, `ldr w1, [x1]`, `ldp w0, w2, [x1]`
    const LDR_W0_X1: u32 = 0xb940_0020;
    const LDR_W2_X1_4: u32 = 0xb940_0422;
    const LDR_W1_X1: u32 = 0xb940_0021;
    const LDP_W: u32 = 0x2940_0820;
    /// `add w4, w2, w5`, `dup v2.4s, w0`
    const ADD_W4_W2: u32 = 0x0b05_0044;
    const DUP_V2_W0: u32 = 0x4e04_0c02;
    const NOP: u32 = 0xd503_201f;
    const RET: u32 = 0xd65f_03c0;

    /// The words after pairing, padding left out.
    fn paired(words: &[u32], fixed: &[u32]) -> Option<Vec<u32>> {
        let mut code: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        pair(&mut code, fixed.iter().copied(), |_| true)?;
        let words = code.chunks_exact(4).map(|word| u32::from_le_bytes(word.try_into().unwrap()));
        Some(words.filter(|word| *word != NOP).collect())
    }

    #[test]
    fn accesses_meet_across_what_they_do_not_touch() {
        assert_eq!(
            paired(&[LDR_Q0_X1, ADD_V3, LDR_Q2_X1_16, RET], &[]),
            Some(vec![LDP, ADD_V3, RET])
        );
        // What is written up to the later load waits for it: the earlier one moves down.
        assert_eq!(
            paired(&[LDR_Q0_X1, ADD_V2, LDR_Q2_X1_16, RET], &[]),
            Some(vec![ADD_V2, LDP, RET])
        );
        assert_eq!(
            paired(&[STR_Q0_X1, ADD_V2, STR_Q2_X1_16, RET], &[]),
            Some(vec![ADD_V2, STP, RET])
        );
    }

    #[test]
    fn general_registers_pair_as_vectors_do() {
        assert_eq!(
            paired(&[LDR_W0_X1, DUP_V2_W0, LDR_W2_X1_4, RET], &[]),
            Some(vec![LDP_W, DUP_V2_W0, RET])
        );
        assert_eq!(
            paired(&[LDR_W0_X1, ADD_W4_W2, LDR_W2_X1_4, RET], &[]),
            Some(vec![ADD_W4_W2, LDP_W, RET]),
            "what is loaded later is read before"
        );
        let both = [LDR_W0_X1, ADD_W4_W2, DUP_V2_W0, LDR_W2_X1_4, RET];
        assert_eq!(paired(&both, &[]), None, "both are read between");
        assert_eq!(paired(&[LDR_W1_X1, LDR_W2_X1_4, RET], &[]), None, "the first loads the base");
    }

    #[test]
    fn what_is_in_the_way_keeps_them_apart() {
        assert_eq!(paired(&[LDR_Q0_X1, ADD_X1, LDR_Q2_X1_16, RET], &[]), None, "the base moves");
        assert_eq!(
            paired(&[LDR_Q0_X1, STR_Q6_X2, LDR_Q2_X1_16, RET], &[]),
            None,
            "it is stored to"
        );
        assert_eq!(paired(&[STR_Q0_X1, LDR_Q6_X2, STR_Q2_X1_16, RET], &[]), None, "it is loaded");
        assert_eq!(paired(&[LDR_Q0_X1, RET, LDR_Q2_X1_16, RET], &[]), None, "another block");
        assert_eq!(paired(&[LDR_Q0_X1, LDR_Q2_X1_16, RET], &[4]), None, "it may trap");
    }

    #[test]
    fn branches_and_constants_are_as_far_as_they_are_then() {
        // A loop around a pair, then a load of the constant behind the code.
        let back = |words: i32| 0x5400_0001 | (words as u32 & 0x7ffff) << 5;
        let literal = |words: u32| 0x9c00_0007 | words << 5;
        let code = [LDR_Q0_X1, LDR_Q2_X1_16, back(-2), literal(2), RET, 1, 2, 3, 4];
        assert_eq!(
            paired(&code, &[]),
            Some(vec![LDP, back(-1), literal(3), RET, 1, 2, 3, 4]),
            "the constant stays, and padding is before it"
        );
        // A way in between both.
        assert_eq!(paired(&[LDR_Q0_X1, LDR_Q2_X1_16, back(-1), RET], &[]), None);
    }
}

//! Encodings of NEON instructions that Cranelift has no emission for.
//!
//! `encodings.txt` holds, for each machine op that a stand-in can become, the instruction word with register fields zero
//! and its least immediate, and what one more in the immediate adds. Source: GNU binutils, which
//! `tests/encodings.rs` compares with for every immediate.

use egraft_ir::machine::{Kind, MachineOp, Target};
use std::collections::HashMap;
use std::sync::LazyLock;

/// What registers an op has, beside the immediate.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Form {
    /// Rd from Rn.
    One,
    /// Rd from Rn and Rm.
    Two,
    /// Rd, which is overwritten, and Rn.
    IntoOne,
    /// Rd, which is overwritten, Rn and Rm.
    IntoTwo,
}

impl Form {
    /// The form of `op`; `None` for those that no stand-in can become: of other registers than vectors, of lists of
    /// registers, of two lane numbers, of more operands.
    pub fn of(op: MachineOp) -> Option<Form> {
        let vectors = op.args().iter().chain([&op.result()]).all(|kind| *kind == Kind::Vector);
        let is_odd = op.name().starts_with("a64_tbl2") || op.name().starts_with("a64_ins");
        if op.target() != Target::A64 || !vectors || is_odd {
            return None;
        }
        match (op.is_tied(), op.args().len()) {
            (false, 1) => Some(Form::One),
            (false, 2) => Some(Form::Two),
            (true, 2) => Some(Form::IntoOne),
            (true, 3) => Some(Form::IntoTwo),
            _ => None,
        }
    }
}

struct Encoding {
    word: u32,
    step: u32,
}

static ENCODINGS: LazyLock<HashMap<&'static str, Encoding>> = LazyLock::new(|| {
    let hex = |text: &str| u32::from_str_radix(text, 16).expect("the table has numbers");
    let row = |line: &'static str| {
        let mut fields = line.split(' ');
        let mut next = || fields.next().expect("a row has three fields");
        (next(), Encoding { word: hex(next()), step: hex(next()) })
    };
    include_str!("encodings.txt").lines().map(row).collect()
});

/// The instruction word of `op`, register fields zero; `None` if it has no [`Form`] or cannot have the immediate.
pub fn word(op: MachineOp, imm: u32) -> Option<u32> {
    let Encoding { word, step } = ENCODINGS.get(op.name())?;
    match op.imm_range() {
        None => (imm == 0).then_some(*word),
        Some(range) => {
            let more = range.contains(&imm).then(|| imm - range.start())?;
            Some(word.wrapping_add(step.wrapping_mul(more)))
        }
    }
}

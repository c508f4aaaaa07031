//! Machine ops: the vector instructions that lowering rules may choose, and what each computes.
//!
//! One table row per family of instructions (`x64.rs`, `neon.rs`), one definition per meaning, generic
//! over the [`Domain`] that CLIF ops use too. Does not encode, allocate registers or touch
//! memory. Invariant: a result has nothing above the width of its [`Kind`].
//!
//! Vectors are 128 bits wide. The 256-bit forms of AVX2 and AVX-512 do the same to each half, except
//! where lanes cross (`pmovsx`, `pbroadcast`, truncations), and have no ops of their own. Nor have
//! instructions that set flags, mask registers or two results.
//!
//! Tests: `tests/machine_x64.rs` and `tests/machine_neon.rs` compare with the processor.

mod float;
mod lanes;
mod meaning;
mod moves;
mod neon;
mod shifts;
mod sums;
mod x64;

use crate::eval::Concrete;
use crate::semantics::Domain;
use meaning::Meaning;
use std::collections::HashMap;
use std::fmt;
use std::ops::RangeInclusive;
use std::sync::LazyLock;

/// An instruction set.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Target {
    /// x86-64 in its VEX and EVEX encodings.
    X64,
    /// AArch64.
    A64,
}

/// What an operand or a result is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Kind {
    /// A 128-bit vector register.
    Vector,
    /// The low 32 bits of a general register.
    Gpr32,
    /// A general register.
    Gpr64,
}

impl Kind {
    /// Width in bits.
    pub const fn bits(self) -> u32 {
        match self {
            Kind::Vector => 128,
            Kind::Gpr32 => 32,
            Kind::Gpr64 => 64,
        }
    }
}

/// What a processor must have to run an op. The AVX-512 ones stand for the 128-bit form, which
/// needs `avx512vl` too.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Feature {
    /// `avx`
    Avx,
    /// `avx2`
    Avx2,
    /// `avx512f` and `avx512vl`
    Avx512Vl,
    /// `avx512bw`
    Avx512Bw,
    /// `avx512dq`
    Avx512Dq,
    /// `avx512cd`
    Avx512Cd,
    /// `avx512vbmi`
    Avx512Vbmi,
    /// `avx512bitalg`
    Avx512Bitalg,
    /// `avx512vpopcntdq`
    Avx512Vpopcntdq,
    /// `avx512vnni`
    Avx512Vnni,
    /// What every AArch64 processor has.
    Neon,
    /// `rdm`
    Rdm,
    /// `dotprod`
    Dotprod,
    /// `i8mm`
    I8mm,
    /// `sha3`
    Sha3,
}

impl Feature {
    /// The feature's name, as compilers write it.
    pub const fn name(self) -> &'static str {
        match self {
            Feature::Avx => "avx",
            Feature::Avx2 => "avx2",
            Feature::Avx512Vl => "avx512vl",
            Feature::Avx512Bw => "avx512bw",
            Feature::Avx512Dq => "avx512dq",
            Feature::Avx512Cd => "avx512cd",
            Feature::Avx512Vbmi => "avx512vbmi",
            Feature::Avx512Bitalg => "avx512bitalg",
            Feature::Avx512Vpopcntdq => "avx512vpopcntdq",
            Feature::Avx512Vnni => "avx512vnni",
            Feature::Neon => "neon",
            Feature::Rdm => "rdm",
            Feature::Dotprod => "dotprod",
            Feature::I8mm => "i8mm",
            Feature::Sha3 => "sha3",
        }
    }
}

/// Why a machine op cannot be applied.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum MachineError {
    /// The wrong number of operands.
    #[error("`{op}` takes {expected} operands, {found} were given")]
    Operands {
        /// The op.
        op: MachineOp,
        /// How many it takes.
        expected: usize,
        /// How many there were.
        found: usize,
    },
    /// An immediate outside the op's range, or one where it has none.
    #[error("`{op}` cannot have the immediate {imm}; {}", range_text(*op))]
    Immediate {
        /// The op.
        op: MachineOp,
        /// The immediate.
        imm: u32,
    },
}

fn range_text(op: MachineOp) -> String {
    match op.imm_range() {
        Some(range) => format!("it must be {} to {}", range.start(), range.end()),
        None => "it has none, give 0".to_owned(),
    }
}

/// Which immediates a family has, given its lane width.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Imm {
    None,
    /// 0 up to this.
    UpTo(u32),
    /// A left shift: 0 up to a bit less than a lane.
    Left,
    /// A right shift: 1 up to a lane.
    Right,
    /// A narrowing right shift: 1 up to half a lane.
    Narrowing,
    /// A lane number.
    Lane,
    /// Two lane numbers: that of the result times the number of lanes, plus that of the source.
    TwoLanes,
}

/// Instructions that do the same to lanes of different widths: one row of a table.
struct Family {
    /// The name's part between target and lanes.
    stem: &'static str,
    /// The mnemonic without its lane suffix, where it does not follow from `stem`.
    mnemonic: Option<&'static str>,
    /// Name and width in bits of the lanes of each member.
    members: &'static [(&'static str, u32)],
    args: &'static [Kind],
    result: Kind,
    imm: Imm,
    swaps: bool,
    tied: bool,
    halves: Halves,
    /// NEON operands in assembler syntax; see `neon.rs`.
    text: &'static str,
    meaning: Meaning,
    /// 1/16 cycle.
    cost: u16,
    feature: Feature,
}

/// Whether a NEON family has second members for the upper half of a register.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Halves {
    None,
    /// They read the upper half of their narrow operands.
    Source,
    /// They keep the lower half of a further first operand, and write the upper half.
    Result,
}

const VECTORS: [Kind; 4] = [Kind::Vector; 4];

impl Family {
    /// A family whose `arity` operands and result are vectors.
    const fn new(
        stem: &'static str,
        members: &'static [(&'static str, u32)],
        arity: usize,
        meaning: Meaning,
        cost: u16,
        feature: Feature,
    ) -> Family {
        Family {
            stem,
            mnemonic: None,
            members,
            args: VECTORS.split_at(arity).0,
            result: Kind::Vector,
            imm: Imm::None,
            swaps: false,
            tied: false,
            halves: Halves::None,
            text: "",
            meaning,
            cost,
            feature,
        }
    }

    /// Its first two operands, or the two after an accumulator, may be swapped.
    const fn swaps(mut self) -> Family {
        self.swaps = true;
        self
    }

    /// It overwrites its first operand.
    const fn tied(mut self) -> Family {
        self.tied = true;
        self
    }

    const fn imm(mut self, imm: Imm) -> Family {
        self.imm = imm;
        self
    }

    const fn called(mut self, mnemonic: &'static str) -> Family {
        self.mnemonic = Some(mnemonic);
        self
    }

    const fn kinds(mut self, args: &'static [Kind], result: Kind) -> Family {
        self.args = args;
        self.result = result;
        self
    }
}

/// A member of a family.
struct Row {
    name: String,
    mnemonic: String,
    target: Target,
    family: &'static Family,
    args: &'static [Kind],
    tied: bool,
    /// Bits in a lane of the operands.
    lane: u32,
    /// The member for the upper half of a register.
    high: bool,
}

static ROWS: LazyLock<Vec<Row>> = LazyLock::new(|| {
    let mut rows = Vec::new();
    x64::FAMILIES.iter().for_each(|family| x64::rows(family, &mut rows));
    neon::FAMILIES.iter().for_each(|family| neon::rows(family, &mut rows));
    rows
});

static BY_NAME: LazyLock<HashMap<&'static str, MachineOp>> =
    LazyLock::new(|| MachineOp::all().map(|op| (op.name(), op)).collect());

/// A machine op. Its number may change with the tables; its name is what is written down.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MachineOp(u16);

impl MachineOp {
    /// Every op of every target.
    pub fn all() -> impl Iterator<Item = MachineOp> {
        (0..ROWS.len() as u16).map(MachineOp)
    }

    /// The op that rules call `name`.
    pub fn by_name(name: &str) -> Option<MachineOp> {
        BY_NAME.get(name).copied()
    }

    fn row(self) -> &'static Row {
        &ROWS[usize::from(self.0)]
    }

    /// Its name in rules: the target, the mnemonic, and for NEON the arrangement of the operands
    /// (the narrow ones, where they differ in width; for narrowing ops the wide ones).
    pub fn name(self) -> &'static str {
        &self.row().name
    }

    /// The assembler mnemonic.
    pub fn mnemonic(self) -> &'static str {
        &self.row().mnemonic
    }

    /// The instruction set.
    pub fn target(self) -> Target {
        self.row().target
    }

    /// What its operands are, immediates left out.
    pub fn args(self) -> &'static [Kind] {
        self.row().args
    }

    /// What its result is.
    pub fn result(self) -> Kind {
        self.row().family.result
    }

    /// The immediates it can have, or `None` if it has none and takes 0.
    pub fn imm_range(self) -> Option<RangeInclusive<u32>> {
        let row = self.row();
        let (w, n) = (row.lane, 128 / row.lane);
        Some(match row.family.imm {
            Imm::None => return None,
            Imm::UpTo(last) => 0..=last,
            Imm::Left => 0..=w - 1,
            Imm::Right => 1..=w,
            Imm::Narrowing => 1..=w / 2,
            Imm::Lane => 0..=n - 1,
            Imm::TwoLanes => 0..=n * n - 1,
        })
    }

    /// Two operands that may be swapped.
    pub fn commutes(self) -> Option<(usize, usize)> {
        let row = self.row();
        let first = usize::from(row.tied);
        row.family.swaps.then_some((first, first + 1))
    }

    /// Whether the result overwrites the first operand.
    pub fn is_tied(self) -> bool {
        self.row().tied
    }

    /// Bits in a lane of its operands; of the narrow ones, where they differ.
    pub fn lane_bits(self) -> u32 {
        self.row().lane
    }

    /// Reciprocal throughput in 1/16 cycle.
    ///
    /// Source: LLVM 19's scheduling models, as `llvm-mca` reports them: Zen 3 for AVX2,
    /// Sapphire Rapids for AVX-512, Neoverse V2 for AArch64.
    pub fn cost(self) -> u16 {
        self.row().family.cost
    }

    /// What the processor must have.
    pub fn feature(self) -> Feature {
        self.row().family.feature
    }

    /// The instruction in assembler syntax (Intel's for x64).
    ///
    /// Register 0 holds the result. Operand i is in register i + 1, or in register i if the op is
    /// tied; general registers are counted from `r8` on x64.
    pub fn assembly(self, imm: u32) -> String {
        match self.target() {
            Target::X64 => x64::assembly(self.row(), imm),
            Target::A64 => neon::assembly(self.row(), imm),
        }
    }
}

impl fmt::Display for MachineOp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Debug for MachineOp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What `op` computes from `args`, in the domain `d`, each operand as wide as its [`Kind`].
///
/// # Errors
/// [`MachineError`] for a wrong number of operands and for impossible immediates.
pub fn apply<D: Domain>(
    d: &mut D,
    op: MachineOp,
    imm: u32,
    args: &[D::Bits],
) -> Result<D::Bits, MachineError> {
    let expected = op.args().len();
    if args.len() != expected {
        return Err(MachineError::Operands { op, expected, found: args.len() });
    }
    let fits = op.imm_range().map_or(imm == 0, |range| range.contains(&imm));
    if !fits {
        return Err(MachineError::Immediate { op, imm });
    }
    let row = op.row();
    Ok(meaning::apply(d, row.family.meaning, row.lane, row.high, imm, args))
}

/// [`apply`] on numbers. Bits above the width of an operand are ignored.
///
/// # Errors
/// Those of [`apply`].
pub fn eval(op: MachineOp, imm: u32, args: &[u128]) -> Result<u128, MachineError> {
    let kinds = op.args().iter().map(|kind| u128::MAX >> (128 - kind.bits()));
    let clean: Vec<u128> = args
        .iter()
        .zip(kinds.chain(std::iter::repeat(u128::MAX)))
        .map(|(arg, mask)| arg & mask)
        .collect();
    apply(&mut Concrete, op, imm, &clean)
}

//! Terms of both sides of a lowering rule: CLIF over leaves, and machine ops over the same leaves.
//!
//! A term says what it computes in any domain, and how it is written in rules. Invariant: every
//! term is 128 bits wide, but for shift amounts, which stand only where one belongs.

use egraft_ir::machine::{self, Feature, Kind, MachineOp};
use egraft_ir::semantics::{self, Domain};
use egraft_ir::{ImmKind, IntCc, Node, Op, Ty, TypeRule};
use std::fmt::Write as _;

/// Names of leaves by number, as rules write them.
pub const LEAVES: [&str; 4] = ["x", "y", "z", "w"];

/// A CLIF term.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Clif {
    /// A vector from outside.
    Leaf(u8),
    /// A constant with one number in every lane.
    Splat(Ty, u64),
    /// A shift amount, an `i32`.
    Amount(u32),
    /// An op.
    Op {
        /// Which.
        op: Op,
        /// The type rules write after it.
        ty: Ty,
        /// Its immediate, or 0.
        imm: u128,
        /// Its operands.
        args: Vec<Clif>,
    },
}

impl Clif {
    /// An op without immediate.
    pub fn op(op: Op, ty: Ty, args: Vec<Clif>) -> Clif {
        Clif::Op { op, ty: written_type(op, ty), imm: 0, args }
    }

    /// A shuffle of bytes.
    pub fn shuffle(mask: u128, x: Clif, y: Clif) -> Clif {
        Clif::Op { op: Op::Shuffle, ty: Ty::I8X16, imm: mask, args: vec![x, y] }
    }

    /// The node of an op, without its operands.
    pub(super) fn node(op: Op, ty: Ty, imm: u128) -> Node {
        let ty = written_type(op, ty);
        Node::detached(op, ty, source_type(op, ty).unwrap_or(ty), imm)
    }

    /// What the term computes.
    ///
    /// # Panics
    /// If the term is ill-typed or has more leaves than are given.
    pub fn value<D: Domain>(&self, d: &mut D, leaves: &[D::Bits]) -> D::Bits {
        match self {
            Clif::Leaf(at) => leaves[usize::from(*at)].clone(),
            Clif::Splat(ty, number) => d.constant(128, ty.splat_bits(u128::from(*number))),
            Clif::Amount(n) => d.constant(32, u128::from(*n)),
            Clif::Op { op, ty, imm, args } => {
                let args: Vec<D::Bits> = args.iter().map(|arg| arg.value(d, leaves)).collect();
                semantics::apply(d, &Clif::node(*op, *ty, *imm), &args)
                    .expect("terms are well typed")
            }
        }
    }

    /// Number of ops.
    pub fn ops(&self) -> usize {
        match self {
            Clif::Op { args, .. } => 1 + args.iter().map(Clif::ops).sum::<usize>(),
            _ => 0,
        }
    }

    /// Ops on the longest path from the root.
    pub fn depth(&self) -> usize {
        match self {
            Clif::Op { args, .. } => 1 + args.iter().map(Clif::depth).max().unwrap_or(0),
            _ => 0,
        }
    }

    /// The leaves that it reads, as a bit each.
    pub fn reads(&self) -> u8 {
        match self {
            Clif::Leaf(at) => 1 << at,
            Clif::Op { args, .. } => args.iter().fold(0, |all, arg| all | arg.reads()),
            _ => 0,
        }
    }

    /// One more than the greatest leaf, and 0 if there is none.
    pub fn leaves(&self) -> u8 {
        match self {
            Clif::Leaf(at) => at + 1,
            Clif::Op { args, .. } => args.iter().map(Clif::leaves).max().unwrap_or(0),
            _ => 0,
        }
    }

    /// The term as rules write it.
    pub fn isle(&self) -> String {
        match self {
            Clif::Leaf(at) => LEAVES[usize::from(*at)].to_owned(),
            Clif::Splat(ty, number) => format!("(k {} {})", isle_type(*ty), isle_number(*number)),
            Clif::Amount(n) => format!("(k $I32 {n})"),
            Clif::Op { op, ty, imm, args } => {
                let mut text = format!("({op}");
                // Ops with one legal type write none.
                if !matches!(op.types(), egraft_ir::TypeSet::Only([_])) {
                    let _ = write!(text, " {}", isle_type(*ty));
                }
                if let Some(from) = source_type(*op, *ty) {
                    let _ = write!(text, " {}", isle_type(from));
                }
                match op.imm_kind() {
                    ImmKind::IntCc => {
                        let code = IntCc::from_imm(*imm).expect("terms are well formed");
                        let _ = write!(text, " (IntCc.{code:?})");
                    }
                    ImmKind::Mask => {
                        let _ = write!(text, " {imm:#034x}");
                    }
                    _ => {}
                }
                for arg in args {
                    let _ = write!(text, " {}", arg.isle());
                }
                text + ")"
            }
        }
    }

    /// The term as text without types but those that tell, for people to read.
    pub fn short(&self) -> String {
        match self {
            Clif::Splat(ty, number) => {
                let w = ty.lane_bits();
                let signed = ((*number << (64 - w)) as i64) >> (64 - w);
                match signed {
                    -256..=256 => signed.to_string(),
                    _ => format!("{number:#x}"),
                }
            }
            Clif::Amount(n) => n.to_string(),
            Clif::Leaf(_) => self.isle(),
            Clif::Op { op, ty, imm, args } => {
                let mut text = format!("{op}");
                if op.type_rule() != TypeRule::Bits {
                    let _ = write!(text, ".{ty}");
                }
                match op.imm_kind() {
                    ImmKind::IntCc => {
                        let _ = write!(text, ".{}", IntCc::from_imm(*imm).map_or("", IntCc::name));
                    }
                    ImmKind::Mask => {
                        let _ = write!(text, "[{}]", mask_text(*imm));
                    }
                    _ => {}
                }
                let args: Vec<String> = args.iter().map(Clif::short).collect();
                format!("{text}({})", args.join(", "))
            }
        }
    }
}

/// A shuffle mask by its bytes, byte 0 first.
fn mask_text(mask: u128) -> String {
    let bytes: Vec<String> = mask.to_le_bytes().iter().map(u8::to_string).collect();
    bytes.join(" ")
}

/// The type that rules write after `op` on values of lanes `ty`.
fn written_type(op: Op, ty: Ty) -> Ty {
    if op.type_rule() == TypeRule::Bits { Ty::I8X16 } else { ty }
}

/// The type that a conversion to `ty` starts from, which rules write too; lanes are of one width.
fn source_type(op: Op, ty: Ty) -> Option<Ty> {
    match op {
        Op::FcvtToSintSat | Op::FcvtToUintSat => match ty {
            Ty::I32X4 => Some(Ty::F32X4),
            Ty::I64X2 => Some(Ty::F64X2),
            _ => None,
        },
        Op::FcvtFromSint | Op::FcvtFromUint => Some(ty.as_int()),
        _ => None,
    }
}

/// A type as rules write it.
fn isle_type(ty: Ty) -> String {
    format!("${}", ty.name().to_uppercase())
}

fn isle_number(number: u64) -> String {
    if number < 4096 { number.to_string() } else { format!("{number:#x}") }
}

/// A term of machine ops.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Machine {
    /// A vector from outside.
    Leaf(u8),
    /// A constant, which takes an instruction to load.
    Splat(Ty, u64),
    /// An op.
    Op {
        /// Which.
        op: MachineOp,
        /// Its immediate, or 0.
        imm: u32,
        /// Its operands.
        args: Vec<Machine>,
    },
}

impl Machine {
    /// What the term computes.
    ///
    /// # Panics
    /// If an op has the wrong operands or immediate, or there are more leaves than are given.
    pub fn value<D: Domain>(&self, d: &mut D, leaves: &[D::Bits]) -> D::Bits {
        match self {
            Machine::Leaf(at) => leaves[usize::from(*at)].clone(),
            Machine::Splat(ty, number) => d.constant(128, ty.splat_bits(u128::from(*number))),
            Machine::Op { op, imm, args } => {
                let args: Vec<D::Bits> = args.iter().map(|arg| arg.value(d, leaves)).collect();
                machine::apply(d, *op, *imm, &args).expect("terms are well formed")
            }
        }
    }

    /// The leaves that it reads, as a bit each.
    pub fn reads(&self) -> u8 {
        match self {
            Machine::Leaf(at) => 1 << at,
            Machine::Op { args, .. } => args.iter().fold(0, |all, arg| all | arg.reads()),
            Machine::Splat(..) => 0,
        }
    }

    /// Instructions that it takes: ops, and loads of constants.
    pub fn instructions(&self) -> usize {
        match self {
            Machine::Leaf(_) => 0,
            Machine::Splat(..) => 1,
            Machine::Op { args, .. } => 1 + args.iter().map(Machine::instructions).sum::<usize>(),
        }
    }

    /// Reciprocal throughput in 1/16 cycle; loads of constants are free where they are hoisted.
    pub fn cost(&self) -> u32 {
        match self {
            Machine::Op { op, args, .. } => {
                u32::from(op.cost()) + args.iter().map(Machine::cost).sum::<u32>()
            }
            _ => 0,
        }
    }

    /// What the processor must have, each feature once.
    pub fn features(&self) -> Vec<Feature> {
        let mut features = Vec::new();
        self.walk(&mut |op, _| features.push(op.feature()));
        features.sort();
        features.dedup();
        features
    }

    /// Calls `visit` for every op, innermost first, with its immediate.
    pub fn walk(&self, visit: &mut impl FnMut(MachineOp, u32)) {
        if let Machine::Op { op, imm, args } = self {
            args.iter().for_each(|arg| arg.walk(visit));
            visit(*op, *imm);
        }
    }

    /// The outermost op.
    ///
    /// # Panics
    /// If there is none.
    pub fn root(&self) -> MachineOp {
        match self {
            Machine::Op { op, .. } => *op,
            _ => panic!("a machine term has an op at its root"),
        }
    }

    /// The term as rules write it.
    pub fn isle(&self) -> String {
        match self {
            Machine::Leaf(at) => LEAVES[usize::from(*at)].to_owned(),
            Machine::Splat(ty, number) => {
                format!("(k {} {})", isle_type(*ty), isle_number(*number))
            }
            Machine::Op { op, imm, args } => {
                let mut text = format!("({op}");
                if op.imm_range().is_some() {
                    let _ = write!(text, " {imm}");
                }
                for arg in args {
                    let _ = write!(text, " {}", arg.isle());
                }
                text + ")"
            }
        }
    }

    /// Whether an op has vectors only.
    pub(super) fn is_vector(op: MachineOp) -> bool {
        op.result() == Kind::Vector && op.args().iter().all(|kind| *kind == Kind::Vector)
    }
}

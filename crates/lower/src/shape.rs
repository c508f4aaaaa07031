//! Shapes of tiles: a node with the part of its operand tree that a target may select with it.
//!
//! A shape is the key under which a lowering is priced once. Invariant: two tiles of one shape
//! lower to the same machine instructions, up to registers and the values of large constants.

use egraft_ir::{ImmKind, Node, Op, Ty, TypeRule};
use std::hash::Hash;

/// What stands at the root of a priced tile.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Context {
    /// The value itself.
    Value,
    /// The address of a load.
    Address,
    /// The condition of a branch.
    Branch,
}

impl Context {
    pub(crate) const ALL: [Context; 3] = [Context::Value, Context::Address, Context::Branch];
}

/// A tile, pre-order: each item is followed by its operands.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Shape {
    pub(crate) context: Context,
    pub(crate) items: Vec<Item>,
}

/// One place in a [`Shape`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Item {
    /// Any value of this type, in a register; equal numbers are equal values.
    Reg(Ty, u8),
    /// A constant. Scalars and vectors that targets treat alike share one representative.
    Const(Ty, u128),
    /// An op with its types and immediate.
    Op { op: Op, ty: Ty, from: Ty, imm: u128 },
}

/// The item of a node that is neither a leaf nor a constant.
pub(crate) fn op_item(node: &Node) -> Item {
    let imm = match node.op.imm_kind() {
        ImmKind::None | ImmKind::Index | ImmKind::Bits => 0,
        ImmKind::IntCc | ImmKind::FloatCc | ImmKind::Lane | ImmKind::Mask => node.imm,
    };
    Item::Op { op: node.op, ty: node.ty, from: node.from, imm }
}

/// The item of a constant under operand `index` of `parent`: only what can change the lowering is
/// kept of its value.
pub(crate) fn const_item(parent: Op, index: usize, ty: Ty, bits: u128) -> Item {
    if ty.is_vector() {
        return Item::Const(ty, vector_representative(parent, index, bits));
    }
    if ty.is_float() {
        return Item::Const(ty, if bits == 0 { 0 } else { 0x3f9d_70a4 });
    }
    if matches!(parent.type_rule(), TypeRule::Shift) && index == 1 {
        return Item::Const(ty, amount_representative(parent, bits));
    }
    let exact = match parent {
        Op::Udiv | Op::Urem | Op::Sdiv | Op::Srem => true,
        Op::Imul => bits.is_power_of_two(),
        // Targets extend instead of masking.
        Op::Band => matches!(bits, 0xff | 0xffff | 0xffff_ffff),
        _ => false,
    };
    if exact || index == 0 && parent == Op::Select {
        return Item::Const(ty, bits);
    }
    let shift = 128 - ty.bits();
    let signed = ((bits << shift) as i128) >> shift;
    let representative = match signed {
        -1..=1 => signed,
        -128..=127 => 100,
        -0x8000_0000..=0x7fff_ffff => 0x12_3456,
        _ => 0x1234_5678_9abc_def0,
    };
    Item::Const(ty, representative as u128 & ty.mask())
}

/// What addresses can scale by, whole bytes, the last bit of a lane or register, and all others.
fn amount_representative(shift: Op, bits: u128) -> u128 {
    let scales = shift == Op::Ishl && bits <= 3;
    if scales || bits.is_multiple_of(8) || (bits + 1).is_multiple_of(8) || bits > 64 {
        bits
    } else {
        5
    }
}

/// Zero, all ones, and everything else; selectors and masks keep their bits.
fn vector_representative(parent: Op, index: usize, bits: u128) -> u128 {
    let exact = match parent {
        Op::Swizzle | Op::X86Pshufb | Op::IaddPairwise => true,
        Op::Bitselect | Op::Blendv => index == 0,
        _ => false,
    };
    if exact || bits == 0 || bits == u128::MAX {
        return bits;
    }
    0x0123_4567_89ab_cdef_0011_2233_4455_6677
}

/// Whether some target selects `child` together with `parent`, so that the two are to be priced
/// as one. Saying yes needlessly costs compile time, never correctness.
pub(crate) fn may_fuse(context: Context, parent: &Node, child: Op) -> bool {
    use Op::*;
    match parent.op {
        IaddPairwise => {
            matches!(child, Imul | UwidenLow | UwidenHigh | SwidenLow | SwidenHigh | IaddPairwise)
        }
        Imul => matches!(
            child,
            UwidenLow | UwidenHigh | SwidenLow | SwidenHigh | Splat | Sextend | Uextend
        ),
        // Sums of sums only where products are widened to: what is found there is worth the time.
        Iadd if parent.ty.is_vector() && parent.ty != Ty::I32X4 => {
            matches!(child, Imul | IaddPairwise)
        }
        Iadd => {
            matches!(child, Iadd | Ishl | Imul | IaddPairwise)
                || context == Context::Address && matches!(child, Uextend | Sextend | Iadd)
        }
        Isub => matches!(child, Imul),
        Ushr | Sshr => matches!(child, Imul | Iadd),
        Snarrow | Unarrow | Uunarrow => matches!(child, Sshr | FcvtToUintSat | FcvtToSintSat),
        Band | Bor | Bxor => matches!(child, Bnot | Ishl | Ushr),
        Bnot => matches!(child, Icmp | Fcmp),
        Select => matches!(child, Icmp | Fcmp | Uextend | VanyTrue | VallTrue | Band),
        Bitselect => matches!(child, Icmp | Fcmp),
        Uextend => {
            matches!(child, Icmp | Fcmp | Extractlane | VanyTrue | VallTrue | Ireduce)
                || context == Context::Address && matches!(child, Iadd)
        }
        Sextend => matches!(child, Extractlane | Ireduce),
        VanyTrue | VallTrue => matches!(child, Icmp),
        Icmp => matches!(child, Band | VhighBits | Icmp | Uextend),
        FcvtFromUint | FcvtFromSint => {
            matches!(child, UwidenLow | UwidenHigh | SwidenLow | Uextend | Sextend)
        }
        FcvtToUintSat | FcvtToSintSat => matches!(child, Trunc),
        Splat => matches!(child, Extractlane | Ireduce),
        Insertlane => matches!(child, Extractlane),
        FvpromoteLow => matches!(child, Shuffle),
        Fadd | Fsub => matches!(child, Fmul),
        Fma => matches!(child, Fneg),
        _ => false,
    }
}

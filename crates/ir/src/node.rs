//! E-nodes and the ids of e-classes.

use crate::{FloatCc, ImmKind, IntCc, Op, Ty};
use std::fmt;

/// An e-class.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClassId(pub u32);

impl ClassId {
    /// Stands in unused operand slots.
    pub const NONE: ClassId = ClassId(u32::MAX);

    /// The id as an index.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

impl fmt::Debug for ClassId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "c{}", self.0)
    }
}

impl fmt::Display for ClassId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "c{}", self.0)
    }
}

/// An e-node: an op with its types, its immediate and its operand classes.
///
/// `ty` is the type that rules write after the op (see [`crate::TypeRule`]); `from` is the operand
/// type of conversions and equals `ty` everywhere else. Unused operand slots hold
/// [`ClassId::NONE`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Node {
    /// What it computes.
    pub op: Op,
    /// The type it works in.
    pub ty: Ty,
    /// The operand type of conversions.
    pub from: Ty,
    /// The immediate, as [`Op::imm_kind`] reads it.
    pub imm: u128,
    /// Operand classes.
    pub args: [ClassId; 3],
}

impl Node {
    /// A node without immediate; `from` is `ty`.
    pub fn new(op: Op, ty: Ty, args: &[ClassId]) -> Node {
        Node::with_imm(op, ty, 0, args)
    }

    /// A node with an immediate; `from` is `ty`.
    pub fn with_imm(op: Op, ty: Ty, imm: u128, args: &[ClassId]) -> Node {
        let mut slots = [ClassId::NONE; 3];
        slots[..args.len()].copy_from_slice(args);
        Node { op, ty, from: ty, imm, args: slots }.canonical_types()
    }

    /// A conversion from `from` to `ty`.
    pub fn convert(op: Op, ty: Ty, from: Ty, arg: ClassId) -> Node {
        Node { op, ty, from, imm: 0, args: [arg, ClassId::NONE, ClassId::NONE] }
    }

    /// A constant; vectors are written `i8x16`.
    pub fn constant(ty: Ty, bits: u128) -> Node {
        Node::with_imm(Op::Const, ty, bits & ty.mask(), &[])
    }

    /// Writes the vector type of ops that do not look at lanes as `i8x16`, so that equal bits are
    /// equal nodes.
    fn canonical_types(mut self) -> Node {
        use crate::TypeRule;
        if matches!(self.op.type_rule(), TypeRule::Bits | TypeRule::Select | TypeRule::Leaf) {
            self.ty = self.ty.value();
            self.from = self.ty;
        }
        self
    }

    /// The operand classes in use.
    pub fn args(&self) -> &[ClassId] {
        let used = self.args.iter().position(|arg| *arg == ClassId::NONE).unwrap_or(3);
        &self.args[..used]
    }

    /// The operand classes in use, to be rewritten.
    pub fn args_mut(&mut self) -> &mut [ClassId] {
        let used = self.args.iter().position(|arg| *arg == ClassId::NONE).unwrap_or(3);
        &mut self.args[..used]
    }

    /// The same with the operands of commutative ops in ascending order.
    #[must_use]
    pub fn sorted(mut self) -> Node {
        if self.op.is_commutative() && self.args[0] > self.args[1] {
            self.args.swap(0, 1);
        }
        self
    }

    /// The type of the result as the op gives it (lanes kept).
    ///
    /// # Panics
    /// Never for a node whose types its op allows.
    pub fn result_type(&self) -> Ty {
        self.op.result_type(self.ty).expect("node types were checked when it was made")
    }

    /// Whether types and operand count fit the op.
    pub fn is_well_typed(&self) -> bool {
        self.op.is_leaf()
            || self.args().len() == self.op.arity() && self.op.allows(self.ty, self.from)
    }

    fn imm_text(&self) -> String {
        match self.op.imm_kind() {
            ImmKind::None => String::new(),
            ImmKind::IntCc => IntCc::from_imm(self.imm).map_or("?", IntCc::name).to_owned(),
            ImmKind::FloatCc => FloatCc::from_imm(self.imm).map_or("?", FloatCc::name).to_owned(),
            ImmKind::Lane | ImmKind::Index => self.imm.to_string(),
            ImmKind::Bits | ImmKind::Mask => format!("{:#x}", self.imm),
        }
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.op, self.ty)?;
        if self.from != self.ty {
            write!(f, ".{}", self.from)?;
        }
        let imm = self.imm_text();
        if !imm.is_empty() {
            write!(f, " {imm}")?;
        }
        for (at, arg) in self.args().iter().enumerate() {
            write!(f, "{}{arg}", if at == 0 && imm.is_empty() { " " } else { ", " })?;
        }
        Ok(())
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_fits_half_a_cache_line() {
        assert_eq!(size_of::<Node>(), 32);
    }

    #[test]
    fn bit_ops_forget_lanes() {
        let (a, b) = (ClassId(0), ClassId(1));
        assert_eq!(
            Node::new(Op::Band, Ty::I16X8, &[a, b]),
            Node::new(Op::Band, Ty::F32X4, &[a, b])
        );
        assert_ne!(
            Node::new(Op::Iadd, Ty::I16X8, &[a, b]),
            Node::new(Op::Iadd, Ty::I8X16, &[a, b])
        );
    }
}

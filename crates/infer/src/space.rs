//! The space that a workload spans: its atoms, its ops with their types, and terms over them.
//!
//! Judges nothing. Invariant: terms are typed at the workload's base type; every other type in a
//! term follows from the base by [`Chain`]s, or is fixed.

use egraft_ir::{FloatCc, ImmKind, IntCc, Node, Op, Ty, TypeRule};
use egraft_rules::Cond;

/// How a type follows from another: conditions on types, applied in turn.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Chain(pub(crate) [Option<Cond>; 2]);

const STEPS: [Cond; 5] =
    [Cond::widen_of, Cond::narrow_of, Cond::lane_of, Cond::int_of, Cond::vector_of];

fn step(cond: Cond, ty: Ty) -> Option<Ty> {
    match cond {
        Cond::widen_of => ty.widened(),
        Cond::narrow_of => ty.narrowed(),
        Cond::lane_of => Some(ty.lane()),
        Cond::int_of => Some(ty.as_int()),
        Cond::vector_of => Ty::vector_of(ty),
        _ => None,
    }
}

impl Chain {
    /// The shortest chain from `anchor` to `ty`.
    ///
    /// Conditions are `i8` whatever is compared, so beside other scalars that type stays fixed.
    pub(crate) fn between(anchor: Ty, ty: Ty) -> Option<Chain> {
        if anchor == ty {
            return Some(Chain([None, None]));
        }
        if ty == Ty::I8 && !anchor.is_vector() {
            return None;
        }
        let one = STEPS.into_iter().find(|cond| step(*cond, anchor) == Some(ty));
        if one.is_some() {
            return Some(Chain([one, None]));
        }
        STEPS.into_iter().find_map(|first| {
            let mid = step(first, anchor)?;
            let second = STEPS.into_iter().find(|cond| step(*cond, mid) == Some(ty))?;
            Some(Chain([Some(first), Some(second)]))
        })
    }

    /// The type that the chain gives for `anchor`.
    pub(crate) fn apply(self, anchor: Ty) -> Option<Ty> {
        self.0.into_iter().flatten().try_fold(anchor, |ty, cond| step(cond, ty))
    }
}

/// `ty`, seen from `anchor`, as it is seen from `other`.
pub(crate) fn retyped(anchor: Ty, other: Ty, ty: Ty) -> Option<Ty> {
    match Chain::between(anchor, ty) {
        Some(chain) => chain.apply(other),
        None => Some(ty),
    }
}

/// What a term is looked at as: a value of a type, or the amount of a shift.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) enum View {
    Of(Ty),
    Amount,
}

impl View {
    /// The type of an e-graph's leaf.
    pub(crate) fn ty(self) -> Ty {
        match self {
            View::Of(ty) => ty,
            View::Amount => Ty::I32,
        }
    }
}

/// A constant as it is written for all lane widths at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Literal {
    Int(i64),
    /// The least signed lane.
    Smin,
    /// The greatest signed lane.
    Smax,
    /// The lane width of the base minus a number.
    WidthMinus(u32),
    /// Half the lane width of the base.
    HalfWidth,
    /// Ones in the lower half of the lane.
    LowHalf,
}

impl Literal {
    /// The lane value, for a constant of type `ty` where the base is `base`.
    pub(crate) fn value(self, base: Ty, ty: Ty) -> u128 {
        let mask = ty.lane_mask();
        let number = match self {
            Literal::Int(number) => number as i128 as u128,
            Literal::Smin => 1 << (ty.lane_bits() - 1),
            Literal::Smax => mask >> 1,
            Literal::WidthMinus(less) => u128::from(base.lane_bits() - less),
            Literal::HalfWidth => u128::from(base.lane_bits() / 2),
            Literal::LowHalf => mask >> (ty.lane_bits() / 2),
        };
        number & mask
    }
}

/// What an atom stands for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// Any value.
    Var,
    /// This constant.
    Literal(Literal),
    /// Any constant, the same in every lane.
    Const,
    /// A constant that the premise computes; only on right sides.
    Derived,
}

/// A term without operands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Atom {
    pub(crate) name: String,
    pub(crate) view: View,
    pub(crate) kind: Kind,
}

impl Atom {
    pub(crate) fn is_constant(&self) -> bool {
        self.kind != Kind::Var
    }
}

/// An op as a workload may use it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct Head {
    pub(crate) op: Op,
    pub(crate) ty: Ty,
    pub(crate) from: Ty,
    pub(crate) imm: u128,
}

impl Head {
    /// A node for the evaluator.
    pub(crate) fn node(self) -> Node {
        let forgets = matches!(self.op.type_rule(), TypeRule::Bits | TypeRule::Select);
        let ty = if forgets { self.ty.value() } else { self.ty };
        let from = if has_from(self.op) { self.from } else { ty };
        Node::detached(self.op, ty, from, self.imm)
    }

    /// What operand `index` must be looked at as.
    pub(crate) fn operand(self, index: usize) -> View {
        match self.op.operand_type(self.ty, self.from, index) {
            Some(ty) => View::Of(ty),
            None if self.op.type_rule() == TypeRule::Shift => View::Amount,
            None => View::Of(Ty::I8),
        }
    }

    /// What the result is looked at as.
    pub(crate) fn result(self) -> Option<View> {
        self.op.result_type(self.ty).map(View::Of)
    }
}

/// Whether the op has an operand type of its own.
pub(crate) fn has_from(op: Op) -> bool {
    matches!(op.type_rule(), TypeRule::Convert | TypeRule::Gather)
}

/// A term.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) enum Expr {
    /// An atom, by its place in [`Space::atoms`].
    Atom(u8),
    Op(Head, Vec<Expr>),
}

impl Expr {
    /// Calls `visit` for the term and all below it, outermost first.
    pub(crate) fn walk<'a>(&'a self, visit: &mut impl FnMut(&'a Expr)) {
        visit(self);
        if let Expr::Op(_, args) = self {
            args.iter().for_each(|arg| arg.walk(visit));
        }
    }

    /// The atoms in it, 1 bit each.
    pub(crate) fn atoms(&self) -> u64 {
        let mut set = 0;
        self.walk(&mut |term| {
            if let Expr::Atom(at) = term {
                set |= 1 << at;
            }
        });
        set
    }

    /// The ops in it, outermost first.
    pub(crate) fn heads(&self) -> Vec<Head> {
        let mut heads = Vec::new();
        self.walk(&mut |term| {
            if let Expr::Op(head, _) = term {
                heads.push(*head);
            }
        });
        heads
    }

    /// The term with every type as seen from `other` instead of `anchor`.
    pub(crate) fn retyped(&self, anchor: Ty, other: Ty) -> Option<Expr> {
        Some(match self {
            Expr::Atom(at) => Expr::Atom(*at),
            Expr::Op(head, args) => {
                let head = Head {
                    ty: retyped(anchor, other, head.ty)?,
                    from: retyped(anchor, other, head.from)?,
                    ..*head
                };
                let args: Option<Vec<Expr>> =
                    args.iter().map(|arg| arg.retyped(anchor, other)).collect();
                Expr::Op(head, args?)
            }
        })
    }
}

/// Atoms and ops of a workload.
#[derive(Clone, Debug)]
pub(crate) struct Space {
    pub(crate) base: Ty,
    pub(crate) atoms: Vec<Atom>,
    pub(crate) heads: Vec<Head>,
}

impl Space {
    pub(crate) fn atom(&self, name: &str) -> Option<u8> {
        self.atoms.iter().position(|atom| atom.name == name).map(|at| at as u8)
    }

    /// Whether the term is a constant in every match, so that e-graphs fold it.
    pub(crate) fn is_constant(&self, term: &Expr) -> bool {
        match term {
            Expr::Atom(at) => self.atoms[*at as usize].is_constant(),
            Expr::Op(_, args) => args.iter().all(|arg| self.is_constant(arg)),
        }
    }

    /// Whether the term may be a left side: it has an op at its root, nothing that folds, and
    /// nothing that only a premise gives.
    pub(crate) fn is_left_side(&self, term: &Expr) -> bool {
        let mut fits = matches!(term, Expr::Op(..));
        term.walk(&mut |part| match part {
            Expr::Op(..) => fits &= !self.is_constant(part),
            Expr::Atom(at) => fits &= self.atoms[*at as usize].kind != Kind::Derived,
        });
        fits
    }

    /// What the term costs, in quarters of a simple op; constants are free.
    pub(crate) fn cost(&self, term: &Expr) -> u32 {
        match term {
            Expr::Atom(_) => 0,
            Expr::Op(..) if self.is_constant(term) => 0,
            Expr::Op(head, args) => {
                op_cost(head.op) + args.iter().map(|arg| self.cost(arg)).sum::<u32>()
            }
        }
    }

    /// Order among equal terms: cheap, then small, then with more of what is general.
    pub(crate) fn rank(&self, term: &Expr) -> (u32, u32, u32) {
        let (mut size, mut special) = (0, 0);
        term.walk(&mut |part| match part {
            Expr::Atom(at) => {
                size += 1;
                special += match self.atoms[*at as usize].kind {
                    Kind::Var => 0,
                    Kind::Const | Kind::Derived => 1,
                    Kind::Literal(_) => 2,
                };
            }
            Expr::Op(..) => size += 1,
        });
        (self.cost(term), size, special)
    }

    /// The term as text, with atoms named by `name`; operands of commutative ops are sorted.
    pub(crate) fn text(&self, term: &Expr, name: &impl Fn(u8) -> String) -> String {
        match term {
            Expr::Atom(at) => name(*at),
            Expr::Op(head, args) => {
                let mut texts: Vec<String> = args.iter().map(|arg| self.text(arg, name)).collect();
                if head.op.is_commutative() {
                    texts[..2].sort();
                }
                let mut text = format!("({}.{}", head.op, head.ty);
                if head.from != head.ty {
                    text += &format!(".{}", head.from);
                }
                match head.op.imm_kind() {
                    ImmKind::IntCc => {
                        text += &format!(" {}", IntCc::from_imm(head.imm).map_or("?", IntCc::name));
                    }
                    ImmKind::FloatCc => {
                        let code = FloatCc::from_imm(head.imm);
                        text += &format!(" {}", code.map_or("?", FloatCc::name));
                    }
                    ImmKind::None => {}
                    _ => text += &format!(" {:#x}", head.imm),
                }
                for one in texts {
                    text.push(' ');
                    text += &one;
                }
                text + ")"
            }
        }
    }
}

/// What an op costs, in quarters of a simple one. Only orients rules; which form a target likes
/// best is decided when code is extracted.
pub(crate) fn op_cost(op: Op) -> u32 {
    match op {
        Op::Imul | Op::Umulhi | Op::Smulhi => 12,
        Op::SqmulRoundSat | Op::IaddPairwise | Op::Popcnt => 8,
        Op::Udiv | Op::Sdiv | Op::Urem | Op::Srem => 80,
        Op::Fdiv | Op::Sqrt => 40,
        Op::Fadd | Op::Fsub | Op::Fmul | Op::Fma | Op::Fmin | Op::Fmax => 8,
        Op::Ceil | Op::Floor | Op::Trunc | Op::Nearest => 8,
        Op::FcvtFromUint | Op::FcvtToUintSat | Op::FcvtFromSint | Op::FcvtToSintSat => 10,
        Op::Bitselect | Op::Select | Op::Swizzle => 6,
        Op::Splat | Op::Extractlane | Op::Insertlane | Op::Shuffle => 5,
        _ => 4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_follow_from_an_anchor() {
        let chain = Chain::between(Ty::I8X16, Ty::I16).unwrap();
        assert_eq!(chain.apply(Ty::I16X8), Some(Ty::I32));
        assert_eq!(retyped(Ty::F32X4, Ty::F64X2, Ty::I32X4), Some(Ty::I64X2));
        assert_eq!(retyped(Ty::I32X4, Ty::I64X2, Ty::I64X2), None);
        assert_eq!(retyped(Ty::I16, Ty::I64, Ty::I8), Some(Ty::I8));
    }
}

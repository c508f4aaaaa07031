//! What a matcher needs of an e-graph, and what it hands back.
//!
//! Nothing here knows of ISLE. Invariant: a [`Match`] means the same for the interpreter and for
//! generated code; both fill its slots in the order of [`crate::Rule::vars`].

use egraft_ir::{ClassId, Facts, FloatCc, IntCc, Node, Ty};
use smallvec::SmallVec;
use std::fmt;

/// The most matches that one rule may find at one root node; further ones are not looked for.
pub const MATCHES_PER_RULE: usize = 64;

/// The most nodes that one rule may look at from one root node.
pub const NODES_PER_RULE: u32 = 4096;

/// A rule, by its place in its [`crate::RuleSet`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RuleId(pub u16);

impl RuleId {
    /// The id as an index.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

impl fmt::Debug for RuleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "r{}", self.0)
    }
}

/// Facts about classes, as the conditions of rules read them.
pub trait FactSource {
    /// The bits of a class known to be a constant, in the low [`Ty::bits`] of its value type.
    fn constant(&self, class: ClassId) -> Option<u128>;

    /// All that is known of a class.
    fn facts(&self, class: ClassId) -> Facts;

    /// The value type of a class: a scalar type, or `i8x16` for every vector.
    fn class_type(&self, class: ClassId) -> Ty;
}

/// An e-graph that can be searched.
pub trait MatchGraph: FactSource {
    /// The nodes of a class; operands are canonical ids.
    fn nodes(&self, class: ClassId) -> &[Node];

    /// The canonical id of a class.
    fn find(&self, class: ClassId) -> ClassId;

    /// The nodes of a class that matching looks at: the first ones, for a class of constants or
    /// booleans may hold thousands, and patterns nest.
    fn candidates(&self, class: ClassId) -> &[Node] {
        let nodes = self.nodes(class);
        &nodes[..nodes.len().min(MOST_CANDIDATES)]
    }
}

/// How many nodes of a class matching looks at.
const MOST_CANDIDATES: usize = 32;

/// An e-graph that can grow.
pub trait BuildGraph {
    /// The class of `node`, which is added if it is new. The node is well typed.
    fn add(&mut self, node: Node) -> ClassId;

    /// The value type of a class: a scalar type, or `i8x16` for every vector.
    fn class_type(&self, class: ClassId) -> Ty;
}

/// The values of a rule's variables, one slot each; see [`slot`] for how they are written.
pub type Binds = SmallVec<[u128; 6]>;

/// One way a rule's left side occurs at a node.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Match {
    /// The rule that matched.
    pub rule: RuleId,
    /// The class of the root node: the right side equals it.
    pub class: ClassId,
    /// The variables of the rule.
    pub binds: Binds,
}

/// How the values of variables are written into the `u128` slots of a [`Match`].
pub mod slot {
    use super::*;

    /// A class as a slot.
    #[inline]
    pub const fn of_class(class: ClassId) -> u128 {
        class.0 as u128
    }

    /// The class of a slot.
    #[inline]
    pub const fn class(slot: u128) -> ClassId {
        ClassId(slot as u32)
    }

    /// A type as a slot.
    #[inline]
    pub const fn of_ty(ty: Ty) -> u128 {
        ty as u8 as u128
    }

    /// The type of a slot.
    ///
    /// # Panics
    /// If the slot was not written by [`of_ty`].
    #[inline]
    pub const fn ty(slot: u128) -> Ty {
        Ty::ALL[slot as usize]
    }

    /// The integer condition code of a slot or immediate.
    ///
    /// # Panics
    /// If the slot holds no code.
    #[inline]
    pub const fn int_cc(slot: u128) -> IntCc {
        IntCc::ALL[slot as usize]
    }

    /// The float condition code of a slot or immediate.
    ///
    /// # Panics
    /// If the slot holds no code.
    #[inline]
    pub const fn float_cc(slot: u128) -> FloatCc {
        FloatCc::ALL[slot as usize]
    }
}

/// What is known of a rule at run time, for reports.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RuleMeta {
    /// The rule's name.
    pub name: &'static str,
    /// The line of reason above it.
    pub reason: &'static str,
    /// The file it stands in.
    pub file: &'static str,
    /// The line it starts on, from 1.
    pub line: u32,
    /// The left side with its conditions, as ISLE text.
    pub lhs: &'static str,
    /// The right side as ISLE text.
    pub rhs: &'static str,
}

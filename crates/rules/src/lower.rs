//! Lowering rules as data: a CLIF pattern, and the machine ops that compute it.
//!
//! Left sides are those of rewrite rules. Invariant: a rule that was loaded has a CLIF op at its
//! root on the left and a machine op on the right, of one target, with legal immediates where they
//! are numbers.

use crate::rule::{Condition, Pattern, Ref, Show, Var, VarId, show_as, show_number};
use crate::{Place, RuleErrors, Sort, Source};
use egraft_ir::machine::MachineOp;
use std::fmt;
use std::path::Path;

/// The right side of a lowering rule, or a part of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum MachineTemplate {
    /// The value of a variable.
    Var(VarId),
    /// A constant with a number in every lane of a type.
    Splat {
        /// The lane type.
        ty: Ref,
        /// The number, taken modulo the lane width.
        value: Ref,
    },
    /// A 128-bit vector constant.
    Bits {
        /// Its bits.
        value: Ref,
    },
    /// A machine op.
    Op {
        /// Which.
        op: MachineOp,
        /// Its immediate, where it has one.
        imm: Option<Ref>,
        /// Its operands.
        args: Vec<MachineTemplate>,
    },
}

/// A lowering rule: wherever the left side occurs and the conditions hold, the machine ops compute
/// it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LoweringRule {
    /// Its name, unique in the set.
    pub name: String,
    /// Why it holds and pays, from the comment above it.
    pub reason: String,
    /// The file it stands in, as named to the loader.
    pub file: String,
    /// The line it starts on, from 1.
    pub line: u32,
    /// Its variables.
    pub vars: Vec<Var>,
    /// The left side; a CLIF op at its root.
    pub lhs: Pattern,
    /// What must hold besides.
    pub conditions: Vec<Condition>,
    /// The right side; a machine op at its root.
    pub rhs: MachineTemplate,
}

/// Lowering rules in file order.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct LoweringSet {
    /// The rules.
    pub rules: Vec<LoweringRule>,
}

impl LoweringSet {
    /// Loads every `.isle` file below `folder`, in order of their names.
    ///
    /// # Errors
    /// Everything found wrong, as [`crate::RuleError`]s with their places.
    pub fn from_folder(folder: &Path) -> Result<LoweringSet, RuleErrors> {
        LoweringSet::parse(&Source::in_folder(folder)?)
    }

    /// The rule with this name.
    pub fn by_name(&self, name: &str) -> Option<&LoweringRule> {
        self.rules.iter().find(|rule| rule.name == name)
    }
}

impl LoweringRule {
    /// Where the rule starts.
    pub fn place(&self) -> Place {
        Place { file: self.file.clone(), line: self.line, column: 1 }
    }

    /// The left side with its conditions, as ISLE text.
    pub fn lhs_text(&self) -> String {
        Show(&self.vars).left(&self.lhs, &self.conditions)
    }

    /// The right side as ISLE text.
    pub fn rhs_text(&self) -> String {
        self.template(&self.rhs)
    }

    fn template(&self, template: &MachineTemplate) -> String {
        let show = Show(&self.vars);
        let number = |value: Ref| show.reference(value, show_number);
        match template {
            MachineTemplate::Var(var) => self.vars[var.index()].name.clone(),
            MachineTemplate::Splat { ty, value } => {
                let ty = show.reference(*ty, |ty| show_as(Sort::Type, ty));
                format!("(k {ty} {})", number(*value))
            }
            MachineTemplate::Bits { value } => format!("(kvec {})", number(*value)),
            MachineTemplate::Op { op, imm, args } => {
                let mut text = format!("({op}");
                if let Some(imm) = imm {
                    text += &format!(" {}", number(*imm));
                }
                args.iter().for_each(|arg| text += &format!(" {}", self.template(arg)));
                text + ")"
            }
        }
    }
}

impl fmt::Display for LoweringRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} => {}", self.name, self.lhs_text(), self.rhs_text())
    }
}

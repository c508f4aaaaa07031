//! Reads lowering rules: left sides as those of rewrite rules, right sides of machine ops.

use super::{Env, Let, Meaning, Named, Read, Reader, parse_with};
use crate::lower::{LoweringRule, LoweringSet, MachineTemplate};
use crate::prelude::lowering_prelude;
use crate::rule::Ref;
use crate::{RuleError, RuleErrors, Source};
use cranelift_isle::sema::{self, Expr};
use egraft_ir::machine::{MachineOp, Target};

impl LoweringSet {
    /// Loads lowering rules from sources, in their order.
    ///
    /// # Errors
    /// Everything found wrong, as [`RuleError`]s with their places.
    pub fn parse(sources: &[Source]) -> Result<LoweringSet, RuleErrors> {
        let read = |env: &Env<'_>, named: &Named, rule: &sema::Rule, _| {
            Reader::new(env, named, "lower").read_lowering(rule)
        };
        Ok(LoweringSet { rules: parse_with(sources, &lowering_prelude(), "lower", read)? })
    }
}

impl Reader<'_> {
    fn read_lowering(mut self, rule: &sema::Rule) -> Read<LoweringRule> {
        let lhs = self.left(rule)?;
        let rhs = self.machine(&rule.rhs)?;
        let MachineTemplate::Op { op, .. } = &rhs else {
            return Err(self.unsupported(
                "a right side without a machine op",
                "write a rewrite rule under `rewrite/` for what needs none",
            ));
        };
        self.one_target(&rhs, op.target())?;
        let place = self.named.place.clone();
        let rule = LoweringRule {
            name: self.named.name.clone(),
            reason: self.named.reason.clone(),
            file: place.file.clone(),
            line: place.line,
            vars: self.vars,
            lhs,
            conditions: self.conditions,
            rhs,
        };
        if rule.types().is_empty() {
            let (lhs, rhs) = (rule.lhs_text(), rule.rhs_text());
            return Err(RuleError::NoTypes { rule: rule.name, place, lhs, rhs });
        }
        Ok(rule)
    }

    fn machine(&mut self, expr: &Expr) -> Read<MachineTemplate> {
        match expr {
            Expr::Var(_, var) => {
                match (self.known.get(&var.index()), self.lets.get(&var.index())) {
                    (Some(id), _) => Ok(MachineTemplate::Var(*id)),
                    (None, Some(Let::Other(_) | Let::Value(_)) | None) => Err(self.unsupported(
                        "a variable on the right that the left does not bind",
                        "bind it on the left side; machine ops have no `let`",
                    )),
                }
            }
            Expr::Term(_, term, args) => match (self.meaning(*term), args.as_slice()) {
                (Some(Meaning::Splat), [ty, value]) => Ok(MachineTemplate::Splat {
                    ty: self.reference(ty)?,
                    value: self.reference(value)?,
                }),
                (Some(Meaning::Bits), [value]) => {
                    Ok(MachineTemplate::Bits { value: self.reference(value)? })
                }
                (Some(Meaning::Machine(op)), args) => self.machine_op(op, args),
                _ => {
                    let name = self.env.name(self.env.terms.terms[term.index()].name).to_owned();
                    Err(self.unsupported(
                        format!("`{name}` on the right side of a lowering rule"),
                        "build machine ops, `k` and `kvec`",
                    ))
                }
            },
            _ => Err(self.unsupported(
                "a number or a `let` where a value is expected",
                "build machine ops, `k` and `kvec`",
            )),
        }
    }

    fn machine_op(&mut self, op: MachineOp, args: &[Expr]) -> Read<MachineTemplate> {
        let range = op.imm_range();
        let (imm, args) = match (&range, args.split_first()) {
            (Some(_), Some((imm, args))) => (Some(self.reference(imm)?), args),
            _ => (None, args),
        };
        if args.len() != op.args().len() {
            return Err(self.unsupported(format!("`{op}` with missing arguments"), "write them"));
        }
        if let (Some(Ref::Const(number)), Some(range)) = (imm, range)
            && !u32::try_from(number).is_ok_and(|number| range.contains(&number))
        {
            let (first, last) = (range.start(), range.end());
            return Err(self.unsupported(
                format!("the immediate {number} of `{op}`, which has {first} to {last}"),
                "give it an immediate that the instruction has",
            ));
        }
        let args: Read<Vec<_>> = args.iter().map(|arg| self.machine(arg)).collect();
        Ok(MachineTemplate::Op { op, imm, args: args? })
    }

    /// Refuses machine ops of different targets in one rule.
    fn one_target(&self, template: &MachineTemplate, target: Target) -> Read<()> {
        let MachineTemplate::Op { op, args, .. } = template else { return Ok(()) };
        if op.target() != target {
            return Err(self.unsupported(
                format!("`{op}` beside machine ops of another target"),
                "write one rule for each target",
            ));
        }
        args.iter().try_for_each(|arg| self.one_target(arg, target))
    }
}

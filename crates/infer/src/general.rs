//! From a pair of terms to a rule: concrete types, codes and lane numbers become variables.
//!
//! Judges nothing: a more general rule may be wrong where the pair was right, so forms are tried
//! from general to special. Invariant: every form that is built has the pair as an instance.

use crate::premise::{Arg, Premise};
use crate::space::{Chain, Expr, Head, Kind, Literal, Space, View, has_from};
use egraft_ir::{FloatCc, ImmKind, IntCc, Ty, TypeRule, TypeSet};
use egraft_rules::{
    Cond, Condition, Pattern, Ref, Rule, RuleId, Slot, Sort, Template, Var, VarId, slot,
};
use serde::{Deserialize, Serialize};

/// For which types a rule is stated.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) enum Types {
    /// All for which both sides are well typed.
    Any,
    Vector,
    Scalar,
    /// Lanes of up to 32 bits.
    Short,
    /// The types of the workload.
    Fixed,
}

/// For which condition codes or lane numbers a rule is stated.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub(crate) enum Imms {
    /// There are none, or they are as in the pair.
    Fixed,
    /// Any; the others of the pair follow from the first.
    Any,
    Signed,
    Unsigned,
    Equality,
    Reflexive,
    Irreflexive,
}

/// How general a rule is stated.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Form {
    pub(crate) types: Types,
    pub(crate) imms: Imms,
}

impl Form {
    /// The forms to try for a left side, most general first.
    pub(crate) fn all(lhs: &Expr) -> Vec<Form> {
        let kinds: Vec<ImmKind> = lhs.heads().iter().map(|head| head.op.imm_kind()).collect();
        let imms: &[Imms] = if kinds.contains(&ImmKind::IntCc) {
            &[
                Imms::Any,
                Imms::Reflexive,
                Imms::Irreflexive,
                Imms::Signed,
                Imms::Unsigned,
                Imms::Equality,
                Imms::Fixed,
            ]
        } else if kinds.contains(&ImmKind::FloatCc) || kinds.contains(&ImmKind::Lane) {
            &[Imms::Any, Imms::Fixed]
        } else {
            &[Imms::Fixed]
        };
        let types = [Types::Any, Types::Vector, Types::Scalar, Types::Short, Types::Fixed];
        imms.iter()
            .flat_map(|imms| types.iter().map(|types| Form { types: *types, imms: *imms }))
            .collect()
    }
}

/// A rule and how to type its terms anew.
pub(crate) struct Built {
    pub(crate) rule: Rule,
    /// The type that all others of the pair follow from.
    pub(crate) anchor: Ty,
    /// The variable that stands for it; `None` where types are fixed.
    pub(crate) anchor_var: Option<VarId>,
}

/// The rule in this form, or `None` where the pair has no such form.
pub(crate) fn build(
    space: &Space,
    premise: &Premise,
    lhs: &Expr,
    rhs: &Expr,
    form: Form,
) -> Option<Built> {
    let fixed = form.types == Types::Fixed;
    // The types at ops that look at lanes; all others follow from the first.
    let mut bound: Vec<Ty> = Vec::new();
    for head in lhs.heads().iter().filter(|head| !forgets_lanes(head) && !has_one_type(head)) {
        bound.push(head.ty);
        if has_from(head.op) {
            bound.push(head.from);
        }
    }
    let anchor = match bound.contains(&space.base) {
        true => space.base,
        false => bound.first().copied().unwrap_or(space.base),
    };
    let mut builder = Builder {
        space,
        anchor,
        bound,
        fixed,
        form,
        vars: Vec::new(),
        conditions: Vec::new(),
        types: Vec::new(),
        atoms: vec![None; space.atoms.len()],
        first_imm: None,
    };
    let anchor_var = if fixed { None } else { Some(builder.type_var(anchor)?) };
    let pattern = builder.pattern(lhs)?;
    if anchor_var.is_some_and(|var| !pattern.has_var(var)) {
        return None;
    }
    builder.tie_types()?;
    builder.limit_types(anchor_var)?;
    builder.limit_imms()?;
    builder.tie_literals()?;
    builder.premise(premise)?;
    let template = builder.template(rhs)?;
    let rule = Rule {
        id: RuleId(0),
        name: "candidate".to_owned(),
        reason: String::new(),
        file: String::new(),
        line: 0,
        vars: builder.vars,
        lhs: pattern,
        conditions: builder.conditions,
        rhs: template,
    };
    Some(Built { rule, anchor, anchor_var })
}

/// Whether rules write no type after the op.
fn has_one_type(head: &Head) -> bool {
    matches!(head.op.types(), TypeSet::Only([_]))
}

fn forgets_lanes(head: &Head) -> bool {
    matches!(head.op.type_rule(), TypeRule::Bits | TypeRule::Select)
}

/// An immediate whose value later ones are told from.
#[derive(Clone, Copy)]
struct FirstImm {
    kind: ImmKind,
    value: u128,
    var: VarId,
}

struct Builder<'a> {
    space: &'a Space,
    anchor: Ty,
    bound: Vec<Ty>,
    fixed: bool,
    form: Form,
    vars: Vec<Var>,
    conditions: Vec<Condition>,
    /// Types that have a variable, and whether a condition gives it already.
    types: Vec<(Ty, VarId, bool)>,
    /// By atom: its variable.
    atoms: Vec<Option<VarId>>,
    first_imm: Option<FirstImm>,
}

impl Builder<'_> {
    fn var(&mut self, name: &str, sort: Sort) -> Option<VarId> {
        let taken = |vars: &[Var], name: &str| vars.iter().any(|var| var.name == name);
        let mut unique = name.to_owned();
        let mut count = 1;
        while taken(&self.vars, &unique) {
            count += 1;
            unique = format!("{name}{count}");
        }
        let id = VarId(u16::try_from(self.vars.len()).ok()?);
        self.vars.push(Var { name: unique, sort });
        Some(id)
    }

    fn call(&mut self, cond: Cond, args: Vec<Ref>, name: &str) -> Option<VarId> {
        let var = self.var(name, cond.result()?)?;
        self.ask(cond, args, Slot { var: Some(var), is: None });
        Some(var)
    }

    fn ask(&mut self, cond: Cond, args: Vec<Ref>, result: Slot<u128>) {
        self.conditions.push(Condition { negative: false, cond, args, result });
    }

    /// The variable of a type, if the type follows from the anchor.
    fn type_var(&mut self, ty: Ty) -> Option<VarId> {
        if let Some((_, var, _)) = self.types.iter().find(|(known, ..)| *known == ty) {
            return Some(*var);
        }
        let chain = Chain::between(self.anchor, ty)?;
        let name = match chain.0 {
            [None, _] => "ty",
            [Some(Cond::widen_of), None] => "wide",
            [Some(Cond::narrow_of), None] => "narrow",
            [Some(Cond::lane_of), None] => "lane",
            [Some(Cond::int_of), None] => "int",
            _ => "other",
        };
        let var = self.var(name, Sort::Type)?;
        self.types.push((ty, var, false));
        Some(var)
    }

    /// Asks for every type but the anchor that it follows from the anchor.
    fn tie_types(&mut self) -> Option<()> {
        for at in 0..self.types.len() {
            let (ty, var, tied) = self.types[at];
            if tied || ty == self.anchor {
                continue;
            }
            self.types[at].2 = true;
            let anchor = self.type_var(self.anchor)?;
            let mut last = Ref::Var(anchor);
            let steps: Vec<Cond> =
                Chain::between(self.anchor, ty)?.0.into_iter().flatten().collect();
            for (index, cond) in steps.iter().enumerate() {
                let result = match index + 1 == steps.len() {
                    true => var,
                    false => self.var("mid", Sort::Type)?,
                };
                self.ask(*cond, vec![last], Slot { var: Some(result), is: None });
                last = Ref::Var(result);
            }
        }
        Some(())
    }

    fn limit_types(&mut self, anchor: Option<VarId>) -> Option<()> {
        let Some(anchor) = anchor else { return Some(()) };
        let cond = match self.form.types {
            Types::Any | Types::Fixed => return Some(()),
            Types::Vector => Cond::ty_vector,
            Types::Scalar => Cond::ty_scalar,
            Types::Short => {
                let bits = self.call(Cond::lane_bits, vec![Ref::Var(anchor)], "bits")?;
                self.ask(Cond::imm_ule, vec![Ref::Var(bits), Ref::Const(32)], Slot::default());
                return Some(());
            }
        };
        self.ask(cond, vec![Ref::Var(anchor)], Slot::default());
        Some(())
    }

    fn limit_imms(&mut self) -> Option<()> {
        let first = match (self.form.imms, self.first_imm) {
            (Imms::Fixed, _) => return Some(()),
            (_, first) => first?,
        };
        let arg = || vec![Ref::Var(first.var)];
        match self.form.imms {
            Imms::Signed => self.ask(Cond::cc_signed, arg(), Slot::default()),
            Imms::Unsigned => self.ask(Cond::cc_unsigned, arg(), Slot::default()),
            Imms::Equality => self.ask(Cond::cc_equality, arg(), Slot::default()),
            Imms::Reflexive => self.ask(Cond::cc_reflexive, arg(), Slot::default()),
            Imms::Irreflexive => {
                let not = self.call(Cond::cc_not, arg(), "not")?;
                self.ask(Cond::cc_reflexive, vec![Ref::Var(not)], Slot::default());
            }
            Imms::Any | Imms::Fixed => {}
        }
        Some(())
    }

    /// Where a type stands on the left side.
    fn type_slot(&mut self, ty: Ty, forgets: bool) -> Option<Slot<Ty>> {
        if self.fixed {
            let ty = if forgets { ty.value() } else { ty };
            return Some(Slot { var: None, is: Some(ty) });
        }
        // Where lanes do not matter, a type must be one that lanes matter to elsewhere.
        let ty = match forgets && ty.is_vector() && !self.bound.contains(&ty) {
            true => self.anchor,
            false => ty,
        };
        match Chain::between(self.anchor, ty) {
            Some(_) => Some(Slot { var: Some(self.type_var(ty)?), is: None }),
            None => Some(Slot { var: None, is: Some(ty) }),
        }
    }

    fn type_ref(&mut self, ty: Ty) -> Option<Ref> {
        if self.fixed || Chain::between(self.anchor, ty).is_none() {
            return Some(Ref::Const(slot::of_ty(ty)));
        }
        let var = self.type_var(ty)?;
        self.tie_types()?;
        Some(Ref::Var(var))
    }

    fn pattern(&mut self, term: &Expr) -> Option<Pattern> {
        match term {
            Expr::Atom(at) => self.atom_pattern(*at),
            Expr::Op(head, args) => {
                let exact = |ty| Slot { var: None, is: Some(ty) };
                let ty = match has_one_type(head) {
                    true => exact(head.ty),
                    false => self.type_slot(head.ty, forgets_lanes(head))?,
                };
                let from = match (has_from(head.op), has_one_type(head)) {
                    (true, true) => Some(exact(head.from)),
                    (true, false) => Some(self.type_slot(head.from, false)?),
                    (false, _) => None,
                };
                let imm = match head.op.imm_kind() {
                    ImmKind::None => None,
                    kind => Some(self.imm_slot(kind, head.imm)?),
                };
                let args: Option<Vec<Pattern>> = args.iter().map(|arg| self.pattern(arg)).collect();
                Some(Pattern::Op { op: head.op, ty, from, imm, args: args? })
            }
        }
    }

    fn atom_pattern(&mut self, at: u8) -> Option<Pattern> {
        let atom = &self.space.atoms[at as usize];
        let name = if atom.is_constant() { "c" } else { atom.name.as_str() };
        if atom.kind == Kind::Var {
            let var = match self.atoms[at as usize] {
                Some(var) => var,
                None => self.var(name, Sort::Value)?,
            };
            self.atoms[at as usize] = Some(var);
            return Some(Pattern::Var(var));
        }
        let ty = match atom.view {
            View::Amount => Slot { var: Some(self.var("s", Sort::Type)?), is: None },
            View::Of(ty) if self.fixed => Slot { var: None, is: Some(ty) },
            // The constant is read in lanes that nothing else on this side names.
            View::Of(ty) if !self.bound.contains(&ty) && ty != self.anchor => return None,
            View::Of(ty) => self.type_slot(ty, false)?,
        };
        if let Kind::Literal(Literal::Int(number)) = atom.kind {
            let is = Some(number as i128 as u128);
            return Some(Pattern::Splat { ty, value: Slot { var: None, is } });
        }
        let name = match atom.kind {
            Kind::Literal(_) => "edge",
            _ => &atom.name,
        };
        let var = match self.atoms[at as usize] {
            Some(var) => var,
            None => self.var(name, Sort::Int)?,
        };
        self.atoms[at as usize] = Some(var);
        Some(Pattern::Splat { ty, value: Slot { var: Some(var), is: None } })
    }

    fn imm_slot(&mut self, kind: ImmKind, imm: u128) -> Option<Slot<u128>> {
        let fixed = Slot { var: None, is: Some(imm) };
        if self.form.imms == Imms::Fixed {
            return Some(fixed);
        }
        let sort = match kind {
            ImmKind::IntCc => Sort::IntCc,
            ImmKind::FloatCc => Sort::FloatCc,
            ImmKind::Lane => Sort::Int,
            _ => return Some(fixed),
        };
        match self.first_imm {
            None => {
                let name = if kind == ImmKind::Lane { "i" } else { "cc" };
                let var = self.var(name, sort)?;
                self.first_imm = Some(FirstImm { kind, value: imm, var });
                Some(Slot { var: Some(var), is: None })
            }
            Some(first) if first.kind == kind && first.value == imm => {
                Some(Slot { var: Some(first.var), is: None })
            }
            Some(first) if first.kind == kind && kind != ImmKind::Lane => {
                let Ref::Var(var) = self.related_code(first, imm)? else { return None };
                Some(Slot { var: Some(var), is: None })
            }
            _ => None,
        }
    }

    /// A code as it follows from the first one.
    fn related_code(&mut self, first: FirstImm, imm: u128) -> Option<Ref> {
        if first.value == imm {
            return Some(Ref::Var(first.var));
        }
        let (not, swap, negated, swapped) = match first.kind {
            ImmKind::IntCc => {
                let code = IntCc::from_imm(first.value)?;
                let (not, swap) = (code.complement() as u128, code.swapped() as u128);
                (Cond::cc_not, Cond::cc_swap, not, swap)
            }
            ImmKind::FloatCc => {
                let of = |cond: Cond| self.float_code(cond, first.value);
                (Cond::fcc_not, Cond::fcc_swap, of(Cond::fcc_not)?, of(Cond::fcc_swap)?)
            }
            _ => return None,
        };
        let arg = vec![Ref::Var(first.var)];
        if imm == swapped {
            return self.call(swap, arg, "swapped").map(Ref::Var);
        }
        if imm == negated {
            return self.call(not, arg, "negated").map(Ref::Var);
        }
        let both = match first.kind {
            ImmKind::IntCc => IntCc::from_imm(negated)?.swapped() as u128,
            _ => self.float_code(Cond::fcc_swap, negated)?,
        };
        if imm != both {
            return None;
        }
        let not = self.call(not, arg, "negated")?;
        self.call(swap, vec![Ref::Var(not)], "swapped").map(Ref::Var)
    }

    fn float_code(&self, cond: Cond, code: u128) -> Option<u128> {
        FloatCc::from_imm(code)?;
        let facts = crate::premise::AtomFacts { ty: Ty::I8, known: &[] };
        cond.eval(&facts, &[code])
    }

    /// Says which constants the variables for edges stand for.
    fn tie_literals(&mut self) -> Option<()> {
        for at in 0..self.space.atoms.len() {
            let atom = &self.space.atoms[at];
            if let (Some(var), Kind::Literal(literal)) = (self.atoms[at], atom.kind) {
                self.literal(literal, atom.view, Some(var))?;
            }
        }
        Some(())
    }

    /// The value of a literal, given to `result` if there is one.
    fn literal(&mut self, literal: Literal, view: View, result: Option<VarId>) -> Option<Ref> {
        let ty = match view {
            View::Amount => self.type_ref(self.space.base)?,
            View::Of(ty) => self.type_ref(ty)?,
        };
        let base = self.type_ref(self.space.base)?;
        let result = match result {
            Some(var) => var,
            None => self.var("edge", Sort::Int)?,
        };
        let slot = Slot { var: Some(result), is: None };
        match literal {
            Literal::Int(number) => return Some(Ref::Const(number as i128 as u128)),
            Literal::Smin => self.ask(Cond::lane_smin, vec![ty], slot),
            Literal::Smax => self.ask(Cond::lane_smax, vec![ty], slot),
            Literal::WidthMinus(0) => self.ask(Cond::lane_bits, vec![base], slot),
            Literal::WidthMinus(less) => {
                let bits = self.call(Cond::lane_bits, vec![base], "bits")?;
                let args = vec![Ref::Var(bits), Ref::Const(u128::from(less))];
                self.ask(Cond::num_sub, args, slot);
            }
            Literal::HalfWidth => {
                let bits = self.call(Cond::lane_bits, vec![base], "bits")?;
                self.ask(Cond::num_div, vec![Ref::Var(bits), Ref::Const(2)], slot);
            }
            Literal::LowHalf => {
                let bits = self.call(Cond::lane_bits, vec![ty], "bits")?;
                let args = vec![Ref::Var(bits), Ref::Const(2)];
                let half = self.call(Cond::num_div, args, "half")?;
                self.ask(Cond::low_mask, vec![Ref::Var(half)], slot);
            }
        }
        Some(Ref::Var(result))
    }

    fn premise(&mut self, premise: &Premise) -> Option<()> {
        for step in &premise.steps {
            let mut args = Vec::new();
            for arg in &step.args {
                args.push(match arg {
                    Arg::Atom(at) => match self.space.atoms[*at as usize].kind {
                        Kind::Literal(Literal::Int(number)) => Ref::Const(number as i128 as u128),
                        _ => Ref::Var(self.atoms[*at as usize]?),
                    },
                    Arg::Ty => self.type_ref(self.space.base)?,
                    Arg::WidthMinus(less) => {
                        self.literal(Literal::WidthMinus(*less), View::Amount, None)?
                    }
                    Arg::HalfWidth => self.literal(Literal::HalfWidth, View::Amount, None)?,
                    Arg::Number(number) => Ref::Const(*number),
                });
            }
            match step.result {
                None => self.ask(step.cond, args, Slot::default()),
                Some(at) => {
                    let name = self.space.atoms[at as usize].name.clone();
                    let var = self.call(step.cond, args, &name)?;
                    self.atoms[at as usize] = Some(var);
                }
            }
        }
        Some(())
    }

    fn template(&mut self, term: &Expr) -> Option<Template> {
        match term {
            Expr::Atom(at) => self.atom_template(*at),
            Expr::Op(head, args) => {
                // Ops that forget lanes take what type there is.
                let forgets = forgets_lanes(head);
                let one = has_one_type(head);
                let ty = match forgets && head.ty.is_vector() && !self.bound.contains(&head.ty) {
                    _ if one => Ref::Const(slot::of_ty(head.ty)),
                    true if self.fixed => self.type_ref(head.ty.value())?,
                    true => self.type_ref(self.anchor)?,
                    false if forgets && self.fixed => self.type_ref(head.ty.value())?,
                    false => self.type_ref(head.ty)?,
                };
                let from = match has_from(head.op) {
                    true if one => Some(Ref::Const(slot::of_ty(head.from))),
                    true => Some(self.type_ref(head.from)?),
                    false => None,
                };
                let imm = match head.op.imm_kind() {
                    ImmKind::None => None,
                    kind => Some(self.imm_ref(kind, head.imm)?),
                };
                let args: Option<Vec<Template>> =
                    args.iter().map(|arg| self.template(arg)).collect();
                Some(Template::Op { op: head.op, ty, from, imm, args: args? })
            }
        }
    }

    fn atom_template(&mut self, at: u8) -> Option<Template> {
        let atom = self.space.atoms[at as usize].clone();
        if atom.kind == Kind::Var {
            return Some(Template::Var(self.atoms[at as usize]?));
        }
        let ty = match atom.view {
            View::Amount => Ref::Const(slot::of_ty(Ty::I32)),
            View::Of(ty) => self.type_ref(ty)?,
        };
        let value = match (atom.kind, self.atoms[at as usize]) {
            (_, Some(var)) => Ref::Var(var),
            (Kind::Literal(literal), None) => {
                let value = self.literal(literal, atom.view, None)?;
                if let Ref::Var(var) = value {
                    self.atoms[at as usize] = Some(var);
                }
                value
            }
            _ => return None,
        };
        Some(Template::Splat { ty, value })
    }

    fn imm_ref(&mut self, kind: ImmKind, imm: u128) -> Option<Ref> {
        match (self.form.imms, self.first_imm) {
            (Imms::Fixed, _) => Some(Ref::Const(imm)),
            (_, Some(first)) if first.kind == kind => self.related_code(first, imm),
            _ => None,
        }
    }
}

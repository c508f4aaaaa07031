//! A variant of an upstream rule in the syntax of `isle-rules/README.md`.
//!
//! Upstream writes the result type of every op, ours the type that matters; so types are inferred
//! as CLIF has them. Invariant: a translation says what the upstream rule says, at the types that
//! the op set has; what cannot be said is refused with a reason.

use super::expand::{Form, Refused};
use super::sexp::Sexp;
use egraft_ir::{ImmKind, Op, Ty, TypeRule};
use egraft_rules::Cond;
use std::collections::HashMap;
use std::fmt::Write;

/// What comparisons in the rule give: scalars and vectors are written differently.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Mode {
    /// 0 or 1 as `i8`.
    Scalar,
    /// All bits of each lane.
    Vector,
}

/// A type of the rule, by its place in [`Translator::types`].
type TyVar = usize;

#[derive(Clone, Debug, Default)]
struct TypeInfo {
    /// The variable this one was found equal to.
    same: Option<TyVar>,
    name: Option<String>,
    is: Option<Ty>,
    vector: Option<bool>,
    int: bool,
    /// Constants on the left side are scalars, unless the rule asks for vectors.
    constant: bool,
    /// The rule asks for vectors.
    asked: bool,
}

/// How one type follows from another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Relation {
    Lane,
    Widen,
}

pub(super) struct Translator {
    mode: Mode,
    types: Vec<TypeInfo>,
    relations: Vec<(Relation, TyVar, TyVar)>,
    type_names: HashMap<String, TyVar>,
    /// Types of value variables, and of the constants that number variables stand for.
    values: HashMap<String, TyVar>,
    numbers: HashMap<String, TyVar>,
    conditions: Vec<String>,
    fresh: usize,
    /// Whether the left side is being read.
    left: bool,
    compares: bool,
}

/// Marks a type in text until types are known.
const OPEN: char = '\u{1}';
const CLOSE: char = '\u{2}';

type Text = Result<String, Refused>;

impl Translator {
    /// The rule after its name, and whether it compares (and so depends on the mode).
    pub(super) fn translate(rule: &Form, mode: Mode) -> Result<(String, bool), Refused> {
        let mut this = Translator {
            mode,
            types: Vec::new(),
            relations: Vec::new(),
            type_names: HashMap::new(),
            values: HashMap::new(),
            numbers: HashMap::new(),
            conditions: Vec::new(),
            fresh: 0,
            left: true,
            compares: false,
        };
        let root = this.new_type();
        let left = this.value(&rule.args[0], root)?;
        for condition in &rule.conditions {
            this.condition(condition)?;
        }
        this.left = false;
        let right = this.value(&rule.result, root)?;
        let text = this.finish(&left, &right)?;
        Ok((text, this.compares))
    }

    fn new_type(&mut self) -> TyVar {
        self.types.push(TypeInfo::default());
        self.types.len() - 1
    }

    fn find(&self, mut ty: TyVar) -> TyVar {
        while let Some(same) = self.types[ty].same {
            ty = same;
        }
        ty
    }

    fn unify(&mut self, a: TyVar, b: TyVar) -> Result<(), Refused> {
        let (a, b) = (self.find(a), self.find(b));
        if a == b {
            return Ok(());
        }
        let gone = self.types[b].clone();
        self.types[b].same = Some(a);
        let kept = &mut self.types[a];
        if kept.name.is_none() {
            kept.name = gone.name;
        }
        kept.int |= gone.int;
        kept.constant |= gone.constant;
        kept.asked |= gone.asked;
        if let Some(is) = gone.is {
            self.fix(a, is)?;
        }
        match gone.vector {
            Some(vector) => self.shape(a, vector),
            None => Ok(()),
        }
    }

    fn fix(&mut self, ty: TyVar, is: Ty) -> Result<(), Refused> {
        let ty = self.find(ty);
        if self.types[ty].is.replace(is).is_some_and(|old| old != is) {
            return Err("no type fits".to_owned());
        }
        self.shape(ty, is.is_vector())
    }

    fn shape(&mut self, ty: TyVar, vector: bool) -> Result<(), Refused> {
        let ty = self.find(ty);
        match self.types[ty].vector.replace(vector) {
            Some(old) if old != vector => Err("no type fits".to_owned()),
            _ => Ok(()),
        }
    }

    fn mark(&self, ty: TyVar) -> String {
        format!("{OPEN}{ty}{CLOSE}")
    }

    /// A type as the rule writes it.
    fn ty(&mut self, ty: &Sexp) -> Result<TyVar, Refused> {
        match ty {
            Sexp::Atom(name) if name == "_" => Ok(self.new_type()),
            Sexp::Atom(name) if name.starts_with('$') => {
                let is: Result<Ty, _> = name[1..].to_lowercase().parse();
                let is = is.ok().filter(|ty| *ty != Ty::I128).ok_or(format!("type {name}"))?;
                let ty = self.new_type();
                self.fix(ty, is)?;
                Ok(ty)
            }
            Sexp::Atom(name) => {
                if let Some(known) = self.type_names.get(name) {
                    return Ok(*known);
                }
                let ty = self.new_type();
                self.types[ty].name = Some(safe(name));
                self.type_names.insert(name.clone(), ty);
                Ok(ty)
            }
            Sexp::At(name, inner) => {
                let (inner, ty) = (self.ty(inner)?, self.ty(&Sexp::atom(name.clone()))?);
                self.unify(ty, inner)?;
                Ok(ty)
            }
            Sexp::List(_) => match ty.parts() {
                Some(("fits_in_64", [inner])) => {
                    let ty = self.ty(inner)?;
                    self.shape(ty, false)?;
                    Ok(ty)
                }
                Some(("ty_int" | "ty_int_ref_scalar_64_extract", [inner])) => {
                    let ty = self.ty(inner)?;
                    self.shape(ty, false)?;
                    self.int(ty);
                    Ok(ty)
                }
                Some(("ty_vec128", [inner])) => {
                    let ty = self.ty(inner)?;
                    self.ask(ty)?;
                    Ok(ty)
                }
                Some(("ty_int_vec128" | "ty_vec128_int", [inner])) => {
                    let ty = self.ty(inner)?;
                    self.ask(ty)?;
                    self.int(ty);
                    Ok(ty)
                }
                Some(("multi_lane", _)) => {
                    let ty = self.new_type();
                    self.shape(ty, true)?;
                    Ok(ty)
                }
                Some(("lane_type", [inner])) => {
                    let of = self.ty(inner)?;
                    Ok(self.related(Relation::Lane, of))
                }
                Some(("ty_half_width", [inner])) => {
                    let (wide, half) = (self.ty(inner)?, self.new_type());
                    self.relations.push((Relation::Widen, half, wide));
                    Ok(half)
                }
                Some((head, _)) => Err(format!("type `{head}`")),
                None => Err("a type without a name".to_owned()),
            },
        }
    }

    /// Notes that the rule asks for a vector here.
    fn ask(&mut self, ty: TyVar) -> Result<(), Refused> {
        let at = self.find(ty);
        self.types[at].asked = true;
        self.shape(ty, true)
    }

    fn int(&mut self, ty: TyVar) {
        let ty = self.find(ty);
        self.types[ty].int = true;
    }

    fn related(&mut self, relation: Relation, of: TyVar) -> TyVar {
        let ty = self.new_type();
        self.relations.push((relation, of, ty));
        ty
    }

    /// A value of this type.
    fn value(&mut self, value: &Sexp, ty: TyVar) -> Text {
        match value {
            Sexp::Atom(name) if name == "_" => Ok("_".to_owned()),
            Sexp::Atom(name) => {
                self.variable(name, ty)?;
                Ok(safe(name))
            }
            Sexp::At(name, inner) => {
                self.variable(name, ty)?;
                let inner = self.value(inner, ty)?;
                Ok(if inner == "_" { safe(name) } else { format!("{} @ {inner}", safe(name)) })
            }
            Sexp::List(_) => {
                let Some((head, args)) = value.parts() else {
                    return Err("a list without a name".to_owned());
                };
                self.term(head, args, ty)
            }
        }
    }

    fn variable(&mut self, name: &str, ty: TyVar) -> Result<(), Refused> {
        match self.values.get(name) {
            Some(known) => self.unify(*known, ty),
            None if self.left => {
                self.values.insert(name.to_owned(), ty);
                Ok(())
            }
            None => Err(format!("`{name}` is not a value of the left side")),
        }
    }

    fn term(&mut self, head: &str, args: &[Sexp], ty: TyVar) -> Text {
        match (head, args) {
            ("and", all) => {
                let all: Result<Vec<String>, _> =
                    all.iter().map(|one| self.value(one, ty)).collect();
                Ok(format!("(and {})", all?.join(" ")))
            }
            ("typed", [is, value]) => {
                let is = self.ty(is)?;
                self.unify(ty, is)?;
                self.value(value, ty)
            }
            ("value_type", [is]) => {
                let is = self.ty(is)?;
                self.unify(ty, is)?;
                Ok("_".to_owned())
            }
            ("iconst_u" | "iconst_s" | "iconst", [is, number]) => {
                let is = self.ty(is)?;
                self.unify(ty, is)?;
                self.int(ty);
                if self.left {
                    let ty = self.find(ty);
                    self.types[ty].constant = true;
                }
                let number = match (self.left, head) {
                    (true, _) => self.bound(number, ty)?,
                    (false, "iconst_s") => self.signed(number, ty)?,
                    (false, _) => self.number(number, ty)?,
                };
                Ok(format!("(k {} {number})", self.mark(ty)))
            }
            ("cmp_true", [is]) => {
                let is = self.ty(is)?;
                self.unify(ty, is)?;
                let number = if self.mode == Mode::Scalar { 1 } else { -1 };
                Ok(format!("(k {} {number})", self.mark(ty)))
            }
            _ => {
                let op = Op::by_name(head).filter(|op| !op.is_leaf());
                self.op(op.ok_or(format!("op or helper `{head}`"))?, args, ty)
            }
        }
    }

    fn op(&mut self, op: Op, args: &[Sexp], ty: TyVar) -> Text {
        let imm = usize::from(op.imm_kind() != ImmKind::None);
        // Instructions that may trap are written without a type.
        let values = match args.len().checked_sub(op.arity() + imm) {
            Some(0) => args,
            Some(1) => {
                let written = self.ty(&args[0])?;
                self.unify(ty, written)?;
                &args[1..]
            }
            _ => return Err(format!("form of `{op}`")),
        };
        let code = match op.imm_kind() {
            ImmKind::None => String::new(),
            ImmKind::IntCc => format!(" {}", self.code(&values[0])?),
            ImmKind::FloatCc if values[0].name() == Some("_") => " _".to_owned(),
            _ => return Err(format!("form of `{op}`")),
        };
        let values = &values[imm..];
        let (mut written, operands) = match op.type_rule() {
            TypeRule::Same | TypeRule::Bits => (vec![ty], vec![ty; values.len()]),
            TypeRule::Shift => (vec![ty], vec![ty, self.new_type()]),
            TypeRule::Select => (vec![ty], vec![self.new_type(), ty, ty]),
            TypeRule::Convert => {
                let from = self.new_type();
                (vec![ty, from], vec![from])
            }
            TypeRule::Widen => {
                let narrow = self.new_type();
                self.relations.push((Relation::Widen, narrow, ty));
                (vec![narrow], vec![narrow])
            }
            TypeRule::Splat => (vec![ty], vec![self.related(Relation::Lane, ty)]),
            TypeRule::Compare => {
                self.compares = true;
                let of = self.new_type();
                self.shape(of, self.mode == Mode::Vector)?;
                match self.mode {
                    Mode::Scalar => self.fix(ty, Ty::I8)?,
                    Mode::Vector if op == Op::Icmp => self.unify(of, ty)?,
                    Mode::Vector => return Err("comparison of float vectors".to_owned()),
                }
                (vec![of], vec![of, of])
            }
            _ => return Err(format!("form of `{op}`")),
        };
        if let egraft_ir::TypeSet::Only([only]) = op.types() {
            self.fix(written[0], *only)?;
            written.clear();
        }
        let mut text = format!("({op}");
        for ty in written {
            let _ = write!(text, " {}", self.mark(ty));
        }
        text += &code;
        for (value, ty) in values.iter().zip(operands) {
            let value = self.value(value, ty)?;
            let _ = write!(text, " {value}");
        }
        Ok(text + ")")
    }

    fn code(&mut self, code: &Sexp) -> Text {
        match (code, code.parts()) {
            (Sexp::Atom(name), _) if name == "_" => Ok("_".to_owned()),
            (Sexp::Atom(name), _) => Ok(safe(name)),
            (_, Some(("intcc_complement", [inner]))) => {
                Ok(format!("(cc_not {})", self.code(inner)?))
            }
            (_, Some(("intcc_swap_args", [inner]))) => {
                Ok(format!("(cc_swap {})", self.code(inner)?))
            }
            (_, Some((name, []))) => {
                let short = match name.strip_prefix("IntCC.").unwrap_or(name) {
                    "Equal" => "Eq".to_owned(),
                    "NotEqual" => "Ne".to_owned(),
                    long => long
                        .replace("Signed", "S")
                        .replace("UnS", "U")
                        .replace("Unsigned", "U")
                        .replace("GreaterThanOrEqual", "ge")
                        .replace("LessThanOrEqual", "le")
                        .replace("GreaterThan", "gt")
                        .replace("LessThan", "lt"),
                };
                Ok(format!("(IntCc.{short})"))
            }
            _ => Err("a computed condition code".to_owned()),
        }
    }

    /// A number on the left side: bound, asked for, or both.
    fn bound(&mut self, number: &Sexp, ty: TyVar) -> Text {
        if let Some(literal) = number.number() {
            return Ok(literal.to_string());
        }
        match (number, number.parts()) {
            (Sexp::Atom(name), _) if name == "_" => Ok("_".to_owned()),
            (Sexp::Atom(name), _) => {
                self.numbers.entry(name.clone()).or_insert(ty);
                Ok(safe(name))
            }
            (
                _,
                Some((
                    "u64_from_imm64" | "u32_from_u64" | "i32_from_i64" | "u64_from_imm" | "imm64",
                    [inner],
                )),
            ) => self.bound(inner, ty),
            (_, Some(("u64_when_non_zero", []))) => {
                let name = self.fresh();
                self.conditions.push(format!("(if (imm_ne {name} 0))"));
                Ok(name)
            }
            (_, Some(("u64_extract_non_zero" | "i64_extract_non_zero", [inner]))) => {
                let name = self.bound(inner, ty)?;
                self.conditions.push(format!("(if (imm_ne {name} 0))"));
                Ok(name)
            }
            (_, Some(("u64_extract_power_of_two", [inner]))) => {
                let name = self.bound(inner, ty)?;
                self.conditions.push(format!("(if (is_pow2 {name}))"));
                Ok(name)
            }
            (_, Some(("imm64_power_of_two", [Sexp::Atom(log)]))) => {
                let name = self.fresh();
                self.numbers.insert(log.clone(), ty);
                self.conditions.push(format!("(if-let {} (log2 {name}))", safe(log)));
                Ok(name)
            }
            (_, Some((head, _))) => Err(format!("number `{head}`")),
            _ => Err("a number without a name".to_owned()),
        }
    }

    fn fresh(&mut self) -> String {
        self.fresh += 1;
        format!("n{}", self.fresh)
    }

    /// Computes a number in a condition of its own and names it.
    fn computed(&mut self, call: String) -> String {
        let name = self.fresh();
        self.conditions.push(format!("(if-let {name} {call})"));
        name
    }

    /// A number, read in lanes of type `ty`.
    fn number(&mut self, number: &Sexp, ty: TyVar) -> Text {
        if let Some(literal) = number.number() {
            return Ok(match literal {
                -1 => format!("(lane_ones {})", self.mark(ty)),
                _ if literal < 0 => return Err("a negative number".to_owned()),
                _ => literal.to_string(),
            });
        }
        if let Sexp::Atom(name) = number {
            return Ok(safe(name));
        }
        let Some((head, args)) = number.parts() else {
            return Err("a number without a name".to_owned());
        };
        if let Some(call) = self.typed_number(head, args)? {
            return Ok(self.computed(call));
        }
        if let Some((name, fixed)) = of_type(head)
            && let [of] = args
        {
            let lane = of.parts().is_some_and(|(head, _)| head == "lane_type");
            let of = match of.parts() {
                Some(("lane_type", [inner])) => self.ty(inner)?,
                _ => self.ty(of)?,
            };
            if fixed && !lane {
                self.shape(of, false)?;
            }
            return Ok(self.computed(format!("({name} {})", self.mark(of))));
        }
        if let ("ty_shift_mask", [of]) = (head, args) {
            let of = self.ty(of)?;
            return Ok(self.computed(format!("(num_sub (lane_bits {}) 1)", self.mark(of))));
        }
        let plain = match head {
            "imm64" | "u64_from_imm64" | "i64_cast_unsigned" | "u64_uextend_imm64" => {
                return self.number(args.last().ok_or("a number without operands")?, ty);
            }
            "u64_not" => {
                let inner = self.number(&args[0], ty)?;
                return Ok(self.computed(format!("(imm_xor {inner} 0xffffffffffffffff)")));
            }
            "i64_wrapping_neg" => {
                let (inner, of) = (self.number(&args[0], ty)?, self.type_of(&args[0], ty));
                return Ok(self.computed(format!("(imm_neg {} {inner})", self.mark(of))));
            }
            "u64_and" => "imm_and",
            "u64_or" => "imm_or",
            "u64_wrapping_add" => "num_add",
            "u64_wrapping_sub" | "u64_sub" | "u32_sub" => "num_sub",
            "u64_div" => "num_div",
            "u64_rem" | "u64_checked_rem" => "num_rem",
            "u64_ilog2" => "log2",
            "u64_trailing_zeros" | "i64_trailing_zeros" => "trailing_zeros",
            "u64_shl" if args[0].number() == Some(1) => {
                let inner = self.number(&args[1], ty)?;
                return Ok(self.computed(format!("(pow2 {inner})")));
            }
            _ => return Err(format!("number `{head}`")),
        };
        let args: Result<Vec<String>, _> = args.iter().map(|arg| self.number(arg, ty)).collect();
        Ok(self.computed(format!("({plain} {})", args?.join(" "))))
    }

    /// A number as a lane of type `ty`; what stood in narrower lanes is sign-extended.
    fn signed(&mut self, number: &Sexp, ty: TyVar) -> Text {
        let text = self.number(number, ty)?;
        let from = self.find(self.type_of(number, ty));
        match number.name() {
            Some(_) if from != self.find(ty) => {
                let (to, from) = (self.mark(ty), self.mark(from));
                Ok(self.computed(format!("(imm_sext {to} {from} {text})")))
            }
            _ => Ok(text),
        }
    }

    /// Functions of numbers that upstream gives a type.
    fn typed_number(&mut self, head: &str, args: &[Sexp]) -> Result<Option<String>, Refused> {
        let Some(name) = head.strip_prefix("imm64_") else { return Ok(None) };
        let shift = matches!(name, "shl" | "ushr" | "sshr");
        let name = match name {
            "masked" => "imm_cut",
            "add" | "sub" | "mul" | "neg" | "not" | "shl" | "ushr" | "sshr" | "smin" | "smax" => {
                &format!("imm_{name}")
            }
            "and" | "or" | "xor" | "umin" | "umax" => &format!("imm_{name}"),
            _ => return Err(format!("number `{head}`")),
        };
        let Some((of, args)) = args.split_first() else { return Ok(None) };
        let of = self.ty(of)?;
        let mut texts = Vec::new();
        for (at, arg) in args.iter().enumerate() {
            let arg = self.number(arg, of)?;
            texts.push(match shift && at == 1 {
                true => format!("(shift_amount {} {arg})", self.mark(of)),
                false => arg,
            });
        }
        let cond = Cond::ALL.iter().find(|cond| cond.name() == name);
        let typed = cond.is_some_and(|cond| cond.params().len() > texts.len());
        let ty = if typed { format!("{} ", self.mark(of)) } else { String::new() };
        Ok(Some(format!("({name} {ty}{})", texts.join(" "))))
    }

    /// The type of the constant that a number variable stands for.
    fn type_of(&self, number: &Sexp, otherwise: TyVar) -> TyVar {
        let name = match (number, number.parts()) {
            (Sexp::Atom(name), _) => Some(name.as_str()),
            (_, Some((_, [inner]))) => inner.name(),
            _ => None,
        };
        name.and_then(|name| self.numbers.get(name).copied()).unwrap_or(otherwise)
    }

    fn condition(&mut self, condition: &Sexp) -> Result<(), Refused> {
        match condition.parts() {
            Some(("if", [call])) => match call.parts() {
                Some(("ty_vector_not_float", [ty])) => {
                    let ty = self.ty(ty)?;
                    self.int(ty);
                    self.shape(ty, true)
                }
                Some(("signed_cond_code", [code])) => {
                    let code = self.code(code)?;
                    self.conditions.push(format!("(if (cc_signed {code}))"));
                    Ok(())
                }
                Some((head, _)) => Err(format!("condition `{head}`")),
                None => Err("a condition without a name".to_owned()),
            },
            Some(("type_is", [value, ty])) => self.typed(value, ty),
            Some(("if-let", [Sexp::Atom(truth), call])) if truth == "true" => {
                self.holds(call, true)
            }
            Some(("if-let", [Sexp::Atom(truth), call])) if truth == "false" => {
                self.holds(call, false)
            }
            Some(("if-let", [bound, call])) => match bound.parts() {
                Some(("value_type", [ty])) => self.typed(call, ty),
                _ => {
                    let of = call.parts().and_then(|(head, args)| {
                        head.starts_with("imm64_").then(|| args.first()).flatten()
                    });
                    let ty = match of {
                        Some(of) => self.ty(of)?,
                        None => self.new_type(),
                    };
                    let value = self.number(call, ty)?;
                    let at = self.conditions.len();
                    let bound = self.bound(bound, ty)?;
                    // A second name, or what must be equal; before what is asked of it.
                    let named = format!("(if-let {bound} (imm_umin {value} {value}))");
                    self.conditions.insert(at, named);
                    Ok(())
                }
            },
            _ => Err("a condition without a name".to_owned()),
        }
    }

    /// Says that a value has this type.
    fn typed(&mut self, value: &Sexp, ty: &Sexp) -> Result<(), Refused> {
        let ty = self.ty(ty)?;
        match value {
            Sexp::Atom(name) => self.variable(name, ty),
            _ => Err("the type of what a rule builds".to_owned()),
        }
    }

    fn holds(&mut self, call: &Sexp, truth: bool) -> Result<(), Refused> {
        let call = match call.parts() {
            Some(("let", [Sexp::List(bindings), body])) => {
                let find = |name: &str| {
                    bindings.iter().find_map(|binding| match binding {
                        Sexp::List(all) if all[0].name() == Some(name) => all.get(2).cloned(),
                        _ => None,
                    })
                };
                body.replace(&find)
            }
            _ => call.clone(),
        };
        let Some((head, args)) = call.parts() else {
            return Err("a condition without a name".to_owned());
        };
        if let ("ty_equal", [a, b], true) = (head, args, truth) {
            let (a, b) = (self.ty(a)?, self.ty(b)?);
            return self.unify(a, b);
        }
        let [a, b] = args else { return Err(format!("condition `{head}`")) };
        let otherwise = self.new_type();
        let of = self.type_of(a, self.type_of(b, otherwise));
        let (left, right) = (self.number(a, of)?, self.number(b, of)?);
        let ty = self.mark(of);
        let text = match (head, truth) {
            ("u64_eq" | "i64_eq", true) | ("i64_ne", false) => format!("imm_eq {left} {right}"),
            ("u64_eq" | "i64_eq", false) | ("i64_ne", true) => format!("imm_ne {left} {right}"),
            ("u64_lt" | "u32_lt", true) => format!("imm_ult {left} {right}"),
            ("u64_lt_eq", true) => format!("imm_ule {left} {right}"),
            ("u64_gt", true) => format!("imm_ult {right} {left}"),
            ("i64_lt", true) => format!("imm_slt {ty} {left} {right}"),
            ("i64_gt_eq", true) => format!("imm_sle {ty} {right} {left}"),
            _ => return Err(format!("condition `{head}`")),
        };
        self.conditions.push(format!("(if ({text}))"));
        Ok(())
    }

    /// The rule with its types, and the conditions that give or restrict them.
    fn finish(&mut self, left: &str, right: &str) -> Text {
        for ty in 0..self.types.len() {
            let info = &self.types[ty];
            if info.same.is_none() && info.constant && !info.asked {
                self.shape(ty, false)?;
            }
        }
        let mut bound: Vec<TyVar> = self.marked(left);
        let rest = format!("{} {right}", self.conditions.join(" "));
        let needed = self.marked(&rest);
        let mut heads = Vec::new();
        for ty in bound.clone() {
            let info = &self.types[ty];
            if info.is.is_none() && info.vector.is_some() {
                let shape = if info.vector == Some(true) { "ty_vector" } else { "ty_scalar" };
                heads.push(format!("(if ({shape} {}))", self.mark(ty)));
            }
            if info.is.is_none() && info.int {
                heads.push(format!("(if (ty_int {}))", self.mark(ty)));
            }
        }
        // Types that follow from those bound, until there are no more.
        loop {
            let mut more = false;
            for (relation, of, ty) in self.relations.clone() {
                let (of, ty) = (self.find(of), self.find(ty));
                let known = |ty: TyVar| bound.contains(&ty) || self.types[ty].is.is_some();
                let forward = if relation == Relation::Lane { "lane_of" } else { "widen_of" };
                let backward = if relation == Relation::Lane { "vector_of" } else { "narrow_of" };
                let (name, from, to) = match (known(of), known(ty)) {
                    (true, _) => (forward, of, ty),
                    (false, true) => (backward, ty, of),
                    _ => continue,
                };
                let wanted = needed.contains(&to) || known(to);
                let text = match self.types[to].is {
                    // A constant cannot stand before a condition's result; its twin can.
                    Some(_) => continue,
                    None => format!("(if-let {} ({name} {}))", self.mark(to), self.mark(from)),
                };
                if wanted && !heads.contains(&text) {
                    heads.push(text);
                    if !bound.contains(&to) {
                        bound.push(to);
                    }
                    more = true;
                }
            }
            if !more {
                break;
            }
        }
        for ty in needed {
            if bound.contains(&ty) || self.types[ty].is.is_some() {
                continue;
            }
            let value = self.values.iter().filter(|(_, of)| self.find(**of) == ty);
            let Some((name, _)) = value.min_by_key(|(name, _)| name.as_str().to_owned()) else {
                return Err("a type that the left side does not give".to_owned());
            };
            heads.push(format!("(if-let {} (value_type {}))", self.mark(ty), safe(name)));
            bound.push(ty);
        }
        let conditions = [heads, self.conditions.clone()].concat();
        let mut text = format!("(simplify {left})");
        for condition in conditions {
            let _ = write!(text, "\n  {condition}");
        }
        let _ = write!(text, "\n  {right}");
        Ok(self.resolved(&text))
    }

    /// The types marked in a text, each once.
    fn marked(&self, text: &str) -> Vec<TyVar> {
        let mut found = Vec::new();
        for part in text.split(OPEN).skip(1) {
            let number = part.split(CLOSE).next().and_then(|number| number.parse().ok());
            let Some(ty) = number.map(|ty: TyVar| self.find(ty)) else { continue };
            if self.types[ty].is.is_none() && !found.contains(&ty) {
                found.push(ty);
            }
        }
        found
    }

    fn resolved(&self, text: &str) -> String {
        let mut out = String::new();
        for (at, part) in text.split(OPEN).enumerate() {
            if at == 0 {
                out.push_str(part);
                continue;
            }
            let (number, rest) = part.split_once(CLOSE).unwrap_or((part, ""));
            let ty = self.find(number.parse().unwrap_or(0));
            out += &match (&self.types[ty].is, &self.types[ty].name) {
                (Some(is), _) => format!("${}", is.name().to_uppercase()),
                (None, Some(name)) if name != "_" => name.clone(),
                _ => format!("t{ty}"),
            };
            out.push_str(rest);
        }
        out
    }
}

/// Numbers that follow from a type, and whether they mean the whole type, not a lane.
fn of_type(head: &str) -> Option<(&'static str, bool)> {
    Some(match head {
        "ty_bits" | "ty_bits_u64" => ("lane_bits", true),
        "ty_mask" | "ty_umax" => ("lane_ones", true),
        "ty_smin" => ("lane_smin", true),
        "ty_smax" => ("lane_smax", true),
        _ => return None,
    })
}

/// A name that no term of ours has.
fn safe(name: &str) -> String {
    let lower = name.to_lowercase();
    let taken = lower == "k"
        || lower == "kvec"
        || Op::by_name(&lower).is_some()
        || Cond::ALL.iter().any(|cond| cond.name() == lower);
    if taken { format!("{lower}_") } else { lower }
}

//! From ISLE text to rules: stock parser, stock type checker, then our own terms read off.
//!
//! Decides nothing about types of values; `types` does. Invariant: no input makes it panic or
//! overflow the stack: what stock ISLE could choke on is refused before it.

mod lower;

use crate::error::{Place, RuleError, RuleErrors};
use crate::prelude::{self, PRELUDE_FILE, prelude};
use crate::rule::{Condition, NOT_KNOWN, Pattern, Ref, Rule, RuleSet, Slot, Template, Var, VarId};
use crate::source::{Source, place, reason_above};
use crate::{Cond, RuleId, Sort, slot};
use cranelift_isle::sema::{self, Expr, TermEnv, TermId, TypeEnv, TypeId};
use cranelift_isle::{ast, error::Error as IsleError, lexer::Lexer, lexer::Pos, parser};
use egraft_ir::machine::MachineOp;
use egraft_ir::{FloatCc, IntCc, Op, Ty};
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

/// The most variables of one rule, those made for wildcards and nested conditions included.
pub const VARS_LIMIT: usize = 48;

/// The most nodes on either side of one rule.
pub const NODES_LIMIT: usize = 48;

impl RuleSet {
    /// Loads every `.isle` file below `folder`, in order of their names.
    ///
    /// # Errors
    /// Everything found wrong, as [`RuleError`]s with their places.
    pub fn from_folder(folder: &Path) -> Result<RuleSet, RuleErrors> {
        RuleSet::parse(&Source::in_folder(folder)?)
    }

    /// Loads rules from sources, in their order.
    ///
    /// # Errors
    /// Everything found wrong, as [`RuleError`]s with their places.
    pub fn parse(sources: &[Source]) -> Result<RuleSet, RuleErrors> {
        let rules = parse_with(sources, &prelude(), "simplify", |env, named, rule, at| {
            Reader::new(env, named, "simplify").read(rule, RuleId(at as u16))
        })?;
        Ok(RuleSet { rules })
    }
}

/// Loads rules whose root term is `root`, each with `read`, which is given its place in the set.
fn parse_with<R>(
    sources: &[Source],
    prelude: &str,
    root: &'static str,
    read: impl Fn(&Env<'_>, &Named, &sema::Rule, usize) -> Read<R>,
) -> Result<Vec<R>, RuleErrors> {
    let mut files = vec![(PRELUDE_FILE, prelude)];
    let mut errors = Vec::new();
    for source in sources {
        match source.checked_text() {
            Ok(text) => files.push((source.name.as_str(), text)),
            Err(error) => errors.push(error),
        }
    }
    refuse(errors)?;
    // Stock ISLE reports its errors, but it also holds assertions about its own tables.
    let loader = Loader { files: &files, root };
    let loaded = catch_unwind(AssertUnwindSafe(|| loader.load(read)));
    loaded.unwrap_or_else(|panic| {
        let message = panic
            .downcast_ref::<String>()
            .cloned()
            .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
            .unwrap_or_default();
        let file = files.get(1).map_or(PRELUDE_FILE, |(name, _)| name).to_owned();
        Err(RuleError::FrontEnd { file, message }.into())
    })
}

fn refuse(errors: Vec<RuleError>) -> Result<(), RuleErrors> {
    if errors.is_empty() { Ok(()) } else { Err(RuleErrors(errors)) }
}

/// What a term of the prelude means.
#[derive(Clone, Copy)]
enum Meaning {
    Root(&'static str),
    Splat,
    Bits,
    Op(Op),
    Machine(MachineOp),
    Cond(Cond),
    /// Around a condition: that it is not known to hold.
    NotKnown,
    Code(u128),
}

struct Loader<'a> {
    /// Name and text; the prelude first.
    files: &'a [(&'a str, &'a str)],
    /// The term at the root of every rule.
    root: &'static str,
}

impl Loader<'_> {
    fn load<R>(
        &self,
        read: impl Fn(&Env<'_>, &Named, &sema::Rule, usize) -> Read<R>,
    ) -> Result<Vec<R>, RuleErrors> {
        let mut defs = Vec::new();
        let mut errors = Vec::new();
        for (file, (_, text)) in self.files.iter().enumerate() {
            match Lexer::new(file, text).and_then(parser::parse) {
                Ok(parsed) => defs.extend(parsed),
                Err(error) => errors.push(self.isle_error(error)),
            }
        }
        refuse(errors)?;
        let places = self.check_names(&defs)?;
        let all = |errors: Vec<IsleError>| {
            RuleErrors(errors.into_iter().map(|error| self.isle_error(error)).collect())
        };
        let mut types = TypeEnv::from_ast(&defs).map_err(all)?;
        let terms = TermEnv::from_ast(&mut types, &defs, true).map_err(all)?;
        let env = Env::new(&types, &terms);
        let mut rules = Vec::new();
        let mut errors = Vec::new();
        for (rule, named) in terms.rules.iter().zip(places) {
            match read(&env, &named, rule, rules.len()) {
                Ok(rule) => rules.push(rule),
                Err(error) => errors.push(error),
            }
        }
        refuse(errors)?;
        Ok(rules)
    }

    fn place(&self, pos: Pos) -> Place {
        let (name, text) = self.files[pos.file.min(self.files.len() - 1)];
        place(name, text, pos.offset)
    }

    fn isle_error(&self, error: IsleError) -> RuleError {
        match error {
            IsleError::ParseError { msg, span } => {
                RuleError::Syntax { place: self.place(span.from), message: msg }
            }
            IsleError::TypeError { msg, span }
            | IsleError::UnreachableError { msg, span }
            | IsleError::RecursionError { msg, span } => {
                RuleError::Type { place: self.place(span.from), message: msg }
            }
            other => RuleError::FrontEnd {
                file: self.files.last().map_or("", |(name, _)| name).to_owned(),
                message: format!("{other:?}"),
            },
        }
    }

    /// Names, reasons and places of all rules in order; refuses all other forms.
    fn check_names(&self, defs: &[ast::Def]) -> Result<Vec<Named>, RuleErrors> {
        let mut errors = Vec::new();
        let mut named: Vec<Named> = Vec::new();
        let mut seen: HashMap<&str, Place> = HashMap::new();
        for def in defs {
            let ast::Def::Rule(rule) = def else {
                if let Some((form, pos)) = form(def).filter(|(_, pos)| pos.file != 0) {
                    errors.push(RuleError::NotARule { place: self.place(pos), form });
                }
                continue;
            };
            let text = self.files[rule.pos.file].1;
            // ISLE's position is that of the name; the rule starts at its parenthesis.
            let start = text[..rule.pos.offset].rfind('(').unwrap_or(rule.pos.offset);
            let place = self.place(Pos::new(rule.pos.file, start));
            let Some(ast::Ident(name, _)) = &rule.name else {
                errors.push(RuleError::NoName { place });
                continue;
            };
            if let Some(first) = seen.insert(name, place.clone()) {
                let (rule, place) = (name.clone(), place.clone());
                errors.push(RuleError::DuplicateName { rule, place, first });
            }
            let reason = reason_above(text, start);
            if !reason.contains(char::is_alphanumeric) {
                let (rule, place) = (name.clone(), place.clone());
                errors.push(RuleError::NoReason { rule, place });
            }
            let rooted =
                matches!(&rule.pattern, ast::Pattern::Term { sym, .. } if sym.0 == self.root);
            if !rooted {
                let (rule, place, root) = (name.clone(), place.clone(), self.root);
                errors.push(RuleError::RootNotOp { rule, place, root });
            }
            named.push(Named { name: name.clone(), reason, place });
        }
        let limit = usize::from(u16::MAX);
        if named.len() > limit {
            errors.push(RuleError::TooManyRules { count: named.len(), limit });
        }
        refuse(errors)?;
        Ok(named)
    }
}

fn form(def: &ast::Def) -> Option<(&'static str, Pos)> {
    Some(match def {
        ast::Def::Type(def) => ("type", def.pos),
        ast::Def::Decl(def) => ("decl", def.pos),
        ast::Def::Attr(def) => ("attr", def.pos),
        ast::Def::Spec(def) => ("spec", def.pos),
        ast::Def::SpecMacro(def) => ("macro", def.pos),
        ast::Def::State(def) => ("state", def.pos),
        ast::Def::Model(def) => ("model", def.name.1),
        ast::Def::Form(def) => ("form", def.pos),
        ast::Def::Instantiation(def) => ("instantiate", def.pos),
        ast::Def::Extractor(def) => ("extractor", def.pos),
        ast::Def::Extern(
            ast::Extern::Extractor { pos, .. }
            | ast::Extern::Constructor { pos, .. }
            | ast::Extern::Const { pos, .. },
        ) => ("extern", *pos),
        ast::Def::Converter(def) => ("convert", def.pos),
        ast::Def::Rule(_) | ast::Def::Pragma(_) => return None,
    })
}

struct Named {
    name: String,
    reason: String,
    place: Place,
}

struct Env<'a> {
    types: &'a TypeEnv,
    terms: &'a TermEnv,
    meanings: Vec<Option<Meaning>>,
}

impl<'a> Env<'a> {
    fn new(types: &'a TypeEnv, terms: &'a TermEnv) -> Env<'a> {
        let meanings =
            terms.terms.iter().map(|term| meaning(&types.syms[term.name.index()])).collect();
        Env { types, terms, meanings }
    }

    fn name(&self, sym: sema::Sym) -> &str {
        &self.types.syms[sym.index()]
    }

    fn sort(&self, ty: TypeId) -> Option<Sort> {
        let name = self.types.types[ty.index()].name(self.types);
        [Sort::Value, Sort::Type, Sort::Int, Sort::IntCc, Sort::FloatCc]
            .into_iter()
            .find(|sort| sort.name() == name)
    }
}

fn meaning(term: &str) -> Option<Meaning> {
    fn code<T: Copy + std::fmt::Debug>(all: &[T], name: &str) -> Option<Meaning> {
        let at = all.iter().position(|code| format!("{code:?}") == name)?;
        Some(Meaning::Code(at as u128))
    }
    match term {
        "simplify" => Some(Meaning::Root("simplify")),
        "lower" => Some(Meaning::Root("lower")),
        "k" => Some(Meaning::Splat),
        "kvec" => Some(Meaning::Bits),
        NOT_KNOWN => Some(Meaning::NotKnown),
        _ => None,
    }
    .or_else(|| term.strip_prefix("IntCc.").and_then(|name| code(IntCc::ALL, name)))
    .or_else(|| term.strip_prefix("FloatCc.").and_then(|name| code(FloatCc::ALL, name)))
    .or_else(|| Op::by_name(term).filter(|op| prelude::is_term(*op)).map(Meaning::Op))
    .or_else(|| Cond::by_name(term).map(Meaning::Cond))
    .or_else(|| MachineOp::by_name(term).map(Meaning::Machine))
}

/// What a `let` on a right side stands for.
#[derive(Clone)]
enum Let {
    Value(Template),
    Other(Ref),
}

/// Reads one rule.
struct Reader<'a> {
    env: &'a Env<'a>,
    named: &'a Named,
    /// The term at the root of the rule.
    root: &'static str,
    vars: Vec<Var>,
    /// By ISLE's number of the variable.
    known: HashMap<usize, VarId>,
    lets: HashMap<usize, Let>,
    conditions: Vec<Condition>,
    nodes: usize,
}

type Read<T> = Result<T, RuleError>;

impl<'a> Reader<'a> {
    fn new(env: &'a Env<'a>, named: &'a Named, root: &'static str) -> Reader<'a> {
        Reader {
            env,
            named,
            root,
            vars: Vec::new(),
            known: HashMap::new(),
            lets: HashMap::new(),
            conditions: Vec::new(),
            nodes: 0,
        }
    }

    /// Reads the left side and the conditions.
    fn left(&mut self, rule: &sema::Rule) -> Read<Pattern> {
        let (named, root) = (self.named, self.root);
        let not_op =
            || RuleError::RootNotOp { rule: named.name.clone(), place: named.place.clone(), root };
        let rooted = matches!(self.meaning(rule.root_term), Some(Meaning::Root(is)) if is == root);
        let [pattern] = rule.args.as_slice() else { return Err(not_op()) };
        if !rooted {
            return Err(not_op());
        }
        let lhs = self.pattern(pattern, rule)?;
        if lhs.root_op().is_none() {
            return Err(not_op());
        }
        for clause in &rule.iflets {
            self.clause(clause, rule)?;
        }
        Ok(lhs)
    }

    fn read(mut self, rule: &sema::Rule, id: RuleId) -> Read<Rule> {
        let lhs = self.left(rule)?;
        let rhs = self.template(&rule.rhs)?;
        let (name, place) = (self.named.name.clone(), self.named.place.clone());
        let rule = Rule {
            id,
            name,
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

    fn meaning(&self, term: TermId) -> Option<Meaning> {
        self.env.meanings[term.index()]
    }

    fn unsupported(&self, what: impl Into<String>, way_out: &'static str) -> RuleError {
        RuleError::Unsupported {
            rule: self.named.name.clone(),
            place: self.named.place.clone(),
            what: what.into(),
            way_out,
        }
    }

    fn new_var(&mut self, name: Option<&str>, sort: Sort) -> Read<VarId> {
        if self.vars.len() == VARS_LIMIT {
            return Err(self.too_complex("variables", VARS_LIMIT));
        }
        let id = VarId(self.vars.len() as u16);
        let name = name.map_or_else(|| format!("_{}", id.0), str::to_owned);
        self.vars.push(Var { name, sort });
        Ok(id)
    }

    fn too_complex(&self, what: &'static str, limit: usize) -> RuleError {
        let (rule, place) = (self.named.name.clone(), self.named.place.clone());
        RuleError::TooComplex { rule, place, what, limit }
    }

    fn count_node(&mut self) -> Read<()> {
        self.nodes += 1;
        if self.nodes > NODES_LIMIT {
            return Err(self.too_complex("nodes on the left side", NODES_LIMIT));
        }
        Ok(())
    }

    /// The variable that ISLE numbers `var`, made if it is new.
    fn bind(&mut self, var: sema::VarId, ty: TypeId, rule: &sema::Rule) -> Read<VarId> {
        if let Some(known) = self.known.get(&var.index()) {
            return Ok(*known);
        }
        let Some(sort) = self.env.sort(ty) else {
            return Err(self.unsupported(
                "a variable for the result of a condition that has none",
                "write `(if (condition ...))`",
            ));
        };
        let name = self.env.name(rule.vars[var.index()].name).to_owned();
        let id = self.new_var(Some(&name), sort)?;
        self.known.insert(var.index(), id);
        Ok(id)
    }

    fn pattern(&mut self, pattern: &sema::Pattern, rule: &sema::Rule) -> Read<Pattern> {
        self.count_node()?;
        match pattern {
            sema::Pattern::Wildcard(_) => Ok(Pattern::Var(self.new_var(None, Sort::Value)?)),
            sema::Pattern::Var(ty, var) => Ok(Pattern::Var(self.bind(*var, *ty, rule)?)),
            sema::Pattern::BindPattern(ty, var, inner) => {
                let id = self.bind(*var, *ty, rule)?;
                match &**inner {
                    sema::Pattern::Wildcard(_) => Ok(Pattern::Var(id)),
                    inner => Ok(Pattern::Bind(id, Box::new(self.pattern(inner, rule)?))),
                }
            }
            sema::Pattern::And(_, all) => {
                let all: Read<Vec<_>> = all.iter().map(|one| self.pattern(one, rule)).collect();
                Ok(Pattern::And(all?))
            }
            sema::Pattern::Term(_, term, args) => self.term_pattern(*term, args, rule),
            sema::Pattern::ConstBool(..)
            | sema::Pattern::ConstInt(..)
            | sema::Pattern::ConstPrim(..) => Err(self.unsupported(
                "a number where a value is expected",
                "write `(k ty number)` or `(kvec bits)`",
            )),
        }
    }

    fn term_pattern(
        &mut self,
        term: TermId,
        args: &[sema::Pattern],
        rule: &sema::Rule,
    ) -> Read<Pattern> {
        match (self.meaning(term), args) {
            (Some(Meaning::Splat), [ty, value]) => Ok(Pattern::Splat {
                ty: self.type_slot(ty, rule)?,
                value: self.number_slot(value, rule, Sort::Int)?,
            }),
            (Some(Meaning::Bits), [value]) => {
                Ok(Pattern::Bits { value: self.number_slot(value, rule, Sort::Int)? })
            }
            (Some(Meaning::Op(op)), args) => {
                let mut args = args.iter();
                let mut next = || args.next();
                let ty = match prelude::only_type(op) {
                    Some(only) => Slot { var: None, is: Some(only) },
                    None => self.type_slot_of(next(), rule)?,
                };
                let from = match (prelude::writes_from(op), prelude::only_type(op)) {
                    (true, _) => Some(self.type_slot_of(next(), rule)?),
                    (false, Some(only)) if prelude::has_from(op) => {
                        Some(Slot { var: None, is: Some(only_from(op, only)) })
                    }
                    _ => None,
                };
                let imm = match (prelude::imm_sort(op), ()) {
                    (None, ()) => None,
                    (Some(sort), ()) => match next() {
                        Some(imm) => Some(self.number_slot(imm, rule, sort)?),
                        None => return Err(self.unsupported("a missing immediate", "write it")),
                    },
                };
                let args: Read<Vec<_>> = args.map(|arg| self.pattern(arg, rule)).collect();
                Ok(Pattern::Op { op, ty, from, imm, args: args? })
            }
            _ => {
                let name = self.env.name(self.env.terms.terms[term.index()].name).to_owned();
                Err(self.unsupported(
                    format!("`{name}` as a pattern"),
                    "match ops, `k` and `kvec`; ask conditions with `(if ...)`",
                ))
            }
        }
    }

    fn type_slot_of(
        &mut self,
        pattern: Option<&sema::Pattern>,
        rule: &sema::Rule,
    ) -> Read<Slot<Ty>> {
        match pattern {
            Some(pattern) => self.type_slot(pattern, rule),
            None => Err(self.unsupported("a missing type", "write it")),
        }
    }

    fn type_slot(&mut self, pattern: &sema::Pattern, rule: &sema::Rule) -> Read<Slot<Ty>> {
        let slot = self.number_slot(pattern, rule, Sort::Type)?;
        Ok(Slot { var: slot.var, is: slot.is.map(slot::ty) })
    }

    /// A place on the left side for anything but a value. A wildcard becomes a variable.
    fn number_slot(
        &mut self,
        pattern: &sema::Pattern,
        rule: &sema::Rule,
        sort: Sort,
    ) -> Read<Slot<u128>> {
        let (mut var, mut is) = (None, None);
        self.fill_slot(pattern, rule, &mut var, &mut is)?;
        if var.is_none() && is.is_none() {
            var = Some(self.new_var(None, sort)?);
        }
        Ok(Slot { var, is })
    }

    fn fill_slot(
        &mut self,
        pattern: &sema::Pattern,
        rule: &sema::Rule,
        var: &mut Option<VarId>,
        is: &mut Option<u128>,
    ) -> Read<()> {
        let twice = |reader: &Reader<'_>| {
            Err(reader.unsupported(
                "a type or number with more than one name or value",
                "write one name, one value, or `name @ value`",
            ))
        };
        match pattern {
            sema::Pattern::Wildcard(_) => {}
            sema::Pattern::Var(ty, id) | sema::Pattern::BindPattern(ty, id, _) => {
                if var.is_some() {
                    return twice(self);
                }
                *var = Some(self.bind(*id, *ty, rule)?);
                if let sema::Pattern::BindPattern(_, _, inner) = pattern {
                    self.fill_slot(inner, rule, var, is)?;
                }
            }
            sema::Pattern::And(_, all) => {
                for one in all {
                    self.fill_slot(one, rule, var, is)?;
                }
            }
            sema::Pattern::ConstInt(_, value) => {
                if is.replace(*value as u128).is_some() {
                    return twice(self);
                }
            }
            sema::Pattern::ConstPrim(_, sym) => {
                let value = self.type_const(*sym)?;
                if is.replace(value).is_some() {
                    return twice(self);
                }
            }
            sema::Pattern::Term(_, term, _) => match self.meaning(*term) {
                Some(Meaning::Code(code)) => {
                    if is.replace(code).is_some() {
                        return twice(self);
                    }
                }
                _ => {
                    return Err(self.unsupported(
                        "a term where a type or number is expected",
                        "compute it in a condition: `(if-let x (term ...))`",
                    ));
                }
            },
            sema::Pattern::ConstBool(..) => {
                return Err(self.unsupported("a truth value", "write `(if (condition ...))`"));
            }
        }
        Ok(())
    }

    fn type_const(&self, sym: sema::Sym) -> Read<u128> {
        let name = self.env.name(sym).to_lowercase();
        match name.parse::<Ty>() {
            Ok(ty) => Ok(slot::of_ty(ty)),
            Err(_) => Err(self.unsupported(format!("the constant `${name}`"), "write a type")),
        }
    }

    fn clause(&mut self, clause: &sema::IfLet, rule: &sema::Rule) -> Read<()> {
        let Expr::Term(_, term, args) = &clause.rhs else {
            return Err(self.unsupported(
                "an `if-let` without a condition",
                "write `(if-let pattern (condition ...))`; join patterns with `and`",
            ));
        };
        let (cond, args, negative) = match (self.meaning(*term), args.as_slice()) {
            (Some(Meaning::Cond(cond)), args) => (cond, args, false),
            (Some(Meaning::NotKnown), [Expr::Term(_, inner, args)]) => {
                (self.fact_condition(*inner)?, args.as_slice(), true)
            }
            _ => {
                return Err(self.unsupported(
                    "an `if` or `if-let` over something that is no condition",
                    "write a term from the table in isle-rules/README.md",
                ));
            }
        };
        let args = self.cond_args(cond, args)?;
        let (mut var, mut is) = (None, None);
        self.fill_slot(&clause.lhs, rule, &mut var, &mut is)?;
        if cond.result().is_none() && (var.is_some() || is.is_some()) {
            return Err(self.unsupported(
                format!("a pattern for `{}`, which has no result", cond.name()),
                "write `(if (condition ...))`",
            ));
        }
        if cond.result().is_some() && !cond.is_partial() && var.is_none() && is.is_none() {
            return Err(self.unsupported(
                format!("`{}` as a condition, though it never fails", cond.name()),
                "compare its result: `(if-let pattern (condition ...))`",
            ));
        }
        self.conditions.push(Condition { negative, cond, args, result: Slot { var, is } });
        Ok(())
    }

    /// A condition that may stand in `not_known`.
    fn fact_condition(&self, term: TermId) -> Read<Cond> {
        match self.meaning(term) {
            Some(Meaning::Cond(cond)) if cond.reads_facts() && cond.result().is_none() => Ok(cond),
            _ => Err(self.unsupported(
                "`not_known` of something other than a condition on facts",
                "ask a condition that reads what is known of a value and has no result",
            )),
        }
    }

    fn cond_args(&mut self, cond: Cond, args: &[Expr]) -> Read<Vec<Ref>> {
        args.iter()
            .map(|arg| {
                let arg = self.reference(arg)?;
                // Numbers compare as they are, so -1 would be 2^128 - 1 and not a lane of ones.
                let bits = cond.name().starts_with("mask_") || cond.name().starts_with("vec_");
                match arg {
                    Ref::Const(number) if !bits && (number as i128) < 0 => Err(self.unsupported(
                        format!("a negative number in `{}`", cond.name()),
                        "write it in hexadecimal as a lane value, or use `lane_ones` or `imm_neg`",
                    )),
                    arg => Ok(arg),
                }
            })
            .collect()
    }

    /// Anything but a value on the right side or in a condition. Nested conditions are computed
    /// into variables.
    fn reference(&mut self, expr: &Expr) -> Read<Ref> {
        match expr {
            Expr::ConstInt(_, value) => Ok(Ref::Const(*value as u128)),
            Expr::ConstPrim(_, sym) => Ok(Ref::Const(self.type_const(*sym)?)),
            Expr::Var(_, var) => {
                match (self.known.get(&var.index()), self.lets.get(&var.index())) {
                    (Some(id), _) => Ok(Ref::Var(*id)),
                    (None, Some(Let::Other(reference))) => Ok(*reference),
                    (None, Some(Let::Value(Template::Var(id)))) => Ok(Ref::Var(*id)),
                    _ => Err(self.unsupported(
                        "a value in a condition that the left side does not name",
                        "bind it on the left with `name @ pattern`",
                    )),
                }
            }
            Expr::Term(_, term, args) => match self.meaning(*term) {
                Some(Meaning::Code(code)) => Ok(Ref::Const(code)),
                Some(Meaning::Cond(cond)) => {
                    let Some(sort) = cond.result() else {
                        return Err(self.unsupported(
                            format!("`{}` as an argument, though it has no result", cond.name()),
                            "ask it with `(if ...)`",
                        ));
                    };
                    let args = self.cond_args(cond, args)?;
                    let computed = self.conditions.iter().find_map(|known| {
                        (known.cond == cond && known.args == args).then_some(known.result.var?)
                    });
                    if let Some(var) = computed {
                        return Ok(Ref::Var(var));
                    }
                    let var = self.new_var(None, sort)?;
                    let result = Slot { var: Some(var), is: None };
                    self.conditions.push(Condition { negative: false, cond, args, result });
                    Ok(Ref::Var(var))
                }
                _ => Err(self.unsupported(
                    "a value computed inside a condition",
                    "conditions take what the left side binds",
                )),
            },
            Expr::Let { bindings, body, .. } => {
                self.bind_lets(bindings)?;
                self.reference(body)
            }
            Expr::ConstBool(..) => {
                Err(self.unsupported("a truth value", "conditions that take one do not exist"))
            }
        }
    }

    fn bind_lets(&mut self, bindings: &[(sema::VarId, TypeId, Box<Expr>)]) -> Read<()> {
        for (var, ty, value) in bindings {
            let value = match self.env.sort(*ty) {
                Some(Sort::Value) => Let::Value(self.template(value)?),
                Some(_) => Let::Other(self.reference(value)?),
                None => {
                    return Err(self.unsupported("a `let` of a condition", "write `(if ...)`"));
                }
            };
            self.lets.insert(var.index(), value);
        }
        Ok(())
    }

    fn template(&mut self, expr: &Expr) -> Read<Template> {
        let template = match expr {
            Expr::Var(_, var) => {
                match (self.known.get(&var.index()), self.lets.get(&var.index())) {
                    (Some(id), _) => Template::Var(*id),
                    (None, Some(Let::Value(value))) => value.clone(),
                    _ => {
                        return Err(self.unsupported(
                            "a variable on the right that the left does not bind",
                            "bind it on the left side",
                        ));
                    }
                }
            }
            Expr::Term(_, term, args) => self.term_template(*term, args)?,
            Expr::Let { bindings, body, .. } => {
                self.bind_lets(bindings)?;
                self.template(body)?
            }
            Expr::ConstBool(..) | Expr::ConstInt(..) | Expr::ConstPrim(..) => {
                return Err(self.unsupported(
                    "a number where a value is expected",
                    "write `(k ty number)` or `(kvec bits)`",
                ));
            }
        };
        if template.size() > NODES_LIMIT {
            return Err(self.too_complex("nodes on the right side", NODES_LIMIT));
        }
        Ok(template)
    }

    fn term_template(&mut self, term: TermId, args: &[Expr]) -> Read<Template> {
        match (self.meaning(term), args) {
            (Some(Meaning::Splat), [ty, value]) => {
                Ok(Template::Splat { ty: self.reference(ty)?, value: self.reference(value)? })
            }
            (Some(Meaning::Bits), [value]) => Ok(Template::Bits { value: self.reference(value)? }),
            (Some(Meaning::Op(op)), args) => {
                let written = prelude::params(op).len();
                if args.len() != written {
                    return Err(
                        self.unsupported(format!("`{op}` with missing arguments"), "write them")
                    );
                }
                let mut args = args.iter();
                let mut next = |reader: &mut Self| match args.next() {
                    Some(arg) => reader.reference(arg),
                    None => Err(reader.unsupported("a missing argument", "write it")),
                };
                let ty = match prelude::only_type(op) {
                    Some(only) => Ref::Const(slot::of_ty(only)),
                    None => next(self)?,
                };
                let from = match prelude::only_type(op) {
                    _ if prelude::writes_from(op) => Some(next(self)?),
                    Some(only) if prelude::has_from(op) => {
                        Some(Ref::Const(slot::of_ty(only_from(op, only))))
                    }
                    _ => None,
                };
                let imm = match prelude::imm_sort(op) {
                    Some(_) => Some(next(self)?),
                    None => None,
                };
                let args: Read<Vec<_>> = args.map(|arg| self.template(arg)).collect();
                Ok(Template::Op { op, ty, from, imm, args: args? })
            }
            _ => {
                let name = self.env.name(self.env.terms.terms[term.index()].name).to_owned();
                Err(self.unsupported(
                    format!("`{name}` as a value on the right side"),
                    "build ops, `k` and `kvec`",
                ))
            }
        }
    }
}

/// The operand type of a conversion that has but one type.
fn only_from(op: Op, ty: Ty) -> Ty {
    Ty::ALL.into_iter().find(|from| op.allows(ty, *from)).unwrap_or(ty)
}

//! Upstream's helper terms written out: one rule becomes several in which only ops, constants,
//! types and plain functions of numbers are left.
//!
//! Knows no types. Invariant: a rule is the union of its variants, or it is refused with a reason.

use super::sexp::Sexp;
use std::collections::HashMap;

/// The most variants that one rule may have.
const VARIANT_LIMIT: usize = 64;

/// A rule: of `simplify`, or of a helper.
#[derive(Clone, Debug)]
pub(super) struct Form {
    /// The arguments on the left side.
    pub(super) args: Vec<Sexp>,
    /// `if` and `if-let` forms.
    pub(super) conditions: Vec<Sexp>,
    /// The right side.
    pub(super) result: Sexp,
}

/// The helpers of all files.
#[derive(Debug, Default)]
pub(super) struct Helpers {
    /// Extractors: parameters and what they stand for.
    pub(super) extractors: HashMap<String, (Vec<String>, Sexp)>,
    /// Constructors: their rules.
    pub(super) constructors: HashMap<String, Vec<Form>>,
}

/// Helpers whose rules decide on numbers or codes, which is done in another way or not at all.
const KEPT: [&str; 3] = ["cmp_true", "iconst_u", "iconst_s"];

/// Why a rule is not translated.
pub(super) type Refused = String;

/// An expression with the conditions under which it stands.
type Guarded = (Sexp, Vec<Sexp>);

pub(super) struct Expander<'a> {
    helpers: &'a Helpers,
    fresh: usize,
}

impl<'a> Expander<'a> {
    pub(super) fn new(helpers: &'a Helpers) -> Expander<'a> {
        Expander { helpers, fresh: 0 }
    }

    /// All variants of a rule.
    pub(super) fn variants(&mut self, rule: &Form) -> Result<Vec<Form>, Refused> {
        let mut found = Vec::new();
        for pattern in self.pattern(&rule.args[0])? {
            let form = Form { args: vec![pattern], ..rule.clone() };
            for form in self.conditions(form)? {
                let body = self.without_lets(&form.result);
                for (result, guards) in self.result(&body)? {
                    let conditions = [form.conditions.clone(), guards].concat();
                    found.push(Form { args: form.args.clone(), conditions, result });
                }
            }
        }
        match found.len() {
            0 => Err("a helper that never applies".to_owned()),
            count if count > VARIANT_LIMIT => Err("too many variants".to_owned()),
            _ => Ok(found),
        }
    }

    fn pattern(&self, pattern: &Sexp) -> Result<Vec<Sexp>, Refused> {
        match pattern {
            Sexp::Atom(_) => Ok(vec![pattern.clone()]),
            Sexp::At(name, inner) => {
                let inner = self.pattern(inner)?;
                Ok(inner.into_iter().map(|one| Sexp::At(name.clone(), Box::new(one))).collect())
            }
            Sexp::List(_) => {
                let Some((head, args)) = pattern.parts() else {
                    return Err("a list without a name".to_owned());
                };
                if let ("uextend_maybe" | "sextend_maybe", [ty, value]) = (head, args) {
                    let op = head.trim_end_matches("_maybe");
                    let both =
                        [op, "typed"].map(|head| Sexp::call(head, vec![ty.clone(), value.clone()]));
                    let both: Result<Vec<_>, _> =
                        both.iter().map(|one| self.pattern(one)).collect();
                    return Ok(both?.concat());
                }
                if let Some((params, body)) = self.extractor(head, args.len()) {
                    let bound: HashMap<_, _> =
                        params.iter().map(String::as_str).zip(args).collect();
                    let body = body.replace(&|name| bound.get(name).map(|arg| (*arg).clone()));
                    return self.pattern(&body);
                }
                let mut all = vec![Vec::new()];
                for arg in args {
                    let choices = self.pattern(arg)?;
                    all = product(&all, &choices)?;
                }
                Ok(all.into_iter().map(|args| Sexp::call(head, args)).collect())
            }
        }
    }

    fn extractor(&self, head: &str, args: usize) -> Option<&(Vec<String>, Sexp)> {
        let found = self.helpers.extractors.get(head)?;
        (found.0.len() == args && !KEPT.contains(&head)).then_some(found)
    }

    /// Writes out conditions whose helpers take a value apart or give a type.
    fn conditions(&mut self, form: Form) -> Result<Vec<Form>, Refused> {
        for (at, condition) in form.conditions.iter().enumerate() {
            let Some(("if-let", [bound, call])) = condition.parts() else { continue };
            let Some((helper, args)) = call.parts() else { continue };
            let Some(rules) = self.helpers.constructors.get(helper) else { continue };
            let mut rest = form.clone();
            rest.conditions.remove(at);
            let mut found = Vec::new();
            for rule in rules.clone() {
                let rule = self.renamed(&rule);
                let made = match (helper, args, &rule.args[..]) {
                    ("truthy", [Sexp::Atom(value)], [pattern]) => {
                        taken_apart(&rest, value, pattern)
                    }
                    ("shift_amt_to_type", [given], [number]) if number.number().is_some() => {
                        let equal = Sexp::call("u64_eq", vec![given.clone(), number.clone()]);
                        let equal = Sexp::call("if-let", vec![Sexp::atom("true"), equal]);
                        Form {
                            conditions: [rest.conditions.clone(), vec![equal]].concat(),
                            ..rest.clone()
                        }
                    }
                    _ => return Err(format!("helper `{helper}`")),
                };
                let Some(name) = bound.name() else { return Err(format!("helper `{helper}`")) };
                let result = rule.result.clone();
                let made = made.replace(&|atom| (atom == name).then(|| result.clone()));
                for pattern in self.pattern(&made.args[0])? {
                    found.extend(self.conditions(Form { args: vec![pattern], ..made.clone() })?);
                }
            }
            return Ok(found);
        }
        Ok(vec![form])
    }

    /// All ways to write a right side, with what must hold for each.
    fn result(&mut self, result: &Sexp) -> Result<Vec<Guarded>, Refused> {
        let Some((head, args)) = result.parts() else { return Ok(vec![(result.clone(), vec![])]) };
        if head == "subsume" {
            return self.result(&args[0]);
        }
        let mut calls: Vec<(Vec<Sexp>, Vec<Sexp>)> = vec![(Vec::new(), Vec::new())];
        for arg in args {
            let choices = self.result(arg)?;
            let mut next = Vec::new();
            for (done, guards) in &calls {
                for (choice, more) in &choices {
                    let done = [done.clone(), vec![choice.clone()]].concat();
                    next.push((done, [guards.clone(), more.clone()].concat()));
                }
            }
            calls = next;
        }
        let mut found = Vec::new();
        for (args, guards) in calls {
            let written = match head {
                "uextend_maybe" | "sextend_maybe" => {
                    let op = head.trim_end_matches("_maybe");
                    [op, "typed"].map(|head| (Sexp::call(head, args.clone()), vec![])).to_vec()
                }
                "all_zero" => {
                    vec![(Sexp::call("iconst_u", vec![args[0].clone(), Sexp::atom("0")]), vec![])]
                }
                _ if KEPT.contains(&head) => vec![(Sexp::call(head, args.clone()), vec![])],
                _ => self.constructed(head, &args)?,
            };
            for (result, more) in written {
                found.push((result, [guards.clone(), more].concat()));
            }
        }
        match found.len() > VARIANT_LIMIT {
            true => Err("too many variants".to_owned()),
            false => Ok(found),
        }
    }

    /// A call on the right side: the helper's rules, or the call itself.
    fn constructed(&mut self, head: &str, args: &[Sexp]) -> Result<Vec<Guarded>, Refused> {
        let Some(rules) = self.helpers.constructors.get(head) else {
            let body =
                self.helpers.extractors.get(head).filter(|(params, _)| params.len() == args.len());
            let Some((params, body)) = body else {
                return Ok(vec![(Sexp::call(head, args.to_vec()), vec![])]);
            };
            // Comparisons have an extractor alone; their constructors are its inverse.
            let bound: HashMap<_, _> = params.iter().map(String::as_str).zip(args).collect();
            let body = body.replace(&|name| bound.get(name).map(|arg| (*arg).clone()));
            return Ok(vec![(body, vec![])]);
        };
        let mut found = Vec::new();
        for rule in rules.clone() {
            let rule = self.renamed(&rule);
            let mut guards = rule.conditions.clone();
            let mut bound: HashMap<String, Sexp> = HashMap::new();
            for (param, arg) in rule.args.iter().zip(args) {
                match param {
                    Sexp::Atom(name) if param.number().is_none() => {
                        bound.insert(name.clone(), arg.clone());
                    }
                    Sexp::At(name, pattern) => match pattern.parts() {
                        Some(("value_type", [ty])) => {
                            bound.insert(name.clone(), arg.clone());
                            guards.push(Sexp::call("type_is", vec![arg.clone(), ty.clone()]));
                        }
                        _ => return Err(format!("helper `{head}`")),
                    },
                    _ => return Err(format!("helper `{head}`")),
                }
            }
            let form = Form { args: Vec::new(), conditions: guards, result: rule.result };
            let form = form.replace(&|name| bound.get(name).cloned());
            for (result, more) in self.result(&self.without_lets(&form.result))? {
                found.push((result, [form.conditions.clone(), more].concat()));
            }
        }
        Ok(found)
    }

    /// The rule of a helper with names of its own.
    fn renamed(&mut self, rule: &Form) -> Form {
        self.fresh += 1;
        let suffix = format!("_{}", self.fresh);
        rule.replace(&|name| {
            let variable = name.starts_with(|c: char| c.is_ascii_alphabetic());
            (variable && name != "true" && name != "false")
                .then(|| Sexp::atom(format!("{name}{suffix}")))
        })
    }

    fn without_lets(&self, result: &Sexp) -> Sexp {
        let Some(("let", [Sexp::List(bindings), body])) = result.parts() else {
            return result.clone();
        };
        let mut bound: HashMap<String, Sexp> = HashMap::new();
        for binding in bindings {
            let Sexp::List(binding) = binding else { continue };
            if let [Sexp::Atom(name), _, value] = &binding[..] {
                let value = value.replace(&|name| bound.get(name).cloned());
                bound.insert(name.clone(), value);
            }
        }
        body.replace(&|name| bound.get(name).cloned())
    }
}

impl Form {
    fn replace(&self, by: &impl Fn(&str) -> Option<Sexp>) -> Form {
        let all = |sexps: &[Sexp]| sexps.iter().map(|one| one.replace(by)).collect();
        Form {
            args: all(&self.args),
            conditions: all(&self.conditions),
            result: self.result.replace(by),
        }
    }
}

/// The rule with the value known to be of this form.
fn taken_apart(form: &Form, value: &str, pattern: &Sexp) -> Form {
    let mut done = false;
    let mut args = Vec::new();
    for arg in &form.args {
        args.push(bind_first(arg, value, pattern, &mut done));
    }
    Form { args, ..form.clone() }
}

fn bind_first(sexp: &Sexp, value: &str, pattern: &Sexp, done: &mut bool) -> Sexp {
    match sexp {
        Sexp::Atom(name) if name == value && !*done => {
            *done = true;
            Sexp::At(name.clone(), Box::new(pattern.clone()))
        }
        Sexp::List(all) => {
            Sexp::List(all.iter().map(|one| bind_first(one, value, pattern, done)).collect())
        }
        Sexp::At(name, inner) => {
            Sexp::At(name.clone(), Box::new(bind_first(inner, value, pattern, done)))
        }
        Sexp::Atom(_) => sexp.clone(),
    }
}

fn product(all: &[Vec<Sexp>], choices: &[Sexp]) -> Result<Vec<Vec<Sexp>>, Refused> {
    if all.len() * choices.len() > VARIANT_LIMIT {
        return Err("too many variants".to_owned());
    }
    let pairs = all.iter().flat_map(|done| choices.iter().map(move |one| (done, one)));
    Ok(pairs.map(|(done, one)| [done.clone(), vec![one.clone()]].concat()).collect())
}

//! Cranelift's mid-end rules as goals: read from Cranelift's source, written as our own rules.
//!
//! Copies no text: what is made is the same facts in our syntax, with the file and line they stand
//! at. Invariant: every upstream rule is either translated, and then holds on random values, or
//! counted under a reason.

mod expand;
mod sexp;
mod translate;

use egraft_ir::Ty;
use egraft_rules::{Rule, RuleSet, Source, check_rule};
use expand::{Expander, Form, Helpers};
use rayon::prelude::*;
use sexp::Sexp;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use translate::{Mode, Translator};

/// Tuples on which each translation is tried.
const TUPLES: usize = 1_000;

/// What kind of values a rule is about.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Kind {
    /// Vectors at every one of its types.
    Vector,
    /// Integers, scalars among them.
    Integer,
    /// Floats.
    Float,
}

/// An upstream rule and what became of it.
#[derive(Clone, Debug)]
struct Upstream {
    file: String,
    line: u32,
    form: Form,
}

/// Upstream's rules as goals.
#[derive(Clone, Debug)]
pub struct Translation {
    /// The rules that are about vectors, as ISLE.
    pub vector: String,
    /// Those about integers.
    pub integer: String,
    /// Rules read: those rooted at `simplify` or `simplify_skeleton`.
    pub total: usize,
    /// Rules by why they are not translated, with their files and lines.
    pub refused: BTreeMap<String, Vec<String>>,
}

/// Upstream's rule files cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    /// A file or folder cannot be read.
    #[error("cannot read {}: {error}; give the folder of Cranelift's `opts` rules", path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// A file is not ISLE.
    #[error("{}: {message}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Where and why.
        message: String,
    },
}

/// Translates the rules in `src/opts` of Cranelift's code generator, whose `src` is given.
///
/// # Errors
/// [`UpstreamError`] if its files cannot be read as ISLE.
pub fn translate(src: &Path) -> Result<Translation, UpstreamError> {
    let mut helpers = Helpers::default();
    let mut rules = Vec::new();
    read(&src.join("prelude_opt.isle"), &mut helpers, &mut Vec::new())?;
    let folder = src.join("opts");
    let failed = |error| UpstreamError::Read { path: folder.clone(), error };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(&folder).map_err(failed)? {
        files.push(entry.map_err(failed)?.path());
    }
    files.sort();
    for file in files.iter().filter(|file| file.extension().is_some_and(|is| is == "isle")) {
        read(file, &mut helpers, &mut rules)?;
    }
    let done: Vec<_> = rules.par_iter().map(|rule| goal(rule, &helpers)).collect();
    let mut refused: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut texts: BTreeMap<Kind, (usize, String)> = BTreeMap::new();
    for (rule, done) in rules.iter().zip(done) {
        let place = format!("{}:{}", rule.file, rule.line);
        match done {
            Ok((Kind::Float, _)) => refused.entry("floats".to_owned()).or_default().push(place),
            Ok((kind, parts)) => {
                let (count, text) = texts.entry(kind).or_default();
                *count += 1;
                for part in parts {
                    let _ = write!(text, "\n;; {place}.\n{part}\n");
                }
            }
            Err(reason) => refused.entry(reason).or_default().push(place),
        }
    }
    let total = rules.len();
    let mut text = |kind, what| {
        let (count, body) = texts.remove(&kind).unwrap_or_default();
        format!("{}{body}", header(what, count, total))
    };
    Ok(Translation {
        vector: text(Kind::Vector, "vectors"),
        integer: text(Kind::Integer, "integers"),
        total,
        refused,
    })
}

fn header(what: &str, count: usize, total: usize) -> String {
    format!(
        ";;;; Goals: the rules of Cranelift's mid-end that are about {what}, {count} of its {total}.\n\
         ;;;; Made from the rule files of cranelift-codegen 0.135.8 (src/opts); the comment above a rule\n\
         ;;;; says where the fact stands there. Parts of one upstream rule share the name before `__`.\n\
         ;;;; Proof: checked on random values by the test that makes this file.\n\
         ;;;; Tests: crates/infer/tests/upstream.rs; EGRAFT_BLESS=1 makes the file again.\n"
    )
}

/// Reads a file's helpers and rules.
fn read(
    path: &Path,
    helpers: &mut Helpers,
    rules: &mut Vec<Upstream>,
) -> Result<(), UpstreamError> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| UpstreamError::Read { path: path.to_owned(), error })?;
    let forms = sexp::parse(&text)
        .map_err(|message| UpstreamError::Syntax { path: path.to_owned(), message })?;
    let file = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    for (line, form) in forms {
        match form.parts() {
            Some(("extractor", [Sexp::List(head), body])) => {
                let names: Vec<String> =
                    head.iter().filter_map(|one| one.name().map(str::to_owned)).collect();
                if let Some((name, params)) = names.split_first() {
                    helpers.extractors.insert(name.clone(), (params.to_vec(), body.clone()));
                }
            }
            Some(("rule", parts)) => {
                // A name or a priority may stand before the left side.
                let rest: Vec<&Sexp> =
                    parts.iter().skip_while(|part| part.name().is_some()).collect();
                let [left, conditions @ .., result] = &rest[..] else { continue };
                let Some((root, args)) = left.parts() else { continue };
                let form = Form {
                    args: args.to_vec(),
                    conditions: conditions.iter().map(|one| (*one).clone()).collect(),
                    result: (*result).clone(),
                };
                match root {
                    "simplify" | "simplify_skeleton" => {
                        rules.push(Upstream { file: file.clone(), line, form });
                    }
                    helper => helpers.constructors.entry(helper.to_owned()).or_default().push(form),
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// The rule in our syntax, in as many parts as it needs.
fn goal(rule: &Upstream, helpers: &Helpers) -> Result<(Kind, Vec<String>), String> {
    let variants = Expander::new(helpers).variants(&rule.form)?;
    let mut bodies: Vec<(String, Rule)> = Vec::new();
    let mut reason = None;
    for variant in &variants {
        for mode in [Mode::Scalar, Mode::Vector] {
            match Translator::translate(variant, mode).and_then(|(text, compares)| {
                let loaded = load(&text)?;
                Ok((text, loaded, compares))
            }) {
                Ok((text, loaded, compares)) => {
                    if !bodies.iter().any(|(known, _)| *known == text) {
                        bodies.push((text, loaded));
                    }
                    if !compares {
                        break;
                    }
                }
                // That one of the variants fits no types is in the nature of helpers.
                Err(why) => {
                    if reason.is_none()
                        || why != "no type fits"
                            && reason.as_deref() != Some("types that the op set lacks")
                    {
                        reason = Some(why);
                    }
                }
            }
        }
    }
    if bodies.is_empty() {
        return Err(reason.unwrap_or_else(|| "types that the op set lacks".to_owned()));
    }
    let mut kinds: Vec<Kind> = bodies.iter().map(|(_, rule)| kind(rule)).collect();
    kinds.sort_unstable();
    // Integers outweigh vectors: the rule is about both.
    let kind = if kinds.contains(&Kind::Integer) { Kind::Integer } else { kinds[0] };
    for (_, rule) in &bodies {
        let check = check_rule(rule, TUPLES, 1);
        if check.counterexample.is_some() {
            return Err("not true of our ops".to_owned());
        }
        if check.fired == 0 {
            return Err("never applies".to_owned());
        }
    }
    let stem = format!("up_{}_{}", rule.file.trim_end_matches(".isle"), rule.line);
    let alone = bodies.len() == 1;
    let named = bodies.into_iter().enumerate().map(|(at, (body, _))| match alone {
        true => format!("(rule {stem} {body})"),
        false => format!("(rule {stem}__{} {body})", at + 1),
    });
    Ok((kind, named.collect()))
}

fn load(body: &str) -> Result<Rule, String> {
    let text = format!(";; Reason.\n(rule goal {body})\n");
    let mut set = RuleSet::parse(&[Source::new("goal.isle", text)]).map_err(|errors| {
        let text = errors.to_string();
        match text.contains("no type") {
            true => "types that the op set lacks".to_owned(),
            false => format!("not a rule of ours: {text}\n{body}"),
        }
    })?;
    set.rules.pop().ok_or_else(|| "not a rule of ours".to_owned())
}

fn kind(rule: &Rule) -> Kind {
    let types = rule.types();
    let any = |is: fn(&Ty) -> bool| types.iter().any(|types| types.of.iter().flatten().any(is));
    let all_vector = types
        .iter()
        .all(|types| types.of.iter().flatten().chain([&types.root]).any(|ty| ty.is_vector()));
    match (any(|ty| ty.is_float()), all_vector) {
        (_, true) => Kind::Vector,
        (true, false) => {
            match types.iter().all(|types| types.of.iter().flatten().any(|ty| ty.is_float())) {
                true => Kind::Float,
                false => Kind::Integer,
            }
        }
        (false, false) => Kind::Integer,
    }
}

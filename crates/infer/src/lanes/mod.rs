//! Finds idioms of narrow lanes that are spelled in wide ones: saturating, halving and rounding
//! arithmetic, high products, narrowings, sums of adjacent lanes.
//!
//! Enumerates terms over single lanes (`element`, `wide`, `narrow`), sorts those that compute the same
//! into pairs, and writes the pairs as rules on vectors or scalars (`text`). Rules are kept only if
//! they are new and proven (`keep`). Reads no goals.

mod adjacent;
mod element;
mod keep;
mod narrow;
mod text;
mod wide;

pub use keep::LaneCounts;

use egraft_ir::Op;
use egraft_rules::RuleSet;
use egraft_verify::smt::SolverError;
use egraft_verify::{Options, ProofCache, Prover};
use element::{FIRST, Num, Root, SAMPLES, TermId, Terms, fingerprint};
use keep::Keeper;
use narrow::{Ops, Search};
use rustc_hash::{FxHashMap, FxHashSet};
use std::time::{Duration, Instant};
use text::{Draft, Half, Shape, body, word};
use wide::Family;

/// Ops in the largest wide term for which a smaller one is taken by itself.
const JOINED: usize = 3;

/// A draft is given up when its proof takes as long as this many of the longest queries.
const QUERY_TIMES_PER_RULE: u32 = 10;

/// Parts of the search.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum LanePart {
    /// Sums of adjacent lanes.
    Adjacent,
    /// Ops done lane by lane on scalars.
    Rebuilt,
    /// Terms over one wide variable.
    Wide,
    /// Terms over a narrow variable and a shift amount.
    Amount,
    /// Terms over two narrow variables.
    Pair,
}

impl LanePart {
    /// All parts, in the order in which they are run.
    const ALL: [LanePart; 5] =
        [LanePart::Adjacent, LanePart::Rebuilt, LanePart::Wide, LanePart::Amount, LanePart::Pair];

    /// Its name in files.
    const fn name(self) -> &'static str {
        match self {
            LanePart::Adjacent => "adjacent",
            LanePart::Rebuilt => "rebuilt",
            LanePart::Wide => "wide",
            LanePart::Amount => "amount",
            LanePart::Pair => "pair",
        }
    }
}

/// What to search, and for how long.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LaneOptions {
    /// Milliseconds for each query to the solver.
    pub query_ms: u32,
    /// The time after which no further draft of a step is taken up; reaching it makes the result
    /// depend on the machine.
    pub time: Duration,
    /// Ops in the largest narrow term.
    pub size: usize,
    /// Most drafts that are taken up of a step; the smallest come first.
    pub drafts: usize,
}

impl Default for LaneOptions {
    fn default() -> LaneOptions {
        LaneOptions { query_ms: 1_000, time: Duration::from_secs(600), size: 5, drafts: 1_500 }
    }
}

/// Rules of one file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LaneFile {
    /// The name of the file.
    pub name: String,
    /// Its text.
    pub text: String,
}

/// What was found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LaneReport {
    /// The rules.
    pub files: Vec<LaneFile>,
    /// Terms enumerated.
    pub terms: usize,
    /// What became of drafts.
    pub counts: LaneCounts,
    /// The rules there were, and those found.
    pub rules: RuleSet,
}

/// Runs the steps whose names begin with one of `steps`, or all if there are none; `known` are the rules
/// that need not be found again. The name of a step is that of its part, and what it makes.
///
/// Calls `say` after each step, with a line and the files that the step made.
///
/// # Errors
/// [`SolverError`] if the solver cannot be had.
pub fn run(
    known: RuleSet,
    steps: &[&str],
    options: LaneOptions,
    mut say: impl FnMut(&str, &[LaneFile]),
) -> Result<LaneReport, SolverError> {
    let start = Instant::now();
    let rule_time = Duration::from_millis(u64::from(options.query_ms)) * QUERY_TIMES_PER_RULE;
    let solver = Options { timeout_ms: options.query_ms, rule_time, ..Options::default() };
    let prover = || Prover::new(solver.clone(), ProofCache::default());
    let provers = (0..rayon::current_num_threads()).map(|_| prover()).collect();
    let mut keeper = Keeper::new(known, provers);
    let (mut files, mut terms) = (Vec::new(), 0);
    let mut step = |name: &str, scope: &str, drafts: Vec<Draft>| -> Result<(), SolverError> {
        let (all, before) = (drafts.len(), keeper.counts);
        let kept = keeper.offer(first(drafts, options.drafts), options.time)?;
        let made = written(name, scope, &kept);
        let offered = keeper.counts.drafts - before.drafts;
        let now = keeper.counts;
        let line = format!(
            "{name}: {offered} of {all} drafts, {} kept, {} derived, {} refuted, {} unproven, {} illegal, {:.1} s, {:.1} s for proofs",
            kept.len(),
            now.derived - before.derived,
            now.refuted - before.refuted,
            now.unproven - before.unproven,
            now.illegal - before.illegal,
            start.elapsed().as_secs_f64(),
            now.proof_ms as f64 / 1e3
        );
        say(&line, &made);
        files.extend(made);
        Ok(())
    };
    let is_wanted =
        |step: &str| steps.is_empty() || steps.iter().any(|name| step.starts_with(name));
    for part in LanePart::ALL {
        let name = part.name();
        let made = ["extended", "naive", "short", "equal"].map(|made| format!("{name}_{made}"));
        if !is_wanted(name) && !made.iter().any(|step| is_wanted(step)) {
            continue;
        }
        let family = match part {
            LanePart::Adjacent => {
                step(name, "Sums of adjacent lanes.", adjacent::sums())?;
                continue;
            }
            LanePart::Rebuilt => {
                step(name, "Ops that are done lane by lane on scalars.", adjacent::rebuilt())?;
                continue;
            }
            LanePart::Wide => Family::Wide,
            LanePart::Amount => Family::Amount,
            LanePart::Pair => Family::Pair,
        };
        let found = search(family, options);
        terms += found.terms;
        let short = first(found.short, options.drafts / 2);
        let scopes = [
            ("Wide lanes spelled more shortly.", found.joined),
            ("Naive forms in wide lanes made short.", found.naive),
            ("Short forms of one function made one.", short),
            ("Small terms that are equal.", found.equal),
        ];
        for (name, (scope, drafts)) in made.iter().zip(scopes) {
            if is_wanted(name) {
                step(name, scope, drafts)?;
            }
        }
    }
    let (counts, rules) = (keeper.counts, keeper.set().clone());
    Ok(LaneReport { files, terms, counts, rules })
}

/// The first `most` drafts, the smallest rules first.
fn first(mut drafts: Vec<Draft>, most: usize) -> Vec<Draft> {
    drafts.sort_by_key(|draft| (draft.sizes.0 + draft.sizes.1, draft.rank));
    drafts.truncate(most);
    drafts
}

/// Drafts of a family.
struct Drafts {
    terms: usize,
    joined: Vec<Draft>,
    short: Vec<Draft>,
    naive: Vec<Draft>,
    equal: Vec<Draft>,
}

/// Enumerates a family and pairs up what computes the same.
fn search(family: Family, options: LaneOptions) -> Drafts {
    let mut terms = Terms::new();
    let vars: Vec<TermId> = match family {
        Family::Pair => vec![0, 1],
        Family::Amount => vec![0],
        Family::Wide => vec![],
    }
    .into_iter()
    .map(|at| terms.leaf(Root::Var(at), false))
    .collect();
    let forms = wide::enumerate(&mut terms, family, &vars);
    let wanted: FxHashSet<u64> = forms.narrow.keys().copied().collect();
    let mut first = FxHashSet::default();
    for same in forms.narrow.values() {
        first.insert(fingerprint(&values(&terms, same[0])[..FIRST]));
    }
    let mut count = forms.count;
    let mut leaves = vars.clone();
    let mut bounds = Vec::new();
    let mut amounts = vec![Num::One, Num::WidthLess1];
    let mut size = options.size;
    match family {
        Family::Pair => {}
        Family::Amount => {
            amounts = vec![Num::One, Num::Amount, Num::AmountLess1];
        }
        Family::Wide => {
            // What is narrowed counts as a variable.
            let leaf = forms
                .narrow
                .values()
                .flatten()
                .map(|id| terms.get(*id).args[0])
                .find(|id| terms.get(*id).root == Root::Wide);
            for root in Root::NARROWINGS {
                let Some(leaf) = leaf else { continue };
                let term = terms.over(root, &[leaf]);
                let mut values = Box::new([0; SAMPLES]);
                terms.compute(&term, SAMPLES, &mut values);
                leaves.push(terms.push(term, Some(values)));
            }
            use Num::*;
            for (least, most) in [(HalfSignedLeast, HalfSignedMost), (Zero, HalfUnsignedMost)] {
                bounds.push((Op::Smin, most));
                bounds.push((Op::Smax, least));
                bounds.push((Op::Umin, most));
            }
            amounts = Vec::new();
            size = 2;
        }
    }
    let mut levels = Vec::new();
    for ops in [Ops::Short, Ops::AnyWidth, Ops::Scalar] {
        let size = match (ops, family) {
            (Ops::Scalar, Family::Pair) => 1,
            (Ops::Scalar, _) => continue,
            _ => size,
        };
        let (leaves, amounts, bounds) = (leaves.clone(), amounts.clone(), bounds.clone());
        let search = Search { leaves, ops, amounts, bounds, size, wanted: &wanted, first: &first };
        let found = narrow::search(&mut terms, &search);
        count += found.count;
        let shape = if ops == Ops::Scalar { Shape::Scalar } else { Shape::Vector };
        levels.push((ops, shape, found));
    }
    let mut drafts =
        Drafts { terms: count, joined: vec![], short: vec![], naive: vec![], equal: vec![] };
    for (_, shape, found) in &levels {
        for (left, right) in &found.equal {
            let sizes = (terms.size(*left), terms.size(*right));
            drafts.equal.extend(draft(&terms, *shape, Half::Low, *left, *right, sizes, "_equal"));
        }
    }
    for (left, right) in &forms.joined {
        let sizes = (terms.size(*left), terms.size(*right));
        if sizes.0 > JOINED || sizes.0 < sizes.1 {
            continue;
        }
        for (half, word) in [(Half::Low, "low"), (Half::High, "high")] {
            let add = draft(&terms, Shape::Vector, half, *left, *right, sizes, &format!("_{word}"));
            drafts.joined.extend(add);
            if family == Family::Wide {
                break;
            }
        }
    }
    let mut functions: Vec<&u64> = forms.narrow.keys().collect();
    functions.sort_by_key(|print| forms.narrow[*print][0]);
    let mut single = FxHashMap::default();
    for print in functions {
        let same = &forms.narrow[print];
        for &(ops, shape, ref found) in &levels {
            let Some(short) = found.by_function.get(print) else { continue };
            let best = short[0];
            let size = terms.size(best);
            let reads = |var| {
                let mut reads = false;
                terms.walk(best, &mut |term| reads |= term.root == Root::Var(var));
                reads
            };
            if vars.len() == 2 && !(reads(0) && reads(1)) {
                continue;
            }
            // One short form is the one that others are made; those at any width that are as good
            // as one with short lanes need none.
            let simplest = cost(&terms, same[0], Shape::Vector);
            if let Some(other) = single.insert((*print, shape), best)
                && other != best
                && ops == Ops::AnyWidth
            {
                let sizes = (simplest, terms.size(other));
                drafts.short.extend(draft(&terms, shape, Half::Low, best, other, sizes, ""));
            }
            for other in short.iter().skip(1).filter(|_| size > 1) {
                let sizes = (simplest + terms.size(*other) - size, size);
                drafts.short.extend(draft(&terms, shape, Half::Low, *other, best, sizes, ""));
            }
            for (rank, form) in same.iter().enumerate() {
                let form_cost = cost(&terms, *form, shape);
                if form_cost <= cost(&terms, best, shape) {
                    continue;
                }
                if shape == Shape::Scalar && !matches!(terms.get(*form).root, Root::Trunc) {
                    continue;
                }
                let sizes = (form_cost, size);
                drafts.naive.extend(
                    draft(&terms, shape, Half::Low, *form, best, sizes, "")
                        .map(|draft| Draft { rank, ..draft }),
                );
            }
        }
    }
    let Drafts { joined, short, naive, equal, .. } = &mut drafts;
    for list in [joined, short, naive, equal] {
        list.sort_by_key(|draft| (draft.rank, draft.sizes.1, draft.sizes.0));
        for (at, draft) in list.iter_mut().enumerate() {
            draft.name = format!("lanes_{}_{}_{at}", family.name(), draft.name);
        }
    }
    drafts
}

/// Ops that a term comes to: wide ones are done on two vectors.
fn cost(terms: &Terms, id: TermId, shape: Shape) -> usize {
    let mut cost = 0;
    terms.walk(id, &mut |term| {
        cost += match (term.arity, shape) {
            (0, _) => 0,
            (_, Shape::Vector) if term.wide => 2,
            (_, Shape::Vector) if matches!(term.root, Root::Trunc | Root::High) => 2,
            _ => 1,
        };
    });
    cost
}

fn draft(
    terms: &Terms,
    shape: Shape,
    half: Half,
    left: TermId,
    right: TermId,
    sizes: (usize, usize),
    suffix: &str,
) -> Option<Draft> {
    let body = body(terms, shape, half, left, right)?;
    let name = format!("{}_of_{}{suffix}", word(terms, right), word(terms, left));
    let reason = format!("In each lane {} is {}.", terms.text(left), terms.text(right));
    Some(Draft { name, reason, body, sizes, rank: 0 })
}

/// The values of a term, kept or not.
fn values(terms: &Terms, id: TermId) -> element::Values {
    if let Some(values) = terms.kept(id) {
        return *values;
    }
    let term = terms.get(id);
    let args: Vec<element::Values> = term.args().iter().map(|arg| values(terms, *arg)).collect();
    let mut out = [0; SAMPLES];
    let last = args.len() - 1;
    terms.apply(term, &args[0], &args[last], &mut out);
    out
}

/// Lines in a file at most.
const FILE_LINES: usize = 780;

/// The files for the rules of a step.
fn written(name: &str, scope: &str, drafts: &[Draft]) -> Vec<LaneFile> {
    let head = |part: usize| {
        let more = if part > 0 { format!(" Part {}.", part + 1) } else { String::new() };
        format!(
            ";;;; {scope}{more} Found by enumeration of terms over single lanes, not written by hand.\n\
             ;;;; Proof: by the solver at every type that a rule applies to.\n\
             ;;;; Tests: made and proven by `cargo run -p egraft-infer --release --example lanes`.\n\
             ;;;; Phase: compile\n"
        )
    };
    let mut texts: Vec<String> = Vec::new();
    for draft in drafts {
        let text = draft.text();
        let full = texts
            .last()
            .is_none_or(|last| last.lines().count() + text.lines().count() >= FILE_LINES);
        if full {
            texts.push(head(texts.len()));
        }
        if let Some(last) = texts.last_mut() {
            last.push('\n');
            last.push_str(&text);
        }
    }
    let file = |(at, text): (usize, String)| LaneFile {
        name: match at {
            0 => format!("lanes_{name}.isle"),
            _ => format!("lanes_{name}_{}.isle", at + 1),
        },
        text,
    };
    texts.into_iter().enumerate().map(file).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use egraft_rules::{Source, check_rule};

    fn holds(draft: &Draft) -> bool {
        let set = RuleSet::parse(&[Source::new("draft.isle", draft.text())])
            .unwrap_or_else(|errors| panic!("{errors}\n{}", draft.text()));
        check_rule(&set.rules[0], 200, 1).holds()
    }

    #[test]
    fn sums_of_adjacent_lanes_hold() {
        let drafts = adjacent::sums();
        assert!(!drafts.is_empty());
        for draft in &drafts {
            assert!(holds(draft), "{}", draft.text());
        }
    }

    #[test]
    fn narrowings_are_found_and_hold() {
        let options = LaneOptions::default();
        let found = search(Family::Wide, options);
        let bodies = |body: &str| found.naive.iter().any(|draft| draft.body.contains(body));
        assert!(bodies("(snarrow wide a b)") && bodies("(uunarrow wide a b)"));
        for draft in found.naive.iter().take(40) {
            assert!(holds(draft), "{}", draft.text());
        }
        let again = search(Family::Wide, options);
        assert_eq!(found.naive, again.naive);
    }

    #[test]
    fn files_are_short_and_headed() {
        let draft = Draft {
            name: "lanes_test".to_owned(),
            reason: "Reason.".to_owned(),
            body: "(simplify (iadd ty x (k ty 0)))\n      x".to_owned(),
            sizes: (1, 0),
            rank: 0,
        };
        let files = written("test", "Scope.", &vec![draft; 400]);
        assert!(files.len() > 1);
        for file in &files {
            assert!(file.text.lines().count() < 800 && file.text.contains(";;;; Phase: compile"));
        }
    }
}

//! The prover: instances of a rule, their queries, and what comes of them.

use super::cache::ProofCache;
use super::encode::{self, Encoded, Instance, Leaves};
use super::replay::{Counterexample, Values, replay};
use crate::smt::{Answer, FloatMode, Query, Solver, SolverError, SolverKind, Term, Terms, VarId};
use egraft_ir::{FloatCc, ImmKind, IntCc, Op, Ty, TypeRule};
use egraft_rules::{Cond, Pattern, Ref, Rule, Sort, Types, VarId as RuleVar};
use rustc_hash::{FxHashMap, FxHashSet};
use std::time::{Duration, Instant};

/// Most choices of lane numbers that are proven one by one; beyond, lanes stay symbols.
const LANE_CHOICES: usize = 64;

/// How many times less patience there is for a query that can be split into cases.
const HASTE: u32 = 32;

/// The least patience with a query, in milliseconds.
const LEAST_PATIENCE_MS: u32 = 200;

/// Most cases that an instance is split into, all splits together: two shift amounts of 64 bits.
const MOST_CASES: usize = 64 * 65;

/// How to prove.
#[derive(Clone, Debug)]
pub struct Options {
    /// Which solver.
    pub solver: SolverKind,
    /// Milliseconds for each query.
    pub timeout_ms: u32,
    /// How long a rule is asked about, all its queries together.
    pub rule_time: Duration,
    /// Ask the solver what the cache does not know; else such queries stay unknown.
    pub ask: bool,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            solver: SolverKind::Z3,
            timeout_ms: 5_000,
            rule_time: Duration::from_secs(600),
            ask: true,
        }
    }
}

/// What is known of a rule, or of one instance of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Both sides are equal, to the bit.
    Proven,
    /// Both sides are equal but for the sign and fraction of NaNs that arithmetic gives.
    ProvenButNans,
    /// They differ.
    Refuted(Counterexample),
    /// Neither was found, and why.
    Unknown(String),
}

/// What became of a rule at one choice of types.
#[derive(Clone, Debug)]
pub struct InstanceProof {
    /// The choice.
    pub instance: Instance,
    /// Parts that were compared: lanes, and demands.
    pub parts: usize,
    /// Queries that the parts came to, equal ones once.
    pub queries: usize,
    /// What is known.
    pub verdict: Verdict,
}

/// What became of a rule.
#[derive(Clone, Debug)]
pub struct RuleProof {
    /// By instance. Instances at which the rule never applies are left out.
    pub instances: Vec<InstanceProof>,
}

impl RuleProof {
    /// The worst verdict of all instances; unknown if there are none.
    pub fn verdict(&self) -> Verdict {
        let rank = |verdict: &Verdict| match verdict {
            Verdict::Proven => 0,
            Verdict::ProvenButNans => 1,
            Verdict::Unknown(_) => 2,
            Verdict::Refuted(_) => 3,
        };
        let worst = self.instances.iter().map(|one| &one.verdict).max_by_key(|one| rank(one));
        worst.cloned().unwrap_or_else(|| Verdict::Unknown("it applies at no type".to_owned()))
    }
}

/// Proves rules, with a solver and what it said before.
#[derive(Debug)]
pub struct Prover {
    options: Options,
    solver: Option<Solver>,
    cache: ProofCache,
    /// What the cache did not know when this was last taken.
    news: ProofCache,
    used: FxHashSet<String>,
    asked: usize,
    /// Queries that found no answer, and in how many milliseconds.
    open: FxHashMap<String, u32>,
    /// Milliseconds for the next query.
    patience_ms: u32,
    /// Cases that the instance at hand may still be split into.
    cases_left: usize,
    /// When the rule at hand was begun.
    begun: Instant,
}

impl Prover {
    /// A prover that starts its solver when it first needs one.
    pub fn new(options: Options, cache: ProofCache) -> Prover {
        let patience_ms = options.timeout_ms;
        Prover {
            options,
            solver: None,
            cache,
            news: ProofCache::default(),
            used: FxHashSet::default(),
            asked: 0,
            open: FxHashMap::default(),
            patience_ms,
            cases_left: MOST_CASES,
            begun: Instant::now(),
        }
    }

    /// A prover with an empty cache and a running solver.
    ///
    /// # Errors
    /// [`SolverError`] if the solver cannot be started.
    pub fn start(options: Options) -> Result<Prover, SolverError> {
        let solver = Solver::start(options.solver, options.timeout_ms)?;
        let mut prover = Prover::new(options, ProofCache::default());
        prover.solver = Some(solver);
        Ok(prover)
    }

    /// What was proven, before and since.
    pub fn cache(&self) -> &ProofCache {
        &self.cache
    }

    /// What was proven since this was last asked.
    pub fn take_news(&mut self) -> ProofCache {
        std::mem::take(&mut self.news)
    }

    fn keep(&mut self, hash: String, by: &str) {
        self.news.add(hash.clone(), by);
        self.cache.add(hash.clone(), by);
        self.used.insert(hash);
    }

    /// The proofs that were of use, without those that nothing asked for.
    pub fn into_used_cache(mut self) -> ProofCache {
        let used = std::mem::take(&mut self.used);
        self.cache.retain(|hash| used.contains(hash));
        self.cache
    }

    /// Queries that went to the solver.
    pub fn asked(&self) -> usize {
        self.asked
    }

    /// Asks the solver from now on, or only the cache.
    pub fn set_asking(&mut self, ask: bool) {
        self.options.ask = ask;
    }

    /// Proves a rule at every legal choice of types, condition codes and, if they are few, lanes.
    ///
    /// # Errors
    /// [`SolverError`] if the solver cannot be had.
    pub fn prove(&mut self, rule: &Rule) -> Result<RuleProof, SolverError> {
        self.begun = Instant::now();
        let mut instances = Vec::new();
        for types in rule.types() {
            for instance in choices(rule, &types) {
                self.cases_left = MOST_CASES;
                if let Some(proof) = self.instance(rule, instance)? {
                    let refuted = matches!(proof.verdict, Verdict::Refuted(_));
                    instances.push(proof);
                    if refuted {
                        return Ok(RuleProof { instances });
                    }
                }
            }
        }
        Ok(RuleProof { instances })
    }

    /// Whether `a` and `b`, of one width, are equal wherever all of `facts` hold.
    ///
    /// A refutation comes as values of the terms' variables, whole.
    ///
    /// # Errors
    /// [`SolverError`] if the solver cannot be had.
    pub fn equal(
        &mut self,
        terms: &mut Terms,
        a: Term,
        b: Term,
        facts: &[Term],
    ) -> Result<Equality, SolverError> {
        if a == b {
            return Ok(Equality::Proven);
        }
        self.begun = Instant::now();
        let same = terms.equal(a, b);
        let mut relevant = Relevant::new(facts.to_vec());
        self.holds(terms, same, &mut relevant, &mut 0)
    }

    /// Whether `claim` holds wherever the facts do.
    fn holds(
        &mut self,
        terms: &mut Terms,
        claim: Term,
        facts: &mut Relevant,
        queries: &mut usize,
    ) -> Result<Equality, SolverError> {
        if terms.as_bool(claim) == Some(true) {
            return Ok(Equality::Proven);
        }
        let wrong = terms.negate(claim);
        let near = facts.near(terms, wrong);
        let mut ways = vec![near];
        if ways[0].len() < facts.all.len() {
            ways.push(facts.all.clone());
        }
        // What is known of any way spares asking the ways before it.
        let mut open = Vec::new();
        for facts in ways {
            let wrong = terms.under_facts(wrong, &facts);
            if terms.as_bool(wrong) == Some(false) {
                return Ok(Equality::Proven);
            }
            let mut asserted = facts;
            asserted.push(wrong);
            asserted.extend(terms.lemmas(&asserted));
            for asserted in terms.without_products(&asserted).into_iter().chain([asserted]) {
                let query = Query::new(terms, &asserted);
                let hash = query.hash();
                if self.cache.has(&hash) {
                    *queries += 1;
                    self.used.insert(hash);
                    return Ok(Equality::Proven);
                }
                open.push((query, hash));
            }
        }
        let mut last = Equality::Unknown("no proof is kept of it".to_owned());
        if self.options.ask {
            for (query, hash) in open {
                last = self.decide(&query, hash, queries)?;
                if last == Equality::Proven {
                    break;
                }
            }
        }
        Ok(last)
    }

    /// What the solver says of a query.
    fn decide(
        &mut self,
        query: &Query,
        hash: String,
        queries: &mut usize,
    ) -> Result<Equality, SolverError> {
        *queries += 1;
        if let Some(patience) = self.open.get(&hash)
            && *patience >= self.patience_ms
        {
            return Ok(Equality::Unknown(format!("no answer in {patience} ms")));
        }
        if let Some(late) = self.late() {
            return Ok(Equality::Unknown(late));
        }
        self.asked += 1;
        let solver = match &mut self.solver {
            Some(solver) => solver,
            none => none.insert(Solver::start(self.options.solver, self.options.timeout_ms)?),
        };
        Ok(match solver.ask(query, self.patience_ms)? {
            Answer::Unsat => {
                self.keep(hash, self.options.solver.name());
                Equality::Proven
            }
            Answer::Unknown(why) => {
                self.open.insert(hash, self.patience_ms);
                Equality::Unknown(why)
            }
            Answer::Sat(numbers) => {
                let mut values: FxHashMap<VarId, u128> = FxHashMap::default();
                for (symbol, number) in query.symbols.iter().zip(numbers) {
                    *values.entry(symbol.var).or_default() |= number << symbol.low;
                }
                Equality::Refuted(values)
            }
        })
    }

    /// Why the rule at hand is given up, if its time is over.
    fn late(&self) -> Option<String> {
        let limit = self.options.rule_time;
        let is_late = self.begun.elapsed() > limit;
        is_late.then(|| format!("no answer for the rule in {} s", limit.as_secs()))
    }

    fn instance(
        &mut self,
        rule: &Rule,
        instance: Instance,
    ) -> Result<Option<InstanceProof>, SolverError> {
        let cases = cases(rule, &instance);
        let whole = match cases {
            // One proof is kept for a whole instance, none for its cases.
            Some(_) if self.cases_left == MOST_CASES => AllCases::of(rule, &instance),
            _ => None,
        };
        if let Some(AllCases { name, parts }) = &whole
            && self.cache.has(name)
        {
            self.used.insert(name.clone());
            let verdict = Verdict::Proven;
            return Ok(Some(InstanceProof { instance, parts: *parts, queries: 1, verdict }));
        }
        // Cases are more, but easier.
        let share = if cases.is_some() { HASTE } else { 1 };
        let mut last = None;
        for mode in modes(rule) {
            let least = LEAST_PATIENCE_MS.min(self.options.timeout_ms);
            self.patience_ms = (self.options.timeout_ms / share).max(least);
            let Some(mut proof) = self.instance_in(rule, &instance, mode)? else { return Ok(None) };
            if let Verdict::Proven = proof.verdict {
                if mode.canonical_nan {
                    proof.verdict = Verdict::ProvenButNans;
                }
                return Ok(Some(proof));
            }
            if let Verdict::Refuted(_) = proof.verdict {
                return Ok(Some(proof));
            }
            last = Some(proof);
        }
        let Some(proof) = last else { return Ok(None) };
        let Some(cases) = cases else { return Ok(Some(proof)) };
        // What a solver cannot say of all numbers, it may say of each.
        let verdict = self.by_cases(rule, cases, whole)?;
        Ok(Some(InstanceProof { verdict, ..proof }))
    }

    /// Proves an instance once for each value that a number of it may have, and keeps that under the
    /// name of the whole instance, if it is one.
    fn by_cases(
        &mut self,
        rule: &Rule,
        cases: Vec<Instance>,
        whole: Option<AllCases>,
    ) -> Result<Verdict, SolverError> {
        if !self.options.ask {
            return Ok(Verdict::Unknown("no proof is kept of it".to_owned()));
        }
        let used = self.used.clone();
        let mut worst = Verdict::Proven;
        for case in cases {
            if self.cases_left == 0 {
                return Ok(Verdict::Unknown(format!("more than {MOST_CASES} cases")));
            }
            if let Some(late) = self.late() {
                return Ok(Verdict::Unknown(late));
            }
            self.cases_left -= 1;
            match self.instance(rule, case)?.map(|proof| proof.verdict) {
                None | Some(Verdict::Proven) => {}
                Some(Verdict::ProvenButNans) => worst = Verdict::ProvenButNans,
                Some(other) => return Ok(other),
            }
        }
        if let (Some(AllCases { name, .. }), Verdict::Proven) = (whole, &worst) {
            self.used = used;
            self.keep(name, &format!("{} by cases", self.options.solver.name()));
        }
        Ok(worst)
    }

    fn instance_in(
        &mut self,
        rule: &Rule,
        instance: &Instance,
        mode: FloatMode,
    ) -> Result<Option<InstanceProof>, SolverError> {
        let mut terms = Terms::new(mode);
        let mut leaves = Symbols::default();
        let Some(encoded) = encode::encode(&mut terms, &mut leaves, rule, instance) else {
            return Ok(None);
        };
        let mut proof = InstanceProof {
            instance: instance.clone(),
            parts: 0,
            queries: 0,
            verdict: Verdict::Proven,
        };
        if encoded.facts.iter().any(|fact| terms.as_bool(*fact) == Some(false)) {
            return Ok(None);
        }
        let claims = claims(&mut terms, &encoded);
        let mut relevant = Relevant::new(encoded.facts);
        proof.parts = claims.len();
        for claim in claims {
            match self.holds(&mut terms, claim, &mut relevant, &mut proof.queries)? {
                Equality::Proven => {}
                Equality::Unknown(why) => {
                    proof.verdict = Verdict::Unknown(why);
                    break;
                }
                Equality::Refuted(model) => {
                    let values = leaves.values(&model);
                    proof.verdict = match replay(rule, instance, &values) {
                        Some(counterexample) => Verdict::Refuted(counterexample),
                        None => Verdict::Unknown(format!(
                            "the solver's counterexample is none in the evaluator: {values:x?}"
                        )),
                    };
                    break;
                }
            }
        }
        Ok(Some(proof))
    }
}

/// What must hold wherever the facts of an instance do: its demands, and lane for lane that both
/// sides are equal.
fn claims(terms: &mut Terms, encoded: &Encoded<Terms>) -> Vec<Term> {
    let Encoded { lhs, rhs, root, slice, demands, .. } = encoded;
    let mut claims = demands.clone();
    for low in (0..root.bits()).step_by(*slice as usize) {
        let (a, b) = (terms.slice(*lhs, low, *slice), terms.slice(*rhs, low, *slice));
        claims.push(terms.equal(a, b));
    }
    claims
}

/// An instance that may be proven case by case.
struct AllCases {
    /// Its name in the proof cache: by the text that says that some claim of it fails, with
    /// functions on floats by name.
    name: String,
    /// Its claims.
    parts: usize,
}

impl AllCases {
    fn of(rule: &Rule, instance: &Instance) -> Option<AllCases> {
        let mut terms = Terms::new(FloatMode { ieee: false, canonical_nan: false });
        let encoded = encode::encode(&mut terms, &mut Symbols::default(), rule, instance)?;
        let claims = claims(&mut terms, &encoded);
        let parts = claims.len();
        let mut fails = terms.truth(false);
        for claim in claims {
            let wrong = terms.negate(claim);
            fails = terms.either(fails, wrong);
        }
        let mut asserted = encoded.facts;
        asserted.push(fails);
        Some(AllCases { name: Query::new(&terms, &asserted).hash_of_cases(), parts })
    }
}

/// Whether two terms are equal.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Equality {
    /// They are.
    Proven,
    /// They are not, for these values of the variables.
    Refuted(FxHashMap<VarId, u128>),
    /// The solver does not know, and why.
    Unknown(String),
}

/// The ways to look at floats that are tried in turn, the strictest and cheapest first.
fn modes(rule: &Rule) -> Vec<FloatMode> {
    let mut floats = false;
    rule.lhs.walk(&mut |pattern| {
        floats |= matches!(pattern, Pattern::Op { op, .. } if may_round(*op));
    });
    let mode = |ieee, canonical_nan| FloatMode { ieee, canonical_nan };
    match floats {
        false => vec![mode(false, false)],
        true => vec![mode(false, false), mode(true, false), mode(false, true), mode(true, true)],
    }
}

/// Whether an op's result depends on how floats are rounded, or may be a NaN of its own making.
fn may_round(op: Op) -> bool {
    egraft_ir::eval::nan_bits_are_open(op)
        || matches!(
            op,
            Op::FcvtFromSint
                | Op::FcvtFromUint
                | Op::FcvtToSintSat
                | Op::FcvtToUintSat
                | Op::X86Cvtt2dq
        )
}

/// Instances of a rule at one choice of types.
fn choices(rule: &Rule, types: &Types) -> Vec<Instance> {
    let mut lists: Vec<(RuleVar, Vec<u128>)> = Vec::new();
    let mut lanes = 1;
    rule.lhs.walk(&mut |pattern| {
        let Pattern::Op { op, ty, imm: Some(imm), .. } = pattern else { return };
        let Some(var) = imm.var.filter(|_| imm.is.is_none()) else { return };
        if lists.iter().any(|(listed, _)| *listed == var) {
            return;
        }
        let numbers = |end: usize| (0..end as u128).collect();
        match op.imm_kind() {
            ImmKind::IntCc => lists.push((var, numbers(IntCc::ALL.len()))),
            ImmKind::FloatCc => lists.push((var, numbers(FloatCc::ALL.len()))),
            ImmKind::Lane => {
                let ty = ty.is.or_else(|| ty.var.and_then(|var| types.of[var.index()]));
                let count = ty.map_or(0, Ty::lanes) as usize;
                if count > 0 && lanes * count <= LANE_CHOICES {
                    lanes *= count;
                    lists.push((var, numbers(count)));
                }
            }
            _ => {}
        }
    });
    let mut instances =
        vec![Instance { types: types.clone(), fixed: Vec::new(), low_bits: Vec::new() }];
    for (var, numbers) in lists {
        instances = instances
            .iter()
            .flat_map(|instance| {
                numbers.iter().map(move |number| {
                    let mut instance = instance.clone();
                    instance.fixed.push((var, *number));
                    instance
                })
            })
            .collect();
    }
    instances
}

/// The instance split by the values of one number that is still free: a shift amount, modulo the lane
/// width; or a number that must be a power of two or a mask of low bits.
fn cases(rule: &Rule, instance: &Instance) -> Option<Vec<Instance>> {
    let fixed = |var: RuleVar, number: u128| {
        let mut case = instance.clone();
        case.fixed.push((var, number));
        case
    };
    let is_free = |var: &RuleVar| {
        rule.vars[var.index()].sort == Sort::Int
            && !instance.fixed.iter().any(|(known, _)| known == var)
            && !instance.low_bits.iter().any(|(known, ..)| known == var)
    };
    for condition in &rule.conditions {
        let power = match condition.cond {
            Cond::log2 | Cond::is_pow2 => true,
            Cond::low_mask_bits => false,
            _ => continue,
        };
        if let [Ref::Var(var)] = condition.args[..]
            && is_free(&var)
            && let Some(width) = place_width(rule, instance, var)
        {
            let number = |bit: u32| if power { 1 << bit } else { u128::MAX >> (127 - bit) };
            return Some((0..width).map(|bit| fixed(var, number(bit))).collect());
        }
    }
    let mut amount = None;
    rule.lhs.walk(&mut |pattern| {
        let Pattern::Op { op, ty, args, .. } = pattern else { return };
        let (TypeRule::Shift, [_, Pattern::Splat { value, .. }]) = (op.type_rule(), &args[..])
        else {
            return;
        };
        let var = value.var.filter(|var| value.is.is_none() && is_free(var));
        let ty = ty.is.or_else(|| ty.var.and_then(|var| instance.types.of[var.index()]));
        amount = amount.or_else(|| var.zip(ty));
    });
    let (var, ty) = amount?;
    let width = ty.lane_bits();
    let case = |low: u128| {
        let mut case = instance.clone();
        case.low_bits.push((var, width.ilog2(), low));
        case
    };
    Some((0..u128::from(width)).map(case).collect())
}

/// The width of the lanes that a number of the left side stands in.
fn place_width(rule: &Rule, instance: &Instance, var: RuleVar) -> Option<u32> {
    let mut width = None;
    rule.lhs.walk(&mut |pattern| {
        if let Pattern::Splat { ty, value } = pattern
            && value.var == Some(var)
        {
            let ty = ty.is.or_else(|| ty.var.and_then(|var| instance.types.of[var.index()]));
            width = width.or(ty.map(Ty::lane_bits));
        }
    });
    width
}

/// Variables of terms for the variables of a rule.
#[derive(Default)]
struct Symbols {
    of: Vec<(RuleVar, VarId)>,
}

impl Symbols {
    fn make(&mut self, terms: &mut Terms, var: RuleVar, width: u32) -> Term {
        let term = terms.var("", width);
        if let crate::smt::Kind::Var(symbol) = *terms.kind(term) {
            self.of.push((var, symbol));
        }
        term
    }

    fn values(&self, model: &FxHashMap<VarId, u128>) -> Values {
        self.of
            .iter()
            .map(|(var, symbol)| (*var, model.get(symbol).copied().unwrap_or(0)))
            .collect()
    }
}

impl Leaves<Terms> for Symbols {
    fn value(&mut self, terms: &mut Terms, var: RuleVar, width: u32) -> Term {
        self.make(terms, var, width)
    }

    fn number(&mut self, terms: &mut Terms, var: RuleVar, width: u32) -> Term {
        self.make(terms, var, width)
    }

    fn open(&mut self, terms: &mut Terms, _: Term) -> Term {
        terms.var("", 128)
    }

    fn number_of(&self, terms: &Terms, x: &Term) -> Option<u128> {
        terms.as_const(*x)
    }
}

/// Facts, and which of them speak of what a claim speaks of.
struct Relevant {
    all: Vec<Term>,
    /// By fact: the bits of variables it speaks of, found when first asked for.
    bits: Vec<Option<FxHashSet<(VarId, u32)>>>,
}

impl Relevant {
    fn new(all: Vec<Term>) -> Relevant {
        Relevant { bits: vec![None; all.len()], all }
    }

    /// The facts that speak only of what `claim` speaks of, or what such facts have in common with
    /// it: enough for most proofs, and the same for each lane.
    fn near(&mut self, terms: &Terms, claim: Term) -> Vec<Term> {
        let mut known = terms.support(claim);
        let mut taken = vec![false; self.all.len()];
        loop {
            let mut grew = false;
            for (at, (fact, taken)) in self.all.iter().zip(&mut taken).enumerate() {
                if *taken || terms.as_bool(*fact) == Some(true) {
                    continue;
                }
                let bits = self.bits[at].get_or_insert_with(|| terms.support(*fact));
                // A shared number joins all lanes; what is wholly new besides it stays out.
                let shared = bits.iter().filter(|bit| known.contains(bit)).count();
                if shared > 0 && shared * 2 >= bits.len() {
                    *taken = true;
                    grew |= shared < bits.len();
                    known.extend(bits.iter().copied());
                }
            }
            if !grew {
                break;
            }
        }
        let facts = self.all.iter().zip(taken);
        facts.filter(|(_, taken)| *taken).map(|(fact, _)| *fact).collect()
    }
}

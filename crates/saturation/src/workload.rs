//! Terms and rules.

use crate::is_plain;
use egraft_egraph::EGraph;
use egraft_ir::{ClassId, Node, Op, Ty};
use egraft_rules::{Pattern, Rule, RuleId, RuleSet, Source, Template};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

/// Terms and the rules they are rewritten with.
#[derive(Clone, Debug)]
pub struct Workload {
    /// What it is.
    pub name: String,
    /// The rules; all plain.
    pub rules: RuleSet,
    /// The nodes of the terms; operands are places before them.
    pub nodes: Vec<Node>,
}

const SUMS: &str = "
;; (x + y) + z = x + (y + z).
(rule associate (simplify (iadd $I32 (iadd $I32 x y) z)) (iadd $I32 x (iadd $I32 y z)))
";

const LOGIC: &str = "
;; Associativity.
(rule and_associates (simplify (band $I32 (band $I32 x y) z)) (band $I32 x (band $I32 y z)))
;; Associativity.
(rule or_associates (simplify (bor $I32 (bor $I32 x y) z)) (bor $I32 x (bor $I32 y z)))
;; Associativity.
(rule xor_associates (simplify (bxor $I32 (bxor $I32 x y) z)) (bxor $I32 x (bxor $I32 y z)))
;; De Morgan.
(rule not_of_and (simplify (bnot $I32 (band $I32 x y))) (bor $I32 (bnot $I32 x) (bnot $I32 y)))
;; De Morgan.
(rule not_of_or (simplify (bnot $I32 (bor $I32 x y))) (band $I32 (bnot $I32 x) (bnot $I32 y)))
;; De Morgan.
(rule or_of_nots (simplify (bor $I32 (bnot $I32 x) (bnot $I32 y))) (bnot $I32 (band $I32 x y)))
;; De Morgan.
(rule and_of_nots (simplify (band $I32 (bnot $I32 x) (bnot $I32 y))) (bnot $I32 (bor $I32 x y)))
;; A complement moves through.
(rule not_of_xor (simplify (bnot $I32 (bxor $I32 x y))) (bxor $I32 (bnot $I32 x) y))
;; A complement moves out.
(rule xor_of_not (simplify (bxor $I32 (bnot $I32 x) y)) (bnot $I32 (bxor $I32 x y)))
;; Twice is never.
(rule not_of_not (simplify (bnot $I32 (bnot $I32 x))) x)
;; Idempotence.
(rule and_self (simplify (band $I32 x x)) x)
;; Idempotence.
(rule or_self (simplify (bor $I32 x x)) x)
;; Absorption.
(rule and_absorbs (simplify (band $I32 x (bor $I32 x y))) x)
;; Absorption.
(rule or_absorbs (simplify (bor $I32 x (band $I32 x y))) x)
";

fn parse(text: &str) -> RuleSet {
    let text = format!(";;;; A workload's rules.\n{text}");
    RuleSet::parse(&[Source::new("workload.isle", text)]).expect("the tests parse it")
}

/// The plain rules of some sets, as one set.
pub fn plain_subset(sets: &[&RuleSet]) -> RuleSet {
    subset(sets, |_| true)
}

/// The plain rules of some sets that `fits` says of.
fn subset(sets: &[&RuleSet], fits: impl Fn(&Rule) -> bool) -> RuleSet {
    let rules = sets.iter().flat_map(|set| &set.rules).filter(|rule| is_plain(rule) && fits(rule));
    let mut subset = RuleSet { rules: rules.cloned().collect() };
    for (at, rule) in subset.rules.iter_mut().enumerate() {
        rule.id = RuleId(at as u16);
    }
    subset
}

/// Whether the right side has fewer nodes than the left side. With these alone the functions of kernels come to a fixpoint.
fn shrinks(rule: &Rule) -> bool {
    let mut nodes = 0;
    let is_node = |part: &Pattern| !matches!(part, Pattern::Var(_) | Pattern::Bind(..));
    rule.lhs.walk(&mut |part| nodes += usize::from(is_node(part)));
    template_nodes(&rule.rhs) < nodes
}

/// Whether the right side is a variable or a constant. With these alone every graph comes to a fixpoint.
fn collapses(rule: &Rule) -> bool {
    !matches!(rule.rhs, Template::Op { .. })
}

fn template_nodes(template: &Template) -> usize {
    match template {
        Template::Var(_) => 0,
        Template::Op { args, .. } => 1 + args.iter().map(template_nodes).sum::<usize>(),
        Template::Splat { .. } | Template::Bits { .. } => 1,
    }
}

struct Builder(Vec<Node>);

impl Builder {
    fn add(&mut self, op: Op, imm: u128, args: &[ClassId]) -> ClassId {
        self.0.push(Node::with_imm(op, Ty::I32, imm, args));
        ClassId(self.0.len() as u32 - 1)
    }
}

impl Workload {
    /// `sums` sums of `leaves` values each, all different, under associativity. In the end each has
    /// (3^n - 2^(n+1) + 1) / 2 + n nodes for n leaves, twice as many sums where operands are ordered.
    pub fn sums(sums: usize, leaves: usize) -> Workload {
        let mut terms = Builder(Vec::new());
        let mut next = 0;
        for _ in 0..sums {
            let mut leaf = |terms: &mut Builder| {
                next += 1;
                terms.add(Op::Leaf, next, &[])
            };
            let mut sum = leaf(&mut terms);
            for _ in 1..leaves {
                let leaf = leaf(&mut terms);
                sum = terms.add(Op::Iadd, 0, &[sum, leaf]);
            }
        }
        let name = format!("{sums} sums of {leaves}");
        Workload { name, rules: parse(SUMS), nodes: terms.0 }
    }

    /// All terms of at most `ops` operations over three values, as rule inference enumerates them, with those plain rules
    /// of some sets whose right sides are a variable or a constant.
    pub fn terms(ops: usize, sets: &[&RuleSet]) -> Workload {
        let mut terms = Builder(Vec::new());
        let leaves: Vec<ClassId> = (0..3).map(|leaf| terms.add(Op::Leaf, leaf, &[])).collect();
        let mut by_size: Vec<Vec<ClassId>> = vec![leaves];
        for size in 1..=ops {
            let mut made = Vec::new();
            for op in [Op::Bnot, Op::Ineg] {
                let args = by_size[size - 1].clone();
                made.extend(args.iter().map(|arg| terms.add(op, 0, &[*arg])));
            }
            for op in [Op::Iadd, Op::Isub, Op::Band, Op::Bor, Op::Bxor] {
                for left in 0..size {
                    for x in &by_size[left].clone() {
                        for y in &by_size[size - 1 - left].clone() {
                            if !op.is_commutative() || x <= y {
                                made.push(terms.add(op, 0, &[*x, *y]));
                            }
                        }
                    }
                }
            }
            by_size.push(made);
        }
        Workload { name: format!("terms of {ops}"), rules: subset(sets, collapses), nodes: terms.0 }
    }

    /// The terms of e-graphs side by side, which share nothing but constants, with those plain rules of some sets that make
    /// terms smaller.
    pub fn graphs(name: &str, graphs: &[EGraph], sets: &[&RuleSet]) -> Workload {
        let mut nodes: Vec<Node> = Vec::new();
        for (at, graph) in graphs.iter().enumerate() {
            let first = nodes.len() as u32;
            for id in 0..graph.ids() as u32 {
                let mut node = *graph.added_node(ClassId(id));
                node.args_mut().iter_mut().for_each(|arg| arg.0 += first);
                if node.op == Op::Leaf || node.op == Op::Opaque {
                    node.imm += (at as u128) << 64;
                }
                nodes.push(node);
            }
        }
        Workload { name: name.to_owned(), rules: subset(sets, shrinks), nodes }
    }

    /// `trees` random trees of 4 to 7 of 1,000 values under and, or, xor and complement, with the rules of Boolean
    /// algebra but distributivity.
    pub fn forest(trees: usize, seed: u64) -> Workload {
        let mut rng = SmallRng::seed_from_u64(seed);
        let mut terms = Builder(Vec::new());
        for _ in 0..trees {
            let count = rng.random_range(4..8);
            let mut parts: Vec<ClassId> =
                (0..count).map(|_| terms.add(Op::Leaf, rng.random_range(0..1000), &[])).collect();
            while parts.len() > 1 {
                let left = parts.swap_remove(rng.random_range(0..parts.len()));
                let right = parts.swap_remove(rng.random_range(0..parts.len()));
                let op = [Op::Band, Op::Bor, Op::Bxor][rng.random_range(0..3)];
                let mut made = terms.add(op, 0, &[left, right]);
                if rng.random_range(0..4) == 0 {
                    made = terms.add(Op::Bnot, 0, &[made]);
                }
                parts.push(made);
            }
        }
        Workload { name: format!("{trees} trees"), rules: parse(LOGIC), nodes: terms.0 }
    }
}

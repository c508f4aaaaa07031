//! Iterations: search, apply, close.

use super::index::Index;
use super::numbers::LocalNumbers;
use super::program::{Make, Program, Programs};
use super::search::{BATCH, Given, Matches, fixed, part, search};
use super::table::{BulkGraph, Words};
use super::threads;
use egraft_rules::RuleSet;
use rayon::prelude::*;
use std::ops::Range;
use std::time::{Duration, Instant};

/// Bounds on saturation; asked between iterations, so that what is reached does not depend on an order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BulkLimits {
    /// Live nodes from which no further iteration is begun.
    pub nodes: usize,
    /// Iterations.
    pub iterations: usize,
    /// The time after which no further iteration is begun.
    pub time: Duration,
    /// Threads that search.
    pub threads: usize,
}

impl Default for BulkLimits {
    fn default() -> BulkLimits {
        BulkLimits { nodes: 10_000_000, iterations: 100, time: Duration::MAX, threads: 1 }
    }
}

/// Why saturation ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize)]
pub enum BulkEnd {
    /// No rule adds anything.
    Saturated,
    /// There are as many nodes as [`BulkLimits::nodes`] allows.
    Nodes,
    /// [`BulkLimits::iterations`] were done.
    Iterations,
    /// [`BulkLimits::time`] was over.
    Time,
}

/// What saturation did, and what took how long.
#[derive(Clone, Copy, Debug)]
pub struct BulkRun {
    /// Why it ended.
    pub end: BulkEnd,
    /// Iterations done, the last one included, which finds nothing where the graph is saturated.
    pub iterations: usize,
    /// Matches found, each once.
    pub matches: u64,
    /// Time to sort nodes by class.
    pub index: Duration,
    /// Time to find matches.
    pub search: Duration,
    /// Time to apply them.
    pub apply: Duration,
    /// Time to close the graph.
    pub close: Duration,
}

/// Words of matches for a node that they add, about.
const WORDS_PER_NODE: usize = 5;

/// Nodes at which one task searches; fewer new ones wake no thread.
const CHUNK: usize = 2048;

impl BulkGraph {
    /// Rewrites the graph until nothing changes or a limit is met. What an earlier call has matched is not matched again,
    /// so terms may be added in between; but the rules must be the same.
    pub fn saturate(&mut self, rules: &[&RuleSet], limits: BulkLimits) -> BulkRun {
        let programs = Programs::new(rules, &mut self.numbers);
        let facts = programs.reads_facts;
        let mut run = BulkRun {
            end: BulkEnd::Iterations,
            iterations: 0,
            matches: 0,
            index: Duration::ZERO,
            search: Duration::ZERO,
            apply: Duration::ZERO,
            close: Duration::ZERO,
        };
        let pool = threads::pool(limits.threads);
        let mut index = Index::default();
        let start = Instant::now();
        timed(&mut run.close, || self.close());
        while run.iterations < limits.iterations {
            if self.node_count() >= limits.nodes {
                run.end = BulkEnd::Nodes;
                break;
            }
            if start.elapsed() >= limits.time {
                run.end = BulkEnd::Time;
                break;
            }
            run.iterations += 1;
            timed(&mut run.index, || index.rebuild(self, programs.depth, facts, pool.as_ref()));
            if index.fresh == 0 {
                run.end = BulkEnd::Saturated;
                break;
            }
            let mut matches: Vec<Matches> = timed(&mut run.search, || {
                let find = |range| search(self, &index, &programs, range);
                let chunks = chunks(index.rows.len());
                match &pool {
                    Some(pool) if index.fresh > CHUNK => {
                        pool.install(|| chunks.into_par_iter().map(find).collect())
                    }
                    _ => chunks.into_iter().map(find).collect(),
                }
            });
            run.matches += matches.iter().map(|matches| matches.found).sum::<u64>();
            timed(&mut run.apply, || {
                let words: usize = matches.iter().map(|matches| matches.words.len()).sum();
                self.reserve(words / WORDS_PER_NODE);
                matches.iter_mut().for_each(|matches| self.apply(&programs, matches));
            });
            timed(&mut run.close, || {
                self.close();
                self.tidy();
            });
        }
        run
    }

    fn apply(&mut self, programs: &Programs<'_>, matches: &mut Matches) {
        let Matches { words, equal, numbers, .. } = matches;
        equal.iter().for_each(|[class, made]| self.union(*class, *made));
        let mut rest = &mut words[..];
        while let [rule, ..] = rest {
            let rule = *rule;
            let program = &programs.all[rule as usize];
            let width = 2 + program.vars.len();
            let of_rule = rest.chunks_exact(width).take(BATCH).take_while(|found| found[0] == rule);
            let (batch, others) = rest.split_at_mut(of_rule.count() * width);
            self.apply_batch(program, batch, numbers);
            rest = others;
        }
    }

    /// Applies matches of one rule: all first parts of right sides, then all second ones, then unions.
    fn apply_batch(&mut self, program: &Program<'_>, batch: &mut [u32], numbers: &LocalNumbers) {
        let none = LocalNumbers::default();
        let width = 2 + program.vars.len();
        let count = batch.len() / width;
        for found in batch.chunks_exact_mut(width) {
            self.share(program, numbers, &mut found[2..]);
        }
        let (mut classes, mut types) = (Vec::new(), Vec::new());
        let mut wanted: Vec<Words> = Vec::with_capacity(count);
        let mut misfits = vec![false; count];
        for (part_at, make) in program.makes.iter().enumerate() {
            match *make {
                Make::Class(var) => {
                    let var = 2 + var as usize;
                    classes.extend(batch.chunks_exact(width).map(|found| found[var]));
                    let ty = |class: &u32| self.ty[*class as usize];
                    types.extend(classes[part_at * count..].iter().map(ty));
                    continue;
                }
                Make::Fixed { head, imm, args, arity, result } => {
                    fixed(head, imm, &args[..arity as usize], &classes, count, &mut wanted);
                    types.resize((part_at + 1) * count, result);
                    self.insert_all(&mut wanted, &mut classes);
                    continue;
                }
                _ => wanted.clear(),
            }
            for (at, (found, misfit)) in batch.chunks_exact(width).zip(&mut misfits).enumerate() {
                let vars = &found[2..];
                if let Make::Splat { ty, value } = make {
                    let bits = Given { vars, graph: self, numbers: &none }.splat(*ty, *value);
                    self.numbers.place(bits);
                }
                let given = Given { vars, graph: self, numbers: &none };
                let place = |part: u8| part as usize * count + at;
                let operand = |part: u8| (classes[place(part)], types[place(part)]);
                // A part of a right side that does not fit is some class of the match; nothing is made of it.
                let (words, ty) = match part(make, &given, operand) {
                    Some(part) if !*misfit => part,
                    _ => {
                        *misfit = true;
                        (self.rows[found[1] as usize].words, self.ty[found[1] as usize])
                    }
                };
                wanted.push(words);
                types.push(ty);
            }
            self.insert_all(&mut wanted, &mut classes);
        }
        let last = (program.makes.len() - 1) * count;
        for (at, (found, misfit)) in batch.chunks_exact(width).zip(misfits).enumerate() {
            let class = found[1];
            if !misfit && types[last + at] == self.ty[class as usize] {
                self.union(class, classes[last + at]);
            }
        }
    }

    /// Numbers that only the search knew become the graph's.
    fn share(&mut self, program: &Program<'_>, local: &LocalNumbers, vars: &mut [u32]) {
        for var in &program.number_vars {
            let place = &mut vars[*var as usize];
            if LocalNumbers::is_own(*place) {
                *place = self.numbers.place(local.value(&self.numbers, *place));
            }
        }
    }
}

fn chunks(nodes: usize) -> Vec<Range<usize>> {
    (0..nodes.div_ceil(CHUNK)).map(|at| at * CHUNK..nodes.min((at + 1) * CHUNK)).collect()
}

fn timed<T>(total: &mut Duration, work: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let done = work();
    *total += start.elapsed();
    done
}

//! What the host does in between: it answers conditions, keeps facts, and says which classes are constants.

use super::kernels::{Buf, Kernel};
use super::tables::Tables;
use super::{Counter, GpuSaturation, Scope};
use crate::GpuError;
use egraft_egraph::bulk::program::Programs;
use egraft_egraph::bulk::{Analysis, Asked, BulkGraph, Mirror, pool};
use egraft_ir::{Op, Ty};
use egraft_rules::RuleSet;

/// Rules, divided between device and host, and what is known of classes.
#[derive(Debug)]
pub(super) struct Host<'r> {
    pub(super) mirror: Mirror,
    programs: Programs<'r>,
    asked: Vec<Asked>,
    threads: Option<rayon::ThreadPool>,
}

fn names<'r>(sets: &[&'r RuleSet]) -> Vec<&'r str> {
    sets.iter().flat_map(|set| &set.rules).map(|rule| rule.name.as_str()).collect()
}

impl<'r> Host<'r> {
    pub(super) fn new(graph: &BulkGraph, sets: &[&'r RuleSet]) -> Result<Host<'r>, GpuError> {
        let mut mirror = Mirror::new(graph);
        let programs = mirror.programs(sets);
        let what = "looks for nodes below what a condition gives";
        let divided = programs.all.iter().zip(names(sets)).map(|(program, name)| {
            Asked::new(program).ok_or_else(|| GpuError::Rule { name: name.to_owned(), what })
        });
        let asked = divided.collect::<Result<_, _>>()?;
        Ok(Host { mirror, programs, asked, threads: None })
    }

    pub(super) fn tables(&mut self, sets: &[&RuleSet]) -> Result<Tables, GpuError> {
        Tables::new(&mut self.mirror, &self.programs, &self.asked, &names(sets))
    }

    pub(super) fn set_threads(&mut self, threads: usize) {
        self.threads = pool(threads);
    }

    /// Without facts classes that are constants are rewritten as others are.
    pub(super) fn rewrites_constants(&self) -> bool {
        self.mirror.analysis() == Analysis::None
    }
}

impl GpuSaturation<'_> {
    /// Words that one question and its answer take at most.
    pub(super) fn host_words(&self) -> usize {
        self.tables.ask.max(1 + self.tables.temps)
    }

    /// Sends what is new of numbers and classes; says of how many classes.
    pub(super) fn tell(&mut self) -> Result<usize, GpuError> {
        let before = self.tables.words.len();
        if self.tables.know(&mut self.host.mirror) {
            let words = self.tables.words.len();
            if 4 * words as u64 > self.buffer(Buf::Tables).size() {
                self.resize(&[Buf::Tables], true)?;
            }
            self.write_at(Buf::Tables, before, &self.tables.words[before..]);
        }
        let told = self.host.mirror.told();
        self.write(Buf::Pending, &told);
        self.set(Counter::Pending, told.len() as u32);
        Ok(told.len())
    }

    /// Asks the host about the last `asked` matches that there is room for; those that remain come after the first `found`.
    /// Gives how many.
    pub(super) fn ask(&mut self, asked: usize, found: usize) -> Result<usize, GpuError> {
        self.run.asked += asked as u64;
        let first = self.room.matches - asked;
        let most = self.words(Buf::NextItems) / self.host_words();
        let mut remain = 0;
        for start in (0..asked).step_by(most.max(1)) {
            let count = most.min(asked - start);
            let matches = (first + start, found + remain);
            self.knobs(Scope { matches, asked: count, ..Scope::default() });
            self.submit(|encoder| self.go(encoder, Kernel::Ask, count));
            let stride = self.tables.ask;
            let words = self.gpu.read(self.buffer(Buf::NextItems), count * stride)?;
            self.run.readbacks += 1;
            let Host { mirror, programs, asked, threads } = &mut self.host;
            if words.chunks_exact(stride).any(|words| words[0] as usize >= asked.len()) {
                return Err(GpuError::Breach);
            }
            let temps = self.tables.temps;
            let answers = mirror.answer(programs, asked, (&words, stride), temps, threads.as_ref());
            let answered = answers.len() / (1 + temps);
            self.write(Buf::NextItems, &answers);
            self.knobs(Scope { matches, answers: answered, ..Scope::default() });
            self.submit(|encoder| self.go(encoder, Kernel::Accept, answered));
            remain += answered;
        }
        Ok(remain)
    }

    /// Whether a row that was read is of a node over nodes and numbers that there are.
    pub(super) fn is_node(&self, row: &[u32; 5]) -> bool {
        let known = |id: &u32| *id == u32::MAX || (*id as usize) < self.ids;
        let op = Op::ALL.get((row[0] & 0xff) as usize);
        let ty = Ty::ALL.get((row[0] >> 8 & 0xff) as usize);
        let has_type = op.zip(ty).is_some_and(|(op, ty)| op.result_type(*ty).is_some());
        let has_from = (row[0] >> 16 & 0xff) < Ty::ALL.len() as u32;
        let has_number = row[4] < self.host.mirror.number_count();
        has_type && has_from && has_number && row[1..4].iter().all(known)
    }

    /// Whether the host has to know of nodes and classes as they come.
    pub(super) fn host_follows(&self) -> bool {
        self.tables.asks || !self.host.rewrites_constants()
    }

    /// Brings facts up to date with the graph, and constants into the graph.
    pub(super) fn learn(&mut self) -> Result<(), GpuError> {
        if !self.host_follows() {
            return Ok(());
        }
        loop {
            let (ids, merged) = (self.host.mirror.ids(), self.host.mirror.merged());
            let nodes = self.nodes_from(ids)?;
            let pairs = 2 * (self.unions - merged);
            let pairs = self.gpu.read_from(self.buffer(Buf::Merged), 2 * merged, pairs)?;
            self.run.readbacks += 1;
            let known = |id: &u32| (*id as usize) < self.ids;
            if !pairs.iter().all(known) {
                return Err(GpuError::Breach);
            }
            let Host { mirror, threads, .. } = &mut self.host;
            mirror.add(nodes.into_iter().map(|(node, _)| node));
            let pairs: Vec<[u32; 2]> =
                pairs.chunks_exact(2).map(|pair| [pair[0], pair[1]]).collect();
            mirror.merge(&pairs);
            let folds = mirror.close(threads.as_ref());
            if folds.is_empty() {
                return Ok(());
            }
            if folds.len() > self.room.matches {
                self.room.matches = folds.len();
                self.resize(&[Buf::Matches], false)?;
            }
            let mut matches = Vec::with_capacity(folds.len() * self.tables.item);
            for fold in &folds {
                let end = matches.len() + self.tables.item;
                matches.extend([self.tables.fold, 0, 0, fold.class]);
                matches.resize(end - self.tables.temps, 0);
                matches.extend([fold.ty, fold.number]);
                matches.resize(end, 0);
            }
            self.write(Buf::Matches, &matches);
            self.set(Counter::Matches, folds.len() as u32);
            self.apply(folds.len(), 1)?;
            self.set(Counter::Matches, 0);
            self.rebuild()?;
        }
    }
}

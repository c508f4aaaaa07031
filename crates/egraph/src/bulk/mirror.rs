//! What is known of a graph whose nodes are matched, made and merged elsewhere, such as on a GPU.
//!
//! The engine tells what nodes it added and which classes it merged; the mirror answers with what follows for facts, with
//! constants to add, and with what conditions of rules say. So there is one semantics, wherever structure is kept.
//! Invariant: facts are those that [`BulkGraph::close`] reaches, once no constants are left to add.

use super::asked::Asked;
use super::exchange::Exported;
use super::numbers::LocalNumbers;
use super::program::Programs;
use super::steps::Steps;
use super::table::{BulkGraph, DEAD, Words};
use super::threads::each;
use super::{Analysis, NONE};
use egraft_ir::{Facts, Op, Ty};
use rayon::prelude::*;

/// Numbers, facts and users of classes by id; no table of nodes.
#[derive(Debug)]
pub struct Mirror {
    graph: BulkGraph,
    /// Nodes whose facts are to be computed anew.
    dirty: Vec<u32>,
    /// By class, the place of the constant that stands in it.
    folded: Vec<u32>,
    /// Unions that were told.
    merged: usize,
}

/// A constant to add to a class.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fold {
    /// The class.
    pub class: u32,
    /// Its value type, as its place in [`Ty::ALL`].
    pub ty: u32,
    /// The place of the number.
    pub number: u32,
}

/// What one task computes at least.
const CHUNK: usize = 256;

impl Mirror {
    /// Of a closed graph.
    pub fn new(graph: &BulkGraph) -> Mirror {
        let mut graph = graph.clone();
        let ids = graph.rows.len();
        // The least id of a class stands for it, as engines elsewhere want it.
        let mut least = vec![NONE; ids];
        let roots: Vec<u32> = (0..ids as u32).map(|id| graph.root(id)).collect();
        for (id, root) in (0..).zip(&roots) {
            if least[*root as usize] == NONE {
                least[*root as usize] = id;
            }
        }
        for ((parent, row), root) in graph.parent.iter_mut().zip(&mut graph.rows).zip(&roots) {
            *parent = least[*root as usize];
            if row.class != DEAD {
                row.class = if row.class == *root { *parent } else { NONE };
            }
        }
        for (root, least) in least.iter().enumerate().filter(|(_, least)| **least != NONE) {
            let least = *least as usize;
            graph.users.swap(least, root);
            graph.constant.swap(least, root);
            if graph.analysis == Analysis::Facts {
                graph.facts.swap(least, root);
            }
        }
        let folded = graph.constant.clone();
        Mirror { graph, dirty: Vec::new(), folded, merged: 0 }
    }

    /// The graph as words, the least id of each class its canonical one.
    pub fn export(&self) -> Exported {
        let mut exported = self.graph.export();
        for [head, args @ .., _] in &mut exported.nodes {
            args.iter_mut()
                .filter(|arg| **arg != NONE)
                .for_each(|arg| *arg = self.graph.root(*arg));
            if args[0] > args[1] && *head >> 24 != 0 {
                args.swap(0, 1);
            }
        }
        exported
    }

    /// Puts the graph as it is elsewhere in the place of `graph`.
    pub fn finish(self, exported: &Exported, graph: &mut BulkGraph) {
        graph.numbers = self.graph.numbers;
        graph.import(exported, &self.graph.facts);
        graph.told = self.graph.told;
    }

    /// What the graph knows besides nodes.
    pub fn analysis(&self) -> Analysis {
        self.graph.analysis
    }

    /// Ids so far.
    pub fn ids(&self) -> usize {
        self.graph.rows.len()
    }

    /// Unions so far.
    pub fn merged(&self) -> usize {
        self.merged
    }

    /// The rules as programs over the graph's numbers.
    pub fn programs<'r>(&mut self, sets: &[&'r egraft_rules::RuleSet]) -> Programs<'r> {
        Programs::new(sets, &mut self.graph.numbers)
    }

    /// The place of a number.
    pub fn place_of(&mut self, number: u128) -> u32 {
        self.graph.numbers.place(number)
    }

    /// The number at a place.
    pub fn number_at(&self, place: u32) -> u128 {
        self.graph.numbers.value(place)
    }

    /// How many places there are.
    pub fn number_count(&self) -> u32 {
        self.graph.numbers.count()
    }

    /// Takes note of nodes under the next ids, words as in [`Exported::nodes`].
    pub fn add(&mut self, nodes: impl Iterator<Item = [u32; 5]>) {
        for [head, a, b, c, imm] in nodes {
            let id = self.graph.rows.len() as u32;
            let words = Words { head, args: [a, b, c], imm };
            self.graph.push(words, id);
            self.graph.link_operands(id);
            let is_constant = words.op() == Op::Const;
            self.graph.constant[id as usize] = if is_constant { imm } else { NONE };
            self.folded.push(self.graph.constant[id as usize]);
            self.dirty.push(id);
        }
    }

    /// Takes note of merged classes, that which went and that which stayed, each id going at most once.
    pub fn merge(&mut self, pairs: &[[u32; 2]]) {
        for [gone, kept] in pairs {
            self.graph.parent[*gone as usize] = *kept;
        }
        for [gone, _] in pairs {
            let kept = self.graph.root(*gone);
            if self.folded[kept as usize] == NONE {
                self.folded[kept as usize] = self.folded[*gone as usize];
            }
            self.dirty.extend(self.graph.users(*gone).map(|(id, _)| id));
            self.graph.absorb(kept, *gone);
        }
        self.merged += pairs.len();
    }

    /// Carries facts upwards until nothing is left to do; gives the constants that classes turned out to be and do not
    /// have yet.
    pub fn close(&mut self, threads: Option<&rayon::ThreadPool>) -> Vec<Fold> {
        let mut folds = Vec::new();
        loop {
            let mut nodes = std::mem::take(&mut self.dirty);
            for class in std::mem::take(&mut self.graph.changed) {
                let class = self.graph.root(class);
                nodes.extend(self.graph.users(class).map(|(id, _)| id));
                let number = self.graph.constant[class as usize];
                let may_fold = self.graph.analysis != Analysis::None;
                if may_fold && number != NONE && number != self.folded[class as usize] {
                    self.folded[class as usize] = number;
                    folds.push(Fold { class, ty: self.graph.ty[class as usize].into(), number });
                }
            }
            if nodes.is_empty() {
                return folds;
            }
            nodes.sort_unstable();
            nodes.dedup();
            match self.graph.analysis {
                Analysis::None => {}
                Analysis::Constants => self.evaluate(&nodes, threads),
                Analysis::Facts => {
                    self.learn(&nodes, threads);
                    self.evaluate(&nodes, threads);
                }
            }
        }
    }

    fn learn(&mut self, nodes: &[u32], threads: Option<&rayon::ThreadPool>) {
        let graph = &self.graph;
        let facts: Vec<Facts> = each(nodes.len(), threads, |at| graph.facts_of(nodes[at]));
        for (id, facts) in nodes.iter().zip(facts) {
            self.graph.assume_of(*id, facts);
        }
    }

    fn evaluate(&mut self, nodes: &[u32], threads: Option<&rayon::ThreadPool>) {
        let graph = &self.graph;
        let open = |id: u32| graph.constant[graph.root(id) as usize] == NONE;
        let values = each(nodes.len(), threads, |at| {
            open(nodes[at]).then(|| graph.evaluated(nodes[at])).flatten()
        });
        for (id, value) in nodes.iter().zip(values) {
            let class = self.graph.root(*id);
            if let Some(bits) = value {
                self.graph.constant[class as usize] = self.graph.numbers.place(bits);
                self.graph.tell(class);
            }
        }
    }

    /// Takes note of new ids: by old id the new one, all ones for ids that are not kept. They keep their order, and canonical
    /// ids are kept. `None`, and nothing is done, if these are no such names.
    pub fn rename(&mut self, names: &[u32]) -> Option<()> {
        let old = &mut self.graph;
        let kept: Vec<u32> =
            (0..names.len() as u32).filter(|id| names[*id as usize] != NONE).collect();
        let is_next = |(new, id): (usize, &u32)| names[*id as usize] as usize == new;
        let has_root = |id: &u32| names[old.root(*id) as usize] != NONE;
        let fits = names.len() == old.rows.len() && kept.iter().enumerate().all(is_next);
        if !fits || !(0..names.len() as u32).all(|id| has_root(&id)) {
            return None;
        }
        let mut graph = BulkGraph::new(old.analysis);
        (graph.numbers, graph.graphs) = (std::mem::take(&mut old.numbers), old.graphs);
        let name = |id: u32| if id == NONE { NONE } else { names[old.root(id) as usize] };
        for id in &kept {
            let Words { head, args, imm } = old.rows[*id as usize].words;
            graph.push(Words { head, args: args.map(name), imm }.sorted(), name(*id));
        }
        for (new, id) in (0..).zip(&kept) {
            graph.link_operands(new);
            graph.constant[new as usize] = old.constant[*id as usize];
            if graph.analysis == Analysis::Facts {
                graph.facts[new as usize] = old.facts[*id as usize];
            }
        }
        graph.told = old.told.iter().map(|class| name(*class)).collect();
        graph.changed = old.changed.iter().map(|class| name(*class)).collect();
        self.dirty =
            self.dirty.iter().map(|id| names[*id as usize]).filter(|id| *id != NONE).collect();
        self.folded = kept.iter().map(|id| self.folded[*id as usize]).collect();
        (self.graph, self.merged) = (graph, 0);
        Some(())
    }

    /// Classes of which more became known since the last call, each once.
    pub fn told(&mut self) -> Vec<u32> {
        let mut told = std::mem::take(&mut self.graph.told);
        told.iter_mut().for_each(|class| *class = self.graph.root(*class));
        told.sort_unstable();
        told.dedup();
        told
    }

    /// Takes the steps of matches that [`Asked`] left over. A match is its rule and the registers that are asked for,
    /// `stride` words in all; of those that remain there is the place among `matches`, and `temps` words for the
    /// registers behind the root's class. What does not fit on a right side makes it no match.
    pub fn answer(
        &mut self,
        programs: &Programs<'_>,
        asked: &[Asked],
        (matches, stride): (&[u32], usize),
        temps: usize,
        threads: Option<&rayon::ThreadPool>,
    ) -> Vec<u32> {
        let Some(first) = programs.all.first() else { return Vec::new() };
        let graph = &self.graph;
        let chunks: Vec<(usize, &[u32])> = matches.chunks(CHUNK * stride).enumerate().collect();
        let answers = |(at, chunk): &(usize, &[u32])| {
            let mut steps = Steps::new(graph, first, programs.regs);
            let mut found = Vec::new();
            for (place, words) in chunk.chunks_exact(stride).enumerate() {
                let rule = words[0] as usize;
                steps.program = &programs.all[rule];
                let start = found.len();
                found.push((at * CHUNK + place) as u32);
                if asked[rule].answer(graph, &mut steps, &words[1..], &mut found) {
                    found.resize(start + 1 + temps, 0);
                } else {
                    found.truncate(start);
                }
            }
            (found, steps.numbers)
        };
        let parts: Vec<(Vec<u32>, LocalNumbers)> = match threads {
            Some(pool) => pool.install(|| chunks.par_iter().map(answers).collect()),
            None => chunks.iter().map(answers).collect(),
        };
        let mut all = Vec::new();
        for (mut found, numbers) in parts {
            for words in found.chunks_exact_mut(1 + temps) {
                for word in words[1..].iter_mut().filter(|word| LocalNumbers::is_own(**word)) {
                    let value = numbers.value(&self.graph.numbers, *word);
                    *word = self.graph.numbers.place(value);
                }
            }
            all.append(&mut found);
        }
        all
    }
}

/// Value types by their places in [`Ty::ALL`].
pub(super) fn ty_at(word: u32) -> Ty {
    Ty::ALL[word as usize]
}

#[cfg(test)]
mod tests {
    use super::*;
    use egraft_ir::{ClassId, Node};

    /// Two leaves that were merged, and a node of the second.
    fn mirror() -> Mirror {
        let mut graph = BulkGraph::new(Analysis::Facts);
        let leaves = [1, 2].map(|imm| graph.add(Node::with_imm(Op::Leaf, Ty::I32, imm, &[])));
        graph.add(Node::new(Op::Bnot, Ty::I32, &[leaves[1]]));
        let mut mirror = Mirror::new(&graph);
        mirror.merge(&[[leaves[1].0, leaves[0].0]]);
        mirror
    }

    #[test]
    fn ids_get_new_names() {
        let mut mirror = mirror();
        assert_eq!(mirror.rename(&[0, NONE, 1]), Some(()));
        assert_eq!((mirror.ids(), mirror.merged()), (2, 0));
        assert_eq!(mirror.graph.users(0).collect::<Vec<_>>(), [(1, 0)]);
        assert_eq!(mirror.graph.find(ClassId(1)), ClassId(1));
    }

    #[test]
    fn what_are_no_names_changes_nothing() {
        // A canonical id that is not kept, ids out of order, too few names.
        for names in [&[NONE, 0, 1][..], &[1, NONE, 0], &[0, NONE, 2], &[0, 1]] {
            let mut mirror = mirror();
            assert_eq!(mirror.rename(names), None, "{names:?}");
            assert_eq!((mirror.ids(), mirror.merged()), (3, 1));
        }
    }
}

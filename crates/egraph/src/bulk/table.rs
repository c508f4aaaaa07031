//! Nodes, classes and congruence.

use super::numbers::Numbers;
use super::slots::{Slots, hash};
use super::{Analysis, NONE};
use crate::EGraph;
use egraft_ir::{ClassId, Facts, Node, Op, Ty, fold};
use egraft_rules::MatchGraph;
use std::collections::VecDeque;

/// A node: op, type, operand type and whether the op is commutative in the bytes of `head`; classes; the place of its
/// immediate.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Words {
    pub(super) head: u32,
    pub(super) args: [u32; 3],
    pub(super) imm: u32,
}

impl Words {
    pub(super) const fn new(op: Op, ty: Ty, from: Ty, args: [u32; 3], imm: u32) -> Words {
        let commutes = op.is_commutative() as u32;
        Words {
            head: op as u32 | (ty as u32) << 8 | (from as u32) << 16 | commutes << 24,
            args,
            imm,
        }
    }

    /// The same with operands of commutative ops in ascending order.
    pub(super) const fn sorted(mut self) -> Words {
        if self.args[0] > self.args[1] && self.head >> 24 != 0 {
            (self.args[0], self.args[1]) = (self.args[1], self.args[0]);
        }
        self
    }

    pub(super) const fn op(&self) -> Op {
        Op::ALL[(self.head & 0xff) as usize]
    }

    pub(super) const fn ty(&self) -> Ty {
        Ty::ALL[(self.head >> 8 & 0xff) as usize]
    }

    pub(super) const fn from(&self) -> Ty {
        Ty::ALL[(self.head >> 16 & 0xff) as usize]
    }

    pub(super) fn operands(&self) -> impl Iterator<Item = u32> + use<> {
        self.args.into_iter().take_while(|arg| *arg != NONE)
    }
}

/// A node and the class in which the last search saw it: `NONE` if the node changed since, [`DEAD`] if it became a copy
/// of another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Row {
    pub(super) words: Words,
    pub(super) class: u32,
}

/// The class of copies.
pub(super) const DEAD: u32 = NONE - 1;

/// A place in the lists of users: a node and which operand.
const fn user(node: u32, arg: usize) -> u32 {
    node * 3 + arg as u32
}

/// An e-graph for many nodes. The id of a node is that of the class it was added as.
#[derive(Clone, Debug)]
pub struct BulkGraph {
    pub(super) analysis: Analysis,
    pub(super) rows: Vec<Row>,
    pub(super) parent: Vec<u32>,
    pub(super) ty: Vec<u8>,
    /// The place of the number that a class always is.
    pub(super) constant: Vec<u32>,
    /// By class; empty without facts.
    pub(super) facts: Vec<Facts>,
    pub(super) numbers: Numbers,
    /// Classes of which more became known since the last search.
    pub(super) told: Vec<u32>,
    /// Graphs that were added whole.
    pub(super) graphs: u128,
    slots: Slots,
    /// Lists of the users of each class: first, last, length; and by user the next.
    pub(super) users: Vec<[u32; 3]>,
    next: Vec<[u32; 3]>,
    /// Users of classes that were merged into others: first and last of a list.
    moved: Vec<(u32, u32)>,
    /// Classes of which more became known, for those above.
    pub(super) changed: Vec<u32>,
}

impl BulkGraph {
    /// An empty graph.
    pub fn new(analysis: Analysis) -> BulkGraph {
        BulkGraph {
            analysis,
            rows: Vec::new(),
            parent: Vec::new(),
            ty: Vec::new(),
            constant: Vec::new(),
            facts: Vec::new(),
            numbers: Numbers::default(),
            told: Vec::new(),
            graphs: 0,
            slots: Slots::default(),
            users: Vec::new(),
            next: Vec::new(),
            moved: Vec::new(),
            changed: Vec::new(),
        }
    }

    /// The classes and nodes of another graph, and the class of each of its ids, as [`BulkGraph::add_graph`] gives them. What
    /// is known of them is taken over.
    pub fn of(graph: &EGraph, analysis: Analysis) -> (BulkGraph, Vec<Option<ClassId>>) {
        let mut bulk = BulkGraph::new(analysis);
        let classes = bulk.add_graph(graph);
        (bulk, classes)
    }

    /// Adds the classes and nodes of another graph, such as of a module's next function; gives the class of each of its
    /// ids, `None` for classes without any term, which are left out. Leaves and opaque nodes of different graphs are
    /// different values: the number of the graph stands in the upper half of their immediates.
    pub fn add_graph(&mut self, graph: &EGraph) -> Vec<Option<ClassId>> {
        let class_of = |id: ClassId| graph.find(id).index();
        // By canonical id.
        let mut added: Vec<Option<ClassId>> = vec![None; graph.ids()];
        let mut waiting: Vec<Vec<u32>> = vec![Vec::new(); graph.ids()];
        // Operands have lower ids, but not in graphs that were read from files.
        let mut todo: VecDeque<u32> = (0..graph.ids() as u32).collect();
        while let Some(id) = todo.pop_front() {
            let mut node = *graph.added_node(ClassId(id));
            let unknown =
                |arg: &ClassId| Some(class_of(*arg)).filter(|class| added[*class].is_none());
            if let Some(class) = node.args().iter().find_map(unknown) {
                waiting[class].push(id);
                continue;
            }
            for arg in node.args_mut() {
                *arg = added[class_of(*arg)].expect("it was looked for");
            }
            if matches!(node.op, Op::Leaf | Op::Opaque) {
                node.imm += self.graphs << 64;
            }
            let made = self.add(node);
            let class = class_of(ClassId(id));
            match added[class] {
                Some(known) => self.union(known.0, made.0),
                None => {
                    added[class] = Some(made);
                    todo.extend(waiting[class].drain(..));
                    self.assume(made, graph.facts(ClassId(class as u32)));
                }
            }
        }
        self.graphs += 1;
        self.close();
        (0..graph.ids() as u32).map(|id| added[class_of(ClassId(id))]).collect()
    }

    /// Number of live nodes.
    pub fn node_count(&self) -> usize {
        self.slots.len()
    }

    /// Number of classes.
    pub fn class_count(&self) -> usize {
        self.parent.iter().zip(0..).filter(|(parent, id)| **parent == *id).count()
    }

    /// Adds a node, whose operands are of this graph; gives its class.
    pub fn add(&mut self, node: Node) -> ClassId {
        let imm = self.numbers.place(node.imm);
        let args = node.args.map(|arg| arg.0);
        ClassId(self.insert(Words::new(node.op, node.ty, node.from, args, imm)))
    }

    /// The canonical id of a class.
    pub fn find(&self, class: ClassId) -> ClassId {
        ClassId(self.root(class.0))
    }

    pub(super) fn root(&self, mut id: u32) -> u32 {
        while self.parent[id as usize] != id {
            id = self.parent[id as usize];
        }
        id
    }

    /// As [`BulkGraph::root`]; halves the way for those who come later.
    fn shorten(&mut self, mut id: u32) -> u32 {
        loop {
            let above = self.parent[id as usize];
            if above == id {
                return id;
            }
            let next = self.parent[above as usize];
            self.parent[id as usize] = next;
            id = next;
        }
    }

    fn canonical(&mut self, mut words: Words) -> Words {
        for arg in &mut words.args {
            if *arg != NONE {
                *arg = self.shorten(*arg);
            }
        }
        words.sorted()
    }

    pub(super) fn insert(&mut self, words: Words) -> u32 {
        let words = self.canonical(words);
        self.insert_canonical(words)
    }

    fn insert_canonical(&mut self, words: Words) -> u32 {
        let hash = hash(&words);
        match self.slots.find(&self.rows, &words, hash) {
            Some(id) => self.shorten(id),
            None => self.add_new(words, hash),
        }
    }

    /// The classes of these words, whose operands are canonical; `NONE` where there is none. The graph is closed and has been
    /// indexed since.
    pub(super) fn lookup(&self, words: &[Words], classes: &mut Vec<u32>) {
        let first = classes.len();
        self.slots.find_all(&self.rows, words, classes);
        for class in &mut classes[first..] {
            if *class != NONE {
                *class = self.rows[*class as usize].class;
            }
        }
    }

    /// As [`BulkGraph::insert`] for all of `words`; the classes are appended.
    pub(super) fn insert_all(&mut self, words: &mut [Words], classes: &mut Vec<u32>) {
        for words in &mut *words {
            *words = self.canonical(*words);
        }
        let first = classes.len();
        self.slots.find_all(&self.rows, words, classes);
        let folds = self.analysis != Analysis::None;
        for (words, class) in words.iter().zip(first..) {
            classes[class] = match classes[class] {
                // Where constants are folded, those before it may have changed its operands.
                NONE if folds => self.insert(*words),
                NONE => self.insert_canonical(*words),
                id => self.shorten(id),
            };
        }
    }

    /// Makes looking nodes up quick again after many of them became copies.
    pub(super) fn tidy(&mut self) {
        self.slots.tidy(&self.rows);
    }

    /// Makes room for so many nodes.
    pub(super) fn reserve(&mut self, more: usize) {
        self.rows.reserve(more);
        self.parent.reserve(more);
        self.ty.reserve(more);
        self.constant.reserve(more);
        self.users.reserve(more);
        self.next.reserve(more);
    }

    fn add_new(&mut self, words: Words, hash: u64) -> u32 {
        let id = u32::try_from(self.rows.len()).expect("limits on nodes are far below 2^32");
        self.push(words, id);
        self.slots.insert(&self.rows, id, hash);
        self.link_operands(id);
        let op = words.op();
        if op == Op::Const {
            self.constant[id as usize] = words.imm;
        }
        if self.analysis == Analysis::Facts {
            self.facts[id as usize] = self.facts_of(id);
            self.constant[id as usize] = self.known_number(id);
        }
        if op != Op::Const {
            self.fold(id);
        }
        self.shorten(id)
    }

    /// Makes room for what there is to say of a node, under the next id. It is not in the table yet, nor among users.
    pub(super) fn push(&mut self, words: Words, parent: u32) {
        let ty = words.op().result_type(words.ty()).expect("nodes are well typed").value();
        self.rows.push(Row { words, class: NONE });
        self.parent.push(parent);
        self.ty.push(ty as u8);
        self.users.push([NONE, NONE, 0]);
        self.next.push([NONE; 3]);
        self.constant.push(NONE);
        if self.analysis == Analysis::Facts {
            self.facts.push(Facts::unknown());
        }
    }

    /// Puts a node into the table if it is live, and takes note of where it was seen.
    pub(super) fn enlist(&mut self, id: u32, seen: u32) {
        self.rows[id as usize].class = seen;
        if seen != DEAD {
            self.slots.insert(&self.rows, id, hash(&self.rows[id as usize].words));
            self.link_operands(id);
        }
    }

    /// Makes a node a user of its operands.
    pub(super) fn link_operands(&mut self, id: u32) {
        for (at, arg) in self.rows[id as usize].words.operands().enumerate() {
            self.link(self.root(arg), user(id, at));
        }
    }

    fn link(&mut self, class: u32, user: u32) {
        let [first, last, count] = self.users[class as usize];
        if last == NONE {
            self.users[class as usize] = [user, user, 1];
        } else {
            *self.next_of(last) = user;
            self.users[class as usize] = [first, user, count + 1];
        }
    }

    fn next_of(&mut self, user: u32) -> &mut u32 {
        &mut self.next[user as usize / 3][user as usize % 3]
    }

    /// Brings the constant that a node is into its class, if it is one.
    fn fold(&mut self, id: u32) {
        if self.analysis == Analysis::None {
            return;
        }
        let class = self.shorten(id);
        let number = match self.constant[class as usize] {
            NONE => match self.evaluated(id) {
                Some(bits) => self.numbers.place(bits),
                None => return,
            },
            known => known,
        };
        let ty = Ty::ALL[self.ty[class as usize] as usize];
        let constant = self.insert(Words::new(Op::Const, ty, ty, [NONE; 3], number));
        self.union(class, constant);
    }

    /// What a node is whose operands are all constants.
    pub(super) fn evaluated(&self, id: u32) -> Option<u128> {
        let words = self.rows[id as usize].words;
        let mut values = [0; 3];
        let mut count = 0;
        for arg in words.operands() {
            let number = self.constant[self.root(arg) as usize];
            if number == NONE {
                return None;
            }
            values[count] = self.numbers.value(number);
            count += 1;
        }
        if count == 0 {
            return None;
        }
        fold(&self.node(&words), &values[..count])
    }

    /// The node of words.
    pub(super) fn node(&self, words: &Words) -> Node {
        Node {
            op: words.op(),
            ty: words.ty(),
            from: words.from(),
            imm: self.numbers.value(words.imm),
            args: words.args.map(ClassId),
        }
    }

    /// Merges two classes; congruence waits for [`BulkGraph::close`].
    pub(super) fn union(&mut self, a: u32, b: u32) {
        let (a, b) = (self.shorten(a), self.shorten(b));
        if a == b {
            return;
        }
        debug_assert_eq!(self.ty[a as usize], self.ty[b as usize], "classes of different types");
        let weight = |id: u32| (self.users[id as usize][2], std::cmp::Reverse(id));
        let (keep, gone) = if weight(a) >= weight(b) { (a, b) } else { (b, a) };
        self.parent[gone as usize] = keep;
        let [first, last, _] = self.users[gone as usize];
        if first != NONE {
            self.moved.push((first, last));
        }
        self.absorb(keep, gone);
    }

    /// Gives the users of a class that was merged, and what is known of it, to the one that stays.
    pub(super) fn absorb(&mut self, keep: u32, gone: u32) {
        let [first, last, count] = self.users[gone as usize];
        if first != NONE {
            let [kept_first, kept_last, kept_count] = self.users[keep as usize];
            if kept_last == NONE {
                self.users[keep as usize] = [first, last, count];
            } else {
                *self.next_of(kept_last) = first;
                self.users[keep as usize] = [kept_first, last, kept_count + count];
            }
        }
        self.learn_from(keep, gone);
    }

    /// More is known of a class.
    pub(super) fn tell(&mut self, class: u32) {
        self.told.push(class);
        self.changed.push(class);
    }

    /// Merges what is congruent, folds what is constant and carries facts upwards, until nothing is left to do.
    pub fn close(&mut self) {
        loop {
            if let Some((first, last)) = self.moved.pop() {
                self.each_user(first, last, BulkGraph::rekey);
            } else if let Some(class) = self.changed.pop() {
                let class = self.shorten(class);
                if self.constant[class as usize] != NONE {
                    self.fold(class);
                }
                let [first, last, _] = self.users[class as usize];
                if first != NONE {
                    self.each_user(first, last, BulkGraph::refresh);
                }
            } else {
                return;
            }
        }
    }

    fn each_user(&mut self, first: u32, last: u32, visit: fn(&mut BulkGraph, u32)) {
        let mut at = first;
        loop {
            let id = at / 3;
            if self.rows[id as usize].class != DEAD {
                visit(self, id);
            }
            if at == last {
                return;
            }
            at = *self.next_of(at);
        }
    }

    /// How many operands a class is, copies of nodes included.
    pub(super) fn user_count(&self, class: u32) -> usize {
        self.users[class as usize][2] as usize
    }

    /// The nodes that have a class as an operand, and as which, copies included.
    pub(super) fn users(&self, class: u32) -> impl Iterator<Item = (u32, u8)> {
        let [mut at, last, count] = self.users[class as usize];
        (0..count).map(move |_| {
            let (id, arg) = (at / 3, at % 3);
            if at != last {
                at = self.next[id as usize][arg as usize];
            }
            (id, arg as u8)
        })
    }

    /// An operand of a node was merged into another class.
    fn rekey(&mut self, id: u32) {
        let old = self.rows[id as usize].words;
        let words = self.canonical(old);
        if words == old {
            return;
        }
        self.slots.remove(id, hash(&old));
        let hash = hash(&words);
        if let Some(other) = self.slots.find(&self.rows, &words, hash) {
            self.rows[id as usize].class = DEAD;
            self.union(id, other);
            return;
        }
        self.rows[id as usize] = Row { words, class: NONE };
        self.slots.insert(&self.rows, id, hash);
        self.refresh(id);
    }

    /// More is known of the operands of a node.
    fn refresh(&mut self, id: u32) {
        if self.analysis == Analysis::Facts {
            let facts = self.facts_of(id);
            self.assume_of(id, facts);
        }
        let class = self.shorten(id);
        if self.constant[class as usize] == NONE {
            self.fold(id);
        }
    }
}

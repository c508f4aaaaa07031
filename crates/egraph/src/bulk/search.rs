//! Finding matches: plans walked over arrays.

use super::index::{FAR, Index};
use super::numbers::LocalNumbers;
use super::program::{Head, Inst, Join, Make, NODE_REGS, Programs, Value, operand_types};
use super::slots::hash;
use super::steps::Steps;
use super::table::{BulkGraph, Row, Words};
use super::{Analysis, NONE};
use egraft_ir::{Op, Ty};
use egraft_rules::build;
use std::ops::Range;

/// What a search found.
#[derive(Debug, Default)]
pub(super) struct Matches {
    /// Matches of whose right side a part is not there: rule, class of the root, variables.
    pub(super) words: Vec<u32>,
    /// Classes of roots, and those that right sides are already.
    pub(super) equal: Vec<[u32; 2]>,
    pub(super) numbers: LocalNumbers,
    /// All that were found, those included whose right side is in the class already.
    pub(super) found: u64,
}

pub(super) struct Search<'a> {
    graph: &'a BulkGraph,
    index: &'a Index,
    programs: &'a Programs<'a>,
    out: Matches,
    steps: Steps<'a>,
    rule: u16,
    class: u32,
    /// Whether a node that was chosen is new.
    any_new: bool,
    /// Matches of each rule whose right sides were not looked for yet.
    pending: Vec<Vec<u32>>,
    /// Of the matches of one rule: words of a part, classes and types of all parts.
    wanted: Vec<Words>,
    classes: Vec<u32>,
    types: Vec<u8>,
    /// Of the matches of one rule: words of the part before the last.
    before: Vec<Words>,
    recent: Recent,
}

/// How many matches of a rule have their right sides looked for at once.
pub(super) const BATCH: usize = 64;

/// All matches at the nodes of `range`, in order, that have a new node and whose right side is not there yet.
pub(super) fn search(
    graph: &BulkGraph,
    index: &Index,
    programs: &Programs<'_>,
    range: Range<usize>,
) -> Matches {
    let Some(program) = programs.all.first() else { return Matches::default() };
    let mut search = Search {
        graph,
        index,
        programs,
        out: Matches::default(),
        steps: Steps::new(graph, program, programs.regs),
        rule: 0,
        class: 0,
        any_new: false,
        pending: vec![Vec::new(); programs.all.len()],
        wanted: Vec::new(),
        classes: Vec::new(),
        types: Vec::new(),
        before: Vec::new(),
        recent: Recent::default(),
    };
    for at in range {
        search.at_node(at);
    }
    (0..programs.all.len() as u16).for_each(|rule| search.settle(rule));
    search.out.numbers = search.steps.numbers;
    search.out
}

impl Search<'_> {
    fn at_node(&mut self, at: usize) {
        let (index, programs) = (self.index, self.programs);
        let Row { words, class } = &index.rows[at];
        let rules = &programs.by_root[(words.head & 0xff) as usize];
        let is_constant = self.graph.constant[*class as usize] != NONE;
        if rules.is_empty() || is_constant && self.graph.analysis != Analysis::None {
            return;
        }
        self.class = *class;
        let is_new = index.is_new(at);
        let near = words.operands().map(|arg| index.reach[arg as usize]).min().unwrap_or(FAR);
        let near = near.saturating_add(1);
        if !is_new && near > programs.depth && index.reach[*class as usize] != 0 {
            return;
        }
        let mut ops = [0; 3];
        for (ops, arg) in ops.iter_mut().zip(words.operands()) {
            *ops = index.ops[arg as usize];
        }
        for rule in rules {
            let program = &programs.all[*rule as usize];
            let is_near = is_new
                || near <= program.depth
                || program.more_at_root && index.reach[*class as usize] == 0;
            let [a, b, c] = program.operands;
            let has = |x: u64, y: u64| x & a == a && y & b == b && ops[2] & c == c;
            if !is_near
                || !program.root.fits(words.head)
                || !(has(ops[0], ops[1]) || program.swaps_root && has(ops[1], ops[0]))
            {
                continue;
            }
            self.steps.program = program;
            self.rule = *rule;
            self.steps.regs[program.class_reg as usize] = *class;
            self.choose(0, words);
            self.any_new = is_new;
            self.step(0);
        }
    }

    /// Writes a node into its registers.
    fn choose(&mut self, to: u16, words: &Words) {
        let to = to as usize;
        let regs = &mut self.steps.regs[to..to + NODE_REGS as usize];
        let [a, b, c] = words.args;
        regs.copy_from_slice(&[a, b, c, words.imm, words.head]);
    }

    fn step(&mut self, mut at: usize) {
        let program = self.steps.program;
        while let Some(inst) = program.insts.get(at) {
            at += 1;
            match *inst {
                Inst::Swap { at: first } => {
                    self.step(at);
                    let first = first as usize;
                    if self.steps.regs[first] != self.steps.regs[first + 1] {
                        self.steps.regs.swap(first, first + 1);
                        self.step(at);
                        self.steps.regs.swap(first, first + 1);
                    }
                    return;
                }
                Inst::Nodes { to, class, head, last, join } => {
                    let had_new = self.any_new;
                    let class = self.steps.regs[class as usize];
                    let index = self.index;
                    let only_new = last && !had_new;
                    let range = index.with_op(class, head.op(), only_new);
                    if let Some(join) = join
                        && self.is_shorter(join, range.len())
                    {
                        self.join(join, at, (to, class, head, only_new));
                        self.any_new = had_new;
                        return;
                    }
                    for place in range {
                        let words = &index.rows[place].words;
                        if head.fits(words.head) {
                            self.choose(to, words);
                            self.any_new = had_new || index.is_new(place);
                            self.step(at);
                        }
                    }
                    self.any_new = had_new;
                    return;
                }
                _ => {
                    if !self.steps.test(inst) {
                        return;
                    }
                }
            }
        }
        if self.any_new {
            self.found();
        }
    }

    /// Whether a class has by far fewer users than there are nodes to look at.
    fn is_shorter(&self, join: Join, nodes: usize) -> bool {
        nodes > 32 && {
            let with = self.steps.regs[join.with as usize];
            self.graph.user_count(with) * 8 < nodes
        }
    }

    /// As the loop over the nodes of a class, over the users of a class that must be an operand.
    fn join(&mut self, join: Join, at: usize, (to, class, head, only_new): (u16, u32, Head, bool)) {
        let had_new = self.any_new;
        let with = self.steps.regs[join.with as usize];
        let (graph, index) = (self.graph, self.index);
        for (id, arg) in graph.users(with) {
            let Row { words, class: of } = &graph.rows[id as usize];
            let fits = match join.arg {
                Some(wanted) => arg == wanted,
                // Once where both operands are the class.
                None => arg == 0 || arg == 1 && words.args[0] != with,
            };
            if *of != class || !fits || !head.fits(words.head) {
                continue;
            }
            let is_new = index.is_new(index.places[id as usize] as usize);
            if only_new && !is_new {
                continue;
            }
            self.choose(to, words);
            self.any_new = had_new || is_new;
            self.step(at);
        }
    }

    fn found(&mut self) {
        let program = self.steps.program;
        let mut pending = std::mem::take(&mut self.pending[self.rule as usize]);
        pending.push(self.class);
        pending.extend(program.vars.iter().map(|source| self.steps.read(*source)));
        self.pending[self.rule as usize] = pending;
        if self.pending[self.rule as usize].len() >= BATCH * (1 + program.vars.len()) {
            self.settle(self.rule);
        }
    }

    /// Writes the pending matches of a rule out, but those whose right side is in the class already.
    fn settle(&mut self, rule: u16) {
        let program = &self.programs.all[rule as usize];
        let width = 1 + program.vars.len();
        let mut pending = std::mem::take(&mut self.pending[rule as usize]);
        let count = pending.len() / width;
        self.out.found += count as u64;
        self.classes.clear();
        self.types.clear();
        let mut misfits = vec![false; count];
        for (at, make) in program.makes.iter().enumerate() {
            let vars = pending.chunks_exact(width).map(|found| &found[1..]);
            match *make {
                Make::Class(var) => {
                    self.classes.extend(vars.clone().map(|vars| vars[var as usize]));
                    if !program.makes_little {
                        let ty = |class: &u32| self.graph.ty[*class as usize];
                        self.types.extend(self.classes[at * count..].iter().map(ty));
                    }
                }
                Make::Fixed { head, imm, args, arity, result } => {
                    if program.makes_little {
                        std::mem::swap(&mut self.before, &mut self.wanted);
                        self.before.resize(count, NOWHERE);
                    }
                    fixed(
                        head,
                        imm,
                        &args[..arity as usize],
                        &self.classes,
                        count,
                        &mut self.wanted,
                    );
                    self.graph.lookup(&self.wanted, &mut self.classes);
                    // Types of others do not matter where all is fixed.
                    self.types.resize((at + 1) * count, result);
                }
                _ => {
                    self.wanted.clear();
                    for (vars, misfit) in vars.zip(&mut misfits) {
                        let place = |part: u8| (part as usize) * count + self.wanted.len();
                        let given = Given { vars, graph: self.graph, numbers: &self.steps.numbers };
                        let operand = |part| (self.classes[place(part)], self.types[place(part)]);
                        let (words, ty) = part(make, &given, operand).unwrap_or_else(|| {
                            *misfit = true;
                            (NOWHERE, 0)
                        });
                        self.wanted.push(words.sorted());
                        self.types.push(ty);
                    }
                    self.graph.lookup(&self.wanted, &mut self.classes);
                }
            }
        }
        let last = (program.makes.len() - 1) * count;
        let made = self.classes[last..].iter().zip(&self.types[last..]);
        let founds = pending.chunks_exact(width).zip(misfits).zip(made);
        for (at, ((found, misfit), (made, ty))) in founds.enumerate() {
            let class = found[0];
            if misfit || *made == class {
                continue;
            }
            if *made == NONE {
                if program.makes_little {
                    let last = self.wanted[at];
                    let before = if last.imm == NONE { self.before[at] } else { NOWHERE };
                    if !self.recent.is_first(Made { class, last, before }) {
                        continue;
                    }
                }
                self.out.words.push(u32::from(rule));
                self.out.words.extend_from_slice(found);
            } else if *ty == self.graph.ty[class as usize]
                && self.out.equal.last() != Some(&[class, *made])
            {
                self.out.equal.push([class, *made]);
            }
        }
        pending.clear();
        self.pending[rule as usize] = pending;
    }
}

/// What a match adds: the last part of a right side, to a class, and the part before it, [`NOWHERE`] where the last part
/// says all. The order of operands in what was matched often leads to the same.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Made {
    class: u32,
    last: Words,
    before: Words,
}

/// What matches written out lately add: one that adds the same is not needed.
#[derive(Default)]
struct Recent {
    /// By hash, one more than a place in `made`.
    places: Vec<u16>,
    made: Vec<Made>,
}

impl Recent {
    /// How much is kept in mind.
    const COUNT: usize = 1 << 12;

    /// Whether nothing that was written out lately adds the same.
    fn is_first(&mut self, made: Made) -> bool {
        self.places.resize(Recent::COUNT, 0);
        let hash = hash(&made.last) ^ hash(&made.before).rotate_left(21);
        let place = &mut self.places[hash as usize % Recent::COUNT];
        match self.made.get_mut(usize::from(*place).wrapping_sub(1)) {
            Some(known) if *known == made => return false,
            Some(known) => *known = made,
            None => {
                self.made.push(made);
                *place = self.made.len() as u16;
            }
        }
        true
    }
}

/// The words of a part of fixed types for each of `count` matches; `classes` has the parts before it, part by part.
pub(super) fn fixed(
    head: u32,
    imm: u32,
    args: &[u8],
    classes: &[u32],
    count: usize,
    wanted: &mut Vec<Words>,
) {
    let of = |part: u8| &classes[part as usize * count..][..count];
    // Where an operand is not there, the node is not either.
    let known = |is: bool| if is { imm } else { NONE };
    wanted.clear();
    match *args {
        [a, b] => wanted.extend(of(a).iter().zip(of(b)).map(|(a, b)| {
            Words { head, args: [*a, *b, NONE], imm: known((*a).max(*b) != NONE) }.sorted()
        })),
        _ => wanted.extend((0..count).map(|at| {
            let mut words = Words { head, args: [NONE; 3], imm };
            for (arg, part) in words.args.iter_mut().zip(args) {
                *arg = of(*part)[at];
                words.imm = if *arg == NONE { NONE } else { words.imm };
            }
            words.sorted()
        })),
    }
}

/// Words that no node has.
const NOWHERE: Words = Words { head: NONE, args: [NONE; 3], imm: NONE };

/// Variables of a match, and what is known with them.
pub(super) struct Given<'a> {
    pub(super) vars: &'a [u32],
    pub(super) graph: &'a BulkGraph,
    pub(super) numbers: &'a LocalNumbers,
}

impl Given<'_> {
    fn read(&self, value: Value) -> u32 {
        match value {
            Value::Var(var) => self.vars[var as usize],
            Value::Const(word) => word,
        }
    }

    fn ty(&self, value: Value) -> Ty {
        Ty::ALL[self.read(value) as usize]
    }

    /// The bits of a constant with `value` in every lane of `ty`.
    pub(super) fn splat(&self, ty: Value, value: Value) -> u128 {
        let ty = self.ty(ty);
        ty.splat_bits(self.number(value)) & ty.mask()
    }

    fn number(&self, value: Value) -> u128 {
        self.numbers.value(&self.graph.numbers, self.read(value))
    }
}

/// The words of a part of a right side, and its value type; `operand` gives class and value type of parts before it.
/// [`NOWHERE`] if it has an operand or a number that the graph has not; `None` if types do not fit, which is checked even
/// then. For a variable only the type counts.
pub(super) fn part(
    make: &Make,
    given: &Given<'_>,
    operand: impl Fn(u8) -> (u32, u8),
) -> Option<(Words, u8)> {
    let constant = |ty: Ty, number: Option<u32>| match number {
        Some(imm) => Words::new(Op::Const, ty, ty, [NONE; 3], imm),
        None => NOWHERE,
    };
    Some(match *make {
        Make::Class(var) => (NOWHERE, given.graph.ty[given.vars[var as usize] as usize]),
        Make::Fixed { head, imm, args, arity, result } => {
            let mut classes = [NONE; 3];
            for (class, part) in classes.iter_mut().zip(&args[..arity as usize]) {
                *class = operand(*part).0;
            }
            let known = classes[..arity as usize].iter().all(|class| *class != NONE);
            (if known { Words { head, args: classes, imm } } else { NOWHERE }, result)
        }
        Make::Splat { ty, value } => {
            let place = given.graph.numbers.find(given.splat(ty, value));
            let ty = given.ty(ty).value();
            (constant(ty, place), ty as u8)
        }
        Make::Bits(bits) => {
            let place = Some(given.read(bits)).filter(|place| !LocalNumbers::is_own(*place));
            (constant(Ty::I8X16, place), Ty::I8X16 as u8)
        }
        Make::Node { op, ty, from, imm, args, arity } => {
            let (ty, from) = build::node_types(op, given.ty(ty), from.map(|from| given.ty(from)));
            let sets = operand_types(op, ty, from)?;
            let mut classes = [NONE; 3];
            let arity = usize::from(arity);
            for (at, part) in args[..arity].iter().enumerate() {
                let (class, ty) = operand(*part);
                classes[at] = class;
                (sets[at] >> ty & 1 != 0).then_some(())?;
            }
            if let Some(imm) = imm {
                build::imm_fits(op, ty, given.number(imm)).then_some(())?;
            }
            let imm = imm.map_or(0, |imm| given.read(imm));
            let known = classes[..arity].iter().all(|class| *class != NONE);
            let known = known && !LocalNumbers::is_own(imm);
            let words = if known { Words::new(op, ty, from, classes, imm) } else { NOWHERE };
            (words, op.result_type(ty)?.value() as u8)
        }
    })
}

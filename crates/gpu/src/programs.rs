//! Rules as words: the plans of all rules, as `shaders/match.wgsl` reads them.

use egraft_ir::Op;
use egraft_rules::{Interpreter, RuleId, Step, StepSource, VarId};
use rustc_hash::FxHashMap;

/// Words of a record before its choices: root, rule, number.
pub(crate) const RECORD_HEAD: usize = 3;
/// Choices in a word, of five bits each.
pub(crate) const CHOICES_PER_WORD: usize = 6;
pub(crate) const CHOICE_BITS: usize = 5;

/// Rules, and the id of the first: ids go on from part to part.
pub type Part<'p, 'r> = (usize, &'p Interpreter<'r>);

/// Words for all rules.
#[derive(Debug, Default)]
pub(crate) struct Programs {
    /// Four words for each step.
    pub(crate) steps: Vec<u32>,
    /// Four words for each number.
    pub(crate) constants: Vec<u32>,
    numbers: FxHashMap<u128, u32>,
    /// First step and id of each rule, by outermost op, in order of ids.
    pub(crate) rules: Vec<[u32; 2]>,
    /// Where in `rules` those of an op are.
    pub(crate) by_op: FxHashMap<Op, std::ops::Range<u32>>,
    /// The most variables, temporaries, nodes and loops that a rule has.
    pub(crate) vars: usize,
    pub(crate) temps: usize,
    pub(crate) nodes: usize,
    pub(crate) loops: usize,
}

impl Programs {
    /// The rules of all parts.
    pub(crate) fn new(parts: &[Part<'_, '_>]) -> Programs {
        let mut programs = Programs::default();
        for op in Op::ALL {
            let start = programs.rules.len() as u32;
            for part in parts {
                for rule in part.1.rules_at(*op) {
                    programs.add(*part, *rule);
                }
            }
            programs.by_op.insert(*op, start..programs.rules.len() as u32);
        }
        programs
    }

    /// Words of a record's choices.
    pub(crate) fn choice_words(&self) -> usize {
        self.loops.div_ceil(CHOICES_PER_WORD).max(1)
    }

    /// Makes room for rules of any size up to the next power of two, so that the shader need not be made anew for each set.
    pub(crate) fn round_up(&mut self) {
        for size in [&mut self.vars, &mut self.temps, &mut self.nodes, &mut self.loops] {
            *size = size.next_power_of_two().max(8);
        }
    }

    /// The constants that the shader expects before its text.
    pub(crate) fn header(&self) -> String {
        let words = self.choice_words();
        let sizes = [
            ("VARS", self.vars),
            ("TEMPS", self.temps),
            ("NODES", self.nodes),
            ("LOOPS", self.loops),
            ("CHOICE_WORDS", words),
            ("RECORD_WORDS", RECORD_HEAD + words),
        ];
        sizes
            .iter()
            .map(|(name, size)| format!("const {name}: u32 = {}u;\n", size.max(&1)))
            .collect()
    }

    fn add(&mut self, (first, interpreter): Part<'_, '_>, rule: RuleId) {
        let plan = interpreter.plan(rule);
        let rules = interpreter.rules();
        let is_loop = |step: &&Step| {
            matches!(step, Step::Swap { .. } | Step::Nodes { .. } | Step::RootNodes { .. })
        };
        self.vars = self.vars.max(rules[rule.index()].vars.len());
        self.temps = self.temps.max(plan.temps);
        self.nodes = self.nodes.max(plan.nodes);
        self.loops = self.loops.max(plan.steps.iter().filter(is_loop).count());
        self.rules.push([self.steps.len() as u32 / 4, (first + rule.index()) as u32]);
        for step in &plan.steps {
            let words = match *step {
                Step::Swap { node } => [head(1, node, 0, 0), 0, 0, 0],
                Step::Nodes { node, of, arg, op } => [head(2, node, of, arg), op as u32, 0, 0],
                Step::RootNodes { node, op } => [head(3, node, 0, 0), op as u32, 0, 0],
                Step::Bind(var, source) => [head(4, var.index(), 0, 0), self.source(source), 0, 0],
                Step::Equal(one, other) => {
                    [head(5, 0, 0, 0), self.source(one), self.source(other), 0]
                }
                Step::ValueOf(value, ty) => {
                    [head(6, 0, 0, 0), self.source(value), self.source(ty), 0]
                }
                Step::TypeIn(ty, types) => [head(7, 0, 0, 0), self.source(ty), u32::from(types), 0],
                Step::Constant { temp, class } => [head(8, temp, 0, 0), self.source(class), 0, 0],
                Step::Lane { temp, bits, ty } => {
                    [head(9, temp, 0, 0), self.source(bits), self.source(ty), 0]
                }
                Step::LaneIs { lane, ty, is } => {
                    [head(10, 0, 0, 0), self.source(lane), self.source(ty), self.number(is)]
                }
                // The host asks; what it would bind is unknown till then.
                Step::Cond { at, bind: true } => {
                    let var = rules[rule.index()].conditions[at].result.var;
                    [head(11, var.map_or(0, VarId::index), 0, 0), 0, 0, 0]
                }
                Step::Cond { .. } => continue,
            };
            self.steps.extend(words);
        }
        self.steps.extend([0; 4]);
    }

    fn source(&mut self, source: StepSource) -> u32 {
        let word = |kind: u32, x: usize, y: usize| kind | (x as u32) << 8 | (y as u32) << 16;
        match source {
            StepSource::RootClass => word(0, 0, 0),
            StepSource::NodeTy(node) => word(1, node, 0),
            StepSource::NodeFrom(node) => word(2, node, 0),
            StepSource::NodeImm(node) => word(3, node, 0),
            StepSource::Arg(node, arg) => word(4, node, arg),
            StepSource::ArgTy(node, arg) => word(5, node, arg),
            StepSource::Temp(temp) => word(6, temp, 0),
            StepSource::Var(var) => word(7, var.index(), 0),
            StepSource::Const(value) => 8 | self.number(value) << 8,
        }
    }

    fn number(&mut self, value: u128) -> u32 {
        *self.numbers.entry(value).or_insert_with(|| {
            self.constants.extend(words(value));
            self.constants.len() as u32 / 4 - 1
        })
    }
}

fn head(kind: u32, a: usize, b: usize, c: usize) -> u32 {
    kind | (a as u32) << 8 | (b as u32) << 16 | (c as u32) << 24
}

/// A number as the shader reads it.
pub(crate) fn words(value: u128) -> [u32; 4] {
    std::array::from_fn(|at| (value >> (32 * at)) as u32)
}

//! Rules as words for `shaders/saturate.wgsl`.

use crate::GpuError;
use egraft_egraph::bulk::program::{Inst, Make, NODE_REGS, Program, Programs, Source, Value};
use egraft_egraph::bulk::{Asked, Mirror};
use egraft_ir::{Op, Ty};
use egraft_rules::build;
use std::fmt::Write as _;

const NONE: u32 = u32::MAX;

/// The words of rules and of what is known of ops, and the constants that the shader is to begin with.
#[derive(Debug)]
pub(super) struct Tables {
    /// The last of them are by number and type: the place of the lane that is the same throughout.
    pub(super) words: Vec<u32>,
    pub(super) header: String,
    /// Numbers of which lanes are known.
    pub(super) numbers: u32,
    /// Words of a partial match.
    pub(super) item: usize,
    /// Words of what is asked of the host about a match.
    pub(super) ask: usize,
    /// Parts of a right side at most.
    pub(super) parts: usize,
    /// Loops of a left side at most.
    pub(super) levels: usize,
    /// Temporaries of a partial match.
    pub(super) temps: usize,
    /// How many rules there are.
    pub(super) rules: usize,
    /// The rule that adds a constant to a class; the host writes its matches.
    pub(super) fold: u32,
    /// Whether rules ask the host.
    pub(super) asks: bool,
    /// Where the words of rules, of steps and of rules by op stand.
    pub(super) places: Places,
}

/// Where tables begin among the words.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Places {
    /// By op four words: where its rules begin in the list, how many, what its nodes' types are like.
    pub(super) ops: usize,
    pub(super) lists: usize,
    /// By rule 16 words.
    pub(super) rules: usize,
    /// By step four words.
    pub(super) steps: usize,
}

/// Rows of numbers by type.
#[derive(Default)]
struct Rows(Vec<u32>);

impl Rows {
    fn add(&mut self, number: impl FnMut(Ty) -> u32) -> u32 {
        self.0.extend(Ty::ALL.into_iter().map(number));
        (self.0.len() / Ty::ALL.len()) as u32 - 1
    }
}

fn source(source: Source) -> u32 {
    match source {
        Source::Const(word) => word << 2,
        Source::TyOf(at) => 1 | u32::from(at) << 2,
        Source::Reg { at, shift, mask } => {
            2 | u32::from(at) << 2 | u32::from(shift) << 12 | u32::from(mask == u32::MAX) << 18
        }
    }
}

struct Writer<'g> {
    mirror: &'g mut Mirror,
    rows: Rows,
}

impl Tables {
    /// The rules over the numbers of `mirror`.
    ///
    /// # Errors
    /// [`GpuError::Rule`] for a rule that is too large.
    pub(super) fn new(
        mirror: &mut Mirror,
        programs: &Programs<'_>,
        asked: &[Asked],
        names: &[&str],
    ) -> Result<Tables, GpuError> {
        let nodes = programs.all.iter().map(|rule| rule.class_reg / NODE_REGS).max().unwrap_or(1);
        // The rule that adds constants has two.
        let temps = asked.iter().map(|rule| rule.temps).max().unwrap_or(0).max(2);
        let loops = |rule: &Asked| {
            let is_loop = |inst: &&Inst| matches!(inst, Inst::Swap { .. } | Inst::Nodes { .. });
            rule.steps.iter().filter(is_loop).count()
        };
        let mut writer = Writer { mirror, rows: Rows::default() };
        let (mut rules, mut steps, mut makes) = (Vec::new(), Vec::new(), Vec::new());
        let mut reads = Vec::new();
        for ((rule, asked), name) in programs.all.iter().zip(asked).zip(names) {
            if rule.class_reg / NODE_REGS > 32 {
                let what = "has more than 32 nodes";
                return Err(GpuError::Rule { name: (*name).to_owned(), what });
            }
            let (mask, is) = (rule.root.mask, rule.root.is);
            let first = (steps.len() / 4) as u32;
            rules.extend([first, (makes.len() / 8) as u32, rule.makes.len() as u32]);
            rules.extend([u32::from(rule.class_reg), mask, is]);
            rules.extend([reads.len() as u32, asked.reads.len() as u32]);
            rules.extend(rule.operands.iter().flat_map(|ops| [*ops as u32, (*ops >> 32) as u32]));
            rules.extend([u32::from(rule.swaps_root), 0]);
            reads.extend(asked.reads.iter().map(|at| u32::from(*at)));
            steps.extend(asked.steps.iter().flat_map(|inst| writer.step(rule, inst)));
            steps.extend([0; 4]);
            for (make, number) in rule.makes.iter().zip(&asked.numbers) {
                makes.extend(writer.make(rule, make, *number));
            }
        }
        // A match of the last rule: a node of the class, then type and number of the constant.
        let fold = (rules.len() / 16) as u32;
        rules.extend([0, (makes.len() / 8) as u32, 1, NODE_REGS.into()]);
        rules.extend([0; 12]);
        let temp = |at: u16| source(Source::Reg { at: NODE_REGS + 1 + at, shift: 0, mask: NONE });
        makes.extend([2, temp(0), NONE, temp(1), 0, 0, 0, 0]);
        let rows = writer.rows.0;
        let (ops, lists) = by_op(programs);
        let mut tables = Tables {
            words: Vec::new(),
            header: String::new(),
            numbers: 0,
            item: 3 + usize::from(nodes + temps),
            ask: 1 + asked.iter().map(|rule| rule.reads.len()).max().unwrap_or(0),
            parts: programs.all.iter().map(|rule| rule.makes.len()).max().unwrap_or(1),
            levels: asked.iter().map(loops).max().unwrap_or(0),
            temps: temps.into(),
            rules: programs.all.len(),
            fold,
            asks: asked.iter().any(|rule| !rule.reads.is_empty()),
            places: Places::default(),
        };
        let parts = [
            ("OPS", ops),
            ("LISTS", lists),
            ("RULES", rules),
            ("STEPS", steps),
            ("MAKES", makes),
            ("READS", reads),
            ("SHAPES", shapes()),
            ("ROWS", rows),
            ("LANES", Vec::new()),
        ];
        let starts = parts.map(|(name, words)| {
            let start = tables.words.len();
            let _ = writeln!(tables.header, "const AT_{name}: u32 = {start}u;");
            tables.words.extend(words);
            start
        });
        let [ops, lists, rules, steps, ..] = starts;
        tables.places = Places { ops, lists, rules, steps };
        let constants = [
            ("ITEM", tables.item),
            ("ASK", tables.ask),
            ("TEMPS", tables.temps),
            ("PLAN_NODES", nodes.into()),
            ("PARTS", tables.parts),
            ("TYPES", Ty::ALL.len()),
            ("FIRST_VECTOR", Ty::I8X16 as usize),
            ("AT_SECOND_SUMS", super::SECOND_SUMS),
            ("AT_FAN_SUMS", super::SUMS),
        ];
        for (name, value) in constants {
            let _ = writeln!(tables.header, "const {name}: u32 = {value}u;");
        }
        let _ = writeln!(tables.header, "const ONLY_NEAR: bool = {};", programs.depth <= 1);
        tables.know(mirror);
        Ok(tables)
    }

    /// Appends the lanes of numbers that are new; says whether there were any.
    pub(super) fn know(&mut self, mirror: &mut Mirror) -> bool {
        let before = self.numbers;
        while self.numbers < mirror.number_count() {
            let bits = mirror.number_at(self.numbers);
            for ty in Ty::ALL {
                let lane = ty.splatted(bits).map(|lane| mirror.place_of(lane));
                self.words.push(lane.unwrap_or(NONE));
            }
            self.numbers += 1;
        }
        self.numbers > before
    }
}

impl Writer<'_> {
    fn step(&mut self, rule: &Program<'_>, inst: &Inst) -> [u32; 4] {
        let temp = |to: u16| u32::from(to - rule.class_reg - 1) << 8;
        match *inst {
            Inst::Swap { at } => [1 | u32::from(at / NODE_REGS) << 8, 0, 0, 0],
            Inst::Nodes { to, class, head, last, join } => {
                let mask = head.mask & !0xff | u32::from(last);
                let (operand, with) = join.map_or((0, 0), |join| {
                    (1 + u32::from(join.arg.unwrap_or(3)), u32::from(join.with))
                });
                let what = 2 | u32::from(to / NODE_REGS) << 8 | operand << 16;
                [what, u32::from(class) | with << 16, head.is, mask]
            }
            Inst::Equal(left, right) => [3, source(left), source(right), 0],
            Inst::ValueOf(value, ty) => [4, source(value), source(ty), 0],
            Inst::TypeIn(ty, set) => [5, source(ty), set.into(), 0],
            Inst::Constant { to, class } => [6 | temp(to), source(class), 0, 0],
            Inst::Lane { to, bits, ty } => [7 | temp(to), source(bits), source(ty), 0],
            Inst::LaneIs { lane, ty, is } => {
                let is = self.mirror.number_at(is);
                let mirror = &mut *self.mirror;
                let row = self.rows.add(|ty| mirror.place_of(is & ty.lane_mask()));
                [8, source(lane), source(ty), row]
            }
            Inst::Cond { .. } => unreachable!("left to the host"),
        }
    }

    fn make(&mut self, rule: &Program<'_>, make: &Make, number: Option<u16>) -> [u32; 8] {
        let given = |value: Value| match value {
            Value::Var(var) => source(rule.vars[var as usize]),
            Value::Const(word) => word << 2,
        };
        let packed = |[a, b, c]: [u8; 3]| u32::from_le_bytes([a, b, c, 0]);
        match *make {
            Make::Class(var) => [0, given(Value::Var(var)), 0, 0, 0, 0, 0, 0],
            Make::Fixed { head, imm, args, arity, .. } => {
                [1 | u32::from(arity) << 8, head, imm, packed(args), 0, 0, 0, 0]
            }
            Make::Splat { ty, value: Value::Const(number) } => {
                let number = self.mirror.number_at(number);
                let mirror = &mut *self.mirror;
                let row = self.rows.add(|ty| mirror.place_of(ty.splat_bits(number) & ty.mask()));
                [2, given(ty), row, 0, 0, 0, 0, 0]
            }
            Make::Splat { ty, .. } => {
                let at = number.expect("the host writes what it computes to a register");
                let number = source(Source::Reg { at, shift: 0, mask: NONE });
                [2, given(ty), NONE, number, 0, 0, 0, 0]
            }
            Make::Bits(number) => [2, (Ty::I8X16 as u32) << 2, NONE, given(number), 0, 0, 0, 0],
            Make::Node { op, ty, from, imm, args, arity } => {
                let from = from.map_or(NONE, given);
                let imm = imm.map_or(0, given);
                let head = op as u32;
                [3 | u32::from(arity) << 8, head, imm, packed(args), given(ty), from, 0, 0]
            }
        }
    }
}

/// By op: its rules in the list, and what its nodes' types are like.
fn by_op(programs: &Programs<'_>) -> (Vec<u32>, Vec<u32>) {
    let (mut ops, mut lists) = (Vec::new(), Vec::new());
    for (op, rules) in Op::ALL.iter().zip(&programs.by_root) {
        let forgets = build::node_types(*op, Ty::I16X8, None).0 != Ty::I16X8;
        let has_from = build::node_types(*op, Ty::I32, Some(Ty::I16)).1 == Ty::I16;
        let flags = u32::from(forgets) | u32::from(has_from) << 1;
        let flags = flags | u32::from(op.is_commutative()) << 2;
        ops.extend([lists.len() as u32, rules.len() as u32, flags, 0]);
        lists.extend(rules.iter().map(|rule| u32::from(*rule)));
    }
    (ops, lists)
}

/// By op, type and operand type: the types that operands may have; whether the types fit the op; the value type.
fn shapes() -> Vec<u32> {
    let mut words = Vec::new();
    for op in Op::ALL {
        for ty in Ty::ALL {
            for from in Ty::ALL {
                let fits = build::operand_types(*op, ty, from);
                let [a, b, c] = fits.unwrap_or([0; 3]).map(u32::from);
                let result = op.result_type(ty).map_or(0, |ty| ty.value() as u32);
                words.extend([a | b << 16, c | u32::from(fits.is_some()) << 16 | result << 24]);
            }
        }
    }
    words
}

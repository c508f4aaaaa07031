//! Rules as words for `shaders/saturate.wgsl`.

use crate::GpuError;
use egraft_egraph::bulk::BulkGraph;
use egraft_egraph::bulk::program::{Inst, Make, NODE_REGS, Program, Programs, Source, Value};
use egraft_ir::{Node, Op, Ty};
use egraft_rules::{RuleSet, build};
use std::fmt::Write as _;

const NONE: u32 = u32::MAX;

/// The words of rules and of what is known of ops, and the constants that the shader is to begin with.
#[derive(Debug)]
pub(super) struct Tables {
    pub(super) words: Vec<u32>,
    pub(super) header: String,
    /// Words of a partial match.
    pub(super) item: usize,
    /// Parts of a right side at most.
    pub(super) parts: usize,
    /// Loops of a left side at most.
    pub(super) levels: usize,
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
    graph: &'g mut BulkGraph,
    rows: Rows,
    has_lanes: bool,
}

impl Tables {
    /// The rules over the numbers of `graph`.
    ///
    /// # Errors
    /// [`GpuError::Rule`] for a rule that asks or computes what the shader does not.
    pub(super) fn new(graph: &mut BulkGraph, sets: &[&RuleSet]) -> Result<Tables, GpuError> {
        let programs = graph.programs(sets);
        let names: Vec<&str> =
            sets.iter().flat_map(|set| &set.rules).map(|rule| rule.name.as_str()).collect();
        let nodes = programs.all.iter().map(|rule| rule.class_reg / NODE_REGS).max().unwrap_or(1);
        let temps =
            programs.all.iter().map(|rule| rule.regs - rule.class_reg - 1).max().unwrap_or(0);
        let loops = |rule: &Program<'_>| {
            let is_loop = |inst: &&Inst| matches!(inst, Inst::Swap { .. } | Inst::Nodes { .. });
            rule.insts.iter().filter(is_loop).count()
        };
        let mut writer = Writer { graph, rows: Rows::default(), has_lanes: false };
        let (mut rules, mut steps, mut makes) = (Vec::new(), Vec::new(), Vec::new());
        for (rule, name) in programs.all.iter().zip(&names) {
            let refused = |what: &'static str| GpuError::Rule { name: (*name).to_owned(), what };
            if rule.class_reg / NODE_REGS > 32 {
                return Err(refused("has more than 32 nodes"));
            }
            let (mask, is) = (rule.root.mask, rule.root.is);
            let first = (steps.len() / 4) as u32;
            rules.extend([first, (makes.len() / 8) as u32, rule.makes.len() as u32]);
            rules.extend([u32::from(rule.class_reg), mask, is, 0, 0]);
            for inst in &rule.insts {
                steps.extend(writer.step(rule, inst).ok_or_else(|| refused("has conditions"))?);
            }
            steps.extend([0; 4]);
            for make in &rule.makes {
                makes.extend(writer.make(rule, make).ok_or_else(|| refused("computes numbers"))?);
            }
        }
        let lanes = writer.lanes();
        let rows = writer.rows.0;
        let (ops, lists) = by_op(&programs);
        let mut tables = Tables {
            words: Vec::new(),
            header: String::new(),
            item: 3 + usize::from(nodes + temps),
            parts: programs.all.iter().map(|rule| rule.makes.len()).max().unwrap_or(1),
            levels: programs.all.iter().map(loops).max().unwrap_or(0),
        };
        let numbers = lanes.len() / Ty::ALL.len();
        let parts = [
            ("OPS", ops),
            ("LISTS", lists),
            ("RULES", rules),
            ("STEPS", steps),
            ("MAKES", makes),
            ("SHAPES", shapes()),
            ("LANES", lanes),
            ("ROWS", rows),
        ];
        for (name, words) in parts {
            let _ = writeln!(tables.header, "const AT_{name}: u32 = {}u;", tables.words.len());
            tables.words.extend(words);
        }
        let constants = [
            ("ITEM", tables.item),
            ("PLAN_NODES", nodes.into()),
            ("PARTS", tables.parts),
            ("TYPES", Ty::ALL.len()),
            ("FIRST_VECTOR", Ty::I8X16 as usize),
            ("NUMBERS", numbers),
            ("AT_SECOND_SUMS", super::SECOND_SUMS),
        ];
        for (name, value) in constants {
            let _ = writeln!(tables.header, "const {name}: u32 = {value}u;");
        }
        let _ = writeln!(tables.header, "const ONLY_NEAR: bool = {};", programs.depth <= 1);
        Ok(tables)
    }
}

impl Writer<'_> {
    fn step(&mut self, rule: &Program<'_>, inst: &Inst) -> Option<[u32; 4]> {
        let temp = |to: u16| u32::from(to - rule.class_reg - 1) << 8;
        Some(match *inst {
            Inst::Swap { at } => [1 | u32::from(at / NODE_REGS) << 8, 0, 0, 0],
            Inst::Nodes { to, class, head, last } => {
                let mask = head.mask & !0xff | u32::from(last);
                [2 | u32::from(to / NODE_REGS) << 8, class.into(), head.is, mask]
            }
            Inst::Equal(left, right) => [3, source(left), source(right), 0],
            Inst::ValueOf(value, ty) => [4, source(value), source(ty), 0],
            Inst::TypeIn(ty, set) => [5, source(ty), set.into(), 0],
            Inst::Constant { to, class } => [6 | temp(to), source(class), 0, 0],
            Inst::Lane { to, bits, ty } => {
                self.has_lanes = true;
                [7 | temp(to), source(bits), source(ty), 0]
            }
            Inst::LaneIs { lane, ty, is } => {
                let is = self.graph.number_at(is);
                let graph = &mut *self.graph;
                let row = self.rows.add(|ty| graph.place_of(is & ty.lane_mask()));
                [8, source(lane), source(ty), row]
            }
            Inst::Cond { .. } => return None,
        })
    }

    fn make(&mut self, rule: &Program<'_>, make: &Make) -> Option<[u32; 8]> {
        let given = |value: Value| match value {
            Value::Var(var) => source(rule.vars[var as usize]),
            Value::Const(word) => word << 2,
        };
        let packed = |[a, b, c]: [u8; 3]| u32::from_le_bytes([a, b, c, 0]);
        Some(match *make {
            Make::Class(var) => [0, given(Value::Var(var)), 0, 0, 0, 0, 0, 0],
            Make::Fixed { head, imm, args, arity, .. } => {
                [1 | u32::from(arity) << 8, head, imm, packed(args), 0, 0, 0, 0]
            }
            Make::Splat { ty, value: Value::Const(number) } => {
                let number = self.graph.number_at(number);
                let graph = &mut *self.graph;
                let row = self.rows.add(|ty| graph.place_of(ty.splat_bits(number) & ty.mask()));
                [2, given(ty), row, 0, 0, 0, 0, 0]
            }
            Make::Bits(Value::Const(number)) => {
                let node = Node::constant(Ty::I8X16, 0);
                let head = node.op as u32 | (node.ty as u32) << 8 | (node.from as u32) << 16;
                [1, head, number, 0, 0, 0, 0, 0]
            }
            Make::Node { op, ty, from, imm, args, arity } => {
                let from = from.map_or(NONE, given);
                let imm = imm.map_or(0, given);
                let head = op as u32;
                [3 | u32::from(arity) << 8, head, imm, packed(args), given(ty), from, 0, 0]
            }
            Make::Splat { .. } | Make::Bits(_) => return None,
        })
    }

    /// By number and type: the place of the lane that is the same throughout.
    fn lanes(&mut self) -> Vec<u32> {
        if !self.has_lanes {
            return vec![NONE; Ty::ALL.len()];
        }
        let numbers = self.graph.number_count();
        let mut lanes = Vec::with_capacity(numbers as usize * Ty::ALL.len());
        for number in 0..numbers {
            let bits = self.graph.number_at(number);
            for ty in Ty::ALL {
                let lane = ty.splatted(bits).map(|lane| self.graph.place_of(lane));
                lanes.push(lane.unwrap_or(NONE));
            }
        }
        lanes
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

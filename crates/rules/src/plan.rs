//! The order in which a rule's left side is tested: one straight list of steps for the
//! interpreter and the code generator alike.
//!
//! Cheap tests come before loops: variables, constants and conditions as soon as they can be
//! read. Invariant: a slot is set exactly once, before it is read; steps that open a loop
//! enclose all steps after them.

use crate::rule::{Condition, Pattern, Ref, Rule, Slot, Template, VarId, forgets_lanes};
use egraft_ir::{Op, Ty};
use std::collections::HashMap;

/// A value that a step reads, written as in a slot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Source {
    /// The class of the root node.
    RootClass,
    /// The type of a node.
    NodeTy(usize),
    /// The operand type of a node.
    NodeFrom(usize),
    /// The immediate of a node.
    NodeImm(usize),
    /// An operand class of a node, after swapping.
    Arg(usize, usize),
    /// The value type of an operand class of a node.
    ArgTy(usize, usize),
    /// A temporary of [`Step::Constant`] or [`Step::Lane`].
    Temp(usize),
    /// A variable.
    Var(VarId),
    /// This value.
    Const(u128),
}

/// One step of matching; all but the loops either go on or fail.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Step {
    /// Loop: both operand orders of a node, the second only if the operands differ.
    Swap {
        /// The node.
        node: usize,
    },
    /// Loop: the nodes of an operand class that have this op, as `node`.
    Nodes {
        /// The number of the new node.
        node: usize,
        /// The node whose operand is searched.
        of: usize,
        /// Which operand.
        arg: usize,
        /// The op.
        op: Op,
    },
    /// Loop: the nodes of the root class that have this op, as `node`.
    RootNodes {
        /// The number of the new node.
        node: usize,
        /// The op.
        op: Op,
    },
    /// Binds a variable.
    Bind(VarId, Source),
    /// Both must be equal.
    Equal(Source, Source),
    /// The first must be the value type of the second.
    ValueOf(Source, Source),
    /// The type must be in the set, 1 bit for each of [`Ty::ALL`].
    TypeIn(Source, u16),
    /// The class must be a known constant, whose bits go to the temporary.
    Constant {
        /// The temporary.
        temp: usize,
        /// The class.
        class: Source,
    },
    /// The bits must be the same in every lane of the type, and that lane goes to the temporary.
    Lane {
        /// The temporary.
        temp: usize,
        /// The bits.
        bits: Source,
        /// The lane type.
        ty: Source,
    },
    /// The lane must equal the number modulo the lane width.
    LaneIs {
        /// The lane.
        lane: Source,
        /// The lane type.
        ty: Source,
        /// The number.
        is: u128,
    },
    /// The condition must hold; its result binds a variable if `bind` says so, else must agree.
    Cond {
        /// Its place in [`Rule::conditions`].
        at: usize,
        /// Whether the result variable is set here.
        bind: bool,
    },
}

/// How to match a rule.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Plan {
    /// The steps; after the last one the rule matches.
    pub steps: Vec<Step>,
    /// Number of nodes, the root included.
    pub nodes: usize,
    /// Number of temporaries.
    pub temps: usize,
    /// The ops that each operand class of the root must have at least, in pattern order.
    pub operands: Vec<Option<Op>>,
    /// Whether the operands of the root are tried in both orders.
    pub swaps_root: bool,
}

impl Rule {
    /// The plan of the rule.
    pub fn plan(&self) -> Plan {
        Planner::new(self).plan()
    }
}

/// Where a pattern stands.
#[derive(Clone, Copy)]
enum Spot {
    Root,
    Arg(usize, usize),
}

impl Spot {
    fn class(self) -> Source {
        match self {
            Spot::Root => Source::RootClass,
            Spot::Arg(node, arg) => Source::Arg(node, arg),
        }
    }
}

/// Something still to be matched.
enum Goal<'a> {
    Pattern(Spot, &'a Pattern),
    /// The type of a node whose lanes do not matter agrees with a variable.
    ValueTy(Source, VarId),
}

struct Planner<'a> {
    rule: &'a Rule,
    sets: Vec<u16>,
    bound: Vec<bool>,
    asked: Vec<bool>,
    goals: Vec<Goal<'a>>,
    plan: Plan,
}

impl<'a> Planner<'a> {
    fn new(rule: &'a Rule) -> Planner<'a> {
        Planner {
            rule,
            sets: rule.type_sets(),
            bound: vec![false; rule.vars.len()],
            asked: vec![false; rule.conditions.len()],
            goals: Vec::new(),
            plan: Plan {
                steps: Vec::new(),
                nodes: 1,
                temps: 0,
                operands: Vec::new(),
                swaps_root: false,
            },
        }
    }

    fn plan(mut self) -> Plan {
        self.open_root(&self.rule.lhs);
        loop {
            self.conditions();
            let next = (0..self.goals.len()).min_by_key(|at| self.urgency(&self.goals[*at]));
            let Some(next) = next else { break };
            let goal = self.goals.remove(next);
            self.meet(goal);
        }
        self.plan
    }

    /// The root is a given node: the outermost op is not searched for.
    fn open_root(&mut self, pattern: &'a Pattern) {
        match pattern {
            Pattern::Bind(var, inner) => {
                self.agree(*var, Source::RootClass);
                self.open_root(inner);
            }
            Pattern::And(all) => {
                let root = all.iter().position(|one| one.root_op().is_some());
                for (at, one) in all.iter().enumerate() {
                    if Some(at) == root {
                        self.open_root(one);
                    } else {
                        self.goals.push(Goal::Pattern(Spot::Root, one));
                    }
                }
            }
            Pattern::Op { op, args, .. } => {
                self.plan.operands = args.iter().map(needed_op).collect();
                self.plan.swaps_root = op.is_commutative() && !self.is_symmetric(args);
                self.open_node(0, pattern);
            }
            Pattern::Var(_) | Pattern::Splat { .. } | Pattern::Bits { .. } => {
                self.goals.push(Goal::Pattern(Spot::Root, pattern));
            }
        }
    }

    fn open_node(&mut self, node: usize, pattern: &'a Pattern) {
        let Pattern::Op { op, ty, from, imm, args } = pattern else { return };
        if op.is_commutative() && !self.is_symmetric(args) {
            self.plan.steps.push(Step::Swap { node });
        }
        self.node_ty(*op, *ty, Source::NodeTy(node));
        if let Some(from) = from {
            self.slot(*from, Source::NodeFrom(node), |ty| ty as u8 as u128);
        }
        if let Some(imm) = imm {
            self.slot(*imm, Source::NodeImm(node), |imm| imm);
        }
        for (at, arg) in args.iter().enumerate() {
            self.goals.push(Goal::Pattern(Spot::Arg(node, at), arg));
        }
    }

    fn node_ty(&mut self, op: Op, ty: Slot<Ty>, source: Source) {
        if !forgets_lanes(op) {
            return self.slot(ty, source, |ty| ty as u8 as u128);
        }
        if let Some(is) = ty.is {
            let is = Source::Const(is.value() as u8 as u128);
            self.plan.steps.push(Step::Equal(source, is));
        }
        match ty.var {
            Some(var) if self.rule.has_lanes(var) => self.goals.push(Goal::ValueTy(source, var)),
            Some(var) => self.agree(var, source),
            None => {}
        }
    }

    fn slot<T: Copy>(&mut self, slot: Slot<T>, source: Source, write: impl Fn(T) -> u128) {
        if let Some(is) = slot.is {
            self.plan.steps.push(Step::Equal(source, Source::Const(write(is))));
        }
        if let Some(var) = slot.var {
            self.agree(var, source);
        }
    }

    /// Binds the variable or compares with it.
    fn agree(&mut self, var: VarId, source: Source) {
        if std::mem::replace(&mut self.bound[var.index()], true) {
            self.plan.steps.push(Step::Equal(source, Source::Var(var)));
            return;
        }
        self.plan.steps.push(Step::Bind(var, source));
        let set = self.sets[var.index()];
        if self.rule.vars[var.index()].sort == crate::Sort::Type && set != ALL_TYPES {
            self.plan.steps.push(Step::TypeIn(Source::Var(var), set));
        }
    }

    /// Asks every condition whose arguments are known.
    fn conditions(&mut self) {
        for at in 0..self.rule.conditions.len() {
            let condition = &self.rule.conditions[at];
            if !self.asked[at] && self.is_ready(condition) {
                self.asked[at] = true;
                // The left side binds what stands in it; a condition only compares with that.
                let bind = match condition.result.var {
                    Some(var) if self.rule.lhs.has_var(var) => {
                        if !self.bound[var.index()] {
                            self.asked[at] = false;
                            continue;
                        }
                        false
                    }
                    Some(var) => !std::mem::replace(&mut self.bound[var.index()], true),
                    None => false,
                };
                self.plan.steps.push(Step::Cond { at, bind });
            }
        }
    }

    fn is_ready(&self, condition: &Condition) -> bool {
        condition.args.iter().all(|arg| match arg {
            Ref::Var(var) => self.bound[var.index()],
            Ref::Const(_) => true,
        })
    }

    /// Less is sooner.
    fn urgency(&self, goal: &Goal<'_>) -> u8 {
        let known = |var: &VarId| self.bound[var.index()];
        match goal {
            Goal::ValueTy(_, var) if known(var) => 0,
            Goal::ValueTy(..) => 9,
            Goal::Pattern(_, Pattern::Var(_)) => 1,
            Goal::Pattern(_, Pattern::Bind(..) | Pattern::And(_)) => 2,
            Goal::Pattern(_, Pattern::Bits { .. }) => 3,
            Goal::Pattern(_, Pattern::Splat { ty, .. }) => match ty.var {
                Some(var) if !known(&var) && self.rule.has_lanes(var) => 8,
                _ => 3,
            },
            Goal::Pattern(_, Pattern::Op { args, .. }) => {
                // Those with constants below prune better.
                4 + u8::from(!args.iter().any(|arg| arg.root_op().is_none() && is_const(arg)))
            }
        }
    }

    fn meet(&mut self, goal: Goal<'a>) {
        match goal {
            Goal::ValueTy(source, var) => {
                self.plan.steps.push(Step::ValueOf(source, Source::Var(var)));
            }
            Goal::Pattern(spot, Pattern::Var(var)) => self.agree(*var, spot.class()),
            Goal::Pattern(spot, Pattern::Bind(var, inner)) => {
                self.agree(*var, spot.class());
                self.goals.push(Goal::Pattern(spot, inner));
            }
            Goal::Pattern(spot, Pattern::And(all)) => {
                self.goals.extend(all.iter().map(|one| Goal::Pattern(spot, one)));
            }
            Goal::Pattern(spot, Pattern::Bits { value }) => {
                let bits = self.constant(spot);
                self.value_type(spot, |planner, source| {
                    let vector = Source::Const(Ty::I8X16 as u8 as u128);
                    planner.plan.steps.push(Step::Equal(source, vector));
                });
                self.slot(*value, bits, |bits| bits);
            }
            Goal::Pattern(spot, Pattern::Splat { ty, value }) => self.splat(spot, *ty, *value),
            Goal::Pattern(spot, pattern @ Pattern::Op { op, .. }) => {
                let node = self.plan.nodes;
                self.plan.nodes += 1;
                self.plan.steps.push(match spot {
                    Spot::Root => Step::RootNodes { node, op: *op },
                    Spot::Arg(of, arg) => Step::Nodes { node, of, arg, op: *op },
                });
                self.open_node(node, pattern);
            }
        }
    }

    fn splat(&mut self, spot: Spot, ty: Slot<Ty>, value: Slot<u128>) {
        let bits = self.constant(spot);
        let lanes = ty.var.is_some_and(|var| self.rule.has_lanes(var));
        self.value_type(spot, |planner, source| {
            if let Some(is) = ty.is {
                let is = Source::Const(is.value() as u8 as u128);
                planner.plan.steps.push(Step::Equal(source, is));
            }
            match ty.var {
                Some(var) if lanes => {
                    planner.plan.steps.push(Step::ValueOf(source, Source::Var(var)));
                }
                Some(var) => planner.agree(var, source),
                None => {}
            }
        });
        let ty = match (ty.is, ty.var) {
            (Some(is), _) => Source::Const(is as u8 as u128),
            (None, Some(var)) => Source::Var(var),
            (None, None) => return,
        };
        let temp = self.temp();
        self.plan.steps.push(Step::Lane { temp, bits, ty });
        if let Some(is) = value.is {
            self.plan.steps.push(Step::LaneIs { lane: Source::Temp(temp), ty, is });
        }
        if let Some(var) = value.var {
            self.agree(var, Source::Temp(temp));
        }
    }

    fn constant(&mut self, spot: Spot) -> Source {
        let temp = self.temp();
        self.plan.steps.push(Step::Constant { temp, class: spot.class() });
        Source::Temp(temp)
    }

    /// The value type of a spot, for `test`; that of the root is that of its node, known already.
    fn value_type(&mut self, spot: Spot, test: impl FnOnce(&mut Self, Source)) {
        if let Spot::Arg(node, arg) = spot {
            test(self, Source::ArgTy(node, arg));
        }
    }

    fn temp(&mut self) -> usize {
        self.plan.temps += 1;
        self.plan.temps - 1
    }

    /// Whether swapping the two operands only renames variables, for the whole rule: then the
    /// other order finds nothing new.
    fn is_symmetric(&self, args: &[Pattern]) -> bool {
        let [left, right] = args else { return true };
        let mut names = HashMap::new();
        if !mirror(left, right, &mut names) {
            return false;
        }
        if names.iter().any(|(from, to)| names.get(to).is_none_or(|back| back != from)) {
            return false;
        }
        let swap = |var: VarId| names.get(&var).copied().unwrap_or(var);
        shape(self.rule, &swap) == shape(self.rule, &|var| var)
    }
}

const ALL_TYPES: u16 = (1 << Ty::ALL.len()) - 1;

fn is_const(pattern: &Pattern) -> bool {
    matches!(pattern, Pattern::Splat { .. } | Pattern::Bits { .. })
}

/// The op that a class must have a node of for the pattern to match.
fn needed_op(pattern: &Pattern) -> Option<Op> {
    match pattern {
        Pattern::Splat { .. } | Pattern::Bits { .. } => Some(Op::Const),
        other => other.root_op(),
    }
}

/// Collects which variables must change places for `left` to read as `right` and vice versa.
fn mirror(left: &Pattern, right: &Pattern, names: &mut HashMap<VarId, VarId>) -> bool {
    fn pair(left: VarId, right: VarId, names: &mut HashMap<VarId, VarId>) -> bool {
        let forth = *names.entry(left).or_insert(right) == right;
        let back = *names.entry(right).or_insert(left) == left;
        forth && back
    }
    fn slots<T: PartialEq>(l: &Slot<T>, r: &Slot<T>, names: &mut HashMap<VarId, VarId>) -> bool {
        l.is == r.is
            && match (l.var, r.var) {
                (Some(left), Some(right)) => pair(left, right, names),
                (None, None) => true,
                _ => false,
            }
    }
    match (left, right) {
        (Pattern::Var(left), Pattern::Var(right)) => pair(*left, *right, names),
        (Pattern::Bind(a, left), Pattern::Bind(b, right)) => {
            pair(*a, *b, names) && mirror(left, right, names)
        }
        (Pattern::Bits { value: left }, Pattern::Bits { value: right }) => {
            slots(left, right, names)
        }
        (Pattern::Splat { ty: a, value: left }, Pattern::Splat { ty: b, value: right }) => {
            slots(a, b, names) && slots(left, right, names)
        }
        (
            Pattern::Op { op, ty, from, imm, args },
            Pattern::Op { op: op2, ty: ty2, from: from2, imm: imm2, args: args2 },
        ) => {
            let options = |l: &Option<Slot<Ty>>, r: &Option<Slot<Ty>>, names: &mut _| match (l, r) {
                (Some(l), Some(r)) => slots(l, r, names),
                (None, None) => true,
                _ => false,
            };
            let imms = |l: &Option<Slot<u128>>, r: &Option<Slot<u128>>, names: &mut _| match (l, r)
            {
                (Some(l), Some(r)) => slots(l, r, names),
                (None, None) => true,
                _ => false,
            };
            op == op2
                && slots(ty, ty2, names)
                && options(from, from2, names)
                && imms(imm, imm2, names)
                && args.len() == args2.len()
                && args.iter().zip(args2).all(|(left, right)| mirror(left, right, names))
        }
        _ => false,
    }
}

/// The rule as text with variables renamed, the operands of commutative ops and the conditions
/// sorted.
fn shape(rule: &Rule, rename: &dyn Fn(VarId) -> VarId) -> (String, Vec<String>, String) {
    // Variables that conditions compute are named by what they are.
    let mut computed: HashMap<VarId, String> = HashMap::new();
    let mut conditions = Vec::new();
    for condition in &rule.conditions {
        let args: Vec<String> =
            condition.args.iter().map(|arg| shape_ref(*arg, rename, &computed)).collect();
        let not = if condition.negative { "!" } else { "" };
        let call = format!("{not}{}({})", condition.cond.name(), args.join(","));
        if let Some(var) = condition.result.var {
            let name = shape_ref(Ref::Var(var), rename, &computed);
            conditions.push(format!("{name}={call}"));
            if !rule.lhs.has_var(var) {
                conditions.pop();
                computed.entry(var).or_insert_with(|| call.clone());
            }
        }
        conditions.push(format!("{call}={:?}", condition.result.is));
    }
    conditions.sort();
    let rhs = shape_template(&rule.rhs, rename, &computed);
    (shape_pattern(&rule.lhs, rename), conditions, rhs)
}

fn shape_ref(
    reference: Ref,
    rename: &dyn Fn(VarId) -> VarId,
    computed: &HashMap<VarId, String>,
) -> String {
    match reference {
        Ref::Const(value) => format!("#{value}"),
        Ref::Var(var) => {
            computed.get(&var).cloned().unwrap_or_else(|| format!("v{}", rename(var).0))
        }
    }
}

fn shape_slot<T: std::fmt::Debug>(slot: &Slot<T>, rename: &dyn Fn(VarId) -> VarId) -> String {
    format!("{:?}:{:?}", slot.var.map(rename), slot.is)
}

fn shape_pattern(pattern: &Pattern, rename: &dyn Fn(VarId) -> VarId) -> String {
    match pattern {
        Pattern::Var(var) => format!("v{}", rename(*var).0),
        Pattern::Bind(var, inner) => {
            format!("v{}@{}", rename(*var).0, shape_pattern(inner, rename))
        }
        Pattern::Op { op, ty, from, imm, args } => {
            let mut args: Vec<_> = args.iter().map(|arg| shape_pattern(arg, rename)).collect();
            if op.is_commutative() {
                args.sort();
            }
            let ty = shape_slot(ty, rename);
            let from = from.map(|from| shape_slot(&from, rename));
            let imm = imm.map(|imm| shape_slot(&imm, rename));
            format!("({op} {ty} {from:?} {imm:?} {})", args.join(" "))
        }
        Pattern::Splat { ty, value } => {
            format!("(k {} {})", shape_slot(ty, rename), shape_slot(value, rename))
        }
        Pattern::Bits { value } => format!("(kvec {})", shape_slot(value, rename)),
        Pattern::And(all) => {
            let all: Vec<_> = all.iter().map(|one| shape_pattern(one, rename)).collect();
            format!("(and {})", all.join(" "))
        }
    }
}

fn shape_template(
    template: &Template,
    rename: &dyn Fn(VarId) -> VarId,
    computed: &HashMap<VarId, String>,
) -> String {
    let read = |reference: Ref| shape_ref(reference, rename, computed);
    match template {
        Template::Var(var) => read(Ref::Var(*var)),
        Template::Splat { ty, value } => format!("(k {} {})", read(*ty), read(*value)),
        Template::Bits { value } => format!("(kvec {})", read(*value)),
        Template::Op { op, ty, from, imm, args } => {
            let mut args: Vec<_> =
                args.iter().map(|arg| shape_template(arg, rename, computed)).collect();
            if op.is_commutative() {
                args.sort();
            }
            let (from, imm) = (from.map(read), imm.map(read));
            format!("({op} {} {from:?} {imm:?} {})", read(*ty), args.join(" "))
        }
    }
}

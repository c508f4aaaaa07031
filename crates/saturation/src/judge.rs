//! egg with all of Egraft's rules, as the judge of other engines: its matching, hash-consing, union-find and rebuilding
//! are its own; conditions, facts and the meaning of ops are Egraft's.
//!
//! A node's types and immediate are one more operand, a leaf, so that rules for several types are one pattern.

use crate::Symbols;
use egg::{
    Analysis, DidMerge, EGraph, ENodeOrVar, Id, Language, Pattern as EggPattern, RecExpr, Searcher,
    Subst, Var,
};
use egraft_ir::{ClassId, Facts, Node, Op, Ty, fold};
use egraft_rules::{
    Binds, BuildGraph, FactSource, Match, Pattern, Ref, Rule, RuleSet, Slot, Sort, VarId, slot,
};
use rustc_hash::FxHashMap;

/// What stands for the op in leaves that say types and immediate.
const HEAD: u8 = u8::MAX;

/// A node of egg: types and immediate as a class, then operands; or those themselves, by number.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct Judged {
    op: u8,
    arity: u8,
    number: u32,
    args: [Id; 4],
}

impl Judged {
    fn head(number: u32) -> Judged {
        Judged { op: HEAD, arity: 0, number, args: [Id::from(0); 4] }
    }

    fn node(op: Op, args: &[Id]) -> Judged {
        let mut slots = [Id::from(0); 4];
        slots[..args.len()].copy_from_slice(args);
        Judged { op: op as u8, arity: args.len() as u8, number: 0, args: slots }
    }
}

impl Language for Judged {
    type Discriminant = (u8, u32);

    fn discriminant(&self) -> (u8, u32) {
        (self.op, self.number)
    }

    fn matches(&self, other: &Judged) -> bool {
        self.discriminant() == other.discriminant() && self.arity == other.arity
    }

    fn children(&self) -> &[Id] {
        &self.args[..self.arity as usize]
    }

    fn children_mut(&mut self) -> &mut [Id] {
        &mut self.args[..self.arity as usize]
    }
}

/// What is known of a class; of one that says types and immediate, its number.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    head: Option<u32>,
    ty: Ty,
    facts: Facts,
    /// Evaluated, where that tells more than facts.
    value: Option<u128>,
}

impl Known {
    fn constant(&self) -> Option<u128> {
        let mask = self.ty.mask();
        let bits = self.facts.bits;
        (bits.known() & mask == mask).then_some(bits.ones & mask)
    }
}

#[derive(Default, Debug)]
pub(crate) struct Meaning {
    symbols: Symbols,
}

type Graph = EGraph<Judged, Meaning>;

fn node_of(graph: &Graph, judged: &Judged) -> Node {
    let head = graph[judged.args[0]].data.head.expect("the first operand says types");
    let mut node = graph.analysis.symbols.heads()[head as usize];
    for (slot, arg) in node.args.iter_mut().zip(&judged.children()[1..]) {
        *slot = ClassId(usize::from(*arg) as u32);
    }
    node
}

fn id_of(class: ClassId) -> Id {
    Id::from(class.index())
}

impl Analysis<Judged> for Meaning {
    type Data = Known;

    fn make(graph: &mut Graph, judged: &Judged, _: Id) -> Known {
        if judged.op == HEAD {
            let unknown = Facts::unknown();
            return Known { head: Some(judged.number), ty: Ty::I8, facts: unknown, value: None };
        }
        let node = node_of(graph, judged);
        let of = |arg: &ClassId| &graph[id_of(*arg)].data;
        let facts: Vec<Facts> = node.args().iter().map(|arg| of(arg).facts).collect();
        let values: Option<Vec<u128>> = node.args().iter().map(|arg| of(arg).constant()).collect();
        let values = values.filter(|values| !values.is_empty());
        Known {
            head: None,
            ty: node.result_type().value(),
            facts: Facts::of_node(&node, &facts),
            value: values.and_then(|values| fold(&node, &values)),
        }
    }

    fn merge(&mut self, to: &mut Known, from: Known) -> DidMerge {
        let both = to.facts.intersect(from.facts);
        let value = to.value.or(from.value);
        let merged = DidMerge(
            both != to.facts || value != to.value,
            both != from.facts || value != from.value,
        );
        (to.facts, to.value) = (both, value);
        merged
    }

    fn modify(graph: &mut Graph, id: Id) {
        let data = &graph[id].data;
        if data.head.is_some() {
            return;
        }
        if let Some(bits) = data.constant().or(data.value) {
            let constant = insert(graph, Node::constant(data.ty, bits));
            graph.union(id, constant);
        }
    }
}

/// Adds a node; of a commutative op both orders.
fn insert(graph: &mut Graph, node: Node) -> Id {
    let head = graph.analysis.symbols.number(&node);
    let head = graph.add(Judged::head(head));
    let mut args: Vec<Id> = vec![head];
    args.extend(node.args().iter().map(|arg| id_of(*arg)));
    let id = graph.add(Judged::node(node.op, &args));
    if node.op.is_commutative() && args[1] != args[2] {
        args.swap(1, 2);
        let other = graph.add(Judged::node(node.op, &args));
        graph.union(id, other);
    }
    graph.find(id)
}

struct View<'a>(&'a Graph);

impl FactSource for View<'_> {
    fn constant(&self, class: ClassId) -> Option<u128> {
        self.0[id_of(class)].data.constant()
    }

    fn facts(&self, class: ClassId) -> Facts {
        self.0[id_of(class)].data.facts
    }

    fn class_type(&self, class: ClassId) -> Ty {
        self.0[id_of(class)].data.ty
    }
}

struct Building<'a>(&'a mut Graph);

impl BuildGraph for Building<'_> {
    fn add(&mut self, node: Node) -> ClassId {
        ClassId(usize::from(insert(self.0, node)) as u32)
    }

    fn class_type(&self, class: ClassId) -> Ty {
        self.0[id_of(class)].data.ty
    }
}

/// A rule as a pattern of ops, and what is to be asked of each match besides.
struct JudgedRule<'r> {
    rule: &'r Rule,
    pattern: EggPattern<Judged>,
    type_sets: Vec<u16>,
}

/// Variables of patterns: those of the rule first; then, by position in the left side, types and immediates of ops, and
/// classes of constants.
fn extra(rule: &Rule, position: usize) -> Var {
    Var::from_u32((rule.vars.len() + position) as u32)
}

impl<'r> JudgedRule<'r> {
    fn new(rule: &'r Rule) -> JudgedRule<'r> {
        let mut ast = RecExpr::default();
        let mut position = 0;
        build(rule, &rule.lhs, &mut position, &mut ast);
        JudgedRule { rule, pattern: EggPattern::new(ast), type_sets: rule.type_sets() }
    }

    fn matches(&self, graph: &Graph, out: &mut Vec<Match>) {
        for found in self.pattern.search(graph) {
            if graph[found.eclass].data.constant().is_some() {
                continue;
            }
            for subst in &found.substs {
                out.extend(self.check(graph, found.eclass, subst));
            }
        }
    }

    fn check(&self, graph: &Graph, root: Id, subst: &Subst) -> Option<Match> {
        let rule = self.rule;
        let mut asked =
            Asked { graph, rule, subst, vars: vec![None; rule.vars.len()], later: Vec::new() };
        let mut position = 0;
        asked.pattern(&rule.lhs, &mut position)?;
        for later in std::mem::take(&mut asked.later) {
            match later {
                Later::Value(ty, var) => {
                    (ty == slot::ty(asked.vars[var.index()]?).value()).then_some(())?;
                }
                Later::Splat(class, var, value) => {
                    let lane_ty = slot::ty(asked.vars[var.index()]?);
                    asked.splat(class, lane_ty, value)?;
                }
            }
        }
        for ((var, set), value) in rule.vars.iter().zip(&self.type_sets).zip(&asked.vars) {
            if let (Sort::Type, Some(ty)) = (var.sort, value) {
                (set >> ty & 1 != 0).then_some(())?;
            }
        }
        for condition in &rule.conditions {
            let args: Option<Vec<u128>> = condition
                .args
                .iter()
                .map(|arg| match arg {
                    Ref::Var(var) => asked.vars[var.index()],
                    Ref::Const(value) => Some(*value),
                })
                .collect();
            let got = condition.eval(&View(graph), &args?)?;
            if condition.cond.result().is_some() {
                asked.agree(condition.result, got)?;
            }
        }
        let binds: Binds = asked.vars.iter().map(|value| value.unwrap_or(0)).collect();
        let class = ClassId(usize::from(root) as u32);
        Some(Match { rule: rule.id, class, binds })
    }
}

fn build(
    rule: &Rule,
    pattern: &Pattern,
    position: &mut usize,
    ast: &mut RecExpr<ENodeOrVar<Judged>>,
) -> Id {
    match pattern {
        Pattern::Var(var) => ast.add(ENodeOrVar::Var(Var::from_u32(u32::from(var.0)))),
        Pattern::Op { op, args, .. } => {
            let mut parts = vec![ast.add(ENodeOrVar::Var(extra(rule, *position)))];
            *position += 1;
            parts.extend(args.iter().map(|arg| build(rule, arg, position, ast)));
            ast.add(ENodeOrVar::ENode(Judged::node(*op, &parts)))
        }
        // What a name is bound to is told from the match.
        Pattern::Bind(_, inner) => build(rule, inner, position, ast),
        Pattern::Splat { .. } | Pattern::Bits { .. } => {
            *position += 1;
            ast.add(ENodeOrVar::Var(extra(rule, *position - 1)))
        }
        Pattern::And(_) => unreachable!("no rule of the standard set has `and`"),
    }
}

/// What can be asked only once all types are known.
enum Later {
    /// A value type is that of the type that a variable stands for.
    Value(Ty, VarId),
    /// A class is a constant with the same lane throughout.
    Splat(Id, VarId, Slot<u128>),
}

struct Asked<'a> {
    graph: &'a Graph,
    rule: &'a Rule,
    subst: &'a Subst,
    vars: Vec<Option<u128>>,
    later: Vec<Later>,
}

impl Asked<'_> {
    /// Binds or compares; `None` where it differs.
    fn bind(&mut self, var: VarId, value: u128) -> Option<()> {
        let is = self.vars[var.index()].get_or_insert(value);
        (*is == value).then_some(())
    }

    fn agree<T: Copy>(&mut self, wanted: Slot<T>, value: u128) -> Option<()>
    where
        u128: FromSlot<T>,
    {
        if let Some(is) = wanted.is {
            (u128::from_slot(is) == value).then_some(())?;
        }
        wanted.var.map_or(Some(()), |var| self.bind(var, value))
    }

    fn class(&self, var: Var) -> Id {
        self.graph.find(self.subst[var])
    }

    /// Checks a pattern and gives its class.
    fn pattern(&mut self, pattern: &Pattern, position: &mut usize) -> Option<Id> {
        match pattern {
            Pattern::Var(var) => {
                let class = self.class(Var::from_u32(u32::from(var.0)));
                self.bind(*var, usize::from(class) as u128)?;
                Some(class)
            }
            Pattern::Op { op, ty, from, imm, args } => {
                let mut parts = vec![self.class(extra(self.rule, *position))];
                *position += 1;
                let head = self.graph[parts[0]].data.head?;
                let node = self.graph.analysis.symbols.heads()[head as usize];
                let value_only = matches!(
                    op.type_rule(),
                    egraft_ir::TypeRule::Bits | egraft_ir::TypeRule::Select
                );
                match ty.var {
                    Some(var) if value_only && self.rule.has_lanes(var) => {
                        self.agree(Slot { var: None, ..*ty }, slot::of_ty(node.ty))?;
                        self.later.push(Later::Value(node.ty, var));
                    }
                    _ => self.agree(*ty, slot::of_ty(node.ty))?,
                }
                if let Some(from) = from {
                    self.agree(*from, slot::of_ty(node.from))?;
                }
                if let Some(imm) = imm {
                    self.agree(*imm, node.imm)?;
                }
                for arg in args {
                    parts.push(self.pattern(arg, position)?);
                }
                self.graph.lookup(Judged::node(*op, &parts))
            }
            Pattern::Bind(var, inner) => {
                let class = self.pattern(inner, position)?;
                self.bind(*var, usize::from(class) as u128)?;
                Some(class)
            }
            Pattern::Splat { ty, value } => {
                let class = self.class(extra(self.rule, *position));
                *position += 1;
                let class_ty = self.graph[class].data.ty;
                match (ty.is, ty.var) {
                    (Some(is), _) => {
                        (class_ty == is.value()).then_some(())?;
                        self.splat(class, is, *value)?;
                    }
                    (None, Some(var)) if self.rule.has_lanes(var) => {
                        self.later.push(Later::Value(class_ty, var));
                        self.later.push(Later::Splat(class, var, *value));
                    }
                    (None, Some(var)) => {
                        self.bind(var, slot::of_ty(class_ty))?;
                        self.splat(class, class_ty, *value)?;
                    }
                    (None, None) => {}
                }
                Some(class)
            }
            Pattern::Bits { value } => {
                let class = self.class(extra(self.rule, *position));
                *position += 1;
                let data = &self.graph[class].data;
                (data.ty == Ty::I8X16).then_some(())?;
                self.agree(*value, data.constant()?)?;
                Some(class)
            }
            Pattern::And(_) => None,
        }
    }

    fn splat(&mut self, class: Id, ty: Ty, value: Slot<u128>) -> Option<()> {
        let lane = ty.splatted(self.graph[class].data.constant()?)?;
        if let Some(is) = value.is {
            (lane == is & ty.lane_mask()).then_some(())?;
        }
        value.var.map_or(Some(()), |var| self.bind(var, lane))
    }
}

/// How values of slots are written.
trait FromSlot<T> {
    fn from_slot(value: T) -> Self;
}

impl FromSlot<u128> for u128 {
    fn from_slot(value: u128) -> u128 {
        value
    }
}

impl FromSlot<Ty> for u128 {
    fn from_slot(value: Ty) -> u128 {
        slot::of_ty(value)
    }
}

/// The classes after `iterations` of egg, or once it is saturated, over these nodes, whose operands are places before
/// them. Each place is assumed to be of the class and to have the facts given.
pub fn judge(
    set: &RuleSet,
    nodes: &[Node],
    classes: &[usize],
    facts: &[Facts],
    iterations: usize,
) -> Vec<Vec<Node>> {
    let mut graph: Graph = EGraph::new(Meaning::default());
    let mut ids: Vec<Id> = Vec::with_capacity(nodes.len());
    for node in nodes {
        let mut node = *node;
        let canonical = |arg: &mut ClassId| {
            *arg = ClassId(usize::from(graph.find(ids[arg.index()])) as u32);
        };
        node.args_mut().iter_mut().for_each(canonical);
        ids.push(insert(&mut graph, node));
    }
    for ((id, class), facts) in ids.iter().zip(classes).zip(facts) {
        graph.union(*id, ids[*class]);
        let data = &graph[*id].data;
        let known = Known { facts: data.facts.intersect(*facts), ..data.clone() };
        graph.set_analysis_data(*id, known);
        Meaning::modify(&mut graph, *id);
    }
    graph.rebuild();
    let rules: Vec<JudgedRule<'_>> = set.rules.iter().map(JudgedRule::new).collect();
    for _ in 0..iterations {
        let mut matches = Vec::new();
        rules.iter().for_each(|rule| rule.matches(&graph, &mut matches));
        let before = (graph.total_number_of_nodes(), graph.number_of_classes());
        for found in &matches {
            let built = set.rules[found.rule.index()].instantiate(&mut Building(&mut graph), found);
            if let Some(built) = built {
                graph.union(id_of(found.class), id_of(built));
            }
        }
        graph.rebuild();
        if before == (graph.total_number_of_nodes(), graph.number_of_classes()) {
            break;
        }
    }
    let terms = || graph.classes().filter(|class| class.data.head.is_none());
    let place: FxHashMap<Id, u32> = terms().map(|class| class.id).zip(0..).collect();
    let node = |judged: &Judged| {
        let mut node = node_of(&graph, judged);
        for arg in node.args_mut() {
            *arg = ClassId(place[&graph.find(id_of(*arg))]);
        }
        node
    };
    terms().map(|class| class.nodes.iter().map(node).collect()).collect()
}

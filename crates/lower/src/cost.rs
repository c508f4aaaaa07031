//! The cost model: tiles over the current choice of nodes, priced by their stock lowering.
//!
//! Prices are kept per set of ISA flags for the life of the process. Invariant: a tile's operands
//! are the classes that its code reads; classes inside the tile cost nothing of their own.

use crate::price::Cost;
use crate::probe::probe;
use crate::shape::{Context, Item, Shape, const_item, may_fuse, op_item};
use cranelift_codegen::Context as Compiler;
use cranelift_codegen::isa::TargetIsa;
use egraft_egraph::EGraph;
use egraft_ir::{ClassId, Node, Op, Ty};
use egraft_rules::{FactSource, MatchGraph};
use rustc_hash::FxHashMap;
use smallvec::SmallVec;
use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex};

/// How deep a tile looks below its root. Addresses are deeper: a 32-bit index is computed, shifted,
/// added to and extended before the memory's base comes in.
const TILE_DEPTH: usize = 4;
const ADDRESS_DEPTH: usize = 6;

/// What stands for a shape that the target cannot lower: dearer than anything it can.
const UNLOWERABLE: Cost = 1 << 20;

/// The price of an instruction outside the vocabulary.
const OPAQUE: Cost = 8;

/// Prices by what a shape consists of, for each context.
type Prices = Arc<Mutex<[FxHashMap<Box<[Item]>, Cost>; Context::ALL.len()]>>;

static PRICES: LazyLock<Mutex<HashMap<String, Prices>>> = LazyLock::new(Mutex::default);

/// What instructions cost on a core that code is tuned for.
#[derive(Clone, Copy, Debug)]
pub struct Costs {
    /// The core's name.
    pub core: &'static str,
    /// The cost, in 1/16 cycle, of a line of disassembly; `None` for the usual one.
    pub of: fn(&str) -> Option<u32>,
}

impl PartialEq for Costs {
    fn eq(&self, other: &Costs) -> bool {
        self.core == other.core
    }
}

impl Eq for Costs {}

impl Default for Costs {
    /// The usual ones.
    fn default() -> Costs {
        Costs { core: "", of: |_| None }
    }
}

/// Prices shapes for one target.
pub struct CostModel<'a> {
    isa: &'a dyn TargetIsa,
    prices: Prices,
    compiler: RefCell<Compiler>,
    costs: Costs,
}

/// A root and the part of its operand tree that is selected with it.
pub(crate) struct Tile {
    pub(crate) cost: Cost,
    /// The classes the tile reads from registers, each once.
    pub(crate) operands: SmallVec<[ClassId; 4]>,
    /// The classes whose nodes are selected with the root.
    pub(crate) inner: SmallVec<[ClassId; 4]>,
}

impl Tile {
    fn alone(cost: Cost, operands: SmallVec<[ClassId; 4]>) -> Tile {
        Tile { cost, operands, inner: SmallVec::new() }
    }
}

/// The current choice of a node for each class.
pub(crate) trait Choice {
    /// The node chosen for a canonical class; leaves and constants choose themselves.
    fn chosen(&self, class: ClassId) -> Node;

    /// The price of that node alone: [`CostModel::price_of_node`].
    fn own_price(&self, class: ClassId) -> Cost;
}

impl<'a> CostModel<'a> {
    /// The model of `isa`, which shares its prices with all models of the same flags.
    pub fn new(isa: &'a dyn TargetIsa) -> CostModel<'a> {
        CostModel::tuned(isa, Costs::default())
    }

    /// The model of `isa` with the costs of a core.
    pub fn tuned(isa: &'a dyn TargetIsa, costs: Costs) -> CostModel<'a> {
        let Costs { core, .. } = costs;
        let mut key =
            format!("{core} {} {} {}", isa.triple(), isa.flags(), isa.default_call_conv());
        for flag in isa.isa_flags() {
            key.push_str(&format!("{flag};"));
        }
        let mut all = PRICES.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let prices = Arc::clone(all.entry(key).or_default());
        CostModel { isa, prices, compiler: RefCell::new(Compiler::new()), costs }
    }

    /// The price of a shape.
    fn price(&self, context: Context, items: &[Item]) -> Cost {
        let lock = || self.prices.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(cost) = lock()[context as usize].get(items) {
            return *cost;
        }
        let shape = Shape { context, items: items.to_vec() };
        let compiler = &mut self.compiler.borrow_mut();
        let cost = probe(self.isa, &shape, compiler, self.costs).unwrap_or(UNLOWERABLE);
        lock()[context as usize].insert(shape.items.into(), cost);
        cost
    }

    /// The price of `node` alone, its non-constant operands in registers, in 1/16 cycle.
    pub fn price_of_node(&self, graph: &EGraph, node: &Node) -> Cost {
        match node.op {
            Op::Leaf => 0,
            Op::Const => {
                let item = const_item(Op::Iadd, 1, node.ty, node.imm);
                self.price(Context::Value, &[item])
            }
            Op::Opaque => OPAQUE,
            _ => {
                let mut builder = Builder::new(graph);
                builder.node(node, Depth::default(), &mut |_, _, _| None);
                self.price(Context::Value, &builder.items)
            }
        }
    }

    /// The tile rooted at the node that `choice` has for `class`, in `context`.
    ///
    /// Operands that some target may fuse are taken in when that is cheaper than computing them on
    /// their own.
    pub(crate) fn tile(
        &self,
        graph: &EGraph,
        context: Context,
        class: ClassId,
        choice: &dyn Choice,
    ) -> Tile {
        let node = &choice.chosen(class);
        match node.op {
            Op::Leaf => return Tile::alone(0, SmallVec::new()),
            Op::Const if context == Context::Value => {
                return Tile::alone(choice.own_price(class), SmallVec::new());
            }
            Op::Opaque => {
                let operands = node.args().iter().map(|arg| graph.find(*arg)).collect();
                return Tile::alone(OPAQUE, operands);
            }
            _ => {}
        }
        let takes_in = |parent: &Node, class: ClassId, child: &Node| {
            !child.op.is_leaf()
                && may_fuse(context, parent, child.op)
                && graph.constant(class).is_none()
        };
        let may_take_in = node.args().iter().any(|arg| {
            let class = graph.find(*arg);
            takes_in(node, class, &choice.chosen(class))
        });
        if !may_take_in && context == Context::Value {
            return Tile::alone(choice.own_price(class), registers(graph, node));
        }
        let deepest = if context == Context::Address { ADDRESS_DEPTH } else { TILE_DEPTH };
        let mut builder = Builder::new(graph);
        let mut inner: SmallVec<[ClassId; 4]> = SmallVec::new();
        builder.node(node, Depth::default(), &mut |parent, class, depth| {
            let child = choice.chosen(class);
            // One instruction adds three things at most.
            let is_third = context == Context::Value && depth.adds > 1 && child.op == Op::Iadd;
            let fuses = depth.nodes < deepest && !is_third && takes_in(parent, class, &child);
            fuses.then(|| {
                inner.push(class);
                child
            })
        });
        if inner.is_empty() {
            let cost = match context {
                Context::Value => choice.own_price(class),
                _ => self.price(context, &builder.items),
            };
            return Tile::alone(cost, builder.operands);
        }
        let plain_cost = match context {
            Context::Value => choice.own_price(class),
            _ => {
                let mut plain = Builder::new(graph);
                plain.node(node, Depth::default(), &mut |_, _, _| None);
                self.price(context, &plain.items)
            }
        };
        let apart = plain_cost + inner.iter().map(|class| choice.own_price(*class)).sum::<Cost>();
        let cost = self.price(context, &builder.items);
        if cost < apart {
            return Tile { cost, operands: builder.operands, inner };
        }
        Tile::alone(plain_cost, registers(graph, node))
    }
}

/// The operands of `node` that are not constants, each once.
fn registers(graph: &EGraph, node: &Node) -> SmallVec<[ClassId; 4]> {
    let mut operands = SmallVec::new();
    for arg in node.args() {
        let class = graph.find(*arg);
        if graph.constant(class).is_none() && !operands.contains(&class) {
            operands.push(class);
        }
    }
    operands
}

/// Whether `node` is to be seen with its operands swapped: backends look for constants second.
pub(crate) fn has_constant_first(graph: &EGraph, node: &Node) -> bool {
    let is_constant = |arg: &ClassId| graph.constant(graph.find(*arg)).is_some();
    match node.args() {
        [first, second, ..] if node.op.is_commutative() => {
            is_constant(first) && !is_constant(second)
        }
        _ => false,
    }
}

/// Writes a shape from the root down.
struct Builder<'g> {
    graph: &'g EGraph,
    items: SmallVec<[Item; 12]>,
    operands: SmallVec<[ClassId; 4]>,
}

/// Chooses whether an operand of a node, a class at a depth, is taken into the tile.
type Expand<'e> = dyn FnMut(&Node, ClassId, Depth) -> Option<Node> + 'e;

/// How far below the root: nodes, and of these the sums right above.
#[derive(Clone, Copy, Default)]
struct Depth {
    nodes: usize,
    adds: usize,
}

impl<'g> Builder<'g> {
    fn new(graph: &'g EGraph) -> Self {
        Builder { graph, items: SmallVec::new(), operands: SmallVec::new() }
    }

    fn node(&mut self, node: &Node, depth: Depth, expand: &mut Expand<'_>) {
        if let Op::Const = node.op {
            self.items.push(const_item(Op::Iadd, 1, node.ty, node.imm));
            return;
        }
        self.items.push(op_item(node));
        let adds = if node.op == Op::Iadd { depth.adds + 1 } else { 0 };
        let below = Depth { nodes: depth.nodes + 1, adds };
        let class_of = |at: usize| self.graph.find(node.args()[at]);
        let is_constant = |at: usize| self.graph.constant(class_of(at)).is_some();
        let count = node.args().len();
        let mut children = [None; 3];
        for (at, child) in children[..count].iter_mut().enumerate() {
            if !is_constant(at) {
                *child = expand(node, class_of(at), below);
            }
        }
        // Which of two integers is first does not matter, so that fewer shapes are priced.
        let rank = |at: usize| (is_constant(at), children[at].is_none());
        let integers = matches!(node.ty, Ty::I32 | Ty::I64) && node.op.is_commutative();
        let swapped = has_constant_first(self.graph, node) || integers && rank(0) > rank(1);
        for place in 0..count {
            let at = if swapped && place < 2 { 1 - place } else { place };
            let child = children[at];
            let class = class_of(at);
            let seen_as = node.op.operand_type(node.ty, node.from, at);
            let ty = match seen_as {
                Some(ty) if ty.value() == self.graph.class_type(class) => ty,
                _ => self.graph.class_type(class),
            };
            if let Some(bits) = self.graph.constant(class) {
                self.items.push(const_item(node.op, at, ty, bits));
            } else if let Some(child) = child {
                self.node(&child, below, expand);
            } else {
                let number = match self.operands.iter().position(|operand| *operand == class) {
                    Some(number) => number,
                    None => {
                        self.operands.push(class);
                        self.operands.len() - 1
                    }
                };
                self.items.push(Item::Reg(ty, number as u8));
            }
        }
    }
}

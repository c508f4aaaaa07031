//! Random nodes for e-graphs.

use egraft_egraph::EGraph;
use egraft_ir::{ClassId, ImmKind, Node, Op, Ty, TypeRule};
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

/// Nodes of one graph.
pub const NODES: usize = 40;

/// Interesting lane values, splatted over lanes of a random width.
fn constant(rng: &mut SmallRng, ty: Ty) -> u128 {
    let lane_ty = if ty.is_vector() {
        *[Ty::I8X16, Ty::I16X8, Ty::I32X4, Ty::I64X2].choose(rng).unwrap()
    } else {
        ty
    };
    let width = lane_ty.lane_bits();
    let lane = match rng.random_range(0..6) {
        0 => 0,
        1 => u128::MAX,
        2 => 1 << rng.random_range(0..width),
        3 => (1 << rng.random_range(0..width)) - 1,
        4 => rng.random_range(0..16),
        _ => rng.random(),
    };
    if ty.is_vector() { lane_ty.splat_bits(lane) } else { lane & ty.mask() }
}

/// A random graph as it is added, without rewriting.
pub fn random(seed: u64) -> EGraph {
    let mut graph = EGraph::new();
    grow(&mut SmallRng::seed_from_u64(seed), &mut |node| graph.insert(node).0);
    graph.rebuild();
    graph.canonicalize();
    graph
}

/// Adds `NODES` random nodes over a few leaves; gives the leaves' values by immediate.
pub fn grow(rng: &mut SmallRng, add: &mut dyn FnMut(Node) -> ClassId) -> Vec<u128> {
    let mut values = Vec::new();
    let mut pool: Vec<(Ty, ClassId)> = Vec::new();
    for ty in [Ty::I8, Ty::I16, Ty::I32, Ty::I64, Ty::I8X16, Ty::I8X16, Ty::I8X16] {
        let leaf = add(Node::with_imm(Op::Leaf, ty, values.len() as u128, &[]));
        values.push(constant(rng, ty));
        pool.push((ty.value(), leaf));
        pool.push((ty.value(), add(Node::constant(ty, constant(rng, ty)))));
    }
    while pool.len() < NODES {
        let op = *Op::ALL.choose(rng).unwrap();
        let pairs: Vec<(Ty, Ty)> = op.type_pairs().collect();
        let Some((ty, from)) = pairs.choose(rng).copied() else { continue };
        if op.is_leaf() || ty.is_float() || from.is_float() {
            continue;
        }
        let imm = match op.imm_kind() {
            ImmKind::IntCc => rng.random_range(0..10),
            ImmKind::Lane => rng.random_range(0..u128::from(ty.lanes())),
            ImmKind::Mask => (0..16).fold(0, |mask, at| mask | rng.random_range(0..32) << (8 * at)),
            _ => 0,
        };
        let mut args = Vec::new();
        for at in 0..op.arity() {
            let fits: Vec<ClassId> = pool
                .iter()
                .filter(|(of, _)| match op.operand_type(ty, from, at) {
                    Some(wanted) => wanted.value() == *of,
                    None => of.is_int() && !of.is_vector(),
                })
                .map(|(_, class)| *class)
                .collect();
            // Late classes are preferred, so that the graph gets deep.
            args.extend(fits.get(rng.random_range(fits.len() / 2..fits.len().max(1))).copied());
        }
        if args.len() != op.arity() {
            continue;
        }
        let mut node = Node::with_imm(op, ty, imm, &args);
        if matches!(op.type_rule(), TypeRule::Convert | TypeRule::Gather) {
            node.from = from;
        }
        let divides = matches!(op, Op::Udiv | Op::Urem | Op::Sdiv | Op::Srem);
        if node.is_well_typed() && !divides {
            pool.push((node.result_type().value(), add(node)));
        }
    }
    values
}

//! What the GPU computes of ops is what the evaluator computes, for all ops that there is code for.
//!
//! Without any adapter these tests are skipped, and say so.

mod common;

use common::open;
use egraft_gpu::GpuTerms;
use egraft_ir::{FloatCc, ImmKind, IntCc, Node, Op, Term, Ty, eval, fingerprint};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

/// Every op at all its types, with some immediates.
fn nodes(rng: &mut SmallRng) -> Vec<Node> {
    let mut nodes = Vec::new();
    for op in Op::ALL.iter().filter(|op| op.arity() > 0) {
        for (ty, from) in op.type_pairs() {
            let imms: Vec<u128> = match op.imm_kind() {
                ImmKind::None => vec![0],
                ImmKind::IntCc => (0..IntCc::ALL.len() as u128).collect(),
                ImmKind::FloatCc => (0..FloatCc::ALL.len() as u128).collect(),
                ImmKind::Lane => vec![0, u128::from(ty.lanes()) - 1],
                ImmKind::Mask => {
                    vec![rng.random::<u128>() & 0x1f1f_1f1f_1f1f_1f1f_1f1f_1f1f_1f1f_1f1f]
                }
                ImmKind::Bits | ImmKind::Index => continue,
            };
            nodes.extend(imms.iter().map(|imm| Node::detached(*op, ty, from, *imm)));
        }
    }
    nodes
}

/// A number with many equal bits or bytes, or any.
fn number(rng: &mut SmallRng) -> u128 {
    let any: u128 = rng.random();
    match rng.random_range(0..6) {
        0 => any,
        1 => any & rng.random::<u128>() & rng.random::<u128>(),
        2 => any | rng.random::<u128>() | rng.random::<u128>(),
        3 => u128::from(rng.random::<u8>()) * (u128::MAX / 255),
        4 => [0, 1, u128::MAX, 1 << 31, 1 << 63, 0x80][rng.random_range(0..6)],
        _ => Ty::I32X4
            .splat_bits([0, 1, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff][rng.random_range(0..5)]),
    }
}

#[test]
fn ops_compute_what_the_evaluator_does() {
    let Some(gpu) = open() else { return };
    const SAMPLES: usize = 40;
    const VALUES: u32 = 12;
    let mut rng = SmallRng::seed_from_u64(7);
    let nodes = nodes(&mut rng);
    let (mut compared, mut undefined, mut left) = (0, 0, 0);
    for nodes in nodes.chunks(60) {
        let ops = GpuTerms::new(&gpu, nodes).unwrap();
        let values: Vec<u128> = (0..VALUES as usize * SAMPLES).map(|_| number(&mut rng)).collect();
        let mut terms = Vec::new();
        for at in 0..nodes.len() {
            if ops.has(at) {
                terms.extend((0..24).map(|_| Term {
                    op: at as u32,
                    args: std::array::from_fn(|_| rng.random_range(0..VALUES)),
                }));
            } else {
                left += 1;
            }
        }
        let prints = ops.fingerprints(&gpu, &values, SAMPLES, &terms).unwrap();
        for (term, print) in terms.iter().zip(prints) {
            let node = &nodes[term.op as usize];
            let results: Option<Vec<u128>> = (0..SAMPLES)
                .map(|sample| {
                    let args = term.args.map(|arg| values[arg as usize * SAMPLES + sample]);
                    eval(node, &args[..node.op.arity()]).ok()
                })
                .collect();
            undefined += usize::from(results.is_none());
            compared += 1;
            assert_eq!(print, results.map(fingerprint), "{node:?}");
        }
    }
    println!(
        "{compared} terms, {undefined} without a value, of {} ops; {left} have no code",
        nodes.len()
    );
    assert!(compared > 4000 && undefined > 10 && left < nodes.len() / 3);
}

//! Facts about operands must give facts that hold of every result they allow.

mod support;

use egraft_ir::{KnownBits, Node, Op, Ty, eval, fold, known_bits};
use rand::Rng;
use rand::rngs::SmallRng;
use support::{nodes, operand, operand_type, rng};

/// Which bits of a `w`-bit lane are known: runs at either end, single bits, noise of all densities.
fn known_in_lane(rng: &mut SmallRng, w: u32) -> u128 {
    let all = u128::MAX >> (128 - w);
    let noise = rng.random::<u128>();
    match rng.random_range(0..12) {
        0 => 0,
        1 | 2 => all,
        3 => all & !(all >> rng.random_range(0..=w)),
        4 => all >> rng.random_range(0..w),
        5 => noise & rng.random::<u128>() & rng.random::<u128>(),
        6 => noise | rng.random::<u128>() | rng.random::<u128>(),
        7 => all & !(1 << rng.random_range(0..w)),
        8 => 1 << rng.random_range(0..w),
        9 => 1 << (w - 1) | all >> rng.random_range(0..w),
        10 => all & !(all >> rng.random_range(0..=w)) | all >> rng.random_range(0..w),
        _ => noise,
    }
}

/// Partial knowledge of `bits`, of type `ty`, that holds of it; lanes are known alike or not.
fn knowledge(rng: &mut SmallRng, ty: Ty, bits: u128) -> KnownBits {
    let w = ty.lane_bits();
    let known = if rng.random() {
        ty.splat_bits(known_in_lane(rng, w))
    } else {
        (0..ty.lanes())
            .fold(0, |known, lane| known | (known_in_lane(rng, w) & ty.lane_mask()) << (lane * w))
    };
    KnownBits { zeros: !bits & known, ones: bits & known }
}

/// Another value that `fact` allows: open bits as in `from`.
fn concretise(fact: KnownBits, from: u128) -> u128 {
    from & !fact.zeros | fact.ones
}

#[test]
fn every_transfer_function_is_sound() {
    const FACTS: usize = 1_000;
    const VALUES: usize = 10;
    let mut rng = rng("known bits");
    let (mut checked, mut undefined, mut sharp) = (0u64, 0u64, 0u64);
    let mut unchecked = Vec::new();
    for node in nodes(&mut rng) {
        let arity = node.op.arity();
        let mut checked_here = 0;
        for _ in 0..FACTS {
            let mut types = [Ty::I8; 3];
            let mut facts = [KnownBits::unknown(); 3];
            for index in 0..arity {
                types[index] = operand_type(&node, index, &mut rng);
                let seed = operand(&mut rng, &node, index, types[index]);
                facts[index] = knowledge(&mut rng, types[index], seed);
            }
            let facts = &facts[..arity];
            let result = known_bits(&node, facts);
            sharp += u64::from(result.known() & node.result_type().mask() != 0);
            for _ in 0..VALUES {
                let mut values = [0; 3];
                for index in 0..arity {
                    let open = operand(&mut rng, &node, index, types[index]);
                    values[index] = concretise(facts[index], open) & types[index].mask();
                }
                let values = &values[..arity];
                let Ok(bits) = eval(&node, values) else {
                    undefined += 1;
                    continue;
                };
                // An open NaN may have any bits; nothing may be known of those, and `fold`
                // answers nothing. Try the other extreme as well.
                assert!(
                    result.holds_of(bits),
                    "{node:?} of {facts:x?}\n at {values:x?} is {bits:#x}, outside {result:x?}"
                );
                if fold(&node, values).is_none() && node.result_type().is_float() {
                    let flipped = bits ^ node.result_type().splat_bits(1);
                    let lanes = node.result_type();
                    for lane in 0..lanes.lanes() {
                        let nan = egraft_ir::eval::has_nan(lanes.lane(), lanes.lane_of(bits, lane));
                        let known = result.lane(lanes, lane);
                        assert!(
                            !nan || known.holds_of(lanes.lane_of(flipped, lane)),
                            "{node:?} of {facts:x?} claims to know a NaN's payload"
                        );
                    }
                }
                checked_here += 1;
            }
        }
        checked += checked_here;
        if checked_here == 0 {
            unchecked.push(node);
        }
    }
    println!("{checked} results checked, {undefined} undefined, {sharp} facts were not empty");
    assert!(unchecked.is_empty(), "never checked: {unchecked:?}");
    assert!(checked > 5_000_000, "only {checked} results were checked");
}

/// With all operands known the fact is the value itself, except for open NaNs.
#[test]
fn constants_stay_constants() {
    let mut rng = rng("constants");
    let mut folded = 0u64;
    for node in nodes(&mut rng) {
        for _ in 0..20 {
            let mut values = [0; 3];
            for (index, value) in values.iter_mut().enumerate().take(node.op.arity()) {
                let ty = operand_type(&node, index, &mut rng);
                *value = operand(&mut rng, &node, index, ty);
            }
            let values = &values[..node.op.arity()];
            let Some(bits) = fold(&node, values) else { continue };
            let facts: Vec<_> = values.iter().map(|bits| KnownBits::constant(*bits)).collect();
            let fact = known_bits(&node, &facts);
            assert_eq!(fact.as_constant(node.result_type()), Some(bits), "{node:?} of {values:x?}");
            folded += 1;
        }
    }
    assert!(folded > 5_000, "only {folded} nodes folded");
}

/// Facts that contradict each other come from code that never runs; they must not panic.
#[test]
fn contradictions_do_not_panic() {
    let mut rng = rng("contradictions");
    for node in nodes(&mut rng) {
        for _ in 0..40 {
            let facts: Vec<_> = (0..node.op.arity())
                .map(|_| match rng.random_range(0..3) {
                    0 => KnownBits { zeros: u128::MAX, ones: u128::MAX },
                    1 => KnownBits { zeros: rng.random(), ones: rng.random() },
                    _ => KnownBits { zeros: rng.random(), ones: u128::MAX },
                })
                .collect();
            known_bits(&node, &facts);
        }
    }
}

#[test]
fn all_ops_but_leaves_are_tried() {
    let nodes: Vec<Node> = nodes(&mut rng("ops"));
    for op in Op::ALL {
        assert_eq!(nodes.iter().any(|node| node.op == *op), !op.is_leaf(), "{op}");
    }
}

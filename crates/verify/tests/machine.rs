//! Machine ops as terms mean what they do as numbers: every op, on variables and on constants.

use egraft_ir::machine::{self, MachineOp};
use egraft_verify::smt::{FloatMode, Kind, Terms};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use rustc_hash::FxHashMap;

/// Operand tuples for each immediate of each op that has few of them.
const TUPLES: usize = 6;

/// Bits of which lanes of every width are at times small, all ones or alike.
fn operand(random: &mut SmallRng, bits: u32) -> u128 {
    let all = u128::MAX >> (128 - bits);
    let lane = 8 << random.random_range(0..4);
    let low = u128::MAX >> (128 - lane);
    let one = |random: &mut SmallRng| match random.random_range(0..5) {
        0 => u128::from(random.random_range(0..40u8)),
        1 => low,
        2 => 1 << random.random_range(0..lane),
        _ => random.random::<u128>() & low,
    };
    (0..128 / lane).fold(0, |vector, index| vector | one(random) << (index * lane)) & all
}

#[test]
fn machine_ops_mean_the_same() {
    let mut random = SmallRng::seed_from_u64(5);
    let (mut compared, mut unknown) = (0, Vec::new());
    for op in MachineOp::all() {
        let imms: Vec<u32> = op.imm_range().map_or(vec![0], Iterator::collect);
        let step = imms.len().div_ceil(16);
        let mut known = false;
        for imm in imms.into_iter().step_by(step) {
            let mut terms = Terms::new(FloatMode { ieee: false, canonical_nan: true });
            let names: Vec<_> = op.args().iter().map(|kind| terms.var("x", kind.bits())).collect();
            let defined = machine::apply(&mut terms, op, imm, &names).expect("the use is legal");
            assert_eq!(terms.width(defined), op.result().bits(), "{op} #{imm}");
            for _ in 0..TUPLES {
                let args: Vec<u128> =
                    op.args().iter().map(|kind| operand(&mut random, kind.bits())).collect();
                let number = machine::eval(op, imm, &args).expect("the use is legal");
                let mut model = FxHashMap::default();
                for (name, arg) in names.iter().zip(&args) {
                    if let Kind::Var(var) = *terms.kind(*name) {
                        model.insert(var, *arg);
                    }
                }
                let constants: Vec<_> = args
                    .iter()
                    .zip(op.args())
                    .map(|(arg, kind)| terms.number(kind.bits(), *arg))
                    .collect();
                let folded = machine::apply(&mut terms, op, imm, &constants).expect("as above");
                let values = [terms.evaluate(defined, &model), terms.evaluate(folded, &model)];
                for value in values.into_iter().flatten() {
                    assert_eq!(value, number, "{op} #{imm} {args:x?}");
                    compared += 1;
                    known = true;
                }
            }
        }
        if !known {
            unknown.push(op.name());
        }
    }
    println!("{compared} values compared; of no known value: {}", unknown.join(", "));
    assert!(compared > 20_000 && unknown.len() < 40, "{compared}, {}", unknown.len());
}

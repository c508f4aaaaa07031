//! The semantics in a domain where a value is its width: a prover's terms are as strict.

mod support;

use egraft_ir::semantics::{Domain, Float, Rounding, SemanticsError, apply};
use egraft_ir::{Node, Op, Ty};
use support::{nodes, operand_type, rng};

/// Values are widths; every method checks those of its operands.
struct Widths;

fn same(w: u32, operands: &[&u32]) -> u32 {
    assert!((1..=128).contains(&w), "width {w}");
    for operand in operands {
        assert_eq!(**operand, w);
    }
    w
}

impl Domain for Widths {
    type Bits = u32;
    type Bool = ();

    fn constant(&mut self, w: u32, _bits: u128) -> u32 {
        same(w, &[])
    }
    fn extract(&mut self, x: &u32, low: u32, w: u32) -> u32 {
        assert!(w >= 1 && low + w <= *x, "{w} bits from {low} of {x}");
        w
    }
    fn concat(&mut self, high: &u32, high_width: u32, low: &u32, low_width: u32) -> u32 {
        assert_eq!((*high, *low), (high_width, low_width));
        same(high + low, &[])
    }
    fn zext(&mut self, x: &u32, w: u32, to: u32) -> u32 {
        assert!(to >= same(w, &[x]));
        same(to, &[])
    }
    fn sext(&mut self, x: &u32, w: u32, to: u32) -> u32 {
        self.zext(x, w, to)
    }
    fn add(&mut self, w: u32, a: &u32, b: &u32) -> u32 {
        same(w, &[a, b])
    }
    fn sub(&mut self, w: u32, a: &u32, b: &u32) -> u32 {
        same(w, &[a, b])
    }
    fn mul(&mut self, w: u32, a: &u32, b: &u32) -> u32 {
        same(w, &[a, b])
    }
    fn udiv(&mut self, w: u32, a: &u32, b: &u32) -> u32 {
        same(w, &[a, b])
    }
    fn sdiv(&mut self, w: u32, a: &u32, b: &u32) -> u32 {
        same(w, &[a, b])
    }
    fn urem(&mut self, w: u32, a: &u32, b: &u32) -> u32 {
        same(w, &[a, b])
    }
    fn srem(&mut self, w: u32, a: &u32, b: &u32) -> u32 {
        same(w, &[a, b])
    }
    fn and(&mut self, w: u32, a: &u32, b: &u32) -> u32 {
        same(w, &[a, b])
    }
    fn or(&mut self, w: u32, a: &u32, b: &u32) -> u32 {
        same(w, &[a, b])
    }
    fn xor(&mut self, w: u32, a: &u32, b: &u32) -> u32 {
        same(w, &[a, b])
    }
    fn not(&mut self, w: u32, a: &u32) -> u32 {
        same(w, &[a])
    }
    fn shl(&mut self, w: u32, a: &u32, amount: &u32) -> u32 {
        same(w, &[a, amount])
    }
    fn lshr(&mut self, w: u32, a: &u32, amount: &u32) -> u32 {
        same(w, &[a, amount])
    }
    fn ashr(&mut self, w: u32, a: &u32, amount: &u32) -> u32 {
        same(w, &[a, amount])
    }
    fn is_zero(&mut self, x: &u32) {
        same(*x, &[]);
    }
    fn eq(&mut self, w: u32, a: &u32, b: &u32) {
        same(w, &[a, b]);
    }
    fn ult(&mut self, w: u32, a: &u32, b: &u32) {
        same(w, &[a, b]);
    }
    fn slt(&mut self, w: u32, a: &u32, b: &u32) {
        same(w, &[a, b]);
    }
    fn bool_not(&mut self, _a: &()) {}
    fn bool_and(&mut self, _a: &(), _b: &()) {}
    fn bool_or(&mut self, _a: &(), _b: &()) {}
    fn ite(&mut self, w: u32, _c: &(), a: &u32, b: &u32) -> u32 {
        same(w, &[a, b])
    }
    fn fadd(&mut self, f: Float, a: &u32, b: &u32) -> u32 {
        same(f.bits(), &[a, b])
    }
    fn fsub(&mut self, f: Float, a: &u32, b: &u32) -> u32 {
        same(f.bits(), &[a, b])
    }
    fn fmul(&mut self, f: Float, a: &u32, b: &u32) -> u32 {
        same(f.bits(), &[a, b])
    }
    fn fdiv(&mut self, f: Float, a: &u32, b: &u32) -> u32 {
        same(f.bits(), &[a, b])
    }
    fn fsqrt(&mut self, f: Float, a: &u32) -> u32 {
        same(f.bits(), &[a])
    }
    fn ffma(&mut self, f: Float, a: &u32, b: &u32, c: &u32) -> u32 {
        same(f.bits(), &[a, b, c])
    }
    fn fround(&mut self, f: Float, _mode: Rounding, a: &u32) -> u32 {
        same(f.bits(), &[a])
    }
    fn feq(&mut self, f: Float, a: &u32, b: &u32) {
        same(f.bits(), &[a, b]);
    }
    fn flt(&mut self, f: Float, a: &u32, b: &u32) {
        same(f.bits(), &[a, b]);
    }
    fn is_nan(&mut self, f: Float, a: &u32) {
        same(f.bits(), &[a]);
    }
    fn fconvert(&mut self, from: Float, to: Float, a: &u32) -> u32 {
        same(from.bits(), &[a]);
        to.bits()
    }
    fn float_to_int(&mut self, f: Float, _signed: bool, w: u32, a: &u32) -> u32 {
        same(f.bits(), &[a]);
        same(w, &[])
    }
    fn float_from_int(&mut self, f: Float, _signed: bool, w: u32, a: &u32) -> u32 {
        same(w, &[a]);
        f.bits()
    }
    fn nan_result(&mut self, f: Float, inputs: &[&u32]) -> u32 {
        same(f.bits(), inputs)
    }
}

#[test]
fn widths_fit_everywhere() {
    let mut rng = rng("widths");
    let nodes = nodes(&mut rng);
    for node in &nodes {
        for _ in 0..4 {
            let args: Vec<u32> = (0..node.op.arity())
                .map(|index| operand_type(node, index, &mut rng).bits())
                .collect();
            let found = apply(&mut Widths, node, &args);
            assert_eq!(found, Ok(node.result_type().bits()), "{node:?} of {args:?}");
        }
    }
    assert!(nodes.len() > 500, "only {} nodes", nodes.len());
}

/// Whatever the table does not allow is an error, not a panic.
#[test]
fn ill_formed_nodes_are_errors() {
    let mut refused = 0;
    for &op in Op::ALL {
        for ty in Ty::ALL {
            for from in Ty::ALL {
                for imm in [0, 31, 255, u128::MAX] {
                    let node = Node::detached(op, ty, from, imm);
                    let args = vec![node.from.bits(); op.arity() + 1];
                    let error = apply(&mut Widths, &node, &args).expect_err("an operand too many");
                    let legal = op.allows(ty, from);
                    match error {
                        SemanticsError::NoMeaning(_) => assert!(op.is_leaf()),
                        SemanticsError::Types { .. } => assert!(!legal, "{op} {ty} {from}"),
                        SemanticsError::Operands { .. } => assert!(legal, "{op} {ty} {from}"),
                        SemanticsError::Immediate { .. } => panic!("operands are counted first"),
                    }
                    refused += 1;
                }
            }
        }
    }
    assert!(refused > 50_000, "only {refused} nodes");
}

//! Scalar expressions: addresses, conditions, lanes, and arithmetic full of coincidences.

use super::code::Body;
use super::ops::{self, SHAPES, Shape};
use wasm_encoder::{Instruction as I, ValType};

/// What differs between the scalar types, so that their common shapes are written once.
struct Kind {
    ty: ValType,
    binary: &'static [I<'static>],
    unary: &'static [I<'static>],
}

const I32: Kind =
    Kind { ty: ValType::I32, binary: ops::I32_SCALAR_BINARY, unary: ops::I32_SCALAR_UNARY };
const I64: Kind =
    Kind { ty: ValType::I64, binary: ops::I64_SCALAR_BINARY, unary: ops::I64_SCALAR_UNARY };
const F32: Kind =
    Kind { ty: ValType::F32, binary: ops::F32_SCALAR_BINARY, unary: ops::F32_SCALAR_UNARY };
const F64: Kind =
    Kind { ty: ValType::F64, binary: ops::F64_SCALAR_BINARY, unary: ops::F64_SCALAR_UNARY };

impl Body<'_, '_, '_> {
    /// An i32 expression.
    pub(super) fn i32(&mut self, depth: u32) {
        if !self.spend(depth) {
            return self.scalar_leaf(&I32);
        }
        let depth = depth - 1;
        match self.choices.below(30) {
            0..=14 => self.scalar_common(&I32, depth),
            15..=18 => {
                self.compared(depth);
            }
            19..=21 => {
                let memory = self.address();
                let kind = self.choices.below(5);
                let memarg = self.memarg(memory, [2, 0, 0, 1, 1][kind]);
                self.emit(match kind {
                    0 => I::I32Load(memarg),
                    1 => I::I32Load8U(memarg),
                    2 => I::I32Load8S(memarg),
                    3 => I::I32Load16U(memarg),
                    _ => I::I32Load16S(memarg),
                });
            }
            22 | 23 => {
                let shape = *self.choices.pick(&[Shape::I8, Shape::I16, Shape::I32]);
                self.extracted(shape, depth);
            }
            24 => {
                let shape = *self.choices.pick(&SHAPES);
                self.vector(shape, depth);
                let reduction = self.choices.pick(&shape.reductions()).clone();
                self.emit(reduction);
            }
            25 => self.high_product(depth),
            26 => {
                self.i64(depth);
                self.emit(I::I32WrapI64);
            }
            27 => match self.callee(1) {
                Some(callee) => {
                    self.i32(depth);
                    self.i32(depth);
                    self.emit(I::Call(callee));
                }
                None => self.i32(depth),
            },
            28 => {
                self.i32(depth);
                self.divisor(ValType::I32);
                self.emit_one_of(ops::I32_DIVIDE);
            }
            _ => match self.choices.below(5) {
                0 => {
                    self.f32(depth);
                    self.emit_one_of(&[I::I32TruncSatF32S, I::I32TruncSatF32U]);
                }
                1 => {
                    self.f64(depth);
                    self.emit_one_of(&[I::I32TruncSatF64S, I::I32TruncSatF64U]);
                }
                2 => {
                    self.f32(depth);
                    self.emit(I::I32ReinterpretF32);
                }
                3 if self.choices.one_in(8) => {
                    self.f32(depth);
                    self.emit(I::I32TruncF32S);
                }
                3 => self.emit(I::GlobalGet(0)),
                _ => {
                    self.emit(I::MemorySize(0));
                    if self.shared.memory64 {
                        self.emit(I::I32WrapI64);
                    }
                }
            },
        }
    }

    /// An i64 expression.
    pub(super) fn i64(&mut self, depth: u32) {
        if !self.spend(depth) {
            return self.scalar_leaf(&I64);
        }
        let depth = depth - 1;
        match self.choices.below(16) {
            0..=7 => self.scalar_common(&I64, depth),
            8..=10 => {
                self.i32(depth);
                self.emit_one_of(&[I::I64ExtendI32U, I::I64ExtendI32S]);
            }
            11 | 12 => {
                let memory = self.address();
                let kind = self.choices.below(5);
                let memarg = self.memarg(memory, [3, 2, 2, 1, 0][kind]);
                self.emit(match kind {
                    0 => I::I64Load(memarg),
                    1 => I::I64Load32U(memarg),
                    2 => I::I64Load32S(memarg),
                    3 => I::I64Load16S(memarg),
                    _ => I::I64Load8U(memarg),
                });
            }
            13 => self.extracted(Shape::I64, depth),
            14 => {
                self.i64(depth);
                self.divisor(ValType::I64);
                self.emit_one_of(ops::I64_DIVIDE);
            }
            _ => {
                self.f64(depth);
                self.emit_one_of(&[I::I64ReinterpretF64, I::I64TruncSatF64S]);
            }
        }
    }

    /// An f32 expression.
    pub(super) fn f32(&mut self, depth: u32) {
        if !self.spend(depth) {
            return self.scalar_leaf(&F32);
        }
        let depth = depth - 1;
        match self.choices.below(12) {
            0..=5 => self.scalar_common(&F32, depth),
            6 | 7 => {
                self.i32(depth);
                self.emit_one_of(&[I::F32ConvertI32S, I::F32ConvertI32U, I::F32ReinterpretI32]);
            }
            8 | 9 => {
                let memory = self.address();
                let memarg = self.memarg(memory, 2);
                self.emit(I::F32Load(memarg));
            }
            10 => self.extracted(Shape::F32, depth),
            _ => match self.callee(3) {
                Some(callee) => {
                    self.f32(depth);
                    self.i64(depth);
                    self.i32(depth);
                    self.emit(I::Call(callee));
                }
                None => {
                    self.f64(depth);
                    self.emit(I::F32DemoteF64);
                }
            },
        }
    }

    /// An f64 expression.
    pub(super) fn f64(&mut self, depth: u32) {
        if !self.spend(depth) {
            return self.scalar_leaf(&F64);
        }
        let depth = depth - 1;
        match self.choices.below(10) {
            0..=4 => self.scalar_common(&F64, depth),
            5 => {
                self.i32(depth);
                self.emit(I::F64ConvertI32S);
            }
            6 => {
                self.i64(depth);
                self.emit_one_of(&[I::F64ConvertI64S, I::F64ConvertI64U, I::F64ReinterpretI64]);
            }
            7 => {
                let memory = self.address();
                let memarg = self.memarg(memory, 3);
                self.emit(I::F64Load(memarg));
            }
            8 => self.extracted(Shape::F64, depth),
            _ => {
                self.f32(depth);
                self.emit(I::F64PromoteF32);
            }
        }
    }

    fn scalar_leaf(&mut self, kind: &Kind) {
        if self.choices.one_in(3) {
            return self.scalar_constant(kind.ty);
        }
        let local = self.any_local(kind.ty);
        self.emit(I::LocalGet(local));
    }

    pub(super) fn scalar_constant(&mut self, ty: ValType) {
        let constant = match ty {
            ValType::I32 => I::I32Const(ops::integer_constant(self.choices) as i32),
            ValType::I64 => I::I64Const(ops::integer_constant(self.choices)),
            ValType::F32 => I::F32Const(ops::f32_constant(self.choices).into()),
            _ => I::F64Const(ops::f64_constant(self.choices).into()),
        };
        self.emit(constant);
    }

    /// Shapes that all scalar types have.
    fn scalar_common(&mut self, kind: &Kind, depth: u32) {
        match self.choices.below(12) {
            0..=3 => {
                self.expression(kind.ty, depth);
                self.expression(kind.ty, depth);
                self.emit_one_of(kind.binary);
            }
            4..=6 => {
                self.expression(kind.ty, depth);
                self.scalar_constant(kind.ty);
                self.emit_one_of(kind.binary);
            }
            7 => {
                self.scalar_constant(kind.ty);
                self.expression(kind.ty, depth);
                self.emit_one_of(kind.binary);
            }
            8 => {
                // The same operand twice.
                let local = self.a_local(kind.ty);
                self.expression(kind.ty, depth);
                self.emit_all([I::LocalTee(local), I::LocalGet(local)]);
                self.emit_one_of(kind.binary);
            }
            9 => {
                // (x op c) op d.
                self.expression(kind.ty, depth);
                let op = self.choices.pick(kind.binary).clone();
                self.scalar_constant(kind.ty);
                self.emit(op.clone());
                let op = if self.choices.one_in(2) {
                    self.choices.pick(kind.binary).clone()
                } else {
                    op
                };
                self.scalar_constant(kind.ty);
                self.emit(op);
            }
            10 => {
                self.expression(kind.ty, depth);
                self.emit_one_of(kind.unary);
            }
            _ => {
                self.expression(kind.ty, depth);
                self.expression(kind.ty, depth);
                self.i32(depth);
                self.emit(I::Select);
            }
        }
    }

    /// A comparison; on i32 the extremes often come from one of its operands.
    fn compared(&mut self, depth: u32) {
        match self.choices.below(6) {
            0 => {
                self.i64(depth);
                self.i64(depth);
                self.emit_one_of(ops::I64_SCALAR_COMPARE);
            }
            1 => {
                self.f32(depth);
                self.f32(depth);
                self.emit_one_of(ops::F32_SCALAR_COMPARE);
            }
            2 => {
                // min or max by comparison and select.
                let (left, right) = (self.a_local(ValType::I32), self.any_local(ValType::I32));
                self.i32(depth);
                self.emit_all([I::LocalTee(left), I::LocalGet(right)]);
                self.emit_all([I::LocalGet(left), I::LocalGet(right)]);
                let op = self.choices.pick(ops::I32_SCALAR_COMPARE).clone();
                self.emit_all([op, I::Select]);
            }
            3 => {
                self.i32(depth);
                self.scalar_constant(ValType::I32);
                self.emit_one_of(ops::I32_SCALAR_COMPARE);
                if self.choices.one_in(2) {
                    self.emit(I::I32Eqz);
                }
            }
            _ => {
                self.i32(depth);
                self.i32(depth);
                self.emit_one_of(ops::I32_SCALAR_COMPARE);
            }
        }
    }

    fn extracted(&mut self, shape: Shape, depth: u32) {
        self.vector(shape, depth);
        let lane = self.choices.below(shape.lanes()) as u8;
        let signed = self.choices.one_in(2);
        self.emit(shape.extract(lane, signed));
    }

    /// The high half of a 64-bit product, as fixed-point code has it.
    fn high_product(&mut self, depth: u32) {
        let signed = self.choices.one_in(2);
        for _ in 0..2 {
            self.i32(depth);
            self.emit(if signed { I::I64ExtendI32S } else { I::I64ExtendI32U });
        }
        let shift = *self.choices.pick(&[32, 31, 16, 33, 0]);
        self.emit_all([I::I64Mul, I::I64Const(shift)]);
        self.emit_all([if signed { I::I64ShrS } else { I::I64ShrU }, I::I32WrapI64]);
    }

    /// A divisor: mostly a constant, mostly not zero.
    fn divisor(&mut self, ty: ValType) {
        match self.choices.below(6) {
            0..=2 => {
                let number =
                    *self.choices.pick(&[2, 3, 7, 16, 255, -1, 1, 10, i64::from(i32::MIN)]);
                self.emit(match ty {
                    ValType::I32 => I::I32Const(number as i32),
                    _ => I::I64Const(number),
                });
            }
            3 | 4 => {
                self.expression(ty, 1);
                self.emit_all(match ty {
                    ValType::I32 => [I::I32Const(1), I::I32Or],
                    _ => [I::I64Const(1), I::I64Or],
                });
            }
            _ if self.choices.one_in(3) => self.expression(ty, 1),
            _ => self.emit(if ty == ValType::I32 { I::I32Const(-2) } else { I::I64Const(-2) }),
        }
    }
}

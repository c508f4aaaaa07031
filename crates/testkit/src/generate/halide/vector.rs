//! Vector expressions: the idioms of Halide's wasm, and coincidences around them.

use super::code::Body;
use super::ops::{self, Shape};
use wasm_encoder::{Instruction as I, ValType};

impl Body<'_, '_, '_> {
    /// A v128 expression whose lanes are meant as `shape`.
    pub(super) fn vector(&mut self, shape: Shape, depth: u32) {
        if !self.spend(depth) {
            return self.vector_leaf(shape);
        }
        let depth = depth - 1;
        match self.choices.below(44) {
            0..=4 => self.vector_load(shape),
            5..=9 => {
                self.vector(shape, depth);
                self.vector(shape, depth);
                self.binary(shape);
            }
            10..=12 => {
                self.vector(shape, depth);
                self.vector_constant(shape);
                self.binary(shape);
            }
            13 => {
                self.vector_constant(shape);
                self.vector(shape, depth);
                self.binary(shape);
            }
            14 => {
                self.vector(shape, depth);
                self.again();
                self.binary(shape);
            }
            15 => {
                // (x op c) op d.
                self.vector(shape, depth);
                let op = self.choices.pick(shape.binary()).clone();
                self.vector_constant(shape);
                self.emit(op.clone());
                self.vector_constant(shape);
                self.emit(op);
            }
            16 | 17 => {
                self.vector(shape, depth);
                for _ in 0..1 + self.choices.below(2) {
                    self.emit_one_of(shape.unary());
                }
            }
            18..=20 => self.widened(shape, depth),
            21..=23 => self.narrowed(shape, depth),
            24..=26 => self.shuffled(shape, depth),
            27 | 28 => {
                self.expression(shape.scalar(), depth);
                self.emit(shape.splat());
            }
            29..=31 => self.selected(shape, depth),
            32 | 33 => self.shifted(shape, depth),
            34 | 35 => self.lanes_replaced(shape, depth),
            36 => self.vector_leaf(shape),
            37 => self.distance(shape, depth),
            38 => self.average(shape, depth),
            39 | 40 => self.converted(shape, depth),
            41 => match self.callee(2) {
                Some(callee) => {
                    self.vector(shape, depth);
                    self.vector(shape, depth);
                    self.i32(1);
                    self.emit(I::Call(callee));
                }
                None => self.vector_load(shape),
            },
            42 if self.shared.relaxed => {
                let (op, operands) = self.choices.pick(shape.relaxed()).clone();
                (0..operands).for_each(|_| self.vector(shape, depth));
                self.emit(op);
            }
            42 => self.vector_load(shape),
            _ => {
                self.vector(shape, depth);
                self.vector(shape, depth);
                self.i32(depth);
                self.emit(I::Select);
            }
        }
    }

    fn vector_leaf(&mut self, shape: Shape) {
        match self.choices.below(6) {
            5 => self.vector_constant(shape),
            4 if self.choices.one_in(4) => self.emit(I::GlobalGet(1)),
            _ => {
                let local = self.any_local(ValType::V128);
                self.emit(I::LocalGet(local));
            }
        }
    }

    fn binary(&mut self, shape: Shape) {
        self.emit_one_of(shape.binary());
    }

    /// Pushes the top of the stack once more.
    fn again(&mut self) {
        let local = self.a_local(ValType::V128);
        self.emit_all([I::LocalTee(local), I::LocalGet(local)]);
    }

    fn vector_constant(&mut self, shape: Shape) {
        let bits = match self.choices.below(8) {
            6 => {
                // Whole lanes set or clear.
                let chosen = self.choices.byte();
                let ones = shape.repeat(u64::MAX);
                let lane = |at: usize| (chosen >> (at % 8)) & 1 == 1;
                let width = shape.lane_bytes() * 8;
                (0..shape.lanes())
                    .filter(|at| lane(*at))
                    .fold(0, |mask, at| mask | (ones >> (128 - width)) << (at * width))
            }
            7 => {
                let start = self.choices.below(3) as u128;
                let step = 1 + self.choices.below(2) as u128;
                let width = shape.lane_bytes() * 8;
                (0..shape.lanes())
                    .fold(0, |ramp, at| ramp | (start + step * at as u128) << (at * width))
            }
            5 => self.choices.wide(),
            _ => {
                let number = shape.lane_constant(self.choices);
                shape.repeat(number)
            }
        };
        self.emit(I::V128Const(bits as i128));
    }

    fn vector_load(&mut self, shape: Shape) {
        let kind = self.choices.below(20);
        if let 16..=18 = kind {
            let memory = self.address();
            let local = self.any_local(ValType::V128);
            self.emit(I::LocalGet(local));
            let natural = shape.lane_bytes().trailing_zeros();
            let lane = self.choices.below(shape.lanes()) as u8;
            let memarg = self.memarg(memory, natural);
            self.emit(match natural {
                0 => I::V128Load8Lane { memarg, lane },
                1 => I::V128Load16Lane { memarg, lane },
                2 => I::V128Load32Lane { memarg, lane },
                _ => I::V128Load64Lane { memarg, lane },
            });
            return;
        }
        let memory = self.address();
        let natural = match kind {
            10..=13 => 3,
            14 => shape.lane_bytes().trailing_zeros(),
            15 => 2,
            _ => 4,
        };
        let memarg = self.memarg(memory, natural);
        let signed = self.choices.one_in(3);
        self.emit(match (kind, shape, signed) {
            (10..=12, Shape::I16, false) => I::V128Load8x8U(memarg),
            (10..=12, Shape::I16, true) => I::V128Load8x8S(memarg),
            (10..=12, Shape::I32, false) => I::V128Load16x4U(memarg),
            (10..=12, Shape::I32, true) => I::V128Load16x4S(memarg),
            (10..=12, Shape::I64, false) => I::V128Load32x2U(memarg),
            (10..=12, Shape::I64, true) => I::V128Load32x2S(memarg),
            (10..=13, ..) => I::V128Load64Zero(memarg),
            (14, Shape::I8, _) => I::V128Load8Splat(memarg),
            (14, Shape::I16, _) => I::V128Load16Splat(memarg),
            (14, Shape::I32 | Shape::F32, _) => I::V128Load32Splat(memarg),
            (14, ..) => I::V128Load64Splat(memarg),
            (15, ..) => I::V128Load32Zero(memarg),
            _ => I::V128Load(memarg),
        });
    }

    /// Wider lanes from narrower: extends, widening products, pairwise sums, dot products.
    fn widened(&mut self, shape: Shape, depth: u32) {
        let (Some(half), Some(extends), Some(products)) =
            (shape.half(), shape.extends(), shape.extmuls())
        else {
            return self.vector_load(shape);
        };
        match self.choices.below(8) {
            0 | 1 => {
                self.vector(half, depth);
                self.emit_one_of(&extends);
            }
            2 => {
                // Product or sum of two values widened alike.
                let op = self.choices.pick(&extends).clone();
                self.vector(half, depth);
                self.emit(op.clone());
                self.vector(half, depth);
                self.emit(op);
                self.binary(shape);
            }
            3 => {
                self.vector(half, depth);
                self.vector(half, depth);
                self.emit_one_of(products);
            }
            4 => {
                self.vector(half, depth);
                self.vector_constant(half);
                self.emit_one_of(products);
            }
            5 => match shape.extadds() {
                Some(sums) => {
                    self.vector(half, depth);
                    self.emit_one_of(&sums);
                }
                None => self.vector_load(shape),
            },
            6 if shape == Shape::I32 => {
                self.vector(half, depth);
                self.vector(half, depth);
                self.emit(I::I32x4DotI16x8S);
            }
            _ => {
                // Even and odd lanes of the half shape, added: a pairwise sum by hand.
                let width = (half.lane_bytes() * 8) as i32;
                let [left, signed, unsigned] = shape.shifts();
                let right = if self.choices.one_in(2) { signed } else { unsigned };
                let local = self.a_local(ValType::V128);
                self.vector(half, depth);
                self.emit_all([I::LocalTee(local), I::I32Const(width), left]);
                self.emit_all([I::I32Const(width), right.clone(), I::LocalGet(local)]);
                self.emit_all([I::I32Const(width), right]);
                let op = shape.binary()[0].clone();
                self.emit(op);
            }
        }
    }

    /// Narrower lanes from wider ones, often the two halves of one computation.
    fn narrowed(&mut self, shape: Shape, depth: u32) {
        let (Some(double), Some(narrows)) = (shape.double(), shape.narrows()) else {
            return self.vector_load(shape);
        };
        let narrow = self.choices.pick(&narrows).clone();
        if self.choices.one_in(3) {
            self.vector(double, depth);
            self.vector(double, depth);
            return self.emit(narrow);
        }
        let extends = double.extends().expect("the double of a shape widens it");
        let first = 2 * self.choices.below(2);
        let (x, y) = (self.a_local(ValType::V128), self.any_local(ValType::V128));
        self.vector(shape, depth);
        self.emit(I::LocalSet(x));
        let op = self.choices.pick(double.binary()).clone();
        let constant = self.choices.one_in(2).then(|| {
            let number = double.lane_constant(self.choices);
            I::V128Const(double.repeat(number) as i128)
        });
        let shift = self.choices.one_in(2).then(|| {
            let amount = self.choices.below(double.lane_bytes() * 8) as i32;
            (amount, self.choices.pick(&double.shifts()).clone())
        });
        for half in 0..2 {
            let extend = extends[first + half].clone();
            self.emit_all([I::LocalGet(x), extend.clone(), I::LocalGet(y), extend]);
            self.emit(op.clone());
            if let Some(constant) = &constant {
                self.emit_all([constant.clone(), double.binary()[0].clone()]);
            }
            if let Some((amount, shift)) = &shift {
                self.emit_all([I::I32Const(*amount), shift.clone()]);
            }
        }
        self.emit(narrow);
    }

    fn shuffled(&mut self, shape: Shape, depth: u32) {
        self.vector(shape, depth);
        match self.choices.below(5) {
            0 => self.again(),
            1 => self.vector_constant(shape),
            _ => self.vector(shape, depth),
        }
        let bytes = ops::shuffle(self.choices);
        self.emit(I::I8x16Shuffle(bytes));
        if self.choices.one_in(3) {
            self.again();
            let bytes = ops::shuffle(self.choices);
            self.emit(I::I8x16Shuffle(bytes));
        }
    }

    /// A choice between lanes by a comparison, often of the very operands: min, max, clamp, abs.
    fn selected(&mut self, shape: Shape, depth: u32) {
        let compare = self.choices.pick(shape.compare()).clone();
        if self.choices.one_in(2) {
            let (x, y) = (self.a_local(ValType::V128), self.any_local(ValType::V128));
            self.vector(shape, depth);
            self.emit(I::LocalSet(x));
            self.emit_all([I::LocalGet(x), I::LocalGet(y), I::LocalGet(x), I::LocalGet(y)]);
        } else {
            (0..4).for_each(|_| self.vector(shape, depth / 2));
        }
        self.emit(compare);
        if self.choices.one_in(4) {
            self.emit(I::V128Not);
        }
        match self.choices.below(5) {
            // A mask as a number.
            0 => self.emit_all([I::V128And, I::V128Xor]),
            _ => self.emit(I::V128Bitselect),
        }
    }

    fn shifted(&mut self, shape: Shape, depth: u32) {
        self.vector(shape, depth);
        for _ in 0..1 + self.choices.below(2) {
            match self.choices.below(4) {
                3 => self.i32(depth),
                _ => {
                    let most = shape.lane_bytes() * 8;
                    let amount = self.choices.below(most + 2) as i32;
                    self.emit(I::I32Const(amount));
                }
            }
            self.emit_one_of(&shape.shifts());
        }
    }

    /// Lanes put in one by one, from another vector or from scalars.
    fn lanes_replaced(&mut self, shape: Shape, depth: u32) {
        let source = self.any_local(ValType::V128);
        self.vector(shape, depth);
        let rotate = self.choices.below(shape.lanes());
        let count = 1 + self.choices.below(shape.lanes());
        for at in 0..count {
            if self.choices.one_in(6) {
                self.expression(shape.scalar(), 1);
            } else {
                let lane = ((at + rotate) % shape.lanes()) as u8;
                self.emit_all([I::LocalGet(source), shape.extract(lane, false)]);
            }
            self.emit(shape.replace(at as u8));
        }
    }

    /// |x - y| in the ways that people write it.
    fn distance(&mut self, shape: Shape, depth: u32) {
        let (x, y) = (self.a_local(ValType::V128), self.any_local(ValType::V128));
        self.vector(shape, depth);
        self.emit(I::LocalSet(x));
        let pairs: &[(I<'static>, I<'static>)] = match shape {
            Shape::I8 => &[
                (I::I8x16SubSatU, I::V128Or),
                (I::I8x16SubSatS, I::I8x16MaxS),
                (I::I8x16Sub, I::I8x16MinU),
            ],
            Shape::I16 => &[
                (I::I16x8SubSatU, I::V128Or),
                (I::I16x8SubSatU, I::I16x8Add),
                (I::I16x8Sub, I::I16x8MaxS),
            ],
            Shape::I32 => &[(I::I32x4Sub, I::I32x4MaxS), (I::I32x4Sub, I::I32x4MinU)],
            Shape::I64 => &[(I::I64x2Sub, I::V128Or)],
            Shape::F32 => &[(I::F32x4Sub, I::F32x4Max)],
            Shape::F64 => &[(I::F64x2Sub, I::F64x2PMax)],
        };
        let (difference, join) = self.choices.pick(pairs).clone();
        self.emit_all([I::LocalGet(x), I::LocalGet(y), difference.clone()]);
        self.emit_all([I::LocalGet(y), I::LocalGet(x), difference, join]);
    }

    /// (x + y + 1) >> 1 without the wider lanes, and relatives of it.
    fn average(&mut self, shape: Shape, depth: u32) {
        if shape.is_float() {
            return self.converted(shape, depth);
        }
        let (x, y) = (self.a_local(ValType::V128), self.any_local(ValType::V128));
        let [_, signed, unsigned] = shape.shifts();
        let right = if self.choices.one_in(2) { signed } else { unsigned };
        let [add, subtract] = [shape.binary()[0].clone(), shape.binary()[1].clone()];
        self.vector(shape, depth);
        self.emit_all([I::LocalTee(x), I::LocalGet(y)]);
        match self.choices.below(3) {
            0 => {
                let one = shape.repeat(1) as i128;
                self.emit_all([add.clone(), I::V128Const(one), add, I::I32Const(1), right]);
            }
            1 => {
                self.emit_all([I::V128Or, I::LocalGet(x), I::LocalGet(y), I::V128Xor]);
                self.emit_all([I::I32Const(1), right, subtract]);
            }
            _ => {
                self.emit_all([I::V128And, I::LocalGet(x), I::LocalGet(y), I::V128Xor]);
                self.emit_all([I::I32Const(1), right, add]);
            }
        }
    }

    fn converted(&mut self, shape: Shape, depth: u32) {
        let (from, ops): (Shape, &[I<'static>]) = match shape {
            Shape::I32 if self.choices.one_in(3) => {
                (Shape::F64, &[I::I32x4TruncSatF64x2SZero, I::I32x4TruncSatF64x2UZero])
            }
            Shape::I32 => (Shape::F32, &[I::I32x4TruncSatF32x4S, I::I32x4TruncSatF32x4U]),
            Shape::F32 if self.choices.one_in(3) => (Shape::F64, &[I::F32x4DemoteF64x2Zero]),
            Shape::F32 => (Shape::I32, &[I::F32x4ConvertI32x4S, I::F32x4ConvertI32x4U]),
            Shape::F64 if self.choices.one_in(2) => (Shape::F32, &[I::F64x2PromoteLowF32x4]),
            Shape::F64 => (Shape::I32, &[I::F64x2ConvertLowI32x4S, I::F64x2ConvertLowI32x4U]),
            _ => return self.shuffled(shape, depth),
        };
        self.vector(from, depth);
        self.emit_one_of(ops);
    }
}

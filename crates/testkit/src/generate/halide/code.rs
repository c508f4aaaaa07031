//! Function bodies: locals, statements, loops, memory.

use super::ops::{SHAPES, Shape, integer_constant};
use super::{
    CALL_COST_LIMIT, IMPORTS, KERNEL, LOG, SIGNATURES, Shared, TABLE_FUNCTIONS, TABLE_LEN, TICK,
};
use crate::choices::Choices;
use wasm_encoder::{BlockType, Instruction as I, MemArg, ValType};

const LOOP_DEPTH_LIMIT: usize = 3;
/// How often the innermost instruction of a function may run in one call.
const TRIPS_LIMIT: u64 = 600;
const POINTERS: u32 = 3;

/// One function while it is written. Expressions push their value; statements leave the stack alone.
pub(super) struct Body<'c, 'b, 's> {
    pub(super) choices: &'c mut Choices<'b>,
    pub(super) shared: &'s Shared,
    code: Vec<I<'static>>,
    /// Types of all locals, parameters first.
    types: Vec<ValType>,
    params: usize,
    /// Locals of each type that statements may write.
    free: Vec<u32>,
    counters: [u32; LOOP_DEPTH_LIMIT],
    limits: [u32; LOOP_DEPTH_LIMIT],
    pointers: u32,
    signature: usize,
    pages: u64,
    /// Expressions left to write; at 0 everything becomes a leaf.
    pub(super) budget: usize,
    loop_depth: usize,
    /// How often code written now runs in one call.
    weight: u64,
    cost: u64,
    /// For each enclosing label whether a branch to it goes forward.
    labels: Vec<bool>,
}

impl<'c, 'b, 's> Body<'c, 'b, 's> {
    pub(super) fn new(
        choices: &'c mut Choices<'b>,
        shared: &'s Shared,
        signature: usize,
        pages: u64,
    ) -> Self {
        let mut types = SIGNATURES[signature].0.to_vec();
        let params = types.len();
        let mut take = |ty: ValType, count: usize| {
            let first = types.len() as u32;
            types.extend(std::iter::repeat_n(ty, count));
            first
        };
        let counters = take(ValType::I32, LOOP_DEPTH_LIMIT);
        let limits = take(ValType::I32, LOOP_DEPTH_LIMIT);
        let pointers = take(ValType::I32, POINTERS as usize);
        let first_free = take(ValType::I32, 4);
        take(ValType::I64, 3);
        take(ValType::F32, 2);
        take(ValType::F64, 2);
        take(ValType::V128, 7);
        let free = (0..params as u32).chain(first_free..types.len() as u32).collect();
        let each = |first: u32| std::array::from_fn(|at| first + at as u32);
        let budget = 20 + choices.below(380);
        Body {
            choices,
            shared,
            code: Vec::new(),
            types,
            params,
            free,
            counters: each(counters),
            limits: each(limits),
            pointers,
            signature,
            pages,
            budget,
            loop_depth: 0,
            weight: 1,
            cost: 0,
            labels: Vec::new(),
        }
    }

    /// Locals beside the parameters, for the encoder.
    pub(super) fn locals(&self) -> Vec<(u32, ValType)> {
        self.types[self.params..].iter().map(|ty| (1, *ty)).collect()
    }

    /// Instructions that one call can execute at most.
    pub(super) fn cost(&self) -> u64 {
        self.cost
    }

    pub(super) fn finish(self) -> Vec<I<'static>> {
        self.code
    }

    pub(super) fn emit(&mut self, instruction: I<'static>) {
        self.cost += self.weight;
        self.code.push(instruction);
    }

    pub(super) fn emit_all(&mut self, instructions: impl IntoIterator<Item = I<'static>>) {
        instructions.into_iter().for_each(|instruction| self.emit(instruction));
    }

    pub(super) fn emit_one_of(&mut self, instructions: &[I<'static>]) {
        let instruction = self.choices.pick(instructions).clone();
        self.emit(instruction);
    }

    /// The whole body: pointers, straight code, loops, results.
    pub(super) fn write(&mut self) {
        for at in 0..POINTERS {
            self.pointer_start(at);
        }
        if self.choices.one_in(3) {
            self.statements(2);
        }
        self.counted_loop();
        while self.budget > 0 && !self.choices.exhausted() {
            if self.choices.one_in(3) { self.statement() } else { self.counted_loop() }
        }
        for ty in SIGNATURES[self.signature].1 {
            self.expression(*ty, 2);
        }
        self.emit(I::End);
    }

    /// Points into memory: mostly far from its end, sometimes so that a loop runs over it.
    fn pointer_start(&mut self, at: u32) {
        let end = (self.pages * 65536) as i32;
        match self.choices.below(24) {
            22 => {
                let before = 16 * (1 + self.choices_below(8));
                self.emit(I::I32Const(end - before));
            }
            23 => {
                let before = 16 * self.choices_below(4);
                self.emit(I::I32Const(-before));
            }
            kind => {
                let params = self.locals_of(ValType::I32, true);
                let param = params[kind % params.len()];
                self.emit(I::LocalGet(param));
                let mask = *self.choices.pick(&[0x3ff0, 0x7ff0, 0x3fff, 0x1fe0]);
                self.emit_all([I::I32Const(mask), I::I32And]);
            }
        }
        self.emit(I::LocalSet(self.pointers + at));
    }

    fn choices_below(&mut self, count: usize) -> i32 {
        self.choices.below(count) as i32
    }

    /// Locals of a type: those that may be written, or all.
    pub(super) fn locals_of(&self, ty: ValType, all: bool) -> Vec<u32> {
        if all {
            (0..self.types.len() as u32).filter(|at| self.types[*at as usize] == ty).collect()
        } else {
            self.free.iter().copied().filter(|at| self.types[*at as usize] == ty).collect()
        }
    }

    /// A local of a type that may be written; every body has one of each.
    pub(super) fn a_local(&mut self, ty: ValType) -> u32 {
        let locals = self.locals_of(ty, false);
        *self.choices.pick(&locals)
    }

    /// A local of a type to read.
    pub(super) fn any_local(&mut self, ty: ValType) -> u32 {
        let locals = self.locals_of(ty, true);
        *self.choices.pick(&locals)
    }

    /// Spends budget on one expression; false if it must be a leaf.
    pub(super) fn spend(&mut self, depth: u32) -> bool {
        self.budget = self.budget.saturating_sub(1);
        depth > 0 && self.budget > 0 && self.cost < CALL_COST_LIMIT / 2
    }

    pub(super) fn expression(&mut self, ty: ValType, depth: u32) {
        match ty {
            ValType::I32 => self.i32(depth),
            ValType::I64 => self.i64(depth),
            ValType::F32 => self.f32(depth),
            ValType::F64 => self.f64(depth),
            _ => {
                let shape = *self.choices.pick(&SHAPES);
                self.vector(shape, depth);
            }
        }
    }

    fn statements(&mut self, up_to: usize) {
        for _ in 0..1 + self.choices.below(up_to) {
            self.statement();
        }
    }

    fn statement(&mut self) {
        self.budget = self.budget.saturating_sub(1);
        match self.choices.below(26) {
            0..=6 => self.store_vector(),
            7..=12 => self.set_vector(),
            13 | 14 => self.store_scalar(),
            15 | 16 => {
                let ty =
                    *self.choices.pick(&[ValType::I32, ValType::I64, ValType::F32, ValType::F64]);
                let local = self.a_local(ty);
                self.expression(ty, 3);
                self.emit(I::LocalSet(local));
            }
            17 => {
                let at = self.pointers + self.choices.below(POINTERS as usize) as u32;
                let step = *self.choices.pick(&[16, 1, 4, 8, 32, 64, -16, 160]);
                self.emit_all([I::LocalGet(at), I::I32Const(step), I::I32Add, I::LocalSet(at)]);
            }
            18 => self.choose(),
            19 if self.loop_depth < LOOP_DEPTH_LIMIT => self.counted_loop(),
            20 => self.leave_early(),
            21 => self.table_branch(),
            22 => self.call_for_effect(),
            23 => self.bulk(),
            24 => {
                self.expression(ValType::I32, 2);
                self.emit(I::GlobalSet(0));
            }
            _ => self.rare(),
        }
    }

    fn set_vector(&mut self) {
        let local = self.a_local(ValType::V128);
        let shape = *self.choices.pick(&SHAPES);
        self.vector(shape, 4);
        self.emit(I::LocalSet(local));
    }

    fn store_vector(&mut self) {
        let memory = self.address();
        let shape = *self.choices.pick(&SHAPES);
        self.vector(shape, 4);
        let lanes = |bytes: usize| 16 / bytes;
        let store = match self.choices.below(10) {
            6 => {
                let lane = self.choices.below(lanes(1)) as u8;
                I::V128Store8Lane { memarg: self.memarg(memory, 0), lane }
            }
            7 => {
                let lane = self.choices.below(lanes(2)) as u8;
                I::V128Store16Lane { memarg: self.memarg(memory, 1), lane }
            }
            8 => {
                let lane = self.choices.below(lanes(4)) as u8;
                I::V128Store32Lane { memarg: self.memarg(memory, 2), lane }
            }
            9 => {
                let lane = self.choices.below(lanes(8)) as u8;
                I::V128Store64Lane { memarg: self.memarg(memory, 3), lane }
            }
            _ => I::V128Store(self.memarg(memory, 4)),
        };
        self.emit(store);
    }

    fn store_scalar(&mut self) {
        let memory = self.address();
        let kind = self.choices.below(9);
        let ty = match kind {
            0..=2 => ValType::I32,
            3..=6 => ValType::I64,
            7 => ValType::F32,
            _ => ValType::F64,
        };
        self.expression(ty, 3);
        let natural = [2, 1, 0, 3, 2, 1, 0, 2, 3][kind];
        let memarg = self.memarg(memory, natural);
        self.emit(match kind {
            0 => I::I32Store(memarg),
            1 => I::I32Store16(memarg),
            2 => I::I32Store8(memarg),
            3 => I::I64Store(memarg),
            4 => I::I64Store32(memarg),
            5 => I::I64Store16(memarg),
            6 => I::I64Store8(memarg),
            7 => I::F32Store(memarg),
            _ => I::F64Store(memarg),
        });
    }

    /// Pushes an address and says for which memory.
    pub(super) fn address(&mut self) -> u32 {
        let memory = u32::from(self.shared.second_memory && self.choices.one_in(4));
        let pointer = self.pointers + self.choices.below(POINTERS as usize) as u32;
        match self.choices.below(16) {
            0..=4 => self.emit(I::LocalGet(pointer)),
            5..=7 => {
                let counter = *self.choices.pick(&self.counters.clone());
                let shift = self.choices_below(5);
                self.emit_all([I::LocalGet(pointer), I::LocalGet(counter)]);
                self.emit_all([I::I32Const(shift), I::I32Shl, I::I32Add]);
            }
            8 | 9 => {
                let counter = *self.choices.pick(&self.counters.clone());
                let stride = *self.choices.pick(&[16, 1, 0, 48, 3, 12, 64, -16, 1024]);
                self.emit_all([I::LocalGet(counter), I::I32Const(stride), I::I32Mul]);
                self.emit_all([I::LocalGet(pointer), I::I32Add]);
            }
            10 | 11 => {
                // Wraps around; in bounds most of the time all the same.
                let back = *self.choices.pick(&[16, -16, 4, 1, -1, 256, -32]);
                self.emit_all([I::LocalGet(pointer), I::I32Const(back), I::I32Add]);
                if self.choices.one_in(2) {
                    self.emit_all([I::I32Const(back), I::I32Sub]);
                }
            }
            12 => {
                let at = self.choices_below(512) * 16;
                self.emit(I::I32Const(at));
            }
            13 | 14 => {
                let depth = if self.spend(1) { 2 } else { 0 };
                self.i32(depth);
                let mask = *self.choices.pick(&[0xfff0, 0x7fff, 0xff]);
                self.emit_all([I::I32Const(mask), I::I32And]);
            }
            _ if self.choices.one_in(12) => self.i32(1),
            _ => self.emit(I::LocalGet(pointer)),
        }
        if self.shared.memory64 && memory == 0 {
            self.emit_one_of(&[
                I::I64ExtendI32U,
                I::I64ExtendI32U,
                I::I64ExtendI32U,
                I::I64ExtendI32S,
            ]);
        }
        memory
    }

    /// The immediate of an access whose natural alignment is `2^natural`.
    pub(super) fn memarg(&mut self, memory_index: u32, natural: u32) -> MemArg {
        const OFFSETS: [u64; 14] = [0, 16, 32, 1, 2, 4, 8, 15, 17, 48, 64, 240, 256, 1024];
        let offset = match self.choices.below(3) {
            2 if self.choices.one_in(80) => *self.choices.pick(&[65535, 131_072, 0xffff_fff0]),
            2 => *self.choices.pick(&OFFSETS),
            _ => 0,
        };
        let align = self.choices.below(natural as usize + 1) as u32;
        MemArg { offset, align, memory_index }
    }

    /// A loop that runs at most as often as the body can bear.
    fn counted_loop(&mut self) {
        if self.loop_depth == LOOP_DEPTH_LIMIT {
            return self.set_vector();
        }
        let most = (TRIPS_LIMIT / self.weight).min(20);
        if most < 2 {
            return self.set_vector();
        }
        let (counter, limit) = (self.counters[self.loop_depth], self.limits[self.loop_depth]);
        let trips = 2 + self.choices.below(most as usize - 1) as u64;
        let step = *self.choices.pick(&[1, 16, 4, 8]);
        let counts_down = self.choices.one_in(3);
        if self.choices.one_in(3) {
            // A limit only known when called.
            let from = self.any_local(ValType::I32);
            let mask = (trips + 1).next_power_of_two() / 2 - 1;
            self.emit_all([I::LocalGet(from), I::I32Const(mask as i32), I::I32And]);
            self.emit_all([I::I32Const(1), I::I32Add]);
        } else {
            self.emit(I::I32Const(trips as i32));
        }
        self.emit_all([I::I32Const(step), I::I32Mul, I::LocalSet(limit)]);
        let start = if counts_down { I::LocalGet(limit) } else { I::I32Const(0) };
        self.emit_all([start, I::LocalSet(counter)]);

        self.emit(I::Block(BlockType::Empty));
        self.emit(I::Loop(BlockType::Empty));
        self.labels.extend([true, false]);
        self.loop_depth += 1;
        let outside = self.weight;
        self.weight *= trips;
        if self.choices.one_in(4) {
            // Tested at the top too, as in a loop whose guard was not moved out.
            self.emit_all([I::LocalGet(counter), I::LocalGet(limit), I::I32GtU, I::BrIf(1)]);
        }
        self.statements(5);
        if self.choices.one_in(2) {
            self.emit_all([I::LocalGet(self.pointers), I::I32Const(16), I::I32Add]);
            self.emit(I::LocalSet(self.pointers));
        }
        if counts_down {
            self.emit_all([I::LocalGet(counter), I::I32Const(step), I::I32Sub]);
            self.emit_all([I::LocalTee(counter), I::BrIf(0)]);
        } else {
            self.emit_all([I::LocalGet(counter), I::I32Const(step), I::I32Add]);
            self.emit_all([I::LocalTee(counter), I::LocalGet(limit), I::I32LtU, I::BrIf(0)]);
        }
        self.weight = outside;
        self.loop_depth -= 1;
        self.labels.truncate(self.labels.len() - 2);
        self.emit_all([I::End, I::End]);
    }

    fn choose(&mut self) {
        self.i32(3);
        self.emit(I::If(BlockType::Empty));
        self.labels.push(true);
        self.statements(2);
        if self.choices.one_in(2) {
            self.emit(I::Else);
            self.statements(2);
        }
        self.labels.pop();
        self.emit(I::End);
    }

    /// Branches out of a block if a condition holds.
    fn leave_early(&mut self) {
        let depths: Vec<u32> = (0..self.labels.len())
            .filter(|depth| self.labels[self.labels.len() - 1 - depth])
            .map(|depth| depth as u32)
            .collect();
        if depths.is_empty() {
            return self.choose();
        }
        let depth = *self.choices.pick(&depths);
        self.i32(2);
        if self.choices.one_in(2) {
            self.emit_all([I::I32Const(31), I::I32And, I::I32Eqz]);
        }
        self.emit(I::BrIf(depth));
    }

    fn table_branch(&mut self) {
        self.emit_all([I::Block(BlockType::Empty), I::Block(BlockType::Empty)]);
        self.labels.extend([true, true]);
        self.i32(2);
        if self.choices.one_in(2) {
            self.emit_all([I::I32Const(3), I::I32And]);
        }
        self.emit(I::BrTable(vec![0, 1, 0].into(), 1));
        self.labels.pop();
        self.emit(I::End);
        self.statements(2);
        self.labels.pop();
        self.emit(I::End);
    }

    /// A function with `signature` that may still be called here.
    pub(super) fn callee(&mut self, signature: usize) -> Option<u32> {
        let left = CALL_COST_LIMIT.saturating_sub(self.cost) / 2;
        let fits = |(at, (other, cost)): (usize, &(usize, u64))| {
            (*other == signature && cost.saturating_mul(self.weight) < left).then_some(at)
        };
        let callees: Vec<usize> = self.shared.done.iter().enumerate().filter_map(fits).collect();
        let at = *callees.get(self.choices.below(callees.len()))?;
        self.cost += self.weight * self.shared.done[at].1;
        Some(IMPORTS + at as u32)
    }

    fn call_for_effect(&mut self) {
        match self.choices.below(5) {
            0 => {
                if let Some(callee) = self.callee(KERNEL) {
                    (0..3).for_each(|_| self.i32(1));
                    return self.emit(I::Call(callee));
                }
            }
            1 => {
                if let Some(callee) = self.callee(4) {
                    let (wide, vector) = (self.a_local(ValType::I64), self.a_local(ValType::V128));
                    self.i32(1);
                    self.i32(1);
                    self.vector(Shape::I16, 2);
                    self.emit_all([I::Call(callee), I::LocalSet(vector), I::LocalSet(wide)]);
                    return;
                }
            }
            2 => return self.indirect_call(),
            3 if self.choices.one_in(3) => return self.emit(I::Call(TICK)),
            _ => {}
        }
        let local = self.a_local(ValType::I32);
        self.i32(2);
        self.i64(2);
        self.emit_all([I::Call(LOG), I::LocalSet(local)]);
    }

    /// Calls through the table; now and then a hole, a wrong signature or past its end.
    fn indirect_call(&mut self) {
        let done = &self.shared.done;
        if done.len() < TABLE_FUNCTIONS {
            return self.store_vector();
        }
        let dearest = done[..TABLE_FUNCTIONS].iter().map(|(_, cost)| *cost).max().unwrap_or(0);
        let cost = dearest.saturating_mul(self.weight);
        if cost >= CALL_COST_LIMIT.saturating_sub(self.cost) / 2 {
            return self.store_vector();
        }
        self.cost += cost;
        let signature = done[self.choices.below(TABLE_FUNCTIONS)].0;
        let (params, results) = SIGNATURES[signature];
        params.iter().for_each(|ty| self.expression(*ty, 1));
        if self.choices.one_in(4) {
            self.i32(1);
        } else {
            let index = if self.choices.one_in(6) {
                self.choices_below(TABLE_LEN as usize + 1)
            } else {
                self.choices_below(TABLE_FUNCTIONS + 1)
            };
            self.emit(I::I32Const(index));
        }
        self.emit(I::CallIndirect { type_index: signature as u32, table_index: 0 });
        for ty in results.iter().rev() {
            let local = self.a_local(*ty);
            self.emit(I::LocalSet(local));
        }
    }

    fn bulk(&mut self) {
        let size = if self.shared.memory64 { I::I64Const } else { |size| I::I32Const(size as i32) };
        let second =
            |wide: bool, at: i64| if wide { I::I64Const(at) } else { I::I32Const(at as i32) };
        let wide = self.shared.memory64;
        let (to, from) = (self.choices.below(4096) as i64, self.choices.below(4096) as i64);
        let count = *self.choices.pick(&[64, 16, 0, 1, 4096, 48, 80, 256, 200_000]);
        if self.choices.one_in(2) {
            self.emit_all([second(wide, to), second(wide, from), size(count)]);
            self.emit(I::MemoryCopy { src_mem: 0, dst_mem: 0 });
        } else {
            self.emit(second(wide, to));
            self.i32(2);
            self.emit_all([size(count), I::MemoryFill(0)]);
        }
    }

    fn rare(&mut self) {
        match self.choices.below(6) {
            0 | 1 => {
                let local = self.a_local(ValType::I32);
                let pages = self.choices_below(3);
                if self.shared.memory64 {
                    self.emit_all([I::I64Const(i64::from(pages)), I::MemoryGrow(0), I::I32WrapI64]);
                } else {
                    self.emit_all([I::I32Const(pages), I::MemoryGrow(0)]);
                }
                self.emit(I::LocalSet(local));
            }
            2 => {
                self.vector(Shape::I32, 2);
                self.emit(I::GlobalSet(1));
            }
            3 => {
                self.i32(2);
                let number = integer_constant(self.choices) as i32;
                self.emit_all([I::I32Const(number), I::I32Eq, I::If(BlockType::Empty)]);
                self.emit_all([I::Unreachable, I::End]);
            }
            4 if self.signature == KERNEL => {
                self.i32(2);
                self.emit_all([I::I32Eqz, I::If(BlockType::Empty), I::Return, I::End]);
            }
            _ => self.store_vector(),
        }
    }
}

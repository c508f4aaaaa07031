//! Recognises loops of one block that count: their induction variables, how often they run, and
//! what they access in linear memory.

use crate::Declined;
use crate::affine::{Affine, affine, clamped, constant, divided, is_outside, made_in};
use cranelift_codegen::ir::condcodes::{CondCode, IntCC};
use cranelift_codegen::ir::{
    AliasRegion, Block, BlockArg, BlockCall, Function, Inst, InstructionData, MemFlagsData, Opcode,
    Value, ValueDef, types,
};
use rustc_hash::FxHashMap;

/// A loop of one block.
pub(crate) struct Counted {
    pub(crate) block: Block,
    /// What the block jumps back with, by parameter.
    pub(crate) back: Vec<Value>,
    /// By how much each parameter changes from one turn to the next, if that is known; the terms
    /// are made outside the loop. The same of values that are made by dividing or by clamping.
    pub(crate) steps: FxHashMap<Value, Affine>,
    /// What the steps of those need.
    pub(crate) unwrapped: FxHashMap<Value, Unwrapped>,
    /// Values that are counters up to some turn. Their steps are those of the counters.
    pub(crate) clamped: FxHashMap<Value, Clamped>,
    pub(crate) test: Test,
    pub(crate) accesses: Vec<MemoryAccess>,
    /// Instructions of the block, without its last.
    pub(crate) insts: Vec<Inst>,
}

/// A value whose quotients count only while it does not wrap.
#[derive(Clone, Copy)]
pub(crate) struct Unwrapped {
    pub(crate) value: Value,
    pub(crate) step: i32,
    pub(crate) signed: bool,
}

/// The smaller of a counter that rises and a bound, or the larger of one that falls and a bound: as long as
/// it is the counter, it counts.
#[derive(Clone, Copy)]
pub(crate) struct Clamped {
    pub(crate) counter: Value,
    /// A power of two or minus that.
    pub(crate) step: i32,
    /// The same in each turn.
    pub(crate) bound: Value,
    pub(crate) signed: bool,
}

/// The loop goes on while `counter cc bound`.
pub(crate) struct Test {
    pub(crate) cc: IntCC,
    /// Changes by `step` with each turn.
    pub(crate) counter: Value,
    pub(crate) step: i32,
    pub(crate) bound: Bound,
}

#[derive(Clone, Copy)]
pub(crate) enum Bound {
    Zero,
    Value(Value),
}

/// An access to linear memory at `base + zero-extended index + offset`.
#[derive(Clone)]
pub(crate) struct MemoryAccess {
    pub(crate) inst: Inst,
    pub(crate) base: Value,
    pub(crate) index: Index,
    pub(crate) offset: i64,
    pub(crate) bytes: u32,
    pub(crate) store: bool,
}

#[derive(Clone)]
pub(crate) struct Index {
    /// `None` for zero.
    pub(crate) value: Option<Value>,
    pub(crate) sum: Affine,
}

impl Counted {
    /// The loop that is `block`, if everything in it is understood.
    pub(crate) fn new(func: &Function, block: Block) -> Result<Counted, Declined> {
        let mut counted = Counted::counting(func, block)?;
        for inst in &counted.insts {
            let op = func.dfg.insts[*inst].opcode();
            if op.can_load() || op.can_store() {
                if !is_base(func, block, *inst) {
                    let access = counted.access(func, *inst).ok_or(Declined::Address)?;
                    counted.accesses.push(access);
                }
            } else if op.can_trap() || op.other_side_effects() || op.is_call() {
                return Err(Declined::Effect);
            }
        }
        Ok(counted)
    }

    /// The same if how often it runs is understood; of its accesses nothing is known.
    pub(crate) fn counting(func: &Function, block: Block) -> Result<Counted, Declined> {
        let branch = func.layout.last_inst(block).map(|last| (last, func.dfg.insts[last]));
        let Some((last, InstructionData::Brif { arg, blocks: [then, other], .. })) = branch else {
            return Err(Declined::Branch);
        };
        let to = |call: &BlockCall| call.block(&func.dfg.value_lists);
        let goes_on = match (to(&then) == block, to(&other) == block) {
            (true, false) => true,
            (false, true) => false,
            _ => return Err(Declined::Branch),
        };
        let call = if goes_on { then } else { other };
        let back = values(func, &call).ok_or(Declined::Branch)?;
        let params = func.dfg.block_params(block);
        let mut steps = FxHashMap::default();
        for (param, next) in params.iter().zip(&back) {
            if let Some(step) = step_of(func, block, *param, *next) {
                steps.insert(*param, step);
            }
        }
        let mut counted = Counted {
            block,
            back,
            steps,
            unwrapped: FxHashMap::default(),
            clamped: FxHashMap::default(),
            test: Test { cc: IntCC::NotEqual, counter: arg, step: 0, bound: Bound::Zero },
            accesses: Vec::new(),
            insts: Vec::new(),
        };
        counted.test = counted.find_test(func, arg, goes_on).ok_or(Declined::Count)?;
        counted.insts.extend(func.layout.block_insts(block).filter(|inst| *inst != last));
        for at in 0..counted.insts.len() {
            let inst = counted.insts[at];
            counted.divide(func, inst).or_else(|| counted.clamp(func, inst));
        }
        Ok(counted)
    }

    /// Notes by how much what `inst` makes changes with each turn, if it divides what changes by a multiple
    /// of the divisor and is itself no quotient.
    fn divide(&mut self, func: &Function, inst: Inst) -> Option<()> {
        let (value, by) = divided(func, inst)?;
        let stride = self.plain_step(func, value)?;
        let result = func.dfg.first_result(inst);
        let is_multiple = |bits: u32| stride == 0 || stride.trailing_zeros() >= bits;
        let op = func.dfg.insts[inst].opcode();
        let step = match op {
            // Modulo 2³², all of this holds whether it wraps or not.
            Opcode::Band if stride == 0 => 0,
            Opcode::Band if is_low_mask(by) && is_multiple(by.count_ones()) => 0,
            Opcode::Band if is_low_mask(!by) && is_multiple(by.trailing_zeros()) => stride,
            Opcode::Band => return None,
            _ => {
                let count = by as u32 % 32;
                if !is_multiple(count) {
                    return None;
                }
                if stride != 0 {
                    let signed = op == Opcode::Sshr;
                    self.unwrapped.insert(result, Unwrapped { value, step: stride, signed });
                }
                stride >> count
            }
        };
        self.steps.insert(result, Affine::constant(step));
        Some(())
    }

    /// Notes by how much what `inst` makes changes with each turn, if it is a counter up to some turn.
    fn clamp(&mut self, func: &Function, inst: Inst) -> Option<()> {
        let [one, other] = clamped(func, inst)?;
        let (counter, step, bound) =
            match (self.plain_step(func, one)?, self.plain_step(func, other)?) {
                (step, 0) => (one, step, other),
                (0, step) => (other, step, one),
                _ => return None,
            };
        let (rises, signed) = match func.dfg.insts[inst].opcode() {
            Opcode::Smin => (true, true),
            Opcode::Umin => (true, false),
            Opcode::Smax => (false, true),
            _ => (false, false),
        };
        if step == 0 || (step > 0) != rises || !step.unsigned_abs().is_power_of_two() {
            return None;
        }
        let result = func.dfg.first_result(inst);
        self.clamped.insert(result, Clamped { counter, step, bound, signed });
        self.steps.insert(result, Affine::constant(step));
        Some(())
    }

    /// By how much a sum of parameters and of values from outside changes with each turn, if that is a
    /// constant.
    fn plain_step(&self, func: &Function, value: Value) -> Option<i32> {
        let sum = affine(func, self.block, value)?;
        let made = sum.terms.iter().any(|term| made_in(func, self.block, term.0).is_some());
        let stride = self.stride(func, &sum)?;
        (!made && stride.terms.is_empty()).then_some(stride.constant)
    }

    /// What must not wrap for addresses to move as they are said to.
    pub(crate) fn must_not_wrap(&self) -> Vec<Unwrapped> {
        self.of_addresses(&self.unwrapped)
    }

    /// What must still count for addresses to move as they are said to.
    pub(crate) fn must_count(&self) -> Vec<Clamped> {
        self.of_addresses(&self.clamped)
    }

    /// What is known of the terms of addresses.
    fn of_addresses<T: Copy>(&self, known: &FxHashMap<Value, T>) -> Vec<T> {
        let mut terms: Vec<Value> = Vec::new();
        for access in &self.accesses {
            terms.extend(access.index.sum.terms.iter().map(|term| term.0));
        }
        terms.sort_unstable();
        terms.dedup();
        terms.iter().filter_map(|term| known.get(term)).copied().collect()
    }

    /// By how much a sum changes with each turn.
    pub(crate) fn stride(&self, func: &Function, sum: &Affine) -> Option<Affine> {
        let mut stride = Affine::default();
        for (value, coefficient) in &sum.terms {
            if !is_outside(func, self.block, *value) {
                stride = stride.plus(self.steps.get(value)?, *coefficient)?;
            }
        }
        Some(stride)
    }

    /// How often the loop runs, where that is a constant up to `most`. `entries` are the last
    /// instructions of blocks that lead to it.
    pub(crate) fn constant_turns(
        &self,
        func: &Function,
        entries: &[Inst],
        most: i64,
    ) -> Option<i64> {
        let sum = affine(func, self.block, self.test.counter)?;
        let mut counter = sum.constant;
        for (value, coefficient) in &sum.terms {
            let first = self.constant_at_entry(func, entries, *value)?;
            counter = counter.wrapping_add(first.wrapping_mul(*coefficient));
        }
        let bound = match self.test.bound {
            Bound::Zero => 0,
            Bound::Value(value) => constant(func, value)? as i32,
        };
        for turn in 1..=most {
            if !holds(self.test.cc, counter, bound) {
                return Some(turn);
            }
            counter = counter.wrapping_add(self.test.step);
        }
        None
    }

    /// What a parameter is when the loop is entered, if that is the same constant on all ways.
    fn constant_at_entry(&self, func: &Function, entries: &[Inst], param: Value) -> Option<i32> {
        let dfg = &func.dfg;
        let at = dfg.block_params(self.block).iter().position(|other| *other == param)?;
        let mut known = None;
        let outside = |entry: &&Inst| func.layout.inst_block(**entry) != Some(self.block);
        for entry in entries.iter().filter(outside) {
            let calls =
                dfg.insts[*entry].branch_destination(&dfg.jump_tables, &dfg.exception_tables);
            for call in calls.iter().filter(|call| call.block(&dfg.value_lists) == self.block) {
                let value = constant(func, *values(func, call)?.get(at)?)? as i32;
                if known.is_some_and(|known| known != value) {
                    return None;
                }
                known = Some(value);
            }
        }
        known
    }

    fn find_test(&self, func: &Function, arg: Value, goes_on: bool) -> Option<Test> {
        let (mut cc, counter, bound) = match made_in(func, self.block, arg) {
            Some(inst) => match func.dfg.insts[inst] {
                InstructionData::IntCompare { args, cond, .. } => {
                    if self.is_fixed(func, args[1]) {
                        (cond, args[0], Bound::Value(args[1]))
                    } else {
                        (cond.swap_args(), args[1], Bound::Value(args[0]))
                    }
                }
                _ => (IntCC::NotEqual, arg, Bound::Zero),
            },
            None => (IntCC::NotEqual, arg, Bound::Zero),
        };
        if !goes_on {
            cc = cc.complement();
        }
        if let Bound::Value(value) = bound
            && !self.is_fixed(func, value)
        {
            return None;
        }
        let step = self.plain_step(func, counter)?;
        let rises = step > 0;
        let fits = match cc {
            IntCC::NotEqual => step != 0,
            IntCC::SignedLessThan
            | IntCC::SignedLessThanOrEqual
            | IntCC::UnsignedLessThan
            | IntCC::UnsignedLessThanOrEqual => rises,
            IntCC::SignedGreaterThan
            | IntCC::SignedGreaterThanOrEqual
            | IntCC::UnsignedGreaterThan
            | IntCC::UnsignedGreaterThanOrEqual => step < 0,
            IntCC::Equal => false,
        };
        let power = step.unsigned_abs().is_power_of_two();
        (fits && power).then_some(Test { cc, counter, step, bound })
    }

    /// Whether `value` is made outside the loop, or a constant.
    fn is_fixed(&self, func: &Function, value: Value) -> bool {
        func.dfg.value_type(value) == types::I32
            && (constant(func, value).is_some() || is_outside(func, self.block, value))
    }

    /// Takes an access to linear memory apart.
    fn access(&self, func: &Function, inst: Inst) -> Option<MemoryAccess> {
        let (address, offset, flags) = match func.dfg.insts[inst] {
            InstructionData::Load { arg, offset, flags, .. } => (arg, offset, flags),
            InstructionData::Store { args, offset, flags, .. } => (args[1], offset, flags),
            _ => return None,
        };
        if !is_linear_memory(func, func.dfg.mem_flags[flags]) {
            return None;
        }
        let mut base = None;
        let mut index = None;
        let mut constants = i64::from(i32::from(offset));
        let mut terms = vec![address];
        while let Some(term) = terms.pop() {
            if let Some(bits) = constant(func, term) {
                constants = constants.checked_add(bits)?;
                continue;
            }
            let ValueDef::Result(made, _) = func.dfg.value_def(term) else { return None };
            match func.dfg.insts[made].opcode() {
                Opcode::Iadd if terms.len() < 4 => terms.extend(func.dfg.inst_args(made)),
                Opcode::Uextend if index.is_none() => index = Some(func.dfg.inst_args(made)[0]),
                Opcode::Load if base.is_none() && is_base_load(func, made) => base = Some(term),
                _ => return None,
            }
        }
        let sum = match index {
            Some(value) => affine(func, self.block, value)?,
            None => Affine::default(),
        };
        self.stride(func, &sum)?;
        let op = func.dfg.insts[inst].opcode();
        let bytes = bytes(func, inst, op)?;
        // Keeps all later sums within 64 bits.
        let small = (0..1_i64 << 40).contains(&constants);
        let index = Index { value: index, sum };
        small.then_some(MemoryAccess {
            inst,
            base: base?,
            index,
            offset: constants,
            bytes,
            store: op.can_store(),
        })
    }
}

/// Whether `mask` has ones up to some bit, and zeros above.
fn is_low_mask(mask: i32) -> bool {
    mask.trailing_ones() + mask.leading_zeros() == 32
}

/// Whether `one cc other`.
fn holds(cc: IntCC, one: i32, other: i32) -> bool {
    let unsigned = (one as u32, other as u32);
    match cc {
        IntCC::Equal => one == other,
        IntCC::NotEqual => one != other,
        IntCC::SignedLessThan => one < other,
        IntCC::SignedGreaterThanOrEqual => one >= other,
        IntCC::SignedGreaterThan => one > other,
        IntCC::SignedLessThanOrEqual => one <= other,
        IntCC::UnsignedLessThan => unsigned.0 < unsigned.1,
        IntCC::UnsignedGreaterThanOrEqual => unsigned.0 >= unsigned.1,
        IntCC::UnsignedGreaterThan => unsigned.0 > unsigned.1,
        IntCC::UnsignedLessThanOrEqual => unsigned.0 <= unsigned.1,
    }
}

/// The arguments of a block call, if all are values.
pub(crate) fn values(func: &Function, call: &BlockCall) -> Option<Vec<Value>> {
    call.args(&func.dfg.value_lists)
        .map(|arg| match arg {
            BlockArg::Value(value) => Some(value),
            _ => None,
        })
        .collect()
}

/// What is added to `param` in one turn, if that is the same in each.
fn step_of(func: &Function, block: Block, param: Value, next: Value) -> Option<Affine> {
    if func.dfg.value_type(param) != types::I32 {
        return None;
    }
    let mut step = affine(func, block, next)?;
    let at = step.terms.binary_search_by_key(&param, |term| term.0).ok()?;
    if step.terms[at].1 != 1 {
        return None;
    }
    step.terms.remove(at);
    let fixed = |term: &(Value, i32)| is_outside(func, block, term.0);
    step.terms.iter().all(fixed).then_some(step)
}

/// The name that Wasmtime gives to the region of memory that flags speak of.
fn region(func: &Function, flags: MemFlagsData) -> Option<&str> {
    let region: AliasRegion = flags.alias_region()?;
    func.dfg.alias_regions.iter().find(|(at, _)| *at == region).map(|(_, data)| &*data.description)
}

/// Whether flags are those of plain accesses of wasm to a linear memory.
fn is_linear_memory(func: &Function, flags: MemFlagsData) -> bool {
    region(func, flags)
        .is_some_and(|name| name == "PublicMemory" || name.starts_with("DefinedMemory"))
}

/// Whether `inst` loads where a linear memory begins.
fn is_base_load(func: &Function, inst: Inst) -> bool {
    match func.dfg.insts[inst] {
        InstructionData::Load { opcode: Opcode::Load, flags, .. } => {
            let flags = func.dfg.mem_flags[flags];
            flags.notrap() && region(func, flags) == Some("VMMemoryDefinition+0x0")
        }
        _ => false,
    }
}

/// Whether `inst`, in `block`, loads where a linear memory begins, from a place that stays.
fn is_base(func: &Function, block: Block, inst: Inst) -> bool {
    let InstructionData::Load { arg, .. } = func.dfg.insts[inst] else { return false };
    is_base_load(func, inst) && is_outside(func, block, arg)
}

/// How many bytes `inst` accesses.
fn bytes(func: &Function, inst: Inst, op: Opcode) -> Option<u32> {
    let accessed = || match op.can_store() {
        true => func.dfg.inst_args(inst)[0],
        false => func.dfg.first_result(inst),
    };
    Some(match op {
        Opcode::Load | Opcode::Store => func.dfg.value_type(accessed()).bytes(),
        Opcode::Uload8 | Opcode::Sload8 | Opcode::Istore8 => 1,
        Opcode::Uload16 | Opcode::Sload16 | Opcode::Istore16 => 2,
        Opcode::Uload32 | Opcode::Sload32 | Opcode::Istore32 => 4,
        Opcode::Uload8x8
        | Opcode::Sload8x8
        | Opcode::Uload16x4
        | Opcode::Sload16x4
        | Opcode::Uload32x2
        | Opcode::Sload32x2 => 8,
        _ => return None,
    })
}

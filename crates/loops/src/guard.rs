//! The proof before a loop: how often it will run, that all it accesses is in bounds, and that no
//! store meets another access.
//!
//! All sums are of 64 bits and cannot overflow: indices are below 2³², turns at most 2³², strides
//! below 2³¹, offsets below 2⁴¹.

use crate::counted::{Bound, Clamped, Counted, Unwrapped};
use crate::scope::Scope;
use crate::streams::{Streams, Stride};
use cranelift_codegen::cursor::{Cursor, FuncCursor};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{
    Block, Function, Inst, InstBuilder, InstructionData, MemFlagsData, Value, types,
};
use rustc_hash::FxHashMap;

/// How often a loop runs, as values of 64 bits.
pub(crate) struct Turns {
    pub(crate) all: Value,
    /// For how many turns, from the first one, addresses move as they are said to.
    pub(crate) even: Value,
}

/// What the fast loop needs of each stream.
pub(crate) struct Start {
    /// The address of the lowest index in the first turn.
    pub(crate) address: Value,
    /// How far it moves with each turn, as a value of 64 bits, unless that is a constant.
    pub(crate) stride: Option<Value>,
}

pub(crate) struct Guard<'a> {
    pub(crate) func: &'a mut Function,
    pub(crate) counted: &'a Counted,
    pub(crate) streams: &'a Streams,
    /// The first turn.
    pub(crate) scope: Scope,
}

impl Guard<'_> {
    fn at(&mut self, block: Block) -> FuncCursor<'_> {
        FuncCursor::new(self.func).at_bottom(block)
    }

    fn constant(&mut self, block: Block, constant: i64) -> Value {
        self.at(block).ins().iconst(types::I64, constant)
    }

    /// `value`, of 32 bits, in 64.
    fn wide(&mut self, block: Block, value: Value, signed: bool) -> Value {
        match signed {
            true => self.at(block).ins().sextend(types::I64, value),
            false => self.at(block).ins().uextend(types::I64, value),
        }
    }

    /// A value of the first turn.
    pub(crate) fn first(&mut self, block: Block, value: Value) -> Value {
        self.scope.value(self.func, self.counted.block, block, value)
    }

    /// Computes in `block` how often the loop runs, and whether that is certain and enough: at least `least`
    /// times with even addresses.
    pub(crate) fn turns(&mut self, block: Block, least: i64) -> (Turns, Value) {
        let test = &self.counted.test;
        let (cc, step) = (test.cc, i64::from(test.step));
        let (counter, bound) = (test.counter, test.bound);
        let size = step.abs();
        let shift = i64::from(size.trailing_zeros());
        let counter = self.first(block, counter);
        let bound = match bound {
            Bound::Zero => self.at(block).ins().iconst(types::I32, 0),
            Bound::Value(value) => self.first(block, value),
        };
        // The turns that another one follows, and whether that is certain.
        let (again, certain) = if cc == IntCC::NotEqual {
            let (from, to) = if step > 0 { (counter, bound) } else { (bound, counter) };
            let apart = self.at(block).ins().isub(to, from);
            let apart = self.at(block).ins().uextend(types::I64, apart);
            let certain = (size > 1).then(|| {
                let mask = self.constant(block, size - 1);
                let rest = self.at(block).ins().band(apart, mask);
                let zero = self.constant(block, 0);
                self.at(block).ins().icmp(IntCC::Equal, rest, zero)
            });
            (apart, certain)
        } else {
            let signed = cc.unsigned() != cc;
            let counter = self.wide(block, counter, signed);
            let mut bound = self.wide(block, bound, signed);
            let strict = cc.without_equal() == cc;
            if !strict {
                let one = self.constant(block, step.signum());
                bound = self.at(block).ins().iadd(bound, one);
            }
            let (from, to) = if step > 0 { (counter, bound) } else { (bound, counter) };
            let apart = self.at(block).ins().isub(to, from);
            let zero = self.constant(block, 0);
            let below = self.at(block).ins().icmp(IntCC::SignedLessThan, apart, zero);
            let apart = self.at(block).ins().select(below, zero, apart);
            let up = self.constant(block, size - 1);
            let apart = self.at(block).ins().iadd(apart, up);
            // The counter must not wrap on its last step.
            let (least, most) = match signed {
                true => (i64::from(i32::MIN), i64::from(i32::MAX)),
                false => (0, i64::from(u32::MAX)),
            };
            let certain = (size > 1 || !strict).then(|| {
                let (limit, cc) = match step > 0 {
                    true => (most - (size - 1), IntCC::SignedLessThanOrEqual),
                    false => (least + (size - 1), IntCC::SignedGreaterThanOrEqual),
                };
                let limit = self.constant(block, limit);
                self.at(block).ins().icmp(cc, bound, limit)
            });
            (apart, certain)
        };
        let again = match shift {
            0 => again,
            _ => {
                let shift = self.constant(block, shift);
                self.at(block).ins().ushr(again, shift)
            }
        };
        let one = self.constant(block, 1);
        let all = self.at(block).ins().iadd(again, one);
        let mut even = all;
        for clamped in self.counted.must_count() {
            let counting = self.counting(block, clamped);
            even = self.at(block).ins().smin(even, counting);
        }
        let least = self.constant(block, least);
        let enough = self.at(block).ins().icmp(IntCC::SignedGreaterThanOrEqual, even, least);
        let holds = match certain {
            Some(certain) => self.at(block).ins().band(enough, certain),
            None => enough,
        };
        (Turns { all, even }, holds)
    }

    /// In how many turns from the first one on the counter is not beyond the bound; none if not more than
    /// zero. It does not wrap before, as the bound is of its type.
    fn counting(&mut self, block: Block, clamped: Clamped) -> Value {
        let Clamped { counter, step, bound, signed } = clamped;
        let (counter, bound) = (self.first(block, counter), self.first(block, bound));
        let counter = self.wide(block, counter, signed);
        let bound = self.wide(block, bound, signed);
        let (from, to) = if step > 0 { (counter, bound) } else { (bound, counter) };
        let apart = self.at(block).ins().isub(to, from);
        let shift = self.constant(block, i64::from(step.trailing_zeros()));
        let again = self.at(block).ins().sshr(apart, shift);
        let one = self.constant(block, 1);
        self.at(block).ins().iadd(again, one)
    }

    /// How many of `turns` can be made `copies` at a time, a power of two.
    pub(crate) fn multiple(&mut self, block: Block, turns: Value, copies: i64) -> Value {
        match copies {
            1 => turns,
            _ => {
                let mask = self.constant(block, -copies);
                self.at(block).ins().band(turns, mask)
            }
        }
    }

    /// Computes in `block` where streams start, and whether in so many `turns` none leaves memory or
    /// meets another.
    pub(crate) fn streams(&mut self, block: Block, turns: Value) -> (Vec<Start>, Option<Value>) {
        let one = self.constant(block, 1);
        let last = self.at(block).ins().isub(turns, one);
        let streams = self.streams;
        let mut holds = Vec::new();
        let mut strides = FxHashMap::default();
        let mut known = FxHashMap::default();
        let mut ends = Vec::new();
        let mut starts = Vec::new();
        let base = self.first(block, streams.base);
        let length = self.length(block, streams.base);
        for stream in &streams.all {
            let index = match stream.index {
                Some(index) => {
                    let index = self.first(block, index);
                    self.at(block).ins().uextend(types::I64, index)
                }
                None => self.constant(block, 0),
            };
            let address = self.at(block).ins().iadd(base, index);
            // How far it moves from the first turn to the last, and whether that is downwards.
            let (moved, down, stride) = match &stream.stride {
                Stride::Known(0) => (None, false, None),
                Stride::Known(stride) => {
                    let moved = *known.entry(*stride).or_insert_with(|| {
                        let stride = self.constant(block, i64::from(*stride));
                        self.at(block).ins().imul(last, stride)
                    });
                    (Some(moved), *stride < 0, None)
                }
                Stride::Fixed(sum) => {
                    let (stride, moved) = match strides.get(sum) {
                        Some(known) => *known,
                        None => {
                            let stride = sum.value(self.func, block);
                            let stride = self.at(block).ins().sextend(types::I64, stride);
                            let zero = self.constant(block, 0);
                            let up = self.at(block).ins().icmp(
                                IntCC::SignedGreaterThanOrEqual,
                                stride,
                                zero,
                            );
                            holds.push(up);
                            let moved = self.at(block).ins().imul(last, stride);
                            strides.insert(sum, (stride, moved));
                            (stride, moved)
                        }
                    };
                    (Some(moved), false, Some(stride))
                }
            };
            let moved_index = match moved {
                Some(moved) => self.at(block).ins().iadd(index, moved),
                None => index,
            };
            let (low, high) = if down { (moved_index, index) } else { (index, moved_index) };
            if down {
                let zero = self.constant(block, 0);
                let above = self.at(block).ins().icmp(IntCC::SignedGreaterThanOrEqual, low, zero);
                holds.push(above);
            }
            let end = self.constant(block, stream.end);
            let end = self.at(block).ins().iadd(high, end);
            let within = self.at(block).ins().icmp(IntCC::UnsignedLessThanOrEqual, end, length);
            holds.push(within);
            let low = match stream.first {
                0 => low,
                first => {
                    let first = self.constant(block, first);
                    self.at(block).ins().iadd(low, first)
                }
            };
            ends.push((low, end));
            starts.push(Start { address, stride });
        }
        holds.extend(self.unwrapped(block, last));
        for &(one, other) in &streams.pairs {
            let ((low, end), (other_low, other_end)) = (ends[one], ends[other]);
            let before = self.at(block).ins().icmp(IntCC::UnsignedLessThanOrEqual, end, other_low);
            let behind = self.at(block).ins().icmp(IntCC::UnsignedLessThanOrEqual, other_end, low);
            let apart = self.at(block).ins().bor(before, behind);
            holds.push(apart);
        }
        let holds = holds.into_iter().reduce(|one, other| self.at(block).ins().band(one, other));
        (starts, holds)
    }

    /// Whether nothing that addresses are divided from wraps before the `last` turn.
    fn unwrapped(&mut self, block: Block, last: Value) -> Vec<Value> {
        let mut holds = Vec::new();
        for Unwrapped { value, step, signed } in self.counted.must_not_wrap() {
            let first = self.first(block, value);
            let first = self.wide(block, first, signed);
            let step = self.constant(block, i64::from(step));
            let moved = self.at(block).ins().imul(last, step);
            let end = self.at(block).ins().iadd(first, moved);
            let cut = self.at(block).ins().ireduce(types::I32, end);
            let same = self.wide(block, cut, signed);
            holds.push(self.at(block).ins().icmp(IntCC::Equal, same, end));
        }
        holds
    }

    /// The length in bytes of the memory that begins at `base`. It stands behind the address of its
    /// beginning (`VMMemoryDefinition` in Wasmtime's vmcontext.rs).
    fn length(&mut self, block: Block, base: Value) -> Value {
        let inst: Inst = self.func.dfg.value_def(base).unwrap_inst();
        let InstructionData::Load { arg, offset, .. } = self.func.dfg.insts[inst] else {
            unreachable!("the base of a memory is loaded");
        };
        let offset = i32::from(offset) + 8;
        let flags = MemFlagsData::trusted();
        self.at(block).ins().load(types::I64, flags, arg, offset)
    }
}

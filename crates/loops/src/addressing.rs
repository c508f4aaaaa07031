//! How the addresses of streams move along a fast loop: by counters that several share, or by a pointer for each.

use crate::fast::{Fast, Stage};
use crate::streams::{Stream, Stride};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{InstBuilder, Value, types};
use rustc_hash::FxHashMap;

/// A parameter of the fast loop that moves streams along.
pub(crate) struct Moves {
    pub(crate) now: Value,
    /// What is added to it after the copies.
    pub(crate) step: Value,
    pub(crate) start: Value,
}

/// Where a stream is.
pub(crate) struct Addressing {
    /// In each copy of the loop.
    pub(crate) spots: Vec<Spot>,
    /// Whether the distance between copies is known.
    pub(crate) exact: bool,
}

/// An address, what is added to it, and a value, shifted, that is.
#[derive(Clone, Copy)]
pub(crate) struct Spot {
    pub(crate) base: Value,
    pub(crate) apart: i64,
    pub(crate) index: Option<Value>,
    pub(crate) scale: u8,
}

impl Addressing {
    /// Reads `then` where it read `now`.
    pub(crate) fn rename(&mut self, now: Value, then: Value) {
        for spot in &mut self.spots {
            for value in std::iter::once(&mut spot.base).chain(&mut spot.index) {
                if *value == now {
                    *value = then;
                }
            }
        }
    }
}

/// How a fast loop moves along its streams.
pub(crate) struct Advance {
    /// The first tells when the loop ends.
    pub(crate) moves: Vec<Moves>,
    /// For each stream.
    pub(crate) places: Vec<Addressing>,
    /// What the first is compared with after a turn, and how, to go round again.
    pub(crate) end: Value,
    pub(crate) more: IntCC,
}

/// By how many bytes a stream moves with each turn, if that is a constant.
fn known(stream: &Stream) -> Option<i64> {
    match stream.stride {
        Stride::Known(stride) => Some(i64::from(stride)),
        Stride::Fixed(_) => None,
    }
}

impl Fast<'_> {
    pub(crate) fn advance(&mut self) -> Advance {
        match self.pointers {
            true => self.by_pointers(),
            false => self.by_counters(),
        }
    }

    /// Each stream has a pointer. That of a stream that moves by a constant is the first of all; where there is none, turns are
    /// counted.
    fn by_pointers(&mut self) -> Advance {
        let Stage { copies, turns, before, body, .. } = self.stage;
        let mut moves = Vec::new();
        let mut places: Vec<Option<Addressing>> = self.streams.all.iter().map(|_| None).collect();
        let mut end = turns;
        let moving = |stream: &Stream| known(stream).is_some_and(|stride| stride != 0);
        let first = self.streams.all.iter().position(moving);
        if first.is_none() {
            let now = self.func.dfg.append_block_param(body, types::I64);
            let start = self.at(before).ins().iconst(types::I64, 0);
            let step = self.at(body).ins().iconst(types::I64, copies);
            moves.push(Moves { now, step, start });
        }
        let others = (0..self.streams.all.len()).filter(|at| Some(*at) != first);
        for at in first.into_iter().chain(others) {
            let known = known(&self.streams.all[at]);
            let start = self.starts[at].address;
            let step = match (known, self.starts[at].stride) {
                (Some(0), _) => None,
                (Some(stride), _) => Some(self.at(body).ins().iconst(types::I64, stride * copies)),
                (None, Some(stride)) => {
                    let copies = self.at(before).ins().iconst(types::I64, copies);
                    Some(self.at(before).ins().imul(stride, copies))
                }
                (None, None) => unreachable!("a stride that is no constant is a value"),
            };
            let mut now = start;
            if let Some(step) = step {
                now = self.func.dfg.append_block_param(body, types::I64);
                moves.push(Moves { now, step, start });
            }
            if Some(at) == first {
                let stride = self.at(before).ins().iconst(types::I64, known.unwrap_or(0));
                let length = self.at(before).ins().imul(turns, stride);
                end = self.at(before).ins().iadd(start, length);
            }
            let mut spots = Vec::new();
            for copy in 0..copies {
                let apart = copy * known.unwrap_or(0);
                let index = match self.starts[at].stride {
                    Some(stride) if known.is_none() && copy > 0 => {
                        let copy = self.at(before).ins().iconst(types::I64, copy);
                        Some(self.at(before).ins().imul(stride, copy))
                    }
                    _ => None,
                };
                spots.push(Spot { base: now, apart, index, scale: 0 });
            }
            places[at] = Some(Addressing { spots, exact: known.is_some() });
        }
        let places = places.into_iter().flatten().collect();
        // A proof has shown that there are turns, and they are a multiple of the copies.
        Advance { moves, places, end, more: IntCC::NotEqual }
    }

    /// Streams share counters; the first counts the bytes of the least stride.
    fn by_counters(&mut self) -> Advance {
        let mut moves = Vec::new();
        let unit = self
            .streams
            .all
            .iter()
            .filter_map(known)
            .filter(|stride| *stride > 0)
            .min()
            .unwrap_or(1);
        let Stage { copies, turns, before, body, .. } = self.stage;
        let zero = self.at(before).ins().iconst(types::I64, 0);
        let step = self.at(body).ins().iconst(types::I64, unit * copies);
        let mut by_stride: FxHashMap<i64, usize> = FxHashMap::default();
        let mut by_value: FxHashMap<Value, usize> = FxHashMap::default();
        let mut counter = |this: &mut Self, step: Value| {
            let now = this.func.dfg.append_block_param(body, types::I64);
            moves.push(Moves { now, step, start: zero });
            moves.len() - 1
        };
        by_stride.insert(unit, counter(self, step));
        let mut places: Vec<(usize, u8, Option<Value>)> = Vec::new();
        for at in 0..self.streams.all.len() {
            let stream = &self.streams.all[at];
            let place = match (known(stream), self.starts[at].stride) {
                (Some(0), _) => (usize::MAX, 0, None),
                (Some(stride), _)
                    if matches!(stride / unit, 1 | 2 | 4 | 8) && stride % unit == 0 =>
                {
                    (0, (stride / unit).trailing_zeros() as u8, None)
                }
                (Some(stride), _) => {
                    let known = by_stride.get(&stride).copied();
                    let index = known.unwrap_or_else(|| {
                        let step = self.at(body).ins().iconst(types::I64, stride * copies);
                        counter(self, step)
                    });
                    by_stride.insert(stride, index);
                    (index, 0, None)
                }
                (None, Some(stride)) => {
                    let known = by_value.get(&stride).copied();
                    let index = known.unwrap_or_else(|| {
                        let copies = self.at(before).ins().iconst(types::I64, copies);
                        let step = self.at(before).ins().imul(stride, copies);
                        counter(self, step)
                    });
                    by_value.insert(stride, index);
                    (index, 0, Some(stride))
                }
                (None, None) => unreachable!("a stride that is no constant is a value"),
            };
            places.push(place);
        }
        let mut all = Vec::new();
        for (at, (index, scale, stride)) in places.into_iter().enumerate() {
            let mut base = self.starts[at].address;
            let index = moves.get(index).map(|moves| moves.now);
            let mut spots = Vec::new();
            for copy in 0..copies {
                let apart = match (known(&self.streams.all[at]), stride) {
                    (Some(known), _) => copy * known,
                    (None, Some(stride)) if copy > 0 => {
                        base = self.at(before).ins().iadd(base, stride);
                        0
                    }
                    _ => 0,
                };
                spots.push(Spot { base, apart, index, scale });
            }
            all.push(Addressing { spots, exact: stride.is_none() });
        }
        let end = match unit {
            1 => turns,
            _ => {
                let unit = self.at(before).ins().iconst(types::I64, unit);
                self.at(before).ins().imul(turns, unit)
            }
        };
        Advance { moves, places: all, end, more: IntCC::UnsignedLessThan }
    }
}

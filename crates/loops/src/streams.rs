//! Accesses whose addresses differ by constants, in whatever turn of the loop.

use crate::affine::Affine;
use crate::carry::Carried;
use crate::counted::{Counted, MemoryAccess};
use cranelift_codegen::ir::{Function, Inst, InstructionData, Value};
use rustc_hash::FxHashMap;
use smallvec::SmallVec;

/// Streams of a loop beyond which the proof would cost too much.
const MAX_STREAMS: usize = 32;
/// Pairs of streams that may meet.
const MAX_PAIRS: usize = 320;
/// Turns after which what was stored has arrived.
const SHORTLY: i64 = 3;
/// How far apart accesses of a stream may be, in bytes.
const MAX_SPREAD: i64 = 1 << 24;

/// What a stream advances by with each turn, in bytes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Stride {
    Known(i32),
    /// The same in each turn.
    Fixed(Affine),
}

/// Accesses at a common, moving address plus constants.
#[derive(Debug)]
pub(crate) struct Stream {
    /// The index of the access that is lowest.
    pub(crate) index: Option<Value>,
    pub(crate) stride: Stride,
    /// From where to where it accesses in one turn, from the lowest index on.
    pub(crate) first: i64,
    pub(crate) end: i64,
    pub(crate) stores: bool,
}

/// Where in its stream an access is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) stream: usize,
    /// Its distance from the lowest index.
    pub(crate) start: i64,
    pub(crate) bytes: u32,
    pub(crate) store: bool,
}

impl Place {
    /// Whether it may touch a byte of `other`, were that moved by `apart` bytes.
    pub(crate) fn meets(&self, other: &Place, apart: i64) -> bool {
        let from = other.start + apart;
        self.stream == other.stream
            && self.start < from + i64::from(other.bytes)
            && from < self.start + i64::from(self.bytes)
    }

    /// Whether one of both begins where the other ends.
    pub(crate) fn adjoins(&self, other: &Place) -> bool {
        let end = |place: &Place| place.start + i64::from(place.bytes);
        self.stream == other.stream && (end(self) == other.start || end(other) == self.start)
    }
}

/// All streams of a loop.
pub(crate) struct Streams {
    /// Where the memory begins that all are in.
    pub(crate) base: Value,
    pub(crate) all: Vec<Stream>,
    pub(crate) of: FxHashMap<Inst, Place>,
    /// Streams that may meet, of which at least one stores.
    pub(crate) pairs: Vec<(usize, usize)>,
}

impl Streams {
    /// Whether a turn loads what one shortly before stored: the loop waits for that, not for
    /// instructions. What stays where it is need not be loaded again, nor what is carried.
    pub(crate) fn recur(&self, func: &Function, carried: &Carried) -> bool {
        let all = || self.of.iter();
        let moving = |place: &Place| place.store && !self.stays(func, place.stream);
        all().filter(|(_, place)| moving(place)).any(|(_, store)| {
            let Stride::Known(stride) = self.all[store.stream].stride else { return false };
            let mut loads = all().filter(|(inst, place)| !place.store && !carried.has(**inst));
            loads.any(|(_, load)| {
                (1..=SHORTLY).any(|turns| load.meets(store, -turns * i64::from(stride)))
            })
        })
    }

    /// `None` if there are none, too many, or if they are in several memories.
    pub(crate) fn new(func: &Function, counted: &Counted) -> Option<Streams> {
        type Key = SmallVec<[(Value, i32); 4]>;
        let base = counted.accesses.first()?.base;
        if !counted.accesses.iter().all(|access| is_same_base(func, access.base, base)) {
            return None;
        }
        let mut groups: FxHashMap<Key, Vec<&MemoryAccess>> = FxHashMap::default();
        let mut order: Vec<Key> = Vec::new();
        for access in &counted.accesses {
            let key = access.index.sum.terms.clone();
            let group = groups.entry(key.clone()).or_default();
            if group.is_empty() {
                order.push(key);
            }
            group.push(access);
        }
        let mut streams =
            Streams { base, all: Vec::new(), of: FxHashMap::default(), pairs: Vec::new() };
        for key in order {
            let group = &groups[&key];
            let lowest = group.iter().min_by_key(|access| access.index.sum.constant)?;
            let stride = counted.stride(func, &lowest.index.sum)?;
            let stride = match stride.terms.is_empty() {
                true => Stride::Known(stride.constant),
                false => Stride::Fixed(stride),
            };
            let at = streams.all.len();
            let mut stream = Stream {
                index: lowest.index.value,
                stride,
                first: i64::MAX,
                end: i64::MIN,
                stores: false,
            };
            for access in group {
                let apart =
                    i64::from(access.index.sum.constant) - i64::from(lowest.index.sum.constant);
                let start = apart + access.offset;
                if apart > MAX_SPREAD {
                    return None;
                }
                stream.first = stream.first.min(start);
                stream.end = stream.end.max(start + i64::from(access.bytes));
                stream.stores |= access.store;
                let (bytes, store) = (access.bytes, access.store);
                streams.of.insert(access.inst, Place { stream: at, start, bytes, store });
            }
            streams.all.push(stream);
        }
        if streams.all.is_empty() || streams.all.len() > MAX_STREAMS {
            return None;
        }
        for (at, one) in streams.all.iter().enumerate() {
            for (later, other) in streams.all.iter().enumerate().skip(at + 1) {
                if one.stores || other.stores {
                    streams.pairs.push((at, later));
                }
            }
        }
        (streams.pairs.len() <= MAX_PAIRS).then_some(streams)
    }
}

/// Whether two loads of where a memory begins load the same.
fn is_same_base(func: &Function, one: Value, other: Value) -> bool {
    let loaded = |value: Value| match func.dfg.value_def(value).inst() {
        Some(inst) => match func.dfg.insts[inst] {
            InstructionData::Load { arg, offset, .. } => Some((arg, offset)),
            _ => None,
        },
        None => None,
    };
    one == other || (loaded(one).is_some() && loaded(one) == loaded(other))
}

//! One side of a comparison: a store, an instance, and a host that notes every call made to it.

use rand::rngs::SmallRng;
use rand::{Rng, RngCore, SeedableRng};
use std::sync::atomic::{AtomicU8, Ordering};
use wasmtime::{
    Engine, Extern, ExternType, Func, Global, Instance, Memory, Module, Ref, SharedMemory, Store,
    StoreLimits, StoreLimitsBuilder, Table, Val,
};

/// Bytes of each memory that are filled before the first call.
const FILLED: usize = 192 << 10;
/// Bytes that a memory may grow to.
const MEMORY_LIMIT: usize = 4 << 20;
/// Calls to the host that also look at memory; looking is slow.
const LOOKS: usize = 24;

/// What the host has seen.
pub(super) struct Host {
    /// Calls so far, each as a digest of its name, arguments and memory at that time.
    seen: Vec<u64>,
    memory: Option<Memory>,
    limits: StoreLimits,
}

impl PartialEq for Host {
    fn eq(&self, other: &Host) -> bool {
        self.seen == other.seen
    }
}

impl std::fmt::Debug for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(&self.seen).finish()
    }
}

/// One instance.
pub(super) struct Side {
    pub(super) store: Store<Host>,
    instance: Instance,
}

impl Side {
    pub(super) fn new(engine: &Engine, module: &Module, seed: u64) -> wasmtime::Result<Side> {
        let limits =
            StoreLimitsBuilder::new().memory_size(MEMORY_LIMIT).table_elements(10_000).build();
        let mut store = Store::new(engine, Host { seen: Vec::new(), memory: None, limits });
        store.limiter(|host| &mut host.limits);
        store.set_epoch_deadline(1 << 40);
        // Start functions may use fuel; an engine without fuel has none to set.
        let _ = store.set_fuel(1 << 32);
        let imports = module
            .imports()
            .enumerate()
            .map(|(at, import)| stand_in(&mut store, at, import.name(), import.ty()))
            .collect::<wasmtime::Result<Vec<Extern>>>()?;
        let instance = Instance::new(&mut store, module, &imports)?;
        let mut side = Side { store, instance };
        side.fill(seed);
        Ok(side)
    }

    pub(super) fn function(&mut self, name: &str) -> Func {
        self.instance.get_func(&mut self.store, name).expect("the module exports it")
    }

    pub(super) fn host(&self) -> &Host {
        self.store.data()
    }

    pub(super) fn exports(&mut self) -> Vec<(String, Extern)> {
        self.instance
            .exports(&mut self.store)
            .map(|export| (export.name().to_owned(), export.into_extern()))
            .collect()
    }

    pub(super) fn export(&mut self, name: &str) -> Extern {
        self.instance.get_export(&mut self.store, name).expect("both sides have one module")
    }

    /// Puts the seed's numbers into the memories.
    fn fill(&mut self, seed: u64) {
        let mut random = SmallRng::seed_from_u64(seed ^ 0x6d65_6d6f);
        for (_, export) in self.exports() {
            match export {
                Extern::Memory(memory) => {
                    let data = memory.data_mut(&mut self.store);
                    let len = data.len().min(FILLED);
                    fill(&mut data[..len], &mut random);
                    self.store.data_mut().memory.get_or_insert(memory);
                }
                Extern::SharedMemory(memory) => {
                    let mut bytes = vec![0; memory.data_size().min(FILLED)];
                    fill(&mut bytes, &mut random);
                    for (at, byte) in bytes.iter().enumerate() {
                        cell(&memory, at).store(*byte, Ordering::Relaxed);
                    }
                }
                _ => {}
            }
        }
    }
}

/// Sixteen bytes: random, or lanes at the edges of their types, or small numbers.
pub(super) fn edgy(random: &mut SmallRng) -> u128 {
    const EDGES: [u64; 12] = [
        0,
        u64::MAX,
        0x8080_8080_8080_8080,
        0x7f7f_7f7f_7f7f_7f7f,
        0x8000_8000_8000_8000,
        0x7fff_7fff_7fff_7fff,
        0x8000_0000_8000_0000,
        0x7fff_ffff_7fff_ffff,
        0x8000_0000_0000_0000,
        0x7fff_ffff_ffff_ffff,
        0x3f80_0000_ff80_0000,
        0x7fc0_0000_8000_0000,
    ];
    match random.random_range(0..4) {
        0 => random.random(),
        1 => {
            let edge = |random: &mut SmallRng| EDGES[random.random_range(0..EDGES.len())];
            u128::from(edge(random)) << 64 | u128::from(edge(random))
        }
        2 => random.random::<u128>() & 0x0007_0007_0007_0007_0007_0007_0007_0007,
        _ => {
            let lanes: [f32; 4] =
                std::array::from_fn(|_| f32::from(random.random_range(-1000i16..1000)) / 8.0);
            lanes.iter().rev().fold(0, |wide, lane| wide << 32 | u128::from(lane.to_bits()))
        }
    }
}

fn fill(bytes: &mut [u8], random: &mut SmallRng) {
    // Half noise, which is fast, half numbers at the edges.
    let (noise, edges) = bytes.split_at_mut(bytes.len() / 2);
    random.fill_bytes(noise);
    for chunk in edges.chunks_mut(16) {
        chunk.copy_from_slice(&edgy(random).to_le_bytes()[..chunk.len()]);
    }
}

fn cell(memory: &SharedMemory, at: usize) -> &AtomicU8 {
    // SAFETY: the pointer is to a live byte of the memory, which never shrinks, and all access from
    // the host is atomic.
    unsafe { AtomicU8::from_ptr(memory.data()[at].get()) }
}

/// The bytes of a shared memory while no wasm runs.
pub(super) fn snapshot(memory: &SharedMemory) -> Vec<u8> {
    (0..memory.data_size()).map(|at| cell(memory, at).load(Ordering::Relaxed)).collect()
}

/// Something to import, the same on both sides.
fn stand_in(
    store: &mut Store<Host>,
    at: usize,
    name: &str,
    ty: ExternType,
) -> wasmtime::Result<Extern> {
    Ok(match ty {
        ExternType::Func(ty) => {
            let results = ty.clone();
            let ticks = name == "tick";
            Func::new(&mut *store, ty, move |mut caller, arguments, out| {
                if ticks {
                    caller.engine().increment_epoch();
                }
                let mut digest = Digest::new(at as u64);
                for argument in arguments {
                    digest.wide(super::bits(argument).1);
                }
                let memory = caller.data().memory.filter(|_| caller.data().seen.len() < LOOKS);
                if let Some(memory) = memory {
                    digest.bytes(memory.data(&caller));
                }
                let host = caller.data_mut();
                host.seen.push(digest.0);
                // Few different answers, so that they do not drown the module's own data flow.
                let answer = i64::from(digest.0 as u8 & 0x3f);
                for (slot, ty) in out.iter_mut().zip(results.results()) {
                    *slot = answer_of(&ty, answer);
                }
                Ok(())
            })
            .into()
        }
        ExternType::Global(ty) => {
            let value = answer_of(ty.content(), 48);
            Global::new(&mut *store, ty, value)?.into()
        }
        ExternType::Memory(ty) if ty.is_shared() => SharedMemory::new(store.engine(), ty)?.into(),
        ExternType::Memory(ty) => Memory::new(&mut *store, ty)?.into(),
        ExternType::Table(ty) => {
            let null = Ref::null(ty.element().heap_type());
            Table::new(&mut *store, ty, null)?.into()
        }
        ExternType::Tag(_) => return Err(wasmtime::Error::msg("no stand-in for tags")),
    })
}

fn answer_of(ty: &wasmtime::ValType, answer: i64) -> Val {
    match ty {
        wasmtime::ValType::I32 => Val::I32(answer as i32),
        wasmtime::ValType::I64 => Val::I64(answer),
        wasmtime::ValType::F32 => Val::F32((answer as f32).to_bits()),
        wasmtime::ValType::F64 => Val::F64((answer as f64).to_bits()),
        wasmtime::ValType::V128 => Val::V128((answer as u128 * 0x0101_0101).into()),
        wasmtime::ValType::Ref(ty) => Val::null_ref(ty.heap_type()),
    }
}

/// A quick hash, eight bytes at a time.
struct Digest(u64);

impl Digest {
    fn new(start: u64) -> Digest {
        Digest(start ^ 0xcbf2_9ce4_8422_2325)
    }

    fn word(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn wide(&mut self, wide: u128) {
        self.word(wide as u64);
        self.word((wide >> 64) as u64);
    }

    fn bytes(&mut self, bytes: &[u8]) {
        let (chunks, _) = bytes.as_chunks::<8>();
        chunks.iter().for_each(|chunk| self.word(u64::from_le_bytes(*chunk)));
    }
}

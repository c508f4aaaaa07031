//! Keeps in registers what a loop stores in one turn and loads in the next.
//!
//! In a fast loop it is known which accesses meet and that none traps, so a load at the place of
//! an earlier store has that store's value. (Scalar replacement; see Callahan, Carr and Kennedy,
//! "Improving register allocation for subscripted variables", PLDI 1990.) Only loads go; every store
//! stays.

use crate::promote::{Around, retype};
use crate::scope::Scope;
use crate::streams::{Place, Streams, Stride};
use crate::{Access, Accesses};
use cranelift_codegen::ir::{Block, Function, Inst, InstructionData, Opcode, Value};

/// Values that a loop may carry so: each takes a register.
const MAX_CARRIED: usize = 8;

/// An access in a straight piece of code.
#[derive(Clone, Copy)]
struct Spot {
    inst: Inst,
    place: Place,
}

impl Spot {
    fn meets(&self, other: &Spot) -> bool {
        self.place.meets(&other.place, 0)
    }

    /// Whether it is where `other` is, were that moved by `apart` bytes.
    fn is_at(&self, other: &Spot, apart: i64) -> bool {
        let (one, other) = (&self.place, &other.place);
        (one.stream, one.start, one.bytes) == (other.stream, other.start + apart, other.bytes)
    }
}

/// What a loop need not load.
#[derive(Default)]
pub(crate) struct Carried {
    /// Loads of what an access shortly before them stored or loaded.
    near: Vec<(Inst, Value)>,
    /// Loads of what was stored or loaded one round earlier, and that.
    far: Vec<(Inst, Value)>,
}

impl Carried {
    /// `distance` gives by how many bytes a stream moves from one round to the next.
    fn new(func: &Function, spots: &[Spot], distance: impl Fn(usize) -> Option<i64>) -> Carried {
        let mut carried = Carried::default();
        // What is known to be in memory at this point, and loads that nothing stored before.
        let mut held: Vec<(Spot, Value, bool)> = Vec::new();
        let mut first: Vec<Spot> = Vec::new();
        let mut stores: Vec<Spot> = Vec::new();
        for spot in spots {
            let plain = distance(spot.place.stream).is_some_and(|distance| distance != 0);
            match func.dfg.insts[spot.inst] {
                InstructionData::Store { opcode, args, .. } => {
                    held.retain(|(known, ..)| !known.meets(spot));
                    stores.push(*spot);
                    if plain && opcode == Opcode::Store {
                        held.push((*spot, args[0], true));
                    }
                }
                InstructionData::Load { opcode: Opcode::Load, .. } if plain => {
                    let known = held.iter().find(|(known, ..)| known.is_at(spot, 0));
                    let result = func.dfg.first_result(spot.inst);
                    match known {
                        Some((_, value, true)) => carried.near.push((spot.inst, *value)),
                        Some(_) => {}
                        None => held.push((*spot, result, false)),
                    }
                    if !stores.iter().any(|store| store.meets(spot)) {
                        first.push(*spot);
                    }
                }
                _ => {}
            }
        }
        // A load of what was loaded goes only if that one goes too: it does not wait for a store.
        loop {
            let before = carried.far.len();
            for spot in &first {
                let Some(distance) = distance(spot.place.stream) else { continue };
                let source = held.iter().find(|(known, ..)| known.is_at(spot, distance));
                let Some((_, value, stored)) = source else { continue };
                let gone = |(inst, _): &(Inst, Value)| func.dfg.first_result(*inst) == *value;
                let new = !carried.far.iter().any(|(inst, _)| *inst == spot.inst);
                if new && (*stored || carried.far.iter().any(gone)) {
                    carried.far.push((spot.inst, *value));
                }
            }
            if carried.far.len() == before {
                break;
            }
        }
        match carried.far.len() <= MAX_CARRIED {
            true => carried,
            false => Carried::default(),
        }
    }

    /// What one turn of a loop with these accesses need not load.
    pub(crate) fn of_turn(func: &Function, insts: &[Inst], streams: &Streams) -> Carried {
        let spot = |inst: &Inst| Some(Spot { inst: *inst, place: *streams.of.get(inst)? });
        let spots: Vec<Spot> = insts.iter().filter_map(spot).collect();
        Carried::new(func, &spots, |stream| known_stride(streams, stream))
    }

    pub(crate) fn has(&self, load: Inst) -> bool {
        self.near.iter().chain(&self.far).any(|(inst, _)| *inst == load)
    }
}

fn known_stride(streams: &Streams, stream: usize) -> Option<i64> {
    match streams.all[stream].stride {
        Stride::Known(stride) => Some(i64::from(stride)),
        Stride::Fixed(_) => None,
    }
}

/// Lets loads of a fast loop that makes `copies` turns at once go, where their values are known.
pub(crate) fn carry(
    func: &mut Function,
    streams: &Streams,
    copies: i64,
    first_group: u32,
    accesses: &mut Accesses,
    around: &mut Around,
) {
    let body = around.body;
    let spot = |inst: Inst| {
        let Access { group, start, bytes, .. } = accesses[inst]?;
        let store = func.dfg.insts[inst].opcode().can_store();
        let place = Place { stream: (group - first_group) as usize, start, bytes, store };
        Some(Spot { inst, place })
    };
    let spots: Vec<Spot> = func.layout.block_insts(body).filter_map(spot).collect();
    let distance = |stream| Some(known_stride(streams, stream)? * copies);
    let Carried { near, far } = Carried::new(func, &spots, distance);
    for (load, value) in near {
        replace(func, accesses, load, value);
    }
    if far.is_empty() {
        return;
    }
    let (ready, entry) = around.ready(func);
    let mut scope = Scope::default();
    let params = func.dfg.block_params(body).iter().copied();
    scope.map.extend(params.zip(entry));
    for (load, value) in far {
        let ty = func.dfg.value_type(func.dfg.first_result(load));
        let start = first_value(func, &mut scope, body, ready, load);
        let param = func.dfg.append_block_param(body, ty);
        replace(func, accesses, load, param);
        let last = func.layout.last_inst(body).expect("the loop ends in a branch");
        let value = retype(func, last, value, ty);
        around.carry(func, start, value);
    }
    func.dfg.resolve_all_aliases();
}

/// Loads what `load` finds in the first round.
fn first_value(
    func: &mut Function,
    scope: &mut Scope,
    body: Block,
    ready: Block,
    load: Inst,
) -> Value {
    let address = func.dfg.inst_args(load)[0];
    scope.value(func, body, ready, address);
    let copy = scope.copy(func, ready, load);
    func.dfg.first_result(copy)
}

fn replace(func: &mut Function, accesses: &mut Accesses, load: Inst, value: Value) {
    let result = func.dfg.first_result(load);
    let value = retype(func, load, value, func.dfg.value_type(result));
    func.layout.remove_inst(load);
    func.dfg.clear_results(load);
    func.dfg.change_to_alias(result, value);
    accesses[load] = None;
}

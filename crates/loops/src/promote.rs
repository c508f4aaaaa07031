//! Keeps in registers what a fast loop reads and writes at the same place in each turn.
//!
//! Streams that do not move meet no other stream, and nothing in a fast loop traps, so memory need
//! not hold their values until the loop ends. (Register promotion; see Lu and Cooper, "Register
//! promotion in C programs", PLDI 1997.)
//!
//! Invariant: when the loop is left, memory holds what it would hold otherwise.

use crate::affine::made_in;
use crate::fast::block_args;
use crate::streams::{Streams, Stride};
use crate::{Access, Accesses};
use cranelift_codegen::cursor::{Cursor, FuncCursor};
use cranelift_codegen::ir::{
    Block, BlockArg, Endianness, Function, Inst, InstBuilder, InstructionData, MemFlagsData,
    Opcode, Type, Value,
};

impl Streams {
    /// Whether a stream is stored to at places that stay the same, by plain accesses that are equal
    /// or apart.
    pub(crate) fn stays(&self, func: &Function, stream: usize) -> bool {
        let one = &self.all[stream];
        let mut places: Vec<(i64, u32)> = Vec::new();
        for (inst, place) in self.of.iter().filter(|(_, place)| place.stream == stream) {
            if !matches!(func.dfg.insts[*inst].opcode(), Opcode::Load | Opcode::Store) {
                return false;
            }
            places.push((place.start, place.bytes));
        }
        places.sort_unstable();
        places.dedup();
        let apart = places.windows(2).all(|two| two[0].0 + i64::from(two[0].1) <= two[1].0);
        one.stores && one.stride == Stride::Known(0) && apart
    }
}

/// The blocks around a fast loop, and what it is entered with.
pub(crate) struct Around {
    /// Where the proof ends, which goes to the loop if it holds.
    before: Block,
    pub(crate) body: Block,
    /// Where the loop ends.
    after: Block,
    /// The block between the proof and the loop, once there is one, and what it passes.
    ready: Option<(Block, Vec<Value>)>,
}

impl Around {
    pub(crate) fn new(before: Block, body: Block, after: Block) -> Around {
        Around { before, body, after, ready: None }
    }

    /// A block between the proof and the loop, without its last instruction, and what the loop is
    /// entered with.
    pub(crate) fn ready(&mut self, func: &mut Function) -> (Block, Vec<Value>) {
        let (before, body) = (self.before, self.body);
        self.ready.get_or_insert_with(|| enter_by(func, before, body)).clone()
    }

    /// Lets the last parameter of the loop be `start` at first and `next` in later rounds.
    pub(crate) fn carry(&mut self, func: &mut Function, start: Value, next: Value) {
        let (_, entry) = self.ready.as_mut().expect("the loop is entered by a block of its own");
        entry.push(start);
        pass(func, self.body, self.body, BlockArg::Value(next));
    }

    /// Ends the block between.
    pub(crate) fn finish(self, func: &mut Function) {
        if let Some((ready, entry)) = self.ready {
            FuncCursor::new(func).at_bottom(ready).ins().jump(self.body, &block_args(&entry));
        }
    }
}

/// Carries round what the fast loop accesses in streams that stay.
pub(crate) fn promote(
    func: &mut Function,
    streams: &Streams,
    first_group: u32,
    accesses: &mut Accesses,
    around: &mut Around,
) {
    let staying: Vec<u32> = (0..streams.all.len())
        .filter(|stream| streams.stays(func, *stream))
        .map(|stream| first_group + stream as u32)
        .collect();
    if staying.is_empty() {
        return;
    }
    let in_loop: Vec<(Inst, Access)> = func
        .layout
        .block_insts(around.body)
        .filter_map(|inst| Some((inst, accesses[inst]?)))
        .filter(|(_, access)| staying.contains(&access.group))
        .collect();
    // An offset that fits no access is added in the loop.
    let made_inside = |inst: Inst| {
        let (InstructionData::Load { arg: address, .. }
        | InstructionData::Store { args: [_, address], .. }) = func.dfg.insts[inst]
        else {
            return true;
        };
        made_in(func, around.body, address).is_some()
    };
    if in_loop.iter().any(|(inst, _)| made_inside(*inst)) {
        return;
    }
    let (ready, _) = around.ready(func);
    let mut kept: Vec<Kept> = Vec::new();
    for (inst, access) in in_loop {
        let place = (access.group, access.start);
        let at = match kept.iter().position(|one| one.place == place) {
            Some(at) => at,
            None => {
                let one = Kept::new(func, place, inst, ready, around.body);
                kept.push(one);
                kept.len() - 1
            }
        };
        kept[at].replace(func, inst);
        accesses[inst] = None;
    }
    for one in &kept {
        around.carry(func, one.start, one.now);
        one.write_back(func, around.after);
    }
    func.dfg.resolve_all_aliases();
}

/// What is kept of one place in memory.
struct Kept {
    place: (u32, i64),
    ty: Type,
    /// What it is before the loop, and at the instruction that was seen last.
    start: Value,
    now: Value,
    /// The store of the loop that was seen last.
    store: Option<InstructionData>,
}

impl Kept {
    /// Loads it in `ready` as the access `inst` would.
    fn new(func: &mut Function, place: (u32, i64), inst: Inst, ready: Block, body: Block) -> Kept {
        let (ty, arg, offset, flags) = match func.dfg.insts[inst] {
            InstructionData::Load { arg, offset, flags, .. } => {
                (func.dfg.value_type(func.dfg.first_result(inst)), arg, offset, flags)
            }
            InstructionData::Store { args, offset, flags, .. } => {
                (func.dfg.value_type(args[0]), args[1], offset, flags)
            }
            _ => unreachable!("a load or a store"),
        };
        let data = InstructionData::Load { opcode: Opcode::Load, arg, offset, flags };
        let load = func.dfg.make_inst(data);
        func.dfg.make_inst_results(load, ty);
        func.layout.append_inst(load, ready);
        let start = func.dfg.first_result(load);
        let now = func.dfg.append_block_param(body, ty);
        Kept { place, ty, start, now, store: None }
    }

    /// Lets an access of the loop go.
    fn replace(&mut self, func: &mut Function, inst: Inst) {
        match func.dfg.insts[inst] {
            InstructionData::Store { args, .. } => {
                self.store = Some(func.dfg.insts[inst]);
                self.now = retype(func, inst, args[0], self.ty);
                func.layout.remove_inst(inst);
            }
            _ => {
                let result = func.dfg.first_result(inst);
                let value = retype(func, inst, self.now, func.dfg.value_type(result));
                func.layout.remove_inst(inst);
                func.dfg.clear_results(inst);
                func.dfg.change_to_alias(result, value);
            }
        }
    }

    /// Stores it where the loop has ended.
    fn write_back(&self, func: &mut Function, after: Block) {
        let Some(InstructionData::Store { opcode, args, flags, offset }) = self.store else {
            return;
        };
        let args = [self.now, args[1]];
        let store = func.dfg.make_inst(InstructionData::Store { opcode, args, flags, offset });
        match func.layout.first_inst(after) {
            Some(first) => func.layout.insert_inst(store, first),
            None => func.layout.append_inst(store, after),
        }
    }
}

/// Puts a block between the proof and the loop. Gives it, without its last instruction, and what the
/// proof passes to the loop.
fn enter_by(func: &mut Function, before: Block, body: Block) -> (Block, Vec<Value>) {
    let ready = func.dfg.make_block();
    func.layout.insert_block(ready, body);
    func.layout.set_cold(ready);
    let last = func.layout.last_inst(before).expect("the proof ends in a branch");
    let dfg = &mut func.stencil.dfg;
    let calls =
        dfg.insts[last].branch_destination_mut(&mut dfg.jump_tables, &mut dfg.exception_tables);
    let lists = &mut dfg.value_lists;
    let call = calls.iter_mut().find(|call| call.block(lists) == body);
    let call = call.expect("the proof leads to the loop");
    let args = call.args(lists).filter_map(|arg| arg.as_value()).collect();
    call.clear(lists);
    call.set_block(ready, lists);
    (ready, args)
}

/// Appends an argument to what the branch at the end of `from` passes to `to`.
fn pass(func: &mut Function, from: Block, to: Block, arg: BlockArg) {
    let last = func.layout.last_inst(from).expect("a block ends in a branch");
    let dfg = &mut func.stencil.dfg;
    let calls =
        dfg.insts[last].branch_destination_mut(&mut dfg.jump_tables, &mut dfg.exception_tables);
    for call in calls {
        if call.block(&dfg.value_lists) == to {
            call.append_argument(arg, &mut dfg.value_lists);
        }
    }
}

/// `value` as `ty`, of the same size, before `inst`.
pub(crate) fn retype(func: &mut Function, inst: Inst, value: Value, ty: Type) -> Value {
    if func.dfg.value_type(value) == ty {
        return value;
    }
    let little = MemFlagsData::new().with_endianness(Endianness::Little);
    FuncCursor::new(func).at_inst(inst).ins().bitcast(ty, little, value)
}

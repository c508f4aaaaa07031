//! Vectors that are put together from loaded lanes, as gathers are in wasm.
//!
//! Moving a lane from a general register into a vector goes through the one pipe between them and takes two
//! micro-operations (Arm Neoverse N1 and V2 software optimization guides, "ASIMD transfer, gen reg to lane"); `orr` with a shift takes one
//! and has many pipes. So lanes are joined in general registers first, and go over 64 bits at a time. Invariant: each load
//! stays where it is, with what it traps by.

use cranelift_codegen::cursor::{Cursor, FuncCursor};
use cranelift_codegen::entity::SecondaryMap;
use cranelift_codegen::ir::{
    Block, Function, Inst, InstBuilder, InstructionData, Opcode, Type, Value, types,
};
use egraft_lower::{is_vector_bitcast, retype};
use smallvec::SmallVec;

/// Lanes from which on it pays.
const LEAST: usize = 3;
/// Instructions that are looked through to find which bytes of a vector are read.
const MAX_DEPTH: usize = 5;
const ALL_BYTES: u16 = u16::MAX;

/// Joins loaded lanes of `func`, where they make up all that is read of a vector.
///
/// Aliases of values are resolved.
pub(crate) fn join(func: &mut Function) {
    let mut users = None;
    let blocks: Vec<Block> = func.layout.blocks().collect();
    for block in blocks {
        let insts = func.layout.block_insts(block);
        let chains: Vec<Inst> = insts.filter(|inst| insertion(func, *inst).is_some()).collect();
        if chains.len() + 1 < LEAST {
            continue;
        }
        // Parts of a chain are read in their block alone: a rewrite leaves what is known of others as it is.
        let users = users.get_or_insert_with(|| Users::new(func));
        for top in chains {
            if let Some(built) = Built::new(func, users, block, top) {
                built.write(func, top);
            }
        }
    }
}

/// The vector, the scalar and the lane of an `insertlane`.
fn insertion(func: &Function, inst: Inst) -> Option<(Value, Value, u8)> {
    match func.dfg.insts[inst] {
        InstructionData::TernaryImm8 { opcode: Opcode::Insertlane, args, imm } => {
            Some((args[0], args[1], imm))
        }
        _ => None,
    }
}

/// The instructions that read each value.
struct Users(SecondaryMap<Value, SmallVec<[Inst; 2]>>);

impl Users {
    fn new(func: &Function) -> Users {
        let mut users: SecondaryMap<Value, SmallVec<[Inst; 2]>> = SecondaryMap::new();
        for block in func.layout.blocks() {
            for inst in func.layout.block_insts(block) {
                func.dfg.inst_values(inst).for_each(|value| users[value].push(inst));
            }
        }
        Users(users)
    }

    fn is_read_once(&self, value: Value) -> bool {
        self.0[value].len() == 1
    }

    /// The bytes of a vector that are read, a bit for each.
    fn bytes_of(&self, func: &Function, value: Value, depth: usize) -> u16 {
        let read_by = |inst: &Inst| {
            if depth == MAX_DEPTH {
                return ALL_BYTES;
            }
            let Some(&result) = func.dfg.inst_results(*inst).first() else { return ALL_BYTES };
            let of_result = || self.bytes_of(func, result, depth + 1);
            match func.dfg.insts[*inst] {
                InstructionData::Unary { opcode, .. } => match opcode {
                    Opcode::UwidenLow | Opcode::SwidenLow => {
                        narrow(of_result(), func.dfg.value_type(value))
                    }
                    Opcode::UwidenHigh | Opcode::SwidenHigh => {
                        narrow(of_result(), func.dfg.value_type(value)) << 8
                    }
                    _ => ALL_BYTES,
                },
                InstructionData::Shuffle { args, imm, .. } => {
                    let Some(mask) = func.dfg.immediates.get(imm) else { return ALL_BYTES };
                    let wanted = of_result();
                    let places = mask.as_slice().iter().enumerate();
                    places.filter(|(at, _)| wanted >> at & 1 == 1).fold(0, |all, (_, from)| {
                        let reads = args[usize::from(from / 16) % 2] == value;
                        all | u16::from(reads) << (from % 16)
                    })
                }
                InstructionData::Binary { opcode, .. } if is_lanewise(opcode) => {
                    whole_lanes(of_result(), func.dfg.value_type(result))
                }
                _ if is_vector_bitcast(&func.dfg, *inst) => of_result(),
                _ => ALL_BYTES,
            }
        };
        self.0[value].iter().fold(0, |all, inst| all | read_by(inst))
    }
}

/// Whether each lane of what `opcode` makes of two vectors is made of the same lane of both.
fn is_lanewise(opcode: Opcode) -> bool {
    use Opcode::*;
    let sums = matches!(opcode, Iadd | Isub | Imul | UaddSat | SaddSat | UsubSat | SsubSat);
    let others = matches!(opcode, Umax | Umin | Smax | Smin | AvgRound | Band | Bor | Bxor);
    sums || others
}

/// All bytes of the lanes, of type `ty`, of which any byte is in `bytes`.
fn whole_lanes(bytes: u16, ty: Type) -> u16 {
    let width = ty.lane_bits() / 8;
    let lanes = (0..16 / width).map(|at| ((1u32 << width) - 1) << (at * width));
    lanes.filter(|lane| u32::from(bytes) & lane != 0).fold(0, |all, lane| all | lane as u16)
}

/// The bytes of the lower lanes, of type `ty`, that lanes of twice the width come from.
fn narrow(wide: u16, ty: Type) -> u16 {
    let width = ty.lane_bits() / 8;
    let lanes = 0..8 / width;
    let lane = |bytes: u32, at: u32| ((1u32 << bytes) - 1) << (at * bytes);
    let wanted = lanes.filter(|at| u32::from(wide) & lane(2 * width, *at) != 0);
    wanted.fold(0, |all, at| all | lane(width, at)) as u16
}

/// A vector whose lanes are loaded.
struct Built {
    /// What loads each lane that is read and not zero.
    lanes: Vec<Option<Inst>>,
    /// What puts it together, the last first.
    chain: Vec<Inst>,
}

impl Built {
    /// The vector that `top` completes.
    fn new(func: &Function, users: &Users, block: Block, top: Inst) -> Option<Built> {
        let dfg = &func.dfg;
        let result = dfg.first_result(top);
        let ty = dfg.value_type(result);
        if !matches!(ty, types::I8X16 | types::I16X8 | types::I32X4) {
            return None;
        }
        let goes_on = users.0[result]
            .iter()
            .any(|user| insertion(func, *user).is_some_and(|(vector, ..)| vector == result));
        if goes_on {
            return None;
        }
        let count = ty.lane_count() as usize;
        let mut lanes: Vec<Option<Value>> = vec![None; count];
        let mut set = vec![false; count];
        let mut chain = Vec::new();
        let mut next = Some(top);
        let mut fill = None;
        while let Some(inst) = next {
            chain.push(inst);
            let (vector, scalar, lane) = insertion(func, inst)?;
            if !std::mem::replace(&mut set[usize::from(lane)], true) {
                lanes[usize::from(lane)] = Some(scalar);
            }
            next = None;
            // If it comes from elsewhere, all that is read must be set.
            let Some(made) = dfg.value_def(vector).inst() else { break };
            let alone = func.layout.inst_block(made) == Some(block) && users.is_read_once(vector);
            match dfg.insts[made] {
                _ if !alone => break,
                _ if insertion(func, made).is_some() => next = Some(made),
                InstructionData::Unary { opcode: Opcode::Splat, arg } => fill = Some(arg),
                InstructionData::Unary { opcode: Opcode::ScalarToVector, arg } => {
                    if !std::mem::replace(&mut set[0], true) {
                        lanes[0] = Some(arg);
                    }
                    set.fill(true);
                }
                _ => break,
            }
            if next.is_none() {
                chain.push(made);
            }
        }
        let read = users.bytes_of(func, result, 0);
        let width = ty.lane_bits() / 8;
        for (at, lane) in lanes.iter_mut().enumerate() {
            let bytes = ((1u32 << width) - 1) << (at as u32 * width);
            if u32::from(read) & bytes == 0 {
                *lane = None;
            } else if !set[at] {
                // One lane can have what fills the rest.
                *lane = Some(fill.take()?);
            }
        }
        let mut loads = Vec::new();
        for lane in lanes {
            loads.push(match lane {
                Some(lane) => Some(load_of(func, block, lane)?),
                None => None,
            });
        }
        let enough = loads.iter().flatten().count() >= LEAST;
        enough.then_some(Built { lanes: loads, chain })
    }

    fn write(self, func: &mut Function, top: Inst) {
        let Built { lanes, chain } = self;
        let result = func.dfg.first_result(top);
        let ty = func.dfg.value_type(result);
        let place = func.srcloc(top);
        let mut cursor = FuncCursor::new(func).at_inst(top).with_srcloc(place);
        for inst in chain.iter().skip(1) {
            cursor.func.layout.remove_inst(*inst);
        }
        let mut wide = Vec::new();
        for load in lanes {
            wide.push(load.map(|load| Joined { value: widen(cursor.func, load), made: load }));
        }
        let (low, high) = wide.split_at(wide.len() / 2);
        let [low, high] = [low, high].map(|half| joined(cursor.func, half, ty.lane_bits()));
        let low = match low {
            Some(low) => low.value,
            None => cursor.ins().iconst(types::I64, 0),
        };
        let mut vector = cursor.ins().scalar_to_vector(types::I64X2, low);
        if let Some(high) = high {
            vector = cursor.ins().insertlane(vector, high.value, 1);
        }
        let vector = retype(&mut cursor, vector, ty);
        func.layout.remove_inst(top);
        func.dfg.clear_results(top);
        func.dfg.change_to_alias(result, vector);
    }
}

/// What loads `value`, a lane, in `block`.
fn load_of(func: &Function, block: Block, value: Value) -> Option<Inst> {
    let inst = func.dfg.value_def(value).inst()?;
    let (load, fits) = match func.dfg.insts[inst] {
        InstructionData::Load { opcode, .. } => (inst, opcode == Opcode::Load),
        InstructionData::Unary { opcode: Opcode::Ireduce, arg } => {
            let load = func.dfg.value_def(arg).inst()?;
            let opcode = func.dfg.insts[load].opcode();
            let is_lane = matches!(
                (opcode, func.dfg.value_type(value)),
                (Opcode::Uload8, types::I8)
                    | (Opcode::Uload16, types::I16)
                    | (Opcode::Uload32, types::I32)
            );
            (load, is_lane)
        }
        _ => return None,
    };
    (fits && func.layout.inst_block(load) == Some(block)).then_some(load)
}

/// Lets `load` load its lane into 64 bits, with zeros above, from which others that read it take theirs.
fn widen(func: &mut Function, load: Inst) -> Value {
    let narrow = func.dfg.first_result(load);
    let ty = func.dfg.value_type(narrow);
    if ty == types::I64 {
        return narrow;
    }
    if let InstructionData::Load { opcode: opcode @ Opcode::Load, .. } = &mut func.dfg.insts[load] {
        *opcode = match ty {
            types::I8 => Opcode::Uload8,
            types::I16 => Opcode::Uload16,
            _ => Opcode::Uload32,
        };
    }
    func.dfg.clear_results(load);
    func.dfg.make_inst_results(load, types::I64);
    let wide = func.dfg.first_result(load);
    let cut = FuncCursor::new(func).after_inst(load).ins().ireduce(ty, wide);
    func.dfg.change_to_alias(narrow, cut);
    wide
}

/// Lanes in a general register.
#[derive(Clone, Copy)]
struct Joined {
    value: Value,
    made: Inst,
}

/// Lanes of `bits` bits side by side. They are joined two and two, each pair as soon as both are there.
fn joined(func: &mut Function, lanes: &[Option<Joined>], bits: u32) -> Option<Joined> {
    if let [lane] = lanes {
        return *lane;
    }
    let (low, high) = lanes.split_at(lanes.len() / 2);
    let shift = i64::from(bits) * low.len() as i64;
    let [low, high] = [low, high].map(|half| joined(func, half, bits));
    let Some(high) = high else { return low };
    let is_later = |low: &Joined| func.layout.pp_cmp(low.made, high.made).is_gt();
    let later = low.filter(is_later).unwrap_or(high);
    let srcloc = func.srcloc(later.made);
    let mut cursor = FuncCursor::new(func).after_inst(later.made).with_srcloc(srcloc);
    let mut value = cursor.ins().ishl_imm_u(high.value, shift);
    if let Some(low) = low {
        value = cursor.ins().bor(low.value, value);
    }
    let made = func.dfg.value_def(value).unwrap_inst();
    Some(Joined { value, made })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `join` of a block that loads bytes from `v0` and puts them together by `text`.
    fn joined_in(text: &str) -> String {
        let text = format!(
            "function %lanes(i64, i8x16) {{\nblock0(v0: i64, v1: i8x16):\n{text}\nreturn\n}}"
        );
        let mut func = cranelift_reader::parse_functions(&text).expect("it is CLIF").remove(0);
        join(&mut func);
        cranelift_codegen::verify_function(
            &func,
            &cranelift_codegen::settings::Flags::new(cranelift_codegen::settings::builder()),
        )
        .expect("it is valid");
        func.to_string()
    }

    /// Loads of bytes 0 to 4, and their insertion into `onto`.
    fn four(onto: &str) -> String {
        let loads: String = (0..4).map(|at| format!("v1{at} = load.i8 v0+{at}\n")).collect();
        let inserted = (0..4).map(|at| {
            let from = if at == 0 { onto.to_owned() } else { format!("v2{}", at - 1) };
            format!("v2{at} = insertlane {from}, v1{at}, {at}\n")
        });
        loads + &inserted.collect::<String>()
    }

    #[test]
    fn lanes_that_are_read_go_over_at_once() {
        // The widenings read only the lanes that are loaded.
        let text = joined_in(&format!(
            "{}v30 = uwiden_low v23\nv31 = uwiden_low v30\nstore v31, v0+32",
            four("v1")
        ));
        assert!(!text.contains("insertlane"), "{text}");
        assert_eq!(text.matches("uload8.i64").count(), 4, "{text}");
        assert_eq!(text.matches("bor").count(), 3, "{text}");
        assert_eq!(text.matches("scalar_to_vector").count(), 1, "{text}");
    }

    #[test]
    fn lanes_of_another_vector_that_are_read_keep_it() {
        let text = joined_in(&format!("{}store v23, v0+32", four("v1")));
        assert_eq!(text.matches("insertlane").count(), 4, "{text}");
        let text = joined_in(&format!("{}v30 = uwiden_low v23\nstore v30, v0+32", four("v1")));
        assert_eq!(text.matches("insertlane").count(), 4, "{text}");
    }

    #[test]
    fn zeros_around_lanes_need_no_insertion() {
        let text = format!("v2 = iconst.i8 0\nv3 = scalar_to_vector.i8x16 v2\n{}", four("v3"));
        let text = joined_in(&format!("{text}store v23, v0+32"));
        assert!(!text.contains("insertlane"), "{text}");
    }

    #[test]
    fn one_load_may_be_in_several_lanes() {
        let text = joined_in(
            "v10 = load.i8 v0
             v11 = load.i8 v0+1
             v20 = insertlane v1, v10, 0
             v21 = insertlane v20, v11, 1
             v22 = insertlane v21, v10, 2
             v23 = insertlane v22, v10, 3
             v30 = uwiden_low v23
             v31 = uwiden_low v30
             store v31, v0+32",
        );
        assert!(!text.contains("insertlane"), "{text}");
    }
}

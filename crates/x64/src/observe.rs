//! What selection makes of a function, for validation. Compiles nothing.
//!
//! Not part of the stable interface: it shows this crate's own form of machine code.

pub use crate::abi::{Place, Slot};
pub use crate::vcode::{
    Block, BlockId, Call, Callee, Cc, Cond, Edge, Inst, Kind, Mem, Opnd, Opnds, VCode,
};

use crate::abi::Abi;
use crate::{Options, Ready, Unsupported, features, frame, prepared};
use cranelift_codegen::ir::{self, Function, Signature, Value};
use cranelift_codegen::isa::TargetIsa;
use regalloc2::VReg;
use rustc_hash::{FxHashMap, FxHashSet};

/// A function before and after selection, before packing and register allocation.
#[derive(Debug)]
pub struct Selection {
    /// The CLIF that instructions were selected for.
    pub func: Function,
    /// What each of its accesses in fast versions of loops is known to touch.
    pub accesses: egraft_loops::Accesses,
    /// Loops that have a fast version.
    pub versions: usize,
    /// The code.
    pub vcode: VCode,
    /// Bytes of each constant behind the code.
    pub constants: Vec<Vec<u8>>,
    /// What each block became.
    pub blocks: FxHashMap<ir::Block, BlockId>,
    /// The register of each value that has one.
    pub regs: FxHashMap<Value, VReg>,
    /// Block parameters of 32 bits whose registers are said to have zeros above.
    pub zero_extended: FxHashSet<Value>,
    /// Where each explicit stack slot starts.
    pub stack_slots: Vec<u32>,
}

/// Arguments and results of a signature, and bytes of its stack arguments.
///
/// # Errors
/// [`Unsupported`] for a signature that is not covered.
pub fn places(signature: &Signature) -> Result<(Vec<Slot>, Vec<Slot>, u32), Unsupported> {
    let abi = Abi::new(signature)?;
    Ok((abi.args, abi.rets, abi.arg_bytes))
}

/// Selects instructions for `func` as [`crate::compile`] does.
///
/// # Errors
/// As [`crate::compile`].
pub fn select(
    func: &Function,
    isa: &dyn TargetIsa,
    options: &Options,
) -> Result<Selection, Unsupported> {
    let features = features::Features::new(isa)?;
    let abi = Abi::new(&func.signature)?;
    let (context, fault_places) = prepared(func, isa, options)?;
    let stack_slots = frame::StackSlots::new(&context.func)?;
    let ready = Ready { func: &context.func, isa, features, abi: &abi, fault_places, stack_slots };
    let (func, versioned, _) = ready.versions(options, &mut Vec::new())?;
    let selected = ready.select(&func, &versioned)?;
    let blocks = func.layout.blocks().filter_map(|block| Some((block, selected.block(block)?)));
    let regs = func.dfg.values().filter_map(|value| Some((value, selected.regs[value]?)));
    let (blocks, regs) = (blocks.collect(), regs.collect());
    let zero_extended =
        func.dfg.values().filter(|value| selected.zero_extended.contains(*value)).collect();
    let mut constants = Vec::new();
    for (_, data) in selected.constants.iter() {
        constants.push(data.as_slice().to_vec());
    }
    Ok(Selection {
        blocks,
        regs,
        zero_extended,
        constants,
        versions: versioned.loops.len(),
        accesses: versioned.accesses,
        vcode: selected.vcode,
        stack_slots: ready.stack_slots.offsets.to_vec(),
        func,
    })
}

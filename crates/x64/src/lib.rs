//! Egraft's own x86-64 backend: whole CLIF functions to machine code for an unmodified Wasmtime.
//!
//! A function goes through instruction selection (`select`, tiles with names and costs), register
//! allocation (regalloc2) and emission (iced-x86 into Cranelift's `MachBuffer`). What the backend
//! does not cover it refuses with [`Unsupported`]; the function is then left to stock Cranelift.
//! It neither rewrites CLIF nor caches code.
//!
//! Invariant: code of this crate and of stock Cranelift for the same function compute the same
//! bits, trap in the same cases with the same codes, and call each other.

mod abi;
mod asm;
mod emit;
mod entries;
mod error;
mod evex;
mod faults;
mod features;
mod frame;
mod marks;
#[doc(hidden)]
pub mod observe;
mod pack;
mod redundant;
mod regalloc;
mod regs;
mod renames;
mod select;
mod vcode;
mod work;

pub use error::Unsupported;

use cranelift_codegen::Context;
use cranelift_codegen::cursor::{Cursor, FuncCursor};
use cranelift_codegen::incremental_cache::serialize_compiled;
use cranelift_codegen::ir::{Block, Function, InstBuilder, TrapCode};
use cranelift_codegen::isa::TargetIsa;
use egraft_listing::Listing;
pub use egraft_loops::{Declined, Gains, Version};
use egraft_loops::{Pair, Versioned, Which};
use faults::FaultPlaces;
use pack::Level;
use regalloc::Allocated;
use select::Selected;
use target_lexicon::Architecture;
use vcode::WASM_VECTOR;
use work::Work;

/// How to compile.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Whether Cranelift's own mid-end runs first. Off for CLIF that went through it.
    pub optimize: bool,
    /// Which loops get a second version, in which no access traps.
    pub version: Version,
    /// Whether loops of few turns are unrolled before that.
    pub unroll: bool,
    /// What second versions gain.
    pub gains: Gains,
    /// What pairs of instructions may become, as far as the target has it.
    pub widest: Widest,
    /// Whether to list the code with the tile behind each instruction.
    pub listing: bool,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            optimize: true,
            version: Version::Paying,
            unroll: true,
            gains: Gains::default(),
            widest: Widest::Bits512,
            listing: false,
        }
    }
}

/// The widest vectors that code may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Widest {
    /// Those of wasm.
    Bits128,
    /// Those of AVX2.
    Bits256,
    /// Those of AVX-512, on targets with its parts F, BW, DQ and VL.
    Bits512,
}

impl Widest {
    /// How many of wasm's vectors a turn of a fast loop should have side by side; two are worth it
    /// where they do not become one, too.
    fn side_by_side(self) -> u32 {
        match self {
            Widest::Bits128 | Widest::Bits256 => 2,
            Widest::Bits512 => 4,
        }
    }
}

/// A compiled function.
#[derive(Debug, Clone)]
pub struct Compiled {
    /// What Wasmtime's incremental cache takes, as from
    /// [`serialize_compiled`].
    pub blob: Vec<u8>,
    /// Bytes of machine code, constants included.
    pub code_bytes: usize,
    /// Instructions with their tiles, if [`Options::listing`] asked for it.
    pub listing: Option<Listing>,
    /// Loops that have a second version.
    pub versions: usize,
    /// Why other loops of one block have none.
    pub declined: Vec<Declined>,
}

/// Whether `isa` has what all code of this backend needs.
pub fn supports(isa: &dyn TargetIsa) -> bool {
    features::Features::new(isa).is_ok()
}

/// Compiles `func` for `isa`.
///
/// References to other functions keep the names of `func`.
///
/// # Errors
/// [`Unsupported`] names the first thing that is not covered.
pub fn compile(
    func: &Function,
    isa: &dyn TargetIsa,
    options: &Options,
) -> Result<Compiled, Unsupported> {
    let features = features::Features::new(isa)?;
    let abi = abi::Abi::new(&func.signature)?;
    let (context, fault_places) = prepared(func, isa, options)?;
    let stack_slots = frame::StackSlots::new(&context.func)?;
    let ready = Ready { func: &context.func, isa, features, abi: &abi, fault_places, stack_slots };
    let widest = options.widest.min(features.widest());
    let mut best = ready.allocated(&Options { widest, ..*options }, Vec::new())?;
    // Wide code may spill where narrow code does not.
    let work = best.work();
    if best.selected.vcode.vector_bytes > WASM_VECTOR && work.spills_much() {
        let narrow = Options { widest: Widest::Bits128, ..*options };
        let narrow = ready.allocated(&narrow, best.poor.clone())?;
        if narrow.work().is_less_than(&work) {
            best = narrow;
        }
    }
    if options.version == Version::Paying {
        entries::settle(&mut best.selected, &best.allocated, &best.versioned.loops);
    }
    let versions = options.listing.then(|| best.versions());
    let Allocation { func, versioned, selected, allocated, .. } = best;
    let Selected { vcode, constants, .. } = selected;
    let body = emit::body(&vcode, &allocated);
    let frame = frame::Frame::new(&func, isa, &abi, &ready.stack_slots, body)?;
    let (buffer, marks) = emit::emit(&vcode, &allocated, &frame, &constants, versions)?;

    // The result's type cannot be named, so the code is put into one that Cranelift made.
    let mut stencil = Context::for_function(shell(&func))
        .compile_stencil(isa, &mut Default::default())
        .map_err(|error| Unsupported::new("signature", error))?;
    stencil.buffer = buffer.finish(&constants, &mut Default::default());
    let code_bytes = stencil.buffer.data().len();
    let (stencil, blob) = serialize_compiled(stencil);
    let blob = blob.map_err(|error| Unsupported::new("serialisation", error))?;
    let listing = marks.and_then(|marks| {
        let code = stencil.apply_params(&func.params);
        let price = |line: &str| egraft_lower::price(Architecture::X86_64, line);
        Some(Listing::of(&code, &func.params, isa, price)?.marked(&marks.into()))
    });
    let (versions, declined) = (versioned.loops.len(), versioned.declined);
    Ok(Compiled { blob, code_bytes, listing, versions, declined })
}

/// `func` as Cranelift's mid-end, unrolling and interleaving of columns leave it.
fn prepared(
    func: &Function,
    isa: &dyn TargetIsa,
    options: &Options,
) -> Result<(Context, FaultPlaces), Unsupported> {
    let mut context = Context::for_function(func.clone());
    if options.optimize {
        context
            .optimize(isa, &mut Default::default())
            .map_err(|error| Unsupported::new("optimisation", error))?;
    }
    let mut fault_places = faults::places(&context.func);
    if options.optimize && options.unroll {
        let copies = egraft_loops::unroll(&mut context, isa)
            .map_err(|error| Unsupported::new("optimisation", error))?;
        let place = |(copy, first)| Some((copy, *fault_places.get(&first)?));
        let places: Vec<_> = copies.into_iter().flatten().filter_map(place).collect();
        fault_places.extend(places);
    }
    if options.optimize {
        egraft_lower::interleave_columns(&mut context.func);
        if egraft_lower::add_before_extracting(&mut context.func) {
            context
                .optimize(isa, &mut Default::default())
                .map_err(|error| Unsupported::new("optimisation", error))?;
        }
    }
    Ok((context, fault_places))
}

/// A function as Cranelift's mid-end left it, and what else selection needs to know.
struct Ready<'a> {
    func: &'a Function,
    isa: &'a dyn TargetIsa,
    features: features::Features,
    abi: &'a abi::Abi,
    fault_places: FaultPlaces,
    stack_slots: frame::StackSlots,
}

/// A function in machine instructions with registers.
struct Allocation {
    /// With the versions of its loops.
    func: Function,
    versioned: Versioned,
    /// Loops whose second versions were not shorter.
    poor: Vec<Block>,
    selected: Selected,
    allocated: Allocated,
}

impl Ready<'_> {
    fn select(&self, func: &Function, versioned: &Versioned) -> Result<Selected, Unsupported> {
        let Ready { features, abi, fault_places, stack_slots, .. } = self;
        select::select(func, &versioned.accesses, fault_places, *features, abi, stack_slots)
    }

    /// Gives loops but for `poor` ones second versions, selects instructions, packs them and allocates
    /// registers.
    fn allocated(
        &self,
        options: &Options,
        mut poor: Vec<Block>,
    ) -> Result<Allocation, Unsupported> {
        let (func, versioned, mut selected) = self.versions(options, &mut poor)?;
        let allocated = match regalloc::allocate(&selected.vcode) {
            // Better narrow than not at all; but it is a bug of packing.
            Err(error) if options.widest > Widest::Bits128 => {
                debug_assert!(false, "packed code has no allocation: {error}");
                selected = self.select(&func, &versioned)?;
                regalloc::allocate(&selected.vcode)?
            }
            allocated => allocated?,
        };
        let mut allocation = Allocation { func, versioned, poor, selected, allocated };
        allocation.rename_in_loops();
        Ok(allocation)
    }

    /// Second versions of loops; those that turn out not to be shorter are taken back, and `poor`.
    fn versions(
        &self,
        options: &Options,
        poor: &mut Vec<Block>,
    ) -> Result<(Function, Versioned, Selected), Unsupported> {
        let mut func = self.func.clone();
        let gains = Gains { vectors: options.widest.side_by_side(), ..options.gains };
        loop {
            let versioned = match options.version {
                Version::Never => Versioned::default(),
                Version::Paying => egraft_loops::version(&mut func, Which::PayingBut(poor), gains),
                Version::Always => egraft_loops::version(&mut func, Which::All, gains),
            };
            debug_assert!(
                cranelift_codegen::verify_function(&func, self.isa).is_ok(),
                "versions of loops are valid"
            );
            let mut selected = self.select(&func, &versioned)?;
            let Selected { vcode, constants, .. } = &mut selected;
            for (widest, level) in
                [(Widest::Bits256, Level::Bits256), (Widest::Bits512, Level::Bits512)]
            {
                if options.widest >= widest {
                    pack::pack(vcode, constants, level);
                }
            }
            let longer = versioned.loops.iter().filter(|pair| !selected.is_shorter(pair));
            let before = poor.len();
            poor.extend(longer.map(|pair| pair.plain));
            if poor.len() == before || options.version == Version::Always {
                return Ok((func, versioned, selected));
            }
            func.clone_from(self.func);
        }
    }
}

impl Allocation {
    /// The blocks of loops that have a second version.
    fn versions(&self) -> Vec<marks::Version> {
        let version = |pair: &Pair| {
            let (plain, fast) = (self.selected.block(pair.plain)?, self.selected.block(pair.fast)?);
            let rest = pair.rest.and_then(|rest| self.selected.block(rest));
            Some(marks::Version { plain, fast, turns: pair.turns, rest })
        };
        self.versioned.loops.iter().filter_map(version).collect()
    }

    /// Allocates registers once more with names of their own for what loops read, if these use the stack,
    /// and keeps what is less work.
    fn rename_in_loops(&mut self) {
        let vcode = renames::renamed_in_loops(&self.selected.vcode, &self.allocated);
        let Some(vcode) = vcode else { return };
        let Ok(allocated) = regalloc::allocate(&vcode) else { return };
        let work = Work::of(&vcode, &allocated, &self.versions());
        if work.is_less_in_long_loops_than(&self.work()) {
            self.selected.vcode = vcode;
            self.allocated = allocated;
        }
    }

    /// The work of a run in which every fast version is entered.
    fn work(&self) -> Work {
        Work::of(&self.selected.vcode, &self.allocated, &self.versions())
    }
}

/// A function of the same signature that does nothing.
fn shell(func: &Function) -> Function {
    let mut shell = Function::with_name_signature(func.name.clone(), func.signature.clone());
    let block = shell.dfg.make_block();
    for param in &func.signature.params {
        shell.dfg.append_block_param(block, param.value_type);
    }
    let mut cursor = FuncCursor::new(&mut shell);
    cursor.insert_block(block);
    cursor.ins().trap(TrapCode::unwrap_user(1));
    shell
}

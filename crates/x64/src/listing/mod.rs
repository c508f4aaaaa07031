//! Machine code to be read: instructions, where each comes from, and the loops they make.
//!
//! Reads finished code, Egraft's and Cranelift's alike, so that both are judged by the same eyes.
//! What no branch leads to, such as constants behind the code, is not part of a listing.
//!
//! Invariant: instructions are in the order of their offsets and do not overlap.

mod loops;
mod walk;

use crate::vcode::BlockId;
use cranelift_codegen::CompiledCode;
use cranelift_codegen::ir::function::FunctionParameters;
use iced_x86::{
    Formatter, GasFormatter, Instruction, InstructionInfoFactory, IntelFormatter, OpAccess, OpKind,
    Register,
};
use rustc_hash::FxHashMap;
use std::collections::BTreeMap;
use std::fmt;

/// The code of one function.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listing {
    /// Instructions that can be reached, by offset.
    pub insts: Vec<ListedInst>,
    /// Loops, by the offset of their headers.
    pub loops: Vec<ListedLoop>,
}

/// One instruction.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListedInst {
    /// Bytes from the start of the function.
    pub offset: u32,
    /// Its bytes.
    pub length: u32,
    /// It, in Intel's syntax; branches name offsets, calls functions.
    pub text: String,
    /// It, in AT&T's syntax, as Cranelift writes code and prices are found.
    pub att: String,
    /// The tile that made it; `None` in code of Cranelift, and for shared traps.
    pub tile: Option<&'static str>,
    /// Where in the source it comes from: for wasm the offset in the module, `None` for code that
    /// belongs to no instruction there.
    pub source: Option<u32>,
    /// The widest registers that it names.
    pub width: Width,
    /// Whether it reads memory, constants included.
    pub loads: bool,
    /// Whether it writes memory.
    pub stores: bool,
    /// Whether the memory is in the stack frame.
    pub stack: bool,
    /// Whether a block starts here.
    pub starts_block: bool,
}

/// What an instruction works on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Width {
    /// Integers, and single numbers in vector registers.
    Scalar,
    /// Vectors of 128 bits.
    Bits128,
    /// Vectors of 256 bits.
    Bits256,
    /// Vectors of 512 bits.
    Bits512,
}

/// A natural loop.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListedLoop {
    /// Positions of its instructions in [`Listing::insts`], ascending.
    pub insts: Vec<usize>,
    /// Position of the instruction at which it is entered.
    pub header: usize,
    /// Position of the branch back to it, the last one if there are several.
    pub latch: usize,
    /// How many loops it is in, itself included.
    pub depth: u32,
    /// Whether it holds no other loop.
    pub innermost: bool,
    /// The loop of which this is a fast version.
    pub version: Option<ListedVersion>,
}

/// What a fast version of a loop does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListedVersion {
    /// Position of the loop as it was in [`Listing::loops`].
    pub plain: usize,
    /// How many turns of that loop it makes at once.
    pub turns: u32,
}

impl Listing {
    /// Reads `code`; `params` are those of its function, to name what it calls.
    pub fn of(code: &CompiledCode, params: &FunctionParameters) -> Listing {
        let buffer = &code.buffer;
        let named: BTreeMap<u32, String> = buffer
            .relocs()
            .iter()
            .map(|reloc| (reloc.offset, reloc.target.display(Some(params))))
            .collect();
        let walked = walk::walk(buffer.data(), &named);
        let mut writer = Writer::new();
        let mut sources = buffer.get_srclocs_sorted().iter().peekable();
        let mut insts = Vec::with_capacity(walked.insts.len());
        for (&offset, inst) in &walked.insts {
            while sources.next_if(|range| range.end <= offset).is_some() {}
            let source = sources.peek().filter(|range| range.start <= offset);
            let mut listed = writer.inst(offset, inst);
            listed.source =
                source.map(|range| range.loc).filter(|loc| !loc.is_default()).map(|loc| loc.bits());
            listed.starts_block = walked.starts.contains(&offset);
            if inst.is_call_near() || inst.is_jmp_near() {
                let name = named.range(offset..offset + listed.length).next();
                listed.name_target(name.map(|(_, name)| name.as_str()));
            }
            insts.push(listed);
        }
        let loops = loops::find(&walked);
        Listing { insts, loops }
    }

    /// Reads code that this crate made.
    pub(crate) fn marked(
        code: &CompiledCode,
        params: &FunctionParameters,
        marks: &Marks,
    ) -> Listing {
        let mut listing = Listing::of(code, params);
        for inst in &mut listing.insts {
            let mark = marks.tiles.binary_search_by_key(&inst.offset, |(offset, _)| *offset);
            inst.tile = mark.ok().map(|at| marks.tiles[at].1);
        }
        for version in &marks.versions {
            let at = |block: BlockId| {
                let offset = *marks.blocks.get(&block)?;
                listing.loops.iter().position(|found| listing.insts[found.header].offset == offset)
            };
            if let (Some(plain), Some(fast)) = (at(version.plain), at(version.fast)) {
                let turns = version.turns;
                listing.loops[fast].version = Some(ListedVersion { plain, turns });
            }
        }
        listing
    }

    /// The instructions of a loop.
    pub fn insts_of<'a>(&'a self, found: &'a ListedLoop) -> impl Iterator<Item = &'a ListedInst> {
        found.insts.iter().map(|at| &self.insts[*at])
    }
}

/// What emission knows of its code and bytes do not tell.
#[derive(Debug, Default)]
pub(crate) struct Marks {
    /// The tile of the instruction at each offset, ascending.
    pub(crate) tiles: Vec<(u32, &'static str)>,
    /// Where each block starts, padding left out.
    pub(crate) blocks: FxHashMap<BlockId, u32>,
    /// Loops with two versions.
    pub(crate) versions: Vec<Version>,
}

/// A loop of one block and its fast version.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Version {
    pub(crate) plain: BlockId,
    pub(crate) fast: BlockId,
    /// How many turns of the one the other makes at once.
    pub(crate) turns: u32,
    /// Straight code for a part of those that remain.
    pub(crate) rest: Option<BlockId>,
}

impl ListedInst {
    /// Writes the name of a function where a target is filled in later.
    fn name_target(&mut self, name: Option<&str>) {
        let Some(name) = name else { return };
        for text in [&mut self.text, &mut self.att] {
            let mnemonic = text.split(' ').next().unwrap_or_default().len();
            text.truncate(mnemonic);
            text.push(' ');
            text.push_str(name);
        }
    }
}

/// Makes texts of instructions, and finds what they access.
struct Writer {
    intel: IntelFormatter,
    gas: GasFormatter,
    info: InstructionInfoFactory,
}

impl Writer {
    fn new() -> Writer {
        let (mut intel, mut gas) = (IntelFormatter::new(), GasFormatter::new());
        for options in [intel.options_mut(), gas.options_mut()] {
            options.set_hex_prefix("0x");
            options.set_hex_suffix("");
            options.set_uppercase_hex(false);
            options.set_branch_leading_zeros(false);
            options.set_show_branch_size(false);
            options.set_rip_relative_addresses(true);
            options.set_gas_show_mnemonic_size_suffix(true);
        }
        Writer { intel, gas, info: InstructionInfoFactory::new() }
    }

    fn inst(&mut self, offset: u32, inst: &Instruction) -> ListedInst {
        let (mut text, mut att) = (String::new(), String::new());
        self.intel.format(inst, &mut text);
        self.gas.format(inst, &mut att);
        let (mut loads, mut stores, mut stack) = (false, false, false);
        for memory in self.info.info(inst).used_memory() {
            use OpAccess as A;
            let access = memory.access();
            loads |= matches!(access, A::Read | A::CondRead | A::ReadWrite | A::ReadCondWrite);
            stores |= matches!(access, A::Write | A::CondWrite | A::ReadWrite | A::ReadCondWrite);
            stack |=
                access != A::NoMemAccess && matches!(memory.base(), Register::RSP | Register::RBP);
        }
        ListedInst {
            offset,
            length: inst.len() as u32,
            width: width(inst, &text),
            text,
            att,
            tile: None,
            source: None,
            loads,
            stores,
            stack,
            starts_block: false,
        }
    }
}

fn width(inst: &Instruction, text: &str) -> Width {
    let registers = (0..inst.op_count())
        .filter(|at| inst.op_kind(*at) == OpKind::Register)
        .map(|at| inst.op_register(at));
    let widest = registers.map(|register| match register {
        _ if register.is_zmm() => Width::Bits512,
        _ if register.is_ymm() => Width::Bits256,
        _ if register.is_xmm() => Width::Bits128,
        _ => Width::Scalar,
    });
    match widest.max() {
        Some(Width::Bits128) if is_single(text) => Width::Scalar,
        widest => widest.unwrap_or(Width::Scalar),
    }
}

/// Whether an instruction works on one float. `pabsd` and its like end as those do.
fn is_single(text: &str) -> bool {
    let mnemonic = text.split(' ').next().unwrap_or_default();
    let mnemonic = mnemonic.strip_prefix('v').unwrap_or(mnemonic);
    let ends = |end: &str| mnemonic.ends_with(end) || mnemonic.contains(&format!("{end}2"));
    !mnemonic.starts_with('p') && !mnemonic.starts_with("broadcast") && (ends("ss") || ends("sd"))
}

impl fmt::Display for Listing {
    /// A line for each instruction: offset, text, and behind a semicolon source and tile.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for inst in &self.insts {
            if inst.starts_block {
                writeln!(f, "{:#x}:", inst.offset)?;
            }
            write!(f, "    {:52} ;", inst.text)?;
            if let Some(source) = inst.source {
                write!(f, " @{source:04x}")?;
            }
            if let Some(tile) = inst.tile {
                write!(f, " {tile}")?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loops_are_found_with_what_is_in_them() {
        // xor eax, eax; 2: inc eax; 4: dec ecx; jne 4; dec edx; jne 2; ret; data
        let code = b"\x31\xc0\xff\xc0\xff\xc9\x75\xfc\xff\xca\x75\xf6\xc3\xff\xff\xff";
        let walked = walk::walk(code, &BTreeMap::new());
        assert_eq!(walked.insts.len(), 7);
        let loops = loops::find(&walked);
        let shapes: Vec<_> = loops
            .iter()
            .map(|found| (found.insts.clone(), found.depth, found.innermost, found.latch))
            .collect();
        assert_eq!(shapes, [(vec![1, 2, 3, 4, 5], 1, false, 5), (vec![2, 3], 2, true, 3)]);
    }

    #[test]
    fn tables_are_data_and_what_they_lead_to_is_code() {
        // add rax, rcx; jmp rax; two entries; ret; ret
        let code = b"\x48\x01\xc8\xff\xe0\x08\0\0\0\x09\0\0\0\xc3\xc3";
        let walked = walk::walk(code, &BTreeMap::new());
        assert_eq!(walked.insts.keys().copied().collect::<Vec<_>>(), [0, 3, 13, 14]);
        assert_eq!(walked.targets[&3], [13, 14]);
        // Without the sum the jump leaves the function.
        assert_eq!(walk::walk(&code[3..], &BTreeMap::new()).insts.len(), 1);
    }

    #[test]
    fn widths_and_accesses_are_told_apart() {
        let listed = |bytes: &[u8]| {
            let mut decoder = iced_x86::Decoder::new(64, bytes, iced_x86::DecoderOptions::NONE);
            let inst = Writer::new().inst(0, &decoder.decode());
            (inst.text, inst.width, inst.loads, inst.stores, inst.stack)
        };
        let paddw = ("vpaddw ymm0,ymm1,[rax]".to_owned(), Width::Bits256, true, false, false);
        assert_eq!(listed(b"\xc5\xf5\xfd\x00"), paddw);
        let addss = ("addss xmm0,xmm1".to_owned(), Width::Scalar, false, false, false);
        assert_eq!(listed(b"\xf3\x0f\x58\xc1"), addss);
        let pabsd = ("pabsd xmm0,xmm1".to_owned(), Width::Bits128, false, false, false);
        assert_eq!(listed(b"\x66\x0f\x38\x1e\xc1"), pabsd);
        let spill = ("mov [rsp],rax".to_owned(), Width::Scalar, false, true, true);
        assert_eq!(listed(b"\x48\x89\x04\x24"), spill);
    }
}

//! Machine code to be read: instructions, where each comes from, and the loops they make.
//!
//! Reads finished code, Egraft's and Cranelift's alike, so that both are judged by the same eyes.
//! What no branch leads to, such as constants behind the code, is not part of a listing.
//!
//! Invariant: instructions are in the order of their offsets and do not overlap.

mod aarch64;
mod loops;
mod walk;
mod x64;

use cranelift_codegen::CompiledCode;
use cranelift_codegen::ir::function::FunctionParameters;
use cranelift_codegen::isa::TargetIsa;
use std::collections::BTreeMap;
use std::fmt;
use target_lexicon::Architecture;
use walk::{Step, walk};

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
    /// It, in Intel's syntax on x86-64 and Arm's on AArch64; branches name offsets, calls functions.
    pub text: String,
    /// What it costs, in 1/16 cycle of reciprocal throughput.
    pub cost: u32,
    /// The tile or machine op that made it; `None` in code of Cranelift, and for shared traps.
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

/// What whoever made the code knows of it and bytes do not tell.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Marks {
    /// The tile of the instruction at each offset, ascending.
    pub tiles: Vec<(u32, &'static str)>,
    /// Loops with two versions.
    pub versions: Vec<MarkedVersion>,
}

/// A loop of one block and its fast version, each by the offset of one of its instructions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MarkedVersion {
    /// In the loop as it was.
    pub plain: u32,
    /// In its fast version.
    pub fast: u32,
    /// How many turns of the one the other makes at once.
    pub turns: u32,
}

/// Reads the code of one target.
trait Reader {
    /// The instruction at `offset`: how long it is, and where control goes; `None` if there is none.
    /// `is_named` tells whether a field within is filled in with the address of another function.
    fn step(
        &mut self,
        offset: u32,
        is_named: &dyn Fn(std::ops::Range<u32>) -> bool,
    ) -> Option<Step>;

    /// The text of the instruction at `offset`, what it accesses, and the line that prices are found by.
    fn written(&mut self, offset: u32) -> Option<(ListedInst, String)>;

    /// Whether the instruction at `offset` is a call or a jump that may be to a function with a name.
    fn is_jump_or_call(&mut self, offset: u32) -> bool;
}

impl Listing {
    /// Reads `code` for `isa`; `params` are those of its function, to name what it calls. `price` tells
    /// what a line of assembly costs, as Cranelift writes it. `None` for targets other than x86-64 and AArch64.
    pub fn of(
        code: &CompiledCode,
        params: &FunctionParameters,
        isa: &dyn TargetIsa,
        price: impl Fn(&str) -> u32,
    ) -> Option<Listing> {
        let data = code.buffer.data();
        match isa.triple().architecture {
            Architecture::X86_64 => Some(Listing::read(x64::Code::new(data), code, params, price)),
            Architecture::Aarch64(_) => {
                let disassembler = isa.to_capstone().ok()?;
                let text = |word: &[u8], offset: u32| {
                    let insts = disassembler.disasm_count(word, offset.into(), 1).ok()?;
                    let inst = insts.first()?;
                    Some((inst.mnemonic()?.to_owned(), inst.op_str()?.to_owned()))
                };
                Some(Listing::read(aarch64::Code::new(data, text), code, params, price))
            }
            _ => None,
        }
    }

    fn read(
        mut reader: impl Reader,
        code: &CompiledCode,
        params: &FunctionParameters,
        price: impl Fn(&str) -> u32,
    ) -> Listing {
        let buffer = &code.buffer;
        let named: BTreeMap<u32, String> = buffer
            .relocs()
            .iter()
            .map(|reloc| (reloc.offset, reloc.target.display(Some(params))))
            .collect();
        let walked = walk(buffer.data(), &mut reader, &named);
        let mut sources = buffer.get_srclocs_sorted().iter().peekable();
        let mut insts = Vec::with_capacity(walked.steps.len());
        for &offset in walked.steps.keys() {
            while sources.next_if(|range| range.end <= offset).is_some() {}
            let source = sources.peek().filter(|range| range.start <= offset);
            let Some((mut listed, line)) = reader.written(offset) else { continue };
            listed.source =
                source.map(|range| range.loc).filter(|loc| !loc.is_default()).map(|loc| loc.bits());
            listed.starts_block = walked.starts.contains(&offset);
            listed.cost = price(&line);
            if reader.is_jump_or_call(offset) {
                let name = named.range(offset..offset + listed.length).next();
                listed.name_target(name.map(|(_, name)| name.as_str()));
            }
            insts.push(listed);
        }
        let loops = loops::find(&walked);
        Listing { insts, loops }
    }

    /// Adds what is known of the code besides.
    #[must_use]
    pub fn marked(mut self, marks: &Marks) -> Listing {
        for inst in &mut self.insts {
            let mark = marks.tiles.binary_search_by_key(&inst.offset, |(offset, _)| *offset);
            inst.tile = mark.ok().map(|at| marks.tiles[at].1);
        }
        for version in &marks.versions {
            if let (Some(plain), Some(fast)) =
                (self.innermost(version.plain), self.innermost(version.fast))
            {
                let turns = version.turns;
                self.loops[fast].version = Some(ListedVersion { plain, turns });
            }
        }
        self
    }

    /// The position of the innermost loop that holds the instruction at `offset`.
    fn innermost(&self, offset: u32) -> Option<usize> {
        let inst = self.insts.binary_search_by_key(&offset, |inst| inst.offset).ok()?;
        let mut holding = self.loops.iter().enumerate();
        let is_it =
            |found: &ListedLoop| found.innermost && found.insts.binary_search(&inst).is_ok();
        holding.find(|(_, found)| is_it(found)).map(|(at, _)| at)
    }

    /// The instructions of a loop.
    pub fn insts_of<'a>(&'a self, found: &'a ListedLoop) -> impl Iterator<Item = &'a ListedInst> {
        found.insts.iter().map(|at| &self.insts[*at])
    }
}

impl ListedInst {
    /// An instruction that touches no memory, of scalars; its price is set later.
    fn new(offset: u32, length: u32, text: String) -> ListedInst {
        ListedInst {
            offset,
            length,
            text,
            cost: 0,
            tile: None,
            source: None,
            width: Width::Scalar,
            loads: false,
            stores: false,
            stack: false,
            starts_block: false,
        }
    }

    /// Writes the name of a function where a target is filled in later.
    fn name_target(&mut self, name: Option<&str>) {
        let Some(name) = name else { return };
        let mnemonic = self.text.split(' ').next().unwrap_or_default().len();
        self.text.truncate(mnemonic);
        self.text.push(' ');
        self.text.push_str(name);
    }
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

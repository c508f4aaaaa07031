//! Stand-ins: CLIF instructions that take the place of NEON instructions until machine code is there.
//!
//! Stock Cranelift lowers each to one instruction with the same registers as what it stands for; what it is in the end
//! is patched into its word. So register allocation, frames, calls, traps and everything scalar stay stock's. A stand-in has a
//! source location of its own, by which its word is found. Invariant: no lowering rule of stock looks through a
//! stand-in or makes something else of it; where its word is not found, the function is refused.

use crate::encode::{Form, word};
use crate::error::Unsupported;
use cranelift_codegen::cursor::FuncCursor;
use cranelift_codegen::ir::{Function, Inst, InstBuilder, RelSourceLoc, SourceLoc, Value, types};
use egraft_ir::machine::MachineOp;
use egraft_lower::retype;

/// The first source location of stand-ins: a gigabyte into a function. That of what is only to be found again is
/// half a gigabyte further.
const FIRST: u32 = 0x4000_0000;
const FIRST_FOUND: u32 = 0x6000_0000;

/// Whether a function has source locations that would be taken for stand-ins'.
pub(crate) fn is_too_far(func: &Function) -> bool {
    let places = func.stencil.srclocs.values();
    let mut numbers = places.map(|place| place.expand(SourceLoc::new(0)));
    numbers.any(|place| !place.is_default() && place.bits() >= FIRST)
}

/// Opcode bits of the instruction that stands for a form, and which bits these are. Source: Arm ARM, `CNT`, `URHADD`, `BSL`.
const fn pattern(form: Form) -> (u32, u32) {
    match form {
        Form::One => (0x4e20_5800, 0xffff_fc00),
        Form::Two => (0x6e20_1400, 0xffe0_fc00),
        Form::IntoOne | Form::IntoTwo => (0x6e60_1c00, 0xffe0_fc00),
    }
}

/// The register fields that remain when the word is patched.
const fn registers(form: Form) -> u32 {
    match form {
        Form::One | Form::IntoOne => 0x0000_03ff,
        Form::Two | Form::IntoTwo => 0x001f_03ff,
    }
}

/// The stand-ins of a function.
#[derive(Debug, Default)]
pub(crate) struct StandIns {
    all: Vec<StandIn>,
    /// The source locations that instructions had which are to be found again in machine code.
    found: Vec<u32>,
}

/// What a stand-in has become, or which of what was to be found again starts here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Seen {
    Op(MachineOp),
    /// By its number.
    Found(usize),
}

/// What is at which offset of machine code.
pub(crate) type Places = Vec<(u32, Seen)>;

#[derive(Debug)]
struct StandIn {
    inst: Inst,
    op: MachineOp,
    imm: u32,
    form: Form,
    word: u32,
    /// The source location of what it was made for.
    place: u32,
}

impl StandIns {
    /// The ops, each as often as it stands in the function.
    pub(crate) fn ops(&self) -> impl Iterator<Item = MachineOp> {
        self.all.iter().map(|one| one.op)
    }

    /// The instructions of the function that stand for ops, with these and their immediates.
    pub(crate) fn insts(&self) -> impl Iterator<Item = (Inst, MachineOp, u32)> {
        self.all.iter().map(|one| (one.inst, one.op, one.imm))
    }

    /// Inserts a stand-in for `op`, which has a form and can have the immediate; the result is an `i8x16`.
    pub(crate) fn insert(
        &mut self,
        cursor: &mut FuncCursor<'_>,
        place: RelSourceLoc,
        (op, imm): (MachineOp, u32),
        args: &[Value],
    ) -> Option<Value> {
        let (form, word) = (Form::of(op)?, word(op, imm)?);
        let mut typed = [Value::from_u32(0); 3];
        for (typed, arg) in typed.iter_mut().zip(args) {
            *typed = retype(cursor, *arg, types::I8X16);
        }
        let value = match (form, &typed[..args.len()]) {
            (Form::One, &[x]) => cursor.ins().popcnt(x),
            (Form::Two, &[x, y]) => cursor.ins().avg_round(x, y),
            (Form::IntoOne, &[into, x]) => cursor.ins().bitselect(into, x, x),
            (Form::IntoTwo, &[into, x, y]) => cursor.ins().bitselect(into, x, y),
            _ => return None,
        };
        let inst = cursor.func.dfg.value_def(value).inst()?;
        let own = FIRST + self.all.len() as u32;
        cursor.func.stencil.srclocs[inst] = RelSourceLoc::new(own);
        // Locations count from 0 here, where none is the greatest number.
        let place = place.expand(SourceLoc::new(0)).bits();
        self.all.push(StandIn { inst, op, imm, form, word, place });
        Some(value)
    }

    /// Has `inst` found again in machine code, under the number that is returned.
    pub(crate) fn find(&mut self, func: &mut Function, inst: Inst) -> usize {
        let number = self.found.len();
        let place = func.stencil.srclocs[inst].expand(SourceLoc::new(0)).bits();
        func.stencil.srclocs[inst] = RelSourceLoc::new(FIRST_FOUND + number as u32);
        self.found.push(place);
        number
    }

    /// Which stand-in a source location belongs to.
    fn of(&self, place: u32) -> Option<usize> {
        let at = place.checked_sub(FIRST)? as usize;
        (at < self.all.len()).then_some(at)
    }

    /// Which of what is to be found again a source location belongs to.
    fn found(&self, place: u32) -> Option<usize> {
        let at = place.checked_sub(FIRST_FOUND)? as usize;
        (at < self.found.len()).then_some(at)
    }

    /// The source location that code at `place` should have.
    pub(crate) fn place(&self, place: u32) -> u32 {
        let stand_in = self.of(place).map(|at| self.all[at].place);
        stand_in.or_else(|| self.found(place).map(|at| self.found[at])).unwrap_or(place)
    }

    /// Patches the words of stand-ins. `places`: from where to where in `code` which source location holds. Returns
    /// where they are, and what was to be found, by offset.
    ///
    /// # Errors
    /// [`Unsupported`] if a stand-in has become something else.
    pub(crate) fn patch(
        &self,
        code: &mut [u8],
        places: &[(u32, u32, u32)],
    ) -> Result<Places, Unsupported> {
        let mut seen = Vec::new();
        let mut patched = vec![0u32; self.all.len()];
        let mut is_there = vec![false; self.all.len()];
        for (start, end, place) in places {
            seen.extend(self.found(*place).map(|number| (*start, Seen::Found(number))));
            let Some(at) = self.of(*place) else { continue };
            is_there[at] = true;
            let one = &self.all[at];
            let (bits, mask) = pattern(one.form);
            let words = code[*start as usize..*end as usize].chunks_exact_mut(4);
            for (word, offset) in words.zip((*start..).step_by(4)) {
                let old = u32::from_le_bytes([word[0], word[1], word[2], word[3]]);
                if old & mask == bits {
                    let new = one.word | old & registers(one.form);
                    word.copy_from_slice(&new.to_le_bytes());
                    patched[at] += 1;
                    seen.push((offset, Seen::Op(one.op)));
                }
            }
        }
        // One that nothing reads has no code.
        match (0..self.all.len()).find(|at| is_there[*at] && patched[*at] != 1) {
            Some(at) => {
                let found = format!("{} words of `{}`", patched[at], self.all[at].op);
                Err(Unsupported::new("a stand-in", found))
            }
            None => Ok(seen),
        }
    }
}

//! What words of AArch64 code do, as far as moving accesses past them needs to know.
//!
//! Source: Arm ARM, "A64 instruction set encoding". Registers are sets of 32 bits; where a field may or may not name a
//! register, it does.

/// What an instruction does.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Effect {
    /// Computes, in registers, or reads what no code writes.
    Pure(Registers),
    Load(Registers),
    Store(Registers),
    /// Nothing moves past it: branches, calls, traps, atomics, whatever is not known here.
    Barrier,
}

/// Registers that an instruction touches.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Registers {
    /// Vector registers that are read or written.
    pub(crate) vectors: u32,
    /// Of these, those that are written.
    pub(crate) written_vectors: u32,
    /// General registers that are read or written.
    pub(crate) general: u32,
    /// Of these, those that are written.
    pub(crate) written: u32,
}

const fn field(word: u32, low: u32) -> u32 {
    word >> low & 31
}

const fn set(word: u32, low: u32) -> u32 {
    1 << field(word, low)
}

/// What `word` does.
pub(crate) fn effect(word: u32) -> Effect {
    let fields = set(word, 0) | set(word, 5);
    let general = Registers { general: fields, written: set(word, 0), ..Registers::default() };
    match word >> 25 & 15 {
        0b1000 | 0b1001 | 0b0101 | 0b1101 => {
            Effect::Pure(Registers { general: fields | sources(word), ..general })
        }
        0b0111 | 0b1111 => {
            let known = Registers {
                vectors: vectors(word),
                written_vectors: set(word, 0),
                ..match makes_vector(word) {
                    true => Registers { general: set(word, 5), ..Registers::default() },
                    false => general,
                }
            };
            Effect::Pure(known)
        }
        0b0100 | 0b0110 | 0b1100 | 0b1110 => access(word),
        _ => Effect::Barrier,
    }
}

/// General registers that an instruction computes from besides those of the lowest two fields.
fn sources(word: u32) -> u32 {
    let is_immediate = word >> 26 & 7 == 0b100;
    let is_extract = is_immediate && word >> 23 & 7 == 0b111;
    let has_three = word >> 24 & 31 == 0b11011;
    match is_immediate && !is_extract {
        true => 0,
        false => set(word, 16) | if has_three { set(word, 10) } else { 0 },
    }
}

/// Whether a vector or floating-point instruction surely writes no general register: those of whole vectors but `smov` and `umov`.
const fn makes_vector(word: u32) -> bool {
    word & 0x9e00_0000 == 0x0e00_0000 && word & 0xbfe0_ec00 != 0x0e00_2c00
}

/// Vector registers of a vector or floating-point instruction.
fn vectors(word: u32) -> u32 {
    let mut all = set(word, 0) | set(word, 5);
    let is_shift_or_constant = word & 0x9f80_0400 == 0x0f00_0400;
    let is_of_one = word & 0x9f3e_0c00 == 0x0e20_0800;
    let is_table = word & 0xbfe0_8c00 == 0x0e00_0000;
    let is_fused = word & 0x5f00_0000 == 0x1f00_0000;
    if !is_shift_or_constant && !is_of_one {
        // A product with one lane has four bits for the register at times, and what is above belongs to the lane.
        all |= set(word, 16) | 1 << (word >> 16 & 15);
    }
    if is_table {
        (1..4).for_each(|more| all |= 1 << ((field(word, 5) + more) % 32));
    }
    if is_fused {
        all |= set(word, 10);
    }
    all
}

fn access(word: u32) -> Effect {
    let is_vector = word >> 26 & 1 == 1;
    let base = set(word, 5);
    let (data, loads, moves_base) = match word >> 27 & 7 {
        _ if is_literal(word) => {
            let (vectors, general) = if is_vector { (set(word, 0), 0) } else { (0, set(word, 0)) };
            let (written_vectors, written) = (vectors, general);
            return Effect::Pure(Registers { vectors, written_vectors, general, written });
        }
        // Pairs.
        0b101 => (set(word, 0) | set(word, 10), word >> 22 & 1 == 1, word >> 23 & 3 != 0b10),
        // One register, with an unsigned offset.
        0b111 if word >> 24 & 3 == 1 => (set(word, 0), loads_one(word, is_vector), false),
        0b111 if word >> 24 & 3 == 0 => match (word >> 21 & 1, word >> 10 & 3) {
            (0, 0) | (1, 2) => (set(word, 0), loads_one(word, is_vector), false),
            (0, 1 | 3) => (set(word, 0), loads_one(word, is_vector), true),
            _ => return Effect::Barrier,
        },
        // One lane, or all lanes alike.
        0b001 if is_vector && word >> 24 & 1 == 1 => {
            let first = field(word, 0);
            let four = (0..4).fold(0, |all, more| all | 1 << ((first + more) % 32));
            (four, word >> 22 & 1 == 1, word >> 23 & 1 == 1)
        }
        _ => return Effect::Barrier,
    };
    let (vectors, data) = if is_vector { (data, 0) } else { (0, data) };
    // Where there is no index, its field is a part of the offset.
    let general = data | base | set(word, 16);
    let moved = if moves_base { base } else { 0 };
    if loads {
        let written = moved | data;
        Effect::Load(Registers { vectors, written_vectors: vectors, general, written })
    } else {
        Effect::Store(Registers { vectors, written_vectors: 0, general, written: moved })
    }
}

/// Whether `word` loads a constant that stands near the code.
pub(crate) const fn is_literal(word: u32) -> bool {
    word & 0x3b00_0000 == 0x1800_0000
}

/// Whether an access of one register loads.
const fn loads_one(word: u32, is_vector: bool) -> bool {
    if is_vector { word >> 22 & 1 == 1 } else { word >> 22 & 3 != 0 }
}

/// An access of one register at a register plus a constant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Plain {
    pub(crate) loads: bool,
    /// In bytes: 4, 8 or 16.
    pub(crate) bytes: i32,
    /// Whether what is loaded or stored is a vector register; otherwise it is a general one.
    pub(crate) vector: bool,
    pub(crate) data: u32,
    /// General register, or the stack pointer.
    pub(crate) base: u32,
    /// In bytes.
    pub(crate) offset: i32,
}

impl Plain {
    /// The access that `word` is.
    pub(crate) fn of(word: u32) -> Option<Plain> {
        let vector = word >> 26 & 1 == 1;
        let bytes = match (word >> 30, word >> 23 & 1) {
            (0, 1) if vector => 16,
            (2, 0) => 4,
            (3, 0) => 8,
            _ => return None,
        };
        let offset = match word & 0x3b20_0c00 {
            _ if word & 0x3b00_0000 == 0x3900_0000 => (word >> 10 & 0xfff) as i32 * bytes,
            0x3800_0000 => (word << 11) as i32 >> 23,
            _ => return None,
        };
        let loads = word >> 22 & 1 == 1;
        Some(Plain { loads, bytes, vector, data: field(word, 0), base: field(word, 5), offset })
    }

    /// Whether both may touch the same byte, while registers are what they are.
    pub(crate) const fn may_meet(self, other: Plain) -> bool {
        self.base != other.base
            || (self.offset < other.offset + other.bytes && other.offset < self.offset + self.bytes)
    }

    /// Both accesses as one; `None` if they do not adjoin, or have no form together.
    pub(crate) fn with(self, other: Plain) -> Option<u32> {
        let (low, high) = if self.offset < other.offset { (self, other) } else { (other, self) };
        // The second could have another base then.
        let moves_base = self.loads && !self.vector && self.data == self.base;
        let is_pair = !moves_base
            && low.loads == high.loads
            && low.vector == high.vector
            && low.bytes == high.bytes
            && low.base == high.base
            && low.offset + low.bytes == high.offset
            && !(low.loads && low.data == high.data);
        let units = low.offset / low.bytes;
        if !is_pair || low.offset % low.bytes != 0 || !(-64..64).contains(&units) {
            return None;
        }
        let size = low.bytes.ilog2() - 2;
        let form = if low.vector { 0x2d00_0000 | size << 30 } else { 0x2900_0000 | size << 31 };
        let word = form | u32::from(low.loads) << 22;
        Some(word | (units as u32 & 127) << 15 | high.data << 10 | low.base << 5 | low.data)
    }
}

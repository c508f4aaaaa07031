//! Encodes machine instructions through iced into Cranelift's `MachBuffer`.
//!
//! Knows physical registers only. Branches go through `MachBuffer`'s labels, which remove jumps to
//! the next instruction.

use crate::error::Unsupported;
use crate::evex;
use crate::marks::Marks;
use crate::regs::AVX_VECTORS;
use crate::vcode::{BlockId, Cc};
use cranelift_codegen::ir::{ExternalName, TrapCode};
use cranelift_codegen::isa::x64::Inst as CraneInst;
use cranelift_codegen::{MachBuffer, MachInst, MachLabel, VCodeConstant};
use iced_x86::{Code, Encoder, Instruction, OpCodeOperandKind as K, OpKind, Register};

pub(crate) type LabelUse = <CraneInst as MachInst>::LabelUse;

/// A memory operand on physical registers.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Addr {
    /// `[base + index * scale + disp]`.
    Reg { base: Register, index: Register, scale: u8, disp: i32 },
    /// `[rip + label]`.
    Label(MachLabel),
}

impl Addr {
    /// `[base + disp]`.
    pub(crate) fn base(base: Register, disp: i32) -> Addr {
        Addr::Reg { base, index: Register::None, scale: 1, disp }
    }
}

/// An operand on physical registers.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Arg {
    Reg(Register),
    Imm(i64),
    Mem(Addr),
    /// A mask register, behind all operands.
    Mask(Register),
}

/// Emits instructions.
pub(crate) struct Assembler {
    pub(crate) buffer: MachBuffer<CraneInst>,
    encoder: Encoder,
    /// The first instruction that could not be encoded.
    error: Option<Unsupported>,
    /// The tile of the instructions to come.
    tile: &'static str,
    marks: Option<Marks>,
}

/// Bytes of a near jump and of a near conditional jump.
const JMP_SIZE: u32 = 5;
const JCC_SIZE: u32 = 6;

impl Assembler {
    /// An empty assembler; with `marked` it remembers which tile each instruction is of.
    pub(crate) fn new(marked: bool) -> Assembler {
        Assembler {
            buffer: MachBuffer::new(),
            encoder: Encoder::new(64),
            error: None,
            tile: "",
            marks: marked.then(Marks::default),
        }
    }

    /// Names the tile of the instructions to come.
    pub(crate) fn set_tile(&mut self, tile: &'static str) {
        self.tile = tile;
    }

    /// Notes that `block` starts here.
    pub(crate) fn mark_block(&mut self, block: BlockId) {
        if let Some(marks) = &mut self.marks {
            marks.blocks.insert(block, self.buffer.cur_offset());
        }
    }

    /// The buffer and the marks, or the first failure.
    pub(crate) fn finish(mut self) -> Result<(MachBuffer<CraneInst>, Option<Marks>), Unsupported> {
        self.forget_from(self.buffer.cur_offset());
        match self.error {
            Some(error) => Err(error),
            None => Ok((self.buffer, self.marks)),
        }
    }

    /// Drops marks of branches that vanished.
    fn forget_from(&mut self, offset: u32) {
        if let Some(marks) = &mut self.marks {
            while marks.tiles.pop_if(|(start, _)| *start >= offset).is_some() {}
        }
    }

    /// Emits `code` with `args`.
    pub(crate) fn put(&mut self, code: Code, args: &[Arg]) {
        // AVX names the first sixteen vector registers only.
        let is_late = |arg: &Arg| match arg {
            Arg::Reg(reg) => reg.is_vector_register() && reg.number() >= AVX_VECTORS,
            _ => false,
        };
        let code = match args.iter().any(is_late) || evex::is_evex_alone(code) {
            true => evex::of_same_width(code).unwrap_or(code),
            false => code,
        };
        let info = code.op_code();
        let mut inst = Instruction::default();
        inst.set_code(code);
        let mut label = None;
        for (at, arg) in args.iter().enumerate() {
            let at = at as u32;
            match *arg {
                Arg::Reg(reg) => {
                    inst.set_op_kind(at, OpKind::Register);
                    inst.set_op_register(at, reg);
                }
                Arg::Mask(reg) => inst.set_op_mask(reg),
                Arg::Imm(value) => {
                    let kind = match info.op_kind(at) {
                        K::imm8 => OpKind::Immediate8,
                        K::imm8sex16 => OpKind::Immediate8to16,
                        K::imm8sex32 => OpKind::Immediate8to32,
                        K::imm8sex64 => OpKind::Immediate8to64,
                        K::imm16 => OpKind::Immediate16,
                        K::imm32 => OpKind::Immediate32,
                        K::imm32sex64 => OpKind::Immediate32to64,
                        K::imm64 => OpKind::Immediate64,
                        _ => return self.fail(code, "an immediate where none fits"),
                    };
                    inst.set_op_kind(at, kind);
                    inst.set_immediate_i64(at, value);
                }
                Arg::Mem(Addr::Reg { base, index, scale, disp }) => {
                    inst.set_op_kind(at, OpKind::Memory);
                    inst.set_memory_base(base);
                    inst.set_memory_index(index);
                    inst.set_memory_index_scale(u32::from(scale));
                    // One byte where it fits.
                    inst.set_memory_displ_size(if disp == 0 { 0 } else { 1 });
                    inst.set_memory_displacement64(i64::from(disp) as u64);
                }
                Arg::Mem(Addr::Label(target)) => {
                    inst.set_op_kind(at, OpKind::Memory);
                    inst.set_memory_base(Register::RIP);
                    inst.set_memory_displ_size(8);
                    label = Some(target);
                }
            }
        }
        let Some((start, end)) = self.encode(&inst) else { return };
        if let Some(label) = label {
            let offsets = self.encoder.get_constant_offsets();
            let field = start + offsets.displacement_offset() as u32;
            // The processor counts from the end of the instruction, the label use from the field.
            let addend = field as i32 - end as i32;
            let at = field as usize;
            let mut bytes = self.encoder.take_buffer();
            bytes[at - start as usize..][..4].copy_from_slice(&addend.to_le_bytes());
            self.buffer.put_data(&bytes);
            self.buffer.use_label_at_offset(field, label, LabelUse::PCRel32);
            bytes.clear();
            self.encoder.set_buffer(bytes);
        } else {
            self.flush();
        }
    }

    /// Encodes into the encoder's buffer; returns the offsets that the code will have.
    fn encode(&mut self, inst: &Instruction) -> Option<(u32, u32)> {
        let start = self.buffer.cur_offset();
        match self.encoder.encode(inst, 0) {
            Ok(len) => {
                self.forget_from(start);
                if let Some(marks) = &mut self.marks {
                    marks.tiles.push((start, self.tile));
                }
                Some((start, start + len as u32))
            }
            Err(error) => {
                self.fail(inst.code(), &error.to_string());
                None
            }
        }
    }

    fn flush(&mut self) {
        let mut bytes = self.encoder.take_buffer();
        self.buffer.put_data(&bytes);
        bytes.clear();
        self.encoder.set_buffer(bytes);
    }

    fn fail(&mut self, code: Code, why: &str) {
        let mut bytes = self.encoder.take_buffer();
        bytes.clear();
        self.encoder.set_buffer(bytes);
        self.error.get_or_insert_with(|| Unsupported::new(format!("encoding {code:?}"), why));
    }

    /// The bytes of a branch with an empty target field.
    fn branch_bytes(&mut self, code: Code) -> Option<Vec<u8>> {
        let mut inst = Instruction::default();
        inst.set_code(code);
        inst.set_op_kind(0, OpKind::NearBranch64);
        // The target is the next instruction, so that the field is zero.
        let size = if code == Code::Jmp_rel32_64 || code == Code::Call_rel32_64 {
            JMP_SIZE
        } else {
            JCC_SIZE
        };
        inst.set_near_branch64(u64::from(size));
        self.encode(&inst)?;
        let bytes = self.encoder.take_buffer();
        debug_assert_eq!(bytes.len(), size as usize);
        Some(bytes)
    }

    /// `jmp label`, which may vanish.
    pub(crate) fn jmp(&mut self, label: MachLabel) {
        let Some(bytes) = self.branch_bytes(Code::Jmp_rel32_64) else { return };
        let start = self.buffer.cur_offset();
        self.buffer.use_label_at_offset(start + 1, label, LabelUse::JmpRel32);
        self.buffer.add_uncond_branch(start, start + JMP_SIZE, label);
        self.buffer.put_data(&bytes);
    }

    /// `jcc label` at the end of a block, which may be inverted or vanish.
    pub(crate) fn jcc_block(&mut self, cc: Cc, label: MachLabel) {
        let Some(bytes) = self.branch_bytes(JCC[cc.bits() as usize]) else { return };
        let mut inverted = bytes.clone();
        // Condition codes come in pairs that differ in the lowest bit of the second byte.
        inverted[1] ^= 1;
        let start = self.buffer.cur_offset();
        self.buffer.use_label_at_offset(start + 2, label, LabelUse::JmpRel32);
        self.buffer.add_cond_branch(start, start + JCC_SIZE, label, &inverted);
        self.buffer.put_data(&bytes);
    }

    /// `jcc label` within a block.
    pub(crate) fn jcc(&mut self, cc: Cc, label: MachLabel) {
        let Some(bytes) = self.branch_bytes(JCC[cc.bits() as usize]) else { return };
        let start = self.buffer.cur_offset();
        self.buffer.use_label_at_offset(start + 2, label, LabelUse::JmpRel32);
        self.buffer.put_data(&bytes);
    }

    /// `call name` or, as a tail call, `jmp name`, without the call site.
    pub(crate) fn call(&mut self, name: &ExternalName, tail: bool) {
        let code = if tail { Code::Jmp_rel32_64 } else { Code::Call_rel32_64 };
        let Some(bytes) = self.branch_bytes(code) else { return };
        self.buffer.put_data(&bytes);
        let field = self.buffer.cur_offset() - 4;
        let kind = cranelift_codegen::binemit::Reloc::X86CallPCRel4;
        self.buffer.add_reloc_at_offset(field, kind, name, -4);
    }

    /// `ud2` as the trap `code`.
    pub(crate) fn trap(&mut self, code: TrapCode) {
        self.buffer.add_trap(code);
        self.put(Code::Ud2, &[]);
    }

    /// Binds `label` here.
    pub(crate) fn bind(&mut self, label: MachLabel) {
        self.buffer.bind_label(label, &mut Default::default());
    }

    /// Emits `bytes` bytes of instructions that do nothing.
    pub(crate) fn pad(&mut self, bytes: u32) {
        let mut missing = bytes as usize;
        let units = CraneInst::gen_nop_units();
        while missing > 0 {
            let fits = units.iter().rev().find(|unit| unit.len() <= missing);
            let unit = fits.expect("there is a nop of one byte");
            self.buffer.put_data(unit);
            missing -= unit.len();
        }
    }

    /// The label of a constant behind the code.
    pub(crate) fn constant(&mut self, constant: VCodeConstant) -> MachLabel {
        self.buffer.get_label_for_constant(constant)
    }
}

macro_rules! by_condition {
    ($($name:ident: $o:ident $b:ident $ae:ident $e:ident $ne:ident $be:ident $a:ident
        $p:ident $np:ident $l:ident $ge:ident $le:ident $g:ident;)*) => {$(
        /// By [`Cc::bits`]; the codes that [`Cc`] lacks repeat the first.
        pub(crate) const $name: [Code; 16] = {
            use Code::*;
            [$o, $o, $b, $ae, $e, $ne, $be, $a, $o, $o, $p, $np, $l, $ge, $le, $g]
        };
    )*};
}

by_condition! {
    JCC: Jo_rel32_64 Jb_rel32_64 Jae_rel32_64 Je_rel32_64 Jne_rel32_64 Jbe_rel32_64 Ja_rel32_64
        Jp_rel32_64 Jnp_rel32_64 Jl_rel32_64 Jge_rel32_64 Jle_rel32_64 Jg_rel32_64;
    SETCC: Seto_rm8 Setb_rm8 Setae_rm8 Sete_rm8 Setne_rm8 Setbe_rm8 Seta_rm8
        Setp_rm8 Setnp_rm8 Setl_rm8 Setge_rm8 Setle_rm8 Setg_rm8;
    CMOVCC32: Cmovo_r32_rm32 Cmovb_r32_rm32 Cmovae_r32_rm32 Cmove_r32_rm32 Cmovne_r32_rm32
        Cmovbe_r32_rm32 Cmova_r32_rm32 Cmovp_r32_rm32 Cmovnp_r32_rm32 Cmovl_r32_rm32
        Cmovge_r32_rm32 Cmovle_r32_rm32 Cmovg_r32_rm32;
    CMOVCC64: Cmovo_r64_rm64 Cmovb_r64_rm64 Cmovae_r64_rm64 Cmove_r64_rm64 Cmovne_r64_rm64
        Cmovbe_r64_rm64 Cmova_r64_rm64 Cmovp_r64_rm64 Cmovnp_r64_rm64 Cmovl_r64_rm64
        Cmovge_r64_rm64 Cmovle_r64_rm64 Cmovg_r64_rm64;
}

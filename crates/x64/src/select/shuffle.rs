//! Lanes: splats, insertion, extraction and shuffles.

use super::{Fits, MemRef, Root, Select, Source, done, is_vector};
use crate::error::Unsupported;
use crate::vcode::Opnd;
use cranelift_codegen::ir::{InstructionData, Value, types};
use iced_x86::Code;
use regalloc2::VReg;

impl Select<'_> {
    /// The memory of a load of exactly `bytes`, however extended, that may be done by the root.
    fn narrow_load(&mut self, value: Value, bytes: u32) -> Result<Option<MemRef>, Unsupported> {
        let canonical = self.canonical(value);
        let Some(inst) = self.def(canonical) else { return Ok(None) };
        if self.loaded_bytes(inst) != Some(bytes) || !self.unobserved(inst) {
            return Ok(None);
        }
        self.sink(inst).map(Some)
    }
}

/// `splat`.
pub(super) fn splat(select: &mut Select<'_>, root: &Root) -> Fits {
    let arg = root.args[0];
    let ty = select.type_of(select.func.dfg.first_result(root.inst));
    if !is_vector(ty) {
        return Ok(false);
    }
    let lane = ty.lane_type();
    let code = match lane {
        types::I8 => Code::VEX_Vpbroadcastb_xmm_xmmm8,
        types::I16 => Code::VEX_Vpbroadcastw_xmm_xmmm16,
        types::I32 => Code::VEX_Vpbroadcastd_xmm_xmmm32,
        types::I64 => Code::VEX_Vpbroadcastq_xmm_xmmm64,
        types::F32 => Code::VEX_Vbroadcastss_xmm_m32,
        types::F64 => Code::VEX_Vmovddup_xmm_xmmm64,
        _ => return Ok(false),
    };
    if let Some(at) = select.narrow_load(arg, lane.bytes())? {
        select.unary(code, Source::Mem(at), None);
        return done(select);
    }
    if select.raise(arg, lane.bytes(), code)? {
        return Ok(true);
    }
    match lane {
        types::F32 => {
            let from = select.reg(arg)?;
            select.unary(Code::VEX_Vbroadcastss_xmm_xmm, Source::Reg(from), None);
        }
        types::F64 => {
            let from = select.reg(arg)?;
            select.unary(code, Source::Reg(from), None);
        }
        _ => {
            if let Some(bits) = select.constant(arg) {
                let bytes = (bits as u64).to_le_bytes();
                let bytes = bytes[..lane.bytes() as usize].repeat(16 / lane.bytes() as usize);
                if bytes.iter().all(|&byte| byte == 0) {
                    let zero = select.zero();
                    return select.copy_result(zero).map(|()| true);
                }
                let source = select.pool_source(&bytes);
                select.unary(Code::VEX_Vmovups_xmm_xmmm128, source, None);
                return done(select);
            }
            let from = select.reg(arg)?;
            let moved = move_to_vector(select, from, lane.bytes() == 8);
            select.unary(code, Source::Reg(moved), None);
        }
    }
    done(select)
}

fn move_to_vector(select: &mut Select<'_>, from: VReg, wide: bool) -> VReg {
    let to = select.xmm();
    let code = if wide { Code::VEX_Vmovq_xmm_rm64 } else { Code::VEX_Vmovd_xmm_rm32 };
    select.x86(code, &[Opnd::Def(to), Opnd::Use(from)]);
    to
}

/// `scalar_to_vector`: zeros in the other lanes.
pub(super) fn scalar_to_vector(select: &mut Select<'_>, root: &Root) -> Fits {
    let arg = root.args[0];
    let ty = select.type_of(arg);
    if !matches!(ty, types::I32 | types::I64 | types::F32 | types::F64) {
        return Ok(false);
    }
    let wide = ty.bytes() == 8;
    let load = if wide { Code::VEX_Vmovq_xmm_xmmm64 } else { Code::VEX_Vmovd_xmm_rm32 };
    if let Some(at) = select.narrow_load(arg, ty.bytes())? {
        select.unary(load, Source::Mem(at), None);
        return done(select);
    }
    if select.raise(arg, ty.bytes(), load)? {
        return Ok(true);
    }
    let from = select.reg(arg)?;
    match ty {
        types::F32 => {
            let zero = select.zero();
            let to = select.result()?;
            let ops = [Opnd::Def(to), Opnd::UseReg(zero), Opnd::UseReg(from)];
            select.x86(Code::VEX_Vmovss_xmm_xmm_xmm, &ops);
            return Ok(true);
        }
        types::F64 => {
            select.unary(Code::VEX_Vmovq_xmm_xmmm64, Source::Reg(from), None);
        }
        _ => {
            move_to_vector(select, from, wide);
        }
    }
    done(select)
}

/// `insertlane`.
pub(super) fn insert(select: &mut Select<'_>, root: &Root) -> Fits {
    let InstructionData::TernaryImm8 { args: [vector, value], imm, .. } = root.data else {
        return Ok(false);
    };
    let ty = select.type_of(vector);
    if !is_vector(ty) {
        return Ok(false);
    }
    let lane = ty.lane_type();
    let imm = i64::from(imm);
    let into = select.reg(vector)?;
    match lane {
        types::F32 => {
            // From memory there is one lane to take; from a register it is lane 0.
            let source = match select.narrow_load(value, 4)? {
                Some(at) => Source::Mem(at),
                None => Source::Reg(select.reg(value)?),
            };
            select.binary(Code::VEX_Vinsertps_xmm_xmm_xmmm32_imm8, into, source, Some(imm << 4));
        }
        types::F64 => {
            if let Some(at) = select.narrow_load(value, 8)? {
                let code = if imm == 0 {
                    Code::VEX_Vmovlpd_xmm_xmm_m64
                } else {
                    Code::VEX_Vmovhpd_xmm_xmm_m64
                };
                select.binary(code, into, Source::Mem(at), None);
                return done(select);
            }
            let from = select.reg(value)?;
            let code = if imm == 0 {
                Code::VEX_Vmovsd_xmm_xmm_xmm
            } else {
                Code::VEX_Vmovlhps_xmm_xmm_xmm
            };
            let to = select.result()?;
            select.x86(code, &[Opnd::Def(to), Opnd::UseReg(into), Opnd::UseReg(from)]);
            return Ok(true);
        }
        _ => {
            let code = match lane {
                types::I8 => Code::VEX_Vpinsrb_xmm_xmm_r32m8_imm8,
                types::I16 => Code::VEX_Vpinsrw_xmm_xmm_r32m16_imm8,
                types::I32 => Code::VEX_Vpinsrd_xmm_xmm_rm32_imm8,
                _ => Code::VEX_Vpinsrq_xmm_xmm_rm64_imm8,
            };
            let source = match select.narrow_load(value, lane.bytes())? {
                Some(at) => Source::Mem(at),
                None => Source::Reg(select.reg(value)?),
            };
            select.binary(code, into, source, Some(imm));
        }
    }
    done(select)
}

/// `extractlane`.
pub(super) fn extract(select: &mut Select<'_>, root: &Root) -> Fits {
    let InstructionData::BinaryImm8 { arg, imm, .. } = root.data else { return Ok(false) };
    let ty = select.type_of(arg);
    if !is_vector(ty) {
        return Ok(false);
    }
    let from = select.reg(arg)?;
    let code = match ty.lane_type() {
        types::F32 => {
            let code = Code::VEX_Vpermilps_xmm_xmmm128_imm8;
            select.unary(code, Source::Reg(from), Some(i64::from(imm)));
            return done(select);
        }
        types::F64 => {
            let code = Code::VEX_Vpermilpd_xmm_xmmm128_imm8;
            select.unary(code, Source::Reg(from), Some(i64::from(imm)));
            return done(select);
        }
        types::I32 | types::I64 if imm == 0 => {
            let wide = ty.lane_bits() == 64;
            let code = if wide { Code::VEX_Vmovq_rm64_xmm } else { Code::VEX_Vmovd_rm32_xmm };
            let to = select.result()?;
            select.x86(code, &[Opnd::Def(to), Opnd::UseReg(from)]);
            return Ok(true);
        }
        types::I8 => Code::VEX_Vpextrb_r32m8_xmm_imm8,
        types::I16 => Code::VEX_Vpextrw_r32_xmm_imm8,
        types::I32 => Code::VEX_Vpextrd_rm32_xmm_imm8,
        _ => Code::VEX_Vpextrq_rm64_xmm_imm8,
    };
    let to = select.result()?;
    select.x86(code, &[Opnd::Def(to), Opnd::UseReg(from), Opnd::Imm(i64::from(imm))]);
    Ok(true)
}

/// `swizzle`: indices from 16 on give zero.
pub(super) fn swizzle(select: &mut Select<'_>, root: &Root) -> Fits {
    let [vector, indices] = root.args[..] else { return Ok(false) };
    let from = select.reg(vector)?;
    let lookup = Code::VEX_Vpshufb_xmm_xmm_xmmm128;
    let indices = if let Some(data) = select.vector_constant(indices) {
        let bytes: Vec<u8> = data.iter().map(|byte| byte.saturating_add(0x70)).collect();
        select.pool_source(&bytes)
    } else {
        // Indices beyond 15 get the highest bit, which clears.
        let indices = select.reg(indices)?;
        let offset = select.pool_u32x4(0x7070_7070);
        Source::Reg(select.binary(Code::VEX_Vpaddusb_xmm_xmm_xmmm128, indices, offset, None))
    };
    select.binary(lookup, from, indices, None);
    done(select)
}

/// Where each lane of a result of `N` lanes comes from: below `N` the first vector, else the
/// second.
fn lanes<const N: usize>(mask: &[u8; 16]) -> Option<[u8; N]> {
    let width = 16 / N;
    let mut lanes = [0; N];
    for (lane, bytes) in lanes.iter_mut().zip(mask.chunks(width)) {
        if !usize::from(bytes[0]).is_multiple_of(width) {
            return None;
        }
        for (at, &byte) in bytes.iter().enumerate() {
            if byte != bytes[0] + at as u8 {
                return None;
            }
        }
        *lane = bytes[0] / width as u8;
    }
    Some(lanes)
}

/// Whether `mask` interleaves the low (or high) lanes of `width` bytes of the vector that starts
/// at byte `first` with those of the one that starts at `second`.
fn interleaves(mask: &[u8; 16], width: usize, high: bool, first: u8, second: u8) -> bool {
    let start = if high { 8 } else { 0 };
    mask.iter().enumerate().all(|(at, &byte)| {
        let (lane, within) = (at / width, at % width);
        let vector = if lane % 2 == 0 { first } else { second };
        byte as usize == vector as usize + start + lane / 2 * width + within
    })
}

/// `shuffle`.
pub(super) fn shuffle(select: &mut Select<'_>, root: &Root) -> Fits {
    let InstructionData::Shuffle { args: [mut a, mut b], imm, .. } = root.data else {
        return Ok(false);
    };
    let data = select.func.dfg.immediates.get(imm);
    let Ok(mut mask) =
        <[u8; 16]>::try_from(data.and_then(|data| data.as_slice().get(..16)).unwrap_or(&[]))
    else {
        return Ok(false);
    };
    if select.canonical(a) == select.canonical(b) {
        mask = mask.map(|byte| byte & 15);
    }
    if mask.iter().all(|&byte| byte >= 16) {
        mask = mask.map(|byte| byte & 15);
        std::mem::swap(&mut a, &mut b);
    }
    let single = mask.iter().all(|&byte| byte < 16);
    if !single && select.all_bytes(a, 0) {
        // A known zero vector comes second.
        mask = mask.map(|byte| byte ^ 16);
        std::mem::swap(&mut a, &mut b);
    }
    if single {
        return shuffle_one(select, root, a, &mask);
    }
    shuffle_two(select, root, a, b, &mask)
}

fn shuffle_one(select: &mut Select<'_>, root: &Root, a: Value, mask: &[u8; 16]) -> Fits {
    if mask.iter().enumerate().all(|(at, &byte)| byte as usize == at) {
        let from = select.reg(a)?;
        return select.copy_result(from).map(|()| true);
    }
    if let Some(lanes) = lanes::<4>(mask) {
        let imm = lanes.iter().rev().fold(0, |imm, &lane| imm << 2 | i64::from(lane));
        let source = select.source(a, root.ty)?;
        select.unary(Code::VEX_Vpshufd_xmm_xmmm128_imm8, source, Some(imm));
        return done(select);
    }
    let from = select.reg(a)?;
    if mask.iter().all(|&byte| byte == 0) {
        select.unary(Code::VEX_Vpbroadcastb_xmm_xmmm8, Source::Reg(from), None);
    } else if lanes::<8>(mask) == Some([0; 8]) {
        select.unary(Code::VEX_Vpbroadcastw_xmm_xmmm16, Source::Reg(from), None);
    } else if let Some(code) = self_interleave(mask) {
        select.binary_regs(code, from, from);
    } else if mask
        .iter()
        .enumerate()
        .all(|(at, &byte)| (mask[0] as usize + at) % 16 == byte as usize)
    {
        let rotate = Code::VEX_Vpalignr_xmm_xmm_xmmm128_imm8;
        select.binary(rotate, from, Source::Reg(from), Some(i64::from(mask[0])));
    } else {
        let indices = select.pool_source(mask);
        select.binary(Code::VEX_Vpshufb_xmm_xmm_xmmm128, from, indices, None);
    }
    done(select)
}

fn self_interleave(mask: &[u8; 16]) -> Option<Code> {
    UNPACK.iter().find(|unpack| interleaves(mask, unpack.0, unpack.1, 0, 0)).map(|unpack| unpack.2)
}

/// Lane width, whether the high half is taken, and the instruction.
const UNPACK: [(usize, bool, Code); 8] = [
    (1, false, Code::VEX_Vpunpcklbw_xmm_xmm_xmmm128),
    (2, false, Code::VEX_Vpunpcklwd_xmm_xmm_xmmm128),
    (4, false, Code::VEX_Vpunpckldq_xmm_xmm_xmmm128),
    (8, false, Code::VEX_Vpunpcklqdq_xmm_xmm_xmmm128),
    (1, true, Code::VEX_Vpunpckhbw_xmm_xmm_xmmm128),
    (2, true, Code::VEX_Vpunpckhwd_xmm_xmm_xmmm128),
    (4, true, Code::VEX_Vpunpckhdq_xmm_xmm_xmmm128),
    (8, true, Code::VEX_Vpunpckhqdq_xmm_xmm_xmmm128),
];

fn shuffle_two(select: &mut Select<'_>, root: &Root, a: Value, b: Value, mask: &[u8; 16]) -> Fits {
    for &(width, high, code) in &UNPACK {
        for swap in [false, true] {
            let (first, second) = if swap { (16, 0) } else { (0, 16) };
            if interleaves(mask, width, high, first, second) {
                let (left, right) = if swap { (b, a) } else { (a, b) };
                let left = select.reg(left)?;
                let source = select.source(right, root.ty)?;
                select.binary(code, left, source, None);
                return done(select);
            }
        }
    }
    if let Some((code, imm)) = blend(mask) {
        let left = select.reg(a)?;
        let source = select.source(b, root.ty)?;
        select.binary(code, left, source, Some(imm));
        return done(select);
    }
    // Consecutive bytes over the end of one vector into the other.
    for swap in [false, true] {
        let turned = if swap { mask.map(|byte| byte ^ 16) } else { *mask };
        let start = turned[0];
        if start < 16 && turned.iter().enumerate().all(|(at, &byte)| byte == start + at as u8) {
            let (low, high) = if swap { (b, a) } else { (a, b) };
            let high = select.reg(high)?;
            let source = select.source(low, root.ty)?;
            let rotate = Code::VEX_Vpalignr_xmm_xmm_xmmm128_imm8;
            select.binary(rotate, high, source, Some(i64::from(start)));
            return done(select);
        }
    }
    if let Some(lanes) = lanes::<4>(mask) {
        // Two lanes of one vector, then two lanes of the other.
        let low_from_b = lanes[0] >= 4;
        if (lanes[1] >= 4) == low_from_b
            && (lanes[2] >= 4) != low_from_b
            && (lanes[3] >= 4) != low_from_b
        {
            let (low, high) = if low_from_b { (b, a) } else { (a, b) };
            let imm = lanes.iter().rev().fold(0, |imm, &lane| imm << 2 | i64::from(lane & 3));
            let low = select.reg(low)?;
            let source = select.source(high, root.ty)?;
            select.binary(Code::VEX_Vshufps_xmm_xmm_xmmm128_imm8, low, source, Some(imm));
            return done(select);
        }
    }
    for swap in [false, true] {
        let turned = if swap { mask.map(|byte| byte ^ 16) } else { *mask };
        if let Some(narrowing) = Narrowing::of(&turned)
            && !select.all_bytes(b, 0)
        {
            let (low, high) = if swap { (b, a) } else { (a, b) };
            let (low, high) = (select.reg(low)?, select.reg(high)?);
            narrowing.put(select, [low, high]);
            return done(select);
        }
    }
    let lookup = Code::VEX_Vpshufb_xmm_xmm_xmmm128;
    if let Some((imm, indices)) = blend_then_lookup(mask)
        && !select.all_bytes(b, 0)
    {
        let left = select.reg(a)?;
        let source = select.source(b, root.ty)?;
        let blend = Code::VEX_Vpblendw_xmm_xmm_xmmm128_imm8;
        let blended = select.binary(blend, left, source, Some(imm));
        let indices = select.pool_source(&indices);
        select.binary(lookup, blended, indices, None);
        return done(select);
    }
    let first_indices = mask.map(|byte| if byte < 16 { byte } else { 0x80 });
    let first = select.reg(a)?;
    if select.all_bytes(b, 0) {
        let indices = select.pool_source(&first_indices);
        select.binary(lookup, first, indices, None);
        return done(select);
    }
    let second = select.reg(b)?;
    let second_indices = mask.map(|byte| if byte < 16 { 0x80 } else { byte & 15 });
    let indices = select.pool_source(&first_indices);
    let first = select.binary(lookup, first, indices, None);
    let indices = select.pool_source(&second_indices);
    let second = select.binary(lookup, second, indices, None);
    select.binary_regs(Code::VEX_Vpor_xmm_xmm_xmmm128, first, second);
    done(select)
}

/// Takes the lower or the upper halves of all lanes of two vectors: what narrowing does once the other
/// halves are zeros, and that has wide forms which keep the order of lanes.
#[derive(Clone, Copy)]
pub(super) struct Narrowing {
    /// Bytes of a half.
    pub(super) width: u8,
    pub(super) upper: bool,
}

impl Narrowing {
    fn of(mask: &[u8; 16]) -> Option<Narrowing> {
        let forms = [(1, false), (1, true), (2, false), (2, true)];
        let mut forms = forms.into_iter().map(|(width, upper)| Narrowing { width, upper });
        forms.find(|form| {
            let takes = |at: u8| {
                let lane = at / form.width * 2 + u8::from(form.upper);
                lane * form.width + at % form.width
            };
            mask.iter().enumerate().all(|(at, &byte)| byte == takes(at as u8))
        })
    }

    /// The halves of the lanes of both vectors.
    pub(super) fn put(self, select: &mut Select<'_>, vectors: [VReg; 2]) -> VReg {
        let [one, other] = vectors.map(|from| match (self.width, self.upper) {
            (1, true) => select.shift_imm(Code::VEX_Vpsrlw_xmm_xmm_imm8, from, 8),
            (_, true) => select.shift_imm(Code::VEX_Vpsrld_xmm_xmm_imm8, from, 16),
            (width, false) => {
                let lower = if width == 1 { 0x00ff_00ff } else { 0x0000_ffff };
                let lower = select.pool_u32x4(lower);
                select.binary(Code::VEX_Vpand_xmm_xmm_xmmm128, from, lower, None)
            }
        });
        let narrow = match self.width {
            1 => Code::VEX_Vpackuswb_xmm_xmm_xmmm128,
            _ => Code::VEX_Vpackusdw_xmm_xmm_xmmm128,
        };
        select.binary_regs(narrow, one, other)
    }
}

/// Where the two vectors are needed at different 16-bit lanes: the blend that keeps what is needed
/// of both, and the places of the result's bytes in it.
fn blend_then_lookup(mask: &[u8; 16]) -> Option<(i64, [u8; 16])> {
    let mut from_second = [None; 8];
    for &byte in mask {
        let (lane, second) = (usize::from(byte & 15) / 2, byte >= 16);
        if *from_second[lane].get_or_insert(second) != second {
            return None;
        }
    }
    let imm = from_second
        .iter()
        .enumerate()
        .fold(0, |imm, (lane, second)| imm | i64::from(*second == Some(true)) << lane);
    Some((imm, mask.map(|byte| byte & 15)))
}

/// A blend: every lane stays in its place.
fn blend(mask: &[u8; 16]) -> Option<(Code, i64)> {
    fn imm<const N: usize>(mask: &[u8; 16]) -> Option<i64> {
        let lanes = lanes::<N>(mask)?;
        let mut imm = 0;
        for (at, &lane) in lanes.iter().enumerate() {
            if lane as usize % N != at {
                return None;
            }
            imm |= i64::from(lane as usize >= N) << at;
        }
        Some(imm)
    }
    if let Some(imm) = imm::<4>(mask) {
        return Some((Code::VEX_Vpblendd_xmm_xmm_xmmm128_imm8, imm));
    }
    imm::<8>(mask).map(|imm| (Code::VEX_Vpblendw_xmm_xmm_xmmm128_imm8, imm))
}

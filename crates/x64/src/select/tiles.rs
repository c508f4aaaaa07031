//! The tiles: which opcode and type each covers, its name, its cost, and what it emits.
//!
//! Costs are reciprocal throughputs in 1/16 cycle on a machine with AVX2. Where several tiles have
//! the same opcode they stand in the order in which they are tried, the cheapest way first.

use super::{Fits, Root, Select};
use super::{
    calls, compare, convert, dots, float, float_minmax, integer, memory, multiply, shuffle, vector,
};
use crate::error::Unsupported;
use cranelift_codegen::ir::{Opcode, Type, Value, ValueDef, types};
use iced_x86::Code;
use std::sync::OnceLock;

/// What a tile emits.
#[derive(Clone, Copy)]
pub(super) enum Emit {
    /// `code result, source`.
    Unary(Code),
    /// `code result, left, source`.
    Binary(Code),
    /// As `Binary`, for operands in either order.
    Commutative(Code),
    /// A function of its own; it answers whether the tile fits, and emits nothing if not.
    With(fn(&mut Select<'_>, &Root) -> Fits),
}

/// A rule that covers one instruction, and perhaps instructions that feed it.
pub(super) struct Tile {
    pub(super) name: &'static str,
    op: Opcode,
    /// The controlling type; any if `None`.
    ty: Option<Type>,
    /// In 1/16 cycle.
    #[cfg_attr(not(test), expect(dead_code, reason = "tiles are still tried in listed order"))]
    cost: u16,
    emit: Emit,
}

macro_rules! tiles {
    ($($op:ident $($ty:ident)?: $emit:ident($what:expr) $cost:literal $name:literal;)*) => {
        &[$(Tile {
            name: $name,
            op: Opcode::$op,
            ty: tiles!(@type $($ty)?),
            cost: $cost,
            emit: Emit::$emit({ #[allow(unused_imports)] use Code::*; $what }),
        }),*]
    };
    (@type) => { None };
    (@type $ty:ident) => { Some(types::$ty) };
}

static TILES: &[Tile] = tiles! {
    // Integers.
    Iadd: With(integer::add) 8 "iadd: lea or add";
    Isub: With(integer::two_operand) 4 "isub: sub or lea";
    Band: With(integer::and_not) 8 "band of bnot: andn";
    Band: With(integer::two_operand) 4 "band: and";
    Bor: With(integer::two_operand) 4 "bor: or";
    Bxor: With(integer::two_operand) 4 "bxor: xor";
    Ineg: With(integer::negate) 4 "ineg: neg";
    Bnot: With(integer::negate) 4 "bnot: not";
    Imul: With(integer::multiply) 16 "imul: imul";
    Umulhi: With(integer::multiply_high) 16 "umulhi: mul";
    Smulhi: With(integer::multiply_high) 16 "smulhi: imul";
    Ishl: With(integer::shift) 8 "ishl: shl or shlx";
    Ushr: With(integer::shift) 8 "ushr: shr or shrx";
    Sshr: With(integer::shift) 8 "sshr: sar or sarx";
    Rotl: With(integer::rotate) 8 "rotl: rorx or rol";
    Rotr: With(integer::rotate) 8 "rotr: rorx or ror";
    Clz: With(integer::count_bits) 16 "clz: lzcnt";
    Ctz: With(integer::count_bits) 16 "ctz: tzcnt";
    Popcnt: With(integer::count_bits) 16 "popcnt: popcnt";
    Bswap: With(integer::swap_bytes) 8 "bswap: bswap";
    Uextend: With(integer::extend) 4 "uextend: movzx";
    Sextend: With(integer::extend) 4 "sextend: movsx";
    Udiv: With(integer::divide) 96 "udiv: div";
    Sdiv: With(integer::divide) 96 "sdiv: idiv";
    Urem: With(integer::divide) 96 "urem: div";
    Srem: With(integer::divide) 96 "srem: idiv";
    UaddOverflow: With(integer::add_with_carry) 16 "uadd_overflow: add, setb";
    Iabs: With(integer::absolute) 12 "iabs: neg, cmov";
    UaddOverflowTrap: With(integer::add_or_trap) 8 "uadd_overflow_trap: add, jc";
    Bitselect: With(integer::choose_bits) 16 "bitselect: and, andn, or";
    Bmask: With(integer::spread) 16 "bmask: neg, sbb";
    Smin: With(compare::min_max) 12 "smin: cmp, cmov";
    Smax: With(compare::min_max) 12 "smax: cmp, cmov";
    Umin: With(compare::min_max) 12 "umin: cmp, cmov";
    Umax: With(compare::min_max) 12 "umax: cmp, cmov";

    // Conditions.
    Icmp: With(compare::value) 16 "icmp: cmp, setcc";
    Fcmp: With(compare::value) 16 "fcmp: ucomis, setcc";
    VanyTrue: With(compare::value) 24 "vany_true: vptest, setcc";
    VallTrue: With(compare::value) 32 "vall_true: vpcmpeq, vptest, setcc";
    Select: With(compare::choose) 12 "select: cmov or a jump over a move";
    SelectSpectreGuard: With(compare::choose) 12 "select_spectre_guard: cmov";
    Trapz: With(compare::trap_if) 8 "trapz: jcc";
    Trapnz: With(compare::trap_if) 8 "trapnz: jcc";

    // Memory and calls.
    Load: With(memory::load) 8 "load: mov";
    Uload8: With(memory::load) 8 "uload8: movzx";
    Uload16: With(memory::load) 8 "uload16: movzx";
    Uload32: With(memory::load) 8 "uload32: mov";
    Sload8: With(memory::load) 8 "sload8: movsx";
    Sload16: With(memory::load) 8 "sload16: movsx";
    Sload32: With(memory::load) 8 "sload32: movsxd";
    Uload8x8: With(memory::load) 16 "uload8x8: vpmovzxbw";
    Uload16x4: With(memory::load) 16 "uload16x4: vpmovzxwd";
    Uload32x2: With(memory::load) 16 "uload32x2: vpmovzxdq";
    Sload8x8: With(memory::load) 16 "sload8x8: vpmovsxbw";
    Sload16x4: With(memory::load) 16 "sload16x4: vpmovsxwd";
    Sload32x2: With(memory::load) 16 "sload32x2: vpmovsxdq";
    Store: With(memory::store) 16 "store: mov";
    Istore8: With(memory::store) 16 "istore8: mov";
    Istore16: With(memory::store) 16 "istore16: mov";
    Istore32: With(memory::store) 16 "istore32: mov";
    StackAddr: With(memory::stack_addr) 8 "stack_addr: lea";
    GetFramePointer: With(memory::frame) 4 "get_frame_pointer: mov";
    GetStackPointer: With(memory::frame) 4 "get_stack_pointer: mov";
    GetReturnAddress: With(memory::frame) 8 "get_return_address: mov";
    Call: With(calls::direct) 32 "call: call";
    CallIndirect: With(calls::indirect) 32 "call_indirect: call";

    // Vector integers.
    Vconst: With(vector::constant) 8 "vconst: vmovups";
    Iadd I8X16: Commutative(VEX_Vpaddb_xmm_xmm_xmmm128) 5 "iadd.i8x16: vpaddb";
    Iadd I16X8: Commutative(VEX_Vpaddw_xmm_xmm_xmmm128) 5 "iadd.i16x8: vpaddw";
    Iadd I32X4: With(dots::accumulate_bytes) 8 "iadd.i32x4 of products of bytes: vpdpbusd";
    Iadd I32X4: With(dots::accumulate_words) 8 "iadd.i32x4 of products of words: vpdpwssd";
    Iadd I32X4: Commutative(VEX_Vpaddd_xmm_xmm_xmmm128) 5 "iadd.i32x4: vpaddd";
    Iadd I64X2: Commutative(VEX_Vpaddq_xmm_xmm_xmmm128) 5 "iadd.i64x2: vpaddq";
    Isub I8X16: Binary(VEX_Vpsubb_xmm_xmm_xmmm128) 5 "isub.i8x16: vpsubb";
    Isub I16X8: Binary(VEX_Vpsubw_xmm_xmm_xmmm128) 5 "isub.i16x8: vpsubw";
    Isub I32X4: Binary(VEX_Vpsubd_xmm_xmm_xmmm128) 5 "isub.i32x4: vpsubd";
    Isub I64X2: Binary(VEX_Vpsubq_xmm_xmm_xmmm128) 5 "isub.i64x2: vpsubq";
    Ineg: With(vector::negate) 5 "ineg: vpsub from zero";
    SaddSat I8X16: Commutative(VEX_Vpaddsb_xmm_xmm_xmmm128) 8 "sadd_sat.i8x16: vpaddsb";
    SaddSat I16X8: Commutative(VEX_Vpaddsw_xmm_xmm_xmmm128) 8 "sadd_sat.i16x8: vpaddsw";
    UaddSat I8X16: Commutative(VEX_Vpaddusb_xmm_xmm_xmmm128) 8 "uadd_sat.i8x16: vpaddusb";
    UaddSat I16X8: Commutative(VEX_Vpaddusw_xmm_xmm_xmmm128) 8 "uadd_sat.i16x8: vpaddusw";
    SsubSat I8X16: Binary(VEX_Vpsubsb_xmm_xmm_xmmm128) 8 "ssub_sat.i8x16: vpsubsb";
    SsubSat I16X8: Binary(VEX_Vpsubsw_xmm_xmm_xmmm128) 8 "ssub_sat.i16x8: vpsubsw";
    UsubSat I8X16: Binary(VEX_Vpsubusb_xmm_xmm_xmmm128) 8 "usub_sat.i8x16: vpsubusb";
    UsubSat I16X8: Binary(VEX_Vpsubusw_xmm_xmm_xmmm128) 8 "usub_sat.i16x8: vpsubusw";
    AvgRound I8X16: Commutative(VEX_Vpavgb_xmm_xmm_xmmm128) 8 "avg_round.i8x16: vpavgb";
    AvgRound I16X8: Commutative(VEX_Vpavgw_xmm_xmm_xmmm128) 8 "avg_round.i16x8: vpavgw";
    Smin I8X16: Commutative(VEX_Vpminsb_xmm_xmm_xmmm128) 8 "smin.i8x16: vpminsb";
    Smin I16X8: Commutative(VEX_Vpminsw_xmm_xmm_xmmm128) 8 "smin.i16x8: vpminsw";
    Smin I32X4: Commutative(VEX_Vpminsd_xmm_xmm_xmmm128) 8 "smin.i32x4: vpminsd";
    Smin I64X2: With(vector::min_max64) 24 "smin.i64x2: vpcmpgtq, vblendvpd";
    Smax I64X2: With(vector::min_max64) 24 "smax.i64x2: vpcmpgtq, vblendvpd";
    Umin I64X2: With(vector::min_max64) 40 "umin.i64x2: vpcmpgtq of flipped signs, vblendvpd";
    Umax I64X2: With(vector::min_max64) 40 "umax.i64x2: vpcmpgtq of flipped signs, vblendvpd";
    Smax I8X16: Commutative(VEX_Vpmaxsb_xmm_xmm_xmmm128) 8 "smax.i8x16: vpmaxsb";
    Smax I16X8: Commutative(VEX_Vpmaxsw_xmm_xmm_xmmm128) 8 "smax.i16x8: vpmaxsw";
    Smax I32X4: Commutative(VEX_Vpmaxsd_xmm_xmm_xmmm128) 8 "smax.i32x4: vpmaxsd";
    Umin I8X16: Commutative(VEX_Vpminub_xmm_xmm_xmmm128) 8 "umin.i8x16: vpminub";
    Umin I16X8: Commutative(VEX_Vpminuw_xmm_xmm_xmmm128) 8 "umin.i16x8: vpminuw";
    Umin I32X4: Commutative(VEX_Vpminud_xmm_xmm_xmmm128) 8 "umin.i32x4: vpminud";
    Umax I8X16: Commutative(VEX_Vpmaxub_xmm_xmm_xmmm128) 8 "umax.i8x16: vpmaxub";
    Umax I16X8: Commutative(VEX_Vpmaxuw_xmm_xmm_xmmm128) 8 "umax.i16x8: vpmaxuw";
    Umax I32X4: Commutative(VEX_Vpmaxud_xmm_xmm_xmmm128) 8 "umax.i32x4: vpmaxud";
    Iabs I8X16: Unary(VEX_Vpabsb_xmm_xmmm128) 8 "iabs.i8x16: vpabsb";
    Iabs I16X8: Unary(VEX_Vpabsw_xmm_xmmm128) 8 "iabs.i16x8: vpabsw";
    Iabs I32X4: Unary(VEX_Vpabsd_xmm_xmmm128) 8 "iabs.i32x4: vpabsd";
    Iabs I64X2: With(vector::abs64) 24 "iabs.i64x2: vblendvpd of the negation";
    Imul I16X8: Commutative(VEX_Vpmullw_xmm_xmm_xmmm128) 8 "imul.i16x8: vpmullw";
    Imul I64X2: With(multiply::short_multiply) 8 "imul.i64x2 of 32 bits: vpmuludq";
    Imul I32X4: With(multiply::widening_multiply) 24 "imul.i32x4 of widened: vpmulhw, vpmullw";
    Imul I32X4: Commutative(VEX_Vpmulld_xmm_xmm_xmmm128) 16 "imul.i32x4: vpmulld";
    Imul I64X2: With(multiply::multiply64) 48 "imul.i64x2: three vpmuludq";
    SqmulRoundSat I16X8: With(multiply::rounding_multiply) 16 "sqmul_round_sat: vpmulhrsw";
    X86Pmulhrsw I16X8: Commutative(VEX_Vpmulhrsw_xmm_xmm_xmmm128) 8 "x86_pmulhrsw: vpmulhrsw";
    X86Pmaddubsw I16X8: With(vector::multiply_add_bytes) 8 "x86_pmaddubsw: vpmaddubsw";
    IaddPairwise: With(vector::pairwise_widened) 8 "iadd_pairwise of widened: vpmadd";
    IaddPairwise I32X4: With(dots::pairwise_products) 8 "iadd_pairwise of products: vpmaddwd";
    IaddPairwise I8X16: With(vector::pairwise8) 32 "iadd_pairwise.i8x16: vpackuswb of halves";
    IaddPairwise I16X8: Binary(VEX_Vphaddw_xmm_xmm_xmmm128) 32 "iadd_pairwise.i16x8: vphaddw";
    IaddPairwise I32X4: Binary(VEX_Vphaddd_xmm_xmm_xmmm128) 32 "iadd_pairwise.i32x4: vphaddd";
    Band: With(vector::and_not) 5 "band of bnot: vpandn";
    Band: With(vector::bitwise) 5 "band: vpand or vandps";
    Bor: With(vector::bitwise) 5 "bor: vpor or vorps";
    Bxor: With(vector::bitwise) 5 "bxor: vpxor or vxorps";
    Bnot: With(vector::not) 8 "bnot: vpxor with ones";
    Bitselect: With(vector::float_min_max) 8 "bitselect of fcmp: vminp or vmaxp";
    Bitselect: With(vector::choose_lanes) 16 "bitselect of lanes: vpblendvb";
    Bitselect: With(vector::choose_bits) 16 "bitselect: vpand, vpandn, vpor";
    Blendv: With(vector::blend) 16 "blendv: vpblendvb";
    Ishl: With(vector::shift) 8 "ishl: vpsll";
    Ushr: With(vector::shift) 8 "ushr: vpsrl";
    Sshr: With(vector::shift) 8 "sshr: vpsra";
    Icmp: With(vector::compare) 8 "icmp: vpcmp";
    VhighBits: With(vector::high_bits) 16 "vhigh_bits: vpmovmskb";
    Popcnt I8X16: With(vector::count_bits) 32 "popcnt.i8x16: vpshufb of nibbles";
    Snarrow I16X8: Binary(VEX_Vpacksswb_xmm_xmm_xmmm128) 16 "snarrow.i16x8: vpacksswb";
    Snarrow I32X4: Binary(VEX_Vpackssdw_xmm_xmm_xmmm128) 16 "snarrow.i32x4: vpackssdw";
    Snarrow I64X2: With(convert::narrow_doubles) 32 "snarrow of fcvt_to_sint_sat: vcvttpd2dq";
    Unarrow I16X8: Binary(VEX_Vpackuswb_xmm_xmm_xmmm128) 16 "unarrow.i16x8: vpackuswb";
    Unarrow I32X4: Binary(VEX_Vpackusdw_xmm_xmm_xmmm128) 16 "unarrow.i32x4: vpackusdw";
    Uunarrow: With(convert::narrow_doubles) 48 "uunarrow of fcvt_to_uint_sat: vroundpd, vshufps";
    UwidenLow: With(vector::widen) 16 "uwiden_low: vpmovzx";
    UwidenHigh: With(vector::widen) 16 "uwiden_high: vpunpckh";
    SwidenLow: With(vector::widen) 16 "swiden_low: vpmovsx";
    SwidenHigh: With(vector::widen) 24 "swiden_high: vpshufd, vpmovsx";

    // Lanes.
    Splat: With(shuffle::splat) 16 "splat: vpbroadcast";
    ScalarToVector: With(shuffle::scalar_to_vector) 16 "scalar_to_vector: vmov";
    Insertlane I32X4: With(vector::shifts_of_lanes) 12 "insertlane.i32x4 of shifts of lanes: vpsllvd";
    Insertlane I64X2: With(vector::shifts_of_lanes) 12 "insertlane.i64x2 of shifts of lanes: vpsllvq";
    Insertlane: With(shuffle::insert) 32 "insertlane: vpinsr";
    Extractlane: With(shuffle::extract) 32 "extractlane: vpextr";
    Shuffle: With(shuffle::shuffle) 16 "shuffle";
    Swizzle: With(shuffle::swizzle) 24 "swizzle: vpaddusb, vpshufb";
    X86Pshufb I8X16: Binary(VEX_Vpshufb_xmm_xmm_xmmm128) 16 "x86_pshufb: vpshufb";

    // Floats.
    Fadd F32: Binary(VEX_Vaddss_xmm_xmm_xmmm32) 8 "fadd.f32: vaddss";
    Fadd F64: Binary(VEX_Vaddsd_xmm_xmm_xmmm64) 8 "fadd.f64: vaddsd";
    Fadd F32X4: Binary(VEX_Vaddps_xmm_xmm_xmmm128) 8 "fadd.f32x4: vaddps";
    Fadd F64X2: Binary(VEX_Vaddpd_xmm_xmm_xmmm128) 8 "fadd.f64x2: vaddpd";
    Fsub F32: Binary(VEX_Vsubss_xmm_xmm_xmmm32) 8 "fsub.f32: vsubss";
    Fsub F64: Binary(VEX_Vsubsd_xmm_xmm_xmmm64) 8 "fsub.f64: vsubsd";
    Fsub F32X4: Binary(VEX_Vsubps_xmm_xmm_xmmm128) 8 "fsub.f32x4: vsubps";
    Fsub F64X2: Binary(VEX_Vsubpd_xmm_xmm_xmmm128) 8 "fsub.f64x2: vsubpd";
    Fmul F32: Binary(VEX_Vmulss_xmm_xmm_xmmm32) 8 "fmul.f32: vmulss";
    Fmul F64: Binary(VEX_Vmulsd_xmm_xmm_xmmm64) 8 "fmul.f64: vmulsd";
    Fmul F32X4: Binary(VEX_Vmulps_xmm_xmm_xmmm128) 8 "fmul.f32x4: vmulps";
    Fmul F64X2: Binary(VEX_Vmulpd_xmm_xmm_xmmm128) 8 "fmul.f64x2: vmulpd";
    Fdiv F32: Binary(VEX_Vdivss_xmm_xmm_xmmm32) 48 "fdiv.f32: vdivss";
    Fdiv F64: Binary(VEX_Vdivsd_xmm_xmm_xmmm64) 64 "fdiv.f64: vdivsd";
    Fdiv F32X4: Binary(VEX_Vdivps_xmm_xmm_xmmm128) 80 "fdiv.f32x4: vdivps";
    Fdiv F64X2: Binary(VEX_Vdivpd_xmm_xmm_xmmm128) 128 "fdiv.f64x2: vdivpd";
    Sqrt: With(float::square_root) 96 "sqrt: vsqrt";
    Fma: With(float::multiply_add) 8 "fma: vfmadd";
    Fmin: With(float_minmax::min_max) 40 "fmin: vmin, NaNs blended in";
    Fmax: With(float_minmax::min_max) 40 "fmax: vmax, NaNs blended in";
    Fabs: With(float::sign) 8 "fabs: vandps";
    Fneg: With(float::sign) 8 "fneg: vxorps";
    Fcopysign: With(float::copy_sign) 16 "fcopysign: vandps, vandnps, vorps";
    Ceil: With(float::round) 16 "ceil: vround";
    Floor: With(float::round) 16 "floor: vround";
    Trunc: With(float::round) 16 "trunc: vround";
    Nearest: With(float::round) 16 "nearest: vround";
    Fcmp: With(float::compare_lanes) 8 "fcmp: vcmpp";

    // Conversions.
    Bitcast: With(convert::bits) 16 "bitcast: vmov";
    Fpromote: With(convert::resize) 16 "fpromote: vcvtss2sd";
    Fdemote: With(convert::resize) 16 "fdemote: vcvtsd2ss";
    FvpromoteLow: With(convert::resize) 16 "fvpromote_low: vcvtps2pd";
    Fvdemote: With(convert::resize) 16 "fvdemote: vcvtpd2ps";
    FcvtFromSint: With(convert::from_signed) 24 "fcvt_from_sint: vcvtsi2s or vcvtdq2p";
    FcvtFromUint: With(convert::from_unsigned) 48 "fcvt_from_uint";
    FcvtToSint: With(convert::to_signed) 48 "fcvt_to_sint: vcvtts2si";
    FcvtToUint: With(convert::to_unsigned) 64 "fcvt_to_uint: vcvtts2si";
    FcvtToSintSat: With(convert::to_signed_saturating) 48 "fcvt_to_sint_sat";
    FcvtToUintSat: With(convert::to_unsigned_saturating) 64 "fcvt_to_uint_sat";
    X86Cvtt2dq I32X4: Unary(VEX_Vcvttps2dq_xmm_xmmm128) 8 "x86_cvtt2dq: vcvttps2dq";
};

/// The tiles of each opcode, in order.
fn by_opcode() -> &'static [Vec<&'static Tile>] {
    static INDEX: OnceLock<Vec<Vec<&'static Tile>>> = OnceLock::new();
    INDEX.get_or_init(|| {
        let mut index: Vec<Vec<&Tile>> = Vec::new();
        for tile in TILES {
            let at = tile.op as usize;
            if index.len() <= at {
                index.resize_with(at + 1, Vec::new);
            }
            index[at].push(tile);
        }
        index
    })
}

impl Select<'_> {
    /// Covers the root with the first tile that fits.
    pub(super) fn cover(&mut self, root: &Root) -> Result<(), Unsupported> {
        let tiles = by_opcode().get(root.op as usize).map_or(&[][..], Vec::as_slice);
        for tile in tiles {
            if tile.ty.is_some_and(|ty| ty != root.ty) {
                continue;
            }
            self.tile = tile.name;
            if self.emit(tile.emit, root)? {
                return Ok(());
            }
        }
        if root.ty == types::INVALID {
            return self.unsupported(root.op);
        }
        self.unsupported(format!("{} of {}", root.op, root.ty))
    }

    fn emit(&mut self, emit: Emit, root: &Root) -> Fits {
        let ty = root.ty;
        match emit {
            Emit::With(function) => return function(self, root),
            Emit::Unary(code) => {
                let source = self.source(root.args[0], ty)?;
                self.unary(code, source, None);
            }
            Emit::Binary(code) => {
                let left = self.reg(root.args[0])?;
                let source = self.source(root.args[1], ty)?;
                self.binary(code, left, source, None);
            }
            Emit::Commutative(code) => {
                let [mut left, mut right] = root.args[..] else { return Ok(false) };
                if self.memory_rank(left, ty) > self.memory_rank(right, ty) {
                    (left, right) = (right, left);
                }
                let left = self.reg(left)?;
                let source = self.source(right, ty)?;
                self.binary(code, left, source, None);
            }
        }
        self.last_is_result()?;
        Ok(true)
    }

    /// How much `value` would rather be the operand that can be memory: a load or constant that
    /// becomes one, or a value from another block, which is the likelier to be spilled.
    pub(super) fn memory_rank(&self, value: Value, ty: Type) -> u8 {
        if self.sinkable(value, ty).is_some() {
            return 3;
        }
        if self.vector_constant(value).is_some() {
            return 2;
        }
        let layout = &self.func.layout;
        let here = layout.inst_block(self.root);
        let there = match self.func.dfg.value_def(self.canonical(value)) {
            ValueDef::Result(inst, _) => layout.inst_block(inst),
            ValueDef::Param(block, _) => Some(block),
            _ => here,
        };
        u8::from(here != there)
    }
}

#[cfg(test)]
mod tests {
    use super::TILES;
    use std::collections::HashSet;

    #[test]
    fn names_are_unique_and_say_the_opcode() {
        let mut seen = HashSet::new();
        for tile in TILES {
            assert!(tile.cost > 0, "{}", tile.name);
            assert!(seen.insert(tile.name), "{} stands twice", tile.name);
            let op = tile.op.to_string();
            assert!(tile.name.starts_with(&op), "{} covers {op}", tile.name);
        }
    }
}

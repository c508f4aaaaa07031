//! The AVX-512 forms (EVEX) of instructions that are named in their AVX forms (VEX).
//!
//! They do the same, on registers 0 to 31 instead of 0 to 15, or on 512 bits instead of 256. What
//! AVX-512 does with masks has no form here.

use iced_x86::{Code, EncodingKind, Mnemonic, OpCodeOperandKind as K};
use std::collections::HashMap;
use std::sync::LazyLock;

/// The form of `code` that takes all 32 registers.
pub(crate) fn of_same_width(code: Code) -> Option<Code> {
    SAME_WIDTH.get(&code).copied()
}

/// The form of `code`, which works on 256 bits, that works on 512.
pub(crate) fn of_512_bits(code: Code) -> Option<Code> {
    TWICE_WIDTH.get(&code).copied()
}

/// Whether `code` is named in a form that processors with AVX-512 may lack, AVX-VNNI's.
pub(crate) fn is_evex_alone(code: Code) -> bool {
    matches!(code.mnemonic(), Mnemonic::Vpdpbusd | Mnemonic::Vpdpwssd)
}

pub(crate) fn is_xmm(kind: K) -> bool {
    matches!(kind, K::xmm_or_mem | K::xmm_reg | K::xmm_rm | K::xmm_vvvv | K::xmm_is4)
}

pub(crate) fn is_ymm(kind: K) -> bool {
    matches!(kind, K::ymm_or_mem | K::ymm_reg | K::ymm_rm | K::ymm_vvvv | K::ymm_is4)
}

pub(crate) fn is_zmm(kind: K) -> bool {
    matches!(kind, K::zmm_or_mem | K::zmm_reg | K::zmm_rm | K::zmm_vvvv)
}

/// What an operand of an instruction is, but for its width.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Form {
    /// A register of the instruction's width.
    Whole,
    /// The same, or memory that it writes.
    Store,
    Xmm,
    Other(u32),
}

/// The mnemonic and the operands, those of registers of its width known by `is_whole`.
fn forms(code: Code, is_whole: fn(K) -> bool) -> (Mnemonic, Vec<Form>) {
    let info = code.op_code();
    let form = |at: u32| {
        let kind = info.op_kind(at);
        let memory = matches!(kind, K::xmm_or_mem | K::ymm_or_mem | K::zmm_or_mem);
        match kind {
            kind if is_whole(kind) && at == 0 && memory => Form::Store,
            kind if is_whole(kind) => Form::Whole,
            kind if is_xmm(kind) => Form::Xmm,
            kind => Form::Other(kind as u32),
        }
    };
    (code.mnemonic(), (0..info.op_count()).map(form).collect())
}

/// By mnemonic and operands: the codes of one encoding and vector length.
fn codes(
    encoding: EncodingKind,
    length: u32,
    is_whole: fn(K) -> bool,
) -> impl Iterator<Item = ((Mnemonic, Vec<Form>), Code)> {
    let of = move |code: &Code| {
        let info = code.op_code();
        info.encoding() == encoding && info.l() == length
    };
    Code::values().filter(of).map(move |code| (forms(code, is_whole), code))
}

/// What `vex` of one length is in `evex` of one length.
fn pairs(
    vex: (u32, fn(K) -> bool),
    evex: (u32, fn(K) -> bool),
) -> impl Iterator<Item = (Code, Code)> {
    let forms: HashMap<_, _> = codes(EncodingKind::EVEX, evex.0, evex.1).collect();
    let names = codes(EncodingKind::VEX, vex.0, vex.1);
    names.filter_map(move |((mnemonic, operands), code)| {
        Some((code, *forms.get(&(name_in_evex(mnemonic), operands))?))
    })
}

static SAME_WIDTH: LazyLock<HashMap<Code, Code>> = LazyLock::new(|| {
    pairs((0, is_xmm), (0, is_xmm)).chain(pairs((1, is_ymm), (1, is_ymm))).collect()
});

static TWICE_WIDTH: LazyLock<HashMap<Code, Code>> =
    LazyLock::new(|| pairs((1, is_ymm), (2, is_zmm)).collect());

/// The mnemonic that an instruction has in AVX-512, where lanes can be masked and so have a width.
fn name_in_evex(mnemonic: Mnemonic) -> Mnemonic {
    use Mnemonic::*;
    match mnemonic {
        Vpand => Vpandd,
        Vpandn => Vpandnd,
        Vpor => Vpord,
        Vpxor => Vpxord,
        Vmovdqu => Vmovdqu32,
        Vmovdqa => Vmovdqa32,
        // The upper bits of their immediate scale, and are zero here.
        Vroundps => Vrndscaleps,
        Vroundpd => Vrndscalepd,
        Vroundss => Vrndscaless,
        Vroundsd => Vrndscalesd,
        Vinserti128 => Vinserti32x4,
        Vextracti128 => Vextracti32x4,
        same => same,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_have_the_same_operands() {
        use Code::*;
        assert_eq!(
            of_same_width(VEX_Vpaddw_xmm_xmm_xmmm128),
            Some(EVEX_Vpaddw_xmm_k1z_xmm_xmmm128)
        );
        assert_eq!(
            of_same_width(VEX_Vpand_ymm_ymm_ymmm256),
            Some(EVEX_Vpandd_ymm_k1z_ymm_ymmm256b32)
        );
        assert_eq!(
            of_same_width(VEX_Vaddss_xmm_xmm_xmmm32),
            Some(EVEX_Vaddss_xmm_k1z_xmm_xmmm32_er)
        );
        assert_eq!(of_same_width(VEX_Vmovd_xmm_rm32), Some(EVEX_Vmovd_xmm_rm32));
        assert_eq!(
            of_same_width(VEX_Vextracti128_xmmm128_ymm_imm8),
            Some(EVEX_Vextracti32x4_xmmm128_k1z_ymm_imm8)
        );
        for none in [
            VEX_Vpcmpeqb_xmm_xmm_xmmm128,
            VEX_Vpblendvb_xmm_xmm_xmmm128_xmm,
            VEX_Vptest_xmm_xmmm128,
        ] {
            assert_eq!(of_same_width(none), None, "{none:?}");
        }
        for (vex, evex) in SAME_WIDTH.iter().chain(TWICE_WIDTH.iter()) {
            assert_eq!(vex.op_code().op_count(), evex.op_code().op_count(), "{vex:?} {evex:?}");
        }
    }
}

//! Which 128-bit instructions have a 256-bit form that does the same to each half.

use iced_x86::{Code, EncodingKind, Mnemonic};
use std::collections::HashMap;
use std::sync::LazyLock;

/// The 256-bit form of `code`, if that computes each 128-bit half as `code` does (Intel SDM volume 2:
/// most of AVX2 works within 128-bit lanes).
pub(super) fn wide(code: Code) -> Option<Code> {
    WIDE.get(&code).copied()
}

static WIDE: LazyLock<HashMap<Code, Code>> = LazyLock::new(|| {
    let forms = |length: u32| {
        Code::values().filter(move |code| {
            let info = code.op_code();
            info.encoding() == EncodingKind::VEX && info.l() == length
        })
    };
    // Two forms of one instruction differ in the length bit and the widths of operands alone.
    let key = |code: Code| {
        let info = code.op_code();
        let store = info.op_kind(0) as u32 == iced_x86::OpCodeOperandKind::xmm_or_mem as u32
            || info.op_kind(0) as u32 == iced_x86::OpCodeOperandKind::ymm_or_mem as u32;
        let form = (info.op_code(), info.op_count(), info.w(), store, info.group_index());
        (code.mnemonic(), info.table() as u32, info.mandatory_prefix() as u32, form)
    };
    let narrow: HashMap<_, _> = forms(0)
        .filter(|code| is_lanewise(code.mnemonic()))
        .map(|code| (key(code), code))
        .collect();
    forms(1).filter_map(|code| narrow.get(&key(code)).map(|narrow| (*narrow, code))).collect()
});

fn is_lanewise(mnemonic: Mnemonic) -> bool {
    use Mnemonic::*;
    matches!(
        mnemonic,
        Vaddpd
            | Vaddps
            | Vandnpd
            | Vandnps
            | Vandpd
            | Vandps
            | Vblendpd
            | Vblendps
            | Vblendvpd
            | Vblendvps
            | Vcmppd
            | Vcmpps
            | Vcvtdq2ps
            | Vcvtps2dq
            | Vcvttps2dq
            | Vdivpd
            | Vdivps
            | Vfmadd132pd
            | Vfmadd132ps
            | Vfmadd213pd
            | Vfmadd213ps
            | Vfmadd231pd
            | Vfmadd231ps
            | Vfmsub213pd
            | Vfmsub213ps
            | Vfnmadd213pd
            | Vfnmadd213ps
            | Vfnmsub213pd
            | Vfnmsub213ps
            | Vhaddpd
            | Vhaddps
            | Vmaxpd
            | Vmaxps
            | Vminpd
            | Vminps
            | Vmovddup
            | Vmovaps
            | Vmovdqa
            | Vmovdqu
            | Vmovshdup
            | Vmovsldup
            | Vmovups
            | Vmulpd
            | Vmulps
            | Vorpd
            | Vorps
            | Vpabsb
            | Vpabsd
            | Vpabsw
            | Vpackssdw
            | Vpacksswb
            | Vpackusdw
            | Vpackuswb
            | Vpaddb
            | Vpaddd
            | Vpaddq
            | Vpaddsb
            | Vpaddsw
            | Vpaddusb
            | Vpaddusw
            | Vpaddw
            | Vpalignr
            | Vpand
            | Vpandn
            | Vpavgb
            | Vpavgw
            | Vpblendd
            | Vpblendvb
            | Vpblendw
            | Vpcmpeqb
            | Vpcmpeqd
            | Vpcmpeqq
            | Vpcmpeqw
            | Vpcmpgtb
            | Vpcmpgtd
            | Vpcmpgtq
            | Vpcmpgtw
            | Vpermilpd
            | Vpermilps
            | Vphaddd
            | Vphaddw
            | Vpmaddubsw
            | Vpmaddwd
            | Vpmaxsb
            | Vpmaxsd
            | Vpmaxsw
            | Vpmaxub
            | Vpmaxud
            | Vpmaxuw
            | Vpminsb
            | Vpminsd
            | Vpminsw
            | Vpminub
            | Vpminud
            | Vpminuw
            | Vpmuldq
            | Vpmulhrsw
            | Vpmulhuw
            | Vpmulhw
            | Vpmulld
            | Vpmullw
            | Vpmuludq
            | Vpor
            | Vpsadbw
            | Vpshufb
            | Vpshufd
            | Vpshufhw
            | Vpshuflw
            | Vpsignb
            | Vpsignd
            | Vpsignw
            | Vpslld
            | Vpslldq
            | Vpsllq
            | Vpsllvd
            | Vpsllvq
            | Vpsllw
            | Vpsrad
            | Vpsravd
            | Vpsraw
            | Vpsrld
            | Vpsrldq
            | Vpsrlq
            | Vpsrlvd
            | Vpsrlvq
            | Vpsrlw
            | Vpsubb
            | Vpsubd
            | Vpsubq
            | Vpsubsb
            | Vpsubsw
            | Vpsubusb
            | Vpsubusw
            | Vpsubw
            | Vpunpckhbw
            | Vpunpckhdq
            | Vpunpckhqdq
            | Vpunpckhwd
            | Vpunpcklbw
            | Vpunpckldq
            | Vpunpcklqdq
            | Vpunpcklwd
            | Vpxor
            | Vroundpd
            | Vroundps
            | Vshufpd
            | Vshufps
            | Vsqrtpd
            | Vsqrtps
            | Vsubpd
            | Vsubps
            | Vunpckhpd
            | Vunpckhps
            | Vunpcklpd
            | Vunpcklps
            | Vxorpd
            | Vxorps
    )
}

impl Widening {
    /// The 256-bit form of unpacking the low eight bytes with zeros.
    pub(super) fn unpack_low(&self) -> Option<Code> {
        Some(match self.high? {
            Code::VEX_Vpunpckhbw_xmm_xmm_xmmm128 => Code::VEX_Vpunpcklbw_ymm_ymm_ymmm256,
            Code::VEX_Vpunpckhwd_xmm_xmm_xmmm128 => Code::VEX_Vpunpcklwd_ymm_ymm_ymmm256,
            _ => Code::VEX_Vpunpckldq_ymm_ymm_ymmm256,
        })
    }
}

/// The instructions that widen the low and the high eight bytes of a register, and the one that
/// widens all sixteen. The high half is unpacked with zeros, or moved down and then widened.
#[derive(Debug)]
pub(super) struct Widening {
    pub(super) low: Code,
    /// Unpacks with zeros, for unsigned lanes.
    pub(super) high: Option<Code>,
    pub(super) whole: Code,
}

pub(super) static WIDENINGS: [Widening; 6] = {
    use Code::*;
    const fn widening(low: Code, high: Option<Code>, whole: Code) -> Widening {
        Widening { low, high, whole }
    }
    [
        widening(
            VEX_Vpmovzxbw_xmm_xmmm64,
            Some(VEX_Vpunpckhbw_xmm_xmm_xmmm128),
            VEX_Vpmovzxbw_ymm_xmmm128,
        ),
        widening(
            VEX_Vpmovzxwd_xmm_xmmm64,
            Some(VEX_Vpunpckhwd_xmm_xmm_xmmm128),
            VEX_Vpmovzxwd_ymm_xmmm128,
        ),
        widening(
            VEX_Vpmovzxdq_xmm_xmmm64,
            Some(VEX_Vpunpckhdq_xmm_xmm_xmmm128),
            VEX_Vpmovzxdq_ymm_xmmm128,
        ),
        widening(VEX_Vpmovsxbw_xmm_xmmm64, None, VEX_Vpmovsxbw_ymm_xmmm128),
        widening(VEX_Vpmovsxwd_xmm_xmmm64, None, VEX_Vpmovsxwd_ymm_xmmm128),
        widening(VEX_Vpmovsxdq_xmm_xmmm64, None, VEX_Vpmovsxdq_ymm_xmmm128),
    ]
};

/// The immediate of the 256-bit form of `code` that does to each half what these do; in most forms
/// one immediate is for both halves, in some each bit is for one lane (Intel SDM volume 2).
pub(super) fn immediate(code: Code, lo: i64, hi: i64) -> Option<i64> {
    let lanes = match code {
        Code::VEX_Vpblendd_xmm_xmm_xmmm128_imm8 | Code::VEX_Vblendps_xmm_xmm_xmmm128_imm8 => 4,
        Code::VEX_Vblendpd_xmm_xmm_xmmm128_imm8
        | Code::VEX_Vpermilpd_xmm_xmmm128_imm8
        | Code::VEX_Vshufpd_xmm_xmm_xmmm128_imm8 => 2,
        _ => return (lo == hi).then_some(lo),
    };
    let mask = (1 << lanes) - 1;
    Some((lo & mask) | (hi & mask) << lanes)
}

/// The form of a broadcast that fills 256 bits.
pub(super) fn broadcast(code: Code) -> Option<Code> {
    Some(match code {
        Code::VEX_Vpbroadcastb_xmm_xmmm8 => Code::VEX_Vpbroadcastb_ymm_xmmm8,
        Code::VEX_Vpbroadcastw_xmm_xmmm16 => Code::VEX_Vpbroadcastw_ymm_xmmm16,
        Code::VEX_Vpbroadcastd_xmm_xmmm32 => Code::VEX_Vpbroadcastd_ymm_xmmm32,
        Code::VEX_Vpbroadcastq_xmm_xmmm64 => Code::VEX_Vpbroadcastq_ymm_xmmm64,
        Code::VEX_Vbroadcastss_xmm_xmm => Code::VEX_Vbroadcastss_ymm_xmm,
        Code::VEX_Vbroadcastss_xmm_m32 => Code::VEX_Vbroadcastss_ymm_m32,
        _ => return None,
    })
}

/// Whether `code`, of 256 bits, narrows lanes of two registers into one, within 128 bits.
pub(super) fn is_narrowing(code: Code) -> bool {
    matches!(
        code,
        Code::VEX_Vpackuswb_ymm_ymm_ymmm256
            | Code::VEX_Vpacksswb_ymm_ymm_ymmm256
            | Code::VEX_Vpackusdw_ymm_ymm_ymmm256
            | Code::VEX_Vpackssdw_ymm_ymm_ymmm256
    )
}

/// The load that does for adjacent memory what two of `code` do for its halves.
pub(super) fn load_of_both(code: Code) -> Option<Code> {
    Some(match code {
        Code::VEX_Vmovdqu_xmm_xmmm128 => Code::VEX_Vmovdqu_ymm_ymmm256,
        Code::VEX_Vmovups_xmm_xmmm128 => Code::VEX_Vmovups_ymm_ymmm256,
        code => WIDENINGS.iter().find(|widening| widening.low == code)?.whole,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use iced_x86::OpCodeOperandKind as K;

    #[test]
    fn immediates_of_lanes_are_side_by_side() {
        use Code::*;
        assert_eq!(immediate(VEX_Vpblendd_xmm_xmm_xmmm128_imm8, 0x8, 0x3), Some(0x38));
        assert_eq!(immediate(VEX_Vshufpd_xmm_xmm_xmmm128_imm8, 1, 2), Some(0b1001));
        assert_eq!(immediate(VEX_Vpblendw_xmm_xmm_xmmm128_imm8, 0x81, 0x81), Some(0x81));
        assert_eq!(immediate(VEX_Vpblendw_xmm_xmm_xmmm128_imm8, 0x81, 0x80), None);
    }

    #[test]
    fn forms_differ_in_width_alone() {
        use Code::*;
        assert_eq!(wide(VEX_Vpaddw_xmm_xmm_xmmm128), Some(VEX_Vpaddw_ymm_ymm_ymmm256));
        assert_eq!(wide(VEX_Vpsllw_xmm_xmm_imm8), Some(VEX_Vpsllw_ymm_ymm_imm8));
        assert_eq!(wide(VEX_Vpsllw_xmm_xmm_xmmm128), Some(VEX_Vpsllw_ymm_ymm_xmmm128));
        assert_eq!(wide(VEX_Vpshufd_xmm_xmmm128_imm8), Some(VEX_Vpshufd_ymm_ymmm256_imm8));
        assert_eq!(
            wide(VEX_Vpblendvb_xmm_xmm_xmmm128_xmm),
            Some(VEX_Vpblendvb_ymm_ymm_ymmm256_ymm)
        );
        assert_eq!(wide(VEX_Vmovups_xmm_xmmm128), Some(VEX_Vmovups_ymm_ymmm256));
        assert_eq!(wide(VEX_Vpmovzxbw_xmm_xmmm64), None);
        assert_eq!(wide(VEX_Vptest_xmm_xmmm128), None);
        for (narrow, wide) in WIDE.iter() {
            let (narrow, wide) = (narrow.op_code(), wide.op_code());
            for at in 0..narrow.op_count() {
                let fits = match (narrow.op_kind(at), wide.op_kind(at)) {
                    (K::xmm_or_mem, K::ymm_or_mem | K::xmm_or_mem)
                    | (K::xmm_reg, K::ymm_reg)
                    | (K::xmm_rm, K::ymm_rm)
                    | (K::xmm_vvvv, K::ymm_vvvv)
                    | (K::xmm_is4, K::ymm_is4) => true,
                    (one, other) => one as u32 == other as u32,
                };
                assert!(fits, "{narrow:?} {wide:?}");
            }
        }
    }
}

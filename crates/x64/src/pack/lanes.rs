//! Which instructions have a form of twice the width that does the same to each half.

use super::{Level, masks};
use crate::evex::{self, is_ymm, is_zmm};
use iced_x86::{Code, EncodingKind, Mnemonic, OpCodeOperandKind as K};
use std::collections::HashMap;
use std::sync::LazyLock;

impl Level {
    /// The wide form of `code`, if that computes each half as `code` does: most of AVX2 works within
    /// 128-bit lanes, and AVX-512 does to each half of a register what AVX2 does to all of it (Intel
    /// SDM volume 2).
    pub(super) fn wide(self, code: Code) -> Option<Code> {
        match self {
            Level::Bits256 => WIDE_256.get(&code).copied(),
            Level::Bits512 => WIDE_512.get(&code).copied().or_else(|| masks::masked(code)),
        }
    }

    /// Whether an operand of this kind is a whole wide register.
    pub(super) fn is_wide(self, kind: K) -> bool {
        match self {
            Level::Bits256 => is_ymm(kind),
            Level::Bits512 => is_zmm(kind),
        }
    }

    /// Bytes of a wide register.
    pub(super) const fn bytes(self) -> u32 {
        match self {
            Level::Bits256 => 32,
            Level::Bits512 => 64,
        }
    }

    /// Puts a register into the upper half of another.
    pub(super) const fn insert(self) -> Code {
        match self {
            Level::Bits256 => Code::VEX_Vinserti128_ymm_ymm_xmmm128_imm8,
            Level::Bits512 => Code::EVEX_Vinserti64x4_zmm_k1z_zmm_ymmm256_imm8,
        }
    }

    /// Takes the upper half of a register out.
    pub(super) const fn extract(self) -> Code {
        match self {
            Level::Bits256 => Code::VEX_Vextracti128_xmmm128_ymm_imm8,
            Level::Bits512 => Code::EVEX_Vextracti64x4_ymmm256_k1z_zmm_imm8,
        }
    }

    /// Loads a half.
    pub(super) const fn load_half(self) -> Code {
        match self {
            Level::Bits256 => Code::VEX_Vmovups_xmm_xmmm128,
            Level::Bits512 => Code::VEX_Vmovups_ymm_ymmm256,
        }
    }

    /// Loads both halves.
    pub(super) const fn load(self) -> Code {
        match self {
            Level::Bits256 => Code::VEX_Vmovups_ymm_ymmm256,
            Level::Bits512 => Code::EVEX_Vmovups_zmm_k1z_zmmm512,
        }
    }

    /// Whether `code` loads or moves a half and does nothing else.
    pub(super) fn is_load_of_half(self, code: Code) -> bool {
        use Code::*;
        match self {
            Level::Bits256 => matches!(code, VEX_Vmovups_xmm_xmmm128 | VEX_Vmovdqu_xmm_xmmm128),
            Level::Bits512 => matches!(code, VEX_Vmovups_ymm_ymmm256 | VEX_Vmovdqu_ymm_ymmm256),
        }
    }

    /// What stores both halves, if `code` stores one and does nothing else.
    pub(super) fn store_of_both(self, code: Code) -> Option<Code> {
        use Code::*;
        Some(match (self, code) {
            (Level::Bits256, VEX_Vmovups_xmmm128_xmm) => VEX_Vmovups_ymmm256_ymm,
            (Level::Bits256, VEX_Vmovdqu_xmmm128_xmm) => VEX_Vmovdqu_ymmm256_ymm,
            (Level::Bits512, VEX_Vmovups_ymmm256_ymm) => EVEX_Vmovups_zmmm512_k1z_zmm,
            (Level::Bits512, VEX_Vmovdqu_ymmm256_ymm) => EVEX_Vmovdqu32_zmmm512_k1z_zmm,
            _ => return None,
        })
    }

    /// The load that does for adjacent memory what two of `code` do for its halves.
    pub(super) fn load_of_both(self, code: Code) -> Option<Code> {
        if self.is_load_of_half(code) {
            return self.wide(code);
        }
        Some(self.widenings().iter().find(|widening| widening.low == code)?.whole)
    }

    /// The all-zeros or all-ones idiom that fills a wide register.
    pub(super) fn idiom(self, code: Code) -> Option<Code> {
        match (self, code) {
            (Level::Bits256, _) => self.wide(code),
            // What writes the lower bits of a register clears all above.
            (_, Code::VEX_Vpxor_ymm_ymm_ymmm256) => Some(code),
            (_, Code::VEX_Vpcmpeqd_ymm_ymm_ymmm256) => {
                Some(Code::EVEX_Vpternlogd_zmm_k1z_zmm_zmmm512b32_imm8)
            }
            _ => None,
        }
    }

    /// The form of a broadcast that fills a wide register.
    pub(super) fn broadcast(self, code: Code) -> Option<Code> {
        use Code::*;
        Some(match (self, code) {
            (Level::Bits256, VEX_Vpbroadcastb_xmm_xmmm8) => VEX_Vpbroadcastb_ymm_xmmm8,
            (Level::Bits256, VEX_Vpbroadcastw_xmm_xmmm16) => VEX_Vpbroadcastw_ymm_xmmm16,
            (Level::Bits256, VEX_Vpbroadcastd_xmm_xmmm32) => VEX_Vpbroadcastd_ymm_xmmm32,
            (Level::Bits256, VEX_Vpbroadcastq_xmm_xmmm64) => VEX_Vpbroadcastq_ymm_xmmm64,
            (Level::Bits256, VEX_Vbroadcastss_xmm_xmm) => VEX_Vbroadcastss_ymm_xmm,
            (Level::Bits256, VEX_Vbroadcastss_xmm_m32) => VEX_Vbroadcastss_ymm_m32,
            (Level::Bits512, VEX_Vpbroadcastb_ymm_xmmm8) => EVEX_Vpbroadcastb_zmm_k1z_xmmm8,
            (Level::Bits512, VEX_Vpbroadcastw_ymm_xmmm16) => EVEX_Vpbroadcastw_zmm_k1z_xmmm16,
            (Level::Bits512, VEX_Vpbroadcastd_ymm_xmmm32) => EVEX_Vpbroadcastd_zmm_k1z_xmmm32,
            (Level::Bits512, VEX_Vpbroadcastq_ymm_xmmm64) => EVEX_Vpbroadcastq_zmm_k1z_xmmm64,
            (Level::Bits512, VEX_Vbroadcastss_ymm_xmm | VEX_Vbroadcastss_ymm_m32) => {
                EVEX_Vbroadcastss_zmm_k1z_xmmm32
            }
            _ => return None,
        })
    }

    /// The widenings of halves and wholes.
    pub(super) fn widenings(self) -> &'static [Widening] {
        match self {
            Level::Bits256 => &WIDENINGS_256,
            Level::Bits512 => &WIDENINGS_512,
        }
    }

    /// Whether `code` widens all of a register.
    pub(super) fn widens_whole(self, code: Code) -> bool {
        self.widenings().iter().any(|widening| widening.whole == code)
    }

    /// The immediate of the wide form of `code` that does to each half what these do; in most forms
    /// one immediate is for both halves, in some each bit is for one lane (Intel SDM volume 2).
    pub(super) fn immediate(self, code: Code, lo: i64, hi: i64) -> Option<i64> {
        use Code::*;
        let lanes = match code {
            VEX_Vpblendd_xmm_xmm_xmmm128_imm8 | VEX_Vblendps_xmm_xmm_xmmm128_imm8 => 4,
            VEX_Vblendpd_xmm_xmm_xmmm128_imm8
            | VEX_Vpermilpd_xmm_xmmm128_imm8
            | VEX_Vshufpd_xmm_xmm_xmmm128_imm8 => 2,
            VEX_Vpermilpd_ymm_ymmm256_imm8 | VEX_Vshufpd_ymm_ymm_ymmm256_imm8 => 4,
            _ => return (lo == hi).then_some(lo),
        };
        let mask = (1 << lanes) - 1;
        Some((lo & mask) | (hi & mask) << lanes)
    }
}

static WIDE_256: LazyLock<HashMap<Code, Code>> = LazyLock::new(|| {
    let forms = |length: u32| {
        Code::values().filter(move |code| {
            let info = code.op_code();
            info.encoding() == EncodingKind::VEX && info.l() == length
        })
    };
    // Two forms of one instruction differ in the length bit and the widths of operands alone.
    let key = |code: Code| {
        let info = code.op_code();
        let store = matches!(info.op_kind(0), K::xmm_or_mem | K::ymm_or_mem);
        let form = (info.op_code(), info.op_count(), info.w(), store, info.group_index());
        (code.mnemonic(), info.table() as u32, info.mandatory_prefix() as u32, form)
    };
    let narrow: HashMap<_, _> = forms(0)
        .filter(|code| is_lanewise(code.mnemonic()))
        .map(|code| (key(code), code))
        .collect();
    forms(1).filter_map(|code| narrow.get(&key(code)).map(|narrow| (*narrow, code))).collect()
});

static WIDE_512: LazyLock<HashMap<Code, Code>> = LazyLock::new(|| {
    let within = |code: &Code| is_lanewise(code.mnemonic()) || is_within_halves(*code);
    let pair = |code: Code| Some((code, evex::of_512_bits(code)?));
    Code::values().filter(within).filter_map(pair).collect()
});

/// Whether what crosses 128-bit lanes stays within 256 bits in the 512-bit form.
fn is_within_halves(code: Code) -> bool {
    code == Code::VEX_Vpermq_ymm_ymmm256_imm8
}

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
            | Vpdpbusd
            | Vpdpwssd
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

/// The instructions that widen the lower and the upper half of a register, and the one that widens
/// all of it. The upper half is unpacked with zeros, or moved down and then widened.
#[derive(Debug)]
pub(super) struct Widening {
    pub(super) low: Code,
    /// Unpacks with zeros, for unsigned lanes.
    pub(super) high: Option<Code>,
    pub(super) whole: Code,
}

const fn widening(low: Code, high: Option<Code>, whole: Code) -> Widening {
    Widening { low, high, whole }
}

static WIDENINGS_256: [Widening; 6] = {
    use Code::*;
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

static WIDENINGS_512: [Widening; 6] = {
    use Code::*;
    [
        widening(VEX_Vpmovzxbw_ymm_xmmm128, None, EVEX_Vpmovzxbw_zmm_k1z_ymmm256),
        widening(VEX_Vpmovzxwd_ymm_xmmm128, None, EVEX_Vpmovzxwd_zmm_k1z_ymmm256),
        widening(VEX_Vpmovzxdq_ymm_xmmm128, None, EVEX_Vpmovzxdq_zmm_k1z_ymmm256),
        widening(VEX_Vpmovsxbw_ymm_xmmm128, None, EVEX_Vpmovsxbw_zmm_k1z_ymmm256),
        widening(VEX_Vpmovsxwd_ymm_xmmm128, None, EVEX_Vpmovsxwd_zmm_k1z_ymmm256),
        widening(VEX_Vpmovsxdq_ymm_xmmm128, None, EVEX_Vpmovsxdq_zmm_k1z_ymmm256),
    ]
};

const LEVELS: [Level; 2] = [Level::Bits256, Level::Bits512];

/// Whether `code` moves data between the halves of a register.
pub(crate) fn crosses(code: Code) -> bool {
    code == Code::VEX_Vpermq_ymm_ymmm256_imm8
        || code == Code::EVEX_Vpermq_zmm_k1z_zmmm512b64_imm8
        || code == Code::EVEX_Vpermq_zmm_k1z_zmm_zmmm512b64
        || LEVELS.iter().any(|level| {
            code == level.insert() || code == level.extract() || level.widens_whole(code)
        })
}

/// Whether `code` loads a register, of any width, or moves it, and does nothing else.
pub(super) fn is_load(code: Code) -> bool {
    let widest = [Code::EVEX_Vmovups_zmm_k1z_zmmm512, Code::EVEX_Vmovdqu32_zmm_k1z_zmmm512];
    LEVELS.iter().any(|level| level.is_load_of_half(code)) || widest.contains(&code)
}

/// Whether `code` narrows lanes of two registers into one, within 128 bits.
pub(super) fn is_narrowing(code: Code) -> bool {
    use Mnemonic::{Vpackssdw, Vpacksswb, Vpackusdw, Vpackuswb};
    matches!(code.mnemonic(), Vpackuswb | Vpacksswb | Vpackusdw | Vpackssdw)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn immediates_of_lanes_are_side_by_side() {
        use Code::*;
        let immediate = |code, lo, hi| Level::Bits256.immediate(code, lo, hi);
        assert_eq!(immediate(VEX_Vpblendd_xmm_xmm_xmmm128_imm8, 0x8, 0x3), Some(0x38));
        assert_eq!(immediate(VEX_Vshufpd_xmm_xmm_xmmm128_imm8, 1, 2), Some(0b1001));
        assert_eq!(immediate(VEX_Vpblendw_xmm_xmm_xmmm128_imm8, 0x81, 0x81), Some(0x81));
        assert_eq!(immediate(VEX_Vpblendw_xmm_xmm_xmmm128_imm8, 0x81, 0x80), None);
    }

    #[test]
    fn forms_differ_in_width_alone() {
        use Code::*;
        let wide = |code| Level::Bits256.wide(code);
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
        for (narrow, wide) in WIDE_256.iter() {
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

    #[test]
    fn forms_of_512_bits_have_the_same_operands() {
        use Code::*;
        let wide = |code| Level::Bits512.wide(code);
        assert_eq!(wide(VEX_Vpaddw_ymm_ymm_ymmm256), Some(EVEX_Vpaddw_zmm_k1z_zmm_zmmm512));
        assert_eq!(wide(VEX_Vpand_ymm_ymm_ymmm256), Some(EVEX_Vpandd_zmm_k1z_zmm_zmmm512b32));
        assert_eq!(wide(VEX_Vpsllw_ymm_ymm_imm8), Some(EVEX_Vpsllw_zmm_k1z_zmmm512_imm8));
        assert_eq!(wide(VEX_Vpsllw_ymm_ymm_xmmm128), Some(EVEX_Vpsllw_zmm_k1z_zmm_xmmm128));
        assert_eq!(wide(VEX_Vmovups_ymm_ymmm256), Some(EVEX_Vmovups_zmm_k1z_zmmm512));
        assert_eq!(wide(VEX_Vmovdqu_ymmm256_ymm), Some(EVEX_Vmovdqu32_zmmm512_k1z_zmm));
        assert_eq!(wide(VEX_Vpermq_ymm_ymmm256_imm8), Some(EVEX_Vpermq_zmm_k1z_zmmm512b64_imm8));
        assert_eq!(wide(VEX_Vpcmpeqb_ymm_ymm_ymmm256), Some(EVEX_Vpcmpeqb_kr_k1_zmm_zmmm512));
        assert_eq!(wide(VEX_Vphaddw_ymm_ymm_ymmm256), None);
        for (narrow, wide) in WIDE_512.iter() {
            assert!(narrow.op_code().l() == 1 && wide.op_code().l() == 2, "{narrow:?} {wide:?}");
        }
    }
}

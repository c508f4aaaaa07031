//! What AVX-512 does with masks: comparisons write a mask register, and blends read one.
//!
//! A comparison of 512 bits is made into a mask and, for readers other than blends, into a vector;
//! where there are none, the vector is dropped as unread.

use iced_x86::Code;

/// A comparison.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Comparison {
    /// Its form of 256 bits, which makes lanes of ones.
    narrow: Code,
    /// Its form of 512 bits, which makes a mask.
    wide: Code,
    /// What its lanes are.
    lanes: &'static Lanes,
}

/// Masks of lanes of one width.
#[derive(PartialEq, Eq, Debug)]
pub(super) struct Lanes {
    bits: u32,
    /// Makes lanes of ones of a mask.
    pub(super) to_vector: Code,
    /// Makes a mask of the highest bits of lanes.
    pub(super) to_mask: Code,
    /// Takes lanes of the second register where the mask says so.
    pub(super) blend: Code,
}

static B: Lanes = Lanes {
    bits: 8,
    to_vector: Code::EVEX_Vpmovm2b_zmm_kr,
    to_mask: Code::EVEX_Vpmovb2m_kr_zmm,
    blend: Code::EVEX_Vpblendmb_zmm_k1z_zmm_zmmm512,
};
static W: Lanes = Lanes {
    bits: 16,
    to_vector: Code::EVEX_Vpmovm2w_zmm_kr,
    to_mask: Code::EVEX_Vpmovw2m_kr_zmm,
    blend: Code::EVEX_Vpblendmw_zmm_k1z_zmm_zmmm512,
};
static D: Lanes = Lanes {
    bits: 32,
    to_vector: Code::EVEX_Vpmovm2d_zmm_kr,
    to_mask: Code::EVEX_Vpmovd2m_kr_zmm,
    blend: Code::EVEX_Vpblendmd_zmm_k1z_zmm_zmmm512b32,
};
static Q: Lanes = Lanes {
    bits: 64,
    to_vector: Code::EVEX_Vpmovm2q_zmm_kr,
    to_mask: Code::EVEX_Vpmovq2m_kr_zmm,
    blend: Code::EVEX_Vpblendmq_zmm_k1z_zmm_zmmm512b64,
};

static COMPARISONS: [Comparison; 10] = {
    use Code::*;
    const fn comparison(narrow: Code, wide: Code, lanes: &'static Lanes) -> Comparison {
        Comparison { narrow, wide, lanes }
    }
    [
        comparison(VEX_Vpcmpeqb_ymm_ymm_ymmm256, EVEX_Vpcmpeqb_kr_k1_zmm_zmmm512, &B),
        comparison(VEX_Vpcmpgtb_ymm_ymm_ymmm256, EVEX_Vpcmpgtb_kr_k1_zmm_zmmm512, &B),
        comparison(VEX_Vpcmpeqw_ymm_ymm_ymmm256, EVEX_Vpcmpeqw_kr_k1_zmm_zmmm512, &W),
        comparison(VEX_Vpcmpgtw_ymm_ymm_ymmm256, EVEX_Vpcmpgtw_kr_k1_zmm_zmmm512, &W),
        comparison(VEX_Vpcmpeqd_ymm_ymm_ymmm256, EVEX_Vpcmpeqd_kr_k1_zmm_zmmm512b32, &D),
        comparison(VEX_Vpcmpgtd_ymm_ymm_ymmm256, EVEX_Vpcmpgtd_kr_k1_zmm_zmmm512b32, &D),
        comparison(VEX_Vpcmpeqq_ymm_ymm_ymmm256, EVEX_Vpcmpeqq_kr_k1_zmm_zmmm512b64, &Q),
        comparison(VEX_Vpcmpgtq_ymm_ymm_ymmm256, EVEX_Vpcmpgtq_kr_k1_zmm_zmmm512b64, &Q),
        comparison(VEX_Vcmpps_ymm_ymm_ymmm256_imm8, EVEX_Vcmpps_kr_k1_zmm_zmmm512b32_imm8_sae, &D),
        comparison(VEX_Vcmppd_ymm_ymm_ymmm256_imm8, EVEX_Vcmppd_kr_k1_zmm_zmmm512b64_imm8_sae, &Q),
    ]
};

/// What lanes `code`, of 512 bits, compares.
pub(super) fn comparison(code: Code) -> Option<&'static Lanes> {
    COMPARISONS.iter().find(|found| found.wide == code).map(|found| found.lanes)
}

/// The lanes that `code`, of 512 bits, takes from either of two registers.
pub(super) fn blend(code: Code) -> Option<&'static Lanes> {
    [&B, &W, &D, &Q].into_iter().find(|lanes| lanes.blend == code)
}

/// The form of 512 bits that uses a mask. Blends of 256 bits choose by the highest bits of a third
/// register.
pub(super) fn masked(code: Code) -> Option<Code> {
    Some(match code {
        Code::VEX_Vpblendvb_ymm_ymm_ymmm256_ymm => B.blend,
        Code::VEX_Vblendvps_ymm_ymm_ymmm256_ymm => D.blend,
        Code::VEX_Vblendvpd_ymm_ymm_ymmm256_ymm => Q.blend,
        _ => COMPARISONS.iter().find(|found| found.narrow == code)?.wide,
    })
}

impl Lanes {
    /// Whether lanes of ones and zeros of this width are such lanes of `other` too.
    pub(super) fn are_lanes_of(&self, other: &Lanes) -> bool {
        self.bits >= other.bits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_say_the_same_of_lanes() {
        for found in &COMPARISONS {
            assert_eq!(masked(found.narrow), Some(found.wide));
            assert_eq!(found.narrow.mnemonic(), found.wide.mnemonic());
        }
        assert!(W.are_lanes_of(&B) && !B.are_lanes_of(&W));
        assert_eq!(masked(Code::VEX_Vpblendvb_ymm_ymm_ymmm256_ymm), Some(B.blend));
        assert_eq!(masked(Code::VEX_Vpaddb_ymm_ymm_ymmm256), None);
    }
}

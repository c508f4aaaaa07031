//! Which extensions of the instruction set may be used, from the ISA's own flags.

use crate::Widest;
use crate::error::Unsupported;
use crate::regs::{AVX_VECTORS, AVX512_VECTORS};
use cranelift_codegen::isa::TargetIsa;

/// Extensions beyond the baseline, which is AVX2 with BMI1 and BMI2.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Features {
    pub(crate) lzcnt: bool,
    pub(crate) popcnt: bool,
    pub(crate) fma: bool,
    /// AVX-512 with its parts for bytes, words and short vectors (F, BW, DQ, VL): x86-64-v4.
    pub(crate) avx512: bool,
    /// Its dot products (VNNI).
    pub(crate) vnni: bool,
}

/// What Cranelift says of AVX-512. It knows no BW, but every processor with DQ and VL has that and F:
/// they came together with Skylake, and AVX10 has all.
const AVX512: [&str; 2] = ["has_avx512dq", "has_avx512vl"];

/// Cranelift knows no VNNI, but every processor with BITALG has it: on Intel's they came with Ice Lake, on AMD's
/// with Zen 4, and AVX10 has both. (Cascade Lake has VNNI alone, and is not told from Skylake here.)
const VNNI: &str = "has_avx512bitalg";

impl Features {
    /// Reads the flags of `isa`.
    ///
    /// # Errors
    /// [`Unsupported`] if the baseline is not there.
    pub(crate) fn new(isa: &dyn TargetIsa) -> Result<Features, Unsupported> {
        if isa.name() != "x64" {
            return Err(Unsupported::new("target", format!("architecture {}", isa.name())));
        }
        if isa.flags().enable_pinned_reg() {
            return Err(Unsupported::new("target", "a pinned register"));
        }
        let flags = isa.isa_flags();
        let has =
            |name: &str| flags.iter().any(|flag| flag.name == name && flag.as_bool() == Some(true));
        for name in ["has_avx2", "has_bmi1", "has_bmi2"] {
            if !has(name) {
                return Err(Unsupported::new("target", format!("a processor without {name}")));
            }
        }
        let avx512 = AVX512.iter().all(|name| has(name));
        Ok(Features {
            lzcnt: has("has_lzcnt"),
            popcnt: has("has_popcnt"),
            fma: has("has_fma"),
            avx512,
            vnni: avx512 && has(VNNI),
        })
    }

    /// The widest vectors there are.
    pub(crate) fn widest(&self) -> Widest {
        if self.avx512 { Widest::Bits512 } else { Widest::Bits256 }
    }

    /// How many vector registers there are.
    pub(crate) fn vector_registers(&self) -> usize {
        if self.avx512 { AVX512_VECTORS } else { AVX_VECTORS }
    }
}

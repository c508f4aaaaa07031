// SSE2 by SIMDe, which makes wasm's vector instructions of it.
#pragma once
#define SIMDE_ENABLE_NATIVE_ALIASES
#include <simde/x86/sse2.h>

// SIMDe 0.7.4 widens to 256 bits here, which makes clang 19 give up on libwebp's encoder.
#undef _mm_madd_epi16
static inline v128_t _mm_madd_epi16(v128_t a, v128_t b) { return wasm_i32x4_dot_i16x8(a, b); }

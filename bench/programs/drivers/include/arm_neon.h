// NEON by SIMDe, which makes wasm's vector instructions of it.
#pragma once
#define SIMDE_ENABLE_NATIVE_ALIASES
#include <simde/arm/neon.h>

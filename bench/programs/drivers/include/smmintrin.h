// SSE4.1 by SIMDe, which makes wasm's vector instructions of it.
#pragma once
#define SIMDE_ENABLE_NATIVE_ALIASES
#include <simde/x86/sse4.1.h>

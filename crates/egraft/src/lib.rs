//! Egraft: faster Halide WebAssembly inside an unmodified Wasmtime

//! Modules by wasm-smith: valid wasm of every kind, unlike anything a compiler would write.

use crate::choices::Choices;
use wasm_smith::{Config, MemoryOffsetChoices};

/// Loop heads and calls that one module may pass in all its calls together.
const FUEL: u32 = 3000;

/// Makes one module, or `None` if the bytes lead nowhere. `relaxed` allows relaxed SIMD.
pub(super) fn module(choices: &mut Choices<'_>, relaxed: bool) -> Option<Vec<u8>> {
    let config = Config {
        bulk_memory_enabled: true,
        exceptions_enabled: false,
        export_everything: true,
        gc_enabled: false,
        max_data_segments: 4,
        max_element_segments: 4,
        max_elements: 12,
        max_funcs: 6,
        max_globals: 6,
        max_imports: 4,
        max_instructions: 40 + choices.below(400),
        max_memories: 1 + choices.below(2),
        max_memory32_bytes: 4 << 16,
        max_memory64_bytes: 4 << 16,
        max_table_elements: 20,
        max_tables: 2,
        max_types: 8,
        memory64_enabled: choices.one_in(4),
        memory_max_size_required: true,
        memory_offset_choices: MemoryOffsetChoices(100, 20, 1),
        min_funcs: 1,
        min_memories: 1,
        multi_value_enabled: true,
        reference_types_enabled: false,
        relaxed_simd_enabled: relaxed,
        saturating_float_to_int_enabled: true,
        shared_everything_threads_enabled: false,
        sign_extension_ops_enabled: true,
        simd_enabled: true,
        table_max_size_required: true,
        tail_call_enabled: choices.one_in(4),
        threads_enabled: choices.one_in(6),
        wide_arithmetic_enabled: false,
        ..Config::default()
    };
    let mut module = wasm_smith::Module::new(config, choices.rest()).ok()?;
    module.ensure_termination(FUEL).ok()?;
    Some(module.to_bytes())
}

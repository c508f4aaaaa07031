//! Modules like those Halide makes, but wilder: a few functions of counted loops over memory, full
//! of vector idioms and of algebraic coincidences that rewrite rules look for.
//!
//! Invariant: every module is valid and every call of it ends; loops are counted, calls go to
//! earlier functions only, and the instructions that one call can execute stay below
//! [`CALL_COST_LIMIT`].

mod code;
mod ops;
mod scalar;
mod vector;

use crate::choices::Choices;
use code::Body;
use wasm_encoder::{
    CodeSection, ConstExpr, DataSection, ElementSection, Elements, EntityType, ExportKind,
    ExportSection, Function, FunctionSection, GlobalSection, GlobalType, ImportSection, MemoryType,
    Module, RefType, TableSection, TableType, TypeSection, ValType,
};

/// Instructions that one call may execute, calls of its own included.
const CALL_COST_LIMIT: u64 = 400_000;

/// The signatures in use; their places are type indices.
const SIGNATURES: [(&[ValType], &[ValType]); 7] = [
    (&[ValType::I32, ValType::I32, ValType::I32], &[]),
    (&[ValType::I32, ValType::I32], &[ValType::I32]),
    (&[ValType::V128, ValType::V128, ValType::I32], &[ValType::V128]),
    (&[ValType::F32, ValType::I64, ValType::I32], &[ValType::F32]),
    (&[ValType::I32, ValType::I32, ValType::V128], &[ValType::I64, ValType::V128]),
    (&[ValType::I32, ValType::I64], &[ValType::I32]),
    (&[], &[]),
];
const KERNEL: usize = 0;
/// Signatures that functions of the module may have.
const OWN_SIGNATURES: usize = 5;
/// Imported: takes part in the log of calls.
const LOG: u32 = 0;
/// Imported: makes the epoch go by, where the engine watches epochs.
const TICK: u32 = 1;
const IMPORTS: u32 = 2;
const TABLE_LEN: u64 = 5;
/// How many functions, from the first, the table holds.
const TABLE_FUNCTIONS: usize = 2;

/// What bodies need to know of their module.
struct Shared {
    memory64: bool,
    second_memory: bool,
    relaxed: bool,
    /// Signature and cost of each function that is done.
    done: Vec<(usize, u64)>,
}

/// Makes one module. `relaxed` allows relaxed SIMD.
pub(super) fn module(choices: &mut Choices<'_>, relaxed: bool) -> Vec<u8> {
    let mut shared = Shared {
        memory64: choices.one_in(6),
        second_memory: choices.one_in(6),
        relaxed,
        done: Vec::new(),
    };
    let pages = 1 + choices.below(2) as u64;
    let count = 1 + choices.below(4);
    let mut code = CodeSection::new();
    let mut functions = FunctionSection::new();
    for at in 0..count {
        let last = at + 1 == count;
        let signature = if last { KERNEL } else { choices.below(OWN_SIGNATURES) };
        let (function, cost) = body(choices, &shared, signature, pages);
        code.function(&function);
        functions.function(signature as u32);
        shared.done.push((signature, cost));
    }
    assemble(choices, &shared, pages, &functions, &code)
}

fn body(
    choices: &mut Choices<'_>,
    shared: &Shared,
    signature: usize,
    pages: u64,
) -> (Function, u64) {
    let mut body = Body::new(choices, shared, signature, pages);
    body.write();
    let cost = body.cost();
    let mut function = Function::new(body.locals());
    for instruction in body.finish() {
        function.instruction(&instruction);
    }
    (function, cost)
}

fn assemble(
    choices: &mut Choices<'_>,
    shared: &Shared,
    pages: u64,
    functions: &FunctionSection,
    code: &CodeSection,
) -> Vec<u8> {
    let mut types = TypeSection::new();
    for (params, results) in SIGNATURES {
        types.ty().function(params.iter().copied(), results.iter().copied());
    }
    let mut imports = ImportSection::new();
    imports.import("env", "log", EntityType::Function(5));
    imports.import("env", "tick", EntityType::Function(6));

    let mut tables = TableSection::new();
    tables.table(TableType {
        element_type: RefType::FUNCREF,
        table64: false,
        minimum: TABLE_LEN,
        maximum: Some(TABLE_LEN),
        shared: false,
    });
    let mut elements = ElementSection::new();
    let held: Vec<u32> =
        (0..shared.done.len().min(TABLE_FUNCTIONS)).map(|at| IMPORTS + at as u32).collect();
    elements.active(
        None,
        &ConstExpr::i32_const(choices.below(3) as i32),
        Elements::Functions(held.into()),
    );

    let mut memories = MemoryType {
        minimum: pages,
        maximum: Some(pages + 2),
        memory64: shared.memory64,
        shared: false,
        page_size_log2: None,
    };
    let mut section = wasm_encoder::MemorySection::new();
    section.memory(memories);
    if shared.second_memory {
        memories.memory64 = false;
        section.memory(memories);
    }

    let mut globals = GlobalSection::new();
    let global = |val_type| GlobalType { val_type, mutable: true, shared: false };
    globals.global(global(ValType::I32), &ConstExpr::i32_const(choices.below(512) as i32 * 16));
    globals.global(global(ValType::V128), &ConstExpr::v128_const(choices.wide() as i128));

    let mut exports = ExportSection::new();
    for at in 0..shared.done.len() as u32 {
        exports.export(&format!("f{at}"), ExportKind::Func, IMPORTS + at);
    }
    exports.export("memory", ExportKind::Memory, 0);
    if shared.second_memory {
        exports.export("memory1", ExportKind::Memory, 1);
    }
    exports.export("g0", ExportKind::Global, 0);
    exports.export("g1", ExportKind::Global, 1);
    exports.export("table", ExportKind::Table, 0);

    let mut data = DataSection::new();
    let offset = choices.below(4096) as i32;
    let offset = if shared.memory64 {
        ConstExpr::i64_const(i64::from(offset))
    } else {
        ConstExpr::i32_const(offset)
    };
    let bytes: Vec<u8> = (0..64).map(|_| choices.byte()).collect();
    data.active(0, &offset, bytes);

    let mut module = Module::new();
    module
        .section(&types)
        .section(&imports)
        .section(functions)
        .section(&tables)
        .section(&section)
        .section(&globals)
        .section(&exports)
        .section(&elements)
        .section(code)
        .section(&data);
    module.finish()
}

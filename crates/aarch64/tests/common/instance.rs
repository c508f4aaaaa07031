//! One call of an exported function of a compiled module, without a runtime: what Wasmtime's compiled code asks of one is laid
//! out by hand in a program for the target.
//!
//! Laid out are the VM context, its store context, memory, globals, one table of functions and the types of these;
//! `memory.grow`, `memory.copy` and `memory.fill` work, other library calls end the program. Memory beyond its length is not
//! accessible, and what a trap leaves can be looked at. Offsets are `wasmtime-environ`'s.

use crate::common::{emulate, scratch, succeed, tool};
use egraft::{ConfigExt, Effort};
use object::{Object, ObjectSection, ObjectSymbol};
use std::collections::HashMap;
use std::path::PathBuf;
use std::process::Command;
use wasmparser::{ConstExpr, ElementItems, Operator, Parser, Payload};
use wasmtime_environ::{
    BuiltinFunctionIndex, DefinedGlobalIndex, DefinedMemoryIndex, DefinedTableIndex, EntityIndex,
    FuncIndex, ModuleEnvironment, ModuleTypesBuilder, OwnedMemoryIndex, PtrSize, StaticModuleIndex,
    Tunables, VMOffsets,
};

/// A module compiled for AArch64 with or without a feature of Cranelift's.
pub(crate) fn compiled(wasm: &[u8], cpu: &str, effort: Effort) -> egraft::Compiled {
    let mut config = wasmtime::Config::new();
    config.egraft_target(Some("aarch64"), cpu).expect("a known target");
    let mut options = egraft::Options::default().effort(effort);
    options.core = egraft::Core::by_name(cpu);
    let compiled = egraft::compile(&config, &options, wasm).expect("the module compiles");
    for function in &compiled.report.functions {
        let reason = function.reason.as_deref().unwrap_or_default();
        assert!(!reason.contains("panicked"), "{}: {reason}", function.symbol);
    }
    compiled
}

/// Bytes that memory may grow by.
const ROOM: usize = 64 << 20;

/// What a call left.
#[derive(PartialEq, Eq)]
pub(crate) struct Left {
    /// Whether it returned.
    pub(crate) returned: bool,
    /// The first two results, the lowest bytes first; nothing after a trap.
    pub(crate) results: [u128; 2],
    /// The whole memory.
    pub(crate) memory: Vec<u8>,
}

/// Words of the VM context, by offset.
#[derive(Default)]
struct Context(HashMap<u32, String>);

impl Context {
    fn set(&mut self, offset: u32, value: impl ToString) {
        assert_eq!(offset % 8, 0, "words are aligned");
        self.0.insert(offset, value.to_string());
    }

    fn text(&self, bytes: u32) -> String {
        let word = |at: u32| self.0.get(&(8 * at)).map_or("0", String::as_str);
        (0..bytes.div_ceil(8)).map(|at| format!(".quad {}\n", word(at))).collect()
    }
}

/// Calls `function` with one argument or none, of the module `wasm` that was compiled to `cwasm`, with `memory` as it is.
pub(crate) fn call(
    name: &str,
    wasm: &[u8],
    cwasm: &[u8],
    memory: &[u8],
    function: (&str, u32),
) -> Left {
    let output = emulate(&program(name, wasm, cwasm, memory, function), memory);
    let (head, memory) = output.split_at(48);
    let word = |at: usize| u128::from_le_bytes(head[at..at + 16].try_into().expect("16 bytes"));
    let returned = word(32) == 1;
    let results = if returned { [word(0), word(16)] } else { [0; 2] };
    Left { returned, results, memory: memory.to_vec() }
}

/// The program for such a call: it reads the memory, and writes results, how it ended, and the memory. Code stands at the
/// symbol `code`.
pub(crate) fn program(
    name: &str,
    wasm: &[u8],
    cwasm: &[u8],
    memory: &[u8],
    (function, argument): (&str, u32),
) -> PathBuf {
    let file = object::File::parse(cwasm).expect("a .cwasm is an ELF file");
    let text = file.section_by_name(".text").and_then(|text| text.data().ok()).expect("has code");
    let mut symbols: HashMap<String, u64> = HashMap::new();
    for symbol in file.symbols() {
        // `wasm[0]::function[3]::name`
        let label = symbol.name().unwrap_or("");
        let end = label.match_indices(']').nth(1).map_or(label.len(), |(at, _)| at + 1);
        symbols.insert(label[..end].to_owned(), symbol.address());
    }
    let [source, object, program] =
        [".s", ".o", ""].map(|extension| scratch(&format!("{name}{extension}")));
    // As instructions, not as data, for those who disassemble the program.
    let code: String = text
        .chunks_exact(4)
        .map(|word| format!(".inst {}\n", u32::from_le_bytes(word.try_into().expect("4 bytes"))))
        .collect();
    let layout = laid_out(wasm, &symbols, memory.len(), function);
    let assembly = format!(
        ".bss
.balign 65536
memory: .skip {room}
.data
.balign 16
{layout}
arguments: .quad {argument}, 0, 0, 0
status: .quad 0, 0
action: .quad trapped, 0, 0, 0
store: .skip 4096
builtins: .quad grow, copy, fill
.rept {builtins}
.quad fail
.endr
.text
.global _start
_start:
  ldr x20, =memory
  ldr x22, =memory + {bytes}
1: mov x0, #0
  mov x1, x20
  sub x2, x22, x20
  mov x8, #63
  svc #0
  cmp x0, #0
  b.le fail
  add x20, x20, x0
  cmp x20, x22
  b.ne 1b
  ldr x0, =memory + {bytes}
  ldr x1, ={room} - {bytes}
  mov x2, #0
  mov x8, #226
  svc #0
  cbnz x0, fail
  mov x20, #4
  bl catch
  mov x20, #5
  bl catch
  mov x20, #7
  bl catch
  mov x20, #11
  bl catch
  ldr x0, =context
  mov x1, x0
  ldr x2, =arguments
  mov x3, #1
  ldr x9, =entry
  ldr x9, [x9]
  blr x9
  ldr x9, =status
  mov x10, #1
  str x10, [x9]
trapped:
  ldr x0, =arguments
  mov x1, #48
  bl write
  ldr x0, =memory
  ldr x1, =length
  ldr x1, [x1]
  bl write
  mov x0, #0
  b exit
catch:
  mov x0, x20
  ldr x1, =action
  mov x2, #0
  mov x3, #8
  mov x8, #134
  svc #0
  cbnz x0, fail
  ret
write:
  mov x20, x0
  add x21, x0, x1
2: mov x0, #1
  mov x1, x20
  sub x2, x21, x20
  mov x8, #64
  svc #0
  cmp x0, #0
  b.le fail
  add x20, x20, x0
  cmp x20, x21
  b.ne 2b
  ret
grow:
  ldr x9, =length
  ldr x10, [x9]
  lsr x0, x10, #16
  add x10, x10, x1, lsl #16
  ldr x11, ={room}
  cmp x10, x11
  b.hi fail
  str x10, [x9]
  mov x12, x0
  ldr x0, =memory
  mov x1, x10
  mov x2, #3
  mov x8, #226
  svc #0
  cbnz x0, fail
  mov x0, x12
  ret
copy:
  cmp x1, x2
  b.hi 2f
  mov x9, #0
1: cmp x9, x3
  b.eq 3f
  ldrb w10, [x2, x9]
  strb w10, [x1, x9]
  add x9, x9, #1
  b 1b
2: cbz x3, 3f
  sub x3, x3, #1
  ldrb w10, [x2, x3]
  strb w10, [x1, x3]
  b 2b
3: ret
fill:
  cbz x3, 3b
  sub x3, x3, #1
  strb w2, [x1, x3]
  b fill
fail:
  mov x0, #3
exit:
  mov x8, #93
  svc #0
.ltorg
.balign 65536
code:
{code}",
        room = memory.len() + ROOM,
        bytes = memory.len(),
        builtins = BuiltinFunctionIndex::len() - 3,
    );
    let known = [
        BuiltinFunctionIndex::memory_grow(),
        BuiltinFunctionIndex::memory_copy(),
        BuiltinFunctionIndex::memory_fill(),
    ];
    assert_eq!(known.map(|builtin| builtin.index()), [0, 1, 2]);
    std::fs::write(&source, assembly).expect("the target folder is writable");
    succeed(Command::new(tool("as")).arg("-o").arg(&object).arg(&source));
    succeed(Command::new(tool("ld")).arg("-o").arg(&program).arg(&object));
    program
}

/// The VM context and what it points to, as assembly.
fn laid_out(wasm: &[u8], symbols: &HashMap<String, u64>, memory: usize, function: &str) -> String {
    let mut validator = wasmparser::Validator::new();
    let mut types = ModuleTypesBuilder::new(&validator);
    let tunables = Tunables::default_host();
    let environment = ModuleEnvironment::new(
        &tunables,
        &mut validator,
        &mut types,
        StaticModuleIndex::from_u32(0),
    );
    let translation = environment.translate(Parser::new(0), wasm).expect("a valid module");
    let module = &translation.module;
    let offsets = VMOffsets::new(8u8, module);
    let mut context = Context::default();
    let ptr = &offsets.ptr;
    context.set(ptr.vmcontext_store_context().into(), "store");
    context.set(ptr.vmcontext_builtin_functions().into(), "builtins");
    context.set(ptr.vmctx_type_ids_array().into(), "types");
    let base = offsets.vmctx_vmmemory_definition(OwnedMemoryIndex::from_u32(0));
    context.set(
        offsets.vmctx_vmmemory_pointer(DefinedMemoryIndex::from_u32(0)),
        format!("context + {base}"),
    );
    context.set(base, "memory");
    context.set(base + 8, memory);

    let (mut globals, mut elements, mut tables) = (Vec::new(), Vec::new(), 0);
    for payload in Parser::new(0).parse_all(wasm) {
        match payload.expect("a valid module") {
            Payload::GlobalSection(section) => {
                for global in section {
                    globals.push(constant(&global.expect("valid").init_expr));
                }
            }
            Payload::TableSection(section) => {
                for table in section {
                    tables = table.expect("valid").ty.initial;
                }
            }
            Payload::ElementSection(section) => {
                for element in section {
                    elements.push(element.expect("valid"));
                }
            }
            _ => {}
        }
    }
    for (global, value) in (0..).zip(globals) {
        context.set(offsets.vmctx_vmglobal_definition(DefinedGlobalIndex::from_u32(global)), value);
    }

    let code = |kind: &str, index: u32| {
        let at = symbols.get(&format!("wasm[0]::{kind}[{index}]"));
        at.map_or("0".to_owned(), |at| format!("code + {at}"))
    };
    for (index, function) in &module.functions {
        if function.is_escaping() {
            let at = offsets.vmctx_func_ref(function.func_ref);
            let signature = function.signature.unwrap_module_type_index().as_u32();
            context.set(at, code("array_to_wasm_trampoline", index.as_u32()));
            context.set(at + 8, code("function", index.as_u32()));
            context.set(at + 16, signature);
            context.set(at + 24, "context");
        }
    }
    // Entries of tables are marked as initialised.
    let mut table = vec!["1".to_owned(); tables as usize];
    for element in elements {
        let wasmparser::ElementKind::Active { offset_expr, .. } = &element.kind else { continue };
        let ElementItems::Functions(functions) = element.items else { continue };
        for (at, function) in (constant(offset_expr) as usize..).zip(functions) {
            let function = &module.functions[FuncIndex::from_u32(function.expect("valid"))];
            table[at] = format!("context + {} + 1", offsets.vmctx_func_ref(function.func_ref));
        }
    }
    if tables > 0 {
        let definition = offsets.vmctx_vmtable_definition(DefinedTableIndex::from_u32(0));
        context.set(definition, "table");
        context.set(definition + 8, tables);
    }
    let types: String = (0..256).map(|at| format!(".word {at}\n")).collect();
    let exported = module.exports.iter().find_map(|(name, index)| {
        let is_it = module.strings.get(*name).is_some_and(|name| name == function);
        match index {
            EntityIndex::Function(index) if is_it => Some(index.as_u32()),
            _ => None,
        }
    });
    let entry = code("array_to_wasm_trampoline", exported.expect("an exported function"));
    let table: String = table.iter().map(|entry| format!(".quad {entry}\n")).collect();
    format!(
        "context:\n{}types:\n{types}.balign 16\ntable:\n{table}entry: .quad {entry}\n.equ length, context + {}\n",
        context.text(offsets.size_of_vmctx()),
        base + 8,
    )
}

/// The value of an initialiser that is an integer constant.
fn constant(init: &ConstExpr<'_>) -> u64 {
    match init.get_operators_reader().read() {
        Ok(Operator::I32Const { value }) => u64::from(value as u32),
        Ok(Operator::I64Const { value }) => value as u64,
        _ => 0,
    }
}

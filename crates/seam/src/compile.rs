//! Turns decisions of a [`FunctionCompiler`] into code that Wasmtime can link, or into a reason for
//! stock code. Chooses nothing itself.
//!
//! Wasmtime trusts its cache: code with an unknown relocation or trap code makes it panic, and code
//! for another signature would run. So everything is checked here before it is handed back, code
//! from a [`CodeStore`] too.

use crate::capture::{Captured, CapturedFunction, Uncaptured, map};
use crate::error::panic_message;
use crate::key::{CacheKey, Fingerprint};
use crate::report::{FunctionReport, Outcome, StockReason};
use crate::store::{CodeStore, Lookup, Payload, StoreKey};
use cranelift_codegen::binemit::Reloc;
use cranelift_codegen::cursor::{Cursor, FuncCursor};
use cranelift_codegen::incremental_cache::{serialize_compiled, try_finish_recompile};
use cranelift_codegen::ir::{ExternalName, Function, InstBuilder, TrapCode};
use cranelift_codegen::isa::TargetIsa;
use cranelift_codegen::{Context, FinalizedRelocTarget};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

/// What to do with captured functions.
pub trait FunctionCompiler: Send + Sync {
    /// Names everything beside the function and the ISA that shapes decisions: version, rules,
    /// options, cost tables. It is part of the key of a [`CodeStore`].
    fn fingerprint(&self) -> Fingerprint;

    /// Decides on one function. `isa` has exactly the flags that Wasmtime compiles with.
    ///
    /// Wasmtime asks for code by the function's stencil, which leaves out the names of callees
    /// (`func.params`). Decide by the stencil: if two functions with one key get different code,
    /// neither is used. Called from several threads; a panic leaves the function stock.
    fn compile(&self, function: &CapturedFunction, isa: &dyn TargetIsa) -> Decision;
}

/// What a [`FunctionCompiler`] made of a function.
pub enum Decision {
    /// CLIF with the same signature, to be verified and compiled by stock Cranelift. References to
    /// other functions must keep the `UserExternalNameRef`s of the captured function.
    Replace(Box<Function>),
    /// Code of the compiler's own: the bytes that
    /// [`serialize_compiled`](cranelift_codegen::incremental_cache::serialize_compiled) makes.
    Code(Vec<u8>),
    /// Stock Cranelift's code.
    Stock(StockReason),
}

/// Compiles `func` with stock Cranelift and serialises the result for hand-back.
///
/// # Errors
/// [`StockReason::CompileFailed`] if Cranelift does not compile it.
pub fn compile_stock(func: Function, isa: &dyn TargetIsa) -> Result<Vec<u8>, StockReason> {
    let mut context = Context::for_function(func);
    let stencil = context
        .compile_stencil(isa, &mut Default::default())
        .map_err(|error| StockReason::CompileFailed(error.to_string()))?;
    let (_, bytes) = serialize_compiled(stencil);
    bytes.map_err(|error| StockReason::CompileFailed(error.to_string()))
}

/// The smallest function: what a capture answers Wasmtime with.
pub(crate) fn dummy_code(isa: &dyn TargetIsa) -> Result<Vec<u8>, String> {
    let mut func = Function::new();
    func.signature.call_conv = isa.default_call_conv();
    let block = func.dfg.make_block();
    let mut cursor = FuncCursor::new(&mut func);
    cursor.insert_block(block);
    cursor.ins().return_(&[]);
    compile_stock(func, isa).map_err(|reason| reason.to_string())
}

/// One function after compilation; `code` is `None` when stock.
pub(crate) struct Compiled {
    pub(crate) report: FunctionReport,
    pub(crate) key: Option<CacheKey>,
    pub(crate) code: Option<Vec<u8>>,
    to_store: Option<(StoreKey, Payload)>,
}

/// Decides on and compiles every function of `captured`. New results go to `store`; the text is
/// the error of a store that could not take them.
pub(crate) fn compile_all(
    captured: Captured,
    compiler: &dyn FunctionCompiler,
    store: Option<&CodeStore>,
) -> (Vec<Compiled>, Option<String>) {
    let fingerprint = compiler.fingerprint();
    let job = Job { compiler, store, fingerprint };
    let mut compiled = match &captured.isa {
        Some(isa) => {
            map(captured.parallel, captured.functions, |function| job.run(function, &**isa))
        }
        None => Vec::new(),
    };
    compiled.extend(captured.uncaptured.into_iter().map(uncaptured));
    // Wasm functions by index, then trampolines by symbol (they are sorted already).
    compiled.sort_by_key(|compiled| compiled.report.index.unwrap_or(u32::MAX));

    let entries: Vec<_> =
        compiled.iter_mut().filter_map(|compiled| compiled.to_store.take()).collect();
    let error = store
        .filter(|_| !entries.is_empty())
        .and_then(|store| store.put_many(&entries).err())
        .map(|error| error.to_string());
    (compiled, error)
}

fn uncaptured(function: Uncaptured) -> Compiled {
    Compiled {
        report: FunctionReport {
            name: function.name,
            symbol: function.symbol,
            index: function.index,
            outcome: Outcome::Stock(function.reason),
            from_store: false,
            clif_bytes: function.clif_bytes,
            micros: 0,
            code_bytes: 0,
        },
        key: None,
        code: None,
        to_store: None,
    }
}

struct Job<'a> {
    compiler: &'a dyn FunctionCompiler,
    store: Option<&'a CodeStore>,
    fingerprint: Fingerprint,
}

impl Job<'_> {
    fn run(&self, function: CapturedFunction, isa: &dyn TargetIsa) -> Compiled {
        let start = Instant::now();
        let store_key = StoreKey::new(&function, &self.fingerprint);
        let mut from_store = true;
        let mut to_store = None;
        let code = self.look_up(&function, &store_key).unwrap_or_else(|| {
            from_store = false;
            let (code, payload) = self.decide(&function, isa);
            to_store = payload.filter(|_| self.store.is_some()).map(|payload| (store_key, payload));
            code
        });
        let (outcome, code, code_bytes) = match code {
            Ok((code, bytes)) => (Outcome::Replaced, Some(code), bytes),
            Err(reason) => (Outcome::Stock(reason), None, 0),
        };
        Compiled {
            report: FunctionReport {
                name: function.name,
                symbol: function.symbol,
                index: Some(function.index),
                outcome,
                from_store,
                clif_bytes: function.clif.len(),
                micros: start.elapsed().as_micros() as u64,
                code_bytes,
            },
            key: Some(function.key),
            code,
            to_store,
        }
    }

    /// What the store knows; `None` if it knows nothing usable.
    fn look_up(
        &self,
        function: &CapturedFunction,
        key: &StoreKey,
    ) -> Option<Result<(Vec<u8>, usize), StockReason>> {
        match self.store?.get(key) {
            Lookup::Hit(Payload::Code(code)) => {
                let bytes = check_code(function, &function.func, &code).ok()?;
                Some(Ok((code, bytes)))
            }
            Lookup::Hit(Payload::Stock(text)) => Some(Err(StockReason::Declined(text))),
            Lookup::Miss | Lookup::Rejected(_) => None,
        }
    }

    /// Asks the compiler. The payload is what may be stored: a panic or an error may pass with the
    /// next version of the compiler's surroundings, so neither is.
    fn decide(
        &self,
        function: &CapturedFunction,
        isa: &dyn TargetIsa,
    ) -> (Result<(Vec<u8>, usize), StockReason>, Option<Payload>) {
        let decided =
            catch_unwind(AssertUnwindSafe(|| match self.compiler.compile(function, isa) {
                Decision::Replace(func) => (replace(function, *func, isa), true),
                Decision::Code(code) => {
                    let checked = check_code(function, &function.func, &code);
                    (checked.map(|bytes| (code, bytes)), true)
                }
                Decision::Stock(reason) => (Err(reason), false),
            }));
        match decided {
            Ok((Ok((code, bytes)), _)) => {
                let payload = Payload::Code(code.clone());
                (Ok((code, bytes)), Some(payload))
            }
            Ok((Err(reason), false)) => {
                let payload = Payload::Stock(reason.to_string());
                (Err(reason), Some(payload))
            }
            Ok((Err(reason), true)) => (Err(reason), None),
            Err(payload) => (Err(StockReason::Panicked(panic_message(&*payload))), None),
        }
    }
}

/// Checks and compiles replacement CLIF.
fn replace(
    function: &CapturedFunction,
    func: Function,
    isa: &dyn TargetIsa,
) -> Result<(Vec<u8>, usize), StockReason> {
    if func.signature != function.func.signature {
        return Err(StockReason::SignatureChanged);
    }
    // Wasmtime's own translation needs no second opinion.
    if func.stencil != function.func.stencil {
        cranelift_codegen::verify_function(&func, isa)
            .map_err(|errors| StockReason::Invalid(errors.to_string()))?;
    }
    let names = Function {
        name: func.name.clone(),
        stencil: Function::new().stencil,
        params: func.params.clone(),
    };
    let code = compile_stock(func, isa)?;
    let bytes = check_code(function, &names, &code)?;
    Ok((code, bytes))
}

/// Checks that Wasmtime can link `code` in place of `function`; returns its size in bytes.
/// `names` has the names that the code's references were made with.
fn check_code(
    function: &CapturedFunction,
    names: &Function,
    code: &[u8],
) -> Result<usize, StockReason> {
    let compiled = try_finish_recompile(&function.func, code)
        .map_err(|error| StockReason::Invalid(error.to_string()))?;
    let ours = names.params.user_named_funcs();
    let wasmtimes = function.func.params.user_named_funcs();
    for reloc in compiled.buffer.relocs() {
        let FinalizedRelocTarget::ExternalName(ExternalName::User(name)) = reloc.target else {
            let target = reloc.target.display(Some(&names.params));
            return Err(StockReason::ForeignReference(target));
        };
        let (ours, wasmtimes) = (ours.get(name), wasmtimes.get(name));
        if ours.is_none() || ours != wasmtimes {
            let text = format!("{name}: {ours:?} where Wasmtime has {wasmtimes:?}");
            return Err(StockReason::ForeignReference(text));
        }
        if !linkable(reloc.kind, reloc.addend) {
            let text = format!("relocation {} with addend {}", reloc.kind, reloc.addend);
            return Err(StockReason::ForeignReference(text));
        }
    }
    for trap in compiled.buffer.traps() {
        if !known_trap(trap.code) {
            return Err(StockReason::ForeignTrap(trap.code.as_raw().get()));
        }
    }
    Ok(compiled.buffer.data().len())
}

/// The relocations that Cranelift's text section resolves between functions.
fn linkable(kind: Reloc, addend: i64) -> bool {
    match kind {
        Reloc::X86CallPCRel4 => addend == -4,
        Reloc::Arm64Call => addend == 0,
        Reloc::RiscvCallPlt => true,
        Reloc::S390xPLTRel32Dbl | Reloc::S390xPCRel32Dbl => addend == 2,
        _ => false,
    }
}

/// Whether Wasmtime can map the code to one of its traps: Cranelift's own ones, Wasmtime's two
/// internal ones (1 and 2), and its trap number n as n + 3.
fn known_trap(code: TrapCode) -> bool {
    const CRANELIFT: [TrapCode; 5] = [
        TrapCode::STACK_OVERFLOW,
        TrapCode::HEAP_OUT_OF_BOUNDS,
        TrapCode::INTEGER_OVERFLOW,
        TrapCode::INTEGER_DIVISION_BY_ZERO,
        TrapCode::BAD_CONVERSION_TO_INTEGER,
    ];
    const OFFSET: u8 = 3;
    let raw = code.as_raw().get();
    CRANELIFT.contains(&code) || raw < OFFSET || wasmtime::Trap::from_u8(raw - OFFSET).is_some()
}

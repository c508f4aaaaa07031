//! Turns decisions of a [`FunctionCompiler`] into code that Wasmtime can link, or into a reason for
//! stock code. Chooses nothing itself.
//!
//! Wasmtime trusts its cache: code with an unknown relocation or trap code makes it panic, and code
//! for another signature would run. So everything is checked here before it is handed back, code
//! from a [`CodeStore`] too.

use crate::capture::{Captured, CapturedFunction, Trampoline, Uncaptured, map};
use crate::error::panic_message;
use crate::key::{CacheKey, Fingerprint};
use crate::report::{FunctionReport, Outcome, StockReason};
use crate::scan::BodySummary;
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

    /// Whether a function is worth a look, judged by its wasm body alone; if not, why.
    ///
    /// To capture a function costs more than stock Cranelift takes to compile it, so a compiler that
    /// works on few functions should refuse the others here. By default every function is wanted.
    /// It is not asked where only whole modules can be captured (exception handling, inlining).
    ///
    /// # Errors
    /// The reason for stock code.
    fn wants(&self, body: &BodySummary) -> Result<(), StockReason> {
        let _ = body;
        Ok(())
    }

    /// Whether most functions that are wanted keep stock code in the end. For long ones that is then
    /// compiled beside the decision, and not after it.
    fn mostly_declines(&self, isa: &dyn TargetIsa) -> bool {
        let _ = isa;
        true
    }

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

/// One function after compilation, with what to answer when Wasmtime asks for it. Without `code`
/// Wasmtime compiles it itself.
pub(crate) struct Compiled {
    pub(crate) report: FunctionReport,
    pub(crate) answer: Option<(CacheKey, Vec<u8>)>,
    to_store: Option<(StoreKey, Payload)>,
}

/// Decides on and compiles every function of `captured`. New results go to `store`; the text is
/// the error of a store that could not take them.
///
/// Functions that stay stock and trampolines are compiled here too, by stock Cranelift: in a module
/// captured whole, one that Wasmtime compiled itself would leave traces in its compiling context,
/// and through them in the keys of functions after it.
pub(crate) fn compile_all(
    captured: Captured,
    compiler: &dyn FunctionCompiler,
    store: Option<&CodeStore>,
) -> (Vec<Compiled>, Option<String>) {
    let job = Job::new(compiler, store, &*captured.isa);
    let parallel = captured.parallel;
    let mut compiled = map(parallel, captured.functions, |one| job.function(&one));
    compiled.extend(captured.uncaptured.into_iter().map(uncaptured));
    compiled.sort_by_key(|compiled| compiled.report.index.unwrap_or(u32::MAX));
    compiled.extend(map(parallel, captured.trampolines, |one| job.trampoline(one)));
    let error = job.keep(&mut compiled);
    (compiled, error)
}

/// A function that stays stock as it could not be captured.
pub(crate) fn uncaptured(function: Uncaptured) -> Compiled {
    Compiled {
        report: FunctionReport {
            name: function.name,
            symbol: function.symbol,
            index: function.index,
            outcome: Outcome::Stock(function.reason),
            clif_bytes: function.clif_bytes,
            ..FunctionReport::default()
        },
        answer: None,
        to_store: None,
    }
}

/// Code with its size, or why stock and whether the same will come out next time.
type Decided = Result<(Vec<u8>, usize), (StockReason, bool)>;

/// Compiles the functions of one module.
pub(crate) struct Job<'a> {
    compiler: &'a dyn FunctionCompiler,
    store: Option<&'a CodeStore>,
    fingerprint: Fingerprint,
    isa: &'a dyn TargetIsa,
}

impl<'a> Job<'a> {
    pub(crate) fn new(
        compiler: &'a dyn FunctionCompiler,
        store: Option<&'a CodeStore>,
        isa: &'a dyn TargetIsa,
    ) -> Self {
        Job { compiler, store, fingerprint: compiler.fingerprint(), isa }
    }

    /// Puts what is new into the store; the text is the store's error.
    pub(crate) fn keep(&self, compiled: &mut [Compiled]) -> Option<String> {
        let entries: Vec<_> =
            compiled.iter_mut().filter_map(|compiled| compiled.to_store.take()).collect();
        self.store
            .filter(|_| !entries.is_empty())
            .and_then(|store| store.put_many(&entries).err())
            .map(|error| error.to_string())
    }

    pub(crate) fn function(&self, function: &CapturedFunction) -> Compiled {
        self.function_beside(function, || self.stock(&function.func))
    }

    /// The same, with stock Cranelift's code from elsewhere if that is needed.
    pub(crate) fn function_beside(
        &self,
        function: &CapturedFunction,
        stock: impl FnOnce() -> Result<(Vec<u8>, usize), StockReason>,
    ) -> Compiled {
        let report = FunctionReport {
            name: function.name.clone(),
            symbol: function.symbol.clone(),
            index: Some(function.index),
            clif_bytes: function.clif.len(),
            ..FunctionReport::default()
        };
        self.run(report, function.key, &function.func, || self.decide(function), stock)
    }

    fn trampoline(&self, trampoline: Trampoline) -> Compiled {
        let report = FunctionReport {
            symbol: trampoline.symbol,
            clif_bytes: trampoline.clif_bytes,
            ..FunctionReport::default()
        };
        let decide = || Err((StockReason::Trampoline, true));
        let stock = || self.stock(&trampoline.func);
        self.run(report, trampoline.key, &trampoline.func, decide, stock)
    }

    /// Gets code from the store, or else by `decide`, or else from stock Cranelift.
    fn run(
        &self,
        mut report: FunctionReport,
        key: CacheKey,
        func: &Function,
        decide: impl FnOnce() -> Decided,
        stock: impl FnOnce() -> Result<(Vec<u8>, usize), StockReason>,
    ) -> Compiled {
        let start = Instant::now();
        let store_key = StoreKey::new(&key, func, &self.fingerprint);
        let mut answer = None;
        let mut to_store = None;
        if let Some((payload, bytes)) = self.look_up(func, &store_key) {
            report.from_store = true;
            let (outcome, code) = match payload {
                Payload::Code(code) => (Outcome::Replaced, code),
                Payload::Stock { code, .. } if report.index.is_none() => {
                    (Outcome::Stock(StockReason::Trampoline), code)
                }
                Payload::Stock { reason, code } => {
                    (Outcome::Stock(StockReason::Declined(reason)), code)
                }
            };
            report.code_bytes = bytes;
            report.outcome = outcome;
            answer = Some((key, code));
        } else {
            match decide() {
                Ok((code, bytes)) => {
                    report.outcome = Outcome::Replaced;
                    report.code_bytes = bytes;
                    to_store = Some((store_key, Payload::Code(code.clone())));
                    answer = Some((key, code));
                }
                Err((reason, lasting)) => {
                    if let Ok((code, bytes)) = stock() {
                        report.code_bytes = bytes;
                        to_store = lasting.then(|| {
                            let (reason, code) = (reason.to_string(), code.clone());
                            (store_key, Payload::Stock { reason, code })
                        });
                        answer = Some((key, code));
                    }
                    report.outcome = Outcome::Stock(reason);
                }
            }
        }
        report.micros = start.elapsed().as_micros() as u64;
        Compiled { report, answer, to_store: to_store.filter(|_| self.store.is_some()) }
    }

    /// A usable entry of the store and the size of its code.
    fn look_up(&self, func: &Function, key: &StoreKey) -> Option<(Payload, usize)> {
        let Lookup::Hit(payload) = self.store?.get(key) else {
            return None;
        };
        let (Payload::Code(code) | Payload::Stock { code, .. }) = &payload;
        let bytes = check_code(func, func, code).ok()?;
        Some((payload, bytes))
    }

    /// Whether stock code should be made before it is known to be needed.
    pub(crate) fn is_stock_likely(&self) -> bool {
        catch_unwind(AssertUnwindSafe(|| self.compiler.mostly_declines(self.isa))).unwrap_or(true)
    }

    /// Stock Cranelift's code for a captured function.
    pub(crate) fn stock(&self, func: &Function) -> Result<(Vec<u8>, usize), StockReason> {
        let code = catch_unwind(AssertUnwindSafe(|| compile_stock(func.clone(), self.isa)))
            .unwrap_or_else(|payload| Err(StockReason::Panicked(panic_message(&*payload))))?;
        let bytes = check_code(func, func, &code)?;
        Ok((code, bytes))
    }

    /// Asks the compiler and checks what it says.
    fn decide(&self, function: &CapturedFunction) -> Decided {
        catch_unwind(AssertUnwindSafe(|| match self.compiler.compile(function, self.isa) {
            Decision::Replace(func) => {
                replace(&function.func, *func, self.isa).map_err(|reason| (reason, false))
            }
            Decision::Code(code) => check_code(&function.func, &function.func, &code)
                .map(|bytes| (code, bytes))
                .map_err(|reason| (reason, false)),
            Decision::Stock(reason) => Err((reason, true)),
        }))
        .unwrap_or_else(|payload| {
            let reason = StockReason::Panicked(panic_message(&*payload));
            Err((reason, false))
        })
    }
}

/// Checks and compiles replacement CLIF for `captured`.
fn replace(
    captured: &Function,
    func: Function,
    isa: &dyn TargetIsa,
) -> Result<(Vec<u8>, usize), StockReason> {
    if func.signature != captured.signature {
        return Err(StockReason::SignatureChanged);
    }
    // Wasmtime's own translation needs no second opinion.
    if func.stencil != captured.stencil {
        cranelift_codegen::verify_function(&func, isa)
            .map_err(|errors| StockReason::Invalid(errors.to_string()))?;
    }
    let mut names = Function::new();
    names.params = func.params.clone();
    let code = compile_stock(func, isa)?;
    let bytes = check_code(captured, &names, &code)?;
    Ok((code, bytes))
}

/// Checks that Wasmtime can link `code` in place of `captured`; returns its size in bytes.
/// `names` has the names that the code's references were made with.
fn check_code(captured: &Function, names: &Function, code: &[u8]) -> Result<usize, StockReason> {
    let compiled = try_finish_recompile(captured, code)
        .map_err(|error| StockReason::Invalid(error.to_string()))?;
    let ours = names.params.user_named_funcs();
    let wasmtimes = captured.params.user_named_funcs();
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

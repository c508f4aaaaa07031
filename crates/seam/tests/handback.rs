//! What a compiler decides takes effect in an unmodified engine, and what it must not do does not.

mod common;

use common::{Identity, Wanting, stock_reasons, with};
use cranelift_codegen::cursor::{Cursor, FuncCursor};
use cranelift_codegen::ir::{self, ExternalName, InstBuilder, InstructionData, types};
use egraft_seam::{
    BodySummary, CapturedFunction, CodeStore, Decision, Outcome, SeamHandle, SeamOptions,
    StockReason, attach, compile_stock, precompile_module,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use wasmtime::{Config, Engine, Instance, Module, Store};

const ANSWER: &str = r#"(module
    (func (export "answer") (result i32) (i32.const 42))
    (func (export "other") (result i32) (i32.const 7)))"#;

/// Replaces the constant 42 by 43.
fn change_constant(function: &CapturedFunction) -> Decision {
    let mut func = function.func.clone();
    let insts: Vec<_> =
        func.layout.blocks().flat_map(|b| func.layout.block_insts(b).collect::<Vec<_>>()).collect();
    for inst in insts {
        if let InstructionData::UnaryImm { imm, .. } = &mut func.dfg.insts[inst]
            && imm.bits() == 42
        {
            *imm = 43.into();
        }
    }
    Decision::Replace(Box::new(func))
}

fn call(engine: &Engine, module: &Module, name: &str) -> i32 {
    let mut store = Store::new(engine, ());
    let instance = Instance::new(&mut store, module, &[]).unwrap();
    instance.get_typed_func::<(), i32>(&mut store, name).unwrap().call(&mut store, ()).unwrap()
}

#[test]
fn changed_code_runs_in_an_unmodified_engine() {
    let config = Config::new();
    let engine = Engine::new(&config).unwrap();
    let compiler = with(|function, _| change_constant(function));
    let (cwasm, report) = precompile_module(&config, ANSWER.as_bytes(), &compiler, None).unwrap();
    assert_eq!(report.replaced(), 2);
    assert_ne!(cwasm, engine.precompile_module(ANSWER.as_bytes()).unwrap());
    // SAFETY: Wasmtime made these bytes just now.
    let module = unsafe { Module::deserialize(&engine, &cwasm).unwrap() };
    assert_eq!(call(&engine, &module, "answer"), 43);
    assert_eq!(call(&engine, &module, "other"), 7);
}

#[test]
fn a_handle_compiles_for_any_engine_and_an_attached_one_hits_later() {
    let compiler = Arc::new(with(|function, _| change_constant(function)));
    let engine = Engine::default();
    let handle = SeamHandle::new(compiler.clone(), SeamOptions::default());
    let (module, report) = handle.module(&engine, ANSWER.as_bytes()).unwrap();
    assert_eq!(report.replaced(), 2);
    assert_eq!(call(&engine, &module, "answer"), 43);
    assert_eq!(call(&engine, &Module::new(&engine, ANSWER).unwrap(), "answer"), 42);

    let mut config = Config::new();
    config.parallel_compilation(false);
    let handle = attach(&mut config, compiler, SeamOptions::default()).unwrap();
    let engine = Engine::new(&config).unwrap();
    let unprepared = "(module (func (export \"f\") (result i32) (i32.const 42)))";
    assert_eq!(call(&engine, &Module::new(&engine, unprepared).unwrap(), "f"), 42);
    let engine = Engine::new(&config).unwrap();
    handle.precompile(&engine, ANSWER.as_bytes()).unwrap();
    assert_eq!(call(&engine, &Module::new(&engine, ANSWER).unwrap(), "answer"), 43);
}

#[test]
fn many_modules_through_one_parallel_engine_all_take_the_code() {
    let engine = Engine::default();
    let compiler = Arc::new(with(|function, _| change_constant(function)));
    let handle = SeamHandle::new(compiler, SeamOptions::default());
    let mut functions = 0;
    for n in 0..20 {
        let mut wat = String::from("(module (import \"\" \"\" (func $i (param i64)))");
        for k in 0..10 {
            wat += &format!(
                "(func (export \"f{k}\") (param i32) (result i32) \
                   (call $i (i64.const {n})) (i32.add (local.get 0) (i32.const {k})))"
            );
        }
        wat += "(func (export \"answer\") (result i32) (i32.const 42)))";
        let (_, report) = handle.module(&engine, wat.as_bytes()).unwrap();
        assert!(stock_reasons(&report).is_empty(), "{report:?}");
        functions += report.replaced();
    }
    assert_eq!(functions, 220);
}

#[test]
fn selected_functions_are_taken_whatever_a_thread_compiled_before() {
    // Functions that the host can enter, of many types, between those that are wanted: which of
    // their trampolines a thread compiled last is settled anew by every run.
    let mut wat = String::from("(module (memory 1)");
    for n in 0..60 {
        let params = "i64 ".repeat(n % 7);
        wat += &format!(
            "(func (export \"f{n}\") (param {params}) (result i32) (i32.const {n})) \
             (func (param i32) (result i32) (loop (br_if 0 (i32.load (local.get 0)))) \
                (i32.add (local.get 0) (i32.const {n})))"
        );
    }
    wat += "(func $start) (start $start))";
    let engine = Engine::default();
    let stock = engine.precompile_module(wat.as_bytes()).unwrap();
    let compiler = Arc::new(Wanting(|body: &BodySummary| body.loops > 0));
    let handle = SeamHandle::new(compiler.clone(), SeamOptions::default());
    for round in 0..10 {
        let (cwasm, report) = handle.precompile(&engine, wat.as_bytes()).unwrap();
        assert_eq!(report.replaced(), 60, "round {round}");
        assert_eq!(report.wasm_functions().count(), 121, "round {round}");
        assert!(cwasm == stock, "round {round}");
    }
    let none = SeamHandle::new(Arc::new(Wanting(|_: &BodySummary| false)), SeamOptions::default());
    let (cwasm, report) = none.precompile(&engine, wat.as_bytes()).unwrap();
    assert_eq!((report.replaced(), report.wasm_functions().count()), (0, 121));
    assert!(cwasm == stock && report.capture_micros == 0);
}

#[test]
fn declined_functions_are_stock_to_the_byte() {
    let config = Config::new();
    let wat = r#"(module (memory 1)
        (func $a (param i32) (result i32) (i32.load (local.get 0)))
        (func (export "b") (param i32) (result i32) (call $a (call $a (local.get 0))))
        (func (export "c") (param i32) (memory.grow (local.get 0)) (drop)))"#;
    let stock = Engine::new(&config).unwrap().precompile_module(wat.as_bytes()).unwrap();
    for declined in 0..8u32 {
        let compiler = with(move |function, _| {
            if declined >> function.index & 1 == 1 {
                Decision::Stock(StockReason::Declined("a bit said so".to_owned()))
            } else {
                Decision::Replace(Box::new(function.func.clone()))
            }
        });
        let (cwasm, report) = precompile_module(&config, wat.as_bytes(), &compiler, None).unwrap();
        assert!(cwasm == stock, "declined {declined:03b}");
        assert_eq!(report.replaced(), 3 - declined.count_ones() as usize);
    }
}

/// Runs one decision on a small module; the code must be stock's, and the reason is returned.
fn refused(
    decision: impl Fn(ir::Function, &dyn cranelift_codegen::isa::TargetIsa) -> Decision + Send + Sync,
) -> StockReason {
    let config = Config::new();
    let wat = "(module (func (export \"f\") (param i32) (result i32) (local.get 0)))";
    let compiler = with(|function, isa| decision(function.func.clone(), isa));
    let (cwasm, report) = precompile_module(&config, wat.as_bytes(), &compiler, None).unwrap();
    let stock = Engine::new(&config).unwrap().precompile_module(wat.as_bytes()).unwrap();
    assert!(cwasm == stock);
    let Outcome::Stock(reason) = &report.functions[0].outcome else {
        panic!("not refused: {report:?}");
    };
    reason.clone()
}

/// Puts a call to an external function before the first instruction.
fn with_call(mut func: ir::Function, name: ExternalName) -> ir::Function {
    let call_conv = func.signature.call_conv;
    let signature = func.import_signature(ir::Signature::new(call_conv));
    let callee = func.import_function(ir::ExtFuncData {
        name,
        signature,
        colocated: true,
        patchable: false,
    });
    let entry = func.layout.entry_block().unwrap();
    let mut cursor = FuncCursor::new(&mut func).at_first_insertion_point(entry);
    cursor.ins().call(callee, &[]);
    func
}

#[test]
fn code_that_would_not_link_or_fit_is_refused() {
    let reason = refused(|_, _| panic!("on purpose"));
    assert_eq!(reason, StockReason::Panicked("on purpose".to_owned()));

    let reason = refused(|mut func, _| {
        func.signature.params.push(ir::AbiParam::new(types::I64));
        Decision::Replace(Box::new(func))
    });
    assert_eq!(reason, StockReason::SignatureChanged);

    let reason = refused(|mut func, _| {
        let entry = func.layout.entry_block().unwrap();
        let last = func.layout.last_inst(entry).unwrap();
        func.layout.remove_inst(last);
        Decision::Replace(Box::new(func))
    });
    assert!(matches!(reason, StockReason::Invalid(_)), "{reason:?}");

    let reason = refused(|mut func, _| {
        let name = func.declare_imported_user_function(ir::UserExternalName::new(9, 9));
        Decision::Replace(Box::new(with_call(func, ExternalName::User(name))))
    });
    assert!(matches!(reason, StockReason::ForeignReference(_)), "{reason:?}");

    let reason = refused(|func, _| {
        let name = ExternalName::LibCall(ir::LibCall::FloorF32);
        Decision::Replace(Box::new(with_call(func, name)))
    });
    assert!(matches!(reason, StockReason::ForeignReference(_)), "{reason:?}");

    let reason = refused(|mut func, isa| {
        let entry = func.layout.entry_block().unwrap();
        let value = func.dfg.block_params(entry)[2];
        let mut cursor = FuncCursor::new(&mut func).at_first_insertion_point(entry);
        cursor.ins().trapz(value, ir::TrapCode::unwrap_user(200));
        Decision::Code(compile_stock(func, isa).unwrap())
    });
    assert_eq!(reason, StockReason::ForeignTrap(200));

    for bytes in [vec![], vec![0; 100], vec![0xff; 100]] {
        let reason = refused(move |_, _| Decision::Code(bytes.clone()));
        assert!(matches!(reason, StockReason::Invalid(_)), "{reason:?}");
    }
}

#[test]
fn twins_with_different_code_are_both_stock() {
    // Functions 2 and 3 are equal but for the callee's name: one key.
    let wat = r#"(module
        (func $a (result i32) (i32.const 1)) (func $b (result i32) (i32.const 2))
        (func $x (result i32) (call $a)) (func $y (result i32) (call $b))
        (func (export "z") (result i32) (i32.add (call $x) (call $y))))"#;
    let config = Config::new();
    let compiler = with(|function, _| {
        let mut func = function.func.clone();
        let entry = func.layout.entry_block().unwrap();
        if function.index == 2 {
            let mut cursor = FuncCursor::new(&mut func).at_first_insertion_point(entry);
            let zero = cursor.ins().iconst(types::I64, 0);
            cursor.ins().trapnz(zero, ir::TrapCode::HEAP_OUT_OF_BOUNDS);
            cursor.ins().debugtrap();
        }
        Decision::Replace(Box::new(func))
    });
    let (cwasm, report) = precompile_module(&config, wat.as_bytes(), &compiler, None).unwrap();
    let captured = egraft_seam::capture(&config, wat.as_bytes()).unwrap();
    assert_eq!(captured.by_index(2).unwrap().key, captured.by_index(3).unwrap().key);
    assert_eq!(stock_reasons(&report), [&StockReason::SharedKey; 2]);
    assert!(cwasm == Engine::new(&config).unwrap().precompile_module(wat.as_bytes()).unwrap());
}

#[test]
fn a_store_spares_the_second_compilation() {
    let directory = tempfile::tempdir().unwrap();
    let store = Arc::new(CodeStore::open(directory.path(), 1 << 20).unwrap());
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = calls.clone();
    let compiler = Arc::new(with(move |function, _| {
        counted.fetch_add(1, Ordering::Relaxed);
        if function.index == 1 {
            Decision::Stock(StockReason::Declined("no gain".to_owned()))
        } else {
            change_constant(function)
        }
    }));
    let engine = Engine::default();
    let mut images = Vec::new();
    for round in 0..3 {
        let options = SeamOptions::default().with_store(store.clone());
        let handle = SeamHandle::new(compiler.clone(), options);
        let (cwasm, report) = handle.precompile(&engine, ANSWER.as_bytes()).unwrap();
        assert_eq!(report.store_error, None);
        assert_eq!(calls.load(Ordering::Relaxed), 2, "round {round}");
        assert!(report.functions.iter().all(|f| f.from_store == (round > 0)), "{report:?}");
        assert_eq!(stock_reasons(&report), [&StockReason::Declined("no gain".to_owned())]);
        images.push(cwasm);
    }
    assert!(images[0] == images[1] && images[1] == images[2]);

    // Another fingerprint shares nothing.
    let handle =
        SeamHandle::new(Arc::new(Identity), SeamOptions::default().with_store(store.clone()));
    let (_, report) = handle.precompile(&engine, ANSWER.as_bytes()).unwrap();
    assert!(report.functions.iter().all(|function| !function.from_store));

    // A damaged entry is compiled again, and the result is the same.
    for file in std::fs::read_dir(directory.path()).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_some_and(|suffix| suffix == "code") {
            let mut bytes = std::fs::read(&path).unwrap();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            std::fs::write(&path, bytes).unwrap();
        }
    }
    let options = SeamOptions::default().with_store(store.clone());
    let handle = SeamHandle::new(compiler, options);
    let (cwasm, report) = handle.precompile(&engine, ANSWER.as_bytes()).unwrap();
    assert_eq!(calls.load(Ordering::Relaxed), 4);
    assert!(report.functions.iter().all(|function| !function.from_store));
    assert!(cwasm == images[0]);
}

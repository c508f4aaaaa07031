//! Proves the seam faithful: with a compiler that changes nothing, the `.cwasm` is stock
//! Wasmtime's to the byte, for many wasm features under many configurations.

mod common;

use common::{Tally, Wanting, assert_identity, stock_reasons};
use egraft_seam::{
    BodySummary, SeamError, SeamOptions, StockReason, attach, capture, precompile_module,
};
use std::sync::Arc;
use wasmtime::{Config, OptLevel, RegallocAlgorithm};

/// A named module and what its configuration must enable.
struct Case {
    name: &'static str,
    wat: &'static str,
    needs: fn(&mut Config),
}

fn nothing(_: &mut Config) {}

const MODULES: &[Case] = &[
    Case {
        name: "integers",
        wat: r#"(module
            (func (export "div") (param i32 i32) (result i32)
                (i32.add (i32.div_s (local.get 0) (local.get 1))
                         (i32.rem_u (local.get 0) (local.get 1))))
            (func (export "wide") (param i64 i64) (result i64)
                (i64.rotl (i64.mul (local.get 0) (local.get 1)) (i64.clz (local.get 1))))
            (func (export "ext") (param i32) (result i64)
                (i64.extend32_s (i64.extend_i32_u (i32.extend8_s (local.get 0))))))"#,
        needs: nothing,
    },
    Case {
        name: "floats",
        wat: r#"(module
            (func (export "f") (param f32 f64) (result f64)
                (f64.min (f64.nearest (local.get 1))
                         (f64.promote_f32 (f32.sqrt (local.get 0)))))
            (func (export "sat") (param f64) (result i64)
                (i64.trunc_sat_f64_u (f64.copysign (local.get 0) (f64.const -0))))
            (func (export "trunc") (param f32) (result i32)
                (i32.trunc_f32_s (local.get 0)))
            (func (export "nan") (result f32) (f32.const nan:0x200001)))"#,
        needs: nothing,
    },
    Case {
        name: "control",
        wat: r#"(module
            (func $fib (export "fib") (param i32) (result i32)
                (if (result i32) (i32.lt_u (local.get 0) (i32.const 2))
                    (then (local.get 0))
                    (else (i32.add (call $fib (i32.sub (local.get 0) (i32.const 1)))
                                   (call $fib (i32.sub (local.get 0) (i32.const 2)))))))
            (func (export "switch") (param i32) (result i32)
                (block $d (block $c (block $b (block $a
                    (br_table $a $b $c $d (local.get 0)))
                    (return (i32.const 10)))
                    (return (i32.const 20)))
                    (return (i32.const 30)))
                (unreachable))
            (func (export "loop") (param i32) (result i32) (local i32)
                (loop $l
                    (local.set 1 (i32.add (local.get 1) (local.get 0)))
                    (br_if $l (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
                (local.get 1))
            (func (export "pair") (param i32) (result i32 i64 f32)
                (local.get 0) (i64.const 7) (f32.const 1.5)))"#,
        needs: nothing,
    },
    Case {
        name: "memory",
        wat: r#"(module
            (memory (export "m") 1 10)
            (data (i32.const 8) "egraft")
            (data $passive "passive")
            (func (export "sum") (param i32 i32) (result i32) (local i32)
                (loop $l
                    (local.set 2 (i32.add (local.get 2)
                        (i32.load8_u offset=3 (local.get 0))))
                    (i32.store16 offset=65530 (local.get 0) (local.get 2))
                    (local.set 0 (i32.add (local.get 0) (i32.const 1)))
                    (br_if $l (local.tee 1 (i32.sub (local.get 1) (i32.const 1)))))
                (local.get 2))
            (func (export "grow") (param i32) (result i32)
                (i32.add (memory.grow (local.get 0)) (memory.size)))
            (func (export "bulk") (param i32)
                (memory.fill (local.get 0) (i32.const 1) (i32.const 9))
                (memory.copy (i32.const 0) (local.get 0) (i32.const 9))
                (memory.init $passive (i32.const 0) (i32.const 0) (i32.const 7))
                (data.drop $passive)))"#,
        needs: nothing,
    },
    Case {
        name: "tables",
        wat: r#"(module
            (type $unary (func (param i32) (result i32)))
            (import "host" "f" (func $f (type $unary)))
            (import "host" "g" (global $g (mut i64)))
            (table $t 4 funcref)
            (global $count (mut i32) (i32.const 0))
            (elem (i32.const 0) $f $double)
            (func $double (type $unary) (i32.shl (local.get 0) (i32.const 1)))
            (func (export "call") (param i32 i32) (result i32)
                (global.set $count (i32.add (global.get $count) (i32.const 1)))
                (global.set $g (i64.add (global.get $g) (i64.const 1)))
                (call_indirect (type $unary) (local.get 1) (local.get 0)))
            (func (export "host") (param i32) (result i32) (call $f (local.get 0)))
            (func $start (call $bump))
            (func $bump (global.set $count (i32.const 1)))
            (start $start))"#,
        needs: nothing,
    },
    Case {
        name: "simd",
        wat: r#"(module (memory 1)
            (func (export "blur") (param i32)
                (v128.store (local.get 0)
                    (i8x16.avgr_u (v128.load (local.get 0))
                                  (v128.load offset=1 (local.get 0)))))
            (func (export "dot") (param v128 v128) (result i32)
                (i32x4.extract_lane 2
                    (i32x4.dot_i16x8_s (local.get 0) (local.get 1))))
            (func (export "mix") (param v128 v128 v128) (result v128)
                (v128.bitselect
                    (i8x16.shuffle 0 16 1 17 2 18 3 19 4 20 5 21 6 22 7 23
                        (local.get 0) (local.get 1))
                    (i16x8.q15mulr_sat_s (local.get 1) (local.get 2))
                    (f32x4.lt (local.get 0) (local.get 2))))
            (func (export "const") (result v128)
                (i8x16.swizzle (v128.const i32x4 1 2 3 4) (v128.const i64x2 5 6))))"#,
        needs: nothing,
    },
    Case {
        name: "relaxed simd",
        wat: r#"(module
            (func (export "madd") (param v128 v128 v128) (result v128)
                (f32x4.relaxed_madd (local.get 0) (local.get 1) (local.get 2)))
            (func (export "lane") (param v128 v128 v128) (result v128)
                (i8x16.relaxed_laneselect (local.get 0) (local.get 1) (local.get 2))))"#,
        needs: nothing,
    },
    Case {
        name: "memory64",
        wat: r#"(module (memory i64 1)
            (func (export "load") (param i64) (result i64)
                (i64.load offset=4294967296 (local.get 0)))
            (func (export "store") (param i64 v128)
                (v128.store (local.get 0) (local.get 1))))"#,
        needs: |config| {
            config.wasm_memory64(true);
        },
    },
    Case {
        name: "multi-memory",
        wat: r#"(module (memory $a 1) (memory $b 1)
            (func (export "move") (param i32)
                (i32.store $a (local.get 0) (i32.load $b (local.get 0)))
                (memory.copy $a $b (i32.const 0) (i32.const 4) (local.get 0))))"#,
        needs: |config| {
            config.wasm_multi_memory(true);
        },
    },
    Case {
        name: "threads",
        wat: r#"(module (memory 1 1 shared)
            (func (export "add") (param i32 i32) (result i32)
                (i32.atomic.rmw.add (local.get 0) (local.get 1)))
            (func (export "cas") (param i32 i64 i64) (result i64)
                (i64.atomic.rmw.cmpxchg (local.get 0) (local.get 1) (local.get 2)))
            (func (export "fence") (atomic.fence)))"#,
        needs: |config| {
            config.wasm_threads(true).shared_memory(true);
        },
    },
    Case {
        name: "tail calls",
        wat: r#"(module
            (func $even (export "even") (param i32) (result i32)
                (if (result i32) (i32.eqz (local.get 0)) (then (i32.const 1))
                    (else (return_call $odd (i32.sub (local.get 0) (i32.const 1))))))
            (func $odd (param i32) (result i32)
                (if (result i32) (i32.eqz (local.get 0)) (then (i32.const 0))
                    (else (return_call $even (i32.sub (local.get 0) (i32.const 1)))))))"#,
        needs: |config| {
            config.wasm_tail_call(true);
        },
    },
    Case {
        name: "custom page sizes",
        wat: r#"(module (memory 100 (pagesize 1))
            (func (export "load") (param i32) (result i32) (i32.load (local.get 0))))"#,
        needs: |config| {
            config.wasm_custom_page_sizes(true);
        },
    },
    Case {
        name: "wide arithmetic",
        wat: r#"(module
            (func (export "mul") (param i64 i64) (result i64 i64)
                (i64.mul_wide_u (local.get 0) (local.get 1))))"#,
        needs: |config| {
            config.wasm_wide_arithmetic(true);
        },
    },
    Case {
        name: "hostile names",
        wat: r#"(module
            (func $a/../../b (export "a") (result i32) (i32.const 1))
            (func $"dot.one" (export "b") (result i32) (i32.const 2))
            (func $"dot.two" (export "c") (result i32) (i32.const 3))
            (func $"/etc/passwd" (export "d") (result i32) (i32.const 4)))"#,
        needs: nothing,
    },
    Case { name: "no functions", wat: r#"(module (memory (export "m") 1))"#, needs: nothing },
    Case {
        name: "twins",
        wat: r#"(module
            (import "" "a" (func $a)) (import "" "b" (func $b))
            (func $one (i32.const 0) (drop)) (func $two (i32.const 1) (drop))
            (func (export "x") (call $one)) (func (export "y") (call $two))
            (func (export "u") (result i32) (i32.const 5))
            (func (export "v") (result i32) (i32.const 5)))"#,
        needs: nothing,
    },
];

/// A named change of a `Config`.
type Setting = (&'static str, fn(&mut Config));

const SETTINGS: &[Setting] = &[
    ("default", nothing),
    ("fuel", |config| {
        config.consume_fuel(true);
    }),
    ("epochs", |config| {
        config.epoch_interruption(true);
    }),
    ("fuel and epochs", |config| {
        config.consume_fuel(true).epoch_interruption(true);
    }),
    ("no guards", |config| {
        config.memory_guard_size(0).memory_reservation(0);
    }),
    ("small reservation", |config| {
        config.memory_reservation(1 << 20).memory_guard_size(1 << 16).memory_may_move(false);
    }),
    ("no signals", |config| {
        config.signals_based_traps(false);
    }),
    ("unoptimised", |config| {
        config.cranelift_opt_level(OptLevel::None);
    }),
    ("speed and size", |config| {
        config.cranelift_opt_level(OptLevel::SpeedAndSize);
    }),
    ("single pass", |config| {
        config.cranelift_regalloc_algorithm(RegallocAlgorithm::SinglePass);
    }),
    ("nan canonicalization", |config| {
        config.cranelift_nan_canonicalization(true);
    }),
    ("verifier", |config| {
        config.cranelift_debug_verifier(true);
    }),
    ("no unwind info", |config| {
        config.native_unwind_info(false);
    }),
    ("no address map", |config| {
        config.generate_address_map(false);
    }),
    ("inlining", |config| {
        config.compiler_inlining(wasmtime::Inlining::Yes);
    }),
    ("one thread", |config| {
        config.parallel_compilation(false);
    }),
    ("flag by name", |config| {
        // SAFETY: Cranelift's own flags, with values it defines; none changes what is sound.
        unsafe {
            config.cranelift_flag_set("log2_min_function_alignment", "5");
            config.cranelift_flag_enable("is_pic");
        }
    }),
    ("link options", |config| {
        // SAFETY: debug options of Wasmtime's linker.
        unsafe {
            config.cranelift_flag_set("wasmtime_linkopt_padding_between_functions", "100");
            config.cranelift_flag_set("wasmtime_linkopt_force_jump_veneer", "true");
        }
    }),
    ("no lazy tables", |config| {
        config.table_lazy_init(false).memory_init_cow(false);
    }),
    ("deterministic relaxed simd", |config| {
        config.relaxed_simd_deterministic(true);
    }),
];

/// What stays stock in a module: the two functions with atomic operations.
fn expected_stock(case: &Case) -> &'static [&'static StockReason] {
    if case.name == "threads" { &[&StockReason::AtomicFlags; 2] } else { &[] }
}

const TARGETS: &[&str] = &[
    "x86_64-unknown-linux-gnu",
    "x86_64-pc-windows-msvc",
    "aarch64-unknown-linux-gnu",
    "aarch64-apple-darwin",
    "riscv64gc-unknown-linux-gnu",
    "s390x-unknown-linux-gnu",
];

#[test]
fn every_module_under_every_setting_is_stock_to_the_byte() {
    let mut tally = Tally::default();
    for case in MODULES {
        for (setting, apply) in SETTINGS {
            let mut config = Config::new();
            (case.needs)(&mut config);
            apply(&mut config);
            let what = format!("{} under {setting}", case.name);
            let report = assert_identity(&what, &config, case.wat.as_bytes());
            assert_eq!(stock_reasons(&report), expected_stock(case), "{what}");
            assert_eq!(report.stock_module, None, "{what}");
            tally.add(&report);
        }
    }
    println!("{tally:?}");
    assert_eq!(tally.modules, MODULES.len() * SETTINGS.len());
    assert!(tally.replaced > 800, "{tally:?}");
}

#[test]
fn every_module_for_every_target_is_stock_to_the_byte() {
    let mut tally = Tally::default();
    for case in MODULES {
        for target in TARGETS {
            let mut config = Config::new();
            (case.needs)(&mut config);
            config.target(target).unwrap();
            if target.starts_with("riscv64") {
                // Wasmtime panics on SIMD for RISC-V without vectors.
                // SAFETY: the code is not run.
                unsafe { config.cranelift_flag_enable("has_v") };
            }
            let what = format!("{} for {target}", case.name);
            let report = assert_identity(&what, &config, case.wat.as_bytes());
            assert_eq!(stock_reasons(&report), expected_stock(case), "{what}");
            tally.add(&report);
        }
    }
    println!("{tally:?}");
    assert!(tally.replaced > 200, "{tally:?}");
}

#[test]
fn cpu_features_set_by_name_are_found_again() {
    let mut config = Config::new();
    config.target("x86_64-unknown-linux-gnu").unwrap();
    // SAFETY: the code is not run.
    unsafe {
        config.cranelift_flag_enable("haswell");
        config.cranelift_flag_set("has_avx512f", "true");
    }
    let mut replaced = 0;
    for case in MODULES {
        let mut config = config.clone();
        (case.needs)(&mut config);
        let report = assert_identity(case.name, &config, case.wat.as_bytes());
        assert_eq!(stock_reasons(&report), expected_stock(case), "{}", case.name);
        replaced += report.replaced();
    }
    assert!(replaced > 30, "{replaced}");
}

#[test]
fn selected_functions_are_stock_to_the_byte_and_all_taken() {
    let (mut replaced, mut unwanted) = (0, 0);
    for case in MODULES {
        for (setting, apply) in SETTINGS {
            for odd in [0, 1] {
                let mut config = Config::new();
                (case.needs)(&mut config);
                apply(&mut config);
                let what = format!("{} under {setting}, {odd}", case.name);
                let some = Wanting(move |body: &BodySummary| body.index % 2 == odd);
                let report = common::assert_identity_of(&what, &config, case.wat.as_bytes(), &some);
                assert_eq!(report.stock_module, None, "{what}");
                // Some modules and settings need the whole module.
                let whole = report.functions.iter().any(|function| function.index.is_none());
                for function in report.wasm_functions() {
                    let index = function.index.unwrap();
                    match function.stock_reason() {
                        None => {
                            assert!(whole || index % 2 == odd, "{what}: {function:?}");
                            replaced += 1;
                        }
                        Some(StockReason::AtomicFlags) => assert_eq!(case.name, "threads"),
                        Some(reason) => {
                            assert_eq!(*reason, common::unwanted(), "{what}: {function:?}");
                            assert_ne!(index % 2, odd, "{what}: {function:?}");
                            unwanted += 1;
                        }
                    }
                }
            }
        }
    }
    println!("{replaced} replaced, {unwanted} not wanted");
    assert!(replaced > 800 && unwanted > 700, "{replaced}, {unwanted}");
}

#[test]
fn native_debug_info_leaves_the_module_stock_and_says_so() {
    for case in MODULES {
        let mut config = Config::new();
        (case.needs)(&mut config);
        config.debug_info(true);
        // DWARF is not built alike twice, so there is no identity to check.
        let (_, report) =
            precompile_module(&config, case.wat.as_bytes(), &common::Identity, None).unwrap();
        assert_eq!(report.stock_module, Some(StockReason::DebugInfo), "{}", case.name);
        assert!(report.functions.is_empty(), "{}", case.name);
    }
}

#[test]
fn cache_checks_leave_the_module_stock_and_say_so() {
    let mut config = Config::new();
    // SAFETY: a debugging flag of Cranelift.
    unsafe { config.cranelift_flag_enable("enable_incremental_compilation_cache_checks") };
    let report = assert_identity("cache checks", &config, MODULES[0].wat.as_bytes());
    assert_eq!(report.stock_module, Some(StockReason::CacheChecks));
    assert!(report.functions.is_empty());
}

#[test]
fn a_bad_module_gives_wasmtimes_own_error() {
    let config = Config::new();
    let bad: &[&[u8]] = &[
        b"",
        b"\0asm",
        b"\0asm\x01\0\0\0\xff",
        b"\0asm\x01\0\0\0\x0a\xff\xff\xff\xff\x0f",
        b"(module",
        b"(module (func (result i32)))",
        b"\xff\xfe not wasm",
    ];
    for wasm in bad {
        let engine = wasmtime::Engine::new(&config).unwrap();
        let stock = engine.precompile_module(wasm).unwrap_err();
        let ours = precompile_module(&config, wasm, &common::Identity, None).unwrap_err();
        assert_eq!(ours.to_string(), format!("{stock:#}"));
        let Err(SeamError::Wasmtime { error }) = capture(&config, wasm) else {
            panic!("no error of Wasmtime's for {wasm:?}");
        };
        assert_eq!(format!("{error:#}"), format!("{stock:#}"));
    }
}

#[test]
fn a_config_without_room_is_refused() {
    #[derive(Debug)]
    struct Own;
    impl wasmtime::CacheStore for Own {
        fn get(&self, _key: &[u8]) -> Option<std::borrow::Cow<'_, [u8]>> {
            None
        }
        fn insert(&self, _key: &[u8], _value: Vec<u8>) -> bool {
            false
        }
    }
    let wat = MODULES[0].wat.as_bytes();
    let mut config = Config::new();
    config.enable_incremental_compilation(std::sync::Arc::new(Own)).unwrap();
    let attached = attach(&mut config, Arc::new(common::Identity), SeamOptions::default());
    assert!(matches!(attached, Err(SeamError::CacheSlotTaken)));
    // Other ways do not need the slot.
    let report = assert_identity("own cache", &config, wat);
    assert_eq!(report.replaced(), 3);
    let mut config = Config::new();
    config.enable_compiler(false);
    assert!(matches!(capture(&config, wat), Err(SeamError::NoCompiler)));
}

#[test]
fn a_panic_of_wasmtimes_is_an_error() {
    let mut config = Config::new();
    config.target("riscv64gc-unknown-linux-gnu").unwrap();
    let wat = "(module (func (export \"f\") (param v128) (result v128) \
               (i32x4.add (local.get 0) (local.get 0))))";
    let result = precompile_module(&config, wat.as_bytes(), &common::Identity, None);
    assert!(matches!(result, Err(SeamError::Panicked { .. })));
}

#[test]
fn captures_run_side_by_side() {
    let wats: Vec<String> = (0..8)
        .map(|n| {
            format!(
                "(module (func $f (export \"f\") (result i32) (i32.const {n})) \
                 (func $g (export \"g\") (result i32) (i32.add (call $f) (i32.const {n}))))"
            )
        })
        .collect();
    std::thread::scope(|scope| {
        let threads: Vec<_> = wats
            .iter()
            .map(|wat| scope.spawn(|| capture(&Config::new(), wat.as_bytes()).unwrap()))
            .collect();
        for (n, thread) in threads.into_iter().enumerate() {
            let captured = thread.join().unwrap();
            let indices: Vec<_> = captured.functions.iter().map(|f| f.index).collect();
            assert_eq!(indices, [0, 1]);
            let first = captured.by_index(0).unwrap();
            assert_eq!(first.name.as_deref(), Some("f"));
            assert!(first.clif.contains(&format!("iconst.i32 {n}")), "{}", first.clif);
            assert!(captured.isa.flags().preserve_frame_pointers());
        }
    });
}

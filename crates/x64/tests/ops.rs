//! Every numeric and vector instruction of WebAssembly (MVP, sign extension, saturating
//! conversions, SIMD, relaxed SIMD) over edge operands, from registers, from memory and with
//! constants: results, traps and trap offsets equal stock Wasmtime's.

mod common;

use std::fmt::Write;
use wasmtime::{Engine, Func, Instance, Module, Store, Trap, V128, Val, ValType, WasmBacktrace};

#[derive(Clone, Copy, PartialEq)]
enum T {
    I32,
    I64,
    F32,
    F64,
    V,
}
use T::{F32, F64, I32, I64, V};

impl T {
    fn name(self) -> &'static str {
        match self {
            I32 => "i32",
            I64 => "i64",
            F32 => "f32",
            F64 => "f64",
            V => "v128",
        }
    }

    fn bytes(self) -> u32 {
        match self {
            I32 | F32 => 4,
            I64 | F64 => 8,
            V => 16,
        }
    }
}

/// Operand types, result type, instructions.
const OPS: &[(&[T], T, &str)] = &[
    (
        &[I32, I32],
        I32,
        "i32.add i32.sub i32.mul i32.div_s i32.div_u i32.rem_s i32.rem_u i32.and i32.or i32.xor \
         i32.shl i32.shr_s i32.shr_u i32.rotl i32.rotr i32.eq i32.ne i32.lt_s i32.lt_u i32.gt_s \
         i32.gt_u i32.le_s i32.le_u i32.ge_s i32.ge_u",
    ),
    (
        &[I64, I64],
        I64,
        "i64.add i64.sub i64.mul i64.div_s i64.div_u i64.rem_s i64.rem_u i64.and i64.or i64.xor \
         i64.shl i64.shr_s i64.shr_u i64.rotl i64.rotr",
    ),
    (
        &[I64, I64],
        I32,
        "i64.eq i64.ne i64.lt_s i64.lt_u i64.gt_s i64.gt_u i64.le_s i64.le_u i64.ge_s i64.ge_u",
    ),
    (&[I32], I32, "i32.clz i32.ctz i32.popcnt i32.eqz i32.extend8_s i32.extend16_s"),
    (&[I64], I64, "i64.clz i64.ctz i64.popcnt i64.extend8_s i64.extend16_s i64.extend32_s"),
    (&[I64], I32, "i64.eqz i32.wrap_i64"),
    (&[I32], I64, "i64.extend_i32_s i64.extend_i32_u"),
    (&[F32, F32], F32, "f32.add f32.sub f32.mul f32.div f32.min f32.max f32.copysign"),
    (&[F64, F64], F64, "f64.add f64.sub f64.mul f64.div f64.min f64.max f64.copysign"),
    (&[F32, F32], I32, "f32.eq f32.ne f32.lt f32.gt f32.le f32.ge"),
    (&[F64, F64], I32, "f64.eq f64.ne f64.lt f64.gt f64.le f64.ge"),
    (&[F32], F32, "f32.abs f32.neg f32.ceil f32.floor f32.trunc f32.nearest f32.sqrt"),
    (&[F64], F64, "f64.abs f64.neg f64.ceil f64.floor f64.trunc f64.nearest f64.sqrt"),
    (
        &[F32],
        I32,
        "i32.trunc_f32_s i32.trunc_f32_u i32.trunc_sat_f32_s i32.trunc_sat_f32_u \
         i32.reinterpret_f32",
    ),
    (&[F64], I32, "i32.trunc_f64_s i32.trunc_f64_u i32.trunc_sat_f64_s i32.trunc_sat_f64_u"),
    (&[F32], I64, "i64.trunc_f32_s i64.trunc_f32_u i64.trunc_sat_f32_s i64.trunc_sat_f32_u"),
    (
        &[F64],
        I64,
        "i64.trunc_f64_s i64.trunc_f64_u i64.trunc_sat_f64_s i64.trunc_sat_f64_u \
         i64.reinterpret_f64",
    ),
    (&[I32], F32, "f32.convert_i32_s f32.convert_i32_u f32.reinterpret_i32"),
    (&[I64], F32, "f32.convert_i64_s f32.convert_i64_u"),
    (&[I32], F64, "f64.convert_i32_s f64.convert_i32_u"),
    (&[I64], F64, "f64.convert_i64_s f64.convert_i64_u f64.reinterpret_i64"),
    (&[F64], F32, "f32.demote_f64"),
    (&[F32], F64, "f64.promote_f32"),
    (
        &[V, V],
        V,
        "v128.and v128.or v128.xor v128.andnot i8x16.swizzle i8x16.relaxed_swizzle \
         i8x16.eq i8x16.ne i8x16.lt_s i8x16.lt_u i8x16.gt_s i8x16.gt_u i8x16.le_s i8x16.le_u \
         i8x16.ge_s i8x16.ge_u i16x8.eq i16x8.ne i16x8.lt_s i16x8.lt_u i16x8.gt_s i16x8.gt_u \
         i16x8.le_s i16x8.le_u i16x8.ge_s i16x8.ge_u i32x4.eq i32x4.ne i32x4.lt_s i32x4.lt_u \
         i32x4.gt_s i32x4.gt_u i32x4.le_s i32x4.le_u i32x4.ge_s i32x4.ge_u i64x2.eq i64x2.ne \
         i64x2.lt_s i64x2.gt_s i64x2.le_s i64x2.ge_s f32x4.eq f32x4.ne f32x4.lt f32x4.gt f32x4.le \
         f32x4.ge f64x2.eq f64x2.ne f64x2.lt f64x2.gt f64x2.le f64x2.ge \
         i8x16.add i8x16.add_sat_s i8x16.add_sat_u i8x16.sub i8x16.sub_sat_s i8x16.sub_sat_u \
         i8x16.min_s i8x16.min_u i8x16.max_s i8x16.max_u i8x16.avgr_u \
         i16x8.add i16x8.add_sat_s i16x8.add_sat_u i16x8.sub i16x8.sub_sat_s i16x8.sub_sat_u \
         i16x8.mul i16x8.min_s i16x8.min_u i16x8.max_s i16x8.max_u i16x8.avgr_u \
         i16x8.q15mulr_sat_s i16x8.relaxed_q15mulr_s i16x8.narrow_i32x4_s i16x8.narrow_i32x4_u \
         i8x16.narrow_i16x8_s i8x16.narrow_i16x8_u i16x8.extmul_low_i8x16_s \
         i16x8.extmul_high_i8x16_s i16x8.extmul_low_i8x16_u i16x8.extmul_high_i8x16_u \
         i16x8.relaxed_dot_i8x16_i7x16_s i32x4.add i32x4.sub i32x4.mul i32x4.min_s i32x4.min_u \
         i32x4.max_s i32x4.max_u i32x4.dot_i16x8_s i32x4.extmul_low_i16x8_s \
         i32x4.extmul_high_i16x8_s i32x4.extmul_low_i16x8_u i32x4.extmul_high_i16x8_u \
         i64x2.add i64x2.sub i64x2.mul i64x2.extmul_low_i32x4_s i64x2.extmul_high_i32x4_s \
         i64x2.extmul_low_i32x4_u i64x2.extmul_high_i32x4_u f32x4.add f32x4.sub f32x4.mul \
         f32x4.div f32x4.min f32x4.max f32x4.pmin f32x4.pmax f32x4.relaxed_min f32x4.relaxed_max \
         f64x2.add f64x2.sub f64x2.mul f64x2.div f64x2.min f64x2.max f64x2.pmin f64x2.pmax \
         f64x2.relaxed_min f64x2.relaxed_max",
    ),
    (
        &[V],
        V,
        "v128.not i8x16.abs i8x16.neg i8x16.popcnt i16x8.abs i16x8.neg \
         i16x8.extadd_pairwise_i8x16_s i16x8.extadd_pairwise_i8x16_u i16x8.extend_low_i8x16_s \
         i16x8.extend_high_i8x16_s i16x8.extend_low_i8x16_u i16x8.extend_high_i8x16_u i32x4.abs \
         i32x4.neg i32x4.extadd_pairwise_i16x8_s i32x4.extadd_pairwise_i16x8_u \
         i32x4.extend_low_i16x8_s i32x4.extend_high_i16x8_s i32x4.extend_low_i16x8_u \
         i32x4.extend_high_i16x8_u i64x2.abs i64x2.neg i64x2.extend_low_i32x4_s \
         i64x2.extend_high_i32x4_s i64x2.extend_low_i32x4_u i64x2.extend_high_i32x4_u f32x4.abs \
         f32x4.neg f32x4.sqrt f32x4.ceil f32x4.floor f32x4.trunc f32x4.nearest f64x2.abs f64x2.neg \
         f64x2.sqrt f64x2.ceil f64x2.floor f64x2.trunc f64x2.nearest i32x4.trunc_sat_f32x4_s \
         i32x4.trunc_sat_f32x4_u f32x4.convert_i32x4_s f32x4.convert_i32x4_u \
         i32x4.trunc_sat_f64x2_s_zero i32x4.trunc_sat_f64x2_u_zero f64x2.convert_low_i32x4_s \
         f64x2.convert_low_i32x4_u f32x4.demote_f64x2_zero f64x2.promote_low_f32x4 \
         i32x4.relaxed_trunc_f32x4_s i32x4.relaxed_trunc_f32x4_u \
         i32x4.relaxed_trunc_f64x2_s_zero i32x4.relaxed_trunc_f64x2_u_zero",
    ),
    (
        &[V],
        I32,
        "v128.any_true i8x16.all_true i16x8.all_true i32x4.all_true i64x2.all_true i8x16.bitmask \
         i16x8.bitmask i32x4.bitmask i64x2.bitmask",
    ),
    (
        &[V, I32],
        V,
        "i8x16.shl i8x16.shr_s i8x16.shr_u i16x8.shl i16x8.shr_s i16x8.shr_u i32x4.shl \
         i32x4.shr_s i32x4.shr_u i64x2.shl i64x2.shr_s i64x2.shr_u",
    ),
    (&[I32], V, "i8x16.splat i16x8.splat i32x4.splat"),
    (&[I64], V, "i64x2.splat"),
    (&[F32], V, "f32x4.splat"),
    (&[F64], V, "f64x2.splat"),
    (
        &[V, V, V],
        V,
        "v128.bitselect f32x4.relaxed_madd f32x4.relaxed_nmadd f64x2.relaxed_madd \
         f64x2.relaxed_nmadd i8x16.relaxed_laneselect i16x8.relaxed_laneselect \
         i32x4.relaxed_laneselect i64x2.relaxed_laneselect i32x4.relaxed_dot_i8x16_i7x16_add_s",
    ),
    (&[I32, I32, I32], I32, "select"),
    (&[I64, I64, I32], I64, "select"),
    (&[F32, F32, I32], F32, "select"),
    (&[F64, F64, I32], F64, "select"),
];

/// One exported function per line: its operand types and its body.
struct Case {
    name: String,
    params: Vec<T>,
    result: T,
    /// The instruction, between operands and result.
    op: String,
    /// Whether operands come from memory, at addresses 0, 16 and 32.
    memory: bool,
    /// A constant instead of the last operand.
    constant: Option<String>,
}

impl Case {
    fn wat(&self, out: &mut String) {
        let fixed = usize::from(self.constant.is_some());
        let given = &self.params[..self.params.len() - fixed];
        let _ = write!(out, "(func (export \"{}\")", self.name);
        if !self.memory {
            for param in given {
                let _ = write!(out, " (param {})", param.name());
            }
        }
        let _ = write!(out, " (result {})", self.result.name());
        for (at, param) in given.iter().enumerate() {
            let _ = if self.memory {
                write!(out, " ({}.load offset={} (i32.const 0))", param.name(), at * 16)
            } else {
                write!(out, " (local.get {at})")
            };
        }
        if let Some(constant) = &self.constant {
            let _ = write!(out, " ({constant})");
        }
        let _ = writeln!(out, " {})", self.op);
    }
}

/// A fixed sequence of numbers.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        let mixed = (self.0 ^ self.0 >> 33).wrapping_mul(0xff51afd7ed558ccd);
        mixed ^ mixed >> 29
    }
}

fn ints() -> Vec<u64> {
    let mut values = vec![0, 1, 2, 3, 5, 7, 8, 15, 16, 31, 32, 33, 63, 64, 100, 1000];
    for bits in [7, 8, 15, 16, 31, 32, 63] {
        values.extend([(1u64 << bits) - 1, 1 << bits, (1 << bits) + 1]);
        values.push((1u64 << bits).wrapping_neg());
    }
    values.extend([u64::MAX, u64::MAX - 1, u64::MAX - 4, 0x0123_4567_89ab_cdef]);
    values
}

fn f32s() -> Vec<u32> {
    let mut values: Vec<u32> = [
        0.0f32,
        1.0,
        0.5,
        1.5,
        2.5,
        0.9,
        3.7,
        1e-40,
        1e10,
        1e20,
        1e38,
        2147483520.0,
        2147483648.0,
        4294967040.0,
        4294967296.0,
        9.223372e18,
        1.8446744e19,
        8388608.0,
        8388609.0,
        65535.5,
        f32::MIN_POSITIVE,
        f32::MAX,
        f32::INFINITY,
    ]
    .iter()
    .flat_map(|value| [value.to_bits(), (-value).to_bits()])
    .collect();
    values.extend([0x7fc0_0000, 0xffc0_0000, 0x7fa0_0001, 0xff81_2345, 0x7fc1_2345, 1]);
    values.push((-2147483904.0f32).to_bits());
    values
}

fn f64s() -> Vec<u64> {
    let mut values: Vec<u64> = [
        0.0f64,
        1.0,
        0.5,
        1.5,
        2.5,
        0.9,
        3.7,
        1e-310,
        1e10,
        1e20,
        1e300,
        2147483647.0,
        2147483647.9,
        2147483648.0,
        2147483648.9,
        2147483649.0,
        4294967295.0,
        4294967295.9,
        4294967296.0,
        9223372036854774784.0,
        9223372036854775808.0,
        18446744073709549568.0,
        18446744073709551616.0,
        4503599627370496.0,
        4503599627370497.5,
        f64::MIN_POSITIVE,
        f64::MAX,
        f64::INFINITY,
        1e-46,
        3.4028235677973366e38,
    ]
    .iter()
    .flat_map(|value| [value.to_bits(), (-value).to_bits()])
    .collect();
    values.extend([
        0x7ff8_0000_0000_0000,
        0xfff8_0000_0000_0000,
        0x7ff4_0000_0000_0001,
        0xfff0_0000_1234_5678,
        0x7ff8_0000_1234_5678,
        1,
    ]);
    values
}

fn vectors() -> Vec<u128> {
    let mut numbers = Numbers(7);
    let mut values = vec![0, u128::MAX, 1, 0x8000_0000_8000_0000_8000_0000_8000_0000];
    let bytes = [0u8, 1, 2, 127, 128, 129, 254, 255, 15, 16, 17, 64, 100, 200, 0x55, 0xaa];
    for turn in [0, 1, 3, 5] {
        let mut turned = bytes;
        turned.rotate_left(turn);
        values.push(u128::from_le_bytes(turned));
    }
    let words = [0u16, 1, 0x7fff, 0x8000, 0xffff, 0x00ff, 0x0100, 0x8001];
    for turn in 0..3 {
        let mut turned = words;
        turned.rotate_left(turn);
        let bytes: Vec<u8> = turned.iter().flat_map(|word| word.to_le_bytes()).collect();
        values.push(u128::from_le_bytes(bytes.try_into().unwrap()));
    }
    let singles = f32s();
    for chunk in singles.chunks_exact(4) {
        let bytes: Vec<u8> = chunk.iter().flat_map(|lane| lane.to_le_bytes()).collect();
        values.push(u128::from_le_bytes(bytes.try_into().unwrap()));
    }
    let doubles = f64s();
    for chunk in doubles.chunks_exact(2) {
        values.push(u128::from(chunk[0]) | u128::from(chunk[1]) << 64);
    }
    for _ in 0..6 {
        values.push(u128::from(numbers.next()) | u128::from(numbers.next()) << 64);
    }
    values
}

fn operands(ty: T) -> Vec<Val> {
    match ty {
        I32 => ints().into_iter().map(|value| Val::I32(value as i32)).collect(),
        I64 => ints().into_iter().map(|value| Val::I64(value as i64)).collect(),
        F32 => f32s().into_iter().map(Val::F32).collect(),
        F64 => f64s().into_iter().map(Val::F64).collect(),
        V => vectors().into_iter().map(|value| Val::V128(V128::from(value))).collect(),
    }
}

fn bits(value: &Val) -> u128 {
    match value {
        Val::I32(value) => u128::from(*value as u32),
        Val::I64(value) => u128::from(*value as u64),
        Val::F32(value) => u128::from(*value),
        Val::F64(value) => u128::from(*value),
        Val::V128(value) => value.as_u128(),
        _ => unreachable!("no references here"),
    }
}

/// What a call did: bits of the result, or the trap and where.
#[derive(Debug, PartialEq)]
enum Outcome {
    Bits(u128),
    Trap(Trap, Option<usize>),
}

struct Run {
    store: Store<()>,
    instance: Instance,
}

impl Run {
    fn new(module: &Module) -> Run {
        let mut store = Store::new(module.engine(), ());
        let instance = Instance::new(&mut store, module, &[]).unwrap();
        Run { store, instance }
    }

    fn func(&mut self, name: &str) -> Func {
        self.instance.get_func(&mut self.store, name).unwrap()
    }

    fn call(&mut self, func: Func, args: &[Val], memory: bool) -> Outcome {
        let mut result = [Val::I32(0)];
        let done = if memory {
            let place = self.instance.get_memory(&mut self.store, "memory").unwrap();
            for (at, arg) in args.iter().enumerate() {
                let bytes = bits(arg).to_le_bytes();
                place.write(&mut self.store, at * 16, &bytes).unwrap();
            }
            func.call(&mut self.store, &[], &mut result)
        } else {
            func.call(&mut self.store, args, &mut result)
        };
        match done {
            Ok(()) => Outcome::Bits(bits(&result[0])),
            Err(error) => {
                let trap = *error.downcast_ref::<Trap>().expect("a trap");
                let backtrace = error.downcast_ref::<WasmBacktrace>();
                let offset = backtrace.and_then(|trace| trace.frames().first()?.module_offset());
                Outcome::Trap(trap, offset)
            }
        }
    }
}

fn constant(ty: T, value: &Val) -> String {
    match ty {
        I32 => format!("i32.const {}", bits(value) as u32 as i32),
        I64 => format!("i64.const {}", bits(value) as u64 as i64),
        F32 => format!("f32.reinterpret_i32 (i32.const {})", bits(value) as u32 as i32),
        F64 => format!("f64.reinterpret_i64 (i64.const {})", bits(value) as u64 as i64),
        V => {
            let value = bits(value);
            format!("v128.const i64x2 {} {}", value as u64 as i64, (value >> 64) as u64 as i64)
        }
    }
}

/// Compares all `cases`; returns how many calls were compared and what functions were refused.
fn compare(cases: &[Case], most: usize) -> usize {
    let mut wat = String::from("(module (memory (export \"memory\") 1)\n");
    for case in cases {
        case.wat(&mut wat);
    }
    wat.push(')');
    let config = common::config();
    let engine = Engine::new(&config).unwrap();
    let stock = Module::new(&engine, &wat).unwrap_or_else(|error| panic!("{error:?}"));
    let wasm = wat::parse_str(&wat).unwrap();
    let (module, backend) = common::compile(&config, &engine, &wasm);
    let refused = backend.refused.lock().unwrap();
    assert!(refused.is_empty(), "refused: {refused:?}");
    let (mut stock, mut ours) = (Run::new(&stock), Run::new(&module));
    let mut calls = 0;
    let mut failures = Vec::new();
    for case in cases {
        let (expected, func) = (stock.func(&case.name), ours.func(&case.name));
        let params: Vec<ValType> = func.ty(&ours.store).params().collect();
        let fixed = usize::from(case.constant.is_some());
        let given = &case.params[..case.params.len() - fixed];
        assert_eq!(params.len(), if case.memory { 0 } else { given.len() });
        let choices: Vec<Vec<Val>> = given.iter().map(|&ty| operands(ty)).collect();
        let total: usize = choices.iter().map(Vec::len).product();
        // A stride that shares no factor with small counts visits all operands in turn.
        let stride = if total > most { (total / most) | 1 } else { 1 };
        let mut bad = 0;
        for mut at in (0..total).step_by(stride) {
            let mut args = Vec::new();
            for choice in &choices {
                args.push(choice[at % choice.len()]);
                at /= choice.len();
            }
            let wanted = stock.call(expected, &args, case.memory);
            let got = ours.call(func, &args, case.memory);
            calls += 1;
            if wanted != got {
                bad += 1;
                if bad <= 2 {
                    let args: Vec<String> =
                        args.iter().map(|arg| format!("{:#x}", bits(arg))).collect();
                    failures.push(format!("{} {args:?}: {wanted:x?} but {got:x?}", case.name));
                }
            }
        }
    }
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
    calls
}

fn cases(memory: bool) -> Vec<Case> {
    let mut cases = Vec::new();
    for (params, result, ops) in OPS {
        for op in ops.split_whitespace() {
            let name = format!("{op}/{}{}", params[0].name(), params.len());
            let (params, op) = (params.to_vec(), op.to_string());
            cases.push(Case { name, params, result: *result, op, memory, constant: None });
        }
    }
    cases
}

#[test]
fn operands_in_registers() {
    if common::supported() {
        let calls = compare(&cases(false), 1500);
        println!("{calls} calls equal");
        assert!(calls > 100_000, "{calls}");
    }
}

#[test]
fn operands_in_memory() {
    if common::supported() {
        let calls = compare(&cases(true), 200);
        println!("{calls} calls equal");
        assert!(calls > 30_000, "{calls}");
    }
}

#[test]
fn constant_operands() {
    if !common::supported() {
        return;
    }
    let mut all = Vec::new();
    for case in cases(false) {
        if case.params.len() < 2 {
            continue;
        }
        let last = *case.params.last().unwrap();
        let values = operands(last);
        for at in (0..values.len()).step_by(values.len() / 6) {
            all.push(Case {
                name: format!("{} const {at}", case.name),
                params: case.params.clone(),
                result: case.result,
                op: case.op.clone(),
                memory: false,
                constant: Some(constant(last, &values[at])),
            });
        }
    }
    let calls = compare(&all, 40);
    println!("{calls} calls equal");
    assert!(calls > 30_000, "{calls}");
}

#[test]
fn lanes() {
    if !common::supported() {
        return;
    }
    let mut all = Vec::new();
    let shapes = [
        ("i8x16", 16, I32),
        ("i16x8", 8, I32),
        ("i32x4", 4, I32),
        ("i64x2", 2, I64),
        ("f32x4", 4, F32),
        ("f64x2", 2, F64),
    ];
    for memory in [false, true] {
        for (shape, count, lane) in shapes {
            for at in 0..count {
                let signs: &[&str] = if count > 4 { &["_s", "_u"] } else { &[""] };
                for sign in signs {
                    all.push(Case {
                        name: format!("{shape}.extract_lane{sign} {at} {memory}"),
                        params: vec![V],
                        result: lane,
                        op: format!("{shape}.extract_lane{sign} {at}"),
                        memory,
                        constant: None,
                    });
                }
                all.push(Case {
                    name: format!("{shape}.replace_lane {at} {memory}"),
                    params: vec![V, lane],
                    result: V,
                    op: format!("{shape}.replace_lane {at}"),
                    memory,
                    constant: None,
                });
            }
        }
    }
    let calls = compare(&all, 60);
    println!("{calls} calls equal");
    assert!(calls > 5_000, "{calls}");
}

#[test]
fn shuffles() {
    if !common::supported() {
        return;
    }
    let mut masks: Vec<[u8; 16]> = Vec::new();
    // Rotations, blends, interleavings, single vectors, lanes of all widths, and noise.
    for start in 0..32u8 {
        masks.push(std::array::from_fn(|at| (start + at as u8) % 32));
        masks.push(std::array::from_fn(|at| (start + at as u8) % 16));
    }
    let mut numbers = Numbers(3);
    for width in [1usize, 2, 4, 8] {
        for high in [0usize, 8] {
            for (first, second) in [(0usize, 16usize), (16, 0), (0, 0), (16, 16)] {
                masks.push(std::array::from_fn(|at| {
                    let (lane, within) = (at / width, at % width);
                    let vector = if lane % 2 == 0 { first } else { second };
                    (vector + high + lane / 2 * width + within) as u8
                }));
            }
        }
        for _ in 0..24 {
            let lanes: Vec<usize> =
                (0..16 / width).map(|_| numbers.next() as usize % (32 / width)).collect();
            masks.push(std::array::from_fn(|at| (lanes[at / width] * width + at % width) as u8));
            masks.push(std::array::from_fn(|at| {
                let lane = at / width;
                let vector = lanes[lane] % 2 * 16;
                (vector + at) as u8
            }));
            masks.push(std::array::from_fn(|at| {
                (lanes[at / width] * width % 16 + at % width) as u8
            }));
        }
    }
    let mut all = Vec::new();
    for (at, mask) in masks.iter().enumerate() {
        let bytes: Vec<String> = mask.iter().map(u8::to_string).collect();
        let op = format!("i8x16.shuffle {}", bytes.join(" "));
        for (kind, constant) in [("", None), ("zero", Some("v128.const i64x2 0 0".to_string()))] {
            all.push(Case {
                name: format!("{op} {kind} {at}"),
                params: vec![V, V],
                result: V,
                op: op.clone(),
                memory: at % 3 == 0,
                constant,
            });
        }
    }
    let calls = compare(&all, 12);
    println!("{calls} calls equal");
    assert!(calls > 4_000, "{calls}");
}

#[test]
fn loads_and_stores() {
    if !common::supported() {
        return;
    }
    let mut all = Vec::new();
    // Loads of the first operand, which lies at address 0.
    let loads = [
        (I32, "i32.load i32.load8_s i32.load8_u i32.load16_s i32.load16_u"),
        (
            I64,
            "i64.load i64.load8_s i64.load8_u i64.load16_s i64.load16_u i64.load32_s i64.load32_u",
        ),
        (F32, "f32.load"),
        (F64, "f64.load"),
        (
            V,
            "v128.load v128.load8x8_s v128.load8x8_u v128.load16x4_s v128.load16x4_u \
             v128.load32x2_s v128.load32x2_u v128.load8_splat v128.load16_splat v128.load32_splat \
             v128.load64_splat v128.load32_zero v128.load64_zero",
        ),
    ];
    for (result, ops) in loads {
        for op in ops.split_whitespace() {
            for address in ["0", "3", "65529", "-1"] {
                all.push(Case {
                    name: format!("{op} {address}"),
                    params: vec![V],
                    result,
                    op: format!("drop (i32.const {address}) {op}"),
                    memory: true,
                    constant: None,
                });
            }
        }
    }
    for (ty, ops) in [
        (I32, "i32.store i32.store8 i32.store16"),
        (I64, "i64.store i64.store8 i64.store16 i64.store32"),
        (F32, "f32.store"),
        (F64, "f64.store"),
        (V, "v128.store"),
    ] {
        for op in ops.split_whitespace() {
            for address in [64, 67, 65535] {
                let value = format!("({}.load (i32.const 0))", ty.name());
                all.push(Case {
                    name: format!("{op} {address}"),
                    params: vec![V],
                    result: V,
                    op: format!("drop (i32.const {address}) {value} {op} (i32.const 60) v128.load"),
                    memory: true,
                    constant: None,
                });
            }
        }
    }
    for (bits, lanes) in [(8, 16), (16, 8), (32, 4), (64, 2)] {
        for lane in 0..lanes {
            all.push(Case {
                name: format!("v128.store{bits}_lane {lane}"),
                params: vec![V],
                result: V,
                op: format!(
                    "drop (i32.const 64) (v128.load (i32.const 0)) v128.store{bits}_lane {lane} \
                     (i32.const 60) v128.load"
                ),
                memory: true,
                constant: None,
            });
            all.push(Case {
                name: format!("v128.load{bits}_lane {lane}"),
                params: vec![V, V],
                result: V,
                op: format!(
                    "drop drop (i32.const 5) (v128.load (i32.const 16)) v128.load{bits}_lane {lane}"
                ),
                memory: true,
                constant: None,
            });
        }
    }
    let calls = compare(&all, 20);
    println!("{calls} calls equal");
    assert!(calls > 2_000, "{calls}");
}

#[test]
fn operand_sizes_fit_their_slots() {
    // The memory cases lay operands 16 bytes apart.
    assert!([I32, I64, F32, F64, V].iter().all(|ty| ty.bytes() <= 16));
}

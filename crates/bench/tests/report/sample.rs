//! Results as a run makes them, from seeded random numbers.

use egraft_bench::history::{HistoryEntry, SCHEMA as HISTORY};
use egraft_bench::report::{Inst, KernelCode, Loop, Row, Side, Version};
use egraft_bench::results::{
    EngineInfo, EngineResult, Geomean, KernelResult, Machine, Peaks, Results, SCHEMA, Settings,
};
use egraft_bench::stats::{self, Estimate};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use std::collections::BTreeMap;

/// Name, what it says of itself, its options, mean speed, compile time and code size beside stock.
const ENGINES: [(&str, &str, &str, [f64; 3]); 12] = [
    ("stock", "Wasmtime 48.0.8, Cranelift 0.135.8", "-O speed", [1.0, 1.0, 1.0]),
    ("egraft", "Egraft 0.1.0 in Wasmtime 48.0.8", "effort 2", [1.86, 2.4, 1.12]),
    ("egraft:loops", "Egraft 0.1.0, stage loops", "effort 2", [1.41, 1.7, 1.2]),
    ("base:egraft", "Egraft 0.1.0 with older kernels", "effort 2", [1.72, 2.3, 1.1]),
    ("v8", "V8 14.1 (Node 26.10)", "--no-liftoff", [1.22, 3.1, 0.95]),
    ("llvm", "LLVM 19.1 through wasm2c", "-O3 -march=native", [1.95, 48.0, 1.3]),
    ("winch", "Winch in Wasmtime 48.0.8", "", [0.31, 0.12, 1.9]),
    ("native:x86-64-avx2", "Halide 19, native", "host-no_bounds_query", [2.3, 0.0, 0.8]),
    ("wasmer", "Wasmer 7.1 with Cranelift", "", [0.98, 1.05, 1.0]),
    ("wavm", "WAVM nightly", "-O3", [1.8, 40.0, 1.3]),
    ("sm", "SpiderMonkey 140", "--wasm-compiler=ion", [1.1, 2.2, 0.9]),
    ("interpreter", "Wasmtime's Pulley", "", [0.05, 0.6, 0.4]),
];

const STEMS: [&str; 12] = [
    "blur3x3",
    "conv3x3",
    "matmul",
    "median3x3",
    "resize_bilinear",
    "demosaic",
    "bilateral",
    "fft_radix4",
    "histogram",
    "depthwise3x3",
    "local_equalize",
    "rgb_to_yuv",
];
const TYPES: [&str; 5] = ["u8", "u16", "i16", "f32", "u8i8_i32"];

pub(crate) fn results(kernels: usize, engines: usize) -> Results {
    let mut random = SmallRng::seed_from_u64(7);
    let engines = &ENGINES[..engines];
    let mut found: Vec<KernelResult> =
        (0..kernels).map(|at| kernel(name(at), engines, &mut random)).collect();
    if kernels > 20 {
        found[11].outputs_equal = Some(false);
        found[11].difference = Some("v8: `out` at [3, 17] is 201, and 200 with stock".to_owned());
        if let Some(failing) = found[17].engines.get_mut("egraft:loops") {
            let failure = Some("the process took more than 60 s for a call".to_owned());
            *failing = EngineResult { failure, ..EngineResult::default() };
        }
        found[5].engines.remove("base:egraft");
        found[8].lane_ops = None;
    }
    found.sort_by(|one, other| one.name.cmp(&other.name));
    let info = |(name, about, settings, _): &(&str, &str, &str, _)| EngineInfo {
        name: (*name).to_owned(),
        about: (*about).to_owned(),
        settings: (*settings).to_owned(),
    };
    let geomean = engines.iter().skip(1).map(|(name, ..)| ((*name).to_owned(), mean(name, &found)));
    Results {
        schema: SCHEMA.to_owned(),
        created: 1_795_289_263,
        machine: machine(),
        versions: [("cranelift", "0.135.8"), ("egraft", "0.1.0 (256798e)"), ("wasmtime", "48.0.8")]
            .map(|(name, version)| (name.to_owned(), version.to_owned()))
            .into(),
        settings: Settings {
            processes: 3,
            rounds: 15,
            size: 0,
            effort: 2,
            cpu: "native".to_owned(),
            directory: "bench/kernels".into(),
            base_directory: Some("target/older/kernels".into()),
        },
        engines: engines.iter().map(info).collect(),
        geomean: geomean.collect(),
        kernels: found,
    }
}

fn name(at: usize) -> String {
    let (stem, kind) = (STEMS[at % STEMS.len()], TYPES[at / STEMS.len() % TYPES.len()]);
    match at / (STEMS.len() * TYPES.len()) {
        0 => format!("{stem}_{kind}"),
        more => format!("{stem}_{kind}_{more}"),
    }
}

fn machine() -> Machine {
    Machine {
        arch: "x86_64".to_owned(),
        os: "linux".to_owned(),
        cpu: Some("Example 9500 at 3.4 GHz".to_owned()),
        threads: 8,
        memory_bytes: Some(32 << 30),
        pinned_to: Some(2),
        notes: vec![
            "A virtual machine: other guests may disturb it.".to_owned(),
            "The frequency is not fixed.".to_owned(),
        ],
        peaks: Some(Peaks {
            memory_bytes_per_s: 1.4e10,
            cache_bytes_per_s: 2.1e11,
            ops32_per_s: 7.2e10,
            vector_bits: 256,
        }),
    }
}

type Engine = (&'static str, &'static str, &'static str, [f64; 3]);

fn kernel(name: String, engines: &[Engine], random: &mut SmallRng) -> KernelResult {
    let bytes = 10_f64.powf(random.random_range(4.0..6.5)) as u64;
    let intensity = 10_f64.powf(random.random_range(-0.6..2.0));
    let ops = bytes as f64 * 1.3 * intensity;
    let base_ns = ops / 6.0 + bytes as f64 / 9.0;
    let (compile_ns, code) = (random.random_range(1e6..9e6), random.random_range(2e3..3e4));
    let mut by_name = BTreeMap::new();
    let mut first = None;
    for (engine, _, _, [speed, compile, size]) in engines {
        let speed = if first.is_none() { 1.0 } else { speed * random.random_range(0.6_f64..1.5) };
        let noise = random.random_range(0.002..0.03);
        let sample =
            |random: &mut SmallRng| base_ns / speed * (1.0 + random.random_range(-noise..noise));
        let samples: Vec<Vec<f64>> = vec![(0..12).map(|_| sample(random)).collect()];
        let first = first.get_or_insert_with(|| samples.clone());
        let compiles = *compile > 0.0;
        let result = EngineResult {
            failure: None,
            calls: 20,
            time_ns: stats::time(&samples),
            min_ns: samples[0].iter().copied().min_by(f64::total_cmp),
            instructions: None,
            compile_ns: if compiles { vec![compile_ns * compile; 3] } else { Vec::new() },
            code_bytes: compiles.then_some((code * size) as u64),
            peak_bytes: Some(80 << 20),
            vector_functions: None,
            spread: Some(noise / 2.0),
            outliers: u32::from(noise > 0.025),
            speed: stats::speed(first, &samples),
            samples_ns: samples,
        };
        by_name.insert((*engine).to_owned(), result);
    }
    KernelResult {
        name,
        argument_bytes: [bytes, bytes / 3],
        lane_ops: Some(ops as u64),
        outputs_equal: (engines.len() > 1).then_some(true),
        difference: None,
        engines: by_name,
    }
}

fn mean(engine: &str, kernels: &[KernelResult]) -> Geomean {
    let speeds: Vec<Estimate> =
        kernels.iter().filter_map(|kernel| kernel.engines.get(engine)?.speed).collect();
    let (_, _, _, [_, compile, size]) = ENGINES.iter().find(|(name, ..)| *name == engine).unwrap();
    let compiles = *compile > 0.0;
    Geomean {
        kernels: kernels.iter().filter(|kernel| kernel.engines.contains_key(engine)).count(),
        speed: stats::geomean_of(&speeds).unwrap(),
        compile: compiles.then_some(*compile),
        code: compiles.then_some(*size),
    }
}

/// Runs before `results`, the last one with other speeds, and one on another processor.
pub(crate) fn history(results: &Results) -> Vec<HistoryEntry> {
    let now = HistoryEntry::of(results, "now");
    let mut random = SmallRng::seed_from_u64(9);
    let mut entry = |at: u64| {
        let mut entry = now.clone();
        entry.schema = HISTORY.to_owned();
        entry.created -= (24 - at) * 86_400;
        entry.label = format!("{:07x}", 0x1a2b3c4 + at * 977_777);
        let part = 0.72 + 0.012 * at as f64;
        entry.geomean.iter_mut().for_each(|(_, speed)| {
            *speed = 1.0 + (*speed - 1.0) * part * random.random_range(0.97..1.03);
        });
        for speed in entry.kernels.values_mut().flat_map(BTreeMap::values_mut) {
            *speed *= random.random_range(0.9..1.05);
        }
        entry
    };
    let mut entries: Vec<HistoryEntry> = (0..24).map(&mut entry).collect();
    entries[7].geomean.remove("v8");
    entries[3].cpu = Some("Other 1".to_owned());
    entries
}

/// Code of the first kernels.
pub(crate) fn code(results: &Results, count: usize) -> Vec<KernelCode> {
    results.kernels.iter().take(count).map(|kernel| kernel_code(&kernel.name)).collect()
}

fn kernel_code(kernel: &str) -> KernelCode {
    let inst = |text: &str, tile: &str, cycles: f64| Inst {
        text: text.to_owned(),
        tile: (!tile.is_empty()).then(|| tile.to_owned()),
        cycles,
    };
    let row = |offset, wasm: &str, rules: &[&str], egraft, stock| Row {
        offset,
        wasm: wasm.lines().map(str::to_owned).collect(),
        rules: rules.iter().map(|rule| (*rule).to_owned()).collect(),
        egraft,
        stock,
    };
    let rows = vec![
        row(
            Some(0x2f1),
            "local.get 4\nv128.load offset=16",
            &[],
            vec![inst("vpmovzxbw ymm3, [rdi + rax + 16]", "vpmovzxbw256_load", 1.0)],
            vec![inst("mov r9d, eax", "", 0.25), inst("vmovdqu xmm3, [rdi + r9 + 16]", "", 0.5)],
        ),
        row(
            Some(0x2f9),
            "i16x8.extend_low_i8x16_u",
            &["widen_of_load"],
            vec![],
            vec![inst("vpmovzxbw xmm4, xmm3", "", 1.0)],
        ),
        row(
            Some(0x305),
            "i16x8.add",
            &["pair_lanes"],
            vec![inst("vpaddw ymm2, ymm2, ymm3", "vpaddw256", 0.33)],
            vec![inst("vpaddw xmm2, xmm2, xmm4", "", 0.33)],
        ),
        row(None, "", &[], vec![inst("vzeroupper", "", 0.0)], vec![]),
    ];
    let version = |side, fast, turns, instructions, cycles| Version {
        side,
        fast,
        turns,
        instructions,
        stack: 0,
        cycles,
        predicted: Some(cycles * 1.1),
    };
    KernelCode {
        kernel: kernel.to_owned(),
        function: format!("{kernel}_par_for.s0.y"),
        loops: vec![Loop {
            wasm: Some((0x2e0, 0x3ff)),
            versions: vec![
                version(Side::Egraft, true, Some(2), 21, 9.5),
                version(Side::Egraft, false, None, 30, 14.0),
                version(Side::Stock, false, Some(1), 34, 12.25),
            ],
            rows,
        }],
    }
}

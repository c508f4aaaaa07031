//! What one hardware thread can do at most: bytes and vector operations a second, measured.
//!
//! The loops are plain Rust that the compiler vectorises for AVX2 where the processor has it, as Egraft's
//! code is, else for the architecture's baseline.

use crate::results::Peaks;
use std::hint::black_box;
use std::time::Instant;

/// Bytes of each of the three arrays that lie in main memory: more than any cache has.
const MEMORY_BYTES: usize = 96 << 20;
/// Bytes of each of the three that lie in the first-level cache.
const CACHE_BYTES: usize = 4 << 10;
/// The shortest of this many runs counts.
const RUNS: usize = 7;
/// Independent chains of operations, more than latency times throughput.
const CHAINS: usize = 12;
/// Turns of the loop that computes; each has two operations a chain.
const TURNS: usize = 200_000;

type Vector = [u32; 8];

/// Measures for about half a second.
pub fn peaks() -> Peaks {
    let wide = wide();
    let memory = triad_rate(MEMORY_BYTES, 1, wide);
    let cache = triad_rate(CACHE_BYTES, 20_000, wide);
    let mut state = [[1; 8]; CHAINS];
    let seconds = shortest(|| {
        let [add, xor] = black_box([[3; 8], [5; 8]]);
        match wide {
            // SAFETY: the processor has AVX2.
            #[cfg(target_arch = "x86_64")]
            true => unsafe { compute_avx2(&mut state, add, xor) },
            _ => compute(&mut state, add, xor),
        }
        black_box(&mut state);
    });
    let operations = (CHAINS * size_of::<Vector>() / 4 * 2 * TURNS) as f64;
    Peaks {
        memory_bytes_per_s: memory,
        cache_bytes_per_s: cache,
        ops32_per_s: operations / seconds,
        vector_bits: if wide { 256 } else { 128 },
    }
}

fn wide() -> bool {
    #[cfg(target_arch = "x86_64")]
    return std::arch::is_x86_feature_detected!("avx2");
    #[cfg(not(target_arch = "x86_64"))]
    false
}

/// Seconds of the shortest run.
fn shortest(mut run: impl FnMut()) -> f64 {
    let times = (0..RUNS).map(|_| {
        let start = Instant::now();
        run();
        start.elapsed().as_secs_f64()
    });
    times.fold(f64::INFINITY, f64::min).max(1e-9)
}

/// Bytes a second of sums of two arrays into a third, `repeat` times a run.
fn triad_rate(bytes: usize, repeat: usize, wide: bool) -> f64 {
    let len = bytes / size_of::<Vector>();
    let (a, b) = (vec![[1; 8]; len], vec![[2; 8]; len]);
    let mut c = vec![[0; 8]; len];
    let seconds = shortest(|| {
        for _ in 0..repeat {
            let (a, b) = (black_box(&a), black_box(&b));
            match wide {
                // SAFETY: the processor has AVX2.
                #[cfg(target_arch = "x86_64")]
                true => unsafe { triad_avx2(a, b, &mut c) },
                _ => triad(a, b, &mut c),
            }
            black_box(&mut c);
        }
    });
    (3 * bytes * repeat) as f64 / seconds
}

#[inline(always)]
fn triad(a: &[Vector], b: &[Vector], c: &mut [Vector]) {
    for ((a, b), c) in a.iter().zip(b).zip(c) {
        for lane in 0..8 {
            c[lane] = a[lane].wrapping_add(b[lane]);
        }
    }
}

#[inline(always)]
fn compute(state: &mut [Vector; CHAINS], add: Vector, xor: Vector) {
    let mut chains = *state;
    for _ in 0..TURNS {
        for chain in &mut chains {
            for lane in 0..8 {
                // Two different operations, so that no closed form replaces the loop.
                chain[lane] = chain[lane].wrapping_add(add[lane]) ^ xor[lane];
            }
        }
    }
    *state = chains;
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn triad_avx2(a: &[Vector], b: &[Vector], c: &mut [Vector]) {
    triad(a, b, c);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn compute_avx2(state: &mut [Vector; CHAINS], add: Vector, xor: Vector) {
    compute(state, add, xor);
}

//! Two drivers side by side: functions are matched on both, and come out as on the CPU. The second is SwiftShader, as
//! chromium brings it.
//!
//! Where there are not both, this is skipped, and says so.

use egraft_egraph::Saturator;
use egraft_egraph::bulk::{BulkEnd, BulkLimits};
use egraft_gpu::{GPU, Gpu, GpuSaturation, Room, Status, status};
use egraft_saturation::{Bounds, Workload, load, run_own};
use egraft_testkit::filetest;
use rayon::prelude::*;
use std::path::Path;
use std::process::Command;

const SECOND: &str = "/usr/lib/chromium/vk_swiftshader_icd.json";
const INSIDE: &str = "EGRAFT_TEST_TWO_DRIVERS";

/// Runs a test of this file with both drivers; drivers are looked for when a process begins.
fn with_both(test: &str) {
    if !Path::new(SECOND).exists() {
        eprintln!("skipped: there is no {SECOND}");
        return;
    }
    let ran = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--ignored", "--nocapture"])
        .envs([("VK_ADD_DRIVER_FILES", SECOND), (INSIDE, "1")])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ran.stdout);
    assert!(ran.status.success(), "{said}{}", String::from_utf8_lossy(&ran.stderr));
    assert!(said.contains("1 passed"), "{said}");
    print!("{said}");
}

/// Whether this is the process with both drivers and finds them.
fn has_both() -> bool {
    let has = std::env::var_os(INSIDE).is_some() && Gpu::adapters().len() > 1;
    if !has {
        println!("skipped: adapters are {:?}", Gpu::adapters());
    }
    has
}

#[test]
fn functions_are_matched_on_two_adapters() {
    with_both("two_adapters_at_once");
}

#[test]
#[ignore = "needs two drivers; `functions_are_matched_on_two_adapters` runs it"]
fn two_adapters_at_once() {
    if !has_both() {
        return;
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../filetests");
    let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
    pool.install(|| {
        filetest::files(&folder).unwrap().par_iter().for_each(|file| {
            let [cpu, gpu] = [Saturator::CPU, GPU]
                .map(|saturator| filetest::saturated(file, saturator).unwrap());
            assert_eq!(cpu, gpu, "{}", file.display());
        });
    });
    let Status::Used(adapters) = status() else { panic!("{:?}", status()) };
    println!("{adapters:?}");
    assert_eq!(adapters.len(), 2, "{adapters:?}");
}

#[test]
fn saturation_ends_alike_on_two_adapters() {
    with_both("each_adapter_saturates");
}

#[test]
#[ignore = "needs two drivers; `saturation_ends_alike_on_two_adapters` runs it"]
fn each_adapter_saturates() {
    if !has_both() {
        return;
    }
    let workload = Workload::forest(40, 1);
    let (_, graph, _) = run_own(&workload, Bounds::default());
    for name in Gpu::adapters() {
        let gpu = Gpu::open(Some(&name)).unwrap();
        let mut by_gpu = load(&workload);
        let run = GpuSaturation::new(&gpu, &mut by_gpu, &[&workload.rules], Room::default())
            .unwrap()
            .checked()
            .saturate(BulkLimits::default())
            .unwrap();
        assert_eq!((run.breaches, run.end), (0, Some(BulkEnd::Saturated)), "{name}");
        assert!(by_gpu.shape() == graph.shape(), "{name}");
        println!("{name}: {run:?}");
    }
}

//! Every function of the filetests comes out of saturation on the GPU as it does on the CPU, counts included.

mod common;

use egraft_egraph::Saturator;
use egraft_gpu::{GPU, Status, status};
use egraft_testkit::filetest;
use std::path::Path;

#[test]
fn filetests_end_alike() {
    if common::open().is_none() {
        return;
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../filetests");
    let mut functions = 0;
    for file in filetest::files(&folder).unwrap() {
        let [cpu, gpu] =
            [Saturator::CPU, GPU].map(|saturator| filetest::saturated(&file, saturator).unwrap());
        assert_eq!(cpu.len(), gpu.len());
        for (at, (cpu, gpu)) in cpu.iter().zip(&gpu).enumerate() {
            assert_eq!(cpu, gpu, "{}, function {at}", file.display());
        }
        functions += cpu.len();
    }
    assert!(matches!(status(), Status::Used(_)), "{:?}", status());
    println!("{functions} functions");
    assert!(functions > 500);
}

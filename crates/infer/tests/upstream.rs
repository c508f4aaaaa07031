//! The goals made of Cranelift's mid-end rules are what its source says.

use egraft_infer::upstream::translate;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The platform of the compiler that builds this.
fn host() -> String {
    let out = Command::new("rustc").arg("-vV").output().unwrap();
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    let line = text.lines().find_map(|line| line.strip_prefix("host: "));
    line.expect("`rustc -vV` names its host").to_owned()
}

/// The `src` folder of the Cranelift that this workspace builds.
fn cranelift() -> PathBuf {
    // Packages of other platforms need not be there.
    let out = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version=1", "--offline", "--filter-platform", &host()])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    let metadata: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap_or_else(|error| {
        panic!("cargo metadata: {error}: {}", String::from_utf8_lossy(&out.stderr))
    });
    let packages = metadata["packages"].as_array().unwrap();
    let package = packages.iter().find(|package| package["name"] == "cranelift-codegen").unwrap();
    Path::new(package["manifest_path"].as_str().unwrap()).with_file_name("src")
}

#[test]
fn the_goals_are_upstreams_rules() {
    let made = translate(&cranelift()).unwrap_or_else(|error| panic!("{error}"));
    let refused: usize = made.refused.values().map(Vec::len).sum();
    println!("{} rules, {refused} of them not translated:", made.total);
    for (reason, places) in &made.refused {
        println!("{:5} {reason}: {}", places.len(), places.join(" "));
    }
    assert!(made.total > 1000 && refused < made.total / 2, "{} of {}", refused, made.total);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../isle-rules/goals");
    for (file, text) in
        [("upstream_vector.isle", made.vector), ("upstream_integer.isle", made.integer)]
    {
        let path = folder.join(file);
        if std::env::var_os("EGRAFT_BLESS").is_some_and(|value| value == "1") {
            std::fs::write(&path, &text).unwrap();
        }
        let kept = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(kept == text, "{file} is out of date; EGRAFT_BLESS=1 cargo test makes it again");
    }
}

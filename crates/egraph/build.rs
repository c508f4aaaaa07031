//! Compiles the rules of `isle-rules/rewrite` to the matcher of this crate.

use std::path::Path;

fn main() {
    let package = std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets CARGO_MANIFEST_DIR");
    let folder = Path::new(&package).join("../../isle-rules/rewrite");
    println!("cargo::rerun-if-changed={}", folder.display());
    let rules = match egraft_rules::RuleSet::from_folder(&folder) {
        Ok(rules) => rules,
        Err(errors) => {
            eprintln!("{errors}");
            std::process::exit(1);
        }
    };
    let out = std::env::var_os("OUT_DIR").expect("cargo sets OUT_DIR");
    let text = egraft_rules::compile_to_rust(&rules);
    std::fs::write(Path::new(&out).join("rewrite_rules.rs"), text).expect("OUT_DIR is writable");
    let sources = match egraft_rules::Source::in_folder(&folder) {
        Ok(sources) => sources,
        Err(error) => {
            eprintln!("{error}");
            std::process::exit(1);
        }
    };
    let texts: Vec<(String, String)> = sources
        .into_iter()
        .map(|source| (source.name, String::from_utf8_lossy(&source.bytes).into_owned()))
        .collect();
    let text = format!("&{texts:?}");
    std::fs::write(Path::new(&out).join("rewrite_sources.rs"), text).expect("OUT_DIR is writable");
}

//! Input that nobody would write in good faith: arbitrary bytes to every reader of Egraft. A check
//! passes if nothing panics and every refusal says something.

use egraft_kernels::Kernel;
use egraft_rules::{RuleSet, Source};
use std::path::Path;
use wasmtime::Config;

/// Feeds `bytes` to the compiler as a module.
///
/// # Panics
/// If an error has no text, or Egraft accepts what stock Wasmtime refuses.
pub fn wasm(bytes: &[u8]) {
    let config = Config::new();
    let compiled = egraft::compile(&config, &egraft::Options::default(), bytes);
    if let Err(error) = &compiled {
        assert!(!error.to_string().is_empty());
    }
    let engine = wasmtime::Engine::new(&config).expect("the default configuration is valid");
    let stock = engine.precompile_module(bytes);
    assert_eq!(compiled.is_ok(), stock.is_ok(), "{:?} {:?}", compiled.err(), stock.err());
}

/// Feeds `bytes` to the rule loader.
///
/// # Panics
/// If an error has no text.
pub fn isle(bytes: &[u8]) {
    let source = Source { name: "fuzz.isle".to_owned(), bytes: bytes.to_vec() };
    if let Err(errors) = RuleSet::parse(&[source]) {
        assert!(!errors.0.is_empty());
        assert!(errors.0.iter().all(|error| !error.to_string().is_empty()));
    }
}

/// Feeds `bytes` to the reader of kernel descriptors.
///
/// # Panics
/// If an error has no text.
pub fn descriptor(bytes: &[u8]) {
    if let Err(error) = Kernel::parse(Path::new("fuzz.json"), bytes) {
        assert!(error.to_string().contains("fuzz.json"), "{error}");
    }
}

//! Infers lowering rules of one target and writes rule files, a table and proofs.
//!
//!     cargo run -p egraft-infer --release --example lowering -- --target x64 --out DIR
//!
//! Below DIR: `isle-rules/inferred/lower/*.isle`, `isle-rules/proofs.txt` and
//! `docs/lowering-TARGET.md`. Proofs that are there are kept and not asked for again.

use egraft_infer::lowering::{self, Bounds};
use egraft_ir::machine::Target;
use egraft_rules::{RuleSet, Source};
use egraft_verify::ProofCache;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const USAGE: &str = "usage: lowering --target x64|aarch64 --out DIR [--sifting-seconds N]";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (mut target, mut out, mut sifting) = (None, None, 3_600);
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match (arg.as_str(), args.next().as_deref()) {
            ("--target", Some("x64")) => target = Some(Target::X64),
            ("--target", Some("aarch64")) => target = Some(Target::A64),
            ("--sifting-seconds", Some(seconds)) => sifting = seconds.parse()?,
            ("--out", Some(folder)) => out = Some(PathBuf::from(folder)),
            _ => return Err(USAGE.into()),
        }
    }
    let (Some(target), Some(out)) = (target, out) else { return Err(USAGE.into()) };
    // What follows from what is decided by all rewrite rules that there are.
    let isle_rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../isle-rules");
    let mut sources = Vec::new();
    for folder in ["rewrite", "library", "inferred/rewrite"] {
        sources.extend(Source::in_folder(&isle_rules.join(folder))?);
    }
    let rewrites = RuleSet::parse(&sources)?;
    let proofs_file = out.join("isle-rules/proofs.txt");
    let mut proofs = ProofCache::read(&proofs_file)?;
    let bounds = Bounds { timeout_ms: 4_000, sifting: Duration::from_secs(sifting) };
    let start = Instant::now();
    let progress = |text: &str| eprintln!("{:7.1} s  {text}", start.elapsed().as_secs_f64());
    let inferred = lowering::infer(target, &rewrites, &proofs, &bounds, &progress)?;
    let rules = out.join("isle-rules/inferred/lower");
    std::fs::create_dir_all(&rules)?;
    std::fs::create_dir_all(out.join("docs"))?;
    let name = if target == Target::X64 { "x64" } else { "aarch64" };
    for entry in std::fs::read_dir(&rules)? {
        let path = entry?.path();
        let ours = path
            .file_name()
            .is_some_and(|file| file.to_string_lossy().starts_with(&format!("{name}_")));
        if ours {
            std::fs::remove_file(path)?;
        }
    }
    for (file, text) in lowering::files(target, &inferred) {
        std::fs::write(rules.join(file), text)?;
    }
    let table = lowering::table(target, &inferred);
    std::fs::write(out.join(format!("docs/lowering-{name}.md")), table)?;
    proofs.extend(inferred.proofs);
    proofs.write(&proofs_file)?;
    progress(&format!("{:?}", inferred.counts));
    Ok(())
}

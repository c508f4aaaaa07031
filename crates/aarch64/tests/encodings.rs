//! Encodings against binutils, for every op and immediate.
//!
//! Skipped, with a line that says so, where binutils are missing, or failed if `EGRAFT_CROSS=required`. `EGRAFT_BLESS=1`
//! writes the table anew.

use egraft_aarch64::encode::{Form, word};
use egraft_ir::machine::MachineOp;
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

const NATIVE: bool = cfg!(target_arch = "aarch64");
const ASSEMBLER: &str = if NATIVE { "as" } else { "aarch64-linux-gnu-as" };
const OBJCOPY: &str = if NATIVE { "objcopy" } else { "aarch64-linux-gnu-objcopy" };

fn assembled(lines: &[String]) -> Option<Vec<u32>> {
    let path = |name: &str| Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let (source, object, binary) = (path("forms.s"), path("forms.o"), path("forms.bin"));
    let text = format!(".arch armv8.6-a+sha3\n.text\n{}\n", lines.join("\n"));
    std::fs::write(&source, text).expect("the target folder is writable");
    for command in [
        Command::new(ASSEMBLER).arg("-o").arg(&object).arg(&source),
        Command::new(OBJCOPY).args(["-O", "binary", "-j", ".text"]).arg(&object).arg(&binary),
    ] {
        let output = command.output().ok()?;
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    let bytes = std::fs::read(&binary).expect("objcopy wrote it");
    Some(bytes.chunks_exact(4).map(|word| u32::from_le_bytes(word.try_into().unwrap())).collect())
}

/// Bits of the registers that [`MachineOp::assembly`] writes: Rn is 1, Rm is 2.
const fn registers(form: Form) -> u32 {
    match form {
        Form::One | Form::IntoOne => 1 << 5,
        Form::Two | Form::IntoTwo => 1 << 5 | 2 << 16,
    }
}

#[test]
fn every_form_is_as_binutils_encode_it() {
    let forms: Vec<(MachineOp, Form)> =
        MachineOp::all().filter_map(|op| Some((op, Form::of(op)?))).collect();
    let imms = |op: MachineOp| op.imm_range().unwrap_or(0..=0);
    let lines: Vec<String> =
        forms.iter().flat_map(|(op, _)| imms(*op).map(|imm| op.assembly(imm))).collect();
    let Some(words) = assembled(&lines) else {
        let skipped = "encodings were NOT compared, for want of binutils; scripts/setup --cross installs them";
        assert!(std::env::var("EGRAFT_CROSS").is_err(), "{skipped}");
        println!("SKIPPED: {skipped}");
        return;
    };
    assert_eq!(words.len(), lines.len());
    if std::env::var("EGRAFT_BLESS").is_ok() {
        bless(&forms, &words);
        return;
    }
    let mut at = 0;
    for (op, form) in &forms {
        for imm in imms(*op) {
            let own = word(*op, imm).unwrap_or_else(|| panic!("{op} {imm} has no encoding"));
            assert_eq!(own | registers(*form), words[at], "{}", lines[at]);
            at += 1;
        }
    }
    assert!(forms.len() > 300 && at > 2500, "{} forms, {at} encodings", forms.len());
}

fn bless(forms: &[(MachineOp, Form)], words: &[u32]) {
    let mut table = String::new();
    let mut at = 0;
    for (op, form) in forms {
        let count = op.imm_range().map_or(1, |range| range.count());
        let step = if count > 1 { words[at + 1].wrapping_sub(words[at]) } else { 0 };
        let _ = writeln!(table, "{op} {:08x} {step:08x}", words[at] & !registers(*form));
        at += count;
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/encodings.txt");
    std::fs::write(path, table).expect("the table is writable");
}

//! Calls one export with arguments from the command line and prints its results.

use crate::args::RunArgs;
use crate::output::{Coded, EXIT_TRAP, line};
use crate::wasi;
use anyhow::{Result, bail};
use std::path::Path;
use std::process::ExitCode;
use wasmtime::{ExternType, Func, Module, Val, ValType};

pub(crate) fn call(
    module: &Module,
    file: &Path,
    export: &str,
    arguments: &[String],
    args: &RunArgs,
) -> Result<ExitCode> {
    let shown = file.display();
    let ty = match module.get_export(export) {
        Some(ExternType::Func(ty)) => ty,
        Some(_) => bail!("{shown}: the export `{export}` is not a function"),
        None => {
            let mut names: Vec<&str> = module
                .exports()
                .filter(|export| matches!(export.ty(), ExternType::Func(_)))
                .map(|export| export.name())
                .take(20)
                .collect();
            if names.is_empty() {
                names.push("none");
            }
            bail!("{shown}: no export `{export}`; functions exported: {}", names.join(", "));
        }
    };
    if ty.params().len() != arguments.len() {
        bail!(
            "{shown}: `{export}` takes {} arguments, {} given",
            ty.params().len(),
            arguments.len()
        );
    }
    let values: Vec<Val> = ty
        .params()
        .zip(arguments)
        .enumerate()
        .map(|(at, (ty, text))| {
            parse(&ty, text).ok_or_else(|| {
                anyhow::anyhow!("{shown}: argument {} of `{export}`: {text:?} is no {ty}", at + 1)
            })
        })
        .collect::<Result<_>>()?;
    let (mut store, instance) = wasi::instantiate(module, file, args)?;
    let func: Func = instance
        .get_func(&mut store, export)
        .ok_or_else(|| anyhow::anyhow!("{shown}: the export `{export}` vanished"))?;
    let mut results = vec![Val::I32(0); ty.results().len()];
    if let Err(error) = func.call(&mut store, &values, &mut results) {
        if let Some(code) = wasi::exit_code(&error) {
            return Ok(code);
        }
        return Err(Coded {
            code: EXIT_TRAP,
            text: format!("{shown}: `{export}` failed: {error:#}"),
        }
        .into());
    }
    for result in &results {
        line(show(result))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Integers in decimal (signed or not) or with 0x, floats as Rust reads them, vectors with 0x.
fn parse(ty: &ValType, text: &str) -> Option<Val> {
    let hex = |text: &str| u128::from_str_radix(text.strip_prefix("0x")?, 16).ok();
    Some(match ty {
        ValType::I32 => Val::I32(match hex(text) {
            Some(bits) => u32::try_from(bits).ok()? as i32,
            None => text.parse::<i32>().ok().or_else(|| Some(text.parse::<u32>().ok()? as i32))?,
        }),
        ValType::I64 => Val::I64(match hex(text) {
            Some(bits) => u64::try_from(bits).ok()? as i64,
            None => text.parse::<i64>().ok().or_else(|| Some(text.parse::<u64>().ok()? as i64))?,
        }),
        ValType::F32 => Val::F32(text.parse::<f32>().ok()?.to_bits()),
        ValType::F64 => Val::F64(text.parse::<f64>().ok()?.to_bits()),
        ValType::V128 => Val::V128(hex(text)?.into()),
        ValType::Ref(_) => return None,
    })
}

fn show(value: &Val) -> String {
    match value {
        Val::I32(value) => value.to_string(),
        Val::I64(value) => value.to_string(),
        Val::F32(bits) => f32::from_bits(*bits).to_string(),
        Val::F64(bits) => f64::from_bits(*bits).to_string(),
        Val::V128(value) => format!("{:#034x}", value.as_u128()),
        _ => "(reference)".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(ty: ValType, text: &str) -> Option<String> {
        parse(&ty, text).map(|value| show(&value))
    }

    #[test]
    fn values_are_read_and_shown() {
        assert_eq!(round(ValType::I32, "-1").as_deref(), Some("-1"));
        assert_eq!(round(ValType::I32, "4294967295").as_deref(), Some("-1"));
        assert_eq!(round(ValType::I32, "0xffffffff").as_deref(), Some("-1"));
        assert_eq!(round(ValType::I32, "4294967296"), None);
        assert_eq!(round(ValType::I64, "0x8000000000000000").unwrap(), i64::MIN.to_string());
        assert_eq!(round(ValType::F32, "0.5").as_deref(), Some("0.5"));
        assert_eq!(round(ValType::F64, "nan").as_deref(), Some("NaN"));
        assert_eq!(round(ValType::F64, "1,5"), None);
        assert_eq!(round(ValType::V128, "0x1").unwrap(), format!("0x{}1", "0".repeat(31)));
        assert_eq!(round(ValType::V128, "1"), None);
        assert_eq!(round(ValType::EXTERNREF, "1"), None);
    }
}

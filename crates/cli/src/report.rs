//! `egraft bench report`: a result as a page for a browser.

use crate::args::ReportArgs;
use crate::explain::hot_loops;
use crate::output::{self, line};
use anyhow::Result;
use egraft_bench::{Results, history, report};
use egraft_kernels::Kernel;
use std::process::ExitCode;

pub(crate) fn report(args: &ReportArgs) -> Result<ExitCode> {
    let output = args.output.clone().unwrap_or_else(|| args.result.with_extension("html"));
    output::check_writable(&output)?;
    let results = Results::read(&args.result)?;
    let history = match &args.history {
        Some(path) => history::read(path)?,
        None => Vec::new(),
    };
    let code = match args.no_code {
        true => Vec::new(),
        false => code(args, &results),
    };
    let contents = report::Contents { results: &results, history: &history, code: &code };
    output::write_file(&output, report::html(&contents)?.as_bytes())?;
    line(format_args!("{} written", output.display()))?;
    Ok(ExitCode::SUCCESS)
}

/// Hot loops of the kernels, as far as their modules are there; of others, standard error says why not.
fn code(args: &ReportArgs, results: &Results) -> Vec<report::KernelCode> {
    let folder = args.kernels.as_ref().unwrap_or(&results.settings.directory);
    let bar = output::progress(results.kernels.len() as u64, "listing code");
    let mut code = Vec::new();
    let mut missing = Vec::new();
    for kernel in &results.kernels {
        bar.set_message(kernel.name.clone());
        let descriptor = folder.join(format!("{}.json", kernel.name));
        let found = Kernel::read(&descriptor).map_err(anyhow::Error::new);
        match found.and_then(|kernel| hot_loops(&kernel, &args.code)) {
            Ok(found) => code.extend(found),
            Err(error) => missing.push(error),
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    if let [first, ..] = &missing[..] {
        output::warn(format_args!(
            "no code of {} kernels is shown: {first:#}; --kernels DIR names their folder, --no-code \
             leaves code out",
            missing.len()
        ));
    }
    code
}

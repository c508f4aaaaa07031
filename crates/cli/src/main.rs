//! The `egraft` command: reads arguments and files, calls the libraries, prints.
//!
//! Invariant: every failure ends in one line on standard error that names the file, and an exit code
//! from `output`; an output file is either whole or absent.

mod args;
mod bench;
mod calibrate;
mod compare;
mod compile;
mod derive;
mod egraph;
mod emit;
mod engine;
mod explain;
mod infer;
mod input;
mod inspect;
mod invoke;
mod kernel;
mod measure;
mod output;
mod report;
mod rules;
mod run;
mod saturation;
mod validate;
mod verify;
mod wasi;

use args::{Cli, Command};
use clap::{CommandFactory, Parser};
use std::io::Write;
use std::process::ExitCode;

// Capture is most of the compile time otherwise.
egraft::tap_writes!();

fn main() -> ExitCode {
    let cli = Cli::parse();
    let result = match cli.command {
        Command::Compile(args) => compile::compile(&args),
        Command::Run(args) => run::run(&args),
        Command::Inspect(args) => inspect::inspect(&args),
        Command::Explain(args) => explain::explain(&args),
        Command::Rules(args) => rules::rules(&args.command),
        Command::Verify(args) => match &args.command {
            Some(args::VerifyCommand::Rules(rules)) => verify::rules(rules),
            None => validate::validate(&args),
        },
        Command::Infer(args) => infer::infer(&args.command),
        Command::Bench(args) => bench::bench(&args),
        Command::Egraph(args) => egraph::egraph(&args.command),
        Command::Engine(args) => engine::engine(&args),
        Command::Completions { shell } => completions(shell),
        Command::Man { directory } => man(directory.as_deref()),
    };
    match result {
        Ok(code) => code,
        Err(error) => output::report(&error),
    }
}

fn completions(shell: clap_complete::Shell) -> anyhow::Result<ExitCode> {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "egraft", &mut text);
    std::io::stdout().write_all(&text)?;
    Ok(ExitCode::SUCCESS)
}

/// One page for the command on standard output, or one page per subcommand in `directory`.
fn man(directory: Option<&std::path::Path>) -> anyhow::Result<ExitCode> {
    let command = Cli::command();
    let Some(directory) = directory else {
        clap_mangen::Man::new(command).render(&mut std::io::stdout())?;
        return Ok(ExitCode::SUCCESS);
    };
    let made = tempfile::tempdir()?;
    clap_mangen::generate_to(command, made.path())?;
    for page in std::fs::read_dir(made.path())? {
        let page = page?;
        output::write_file(&directory.join(page.file_name()), &std::fs::read(page.path())?)?;
    }
    Ok(ExitCode::SUCCESS)
}

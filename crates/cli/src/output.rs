//! Exit codes, errors on standard error, and files that appear whole or not at all.

use anyhow::{Context, Result};
use egraft_kernels::{folder_of, write_whole};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::fmt;
use std::io::{IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

/// An input is bad, or a file cannot be read or written.
pub(crate) const EXIT_ERROR: u8 = 1;
/// Outputs of the engines differ.
pub(crate) const EXIT_DIFFERENT: u8 = 3;
/// A program trapped, or a kernel returned an error.
pub(crate) const EXIT_TRAP: u8 = 4;
/// Something became slower.
pub(crate) const EXIT_REGRESSED: u8 = 5;

/// An error with an exit code of its own.
#[derive(Debug)]
pub(crate) struct Coded {
    pub(crate) code: u8,
    pub(crate) text: String,
}

impl fmt::Display for Coded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Coded {}

/// Prints `error` and gives the exit code that belongs to it.
pub(crate) fn report(error: &anyhow::Error) -> ExitCode {
    // Output cut off by `head` is no failure worth a message.
    if error.chain().any(|cause| {
        cause
            .downcast_ref::<std::io::Error>()
            .is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
    }) {
        return ExitCode::SUCCESS;
    }
    let red = anstyle::AnsiColor::Red.on_default().bold();
    anstream::eprintln!("{red}error:{red:#} {error:#}");
    let code =
        error.chain().find_map(|cause| cause.downcast_ref::<Coded>()).map(|coded| coded.code);
    ExitCode::from(code.unwrap_or(EXIT_ERROR))
}

/// Says on standard error what the user should know though nothing failed.
pub(crate) fn warn(text: impl fmt::Display) {
    let yellow = anstyle::AnsiColor::Yellow.on_default().bold();
    anstream::eprintln!("{yellow}warning:{yellow:#} {text}");
}

/// Prints a line; a closed pipe is an error that [`report`] passes over.
pub(crate) fn line(text: impl fmt::Display) -> Result<()> {
    Ok(writeln!(anstream::stdout(), "{text}")?)
}

/// Prints `value` as indented JSON.
pub(crate) fn json(value: &impl serde::Serialize) -> Result<()> {
    line(serde_json::to_string_pretty(value)?)
}

/// Refuses early what [`write_file`] could not write after long work.
pub(crate) fn check_writable(path: &Path) -> Result<()> {
    let folder = folder_of(path);
    if path.is_dir() || path.file_name().is_none() {
        anyhow::bail!("cannot write {}: it is a folder", path.display());
    }
    if !folder.is_dir() {
        anyhow::bail!("cannot write {}: there is no folder {}", path.display(), folder.display());
    }
    Ok(())
}

/// Writes a file whole, or leaves it as it was.
pub(crate) fn write_file(path: &Path, bytes: &[u8]) -> Result<()> {
    write_whole(path, bytes).with_context(|| format!("cannot write {}", path.display()))
}

/// A progress bar that shows itself after a second, and on terminals only.
pub(crate) fn progress(total: u64, what: &'static str) -> ProgressBar {
    let style = ProgressStyle::with_template("{prefix} [{bar:30}] {pos}/{len} {msg}");
    let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::hidden());
    show_late(bar, style, what)
}

/// As [`progress`], for work of unknown length.
pub(crate) fn spinner(what: &'static str) -> ProgressBar {
    let style = ProgressStyle::with_template("{spinner} {prefix} {elapsed}");
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
    bar.enable_steady_tick(Duration::from_millis(200));
    show_late(bar, style, what)
}

fn show_late(
    bar: ProgressBar,
    style: Result<ProgressStyle, indicatif::style::TemplateError>,
    what: &'static str,
) -> ProgressBar {
    if let Ok(style) = style {
        bar.set_style(style);
    }
    bar.set_prefix(what);
    if std::io::stderr().is_terminal() {
        let late = bar.downgrade();
        std::thread::spawn(move || {
            std::thread::sleep(Duration::from_secs(1));
            if let Some(bar) = late.upgrade().filter(|bar| !bar.is_finished()) {
                bar.set_draw_target(ProgressDrawTarget::stderr());
            }
        });
    }
    bar
}

/// A table whose columns are as wide as their longest cell; numbers stand right.
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
    right: Vec<bool>,
}

impl Table {
    /// A table with these headings; a heading that starts with `>` has its column stand right.
    pub(crate) fn new(headings: &[&str]) -> Table {
        let right = headings.iter().map(|heading| heading.starts_with('>')).collect();
        let first = headings.iter().map(|text| text.trim_start_matches('>').to_owned()).collect();
        Table { rows: vec![first], right }
    }

    pub(crate) fn row(&mut self, cells: Vec<String>) {
        // Names come from modules; control characters could reach the terminal.
        let clean =
            |cell: String| cell.chars().map(|c| if c.is_control() { '?' } else { c }).collect();
        self.rows.push(cells.into_iter().map(clean).collect());
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns = self.right.len();
        let width = |column: usize| {
            self.rows
                .iter()
                .filter_map(|row| row.get(column))
                .map(|cell| cell.chars().count())
                .max()
        };
        let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
        let bold = anstyle::Style::new().bold();
        for (at, row) in self.rows.iter().enumerate() {
            let mut text = String::new();
            for (column, cell) in row.iter().enumerate() {
                if column > 0 {
                    text.push_str("  ");
                }
                let pad = " ".repeat(widths[column].saturating_sub(cell.chars().count()));
                match self.right[column] {
                    true => text.extend([pad.as_str(), cell]),
                    false => text.extend([cell, pad.as_str()]),
                }
            }
            let text = text.trim_end();
            match at {
                0 => write!(f, "{bold}{text}{bold:#}")?,
                _ => write!(f, "\n{text}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_written_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out");
        write_file(&path, b"first").unwrap();
        write_file(&path, b"second").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"second");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        assert!(write_file(folder.path(), b"x").is_err());
        assert!(write_file(&folder.path().join("no/such/out"), b"x").is_err());
    }

    #[test]
    fn tables_align_and_drop_control_characters() {
        let mut table = Table::new(&["name", ">n"]);
        table.row(vec!["a\x1b[31m".into(), "10".into()]);
        table.row(vec!["longer name".into(), "7".into()]);
        let text = anstream::adapter::strip_str(&table.to_string()).to_string();
        assert_eq!(text, "name          n\na?[31m       10\nlonger name   7");
    }
}

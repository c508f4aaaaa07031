//! A result as one HTML file for a browser: summary, table of kernels, plots, history, code.
//!
//! The file refers to nothing outside itself, and its policy forbids it to. It can be read without
//! JavaScript, which only sorts, filters and switches between light and dark. Text of results is
//! escaped by the templates; only what this module makes is not.

mod code;
mod format;
mod plot;
mod roofline;
mod scale;
mod strips;
mod summary;
mod table;
mod trend;
mod view;

pub use code::{Inst, KernelCode, Loop, Row, Side, Version};

use crate::history::HistoryEntry;
use crate::results::Results;
use base64::Engine as _;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest, Sha256};
use view::View;

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// Why a report could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReportError {
    /// A plot could not be drawn.
    #[error("the plot {plot:?} cannot be drawn: {error}")]
    Plot {
        /// Its title.
        plot: String,
        /// What `plotters` says.
        error: String,
    },
}

/// What a report is made of.
#[derive(Debug, Clone, Copy)]
pub struct Contents<'a> {
    /// The result.
    pub results: &'a Results,
    /// Earlier runs, in any order. Those on other processors are left out.
    pub history: &'a [HistoryEntry],
    /// Hot loops of kernels.
    pub code: &'a [KernelCode],
}

/// A part of the page.
struct Section {
    id: &'static str,
    title: &'static str,
    body: Markup,
}

/// The report as a file's text.
///
/// # Errors
/// [`ReportError`] if a plot cannot be drawn.
pub fn html(contents: &Contents<'_>) -> Result<String, ReportError> {
    let view = View::new(contents.results);
    let mut sections = vec![
        Section { id: "engines", title: "Engines", body: summary::engines(&view) },
        Section { id: "kernels-section", title: "Kernels", body: table::section(&view) },
        Section { id: "roofline", title: "Roofline", body: roofline::section(&view)? },
        Section { id: "compile", title: "Compile time", body: strips::compile_times(&view)? },
        Section { id: "size", title: "Code size", body: strips::code_sizes(&view)? },
    ];
    if !contents.history.is_empty() {
        let body = trend::section(&view, contents.history)?;
        sections.push(Section { id: "history", title: "History", body });
    }
    if !contents.code.is_empty() {
        sections.push(Section { id: "code", title: "Code", body: code::section(contents.code) });
    }
    sections.push(Section {
        id: "setting",
        title: "Machine and settings",
        body: summary::setting(&view),
    });
    Ok(page(&view, &sections).into_string())
}

fn page(view: &View<'_>, sections: &[Section]) -> Markup {
    let style = format!("{STYLE}{}", view::style(&view.engines));
    let policy = format!(
        "default-src 'none'; style-src '{}'; script-src '{}'; base-uri 'none'; form-action 'none'",
        hash(&style),
        hash(SCRIPT)
    );
    let results = view.results;
    let cpu = results.machine.cpu.as_deref().unwrap_or(&results.machine.arch);
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(policy);
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { "Egraft benchmark, " (format::date(results.created)) }
                style { (PreEscaped(style)) }
            }
            body {
                a.skip href="#content" { "Skip to the results" }
                header {
                    div.top {
                        div {
                            h1 { "Egraft benchmark" }
                            p.quiet { (format::date(results.created)) " · " (cpu) }
                        }
                        button #theme type="button" hidden { "Dark" }
                    }
                    nav aria-label="Sections" {
                        ul {
                            @for section in sections {
                                li { a href={ "#" (section.id) } { (section.title) } }
                            }
                        }
                    }
                }
                main #content tabindex="-1" {
                    (summary::figures(view))
                    @if view.engines.len() > 1 { (view::chooser(&view.engines)) }
                    @for section in sections {
                        section id=(section.id) aria-labelledby={ (section.id) "-title" } {
                            h2 id={ (section.id) "-title" } { (section.title) }
                            (section.body)
                        }
                    }
                }
                script { (PreEscaped(SCRIPT)) }
            }
        }
    }
}

/// A text's hash, as a Content Security Policy names it.
fn hash(text: &str) -> String {
    let digest = Sha256::digest(text.as_bytes());
    format!("sha256-{}", base64::engine::general_purpose::STANDARD.encode(digest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_escaped_cannot_end_its_element() {
        assert!(!STYLE.contains("</") && !SCRIPT.contains("</") && !SCRIPT.contains("<!--"));
    }

    #[test]
    fn hashes_are_those_of_the_standard() {
        // Source: FIPS 180-2, the hash of no bytes.
        assert_eq!(hash(""), "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
    }
}

//! The report as a reader gets it: its text, and the page in a browser.

mod browser;
mod page;
mod sample;
mod text;

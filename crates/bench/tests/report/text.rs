//! What the report says, without a browser: whatever is missing, and whatever is written in it.

use crate::sample;
use egraft_bench::report::{Contents, html};
use egraft_bench::results::{EngineResult, Results};
use egraft_bench::stats::Estimate;

fn page(results: &Results) -> String {
    html(&Contents { results, history: &[], code: &[] }).unwrap()
}

/// Whether elements are closed in order, as far as that can be told without a parser.
fn check_nesting(page: &str) {
    const VOID: [&str; 5] = ["meta", "input", "br", "wbr", "!DOCTYPE"];
    let mut open: Vec<&str> = Vec::new();
    let mut rest = page;
    while let Some(start) = rest.find('<') {
        rest = &rest[start + 1..];
        let end = rest.find('>').expect("an element that does not end");
        let tag = &rest[..end];
        rest = &rest[end + 1..];
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name));
            continue;
        }
        let name = tag.split([' ', '\n']).next().unwrap();
        assert!(tag.matches(" class=").count() <= 1, "{tag}");
        if VOID.contains(&name) || tag.ends_with('/') {
            continue;
        }
        match name {
            // Their text is no HTML.
            "style" | "script" => {
                let end = rest.find(&format!("</{name}>")).unwrap();
                rest = &rest[end + name.len() + 3..];
            }
            _ => open.push(name),
        }
    }
    assert_eq!(open, Vec::<&str>::new());
}

#[test]
fn text_of_results_is_escaped() {
    const EVIL: &str = "<script>alert('x')</script>\"&<img src=x onerror=y>";
    let mut results = sample::results(25, 8);
    for engine in &mut results.engines {
        engine.about = EVIL.to_owned();
        engine.settings = EVIL.to_owned();
    }
    results.machine.cpu = Some(EVIL.to_owned());
    results.machine.notes = vec![EVIL.to_owned()];
    results.versions.insert(EVIL.to_owned(), EVIL.to_owned());
    results.settings.cpu = EVIL.to_owned();
    results.settings.directory = EVIL.into();
    let renamed: Vec<String> =
        results.engines.iter().map(|e| format!("{}{EVIL}", e.name)).collect();
    for kernel in &mut results.kernels {
        kernel.name = format!("{}{EVIL}", kernel.name);
        kernel.difference = Some(EVIL.to_owned());
        let engines = std::mem::take(&mut kernel.engines).into_iter();
        kernel.engines = engines.map(|(name, result)| (format!("{name}{EVIL}"), result)).collect();
        for result in kernel.engines.values_mut().skip(6) {
            *result = EngineResult { failure: Some(EVIL.to_owned()), ..EngineResult::default() };
        }
    }
    results.geomean =
        results.geomean.into_iter().map(|(name, mean)| (format!("{name}{EVIL}"), mean)).collect();
    for (engine, name) in results.engines.iter_mut().zip(renamed) {
        engine.name = name;
    }
    let mut history = sample::history(&results);
    history.iter_mut().for_each(|entry| entry.label = EVIL.to_owned());
    let mut code = sample::code(&results, 2);
    for code in &mut code {
        code.function = EVIL.to_owned();
        for row in code.loops.iter_mut().flat_map(|found| &mut found.rows) {
            row.wasm.push(EVIL.to_owned());
            row.rules.push(EVIL.to_owned());
            for inst in row.egraft.iter_mut().chain(&mut row.stock) {
                inst.text = EVIL.to_owned();
                inst.tile = Some(EVIL.to_owned());
            }
        }
    }
    let page = html(&Contents { results: &results, history: &history, code: &code }).unwrap();
    assert!(page.contains("&lt;img"));
    assert_eq!(page.matches("<script").count(), 1, "only the page's own");
    assert!(!page.contains("<img"));
    check_nesting(&page);
}

#[test]
fn anything_may_be_missing() {
    let mut results = sample::results(30, 8);
    for (at, kernel) in results.kernels.iter_mut().enumerate() {
        if at % 3 == 0 {
            kernel.lane_ops = None;
        }
        for (place, result) in kernel.engines.values_mut().enumerate() {
            match (at + place) % 6 {
                0 => *result = EngineResult::default(),
                1 => result.speed = None,
                2 => result.time_ns = None,
                3 => (result.code_bytes, result.spread) = (None, Some(f64::NAN)),
                4 => result.compile_ns = vec![f64::NAN, 0.0],
                _ => {
                    result.speed = Some(Estimate { value: f64::INFINITY, low: 0.0, high: f64::NAN })
                }
            }
        }
    }
    results.geomean.remove("v8");
    let page = page(&results);
    check_nesting(&page);
    assert!(!page.contains("NaN") && !page.contains(">inf"), "no number is shown as a number");
}

#[test]
fn nothing_at_all_is_a_page_too() {
    let mut results = sample::results(3, 1);
    check_nesting(&page(&results));
    results.machine.peaks = None;
    results.machine.cpu = None;
    results.kernels.clear();
    check_nesting(&page(&results));
    results.engines.clear();
    check_nesting(&page(&results));
    check_nesting(&page(&sample::results(1, 2)));
}

#[test]
fn sections_are_left_out_with_a_reason() {
    let mut results = sample::results(4, 3);
    assert!(page(&results).contains("roofline-plot"));
    results.machine.peaks = None;
    assert!(page(&results).contains("Left out: the peaks of the machine were not measured."));
    let mut results = sample::results(4, 3);
    results.kernels.iter_mut().for_each(|kernel| kernel.lane_ops = None);
    assert!(page(&results).contains("Left out: no kernel has both"));
    let none = page(&results);
    assert!(!none.contains("history-plot") && !none.contains("id=\"code\""));
    let history = sample::history(&results);
    let page = html(&Contents { results: &results, history: &history, code: &[] }).unwrap();
    assert!(page.contains("history-plot") && page.contains("1 on others are left out"));
}

#[test]
fn the_file_names_nothing_outside() {
    let results = sample::results(59, 8);
    let (history, code) = (sample::history(&results), sample::code(&results, 5));
    let page = html(&Contents { results: &results, history: &history, code: &code }).unwrap();
    check_nesting(&page);
    for outside in ["http:", "https:", "url(", "@import", " src=", " style=", " onclick="] {
        assert!(!page.contains(outside), "{outside}");
    }
    let links = page
        .match_indices("href=\"")
        .filter(|(at, text)| !page[at + text.len()..].starts_with('#'));
    assert_eq!(links.count(), 0);
}

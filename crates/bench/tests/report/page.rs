//! The page in Chromium, used as a reader does: with a pointer, with keys alone, on a phone.
//!
//! Without Chromium the checks are skipped and counted; `EGRAFT_BROWSER=required` makes that a failure.
//! Pictures are left in `target/report-screenshots`.

use crate::browser::{self, Browser};
use crate::sample;
use egraft_bench::report::{Contents, html};
use serde_json::{Value, json};
use std::io::Write;
use std::path::{Path, PathBuf};

type Check = fn(&mut Browser, &Pages);

const CHECKS: [(&str, Check); 11] = [
    ("quiet", quiet),
    ("pictures", pictures),
    ("sorting", sorting),
    ("filter", filter),
    ("keys", keys),
    ("engines and columns", engines_and_columns),
    ("theme", theme),
    ("contrast", contrast),
    ("narrow windows", narrow_windows),
    ("without scripts", without_scripts),
    ("large and small results", large_and_small),
];

/// The reports, as files.
struct Pages {
    folder: PathBuf,
    full: PathBuf,
    single: PathBuf,
    large: PathBuf,
}

impl Pages {
    fn write() -> Pages {
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
        let folder = target.join("report-screenshots");
        std::fs::create_dir_all(&folder).unwrap();
        let write = |name: &str, kernels: usize, engines: usize, more: bool| {
            let results = sample::results(kernels, engines);
            let history = if more { sample::history(&results) } else { Vec::new() };
            let code = sample::code(&results, if more { 6 } else { 0 });
            let page =
                html(&Contents { results: &results, history: &history, code: &code }).unwrap();
            let file = folder.join(name);
            std::fs::write(&file, page).unwrap();
            file
        };
        Pages {
            full: write("report.html", 59, 8, true),
            single: write("single.html", 1, 1, false),
            large: write("large.html", 500, 12, true),
            folder,
        }
    }
}

#[test]
fn the_page_works_in_a_browser() {
    let total = CHECKS.len();
    // Written past the test harness, which keeps what passing tests print.
    let say = |text: String| writeln!(std::io::stderr(), "{text}").unwrap();
    let Some(program) = browser::find() else {
        let required = std::env::var("EGRAFT_BROWSER").is_ok_and(|value| value == "required");
        assert!(
            !required,
            "Chromium is required and not installed; scripts/setup --browser gets it"
        );
        say(format!(
            "skipped {total} checks of the report: no Chromium; scripts/setup --browser gets it"
        ));
        return;
    };
    let pages = Pages::write();
    let mut browser = Browser::start(&program);
    for (name, check) in CHECKS {
        let begun = std::time::Instant::now();
        println!("{name}");
        check(&mut browser, &pages);
        println!("{name}: passed in {:.1} s", begun.elapsed().as_secs_f64());
    }
    say(format!("{total} checks of the report in {} passed", program.display()));
}

const EGRAFT_SPEED: &str = "#kernels th.e1.k-speed button";

/// Values of the column of the `nth` engine's speed, in the order of the rows.
fn column(browser: &mut Browser, selector: &str) -> Vec<Option<f64>> {
    let script = format!(
        "[...document.querySelectorAll('#kernels tbody {selector}')].map((cell) => cell.dataset.v ?? null)"
    );
    let values = browser.eval(&script);
    let values = values.as_array().unwrap().iter();
    values.map(|value| value.as_str().map(|text| text.parse().unwrap())).collect()
}

fn quiet(browser: &mut Browser, pages: &Pages) {
    browser.open(&pages.full, 1280, 900);
    browser.eval("new Promise((done) => setTimeout(done, 300))");
    let of = |event: &Value, method: &str| event["method"] == method;
    let requests = browser.events.iter().filter(|event| of(event, "Network.requestWillBeSent"));
    let urls: Vec<&Value> = requests.map(|event| &event["params"]["request"]["url"]).collect();
    assert_eq!(urls, [&json!(format!("file://{}", pages.full.display()))]);
    let loud = ["Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded"];
    let said: Vec<&Value> =
        browser.events.iter().filter(|event| loud.iter().any(|method| of(event, method))).collect();
    assert!(said.is_empty(), "{said:#?}");
    // The policy holds: what it forbids does not happen.
    let script = "(() => {
        document.body.insertAdjacentHTML('beforeend', '<p id=probe style=\"color: red\">x</p>');
        const script = document.createElement('script');
        script.textContent = 'window.probed = true';
        document.body.append(script);
        return [window.probed === true, document.getElementById('probe').style.length];
    })()";
    assert_eq!(browser.eval(script), json!([false, 0]));
}

fn sorting(browser: &mut Browser, pages: &Pages) {
    browser.open(&pages.full, 1280, 900);
    let ordered = |values: &[Option<f64>], descending: bool| {
        let known: Vec<f64> = values.iter().map_while(|value| *value).collect();
        assert!(known.len() > 50);
        assert!(values[known.len()..].iter().all(Option::is_none), "missing ones come last");
        let pairs = known.windows(2);
        let fine = |pair: &[f64]| if descending { pair[0] >= pair[1] } else { pair[0] <= pair[1] };
        assert!(pairs.into_iter().all(fine), "{known:?}");
    };
    for (column_of, first_descending) in [("e1.k-speed", true), ("e2.k-time", false)] {
        let button = format!("#kernels th.{column_of} button");
        for descending in [first_descending, !first_descending, first_descending] {
            browser.click(&button);
            ordered(&column(browser, &format!(".{column_of}")), descending);
            let sorted = browser.eval(
                "[...document.querySelectorAll('[aria-sort]')].map((th) => [th.className, th.ariaSort])",
            );
            let wanted = if descending { "descending" } else { "ascending" };
            assert_eq!(sorted.as_array().unwrap().len(), 1);
            assert_eq!(sorted[0][1], wanted);
        }
    }
    // The plots moved along with their rows.
    let together = "[...document.querySelectorAll('#kernels tbody tr')].every((row) => {
        const cell = row.querySelector('td.e1.k-speed').firstChild.textContent;
        return row.querySelector('.lane.e1 title').textContent.includes(cell);
    })";
    assert_eq!(browser.eval(together), true);
    browser.click("#kernels th.name button");
    let names = browser
        .eval("[...document.querySelectorAll('#kernels tbody th')].map((th) => th.dataset.v)");
    let names: Vec<&str> =
        names.as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
    let place = |wanted: &str| names.iter().position(|name| *name == wanted).unwrap();
    assert!(place("bilateral_u8") < place("blur3x3_f32"));
    assert!(place("blur3x3_u8") < place("blur3x3_u16"), "numbers count as such");
}

fn filter(browser: &mut Browser, pages: &Pages) {
    browser.open(&pages.full, 1280, 900);
    let visible =
        "[...document.querySelectorAll('#kernels tbody tr')].filter((row) => row.checkVisibility())
        .map((row) => row.cells[0].dataset.v)";
    assert_eq!(browser.eval(visible).as_array().unwrap().len(), 59);
    browser.click("#filter");
    browser.write("Blur F32");
    assert_eq!(browser.eval(visible), json!(["blur3x3_f32"]));
    assert_eq!(browser.eval("document.getElementById('shown').textContent"), "1 of 59 kernels");
    browser.write("none");
    assert_eq!(browser.eval(visible), json!([]));
    // Rows that were filtered away keep away when the table is sorted.
    browser.click(EGRAFT_SPEED);
    assert_eq!(browser.eval(visible), json!([]));
    browser.eval(
        "(() => { const f = document.getElementById('filter'); f.value = ''; \
        f.dispatchEvent(new Event('input')); })()",
    );
    assert_eq!(browser.eval(visible).as_array().unwrap().len(), 59);
}

/// Where the focus is, and whether one can see that.
const FOCUS: &str = "(() => {
    const at = document.activeElement;
    if (!at || at === document.body) return null;
    const style = getComputedStyle(at);
    const box = at.getBoundingClientRect();
    const scale = at.tagName === 'INPUT' || at.tagName === 'BUTTON' || at.tagName === 'A';
    return {
        what: at.id || at.className || at.getAttribute('aria-label') || at.textContent.slice(0, 30),
        tag: at.tagName,
        sorts: at.closest('th')?.className ?? '',
        outlined: style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2,
        within: box.right > 0 && box.left < innerWidth && box.bottom > 0 && box.top < innerHeight,
        size: scale ? Math.min(box.width, box.height) : 99,
    };
})()";

fn keys(browser: &mut Browser, pages: &Pages) {
    browser.open(&pages.full, 1280, 900);
    let count = browser.eval(
        "[...document.querySelectorAll('a[href], button, input, summary, [tabindex=\"0\"]')]
            .filter((element) => element.checkVisibility()).length",
    );
    let count = count.as_u64().unwrap();
    browser.key("Tab");
    assert_eq!(browser.eval(FOCUS)["what"], "skip");
    browser.key("Enter");
    assert_eq!(browser.eval("document.activeElement.id"), "content");
    // Through the whole page: nothing keeps the focus, everything shows it.
    let mut sorted = false;
    let mut visited = 0;
    for _ in 0..count + 5 {
        browser.key("Tab");
        let focus = browser.eval(FOCUS);
        if focus.is_null() || focus["what"] == "skip" {
            break;
        }
        visited += 1;
        assert_eq!(focus["outlined"], true, "{focus}");
        assert_eq!(focus["within"], true, "{focus}");
        // WCAG 2.5.8 asks for 24, or space around it; boxes to tick have labels around them.
        assert!(focus["size"].as_f64().unwrap() >= 16.0, "{focus}");
        if focus["sorts"].as_str().unwrap().contains("e1 k-speed") {
            browser.key("Enter");
            let values = column(browser, ".e1.k-speed");
            assert!(values.iter().flatten().is_sorted_by(|one, other| one >= other));
            browser.key(" ");
            let values = column(browser, ".e1.k-speed");
            assert!(values.iter().flatten().is_sorted(), "the space bar sorts too");
            assert_eq!(browser.eval(FOCUS)["sorts"], focus["sorts"], "the focus stays");
            sorted = true;
        }
    }
    assert!(sorted, "the header of a column was not reached");
    // Links before the content come before it.
    let before = browser.eval("document.querySelectorAll('header a, header button').length + 1");
    assert_eq!(visited, count - before.as_u64().unwrap(), "some controls cannot be reached");
}

/// How many elements take space. `checkVisibility` holds groups of drawings for visible that are not.
fn visible(browser: &mut Browser, selector: &str) -> u64 {
    let script = format!(
        "[...document.querySelectorAll({selector:?})].filter((one) => one.getClientRects().length > 0 \
            && one.getBoundingClientRect().height > 0).length"
    );
    browser.eval(&script).as_u64().unwrap()
}

fn engines_and_columns(browser: &mut Browser, pages: &Pages) {
    browser.open(&pages.full, 1280, 900);
    let before = visible(browser, ".e4");
    assert!(before > 59 * 3, "{before}");
    browser.click("label:has([data-hides=e4])");
    assert_eq!(visible(browser, ".e4"), 0);
    assert!(visible(browser, ".e3") > 59 * 3);
    browser.click("label:has([data-hides=e4])");
    assert_eq!(visible(browser, ".e4"), before);
    assert_eq!(visible(browser, "#kernels td.k-noise"), 0);
    browser.click("label:has([data-hides=k-noise])");
    assert_eq!(visible(browser, "#kernels td.k-noise"), 59 * 8);
    browser.click("label:has([data-hides=k-time])");
    assert_eq!(visible(browser, "#kernels td.k-time"), 0);
}

fn theme(browser: &mut Browser, pages: &Pages) {
    browser.open(&pages.full, 1280, 900);
    let paper = "getComputedStyle(document.body).backgroundColor";
    let light = browser.eval(paper);
    assert_eq!(light, "rgb(255, 255, 255)");
    browser.theme("dark");
    let dark = browser.eval(paper);
    assert_ne!(dark, light);
    assert_eq!(browser.eval("document.getElementById('theme').textContent"), "Light page");
    browser.click("#theme");
    assert_eq!(browser.eval(paper), light, "the choice counts more than the system");
    browser.click("#theme");
    assert_eq!(browser.eval(paper), dark);
    browser.theme("light");
    assert_eq!(browser.eval(paper), dark);
    browser.eval("localStorage.clear()");
}

fn contrast(browser: &mut Browser, pages: &Pages) {
    // Twelve engines have all colours.
    for (page, width) in [(&pages.full, 1280), (&pages.full, 360), (&pages.large, 1280)] {
        browser.open(page, width, 900);
        browser.eval(
            "for (const box of document.querySelectorAll('input[type=checkbox]')) if (!box.checked) box.click();
            for (const details of document.querySelectorAll('details')) details.open = true;
            for (const row of [...document.querySelectorAll('#kernels tbody tr')].slice(59)) row.remove();",
        );
        for scheme in ["light", "dark"] {
            browser.theme(scheme);
            let found = browser.eval(include_str!("contrast.js"));
            assert_eq!(found["low"], json!([]), "{scheme}, {width} wide");
            let (texts, marks) =
                (found["texts"].as_u64().unwrap(), found["marks"].as_u64().unwrap());
            assert!(texts > 2000 && marks > 1500, "{texts} texts, {marks} marks");
            println!("contrast, {scheme}, {width} wide: {texts} texts, {marks} marks");
        }
    }
}

fn narrow_windows(browser: &mut Browser, pages: &Pages) {
    for page in [&pages.full, &pages.single, &pages.large] {
        browser.open(page, 360, 740);
        for width in [360, 768, 1280] {
            let begun = std::time::Instant::now();
            browser.resize(width, 740);
            browser.eval(
                "for (const details of document.querySelectorAll('details')) details.open = true",
            );
            let widths = browser.eval(
                "[document.documentElement.scrollWidth, document.documentElement.clientWidth]",
            );
            assert_eq!(widths, json!([width, width]), "{}", page.display());
            println!("{width} wide: laid out in {:.1} s", begun.elapsed().as_secs_f64());
        }
    }
}

fn without_scripts(browser: &mut Browser, pages: &Pages) {
    browser.open_with(&pages.full, 1280, 900, false);
    assert_eq!(browser.eval("document.querySelectorAll('#kernels tbody tr').length"), 59);
    assert_eq!(browser.eval("document.querySelectorAll('#kernels button').length"), 0);
    let dead =
        "[...document.querySelectorAll('button, input')].filter((e) => e.checkVisibility()).length";
    assert_eq!(browser.eval(dead), 0, "controls that do nothing are not shown");
    assert_eq!(visible(browser, "#kernels td.k-noise"), 59 * 8, "all columns are shown");
    browser.screenshot(&pages.folder.join("without-scripts.png"), false);
}

fn large_and_small(browser: &mut Browser, pages: &Pages) {
    let begun = std::time::Instant::now();
    browser.open(&pages.large, 1280, 900);
    println!(
        "500 kernels, 12 engines: {:.1} MB, opened in {:.1} s",
        std::fs::metadata(&pages.large).unwrap().len() as f64 / 1e6,
        begun.elapsed().as_secs_f64()
    );
    let sort = format!(
        "(() => {{ const begun = performance.now(); document.querySelector('{EGRAFT_SPEED}').click();
            return performance.now() - begun; }})()"
    );
    println!("sorting them: {:.0} ms", browser.eval(&sort).as_f64().unwrap());
    let values = column(browser, ".e1.k-speed");
    assert!(values.len() == 500 && values.iter().flatten().is_sorted_by(|one, other| one >= other));
    browser.screenshot(&pages.folder.join("large.png"), false);
    browser.open(&pages.single, 1280, 900);
    assert_eq!(browser.eval("document.querySelectorAll('#kernels tbody tr').length"), 1);
    browser.screenshot(&pages.folder.join("single.png"), true);
}

fn pictures(browser: &mut Browser, pages: &Pages) {
    for scheme in ["light", "dark"] {
        for (device, width, height) in [("wide", 1360, 900), ("phone", 360, 740)] {
            browser.open(&pages.full, width, height);
            browser.theme(scheme);
            let file = pages.folder.join(format!("{device}-{scheme}.png"));
            browser.screenshot(&file, true);
            browser.eval("document.querySelector('#code details').open = true");
            for section in ["kernels-section", "roofline", "history", "code"] {
                browser.eval(&format!("document.getElementById('{section}').scrollIntoView()"));
                let file = pages.folder.join(format!("{device}-{scheme}-{section}.png"));
                browser.screenshot(&file, false);
            }
        }
    }
}

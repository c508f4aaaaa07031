use egraft_rules::{RuleSet, Source, check_rule};
use std::path::Path;
#[test]
fn idioms() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../isle-rules/rewrite");
    let mut sources = Vec::new();
    for e in std::fs::read_dir(&folder).unwrap() {
        let p = e.unwrap().path();
        let n = p.file_name().unwrap().to_str().unwrap().to_owned();
        if n.starts_with("idiom_") {
            sources.push(Source::new(n, std::fs::read_to_string(&p).unwrap()));
        }
    }
    let set = RuleSet::parse(&sources).unwrap_or_else(|e| panic!("{e}"));
    let n: usize = std::env::var("N").ok().and_then(|n| n.parse().ok()).unwrap_or(3000);
    let seed: u64 = std::env::var("SEED").ok().and_then(|n| n.parse().ok()).unwrap_or(7);
    let mut fired = 0;
    for rule in &set.rules {
        let t = std::time::Instant::now();
        let c = check_rule(rule, n, seed);
        fired += c.fired;
        let el = t.elapsed().as_millis();
        if let Some(x) = &c.counterexample {
            println!("WRONG {} : {x}", rule.name);
        } else if c.fired == 0 {
            println!("NEVER {} {}", rule.name, c.tuples_run);
        } else if !c.unmatched.is_empty() {
            println!("UNMATCHED {} {:?}", rule.name, c.unmatched[0]);
        } else {
            println!(
                "ok {} types {} unfired {} fired {} of {} {}ms",
                rule.name,
                c.types_checked,
                c.unfired.len(),
                c.fired,
                c.tuples_run,
                el
            );
        }
    }
    println!("TOTAL {} rules {fired}", set.rules.len());
}

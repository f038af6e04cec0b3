//! `docs/benchmarks.md`: what stands between two marks is written by a measurement, what is around it by hand.

use std::fs;
use std::path::Path;

/// Puts `text` between these marks.
pub(crate) fn put(begin: &str, end: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/benchmarks.md");
    let page = fs::read_to_string(&path).expect("the page");
    let (before, rest) = page.split_once(begin).expect("the page has the first mark");
    let (_, after) = rest.split_once(end).expect("the page has the second mark");
    fs::write(&path, format!("{before}{begin}\n\n{text}\n{end}{after}")).expect("a page");
}

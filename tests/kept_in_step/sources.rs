//! Rules that the sources keep.

use std::path::{Path, PathBuf};

use super::root;

/// Every file below `src` with its text.
fn sources(below: &str) -> Vec<(PathBuf, String)> {
    fn walk(directory: &Path, found: &mut Vec<(PathBuf, String)>) {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                found.push((path, text));
            }
        }
    }
    let mut found = Vec::new();
    walk(&root().join(below), &mut found);
    found.sort();
    assert!(!found.is_empty(), "no sources in {below}");
    found
}

/// What a line takes from elsewhere in the crate: the first segment after each `crate::`.
fn imports(line: &str) -> impl Iterator<Item = &str> {
    line.match_indices("crate::").map(|(at, found)| {
        let rest = &line[at + found.len()..];
        rest.split(|c: char| !(c.is_alphanumeric() || c == '_'))
            .next()
            .unwrap_or("")
    })
}

fn is_pure(line: &str) -> bool {
    let foreign_crate = line.trim_start().strip_prefix("use ").is_some_and(|path| {
        let first = path.split(['{', ':', ';', ' ']).next().unwrap_or("");
        let own = ["std", "core", "crate", "super", "self"].contains(&first);
        // `use Is::{…}` takes the variants of an enum of the file's own.
        !own && !first.starts_with(char::is_uppercase)
    });
    let does_something = [
        "std::fs",
        "std::net",
        "std::io",
        "std::process",
        "std::env",
        "std::thread",
        "std::time",
        "Instant::now",
    ];
    !foreign_crate
        && imports(line).all(|module| ["model", "plan"].contains(&module))
        && !does_something.iter().any(|effect| line.contains(effect))
}

/// The planner does no I/O, reads no clock and knows no protocol: it may import only `model` and `std` (DESIGN 3).
#[test]
fn the_planner_is_pure() {
    for (path, text) in sources("src/plan") {
        let own = text.split("#[cfg(test)]").next().unwrap();
        for (n, line) in own
            .lines()
            .enumerate()
            .filter(|(_, line)| !line.trim_start().starts_with("//"))
        {
            assert!(
                is_pure(line),
                "{}:{}: the planner may not use this: {line}",
                path.display(),
                n + 1
            );
        }
    }
}

#[test]
fn impure_lines_are_found() {
    for line in [
        "use crate::imap::Imap;",
        "use rusqlite::Connection;",
        "use std::fs::File;",
        "    crate::state::now()",
        "std::time::Instant::now()",
    ] {
        assert!(!is_pure(line), "{line}");
    }
    for line in [
        "use crate::model::{Flags, Id};",
        "use super::{Action, Plan};",
        "use std::fmt;",
        "    use Is::{Flagged, Gone};",
    ] {
        assert!(is_pure(line), "{line}");
    }
}

/// Marks of an RFC that name no section: where each stands. A section may follow on the next line of the comment.
fn bare_marks(text: &str) -> Vec<usize> {
    let joined: String = text.replace("\n//", "\n  ").replace("    //", "      ");
    let mut bare = Vec::new();
    for (at, _) in joined.match_indices("RFC ") {
        let rest = &joined[at + 4..];
        let digits = rest.chars().take_while(char::is_ascii_digit).count();
        let after = rest[digits..].trim_start_matches(|c: char| c.is_whitespace() || "/!,".contains(c));
        let named = after.starts_with('§') || after.starts_with("appendix") || after.starts_with("Appendix");
        if digits >= 3 && !named {
            bare.push(joined[..at].matches('\n').count() + 1);
        }
    }
    bare
}

/// A reader finds the sentence that a line obeys.
#[test]
fn every_rfc_mark_names_its_section() {
    let mut bare = Vec::new();
    let mut marks = 0;
    for (path, text) in sources("src") {
        marks += text.matches("RFC ").count();
        bare.extend(
            bare_marks(&text)
                .into_iter()
                .map(|line| format!("{}:{line}", path.display())),
        );
    }
    assert!(marks > 20, "only {marks} marks found");
    assert!(bare.is_empty(), "an RFC without a section (§): {bare:#?}");
}

#[test]
fn bare_marks_are_found() {
    for (text, lines) in [
        ("// RFC 9051 §6.3.1", vec![]),
        ("// RFC 9051\n// §6.3.1", vec![]),
        ("/// (RFC 6154 §2; `\\Important` RFC 8457).", vec![1]),
        ("x\n// RFC 9051 appendix A", vec![]),
        ("x\n// RFC 9051 says", vec![2]),
    ] {
        assert_eq!(bare_marks(text), lines, "{text}");
    }
}

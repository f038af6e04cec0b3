//! What is written twice and must stay the same: manual pages, completions and the sample configuration against the one
//! definition that each is made from, and the rules that the sources keep.
//!
//! `make docs` (this test with `HOMING_BLESS=1`) writes what is generated; without it, a difference is a failure.

#[path = "kept_in_step/man.rs"]
mod man;
#[path = "kept_in_step/providers.rs"]
mod providers;
#[path = "kept_in_step/sample.rs"]
mod sample;
#[path = "kept_in_step/sources.rs"]
mod sources;

use std::path::{Path, PathBuf};

use clap::CommandFactory;
use clap_complete::Shell;
use homing::cli::Cli;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Compares a checked-in file with what it should be, or writes it.
fn keep(path: impl AsRef<Path>, text: &str) {
    let path = root().join(path);
    if std::env::var_os("HOMING_BLESS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        return;
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    let differs = found.lines().zip(text.lines()).position(|(a, b)| a != b);
    let line = differs.unwrap_or_else(|| found.lines().count().min(text.lines().count())) + 1;
    assert!(
        found == text,
        "{} is out of step at line {line}; `make docs` writes it\n found: {}\nwanted: {}",
        path.display(),
        found.lines().nth(line - 1).unwrap_or("(nothing)"),
        text.lines().nth(line - 1).unwrap_or("(nothing)"),
    );
}

/// The names of all files below a directory that has none but generated ones.
fn listed(directory: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(root().join(directory)).unwrap();
    let mut names: Vec<PathBuf> = entries.map(|entry| entry.unwrap().file_name().into()).collect();
    names.sort();
    names
}

#[test]
fn manual_pages() {
    let pages = man::pages();
    for (name, text) in &pages {
        keep(Path::new("man").join(name), text);
    }
    let mut names: Vec<PathBuf> = pages.iter().map(|(name, _)| name.into()).collect();
    names.sort();
    assert_eq!(listed("man"), names, "a page that nothing makes");
}

#[test]
fn completions() {
    let shells = [
        (Shell::Bash, "homing.bash"),
        (Shell::Zsh, "_homing"),
        (Shell::Fish, "homing.fish"),
    ];
    for (shell, name) in shells {
        let mut text = Vec::new();
        clap_complete::generate(shell, &mut Cli::command(), "homing", &mut text);
        keep(Path::new("completions").join(name), &String::from_utf8(text).unwrap());
    }
}

#[test]
fn table_of_providers() {
    keep("docs/providers.md", &providers::page());
}

#[test]
fn sample_configuration() {
    keep("sample-config.toml", &sample::text());
}

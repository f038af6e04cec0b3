//! The table of providers, as people read it.

use std::fmt::Write as _;

use homing::account::DailyBytes;
use homing::config::providers::{PROVIDERS, Provider};

const HEAD: &str = "\
# Providers

`provider = \"gmail\"` in an account stands for the row below: `host` (TLS from the first byte, port 993), `connections`,
`auth` and `max-bytes`, so that only `user` and where the password comes from are left to write. What you write yourself
goes before it. Made from `src/config/providers.rs` by `make docs`.

Of a day's bytes homing uses nine tenths, since other programs count too. Within 24 hours means just that: no provider says
when its day begins. When they are used up, a run finishes what is under way, says when it goes on, and ends with 75.

| `provider` | server | connections | bytes in 24 hours: told | `max-bytes` | `auth` |
|---|---|---|---|---|---|
";

fn daily(bytes: DailyBytes) -> String {
    let one = |way: &str, bytes: Option<u64>| bytes.map(|bytes| format!("{way} {} MB", bytes / 1_000_000));
    let both: Vec<String> = [one("down", bytes.down), one("up", bytes.up)]
        .into_iter()
        .flatten()
        .collect();
    if both.is_empty() {
        "–".to_owned()
    } else {
        both.join(", ")
    }
}

fn row(provider: &Provider) -> String {
    let auth: Vec<String> = provider
        .auth
        .iter()
        .map(|mechanism| format!("`{}`", mechanism.name()))
        .collect();
    format!(
        "| `{}` | {} | {} | {} | {} | {} |\n",
        provider.name,
        provider.host,
        provider.connections,
        daily(provider.told),
        daily(provider.max_bytes()),
        if auth.is_empty() {
            "any for a password".to_owned()
        } else {
            auth.join(", ")
        },
    )
}

/// The page.
pub(crate) fn page() -> String {
    let mut out = HEAD.to_owned();
    for provider in &PROVIDERS {
        out.push_str(&row(provider));
    }
    for provider in &PROVIDERS {
        let _ = write!(
            out,
            "\n## {}\n\n{}\n\nIt wants {}.\n\n",
            provider.title, provider.rules, provider.password
        );
        for source in provider.sources {
            let _ = writeln!(out, "- {}: {} (looked up {})", source.what, source.place, source.seen);
        }
    }
    out
}

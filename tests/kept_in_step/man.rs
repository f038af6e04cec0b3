//! The manual pages: one for the program, one for each command, one for the configuration.

use clap::CommandFactory;
use clap_mangen::Man;
use clap_mangen::roff::{Inline, Roff, bold, roman};
use homing::cli::{Cli, EXIT_CODES};
use homing::config::keys::{Default, GROUPS, Key};

const SOURCE: &str = concat!("homing ", env!("CARGO_PKG_VERSION"));
const MANUAL: &str = "homing";

/// Where things are kept unless the user says otherwise.
const FILES: [(&str, &str); 4] = [
    (
        "$XDG_CONFIG_HOME/homing/config.toml",
        "The configuration; see `homing-config`(5). Without the variable, below `~/.config`.",
    ),
    (
        "$XDG_STATE_HOME/homing/ACCOUNT/",
        "What homing knows of an account: a database and a lock. Without the variable, below `~/.local/state`.",
    ),
    (
        "$XDG_DATA_HOME/homing/ACCOUNT/attic/",
        "Files that the server's removals took from the Maildir. Without the variable, below `~/.local/share`.",
    ),
    (
        "MAILDIR/.homing",
        "The marker by which homing knows the Maildir again. Do not copy it into another one.",
    ),
];

/// Each page's file name and text.
pub(crate) fn pages() -> Vec<(String, String)> {
    let mut root = Cli::command();
    root.build();
    let commands: Vec<clap::Command> = root.get_subcommands().cloned().collect();
    let mut pages = vec![("homing.1".to_owned(), program(&root, &commands))];
    for command in commands {
        pages.push((format!("homing-{}.1", command.get_name()), page_of(&command)));
    }
    pages.push(("homing-config.5".to_owned(), configuration()));
    pages
}

fn man(command: &clap::Command) -> Man {
    let name = command.get_display_name().unwrap_or(command.get_name()).to_uppercase();
    Man::new(command.clone()).title(name).source(SOURCE).manual(MANUAL)
}

/// Writes one section of a page.
type Section<'a> = &'a dyn Fn(&mut Vec<u8>) -> std::io::Result<()>;

fn render(parts: &[Section]) -> String {
    let mut page = Vec::new();
    for part in parts {
        part(&mut page).unwrap();
    }
    backquotes_to_bold(&String::from_utf8(page).unwrap())
}

fn program(root: &clap::Command, commands: &[clap::Command]) -> String {
    let man = man(root);
    let see: Vec<String> = commands
        .iter()
        .map(|command| format!("homing-{}(1)", command.get_name()))
        .collect();
    render(&[
        &|page| man.render_title(page),
        &|page| man.render_name_section(page),
        &|page| synopsis(root).to_writer(page),
        &|page| man.render_description_section(page),
        &|page| man.render_options_section(page),
        &|page| man.render_subcommands_section(page),
        &|page| exit_codes().to_writer(page),
        &|page| list("FILES", &FILES).to_writer(page),
        &|page| see_also(&format!("{}, homing-config(5)", see.join(", "))).to_writer(page),
    ])
}

fn page_of(command: &clap::Command) -> String {
    let man = man(command);
    render(&[
        &|page| man.render_title(page),
        &|page| man.render_name_section(page),
        &|page| synopsis(command).to_writer(page),
        &|page| man.render_description_section(page),
        &|page| man.render_options_section(page),
        &|page| exit_codes().to_writer(page),
        &|page| see_also("homing(1), homing-config(5)").to_writer(page),
    ])
}

/// What can be written, in the order of the command line.
fn synopsis(command: &clap::Command) -> Roff {
    let own = |arg: &&clap::Arg| !arg.is_global_set() && !["help", "version"].contains(&arg.get_id().as_str());
    let mut words = vec![bold("homing"), roman(" [--config FILE] [--state DIR] [--json] [-q|-v]")];
    if command.has_subcommands() {
        words.push(roman(" COMMAND …"));
    } else {
        words.extend([roman(" "), bold(command.get_name())]);
    }
    let (positional, options): (Vec<_>, Vec<_>) =
        command.get_arguments().filter(own).partition(|arg| arg.is_positional());
    for arg in options.into_iter().chain(positional) {
        let value = arg
            .get_value_names()
            .filter(|_| arg.get_action().takes_values())
            .map(|names| names.join(" "));
        let mut parts: Vec<String> = arg
            .get_long()
            .map(|long| format!("--{long}"))
            .into_iter()
            .chain(value)
            .collect();
        let repeated = matches!(arg.get_action(), clap::ArgAction::Append);
        if repeated && arg.is_positional() {
            parts.push("…".into());
        }
        let text = parts.join(" ");
        let text = if arg.is_required_set() {
            text
        } else {
            format!("[{text}]")
        };
        let more = if repeated && !arg.is_positional() { " …" } else { "" };
        words.push(roman(format!(" {text}{more}")));
    }
    let mut roff = Roff::new();
    roff.control("SH", ["SYNOPSIS"]);
    roff.text(words);
    roff
}

fn exit_codes() -> Roff {
    let mut roff = list("EXIT STATUS", &EXIT_CODES);
    roff.control("PP", []);
    roff.text([roman(
        "Each account has its own; the run's is the first of 78, 77, 3, 1, 75, 0 that one of them has.",
    )]);
    roff
}

fn list(title: &str, rows: &[(&str, &str)]) -> Roff {
    let mut roff = Roff::new();
    roff.control("SH", [title]);
    for (term, text) in rows {
        roff.control("TP", []);
        roff.text([bold(*term)]);
        roff.text([roman(*text)]);
    }
    roff
}

fn see_also(pages: &str) -> Roff {
    let mut roff = Roff::new();
    roff.control("SH", ["SEE ALSO"]);
    roff.text([roman(pages)]);
    roff
}

fn configuration() -> String {
    let mut roff = Roff::new();
    roff.control("TH", ["HOMING-CONFIG", "5", "", SOURCE, MANUAL]);
    roff.control("SH", ["NAME"]);
    roff.text([roman("homing-config - the accounts of homing")]);
    roff.control("SH", ["DESCRIPTION"]);
    for text in INTRODUCTION {
        roff.control("PP", []);
        roff.text([roman(*text)]);
    }
    roff.control("SH", ["EXAMPLE"]);
    roff.control("nf", []);
    for line in EXAMPLE.lines() {
        roff.text([roman(line)]);
    }
    roff.control("fi", []);
    for group in GROUPS {
        roff.control("SH", [group.title.to_uppercase().as_str()]);
        for key in group.keys {
            describe(&mut roff, key);
        }
    }
    let mut page = Vec::new();
    roff.to_writer(&mut page).unwrap();
    list("FILES", &FILES).to_writer(&mut page).unwrap();
    see_also("homing(1)").to_writer(&mut page).unwrap();
    backquotes_to_bold(&String::from_utf8(page).unwrap())
}

const INTRODUCTION: &[&str] = &[
    "The configuration is a TOML file with a table for each account, `[accounts.NAME]`. A name consists of letters, digits \
     and `. _ @ + -`. Four keys are enough: where the server is, who you are, where the password comes from, and where the \
     mail is kept.",
    "A key that homing does not know is an error, which names the line and the nearest key that it knows. In `host`, \
     `user`, `login-as`, in paths and in the array form of `password-command`, `$NAME` and `${NAME}` stand for environment \
     variables, and a path can begin with `~/`.",
];

const EXAMPLE: &str = r#"[accounts.personal]
host = "imap.example.org"
user = "me@example.org"
password-command = "pass show mail"
maildir = "~/Mail/personal""#;

fn describe(roff: &mut Roff, key: &Key) {
    roff.control("TP", []);
    roff.text([bold(key.name), roman(format!(" = {}", key.value))] as [Inline; 2]);
    roff.text([roman(key.help)]);
    let default = match key.default {
        Default::Required => "Required.".to_owned(),
        Default::OneOf(family) => format!("Exactly one of `{family}` is required."),
        Default::Is(value) => format!("Default: {value}."),
    };
    roff.control("br", []);
    roff.text([roman(default)]);
}

/// In running text, what is to be written as it stands is bold.
fn backquotes_to_bold(page: &str) -> String {
    let mut out = String::new();
    for (n, part) in page.split('`').enumerate() {
        if n > 0 {
            out.push_str(if n % 2 == 1 { "\\fB" } else { "\\fR" });
        }
        out.push_str(part);
    }
    out
}

//! What it costs to pair again, against a fresh pull in the same run: the state deleted, the UIDVALIDITY changed, a
//! Maildir that mbsync filled. `make bench ONLY=repair` writes it into `docs/benchmarks.md`; `MESSAGES=1000` and
//! `DELAYS=0,100` measure less, and `QUICK=1` prints only. The mail is
//! that of `make bench`; at 0 ms there is no proxy. The last link is that of a home: 100 Mbit/s, 20 ms. Nothing here is
//! asserted but that no message crosses the wire.
//!
//! The floor of each is what the server alone takes to tell, over one connection, what the messages are known by. A server
//! that changed its UIDVALIDITY has lost its caches too, and reads each message.

#[path = "../tests/support"]
#[allow(dead_code, unreachable_pub, unused_imports, clippy::pedantic)] // what the tests use
mod support {
    pub(crate) mod dovecot;
    pub(crate) mod mail;
    pub(crate) mod proxy;
    pub(crate) mod raw;
    pub(crate) mod server;
    pub(crate) mod witness;
    pub(crate) mod world;
}

#[path = "peers/account.rs"]
#[allow(dead_code)]
mod account;
#[path = "peers/between.rs"]
mod between;

use std::fmt::Write as _;
use std::fs;
use std::io::{Read, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

use support::dovecot::Dovecot;
use support::proxy::Proxy;
use support::world::{ACCOUNT, Run, World, local};

/// What is lost or strange before a run.
type Repair = (&'static str, fn(&World, &Path));

const VALIDITY: &str = "UIDVALIDITY changed";

const REPAIRS: [Repair; 3] = [
    ("state deleted", |world, _| drop_state(world)),
    (VALIDITY, |_, kept| change_validity(kept)),
    ("adopted from mbsync", |world, _| disguise(world)),
];

const BEGIN: &str = "<!-- measured by `make bench ONLY=repair`: do not edit -->";
const END: &str = "<!-- end of pairing again -->";

fn main() {
    let text = |name: &str| std::env::var(name).unwrap_or_default();
    let only = text("ONLY");
    if !only.is_empty() && !only.split([',', ' ']).any(|word| word == "repair") {
        return;
    }
    let Some(dovecot) = Dovecot::shared() else { return };
    let quick = !matches!(text("QUICK").as_str(), "" | "0");
    let messages = numbers("MESSAGES", &[if quick { 1000 } else { 10_000 }])[0];
    account::fill(dovecot, "repair", "INBOX", 0..messages);
    let mut table = format!(
        "{messages} messages in one mailbox.\n\n\
         | link | what | seconds | of a fresh pull | floor, s | round trips | received, kB |\n|---|---|---|---|---|---|---|\n"
    );
    let unlimited = numbers("DELAYS", &[0, 20, 100]).into_iter().map(|delay| (delay, None));
    // Files go at the end: their removal would burden what comes next.
    let mut worlds = Vec::new();
    for (delay, rate) in unlimited.chain([(20, Some(HOME))]) {
        worlds.push(measure(
            dovecot,
            messages,
            Duration::from_millis(delay),
            rate,
            &mut table,
        ));
    }
    println!("{table}");
    if !quick {
        between::put(BEGIN, END, &table);
    }
    for world in worlds {
        account::clear(world.home());
    }
    account::clear(&dovecot.mail_home(""));
}

/// Bytes in a second.
const HOME: u64 = 100_000_000 / 8;

fn numbers(name: &str, usual: &[u64]) -> Vec<u64> {
    let text = std::env::var(name).unwrap_or_default();
    let given: Vec<u64> = text.split(',').filter_map(|word| word.trim().parse().ok()).collect();
    if given.is_empty() { usual.to_vec() } else { given }
}

fn measure(dovecot: &Dovecot, messages: u64, delay: Duration, rate: Option<u64>, table: &mut String) -> World {
    let limit = rate
        .map(|rate| format!(", {} Mbit/s", rate * 8 / 1_000_000))
        .unwrap_or_default();
    let link = format!("{} ms{limit}", delay.as_millis());
    let user = format!("repair-{}-{}", delay.as_millis(), rate.unwrap_or(0));
    account::copy(dovecot, "repair", &user);
    let proxy = (!delay.is_zero()).then(|| Proxy::over(dovecot.port, delay / 2, rate));
    let port = proxy.as_ref().map_or(dovecot.port, |proxy| proxy.port);
    let world = World::new(port, &user);
    let pull = sync(&world, "fresh pull");
    let mut tell = |what: &str, run: &Run, floor: Option<Duration>| {
        let share = 100.0 * run.took.as_secs_f64() / pull.took.as_secs_f64();
        let wire = |what: &str| run.account()["wire"][what].as_u64().unwrap_or_default();
        let floor = floor.map_or_else(|| "–".to_owned(), |floor| format!("{:.2}", floor.as_secs_f64()));
        let _ = writeln!(
            table,
            "| {link} | {what} | {:.2} | {share:.0} % | {floor} | {} | {} |",
            run.took.as_secs_f64(),
            wire("round_trips"),
            wire("bytes_in") / 1000
        );
    };
    tell("fresh pull", &pull, None);
    let kept = dovecot.mail_home(&user).join("Maildir");
    for (what, repair) in REPAIRS {
        if what == VALIDITY {
            change_validity(&kept);
        }
        let floor = ask(dovecot.host, port, &user);
        repair(&world, &kept);
        let run = sync(&world, what);
        tell(what, &run, Some(floor));
        let added = run.count("left", "added") + run.count("right", "added");
        assert_eq!((added, run.changes()), (0, 0), "{what}: {run:#?}");
        assert_eq!(
            local::messages(&world.maildir.join("INBOX")).len() as u64,
            messages,
            "{what}"
        );
    }
    world
}

fn sync(world: &World, what: &str) -> Run {
    account::settle();
    let run = world.sync(&[]);
    assert_eq!(run.exit, 0, "{what}: {run:#?}");
    run
}

/// How long the server takes to tell the header fields by which messages are known.
fn ask(host: &str, port: u16, user: &str) -> Duration {
    let begun = Instant::now();
    let mut stream = TcpStream::connect((host, port)).expect("the server listens");
    let text = format!(
        "a LOGIN {user} pass\r\nb EXAMINE INBOX\r\n\
         c UID FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE \
         BODY.PEEK[HEADER.FIELDS (MESSAGE-ID DATE FROM SUBJECT X-TUID X-OFFLINEIMAP)])\r\nd LOGOUT\r\n"
    );
    stream.write_all(text.as_bytes()).expect("a connection");
    let mut buffer = vec![0; 256 * 1024];
    while let Ok(1..) = stream.read(&mut buffer) {}
    begun.elapsed()
}

fn drop_state(world: &World) {
    let state = world.home().join("xdg/state/homing").join(ACCOUNT);
    fs::remove_dir_all(state).expect("the state of the run before");
}

fn change_validity(kept: &Path) {
    let list = kept.join("dovecot-uidlist");
    let text = fs::read_to_string(&list).expect("the list of UIDs");
    let (head, rest) = text.split_once('\n').expect("a first line");
    let turned = head.split(' ').map(|word| match word.strip_prefix('V') {
        Some(validity) => format!("V{}", validity.parse::<u32>().expect("a number") + 1),
        None => word.to_owned(),
    });
    let head: Vec<String> = turned.collect();
    fs::write(&list, format!("{}\n{rest}", head.join(" "))).expect("a file");
    for name in [
        "dovecot.index",
        "dovecot.index.log",
        "dovecot.index.log.2",
        "dovecot.index.cache",
    ] {
        let _ = fs::remove_file(kept.join(name));
    }
}

/// Gives the Maildir mbsync's names and marks, and takes homing's away.
fn disguise(world: &World) {
    drop_state(world);
    let _ = fs::remove_file(world.maildir.join(".homing"));
    let aside = world.home().join("aside");
    fs::create_dir(&aside).expect("a folder");
    for (nth, file) in local::messages(&world.maildir.join("INBOX")).iter().enumerate() {
        let date = fs::metadata(file).and_then(|meta| meta.modified()).expect("a time");
        let mut bytes = fs::read(file).expect("a message");
        let end = bytes
            .windows(2)
            .position(|two| two == b"\n\n")
            .map_or(bytes.len(), |at| at + 1);
        bytes.splice(end..end, *b"X-TUID: AbCdEfGhIjKl\n");
        let letters: String = local::letters(file).into_iter().collect();
        let target = world
            .maildir
            .join(format!("INBOX/cur/1700000000.77_{nth}.ada,U={}:2,{letters}", nth + 1));
        fs::write(&target, bytes).expect("a file");
        fs::File::open(&target)
            .and_then(|file| file.set_modified(date))
            .expect("a time");
        fs::rename(file, aside.join(nth.to_string())).expect("a rename");
    }
}

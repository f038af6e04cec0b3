//! What it costs to pair again, against a fresh pull in the same run: the state deleted, the UIDVALIDITY changed, a
//! Maildir that mbsync filled. `cargo bench --bench repair`; `MESSAGES=1000` takes less mail. Nothing here is asserted but
//! that no body crosses the wire.

#[path = "../tests/support"]
#[allow(dead_code, unreachable_pub, unused_imports, clippy::pedantic)] // what the tests use
mod support {
    pub(crate) mod dovecot;
    pub(crate) mod proxy;
    pub(crate) mod raw;
    pub(crate) mod witness;
    pub(crate) mod world;
}

use std::fs;
use std::path::Path;
use std::time::Duration;

use support::dovecot::Dovecot;
use support::proxy::Proxy;
use support::raw::Raw;
use support::world::{ACCOUNT, Chance, Run, World, local, mails};

/// Round trips that the proxy adds, in milliseconds.
const DELAYS: [u64; 2] = [0, 20];

/// What is lost or strange before a run.
type Repair = (&'static str, fn(&World, &Path));

const REPAIRS: [Repair; 3] = [
    ("state deleted", |world, _| drop_state(world)),
    ("UIDVALIDITY changed", |_, kept| change_validity(kept)),
    ("adopted from mbsync", |world, _| disguise(world)),
];

fn main() {
    let Some(dovecot) = Dovecot::shared() else { return };
    let messages = std::env::var("MESSAGES")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(10_000);
    println!("{messages} messages in one mailbox, release build\n");
    println!("| round trip | what | time | of a fresh pull | round trips | received |");
    println!("|---|---|---|---|---|---|");
    for delay in DELAYS {
        let user = format!("repair-{delay}");
        let mails = mails::mails(1, messages, &mut Chance::new(7));
        Raw::connect(dovecot.host, dovecot.port, &user).append_all("INBOX", &mails);
        let proxy = Proxy::to(dovecot.port, Duration::from_micros(delay * 500));
        let world = World::new(proxy.port, &user);
        let pull = sync(&world, "fresh pull");
        let tell = |what: &str, run: &Run| {
            let traffic = proxy.take();
            let share = 100.0 * run.took.as_secs_f64() / pull.took.as_secs_f64();
            let (trips, received) = (traffic.round_trips, traffic.received / 1000);
            println!(
                "| {delay} ms | {what} | {:.2?} | {share:.0} % | {trips} | {received} kB |",
                run.took
            );
            let bodies = traffic.commands.iter().filter(|line| line.contains("BODY.PEEK[]"));
            bodies.count() + traffic.count("APPEND")
        };
        tell("fresh pull", &pull);
        let kept = dovecot.mail_home(&user).join("Maildir");
        for (what, repair) in REPAIRS {
            repair(&world, &kept);
            let run = sync(&world, what);
            assert_eq!((tell(what, &run), run.changes()), (0, 0), "{what}: {run:#?}");
            assert_eq!(local::messages(&world.maildir.join("INBOX")).len(), messages, "{what}");
        }
    }
}

fn sync(world: &World, what: &str) -> Run {
    let run = world.sync(&[]);
    assert_eq!(run.exit, 0, "{what}: {run:#?}");
    run
}

fn drop_state(world: &World) {
    fs::remove_dir_all(world.home().join("xdg/state/homing").join(ACCOUNT)).expect("a state");
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
    fs::remove_file(world.maildir.join(".homing")).expect("a marker");
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
        fs::remove_file(file).expect("a file");
    }
}

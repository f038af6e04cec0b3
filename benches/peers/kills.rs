//! Killed on the way and run again at once: what is lost and what is doubled, of one program after the other.
//!
//! Each round has an account of its own. What the dead program had sent may still be on its way while the next run is at
//! work: the server goes on with it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Child;
use std::time::{Duration, Instant};

use crate::Scope;
use crate::support::dovecot::Dovecot;
use crate::support::witness::digest;
use crate::support::world::{Chance, local, mails};
use crate::tools::{Near, Place, Servers, Tool};

/// Messages that a round sends.
const SENT: usize = 300;
const ROUNDS: usize = 60;
/// Where each round is killed; the same moments, in parts of its usual time, for each program.
const SEED: u64 = 11;

/// What came of the rounds of a program.
#[derive(Default)]
struct Tally {
    rounds: usize,
    /// Killed before they were over.
    struck: usize,
    /// Runs it took to be done.
    runs: usize,
    /// Rounds after which some message was there twice, and how many were.
    doubled: (usize, usize),
    lost: usize,
    /// Rounds that did not end well within four runs.
    unfinished: usize,
}

pub(crate) fn measure(scope: &Scope, dovecot: &Dovecot, tools: &[Tool], dir: &Path) {
    let rounds = if scope.quick { ROUNDS / 10 } else { ROUNDS };
    println!("{SENT} messages sent, SIGKILL at a random moment, run again at once:");
    for tool in tools.iter().filter(|tool| !tool.is_variant()) {
        let mut chance = Chance::new(SEED);
        let mut tally = Tally::default();
        let usual = round(dovecot, *tool, dir, 0, None, &mut tally);
        tally = Tally::default();
        for nth in 1..=rounds {
            let at = usual.mul_f64((5 + chance.below(95)) as f64 / 100.0);
            round(dovecot, *tool, dir, nth, Some(at), &mut tally);
        }
        let Tally {
            rounds: all,
            struck,
            runs,
            doubled: (doubled_in, doubled),
            lost,
            unfinished,
        } = tally;
        println!(
            "{}: {all} rounds, {struck} killed on the way, {runs} runs to be done; {lost} messages lost, {doubled} doubled, in \
             {doubled_in} rounds; {unfinished} rounds not done after four runs",
            tool.name()
        );
    }
}

/// One round; gives how long its run took that was not killed.
fn round(dovecot: &Dovecot, tool: Tool, dir: &Path, nth: usize, kill: Option<Duration>, tally: &mut Tally) -> Duration {
    let user = format!("kills-{}-{nth}", tool.name().replace([' ', ','], ""));
    let dir = dir.join(&user);
    let near = Near {
        root: dir.join("mail"),
        plus_plus: false,
    };
    let servers = Servers {
        user: &user,
        port: dovecot.port,
        local_port: dovecot.port,
    };
    let place = Place::new(tool, dir, near, &servers);
    let first = place.command().status().expect("a run");
    assert!(first.success(), "{}: {first}: {}", tool.name(), place.log());
    let inbox = place.near.mailbox("INBOX");
    let mut chance = Chance::new(nth as u64 + 1);
    let mut sent = Vec::new();
    for number in 0..SENT {
        let bytes = mails::message(number, &mut chance);
        let text = local::without_cr(&bytes);
        sent.push(digest(&text));
        local::deliver(&inbox, &text, 1_700_000_000, Some("S"));
    }
    let begun = Instant::now();
    let child = place.command().spawn().expect("a run");
    tally.struck += usize::from(end(child, kill));
    let lasted = begun.elapsed();
    let done = (0..4).any(|_| {
        tally.runs += 1;
        place.command().status().is_ok_and(|status| status.success())
    });
    // The server ends what it was sent; a further run takes in what came of it.
    std::thread::sleep(Duration::from_millis(300));
    let _ = place.command().status();
    let there = held(dovecot, &user);
    let count = |content| there.get(content).copied().unwrap_or(0);
    let doubled: usize = sent.iter().filter(|content| count(*content) > 1).count();
    tally.rounds += 1;
    tally.unfinished += usize::from(!done);
    tally.lost += sent.iter().filter(|content| count(*content) == 0).count();
    tally.doubled.0 += usize::from(doubled > 0);
    tally.doubled.1 += doubled;
    lasted
}

/// How often the server has each message, in its own files, without the line that mbsync adds to what it sends.
fn held(dovecot: &Dovecot, user: &str) -> BTreeMap<[u8; 32], usize> {
    let mut held = BTreeMap::new();
    for part in ["cur", "new"] {
        let dir = dovecot.mail_home(user).join("Maildir").join(part);
        for entry in fs::read_dir(dir).expect("the server's files") {
            let text = fs::read(entry.expect("an entry").path()).expect("a message");
            let lines = text.split_inclusive(|byte| *byte == b'\n');
            let own: Vec<u8> = lines
                .filter(|line| !line.starts_with(b"X-TUID: "))
                .flatten()
                .copied()
                .collect();
            *held.entry(digest(&local::without_cr(&own))).or_default() += 1;
        }
    }
    held
}

/// Lets a run end, or kills it once it has worked for so long; whether it was killed.
fn end(mut child: Child, kill: Option<Duration>) -> bool {
    let Some(at) = kill else {
        child.wait().expect("a child");
        return false;
    };
    std::thread::sleep(at);
    let struck = child.try_wait().expect("a child").is_none();
    child.kill().expect("SIGKILL");
    child.wait().expect("a child");
    struck
}

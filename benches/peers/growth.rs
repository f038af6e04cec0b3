//! Growth with the number of messages: small ones, from the server that the tests carry, in this process, which holds a
//! million without a disk of its own.

use std::path::Path;
use std::time::Duration;

use crate::account::small;
use crate::measure::{self, Sample};
use crate::results::{Growth, Results};
use crate::support::server::{Server, Setup};
use crate::support::world::local;
use crate::tools::{Near, Place, Servers, Tool};
use crate::{Scope, account};

/// The largest mailbox; more messages make more mailboxes.
const LARGEST: usize = 100_000;
const LIMIT: Duration = Duration::from_secs(900);
/// What was written less long ago is looked at again.
const SETTLED: Duration = Duration::from_millis(2200);
const USER: &str = "growth";

/// Measures homing alone: what the others do with a hundred thousand messages has its own table.
pub(crate) fn measure(scope: &Scope, dir: &Path, results: &mut Results) {
    let sizes: &[usize] = if scope.quick {
        &[1_000, 10_000]
    } else {
        &[1_000, 10_000, 100_000, 1_000_000]
    };
    for &messages in sizes {
        let growth = one(messages, &dir.join(format!("growth-{messages}")), scope.runs);
        println!("growth {messages}: {growth:?}");
        results.growth.insert(messages as u64, growth);
        if !scope.quick {
            results.save();
        }
    }
}

fn one(messages: usize, dir: &Path, runs: usize) -> Growth {
    let server = server(messages);
    let near = Near {
        root: dir.join("Mail"),
        plus_plus: false,
    };
    let servers = Servers {
        user: USER,
        port: server.port(),
        local_port: server.port(),
    };
    let place = Place::new(Tool::Homing, dir.to_owned(), near, &servers);
    account::settle();
    let pull = run(&place);
    rest();
    run(&place); // directories that were written to lately are looked at once more
    let idle = middle(runs, || run(&place));
    let change = middle(runs, || {
        change(&server, &place);
        rest();
        run(&place)
    });
    Growth {
        pull,
        idle,
        change,
        database: size(&dir.join(".local/state/homing/a/sync.db")),
    }
}

fn server(messages: usize) -> Server {
    let server = Server::start(Setup {
        users: vec![(USER.into(), "pass".into())],
        ..Setup::default()
    });
    server.with(USER, |account| {
        for number in 0..messages {
            let mailbox = match number / LARGEST {
                0 => "INBOX".to_owned(),
                nth => format!("Archive {nth}"),
            };
            if number % LARGEST == 0 {
                account.create(&mailbox);
            }
            account.deliver(&mailbox, &small(number));
        }
    });
    server
}

/// One message flagged on the server and one more on disk, both in the largest mailbox.
fn change(server: &Server, place: &Place) {
    let flagged = server.with(USER, |account| {
        let inbox = account.mailbox("INBOX");
        let flagged = inbox.messages.len() - inbox.without("\\Flagged");
        account.flag("INBOX", flagged as u32 + 1, &["\\Flagged"], &[]);
        flagged
    });
    let new = format!("Subject: one more, {flagged}\n\nOne more.\n");
    local::deliver(&place.near.mailbox("INBOX"), new.as_bytes(), account::DATE, Some("S"));
}

fn rest() {
    account::settle();
    std::thread::sleep(SETTLED);
}

fn middle(runs: usize, one: impl FnMut() -> Sample) -> Sample {
    let samples: Vec<Sample> = std::iter::repeat_with(one).take(runs).collect();
    measure::median(&samples).cloned().unwrap_or_default()
}

fn run(place: &Place) -> Sample {
    measure::run(&mut place.command(), LIMIT, None)
}

fn size(file: &Path) -> u64 {
    std::fs::metadata(file).map_or(0, |meta| meta.len())
}

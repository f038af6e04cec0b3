//! Growth with the number of messages: small ones, from the server that the tests carry, in this process.

use std::path::Path;
use std::time::Duration;

use crate::Scope;
use crate::measure::{self, Sample};
use crate::results::{Results, Scale};
use crate::support::mail::Mail;
use crate::support::server::{Server, Setup};
use crate::tools::{Near, Place, Servers, Tool};

/// The largest mailbox; more messages make more mailboxes.
const LARGEST: u64 = 100_000;
const LIMIT: Duration = Duration::from_secs(1800);

/// Measures homing alone: what the others do with a hundred thousand messages has its own table.
pub(crate) fn measure(scope: &Scope, results: &mut Results) {
    let sizes: &[u64] = if scope.quick {
        &[1_000, 10_000]
    } else {
        &[1_000, 10_000, 100_000, 1_000_000]
    };
    for &messages in sizes {
        let scale = one(messages);
        println!("scale {messages}: {scale:?}");
        results.scale.insert(messages, scale);
        if !scope.quick {
            results.save();
        }
    }
}

fn one(messages: u64) -> Scale {
    let user = "scale";
    let server = Server::start(Setup {
        users: vec![(user.into(), "pass".into())],
        ..Setup::default()
    });
    server.with(user, |account| {
        for number in 0..messages {
            let mailbox = match number / LARGEST {
                0 => "INBOX".to_owned(),
                nth => format!("Archive {nth}"),
            };
            if number % LARGEST == 0 {
                account.create(&mailbox);
            }
            account.deliver(&mailbox, &Mail::simple(&format!("number {number}")));
        }
    });
    let dir = tempfile::Builder::new()
        .prefix("homing-bench-")
        .tempdir()
        .expect("a folder");
    let near = Near {
        root: dir.path().join("Mail"),
        plus_plus: false,
    };
    let servers = Servers {
        user,
        port: server.port(),
        local_port: server.port(),
    };
    let place = Place::new(Tool::Homing, dir.path().join("own"), near, &servers);
    let pull = run(&place);
    std::thread::sleep(Duration::from_millis(2200));
    run(&place); // directories that were written to lately are looked at once more
    let idle: Vec<Sample> = (0..3).map(|_| run(&place)).collect();
    Scale {
        pull,
        idle: measure::median(&idle).cloned().unwrap_or_default(),
        database: size(&dir.path().join("own/.local/state/homing/a/sync.db")),
    }
}

fn run(place: &Place) -> Sample {
    measure::run(&mut place.command(), LIMIT, None)
}

fn size(file: &Path) -> u64 {
    std::fs::metadata(file).map_or(0, |meta| meta.len())
}

//! Object ids (RFC 8474): a server that has them tells moves and copies without a look at any header, and each body comes
//! once.

#[path = "support"]
mod support {
    #[allow(dead_code, unreachable_pub, unused_imports, clippy::pedantic)] // what other tests use
    pub(crate) mod mail;
    #[allow(dead_code, unreachable_pub)]
    pub(crate) mod raw;
    #[allow(dead_code, unreachable_pub, unused_imports, clippy::pedantic)] // what other tests use
    pub(crate) mod server;
    #[allow(dead_code, unreachable_pub)]
    pub(crate) mod witness;
    #[allow(dead_code, unreachable_pub)]
    pub(crate) mod world;
}

use std::fs;
use std::os::unix::fs::MetadataExt;

use support::mail::Mail;
use support::server::{Date, Server, Setup};
use support::witness::assert_same;
use support::world::{World, local};

const USER: &str = "user";

/// A server with these many messages in the INBOX, and an empty mailbox beside it.
fn server(count: usize) -> Server {
    let server = Server::start(Setup::default().with(&["OBJECTID"]));
    server.with(USER, |account| {
        account.create("Work");
        account.create("All");
        for number in 0..count {
            account.deliver("INBOX", &mail(number));
        }
    });
    server
}

fn mail(number: usize) -> Mail {
    let id = if number.is_multiple_of(3) {
        String::new()
    } else {
        format!("Message-ID: <{number}@example.org>\r\n")
    };
    let bytes = format!("{id}Subject: number {number}\r\n\r\nThis is message {number}.\r\n").into_bytes();
    Mail {
        name: format!("number {number}"),
        bytes,
        flags: vec!["\\Seen".into()],
        date: Date::utc(1_600_000_000 + number as i64),
    }
}

/// Syncs, and both sides are equal; how often a body and how often a header was asked for, and how often one was sent.
#[track_caller]
fn sync(server: &Server, world: &World) -> (serde_json::Value, [usize; 3]) {
    server.clear();
    let run = world.sync_ok();
    let asked = |what: &str| {
        let lines = server.commands();
        lines.iter().filter(|entry| entry.line.contains(what)).count()
    };
    let cost = [asked("BODY.PEEK[]"), asked("BODY.PEEK[HEADER"), server.count("APPEND")];
    let mut witness = support::witness::Server::new("127.0.0.1", server.port(), USER);
    assert_same(&world.look(), &witness.look(), "after a sync");
    (run.account().clone(), cost)
}

#[test]
fn a_thousand_moves_either_way_cost_no_header_and_no_body() {
    let server = server(1000);
    let world = World::new(server.port(), USER);
    sync(&server, &world);
    server.with(USER, |account| {
        let uids: Vec<u32> = account.mailbox("INBOX").messages.keys().copied().collect();
        for uid in uids {
            account.relocate("INBOX", uid, "Work");
        }
    });
    let (report, cost) = sync(&server, &world);
    assert_eq!(
        (report["left"]["moved"].as_u64(), cost),
        (Some(1000), [0, 0, 0]),
        "{report:#}"
    );
    for file in local::messages(&world.maildir.join("Work")) {
        let name = file.file_name().expect("a name").to_owned();
        fs::rename(&file, world.maildir.join("INBOX/cur").join(name)).expect("a rename");
    }
    let (report, cost) = sync(&server, &world);
    assert_eq!(
        (report["right"]["moved"].as_u64(), cost),
        (Some(1000), [0, 0, 0]),
        "{report:#}"
    );
}

#[test]
fn one_message_in_several_mailboxes_is_fetched_once_and_linked() {
    let server = server(30);
    server.with(USER, |account| {
        for uid in 1..=30 {
            account.duplicate("INBOX", uid, "All");
        }
    });
    let world = World::new(server.port(), USER);
    server.clear();
    let run = world.sync_ok();
    assert_eq!(run.count("left", "added"), 60, "{run:#?}");
    let bodies: Vec<usize> = server
        .commands()
        .iter()
        .filter(|entry| entry.line.contains("BODY.PEEK[]"))
        .map(|entry| entry.replies.iter().filter(|reply| reply.contains("BODY[] {")).count())
        .collect();
    assert_eq!(bodies.iter().sum::<usize>(), 30);
    let inodes = |mailbox: &str| {
        let files = local::messages(&world.maildir.join(mailbox));
        let mut inodes: Vec<u64> = files.iter().map(|f| fs::metadata(f).expect("a file").ino()).collect();
        inodes.sort_unstable();
        inodes
    };
    assert_eq!(inodes("INBOX"), inodes("All"), "hard links");

    // The same later: a label more.
    server.with(USER, |account| account.duplicate("INBOX", 3, "Work"));
    let (report, cost) = sync(&server, &world);
    assert_eq!(
        (report["left"]["added"].as_u64(), cost),
        (Some(1), [0, 0, 0]),
        "{report:#}"
    );
}

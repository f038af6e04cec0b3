//! Somebody who changes both sides at random, the same way for a seed.

use std::net::TcpStream;

use imap::Session;

use crate::scene::Scene;
use crate::support::raw::{Mail, quoted};
use crate::support::witness::encode_name;
use crate::support::world::{Chance, local, mails, remote};

/// A mailbox with fewer messages may be deleted without a guard asking.
const SMALL: usize = 8;

/// Makes changes; no two messages that it writes are equal.
pub(crate) struct Writer {
    /// The number of the last message.
    last: usize,
    chance: Chance,
    /// Whether some messages arrive marked `\\Deleted`.
    marks: bool,
}

/// What one change is.
#[derive(Clone, Copy)]
enum Change {
    New,
    Flags,
    Removal,
    Move,
    Copy,
    Create,
    Delete,
}

impl Writer {
    pub(crate) const fn new(seed: u64) -> Self {
        Self {
            last: 0,
            chance: Chance::new(seed),
            marks: true,
        }
    }

    /// One whose mail is never marked as deleted. Without UIDPLUS nothing can be expunged while somebody else's message
    /// is marked.
    pub(crate) const fn without_marks(seed: u64) -> Self {
        Self {
            marks: false,
            ..Self::new(seed)
        }
    }

    /// Makes these mailboxes on the server, with so many messages in each.
    pub(crate) fn fill(&mut self, scene: &Scene, mailboxes: &[&str], each: usize) {
        let mut raw = scene.raw();
        for name in mailboxes {
            let wire = scene.on_server(name);
            if *name != "INBOX" {
                raw.create(&wire).unwrap_or_else(|why| panic!("{name}: {why}"));
            }
            let mails: Vec<Mail> = (0..each).map(|_| self.mail()).collect();
            raw.append_all(&wire, &mails);
        }
    }

    /// Near half of the changes are flags, as in life.
    fn draw(&mut self) -> Change {
        match self.chance.below(100) {
            0..30 => Change::New,
            30..75 => Change::Flags,
            75..85 => Change::Removal,
            85..92 => Change::Move,
            92..95 => Change::Copy,
            95..98 => Change::Create,
            _ => Change::Delete,
        }
    }

    /// One of a few names, so that both sides come to make and delete the same ones.
    fn extra(&mut self) -> String {
        format!("Extra/{}", self.chance.below(12))
    }

    fn mail(&mut self) -> Mail {
        let mut mail = mails::mail(self.number(), &mut self.chance);
        if !self.marks {
            let kept: Vec<&str> = mail.flags.split(' ').filter(|flag| *flag != "\\Deleted").collect();
            mail.flags = kept.join(" ");
        }
        mail
    }

    fn number(&mut self) -> usize {
        self.last += 1;
        self.last
    }

    /// So many changes on disk, as mail programs make them.
    pub(crate) fn change_disk(&mut self, scene: &Scene, changes: usize) {
        for _ in 0..changes {
            let names = scene.world.look_at_names();
            let mailbox = scene.dir(self.chance.pick::<String>(&names));
            let messages = local::messages(&mailbox);
            let change = self.draw();
            match change {
                Change::New => {
                    let number = self.number();
                    local::deliver_any(&mailbox, number, &mut self.chance);
                }
                Change::Flags if !messages.is_empty() => {
                    let message = self.chance.pick(&messages).clone();
                    local::change_flags(&mailbox, &message, &mut self.chance);
                }
                Change::Removal if messages.len() > SMALL => {
                    std::fs::remove_file(self.chance.pick(&messages)).expect("a message");
                }
                Change::Move | Change::Copy if messages.len() > SMALL => {
                    let message = self.chance.pick(&messages).clone();
                    let to = scene.dir(self.chance.pick::<String>(&names));
                    let number = self.number();
                    local::carry(&message, &to, number, matches!(change, Change::Move));
                }
                Change::Create => local::create(&scene.dir(&self.extra())),
                Change::Delete => {
                    let extra = scene.dir(&self.extra());
                    if extra.is_dir() && local::messages(&extra).len() < SMALL {
                        local::delete(&extra);
                    }
                }
                Change::Flags | Change::Removal | Change::Move | Change::Copy => {}
            }
        }
    }

    /// So many changes on the server, made by another client.
    pub(crate) fn change_server(&mut self, scene: &Scene, changes: usize) {
        let mut raw = scene.raw();
        let mut session = scene.server.session();
        for _ in 0..changes {
            let names = scene.server.list(&mut session);
            let name = scene.on_server(&self.chance.pick(&names).1.join("/"));
            let change = self.draw();
            match change {
                Change::New => {
                    let mail = self.mail();
                    raw.append_all(&name, &[mail]);
                }
                Change::Flags => {
                    let uids = remote::uids(&mut session, &name);
                    if !uids.is_empty() {
                        remote::change_flags(&mut session, *self.chance.pick(&uids), &mut self.chance);
                    }
                }
                Change::Removal => {
                    let uids = remote::uids(&mut session, &name);
                    if uids.len() > SMALL {
                        remote::remove(&mut session, *self.chance.pick(&uids));
                    }
                }
                Change::Move | Change::Copy => {
                    let uids = remote::uids(&mut session, &name);
                    let to = scene.on_server(&self.chance.pick(&names).1.join("/"));
                    if uids.len() > SMALL {
                        let uid = *self.chance.pick(&uids);
                        remote::copy(&mut session, uid, &to);
                        if matches!(change, Change::Move) {
                            remote::remove(&mut session, uid);
                        }
                    }
                }
                Change::Create => {
                    let _exists = raw.create(&scene.on_server(&self.extra()));
                }
                Change::Delete => {
                    let extra = self.extra();
                    if names.iter().any(|(_, levels)| levels.join("/") == extra) {
                        delete_if_small(&mut session, &scene.on_server(&extra));
                    }
                }
            }
        }
    }
}

fn delete_if_small(session: &mut Session<TcpStream>, name: &str) {
    if remote::uids(session, name).len() < SMALL {
        session.run_command_and_check_ok("UNSELECT").expect("it was selected");
        let delete = format!("DELETE {}", quoted(&encode_name(name)));
        session.run_command_and_check_ok(delete).expect("a deletion");
    }
}

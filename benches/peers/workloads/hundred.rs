//! Nothing to do in one mailbox of a hundred thousand messages.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use super::{Bench, Contender, Line, is_final, rest};
use crate::account;
use crate::tools::Tool;

const WORKLOAD: &str = "idle-100000";
const TOOLS: [Tool; 2] = [Tool::Homing, Tool::Mbsync];

impl Bench<'_> {
    pub(super) fn hundred(&mut self) {
        if !self.scope.wants(WORKLOAD) {
            return;
        }
        let count = self.scope.scaled(100_000);
        account::write(self.dovecot, "hundred", count);
        let mut contenders: Vec<Contender> = Vec::new();
        for tool in self.present(&TOOLS) {
            let contender = self.contender(tool, "hundred", self.dovecot.port);
            if tool == Tool::Mbsync {
                as_if_pulled(
                    &contender.place.near.root,
                    &self.dovecot.mail_home(&contender.user),
                    count,
                );
            }
            contenders.push(contender);
        }
        // homing pulls here; what was written lately is looked at once more after that.
        self.settle(&contenders, self.dovecot.port);
        self.settle(&contenders, self.dovecot.port);
        for &delay in &self.scope.delays {
            let line = Line::new(self.dovecot, delay);
            let mut finals = Vec::new();
            for _ in 0..self.scope.runs {
                rest();
                for contender in &contenders {
                    self.connect(contender, line.port);
                    if !finals.contains(&contender.place.tool) {
                        let sample = self.step(WORKLOAD, &line, contender);
                        finals.extend(is_final(&sample).then_some(contender.place.tool));
                    }
                }
            }
        }
    }
}

/// What mbsync leaves after it pulled all that is there, for it would take minutes: the Maildir with its names, and its
/// state. The files are links, since with nothing to do they are not even opened.
fn as_if_pulled(root: &Path, server: &Path, count: usize) {
    let inbox = root.join("INBOX");
    for part in ["cur", "new", "tmp"] {
        fs::create_dir_all(inbox.join(part)).expect("a folder");
    }
    let mut state = format!(
        "FarUidValidity {0}\nNearUidValidity {0}\nMaxPulledUid {count}\nMaxPushedUid {count}\n\n",
        account::VALIDITY
    );
    for number in 0..count {
        let uid = number + 1;
        let file = server.join("Maildir/cur").join(account::name(number));
        let link = inbox
            .join("cur")
            .join(format!("{}.1_{uid}.bench,U={uid}:2,S", account::DATE));
        fs::hard_link(file, link).expect("a link");
        let _ = writeln!(state, "{uid} {uid} S");
    }
    fs::write(inbox.join(".uidvalidity"), format!("{}\n{count}\n", account::VALIDITY)).expect("room on the disk");
    fs::write(inbox.join(".mbsyncstate"), state).expect("room on the disk");
}

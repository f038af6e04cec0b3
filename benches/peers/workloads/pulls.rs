//! First pulls of one mailbox.

use super::{Bench, Line, is_final, rest};
use crate::account;
use crate::floor;
use crate::support::mail::Mail;
use crate::tools::Tool;

/// Both durabilities; the slower peers are measured with the many mailboxes.
const TOOLS: [Tool; 4] = [Tool::Homing, Tool::HomingNoSync, Tool::Mbsync, Tool::MbsyncNoSync];

impl Bench<'_> {
    pub(super) fn pulls(&mut self) {
        if self.scope.wants("pull-20000") {
            let count = self.scope.scaled(20_000) as u64;
            account::fill(self.dovecot, "big", "INBOX", 0..count);
            self.pull("pull-20000", "big");
        }
        if self.scope.wants("pull-100mb") {
            let size = self.scope.scaled(100_000_000);
            account::append(self.dovecot, "one", "INBOX", 0..1, |_| huge(size));
            self.pull("pull-100mb", "one");
        }
    }

    /// Without fsync only without a delay: with one, the link decides.
    fn pull(&mut self, workload: &str, model: &str) {
        let floor = floor::measure(self.dovecot, model, &self.dir, self.scope.runs);
        self.results.floors.insert(workload.into(), floor);
        for &delay in &self.scope.delays {
            let line = Line::new(self.dovecot, delay);
            let mut tools = self.present(&TOOLS);
            tools.retain(|tool| delay.is_zero() || !tool.is_variant());
            for _ in 0..self.scope.runs {
                let mut finals = Vec::new();
                for &tool in &tools {
                    let contender = self.contender(tool, model, line.port);
                    rest();
                    finals.extend(is_final(&self.step(workload, &line, &contender)).then_some(tool));
                }
                tools.retain(|tool| !finals.contains(tool));
            }
        }
    }
}

/// A message as large as they get.
fn huge(size: usize) -> Mail {
    let line = [&[b'x'; 76][..], b"\r\n"].concat();
    let mut mail = Mail::simple("huge");
    mail.bytes.extend(line.repeat(size / line.len()));
    mail
}

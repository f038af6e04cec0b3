//! The account with many mailboxes, and all that happens to it.

use std::time::Duration;

use super::changes::Step;
use super::{Bench, Contender, Line, is_final, rest};
use crate::account;
use crate::floor;
use crate::tools::Tool;

const MAILBOXES: usize = 50;
const EACH: u64 = 200;
const PULL: &str = "pull-many";
/// Measured in all that happens.
const FAST: [Tool; 2] = [Tool::Homing, Tool::Mbsync];
/// Measured in a first pull and with nothing to do, once.
const SLOW: [Tool; 2] = [Tool::OfflineImap, Tool::InterImap];

/// The name of a mailbox.
pub(super) fn mailbox(nth: usize) -> String {
    format!("box{nth:02}")
}

impl Bench<'_> {
    pub(super) fn many(&mut self) {
        let steps: Vec<Step> = Step::ALL
            .into_iter()
            .filter(|step| self.scope.wants(step.name()))
            .collect();
        if steps.is_empty() && !self.scope.wants(PULL) {
            return;
        }
        for nth in 0..MAILBOXES {
            let numbers = nth as u64 * EACH..(nth as u64 + 1) * EACH;
            account::fill(self.dovecot, "many", &mailbox(nth), numbers);
        }
        if self.scope.wants(PULL) {
            let floor = floor::measure(self.dovecot, "many", &self.dir, self.scope.runs);
            self.results.floors.insert(PULL.into(), floor);
        }
        for &delay in &self.scope.delays {
            self.rounds(&Line::new(self.dovecot, delay), &steps);
        }
        for tool in self.present(&SLOW) {
            self.once(tool);
        }
    }

    /// As often as is asked for: a pull, then one thing after the other. The programs take turns, so that they rest together.
    fn rounds(&mut self, line: &Line, steps: &[Step]) {
        let mut tools = self.present(&FAST);
        for _ in 0..self.scope.runs {
            let contenders: Vec<Contender> = tools
                .iter()
                .map(|&tool| self.contender(tool, "many", line.port))
                .collect();
            let mut finals = Vec::new();
            if self.scope.wants(PULL) {
                rest();
                for contender in &contenders {
                    finals.extend(is_final(&self.step(PULL, line, contender)).then_some(contender.place.tool));
                }
            }
            if !steps.is_empty() {
                // What was not pulled, or not in time, is pulled the short way.
                self.settle(&contenders, line.port);
            }
            for step in steps {
                for contender in &contenders {
                    step.prepare(&contender.place, self.dovecot, &contender.user);
                }
                rest();
                for contender in &contenders {
                    finals.extend(is_final(&self.step(step.name(), line, contender)).then_some(contender.place.tool));
                }
            }
            tools.retain(|tool| !finals.contains(tool));
        }
    }

    /// A pull without a delay; then, with nothing to do, at each round trip.
    fn once(&mut self, tool: Tool) {
        let near = Line::new(self.dovecot, Duration::ZERO);
        let contender = self.contender(tool, "many", near.port);
        rest();
        if self.step(PULL, &near, &contender).failed.is_some() || !self.scope.wants("idle") {
            return;
        }
        self.settle(std::slice::from_ref(&contender), near.port);
        for &delay in &self.scope.delays {
            let line = Line::new(self.dovecot, delay);
            self.connect(&contender, line.port);
            rest();
            if self.step("idle", &line, &contender).failed.is_some() {
                return;
            }
        }
    }
}

//! How far things are, for whoever watches.

use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::engine::Event;
use crate::plan::Plan;

/// Bars on standard error, one an account, or nothing at all.
#[derive(Debug)]
pub struct Progress(Option<MultiProgress>);

impl Progress {
    /// With bars or without.
    pub fn new(shown: bool) -> Self {
        Self(shown.then(MultiProgress::new))
    }

    /// A bar for an account; it goes away with the value.
    pub fn bar(&self, account: &str) -> Bar {
        let Some(all) = &self.0 else {
            return Bar(ProgressBar::hidden());
        };
        let bar = all.add(ProgressBar::new_spinner());
        bar.set_prefix(account.to_owned());
        bar.enable_steady_tick(Duration::from_millis(120));
        bar.set_style(style("{prefix:.bold} {spinner} {msg}"));
        bar.set_message("connecting");
        Bar(bar)
    }
}

/// Our templates are constants.
fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("a good template")
}

/// How far one account is.
#[derive(Debug)]
pub struct Bar(ProgressBar);

impl Bar {
    /// Shows what the engine tells.
    pub fn show(&self, event: Event<'_>) {
        match event {
            Event::Looking => self.0.set_message("looking at both sides"),
            Event::Planned(plan) => {
                self.0.set_length(self.0.position() + size(plan));
                self.0.set_message("");
                self.0.set_style(style(
                    "{prefix:.bold} {bar:30.cyan/dim} {human_pos} of {human_len} {eta:.dim}",
                ));
            }
            Event::Done(count) => self.0.inc(count),
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// How much there is to do in a plan, in the engine's count.
fn size(plan: &Plan) -> u64 {
    let steps = plan.steps.iter().filter(|step| !step.action.is_note());
    steps.map(|step| step.action.count()).sum()
}

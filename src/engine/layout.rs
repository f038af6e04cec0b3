//! A Maildir keeps the layout in which it was first synced: read in another, all its mailboxes would look gone.

use std::path::Path;

use crate::error::{Failure, Kind, Result};
use crate::maildir::LayoutChoice;
use crate::state::State;

/// The layout of the last run.
const LAYOUT: &str = "layout";

/// The layout in which a run is about to read the Maildir, where the last one read it in that one too. A refusal is of the
/// guard's kind, and nothing was done.
pub(super) fn find(state: &State, choice: LayoutChoice, root: &Path, account: &str) -> Result<&'static str> {
    let now = choice.name_for(root);
    match state.fact(LAYOUT)? {
        Some(before) if before != now => Err(changed(&before, now, choice, root, account)),
        _ => Ok(now),
    }
}

/// Notes it, for the next run to compare.
pub(super) fn note(state: &State, layout: &str) -> Result<()> {
    state.set_fact(LAYOUT, layout)
}

fn changed(before: &str, now: &str, choice: LayoutChoice, root: &Path, account: &str) -> Failure {
    let why = match choice {
        LayoutChoice::Auto if root.join("cur").is_dir() => format!(" (it holds a directory {:?} now)", "cur"),
        LayoutChoice::Auto => format!(" (it holds no directory {:?} any more)", "cur"),
        LayoutChoice::Nested | LayoutChoice::MaildirPlusPlus => String::new(),
    };
    let root = root.display();
    let what =
        format!("the mailboxes in {root} were laid out as {before} in the last run, and would be read as {now}{why}");
    Failure::account(Kind::Guard, what).hint(format!(
        "nothing was done. Either write layout = \"{before}\" for this account, or, if you did convert the Maildir to {now}, \
         run `homing forget {account}` and sync again: mail is then paired by content, and nothing is removed"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::Purpose;

    #[test]
    fn another_layout_than_before_is_refused() {
        use LayoutChoice::{Auto, MaildirPlusPlus, Nested};
        // before, and whether the root held `cur` | now, likewise | whether that is as before
        let rows = [
            ((Auto, false), (Auto, false), true),
            ((Auto, false), (Auto, true), false),
            ((Auto, true), (Auto, false), false),
            ((Auto, true), (MaildirPlusPlus, true), true),
            ((Auto, false), (Nested, true), true),
            ((Nested, false), (MaildirPlusPlus, false), false),
            ((MaildirPlusPlus, true), (Nested, true), false),
        ];
        for (before, now, same) in rows {
            let dir = tempfile::tempdir().unwrap();
            let state = State::open(&dir.path().join("sync.db"), Purpose::Run).unwrap();
            let found = |(choice, cur)| {
                let root = dir.path().join(if cur { "with" } else { "without" });
                std::fs::create_dir_all(if cur { root.join("cur") } else { root.clone() }).unwrap();
                find(&state, choice, &root, "a")
            };
            // A state that knows of none takes any.
            note(&state, found(before).unwrap()).unwrap();
            match found(now) {
                Ok(_) => assert!(same, "{before:?} {now:?}"),
                Err(failure) => {
                    assert!(!same, "{before:?} {now:?}: {}", failure.what);
                    assert_eq!(failure.kind, Kind::Guard);
                    let hint = failure.hint.unwrap();
                    assert!(
                        hint.contains("layout = \"") && hint.contains("homing forget a"),
                        "{hint}"
                    );
                }
            }
        }
    }
}

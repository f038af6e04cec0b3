//! What people call the two sides.

use super::AccountReport;
use crate::model::{Called, Side};

impl AccountReport {
    /// A side's name.
    pub(super) fn side(&self, side: Side) -> String {
        let usual = match side {
            Side::Left => "Maildir",
            Side::Right => "server",
        };
        self.sides
            .as_ref()
            .map_or(usual, |sides| &sides[side as usize])
            .to_owned()
    }

    /// The same in sentences.
    pub(crate) fn called(&self, side: Side) -> Called {
        called(&self.side(side))
    }
}

/// A name of [`AccountReport::sides`] in sentences; an account's name has no article.
pub(super) fn called(name: &str) -> Called {
    let (article, preposition) = match name {
        "Maildir" | "archive" | "export" | "files" => ("the ", "in"),
        "server" => ("the ", "on"),
        "restored" => {
            return Called {
                the: "what is restored".into(),
                on: "in what is restored".into(),
            };
        }
        _ => ("", "on"),
    };
    Called {
        the: format!("{article}{name}"),
        on: format!("{preposition} {article}{name}"),
    }
}

//! Whether the server bears commands that do not wait for each other (HAZARDS 3).
//!
//! What is refused as bad, or met with silence, in company, is asked again alone. Good alone proves that the company was
//! bad: from then on, and in later runs, the account takes one command at a time. Bad alone as well clears the company.
//! Silence is most often the network's: it counts the second time only.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// What is known of it. Shared by all connections of an account.
#[derive(Debug, Default)]
pub(super) struct Trust(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    verdict: Verdict,
    /// How often silence in company was good alone.
    silences: u32,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum Verdict {
    #[default]
    Innocent,
    /// A command of that verb went wrong in company, like this, and is to be asked alone.
    Suspect(String, Wrong),
    /// One command at a time.
    Serial,
}

/// How a command went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wrong {
    /// It was called bad.
    Bad,
    /// It was not answered.
    Silence,
}

impl Trust {
    /// From an earlier run that had found out.
    pub(super) fn remembered(serial: bool) -> Self {
        let trust = Self::default();
        if serial {
            trust.prove();
        }
        trust
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether several commands may be in flight.
    pub(super) fn pipelines(&self) -> bool {
        self.known().verdict == Verdict::Innocent
    }

    /// It was proven that they may not.
    pub(super) fn is_serial(&self) -> bool {
        self.known().verdict == Verdict::Serial
    }

    /// A command of that verb went wrong in company.
    pub(super) fn suspect(&self, verb: &str, wrong: Wrong) {
        let mut known = self.known();
        if known.verdict == Verdict::Innocent {
            known.verdict = Verdict::Suspect(verb.to_owned(), wrong);
        }
    }

    /// A command of that verb went well, or wrong in the same way, alone.
    pub(super) fn was_alone(&self, verb: &str, well: bool) {
        let mut known = self.known();
        let Verdict::Suspect(suspect, wrong) = &known.verdict else {
            return;
        };
        if suspect != verb {
            return;
        }
        let silent = *wrong == Wrong::Silence;
        known.silences += u32::from(well && silent);
        known.verdict = if well && (!silent || known.silences > 1) {
            Verdict::Serial
        } else {
            Verdict::Innocent
        };
    }

    /// The same thing went wrong in company and well alone.
    pub(super) fn prove(&self) {
        self.known().verdict = Verdict::Serial;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_good_alone_condemns_company() {
        // What happens, whether commands may then go together, and whether it is proven that they may not.
        type Deed = fn(&Trust);
        const SILENT: Deed = |t| t.suspect("UID FETCH", Wrong::Silence);
        const BAD: Deed = |t| t.suspect("UID FETCH", Wrong::Bad);
        const WELL_ALONE: Deed = |t| t.was_alone("UID FETCH", true);
        let rows: [(&str, &[Deed], bool, bool); 7] = [
            ("nothing", &[], true, false),
            ("bad in company", &[BAD], false, false),
            ("good alone", &[BAD, WELL_ALONE], false, true),
            (
                "bad alone too",
                &[BAD, |t| t.was_alone("UID FETCH", false)],
                true,
                false,
            ),
            ("another one alone", &[BAD, |t| t.was_alone("NOOP", true)], false, false),
            ("silent once", &[SILENT, WELL_ALONE], true, false),
            ("silent twice", &[SILENT, WELL_ALONE, SILENT, WELL_ALONE], false, true),
        ];
        for (what, deeds, pipelines, serial) in rows {
            let trust = Trust::default();
            for deed in deeds {
                deed(&trust);
            }
            assert_eq!((trust.pipelines(), trust.is_serial()), (pipelines, serial), "{what}");
        }
        assert!(Trust::remembered(true).is_serial());
    }
}

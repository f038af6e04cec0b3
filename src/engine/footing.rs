//! Before anything is looked at: does this Maildir belong to this state and this account? (DESIGN 7)

use std::path::Path;

use crate::error::{Failure, Kind, Result, Retry};
use crate::maildir::Marker;
use crate::maildir::marker::is_root_present;
use crate::model::Side;
use crate::plan::{Adoption, Policy, Rule, SidePolicy};
use crate::state::State;

/// Whose mail it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Owner<'a> {
    pub account: &'a str,
    pub server: &'a str,
    pub user: &'a str,
    pub holder: Holder,
}

/// What holds the mail on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Holder {
    /// A Maildir that is synced.
    Maildir,
    /// What `backup` keeps.
    Archive,
}

/// On what footing the run stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Footing {
    /// The name that state and Maildir share.
    pub pair: String,
    /// Nothing that either side lacks counts as removed: the state is older than the mail.
    pub distrust: bool,
    /// What the Maildir lacks or has other flags of yields to the server: the Maildir is older than the state.
    pub restored: bool,
    /// See [`Adoption`].
    pub adopting: Adoption,
}

const PAIR: &str = "pair";
const SERVER: &str = "server";
const USER: &str = "user";
const LAST: &str = "last-run";
const BEGUN: &str = "begun-run";
const ADOPTION: &str = "adoption";
/// A run that found state and Maildir of different age was begun, and none has settled that: what it found.
const UNEVEN: &str = "uneven";
const OLD_STATE: &str = "old-state";
const OLD_MAILDIR: &str = "old-maildir";

/// Compares root, marker and state. A refusal is of the guard's kind, and nothing was done.
pub(super) fn find(state: &State, root: &Path, owner: Owner<'_>) -> Result<Footing> {
    let marker = Marker::read(root)?;
    let present = is_root_present(root)?;
    if let Some(marker) = marker
        .as_ref()
        .filter(|marker| (&*marker.server, &*marker.user) != (owner.server, owner.user))
    {
        let (user, server) = (&marker.user, &marker.server);
        let what = format!("{} holds the mail of {user} on {server}", root.display());
        return Err(strange(owner, what, root));
    }
    let Some(pair) = state.fact(PAIR)? else {
        let adopting = if present && !is_empty(root) {
            Adoption::Asking
        } else {
            Adoption::No
        };
        return Ok(Footing {
            // Never that of a state before: should that come back, or be at work on another machine, it is refused.
            pair: new_name(),
            distrust: false,
            restored: false,
            adopting,
        });
    };
    if (state.fact(SERVER)?.as_deref(), state.fact(USER)?.as_deref()) != (Some(owner.server), Some(owner.user)) {
        let what = "the configuration now names another server or user than the state";
        return Err(strange(owner, what.into(), root));
    }
    if !present {
        return Err(refused(
            owner,
            format!("{} is missing; it was there in the last run", root.display()),
            root,
        ));
    }
    let Some(marker) = marker else {
        return Err(refused(
            owner,
            format!(
                "{} is not what it was in the last run: its marker .homing is missing",
                root.display()
            ),
            root,
        ));
    };
    if marker.pair != pair {
        return Err(refused(
            owner,
            format!("{} belongs to another state of this account", root.display()),
            root,
        ));
    }
    let number = |name| {
        state
            .fact(name)
            .map(|fact| fact.and_then(|text| text.parse::<u64>().ok()).unwrap_or(0))
    };
    let (last, begun) = (number(LAST)?, number(BEGUN)?);
    let adopting = if state.fact(ADOPTION)?.is_some() {
        Adoption::Held
    } else {
        Adoption::No
    };
    // Run numbers alone would forget it: those of an old state catch up with the marker.
    let uneven = state.fact(UNEVEN)?;
    let distrust = marker.run > begun.max(last) || uneven.as_deref() == Some(OLD_STATE);
    Ok(Footing {
        pair,
        distrust,
        restored: !distrust && (marker.run < last.min(begun) || uneven.as_deref() == Some(OLD_MAILDIR)),
        adopting,
    })
}

/// The Maildir is marked as somebody else's; forgetting the state would not be enough.
fn strange(owner: Owner<'_>, what: String, root: &Path) -> Failure {
    let (account, root) = (owner.account, root.display());
    Failure::account(Kind::Guard, what).hint(format!(
        "nothing was done. Either correct `maildir`, `host` or `user`, or, if the mail in {root} does belong to this account, \
         run `homing forget {account}`, delete {root}/{}, and sync again: mail is then paired by content, and nothing is removed",
        crate::maildir::marker::NAME
    ))
}

fn refused(owner: Owner<'_>, what: String, root: &Path) -> Failure {
    let (account, root) = (owner.account, root.display());
    Failure::account(Kind::Guard, what).hint(match owner.holder {
        Holder::Maildir => format!(
            "nothing was done. Either put the right Maildir back at {root} (is a disk not mounted, is `maildir` right?), \
             or run `homing forget {account}` and sync again: mail is then paired by content, and nothing is removed"
        ),
        Holder::Archive => format!(
            "nothing was done. Either put the right archive back at {root} (is a disk not mounted, is `archive` right?), \
             or move {account}/backup.db away from where states are kept, and a new archive is begun"
        ),
    })
}

/// What stays so until a run settles it, in words; `None`: state and Maildir are of one age.
pub(super) fn doubt(state: &State) -> Result<Option<Failure>> {
    let what = match state.fact(UNEVEN)?.as_deref() {
        Some(OLD_STATE) => {
            "the state is older than the mail: until a run has done all there is to do, nothing counts as removed, and what \
             one side lacks comes back from the other"
        }
        Some(OLD_MAILDIR) => {
            "the Maildir is older than the state: until a run has done all there is to do, what it lacks or has other flags \
             of comes back from the server"
        }
        _ => return Ok(None),
    };
    let failure = Failure::account(Kind::Partial, what).retry(Retry::Later);
    Ok(Some(
        failure.hint("mend what else is listed as a problem, and sync all mailboxes"),
    ))
}

/// Whether there is nothing in the directory but the marker.
fn is_empty(root: &Path) -> bool {
    std::fs::read_dir(root).is_ok_and(|entries| {
        entries
            .flatten()
            .all(|entry| entry.file_name() == crate::maildir::marker::NAME)
    })
}

/// Notes whether what the Maildir brought along waits for an approval.
pub(super) fn note_adoption(state: &State, held: bool) -> Result<()> {
    if held {
        state.set_fact(ADOPTION, "held")
    } else {
        state.drop_fact(ADOPTION)
    }
}

/// A name that no other pair has.
fn new_name() -> String {
    use std::hash::{BuildHasher, Hasher};
    // The standard library seeds this from the system's random numbers, anew for each value.
    let word = || std::hash::RandomState::new().build_hasher().finish();
    format!("{:016x}{:016x}", word(), word())
}

impl Footing {
    /// The run begins: Maildir and state know that they belong together, before anything else is changed. The marker
    /// comes first: a state that has not heard of it yet adopts it.
    pub(super) fn begin(&self, state: &State, root: &Path, owner: Owner<'_>, run: i64) -> Result<()> {
        if state.fact(PAIR)?.is_none() {
            self.marker(owner, 0).write(root)?;
        }
        state.set_fact(PAIR, &self.pair)?;
        state.set_fact(SERVER, owner.server)?;
        state.set_fact(USER, owner.user)?;
        state.set_fact(BEGUN, &run.to_string())?;
        if let Some(what) = self.uneven() {
            state.set_fact(UNEVEN, what)?;
        }
        state.commit()
    }

    const fn uneven(&self) -> Option<&'static str> {
        match (self.distrust, self.restored) {
            (true, _) => Some(OLD_STATE),
            (_, true) => Some(OLD_MAILDIR),
            _ => None,
        }
    }

    /// Whether state and Maildir are of different age, so that the marker has to be written again once that is settled.
    pub(super) const fn is_uneven(&self) -> bool {
        self.uneven().is_some()
    }

    /// Everything was looked at and carried out: state and Maildir are of one age again.
    pub(super) fn settle(state: &State) -> Result<()> {
        state.drop_fact(UNEVEN)
    }

    /// The run is over. The marker is written first: a marker of the run begun is accepted.
    pub(super) fn end(&self, state: &State, root: &Path, owner: Owner<'_>, run: i64) -> Result<()> {
        self.marker(owner, run).write(root)?;
        state.set_fact(LAST, &run.to_string())?;
        state.commit()
    }

    fn marker(&self, owner: Owner<'_>, run: i64) -> Marker {
        let (server, user) = (owner.server.to_owned(), owner.user.to_owned());
        Marker {
            server,
            user,
            pair: self.pair.clone(),
            run: run as u64,
        }
    }

    /// The policy under this footing.
    pub(super) fn policy(&self, asked: Policy) -> Policy {
        if self.distrust {
            return Policy {
                sides: Side::BOTH.map(|side| without_removals(&asked, side)),
                ..asked
            };
        }
        if !self.restored {
            return asked;
        }
        let left = SidePolicy {
            removals: Rule::Undo,
            moves: Rule::Undo,
            flags: Rule::Undo,
            ..asked.sides[0]
        };
        Policy {
            sides: [left, asked.sides[1]],
            ..asked
        }
    }

    /// A number for file names that tells this pair's deliveries from any other's.
    pub(super) fn number(&self) -> u32 {
        u32::from_str_radix(&self.pair.chars().take(8).collect::<String>(), 16).unwrap_or(0)
    }
}

/// What that side lacks comes back, where the other side's messages may be carried over at all.
fn without_removals(asked: &Policy, side: Side) -> SidePolicy {
    let rules = *asked.of(side);
    let back = rules.removals == Rule::Spread && asked.of(side.other()).new == Rule::Spread;
    SidePolicy {
        removals: if back { Rule::Undo } else { rules.removals },
        ..rules
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::Purpose;

    const OWNER: Owner<'_> = Owner {
        account: "a",
        server: "imap.example.org",
        user: "ada",
        holder: Holder::Maildir,
    };

    fn state_at(dir: &Path, last: i64, begun: i64) -> State {
        let state = State::open(&dir.join("sync.db"), Purpose::Run).unwrap();
        let footing = find(&state, &dir.join("mail"), OWNER).unwrap();
        footing.begin(&state, &dir.join("mail"), OWNER, last).unwrap();
        footing.end(&state, &dir.join("mail"), OWNER, last).unwrap();
        state.set_fact(BEGUN, &begun.to_string()).unwrap();
        state
    }

    fn set_marker(dir: &Path, change: impl FnOnce(&mut Marker)) {
        let root = dir.join("mail");
        let mut marker = Marker::read(&root).unwrap().unwrap();
        change(&mut marker);
        marker.write(&root).unwrap();
    }

    #[test]
    fn runs_tell_what_is_older() {
        // marker | last | begun | distrust | restored
        for (marker, last, begun, distrust, restored) in [
            (5, 5, 5, false, false),
            (5, 5, 6, false, false),
            (6, 5, 6, false, false),
            (4, 5, 6, false, true),
            (7, 5, 6, true, false),
        ] {
            let dir = tempfile::tempdir().unwrap();
            let state = state_at(dir.path(), last, begun);
            set_marker(dir.path(), |m| m.run = marker);
            let footing = find(&state, &dir.path().join("mail"), OWNER).unwrap();
            assert_eq!(
                (footing.distrust, footing.restored),
                (distrust, restored),
                "{marker} {last} {begun}"
            );
        }
    }

    #[test]
    fn what_is_older_stays_so_until_a_run_settles_it() {
        for (marker, wanted) in [(6, (true, false)), (4, (false, true))] {
            let dir = tempfile::tempdir().unwrap();
            let root = dir.path().join("mail");
            let uneven = |state: &State| {
                let footing = find(state, &root, OWNER).unwrap();
                (footing.distrust, footing.restored)
            };
            let state = state_at(dir.path(), 5, 5);
            set_marker(dir.path(), |m| m.run = marker);
            for run in [6, 7] {
                // Cut off after it began, and ended without having settled it.
                assert_eq!(uneven(&state), wanted, "{marker} {run}");
                let footing = find(&state, &root, OWNER).unwrap();
                footing.begin(&state, &root, OWNER, run).unwrap();
                assert_eq!(uneven(&state), wanted, "{marker} {run}");
                let told = doubt(&state).unwrap().unwrap().what;
                assert!(told.contains(if wanted.0 { "state is older" } else { "Maildir is older" }));
                footing.end(&state, &root, OWNER, run).unwrap();
            }
            Footing::settle(&state).unwrap();
            assert_eq!(uneven(&state), (false, false), "{marker}");
            assert!(doubt(&state).unwrap().is_none());
        }
    }

    #[test]
    fn what_does_not_belong_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("mail");
        let state = state_at(dir.path(), 1, 1);
        let refusal = |state: &State, owner| {
            let failure = find(state, &root, owner).unwrap_err();
            assert_eq!(failure.kind, Kind::Guard);
            assert!(failure.hint.as_ref().unwrap().contains("homing forget a"));
            failure.what
        };
        assert!(refusal(&state, Owner { user: "eve", ..OWNER }).contains("holds the mail of ada"));
        set_marker(dir.path(), |m| m.pair = "other".into());
        assert!(refusal(&state, OWNER).contains("another state"));
        std::fs::remove_file(root.join(".homing")).unwrap();
        assert!(refusal(&state, OWNER).contains("marker .homing is missing"));
        std::fs::remove_dir_all(&root).unwrap();
        assert!(refusal(&state, OWNER).contains("is missing"));

        let fresh = State::open(&dir.path().join("other.db"), Purpose::Run).unwrap();
        assert_eq!(find(&fresh, &root, OWNER).unwrap().adopting, Adoption::No);
        std::fs::create_dir_all(root.join("INBOX/cur")).unwrap();
        assert_eq!(find(&fresh, &root, OWNER).unwrap().adopting, Adoption::Asking);
    }

    #[test]
    fn who_adopts_a_maildir_takes_it_over() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("mail");
        let first = state_at(dir.path(), 5, 5);
        set_marker(dir.path(), |m| m.run = 5);
        let second = State::open(&dir.path().join("other.db"), Purpose::Run).unwrap();
        let footing = find(&second, &root, OWNER).unwrap();
        footing.begin(&second, &root, OWNER, 1).unwrap();
        // Else each would take the other's run numbers for a sign of age, and undo what was done in the Maildir.
        assert!(find(&first, &root, OWNER).unwrap_err().what.contains("another state"));
        let footing = find(&second, &root, OWNER).unwrap();
        assert!(!footing.distrust && !footing.restored);
    }
}

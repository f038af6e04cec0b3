//! The tree of mailboxes: creating, renaming, deleting.

use super::command::Command;
use super::conn::Conn;
use super::names::{NoName, Spelling};
use super::pipeline::{Event, Pipeline};
use super::pool::{Account, Holds};
use super::quirks;
use super::response::{Data, Reply, Status, StatusItems};
use super::selected::Selected;
use super::survey;
use super::wire::Keep;
use super::write::{ATTEMPTS, Answers};
use crate::error::{Failure, Reach, Result, Retry};
use crate::model::{IdSet, MailboxPath, RawName, Role};
use crate::store::{Done, Ticket, WriteJob};

/// So many mailboxes are created in one round trip.
pub(super) const TOGETHER: usize = 20;

/// Renames or deletes one. A lost connection does no harm: whether it was done is looked at again.
pub(super) fn tree(account: &Account, conn: &mut Conn, job: WriteJob, answers: &Answers) -> Result<()> {
    let (ticket, outcome) = match job {
        WriteJob::Rename { ticket, mailbox, to } => (ticket, rename(account, conn, &mailbox.raw, &to)),
        WriteJob::Delete { ticket, mailbox } => (ticket, delete(account, conn, &mailbox.raw)),
        _ => return Ok(()),
    };
    answer(ticket, outcome, answers)
}

fn answer(ticket: Ticket, outcome: Attempt, answers: &Answers) -> Result<()> {
    let (done, outcome) = match outcome {
        Ok(Ok(done)) => (done, Ok(())),
        Ok(Err(failure)) => (Done::Failed(IdSet::new(), failure), Ok(())),
        Err(lost) => {
            let failure = lost.hits(Reach::Mailbox).retry(Retry::Now);
            (Done::Unknown(IdSet::new(), failure), Err(lost))
        }
    };
    answers.send(ticket, done);
    answers.send(ticket, Done::Finished);
    outcome
}

/// A mailbox to create.
pub(super) struct Wanted {
    /// Under which number it is answered.
    pub(super) ticket: Ticket,
    /// Its decoded name.
    pub(super) path: MailboxPath,
    /// What it is for.
    pub(super) role: Option<Role>,
}

/// Creates mailboxes, the first time all in one round trip. One that is refused is tried again alone, without its role and
/// with the levels above it.
pub(super) fn create_some(account: &Account, conn: &mut Conn, wanted: &[Wanted], answers: &Answers) -> Result<()> {
    let mut outcome = Ok(());
    let tried = spelling(account, conn).and_then(|spelling| {
        let names: Vec<_> = wanted
            .iter()
            .filter_map(|wanted| Some((spelling.name(&wanted.path).ok()?, wanted.role)))
            .collect();
        Ok((try_create(conn, &names)?, spelling))
    });
    match tried {
        Err(lost) => {
            for wanted in wanted {
                outcome = answer(wanted.ticket, Err(lost.clone()), answers);
            }
        }
        Ok((tried, spelling)) => {
            let mut tried = tried.into_iter();
            for wanted in wanted {
                let attempt = match (spelling.name(&wanted.path), &outcome) {
                    (Err(why), _) => Ok(Err(unspeakable(&wanted.path, &why))),
                    (Ok(raw), Ok(())) => created(account, conn, &spelling, &wanted.path, raw, tried.next()),
                    (Ok(_), Err(lost)) => Err(Failure::clone(lost)),
                };
                let now = answer(wanted.ticket, attempt, answers);
                outcome = outcome.and(now);
            }
        }
    }
    outcome
}

/// The outer failure is the connection's, the inner one the mailbox's.
type Attempt = Result<Result<Done>>;

/// A command and its answer, asked again where the refusal passes.
fn ask(
    account: &Account,
    conn: &mut Conn,
    command: impl Fn() -> Command,
    mut each: impl FnMut(Data<'_>),
) -> Result<Reply> {
    let mut reply = conn.ask(command(), &mut each)?;
    for nth in 1..ATTEMPTS {
        if !account.rest(&reply, nth)? {
            break;
        }
        reply = conn.ask(command(), &mut each)?;
    }
    Ok(reply)
}

/// What came of a first try, or of a later one: where the refusal passes, without a role, and with the levels above.
fn created(
    account: &Account,
    conn: &mut Conn,
    spelling: &Spelling,
    path: &MailboxPath,
    raw: RawName,
    first: Option<Tried>,
) -> Attempt {
    let mut tried = first.ok_or_else(unanswered)?;
    for nth in 1..ATTEMPTS {
        if tried.exists || !account.rest(&tried.reply, nth)? {
            break;
        }
        tried = try_one(conn, &raw)?;
    }
    if !tried.exists && tried.was_for.is_some() {
        // RFC 6154 §3: a server may know no such use, or have it elsewhere already; the mailbox matters more.
        tried = try_one(conn, &raw)?;
    }
    if !tried.exists && path.parent().is_some() {
        // Most servers make the levels above by themselves (RFC 9051 §6.3.4), some must be asked for each.
        let mut above = Vec::new();
        let mut parent = path.parent();
        while let Some(path) = parent {
            above.extend(spelling.name(&path).ok());
            parent = path.parent();
        }
        for raw in above.iter().rev() {
            conn.ask(Command::new("CREATE").mailbox(raw), |_| ())?;
        }
        tried = try_one(conn, &raw)?;
    }
    if !tried.exists {
        let failure = Failure::mailbox(format!("the server does not create {path}: {}", tried.reply.text));
        let full = tried.reply.code.is("OVERQUOTA");
        let passes = full || quirks::passes(&tried.reply) || tried.reply.status == Status::Bad;
        return Ok(Err(failure.retry(if passes { Retry::Later } else { Retry::Never })));
    }
    let validity = tried.selected.validity;
    if let Some(validity) = validity {
        account.memory().tell(&raw, validity);
    }
    if validity.is_some() && !tried.selected.read_only {
        // So it need not be opened before the first message with keywords goes there.
        let holds = Holds::new(&tried.selected);
        account.memory().permanent.insert(raw.clone(), holds);
    }
    let identity = validity.map(survey::listed_as);
    Ok(Ok(Done::Created {
        raw,
        validity,
        identity,
    }))
}

struct Tried {
    exists: bool,
    /// The role that the server was asked to give it.
    was_for: Option<Role>,
    reply: Reply,
    /// What opening it told.
    selected: Selected,
}

fn try_one(conn: &mut Conn, raw: &RawName) -> Result<Tried> {
    let tried = try_create(conn, &[(raw.clone(), None)])?;
    tried.into_iter().next().ok_or_else(unanswered)
}

fn unanswered() -> Failure {
    Failure::mailbox("CREATE was not answered")
}

/// CREATE, SUBSCRIBE (HAZARDS 16) and a look at what came of it for each name, in one round trip. It is opened for that look:
/// what will be sent there needs to know its PERMANENTFLAGS.
fn try_create(conn: &mut Conn, names: &[(RawName, Option<Role>)]) -> Result<Vec<Tried>> {
    enum Step {
        Create(usize),
        Select(usize),
        Other,
    }
    let gives_roles = conn.capabilities.has("CREATE-SPECIAL-USE");
    let role_of = |role: Option<Role>| role.filter(|_| gives_roles);
    let mut pipeline = Pipeline::new(conn);
    for (nth, (raw, role)) in names.iter().enumerate() {
        let mut create = Command::new("CREATE").mailbox(raw);
        if let Some(role) = role_of(*role) {
            // RFC 6154 §3
            create = create.words(format!("(USE ({}))", role.attribute()));
        }
        pipeline.push(create, Step::Create(nth));
        pipeline.push(Command::new("SELECT").mailbox(raw), Step::Select(nth));
        pipeline.push(Command::new("SUBSCRIBE").mailbox(raw), Step::Other);
    }
    let mut looks: Vec<Option<Selected>> = names.iter().map(|_| None).collect();
    let mut replies: Vec<Option<Reply>> = names.iter().map(|_| None).collect();
    let mut selected = Selected::default();
    while let Some(event) = pipeline.next(&mut Keep)? {
        match event {
            Event::Data(_, data) if data.is_closed() => selected = Selected::default(),
            // Each waits for those before it, so the oldest tells which mailbox this is about.
            Event::Data(mut in_flight, data) => {
                if let Some(Step::Select(_)) = in_flight.front() {
                    selected.note(&data);
                }
            }
            Event::Done(step, reply) => {
                if let Some(failure) = pipeline.conn.suspects_pipelining(&reply) {
                    return Err(failure);
                }
                match step {
                    Step::Create(nth) => replies[nth] = Some(reply),
                    Step::Select(nth) => {
                        let mut look = std::mem::take(&mut selected);
                        look.note_code(&reply);
                        looks[nth] = reply.is_ok().then_some(look);
                    }
                    Step::Other => {}
                }
            }
        }
    }
    let each = names.iter().zip(replies).zip(looks);
    each.map(|(((_, role), reply), look)| {
        let reply = reply.ok_or_else(unanswered)?;
        let shown = look.as_ref().is_some_and(|look| look.validity.is_some());
        Ok(Tried {
            exists: shown || reply.is_ok() || reply.code.is("ALREADYEXISTS"),
            was_for: role_of(*role),
            reply,
            selected: look.unwrap_or_default(),
        })
    })
    .collect()
}

fn rename(account: &Account, conn: &mut Conn, from: &RawName, to: &MailboxPath) -> Attempt {
    let spelling = spelling(account, conn)?;
    let raw = match spelling.name(to) {
        Ok(raw) => raw,
        Err(why) => return Ok(Err(unspeakable(to, &why))),
    };
    if from.as_bytes().eq_ignore_ascii_case(b"INBOX") {
        // RFC 9051 §6.3.6: that would be a mass move, not a rename.
        return Ok(Err(Failure::mailbox("the INBOX cannot be renamed").retry(Retry::Never)));
    }
    conn.leave()?;
    let tree = Tree {
        from,
        to: &raw,
        separator: spelling.separator,
    };
    let subscribed = tree.subscribed(conn)?;
    let reply = ask(
        account,
        conn,
        || Command::new("RENAME").mailbox(from).mailbox(&raw),
        |_| (),
    )?;
    if !reply.is_ok() {
        let what = format!("the server does not rename the mailbox to {to}: {}", reply.text);
        return Ok(Err(Failure::mailbox(what)));
    }
    account.memory().rename(|name| tree.renamed(name));
    // RFC 9051 §6.3.6: subscriptions stay with the name.
    let mut pipeline = Pipeline::new(conn);
    for (old, new) in &subscribed {
        pipeline.push(Command::new("SUBSCRIBE").mailbox(new), ());
        pipeline.push(Command::new("UNSUBSCRIBE").mailbox(old), ());
    }
    while pipeline.next(&mut Keep)?.is_some() {}
    drop(pipeline);
    Ok(Ok(Done::Renamed { raw }))
}

/// A mailbox about to be renamed, with all that lies below it.
struct Tree<'a> {
    from: &'a RawName,
    to: &'a RawName,
    separator: Option<u8>,
}

impl Tree<'_> {
    /// What a mailbox will be called, if it is in the tree.
    fn renamed(&self, name: &RawName) -> Option<RawName> {
        let rest = name.as_bytes().strip_prefix(self.from.as_bytes())?;
        let inside = rest.first().is_none_or(|&first| Some(first) == self.separator);
        inside.then(|| RawName::new([self.to.as_bytes(), rest].concat()))
    }

    /// What of the tree is subscribed: the old and the new name of each.
    fn subscribed(&self, conn: &mut Conn) -> Result<Vec<(RawName, RawName)>> {
        let mut pipeline = Pipeline::new(conn);
        pipeline.push(Command::new("LSUB \"\"").mailbox(self.from), ());
        if let Some(separator) = self.separator {
            let below = RawName::new([self.from.as_bytes(), &[separator, b'*']].concat());
            pipeline.push(Command::new("LSUB \"\"").mailbox(&below), ());
        }
        let mut names = Vec::new();
        while let Some(event) = pipeline.next(&mut Keep)? {
            if let Event::Data(_, Data::List(list)) = event {
                // RFC 3501 §6.3.9: a level above something subscribed is told as \Noselect.
                let name = RawName::new(&list.name);
                let new = self.renamed(&name).filter(|_| !list.has("\\Noselect"));
                names.extend(new.map(|new| (name, new)));
            }
        }
        Ok(names)
    }
}

/// Deletes what is then seen empty.
fn delete(account: &Account, conn: &mut Conn, raw: &RawName) -> Attempt {
    if raw.as_bytes().eq_ignore_ascii_case(b"INBOX") {
        return Ok(Err(Failure::mailbox("the INBOX cannot be deleted").retry(Retry::Never)));
    }
    conn.leave()?;
    let mut status = StatusItems::default();
    let asked = || Command::new("STATUS").mailbox(raw).words("(MESSAGES UIDVALIDITY)");
    let reply = ask(account, conn, asked, |data| {
        if let Data::MailboxStatus(_, items) = data {
            status = items;
        }
    })?;
    if !reply.is_ok() && reply.code.is("NONEXISTENT") {
        return Ok(Ok(Done::Deleted));
    }
    if !reply.is_ok() || status.messages.is_none() {
        let what = format!("the server does not tell whether the mailbox is empty: {}", reply.text);
        return Ok(Err(Failure::mailbox(what)));
    }
    let expected = account.memory().expected(raw);
    if expected.is_some() && status.uidvalidity.is_some() && expected != status.uidvalidity {
        return Ok(Err(Failure::mailbox(
            "the mailbox was replaced by another one while homing ran",
        )));
    }
    if status.messages != Some(0) {
        let what = format!(
            "the mailbox is not empty: {} messages are in it",
            status.messages.unwrap_or(0)
        );
        return Ok(Err(Failure::mailbox(what)));
    }
    let reply = ask(account, conn, || Command::new("DELETE").mailbox(raw), |_| ())?;
    if !reply.is_ok() && !reply.code.is("NONEXISTENT") {
        return Ok(Err(Failure::mailbox(format!(
            "the server does not delete the mailbox: {}",
            reply.text
        ))));
    }
    conn.ask(Command::new("UNSUBSCRIBE").mailbox(raw), |_| ())?;
    account.memory().forget(raw);
    Ok(Ok(Done::Deleted))
}

/// How names are spelled; without a survey before, it is asked for.
fn spelling(account: &Account, conn: &mut Conn) -> Result<Spelling> {
    let known = account.memory().spelling.clone();
    match known {
        Some(spelling) => Ok(spelling),
        None => survey::learn_spelling(account, conn),
    }
}

fn unspeakable(path: &MailboxPath, why: &NoName) -> Failure {
    let why = match why {
        NoName::Separator(separator) => {
            format!("the server separates levels by {separator:?}, which the name contains")
        }
        NoName::Flat => "the server knows no mailboxes in mailboxes".to_owned(),
    };
    Failure::mailbox(format!("{path} cannot be created: {why}"))
        .retry(Retry::Never)
        .hint("rename the local mailbox, or give it another name on the server with `map`")
}

#[cfg(test)]
mod tests {
    use crate::imap::script::{Line, mailbox, text, write};
    use crate::model::{MailboxPath, Role};
    use crate::store::{Ticket, WriteJob};

    const SPELLING: [Line; 2] = [
        ("LIST \"\" \"\"", "* LIST (\\Noselect) \"/\" \"\"\n$ OK"),
        ("LIST \"\" \"INBOX\"", "* LIST () \"/\" INBOX\n$ OK"),
    ];

    fn create(path: &[&str]) -> WriteJob {
        WriteJob::Create {
            ticket: Ticket(1),
            path: MailboxPath::new(path.iter().map(|&c| c.to_owned())).unwrap(),
            role: Some(Role::Sent),
        }
    }

    fn delete(name: &str) -> WriteJob {
        WriteJob::Delete {
            ticket: Ticket(1),
            mailbox: mailbox(name),
        }
    }

    fn done(job: WriteJob, lines: &[Line]) -> String {
        let (outcomes, _) = write("UNSELECT", vec![lines.to_vec()], vec![job]);
        assert_eq!(outcomes[1..], ["finished"]);
        outcomes[0].clone()
    }

    #[test]
    fn one_refusal_among_many_is_only_that_ones() {
        let job = |ticket, name: &str| WriteJob::Create {
            ticket: Ticket(ticket),
            path: MailboxPath::new([name.to_owned()]).unwrap(),
            role: None,
        };
        let line = |name: &'static str, created: &'static str, selected: &'static str| -> [Line; 3] {
            [
                (text(format!("CREATE \"{name}\"")), created),
                ("SELECT", selected),
                ("SUBSCRIBE", "$ OK"),
            ]
        };
        let mut lines = SPELLING.to_vec();
        lines.extend(line("a", "$ OK", "* OK [UIDVALIDITY 3] v\n$ OK"));
        lines.extend(line("b", "$ NO [CANNOT] bad name", "$ NO [NONEXISTENT] none"));
        lines.extend(line("c", "$ OK", "* OK [UIDVALIDITY 5] v\n$ OK"));
        let (outcomes, _) = write("UNSELECT", vec![lines], vec![job(1, "a"), job(2, "b"), job(3, "c")]);
        let wanted = [
            "created a Some(3)",
            "finished",
            " failed never: the server does not create b: bad name",
            "finished",
            "created c Some(5)",
            "finished",
        ];
        assert_eq!(outcomes, wanted);
    }

    #[test]
    fn creating() {
        let create_line = "CREATE \"&APw-/b\"";
        let select: Line = ("SELECT \"&APw-/b\"", "* OK [UIDVALIDITY 3] v\n$ OK");
        let missing: Line = ("SELECT", "$ NO [NONEXISTENT] none");
        let subscribe: Line = ("SUBSCRIBE \"&APw-/b\"", "$ OK");
        for (what, lines, wanted) in [
            (
                "new",
                vec![(create_line, "$ OK"), select, subscribe],
                "created &APw-/b Some(3)",
            ),
            (
                "there already",
                vec![(create_line, "$ NO [ALREADYEXISTS] there"), select, subscribe],
                "created &APw-/b Some(3)",
            ),
            (
                "there already, without a code",
                vec![(create_line, "$ NO there"), select, subscribe],
                "created &APw-/b Some(3)",
            ),
            (
                "level by level",
                vec![
                    (create_line, "$ NO no parent"),
                    missing,
                    ("SUBSCRIBE", "$ NO"),
                    ("CREATE \"&APw-\"", "$ OK"),
                    (create_line, "$ OK"),
                    select,
                    subscribe,
                ],
                "created &APw-/b Some(3)",
            ),
            (
                "refused",
                vec![
                    (create_line, "$ NO [CANNOT] bad name"),
                    missing,
                    ("SUBSCRIBE", "$ NO"),
                    ("CREATE \"&APw-\"", "$ OK"),
                    (create_line, "$ NO [CANNOT] bad name"),
                    missing,
                    ("SUBSCRIBE", "$ NO"),
                ],
                " failed never: the server does not create ü/b: bad name",
            ),
        ] {
            let lines = [&SPELLING[..], &lines].concat();
            assert_eq!(done(create(&["ü", "b"]), &lines), wanted, "{what}");
        }
        let odd = done(create(&["a/b"]), &SPELLING);
        assert!(
            odd.contains("failed never: a/b cannot be created: the server separates levels by '/'"),
            "{odd}"
        );
    }

    #[test]
    fn a_role_is_given_where_it_can_be() {
        let with_role = "CREATE \"S\" (USE (\\Sent))";
        let there = ("SELECT", "* OK [UIDVALIDITY 3] v\n$ OK");
        let missing: Line = ("SELECT", "$ NO [NONEXISTENT] none");
        for (what, lines) in [
            ("given", vec![(with_role, "$ OK"), there, ("SUBSCRIBE", "$ OK")]),
            (
                "another mailbox has it",
                vec![
                    (with_role, "$ NO [USEATTR] taken"),
                    missing,
                    ("SUBSCRIBE", "$ NO"),
                    ("CREATE \"S\"", "$ OK"),
                    there,
                    ("SUBSCRIBE", "$ OK"),
                ],
            ),
        ] {
            let lines = [&SPELLING[..], &lines].concat();
            let (outcomes, _) = write("CREATE-SPECIAL-USE", vec![lines], vec![create(&["S"])]);
            assert_eq!(outcomes, ["created S Some(3)", "finished"], "{what}");
        }
    }

    #[test]
    fn deleting() {
        let leave: Line = ("UNSELECT", "$ BAD nothing is open");
        let asked = "STATUS \"A\" (MESSAGES UIDVALIDITY)";
        for (lines, wanted) in [
            (
                vec![
                    leave,
                    (asked, "* STATUS A (MESSAGES 0 UIDVALIDITY 7)\n$ OK"),
                    ("DELETE \"A\"", "$ OK"),
                    ("UNSUBSCRIBE \"A\"", "$ OK"),
                ],
                "deleted",
            ),
            (vec![leave, (asked, "$ NO [NONEXISTENT] gone")], "deleted"),
            (
                vec![leave, (asked, "* STATUS A (MESSAGES 1 UIDVALIDITY 7)\n$ OK")],
                " failed later: the mailbox is not empty: 1 messages are in it",
            ),
            (
                vec![leave, (asked, "* STATUS A (MESSAGES 0 UIDVALIDITY 6)\n$ OK")],
                " failed later: the mailbox was replaced by another one while homing ran",
            ),
            (
                vec![leave, (asked, "$ NO busy")],
                " failed later: the server does not tell whether the mailbox is empty: busy",
            ),
        ] {
            assert_eq!(done(delete("A"), &lines), wanted);
        }
        assert_eq!(done(delete("Inbox"), &[]), " failed never: the INBOX cannot be deleted");
    }

    #[test]
    fn renaming() {
        let job = || WriteJob::Rename {
            ticket: Ticket(1),
            mailbox: mailbox("A"),
            to: MailboxPath::parse("N").unwrap(),
        };
        let begin = [SPELLING[0], SPELLING[1], ("UNSELECT", "$ OK")];
        let good = [
            &begin[..],
            &[
                ("LSUB \"\" \"A\"", "* LSUB () \"/\" A\n$ OK"),
                (
                    "LSUB \"\" \"A/*\"",
                    "* LSUB () \"/\" A/b\n* LSUB () \"/\" AB\n* LSUB (\\Noselect) \"/\" A/c\n$ OK",
                ),
                ("RENAME \"A\" \"N\"", "$ OK"),
                ("SUBSCRIBE \"N\"", "$ OK"),
                ("UNSUBSCRIBE \"A\"", "$ OK"),
                ("SUBSCRIBE \"N/b\"", "$ OK"),
                ("UNSUBSCRIBE \"A/b\"", "$ OK"),
            ],
        ]
        .concat();
        assert_eq!(done(job(), &good), "renamed N");
        let none = [("LSUB", "$ OK"), ("LSUB", "$ OK")];
        let bad = [&begin[..], &none, &[("RENAME", "$ NO [ALREADYEXISTS] taken")]].concat();
        assert_eq!(
            done(job(), &bad),
            " failed later: the server does not rename the mailbox to N: taken"
        );
    }
}

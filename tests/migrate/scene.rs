//! Two servers and homing between them.

use std::collections::BTreeMap;

use crate::support::mail::Mail;
use crate::support::server::{Account, Server, Setup};
use crate::support::witness;
use crate::support::world::{Run, World};

pub(crate) const USER: &str = "user";

pub(crate) struct Scene {
    pub(crate) from: Server,
    pub(crate) to: Server,
    pub(crate) world: World,
}

impl Scene {
    /// Accounts `personal` on FROM and `new` on TO.
    pub(crate) fn new(from: Setup, to: Setup) -> Self {
        let (from, to) = (Server::start(from), Server::start(to));
        let world = World::in_memory(from.port(), USER);
        let mut scene = Self { from, to, world };
        scene.world.unset("maildir");
        scene.configure_to("");
        scene
    }

    /// FROM as most servers are; TO below a prefix, with another separator, and with fewer extensions.
    pub(crate) fn unlike() -> Self {
        let mut to = Setup::default().without(&["QRESYNC", "LIST-STATUS", "LITERAL+"]);
        to.separator = Some('.');
        to.prefix = "INBOX.".into();
        Self::new(Setup::default(), to)
    }

    /// Further keys of TO's account.
    pub(crate) fn configure_to(&mut self, keys: &str) {
        let port = self.to.port();
        self.world.set_beside(&format!(
            "[accounts.new]\nhost = \"127.0.0.1\"\nport = {port}\ntls = \"none\"\nuser = \"{USER}\"\n\
             password-command = \"echo pass\"\n{keys}\n"
        ));
    }

    pub(crate) fn on_from<T>(&self, change: impl FnOnce(&mut Account) -> T) -> T {
        self.from.with(USER, change)
    }

    pub(crate) fn on_to<T>(&self, change: impl FnOnce(&mut Account) -> T) -> T {
        self.to.with(USER, change)
    }

    pub(crate) fn migrate(&self, arguments: &[&str]) -> Run {
        self.world.run(&[&["migrate", "personal", "new"], arguments].concat())
    }

    /// A run after which everything has arrived.
    #[track_caller]
    pub(crate) fn migrate_ok(&self, arguments: &[&str]) -> Run {
        let run = self.migrate(arguments);
        assert_eq!(run.exit, 0, "{run:#?}\n{}", self.to.transcript());
        let changing: Vec<String> = self.from.changing().iter().map(|e| e.line.clone()).collect();
        assert!(changing.is_empty(), "FROM is only read: {changing:?}");
        run
    }

    /// A further run sends nothing that changes either server.
    #[track_caller]
    pub(crate) fn assert_idle(&self) {
        self.to.clear();
        let run = self.migrate_ok(&[]);
        let changing: Vec<String> = self.to.changing().iter().map(|e| e.line.clone()).collect();
        assert!(changing.is_empty(), "a further run sent {changing:?}");
        assert_eq!(run.changes(), 0, "{run:#?}");
        for server in [&self.from, &self.to] {
            assert!(server.complaints().is_empty(), "{:#?}", server.complaints());
        }
    }

    /// What is on FROM and on TO, each by an independent witness.
    pub(crate) fn look(&self) -> [witness::Account; 2] {
        [&self.from, &self.to].map(|server| {
            let witness = witness::Server::new("127.0.0.1", server.port(), USER);
            witness.below(&server.setup().prefix).look()
        })
    }

    /// TO holds what FROM holds, under these other names, and nothing else.
    #[track_caller]
    pub(crate) fn assert_same(&self, renamed: &[(&str, &str)]) {
        let [mut from, to] = self.look();
        let levels = |name: &str| -> Vec<String> { name.split('/').map(str::to_owned).collect() };
        for (left, right) in renamed {
            let mailbox = from.mailboxes.remove(&levels(left)).expect(left);
            from.mailboxes.insert(levels(right), mailbox);
        }
        let difference = from.difference("FROM", &to, "TO");
        assert!(difference.is_empty(), "{difference}");
    }
}

/// The verdicts of a run by FROM's name of the mailbox.
pub(crate) fn verdicts(run: &Run) -> BTreeMap<String, serde_json::Value> {
    let list = run.account()["mailboxes"].as_array().expect("verdicts");
    list.iter()
        .map(|verdict| (verdict["from"].as_str().expect("a name").to_owned(), verdict.clone()))
        .collect()
}

/// A message that no other step has.
pub(crate) fn mail(subject: &str) -> Mail {
    Mail::simple(subject)
}

//! Which function executes which command.

use std::io;

use super::account::Account;
use super::parse::{self, Command, Oops, Phase};
use super::read::Incoming;
use super::reply::Reply;
use super::session::Session;
use super::shared::lock;

impl Session {
    pub(super) fn execute(&mut self, incoming: &Incoming) -> io::Result<Reply> {
        let command = match parse::command(&incoming.bytes, self.caps(), self.utf8) {
            Ok((command, notes)) => {
                for note in notes {
                    self.shared.complain(self.number, &incoming.bytes, &note);
                }
                command
            }
            Err(Oops::Bad(why)) => return Ok(self.bad(incoming, &why)),
            Err(Oops::More) => return Ok(self.bad(incoming, "it ends within a literal")),
        };
        let phase = match (&self.user, &self.view) {
            (None, _) => Phase::NotAuthenticated,
            (Some(_), None) => Phase::Authenticated,
            (Some(_), Some(_)) => Phase::Selected,
        };
        let allowed = match command.phase() {
            Phase::Any => true,
            Phase::NotAuthenticated => phase == Phase::NotAuthenticated,
            needed => phase >= needed,
        };
        if !allowed {
            return Ok(self.out_of_phase(incoming, phase));
        }
        if let Command::Authenticate { mechanism, initial } = command {
            return self.authenticate(incoming, &mechanism, initial);
        }
        let mut reply = self.carry_out(command);
        if !reply.close {
            self.tell(&mut reply, &incoming.verb);
        }
        Ok(reply)
    }

    fn bad(&self, incoming: &Incoming, why: &str) -> Reply {
        self.shared.complain(self.number, &incoming.bytes, why);
        Reply::bad(why)
    }

    /// A command behind a SELECT that failed is the natural lot of a client that pipelines: refused, not complained of.
    fn out_of_phase(&self, incoming: &Incoming, phase: Phase) -> Reply {
        let why = format!("not now: {phase:?}");
        if phase == Phase::Authenticated {
            Reply::bad(why)
        } else {
            self.bad(incoming, &why)
        }
    }

    fn carry_out(&mut self, command: Command) -> Reply {
        match command {
            Command::Capability => {
                let mut reply = Reply::ok("done");
                reply.untagged(&self.capability());
                reply
            }
            Command::Noop | Command::Check => Reply::ok("done"),
            Command::Id => {
                let mut reply = Reply::ok("done");
                reply.untagged("ID (\"name\" \"test server\")");
                reply
            }
            Command::Logout => {
                let mut reply = Reply::bye("see you");
                (reply.untagged_only, reply.text) = (false, "done".into());
                reply
            }
            Command::StartTls => self.start_tls(),
            Command::Login { user, password } => self.login(&user, &password),
            Command::Authenticate { .. } => unreachable!("needs the connection and is done before"),
            command => self.with_account(|session, account| session.on_account_command(account, command)),
        }
    }

    fn with_account(&mut self, work: impl FnOnce(&mut Self, &mut Account) -> Reply) -> Reply {
        let shared = std::sync::Arc::clone(&self.shared);
        let mut accounts = lock(&shared.accounts);
        let user = self.user.clone().expect("the phase was checked");
        let account = accounts.get_mut(&user).expect("logged in");
        work(self, account)
    }

    fn on_account_command(&mut self, account: &mut Account, command: Command) -> Reply {
        let done = match command {
            Command::Enable(names) => Ok(self.enable(&names)),
            Command::Select {
                mailbox,
                examine,
                condstore,
                qresync,
            } => {
                self.condstore |= condstore;
                self.select(account, &mailbox, examine, qresync.as_ref())
            }
            Command::Create { mailbox, role } => self.create(account, &mailbox, role),
            Command::Delete(mailbox) => self.delete(account, &mailbox),
            Command::Rename { from, to } => self.rename(account, &from, &to),
            Command::Subscribe(mailbox) => {
                account.subscribed.insert(mailbox);
                Ok(Reply::ok("done"))
            }
            Command::Unsubscribe(mailbox) => {
                account.subscribed.remove(&mailbox);
                Ok(Reply::ok("done"))
            }
            Command::List(args) => Ok(self.list(account, &args)),
            Command::Namespace => Ok(self.namespace()),
            Command::Status { mailbox, items } => self.status(account, &mailbox, &items),
            Command::Append { mailbox, messages } => self.append(account, &mailbox, &messages),
            command => self.on_view_command(account, command),
        };
        done.unwrap_or_else(|refused| refused)
    }

    fn on_view_command(&mut self, account: &mut Account, command: Command) -> Result<Reply, Reply> {
        let view = self.view.as_ref().expect("the phase was checked");
        let Some(name) = account.name_of(view.epoch) else {
            if matches!(command, Command::Close | Command::Unselect) {
                self.view = None;
                return Ok(Reply::ok("done"));
            }
            return Err(Reply::no("[NONEXISTENT] the selected mailbox is gone"));
        };
        match command {
            Command::Close => {
                if !view.read_only {
                    super::commands::expunge_marked(account, &name, None);
                }
                self.view = None;
                Ok(Reply::ok("done"))
            }
            Command::Unselect => {
                self.view = None;
                Ok(Reply::ok("done"))
            }
            Command::Expunge { uids } => self.expunge(account, &name, uids.as_ref()),
            Command::Search { uid, key, returns } => self.search(account, &name, uid, &key, returns),
            Command::Fetch {
                uid,
                set,
                items,
                changed_since,
                vanished,
            } => {
                let ask = super::commands::Ask {
                    uid,
                    set,
                    items,
                    changed_since,
                    vanished,
                };
                self.fetch(account, &name, &ask)
            }
            Command::Store(store) => self.store(account, &name, &store),
            Command::Copy {
                uid,
                set,
                to,
                and_expunge,
            } => self.copy(account, &name, uid, &set, &to, and_expunge),
            other => unreachable!("no command of a selected mailbox: {other:?}"),
        }
    }
}

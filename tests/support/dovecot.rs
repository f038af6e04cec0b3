//! A real IMAP server for tests: a private Dovecot on loopback.
//!
//! Any user name with the password `pass` is a fresh, empty account, so tests share one server and don't disturb each
//! other. The server needs no privilege, touches nothing outside its folder in `/tmp`, and ends, with the folder, when
//! the test process does, however that ends.
//!
//! With `HOMING_REAL_SERVERS=1` (as `make test` sets it) a missing Dovecot is fetched where that is possible, and else a
//! failure. Without it, tests that need the server say that they were skipped.

mod config;
mod install;
pub(crate) mod tls;

use std::fmt;
use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use install::Programs;
use tls::Certificates;

/// All that Dovecot 2.3 says after login, in the configuration used here.
const ALL_CAPABILITIES: &str = "IMAP4rev1 SASL-IR LOGIN-REFERRALS ID ENABLE IDLE SORT SORT=DISPLAY THREAD=REFERENCES \
    THREAD=REFS THREAD=ORDEREDSUBJECT MULTIAPPEND URL-PARTIAL CATENATE UNSELECT CHILDREN NAMESPACE UIDPLUS LIST-EXTENDED \
    I18NLEVEL=1 CONDSTORE QRESYNC ESEARCH ESORT SEARCHRES WITHIN CONTEXT=SEARCH LIST-STATUS BINARY MOVE SNIPPET=FUZZY \
    PREVIEW=FUZZY PREVIEW STATUS=SIZE SAVEDATE LITERAL+ NOTIFY SPECIAL-USE QUOTA";

/// How mail lies on the server's disk.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) enum Layout {
    /// Maildir++: names may not hold a `.`, nor begin with `~`.
    #[default]
    Maildir,
    /// Dovecot's own format: names may hold nearly anything.
    Sdbox,
}

impl Layout {
    /// The driver, and where a user's mail is.
    const fn location(self) -> (&'static str, &'static str) {
        match self {
            Self::Maildir => ("maildir", "~/Maildir"),
            Self::Sdbox => ("sdbox", "~/sdbox"),
        }
    }
}

/// What a server differs in from the others.
#[derive(Clone, Debug)]
pub(crate) struct Variant {
    /// What it says that it can do; `None`: all. What it does not say still works when it is sent.
    capabilities: Option<String>,
    layout: Layout,
    separator: char,
    prefix: &'static str,
    /// Mailboxes have rights (RFC 4314), by a file `dovecot-acl` in the directory of each.
    has_rights: bool,
}

impl Default for Variant {
    fn default() -> Self {
        Self {
            capabilities: None,
            layout: Layout::default(),
            separator: '/',
            prefix: "",
            has_rights: false,
        }
    }
}

impl Variant {
    /// A server that does not say these capabilities.
    pub(crate) fn masked(hidden: &str) -> Self {
        let left: Vec<&str> = ALL_CAPABILITIES
            .split_whitespace()
            .filter(|c| !hidden.split_whitespace().any(|h| h == *c))
            .collect();
        Self::saying(&left.join(" "))
    }

    /// A server that says just these.
    pub(crate) fn saying(capabilities: &str) -> Self {
        Self {
            capabilities: Some(capabilities.into()),
            ..Self::default()
        }
    }

    /// A server where all mailboxes are below `INBOX.`.
    pub(crate) fn below_inbox() -> Self {
        Self {
            separator: '.',
            prefix: "INBOX.",
            ..Self::default()
        }
    }

    /// A server where what may be done in a mailbox is up to its rights.
    pub(crate) fn with_rights() -> Self {
        Self {
            has_rights: true,
            ..Self::default()
        }
    }

    /// A server with another layout.
    pub(crate) fn stored_as(layout: Layout) -> Self {
        Self {
            layout,
            ..Self::default()
        }
    }
}

/// Why a test against the server cannot run.
#[derive(Clone, Debug)]
pub(crate) struct Skip(String);

impl fmt::Display for Skip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A running server. Dropped, it ends.
pub(crate) struct Dovecot {
    /// Always 127.0.0.1; for other certificates see [`tls::Certificate::address`].
    pub(crate) host: &'static str,
    /// For cleartext and STARTTLS.
    pub(crate) port: u16,
    /// For implicit TLS.
    pub(crate) tls_port: u16,
    /// What it shows to those who come by TLS.
    pub(crate) certificates: Certificates,
    /// What it says of its version.
    #[allow(dead_code)] // the benchmark tells it
    pub(crate) version: String,
    home: PathBuf,
    keeper: Child,
}

impl Dovecot {
    /// The server that the tests of this process share.
    pub(crate) fn get() -> Result<&'static Self, Skip> {
        static SHARED: OnceLock<Result<Dovecot, Skip>> = OnceLock::new();
        SHARED
            .get_or_init(|| Self::start(&Variant::default()))
            .as_ref()
            .map_err(Clone::clone)
    }

    /// The shared server; where there is none, says that the calling test is skipped, or fails it if real servers are
    /// required.
    pub(crate) fn shared() -> Option<&'static Self> {
        Self::get().inspect_err(skip).ok()
    }

    /// A server of one's own; see [`Self::shared`] for what happens where there is none.
    pub(crate) fn own(variant: &Variant) -> Option<Self> {
        Self::start(variant).inspect_err(skip).ok()
    }

    fn start(variant: &Variant) -> Result<Self, Skip> {
        let installed = install::find(required()).map_err(Skip)?;
        // A port that was free a moment ago can be taken.
        let mut last = String::new();
        for _ in 0..3 {
            match Self::try_start(&installed, variant) {
                Ok(server) => return Ok(server),
                Err(why) => last = why,
            }
        }
        // The server is there and does not run: that is never a reason to skip.
        panic!("Dovecot does not start: {last}");
    }

    fn try_start(installed: &install::Installed, variant: &Variant) -> Result<Self, String> {
        let identity = Identity::find()?;
        let folder = install::new_home()?;
        let home = folder.path().to_owned();
        let programs = installed.programs(&home)?;
        let certificates = Certificates::make(&home.join("tls"))?;
        let (port, tls_port) = free_ports().map_err(|e| e.to_string())?;
        let place = config::Place {
            modern: programs.are_modern()?,
            home: &home,
            user: &identity.user,
            group: &identity.group,
            port,
            tls_port,
            libraries: programs.libraries.as_deref(),
            certificates: &certificates,
        };
        config::write(&place, variant).map_err(|e| e.to_string())?;
        identity.hand_over(&home).map_err(|e| e.to_string())?;
        let mut command = identity.command(&programs);
        command.arg("-F").arg("-c").arg(home.join("dovecot.conf"));
        let keeper = keep(&home, &command).map_err(|e| e.to_string())?;
        let _ = folder.keep(); // The keeper removes it.
        let server = Self {
            host: "127.0.0.1",
            port,
            tls_port,
            certificates,
            version: programs.version()?,
            home,
            keeper,
        };
        server.wait_until_ready().map(|()| server)
    }

    /// Where a user's mail lies: below it `Maildir` or `sdbox`.
    pub(crate) fn mail_home(&self, user: &str) -> PathBuf {
        self.home.join("mail").join(user)
    }

    /// The end of the server's log, for a failing test.
    pub(crate) fn log(&self) -> String {
        let text = fs::read_to_string(self.home.join("log")).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(15)..].join("\n")
    }

    fn wait_until_ready(&self) -> Result<(), String> {
        let end = Instant::now() + Duration::from_secs(20);
        while Instant::now() < end {
            if greets(self.host, self.port).unwrap_or(false) {
                return Ok(());
            }
            if self.log().contains("Fatal: ") {
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let said = fs::read_to_string(self.home.join("said")).unwrap_or_default();
        Err(format!("{}{}", said, self.log()))
    }
}

impl Drop for Dovecot {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
    }
}

/// Starts the server under a shell that ends it, and removes its folder, when the pipe to this process closes. So it
/// ends with us even if we are killed.
fn keep(home: &Path, server: &Command) -> io::Result<Child> {
    const SCRIPT: &str = "cd \"$0\" && umask 077; \"$@\" >said 2>&1 & pid=$!
        cat >/dev/null; kill $pid; wait $pid; cd / && rm -rf -- \"$0\"";
    let mut shell = Command::new("sh");
    shell
        .arg("-c")
        .arg(SCRIPT)
        .arg(home)
        .arg(server.get_program())
        .args(server.get_args());
    for (name, value) in server.get_envs() {
        shell.env(name, value.unwrap_or_default());
    }
    shell
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
}

fn greets(host: &str, port: u16) -> io::Result<bool> {
    let stream = TcpStream::connect((host, port))?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line)?;
    Ok(line.starts_with("* OK"))
}

fn free_ports() -> io::Result<(u16, u16)> {
    let (a, b) = (TcpListener::bind("127.0.0.1:0")?, TcpListener::bind("127.0.0.1:0")?);
    Ok((a.local_addr()?.port(), b.local_addr()?.port()))
}

/// Whom the server runs as. It refuses to serve mail as root, so root becomes `daemon`.
struct Identity {
    user: String,
    group: String,
    switch: bool,
}

impl Identity {
    fn find() -> Result<Self, String> {
        let (uid, gid) = (rustix::process::geteuid(), rustix::process::getegid());
        if uid.is_root() {
            return Ok(Self {
                user: "daemon".into(),
                group: "daemon".into(),
                switch: true,
            });
        }
        let named = |file: &str, id: u32| {
            let text = fs::read_to_string(file).unwrap_or_default();
            text.lines()
                .map(|line| line.split(':').collect::<Vec<_>>())
                .find(|fields| fields.get(2) == Some(&id.to_string().as_str()))
                .map(|fields| fields[0].to_owned())
                .ok_or_else(|| format!("Dovecot needs a name for id {id}, and {file} has none"))
        };
        Ok(Self {
            user: named("/etc/passwd", uid.as_raw())?,
            group: named("/etc/group", gid.as_raw())?,
            switch: false,
        })
    }

    /// The master process, as that user.
    fn command(&self, programs: &Programs) -> Command {
        let mut command;
        if self.switch {
            command = Command::new("setpriv");
            command.args(["--reuid", &self.user, "--regid", &self.group, "--clear-groups", "--"]);
            command.arg(&programs.dovecot);
        } else {
            command = Command::new(&programs.dovecot);
        }
        if let Some(libraries) = &programs.libraries {
            command.env("LD_LIBRARY_PATH", libraries);
        }
        command
    }

    /// Makes the folder the server's own.
    fn hand_over(&self, home: &Path) -> io::Result<()> {
        for dir in ["run", "state", "mail"] {
            fs::create_dir(home.join(dir))?;
        }
        if !self.switch {
            return Ok(());
        }
        let owner = format!("{}:{}", self.user, self.group);
        let done = Command::new("chown").args(["-R", &owner]).arg(home).status()?;
        if done.success() {
            Ok(())
        } else {
            Err(io::Error::other("chown failed"))
        }
    }
}

/// Whether `make test` runs us.
pub(crate) fn required() -> bool {
    std::env::var_os("HOMING_REAL_SERVERS").is_some_and(|v| !v.is_empty() && v != "0")
}

/// Says that the calling test is skipped; fails it if real servers are required.
fn skip(why: &Skip) {
    assert!(!required(), "{why}");
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("a test");
    say(&format!("skipped: {test}: {why} (make test runs it)"));
}

/// Prints a line even where the test harness holds back what tests print.
pub(crate) fn say(line: &str) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}

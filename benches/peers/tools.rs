//! The programs that are measured: how each is told to do the same, and what it is called with.

use std::fs::{self, File};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A program, with the durability that it is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Tool {
    Homing,
    /// `fsync = "off"`.
    HomingNoSync,
    /// As it comes: with FSync.
    Mbsync,
    /// `FSync no`.
    MbsyncNoSync,
    OfflineImap,
    /// Between two IMAP servers; the local one is a second account on the same Dovecot.
    InterImap,
}

impl Tool {
    pub(crate) const ALL: [Self; 6] = [
        Self::Homing,
        Self::HomingNoSync,
        Self::Mbsync,
        Self::MbsyncNoSync,
        Self::OfflineImap,
        Self::InterImap,
    ];

    /// As the tables call it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Homing => "homing",
            Self::HomingNoSync => "homing, no fsync",
            Self::Mbsync => "mbsync",
            Self::MbsyncNoSync => "mbsync, no fsync",
            Self::OfflineImap => "OfflineIMAP",
            Self::InterImap => "interimap",
        }
    }

    /// Whether this is the program in another setting than the usual one.
    pub(crate) fn is_variant(self) -> bool {
        matches!(self, Self::HomingNoSync | Self::MbsyncNoSync)
    }

    /// The program that a row is compared with: homing at the same durability.
    pub(crate) fn counterpart(self) -> Self {
        if self == Self::MbsyncNoSync {
            Self::HomingNoSync
        } else {
            Self::Homing
        }
    }

    fn program(self) -> &'static str {
        match self {
            Self::Homing | Self::HomingNoSync => env!("CARGO_BIN_EXE_homing"),
            Self::Mbsync | Self::MbsyncNoSync => "mbsync",
            Self::OfflineImap => "offlineimap",
            Self::InterImap => "interimap",
        }
    }

    /// What it says of itself; `None`: it is not installed.
    pub(crate) fn version(self) -> Option<String> {
        let out = Command::new(self.program()).arg("--version").output().ok()?;
        let text = String::from_utf8_lossy(&out.stdout).into_owned();
        Some(text.lines().next().unwrap_or("").trim().to_owned())
    }
}

/// A program's own folder: its configuration, its state, and the Maildir.
pub(crate) struct Place {
    pub(crate) tool: Tool,
    pub(crate) dir: PathBuf,
    /// Where its messages are.
    pub(crate) near: Near,
}

/// The side that is not the server.
pub(crate) struct Near {
    /// The Maildir.
    pub(crate) root: PathBuf,
    /// Mailboxes are `.NAME` beside the INBOX, which is the root itself: the account of a Dovecot.
    pub(crate) plus_plus: bool,
}

impl Near {
    /// The directory of a mailbox.
    pub(crate) fn mailbox(&self, name: &str) -> PathBuf {
        match (self.plus_plus, name) {
            (true, "INBOX") => self.root.clone(),
            (true, name) => self.root.join(format!(".{name}")),
            (false, name) => self.root.join(name),
        }
    }
}

/// The two servers that a program is told of.
pub(crate) struct Servers<'a> {
    pub(crate) user: &'a str,
    /// Directly, or the proxy.
    pub(crate) port: u16,
    /// Where interimap finds its local account, `near-USER`.
    pub(crate) local_port: u16,
}

impl Place {
    /// Configures a program in a new folder.
    pub(crate) fn new(tool: Tool, dir: PathBuf, near: Near, servers: &Servers) -> Self {
        fs::create_dir_all(&dir).expect("a folder");
        if !near.plus_plus {
            fs::create_dir_all(&near.root).expect("a folder");
        }
        let place = Self { tool, dir, near };
        place.configure(servers);
        place
    }

    /// Tells it where the server is.
    pub(crate) fn configure(&self, servers: &Servers) {
        write(&self.dir.join("password"), "pass\n");
        write(&self.dir.join("config"), &self.config(servers));
    }

    fn config(&self, servers: &Servers) -> String {
        let (dir, mail) = (self.dir.display(), self.near.root.display());
        let Servers { user, port, local_port } = servers;
        match self.tool {
            Tool::Homing | Tool::HomingNoSync => {
                let extra = match self.tool {
                    Tool::HomingNoSync => "fsync = \"off\"\n",
                    _ => "",
                };
                format!(
                    "[accounts.a]\nhost = \"127.0.0.1\"\nport = {port}\ntls = \"none\"\nuser = \"{user}\"\n\
                     password-file = \"{dir}/password\"\nmaildir = \"{mail}\"\n{extra}"
                )
            }
            Tool::Mbsync | Tool::MbsyncNoSync => {
                let sync = if self.tool == Tool::Mbsync { "yes" } else { "no" };
                format!(
                    "FSync {sync}\n\nIMAPAccount a\nHost 127.0.0.1\nPort {port}\nUser {user}\nPass pass\nSSLType None\n\
                     AuthMechs LOGIN\nDisableExtensions COMPRESS=DEFLATE\n\nIMAPStore far\nAccount a\n\n\
                     MaildirStore near\nPath {mail}/\nInbox {mail}/INBOX\nSubFolders Verbatim\n\nChannel c\nFar :far:\n\
                     Near :near:\nPatterns *\nCreate Both\nExpunge Both\nCopyArrivalDate yes\nSyncState *\n"
                )
            }
            Tool::OfflineImap => format!(
                "[general]\naccounts = a\nmetadata = {dir}/meta\n[Account a]\nlocalrepository = near\n\
                 remoterepository = far\n[Repository near]\ntype = Maildir\nlocalfolders = {mail}\n[Repository far]\n\
                 type = IMAP\nremotehost = 127.0.0.1\nremoteport = {port}\nremoteuser = {user}\nremotepass = pass\n\
                 ssl = no\nstarttls = no\nauth_mechanisms = LOGIN\nmaxconnections = 4\n"
            ),
            Tool::InterImap => {
                let side = |port: u16, user: &str| {
                    format!(
                        "type = imap\nhost = 127.0.0.1\nport = {port}\nusername = {user}\npassword = pass\n\
                         STARTTLS = NO\nauth = LOGIN\ncompress = NO\n"
                    )
                };
                format!(
                    "database = {dir}/state.db\n\n[local]\n{}\n[remote]\n{}",
                    side(*local_port, &format!("near-{user}")),
                    side(*port, user)
                )
            }
        }
    }

    /// The program, ready to run.
    pub(crate) fn command(&self) -> Command {
        let config = self.dir.join("config");
        let mut command = Command::new(self.tool.program());
        match self.tool {
            Tool::Homing | Tool::HomingNoSync => command.arg("--config").arg(config).args(["-q", "sync"]),
            Tool::Mbsync | Tool::MbsyncNoSync => command.arg("-q").arg("-c").arg(config).arg("-a"),
            Tool::OfflineImap => command.args(["-o", "-u", "quiet", "-c"]).arg(config),
            Tool::InterImap => command.arg("--config").arg(config),
        };
        let log = || {
            File::options()
                .append(true)
                .create(true)
                .open(self.dir.join("log"))
                .expect("a log")
        };
        command
            .env("HOME", &self.dir)
            .env_remove("XDG_CONFIG_HOME")
            .env_remove("XDG_STATE_HOME")
            .env_remove("XDG_DATA_HOME")
            .current_dir(&self.dir)
            .stdin(Stdio::null())
            .stdout(log())
            .stderr(log());
        command
    }

    /// The end of what it said.
    pub(crate) fn log(&self) -> String {
        let text = fs::read_to_string(self.dir.join("log")).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(5)..].join(" | ")
    }
}

fn write(path: &Path, text: &str) {
    use std::io::Write as _;
    let mut file = File::options()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .expect("a file");
    file.write_all(text.as_bytes()).expect("room on the disk");
}

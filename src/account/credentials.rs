//! Where passwords and tokens come from.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

use crate::error::{Failure, Kind, Result, Retry};
use crate::secret::Secret;

/// Where a secret is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// What this line prints, run by `sh -c`.
    Shell(String),
    /// What this program prints; the program first, then its arguments.
    Program(Vec<String>),
    /// What is in this file.
    File(PathBuf),
    /// What this environment variable holds.
    Variable(String),
}

/// A secret that is fetched when it is needed.
#[derive(Debug)]
pub struct Credentials {
    origin: Origin,
    /// A token gets old: it is fetched anew for each connection.
    fresh: bool,
    fetched: Mutex<Option<Secret>>,
}

impl Credentials {
    /// From there; `fresh` ones are fetched each time, others once.
    pub const fn new(origin: Origin, fresh: bool) -> Self {
        Self {
            origin,
            fresh,
            fetched: Mutex::new(None),
        }
    }

    /// Where it is kept.
    pub const fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Fetches the secret: the first line of what the origin gives. A command runs with our own standard input and error
    /// output, so that it can ask its user; only one runs at a time, and once for all connections unless it is `fresh`.
    ///
    /// A command that fails is [`Kind::Login`], since only it stands between us and the login, and may pass (a locked
    /// keyring). A file or variable that is not there, or that others can read, is [`Kind::Config`].
    pub fn secret(&self) -> Result<Secret> {
        let mut fetched = self.fetched.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(secret) = fetched.as_ref().filter(|_| !self.fresh) {
            return Ok(secret.clone());
        }
        let secret = self.origin.fetch()?;
        *fetched = Some(secret.clone());
        Ok(secret)
    }
}

impl Origin {
    fn fetch(&self) -> Result<Secret> {
        let (bytes, from) = match self {
            Self::Shell(line) => {
                let mut shell = Command::new("sh");
                shell.arg("-c").arg(line);
                (run(shell)?, "password-command printed")
            }
            Self::Program(words) => {
                let (program, arguments) = words
                    .split_first()
                    .ok_or_else(|| refused("password-command is empty"))?;
                let mut command = Command::new(program);
                command.args(arguments);
                (run(command)?, "password-command printed")
            }
            Self::File(path) => (read_private(path)?, "password-file holds"),
            Self::Variable(name) => {
                let value = std::env::var_os(name)
                    .ok_or_else(|| refused(format!("the environment variable {name} (password-env) is not set")))?;
                (value.into_encoded_bytes(), "password-env holds")
            }
        };
        first_line(bytes).map_err(|why| self.failure(format!("{from} {why}")))
    }

    /// A failure of the kind that goes with the origin.
    fn failure(&self, what: String) -> Failure {
        match self {
            Self::Shell(_) | Self::Program(_) => command_failed(what),
            Self::File(_) | Self::Variable(_) => refused(what),
        }
    }
}

fn refused(what: impl Into<String>) -> Failure {
    Failure::account(Kind::Config, what)
}

fn command_failed(what: impl Into<String>) -> Failure {
    Failure::account(Kind::Login, what)
        .retry(Retry::Later)
        .hint("run the command by hand: it must print the password and end with success")
}

/// What a command prints. Its words are never shown: they may hold what should not be.
fn run(mut command: Command) -> Result<Vec<u8>> {
    let output = command
        .stdin(Stdio::inherit())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| command_failed(format!("password-command cannot be run: {error}")))?;
    if output.status.success() {
        Ok(output.stdout)
    } else {
        Err(command_failed(format!("password-command failed: {}", output.status)))
    }
}

/// The content of a file that is nobody else's business.
fn read_private(path: &Path) -> Result<Vec<u8>> {
    let unreadable = |error| refused(format!("cannot read password-file {}: {error}", path.display()));
    let about = std::fs::metadata(path).map_err(unreadable)?;
    // As ssh does with keys: what somebody else owns and shares with us is that one's decision.
    if about.uid() == rustix::process::geteuid().as_raw() && about.mode() & 0o077 != 0 {
        let what = format!(
            "password-file {} can be read by others (mode {:o})",
            path.display(),
            about.mode() & 0o777
        );
        return Err(refused(what).hint(format!("chmod 600 {}", path.display())));
    }
    std::fs::read(path).map_err(unreadable)
}

/// The first line, without its end; refuses what cannot be a password.
fn first_line(mut bytes: Vec<u8>) -> Result<Secret, &'static str> {
    let end = bytes.iter().position(|&b| b == b'\n').unwrap_or(bytes.len());
    bytes.truncate(end);
    if bytes.last() == Some(&b'\r') {
        bytes.pop();
    }
    match String::from_utf8(bytes) {
        Ok(text) if text.is_empty() => Err("nothing"),
        Ok(text) if text.contains(['\0', '\r']) => Err("a control character"),
        Ok(text) => Ok(Secret::new(text)),
        Err(_) => Err("bytes that are not UTF-8"),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn shell(line: &str) -> Origin {
        Origin::Shell(line.into())
    }

    #[test]
    fn the_first_line_counts() {
        for (output, secret) in [
            ("printf 'geheim\\n'", "geheim"),
            ("printf geheim", "geheim"),
            ("printf 'geheim\\r\\nuser: me\\n'", "geheim"),
            ("printf ' spaces stay \\n'", " spaces stay "),
            ("printf 'gr\\303\\274n'", "grün"),
        ] {
            assert_eq!(shell(output).fetch().unwrap().expose(), secret, "{output}");
        }
        let program = Origin::Program(vec!["printf".into(), "%s".into(), "a $b".into()]);
        assert_eq!(program.fetch().unwrap().expose(), "a $b");
    }

    #[test]
    fn a_command_that_fails_is_a_refused_login() {
        for (line, what) in [
            ("printf geheim; exit 3", "password-command failed: exit status: 3"),
            ("true", "password-command printed nothing"),
            ("printf '\\nsecond'", "password-command printed nothing"),
            ("printf 'a\\000b'", "password-command printed a control character"),
            ("printf '\\377'", "password-command printed bytes that are not UTF-8"),
        ] {
            let failure = shell(line).fetch().unwrap_err();
            assert_eq!((failure.kind, failure.what.as_str()), (Kind::Login, what), "{line}");
            assert!(!format!("{failure:?}").contains("geheim"));
        }
        let missing = Origin::Program(vec!["/no/such/program".into()]).fetch().unwrap_err();
        assert_eq!(missing.kind, Kind::Login);
        assert!(missing.what.starts_with("password-command cannot be run"), "{missing}");
    }

    #[test]
    fn a_file_must_be_private() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("password");
        std::fs::write(&path, "geheim\n").unwrap();
        for (mode, good) in [(0o600, true), (0o400, true), (0o640, false), (0o604, false)] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            let secret = Origin::File(path.clone()).fetch();
            assert_eq!(secret.is_ok(), good, "{mode:o} {secret:?}");
            if let Err(failure) = secret {
                assert_eq!(failure.kind, Kind::Config);
                assert!(failure.what.contains(&format!("{mode:o}")), "{failure}");
            }
        }
        let missing = Origin::File(dir.path().join("none")).fetch().unwrap_err();
        assert_eq!(missing.kind, Kind::Config);
    }

    #[test]
    fn a_variable_must_be_set() {
        let secret = Origin::Variable("PATH".into()).fetch().unwrap();
        assert_eq!(secret.expose(), std::env::var("PATH").unwrap());
        let failure = Origin::Variable("HOMING_NO_SUCH_VARIABLE".into()).fetch().unwrap_err();
        assert_eq!(failure.kind, Kind::Config);
        assert!(failure.what.contains("HOMING_NO_SUCH_VARIABLE"));
    }

    #[test]
    fn a_password_is_fetched_once_and_a_token_each_time() {
        let dir = tempfile::tempdir().unwrap();
        for (fresh, runs) in [(false, 1), (true, 3)] {
            let log = dir.path().join(format!("runs-{fresh}"));
            let line = format!("echo run >> {}; echo geheim", log.display());
            let credentials = Credentials::new(Origin::Shell(line), fresh);
            for _ in 0..3 {
                assert_eq!(credentials.secret().unwrap().expose(), "geheim");
            }
            assert_eq!(std::fs::read_to_string(&log).unwrap().lines().count(), runs);
        }
    }

    #[test]
    fn nothing_shows_it() {
        let credentials = Credentials::new(shell("echo geheim"), false);
        credentials.secret().unwrap();
        let shown = format!("{credentials:?}");
        assert!(shown.contains("Secret(…)"), "{shown}");
        assert_eq!(
            shown.matches("geheim").count(),
            1,
            "only in the command itself: {shown}"
        );
    }
}

//! Where things are kept: the XDG base directories, and the environment that names them.

use std::path::{Path, PathBuf};

use crate::error::{Failure, Kind, Result};

/// Environment variables by name. A value of its own, so that tests need not change the process's.
pub struct Environment(Box<Lookup>);

type Lookup = dyn Fn(&str) -> Option<String> + Send + Sync;

impl Environment {
    /// The process's own. Variables that are not UTF-8 count as not set.
    pub fn process() -> Self {
        Self(Box::new(|name| std::env::var(name).ok()))
    }

    /// These variables and no others.
    pub fn of<const N: usize>(variables: [(&str, &str); N]) -> Self {
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Self(Box::new(move |wanted| {
            variables
                .iter()
                .find(|(name, _)| name == wanted)
                .map(|(_, value)| value.clone())
        }))
    }

    /// The value of a variable, if it is set.
    pub fn get(&self, name: &str) -> Option<String> {
        (self.0)(name)
    }

    /// The user's home directory.
    pub fn home(&self) -> Result<PathBuf> {
        self.absolute("HOME").ok_or_else(|| {
            Failure::account(Kind::Config, "HOME is not set to an absolute path").hint("set it, or use absolute paths")
        })
    }

    /// The XDG specification has relative paths ignored.
    fn absolute(&self, name: &str) -> Option<PathBuf> {
        self.get(name).map(PathBuf::from).filter(|path| path.is_absolute())
    }

    fn base(&self, variable: &str, below_home: &str) -> Result<PathBuf> {
        let base = match self.absolute(variable) {
            Some(base) => base,
            None => self.home()?.join(below_home),
        };
        Ok(base.join("homing"))
    }

    /// The configuration file, unless one was named.
    pub fn config_file(&self) -> Result<PathBuf> {
        Ok(self.base("XDG_CONFIG_HOME", ".config")?.join("config.toml"))
    }

    /// Where state is kept, unless a place was named; each account has its own directory below.
    pub fn state_dir(&self) -> Result<PathBuf> {
        self.base("XDG_STATE_HOME", ".local/state")
    }

    /// Where an account's removed files wait, unless `attic` says otherwise.
    pub fn attic(&self, account: &str) -> Result<PathBuf> {
        Ok(self.base("XDG_DATA_HOME", ".local/share")?.join(account).join("attic"))
    }
}

impl std::fmt::Debug for Environment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Environment")
    }
}

/// The path with `.` and `..` taken out by their letters alone, for comparing and showing.
pub fn tidy(path: &Path) -> PathBuf {
    use std::path::Component;
    let mut out = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                out.pop();
            }
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_follow_the_environment() {
        let plain = Environment::of([("HOME", "/home/me"), ("XDG_DATA_HOME", "relative")]);
        assert_eq!(
            plain.config_file().unwrap(),
            Path::new("/home/me/.config/homing/config.toml")
        );
        assert_eq!(plain.state_dir().unwrap(), Path::new("/home/me/.local/state/homing"));
        assert_eq!(
            plain.attic("work").unwrap(),
            Path::new("/home/me/.local/share/homing/work/attic")
        );
        let moved = Environment::of([("XDG_CONFIG_HOME", "/etc/xdg"), ("XDG_STATE_HOME", "/var/lib")]);
        assert_eq!(moved.config_file().unwrap(), Path::new("/etc/xdg/homing/config.toml"));
        assert_eq!(moved.state_dir().unwrap(), Path::new("/var/lib/homing"));
        assert_eq!(moved.attic("work").unwrap_err().kind, Kind::Config);
    }
}

//! Where the server's programs come from: the system, or Debian's packages unpacked into a cache.
//!
//! Nothing is installed and no privilege is needed. Debian compiles the paths of Dovecot's modules and of `doveconf` into
//! its programs, so what was unpacked would look for them under `/usr`. Each server therefore gets its own copy, in which
//! those paths are replaced by others **of the same length** below the server's own folder. That needs no mount
//! namespace, which containers and some distributions refuse.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What Debian compiled in, and what stands there in a copy: [`Home::NAME_LEN`] makes the lengths equal.
const LIBRARIES: (&str, &str) = ("/usr/lib/dovecot", "l");
const DOVECONF: (&str, &str) = ("/usr/bin/doveconf", "dc");

/// The packages without which there is no IMAP server; what these need is added by `apt-get`.
const PACKAGES: [&str; 2] = ["dovecot-core", "dovecot-imapd"];

const HOW_TO_INSTALL: &str = "install Dovecot (Debian, Ubuntu: apt-get install dovecot-imapd; Fedora: dnf install dovecot) \
                              or make `apt-get update` work, then run the tests again";

/// Where Dovecot's programs are.
pub(super) enum Installed {
    /// In the usual places of the system.
    OnSystem,
    /// Unpacked below this folder of the cache.
    Unpacked(PathBuf),
}

/// Programs that can be run.
pub(super) struct Programs {
    /// The master process.
    pub(super) dovecot: PathBuf,
    /// Folder of the copy, where there is one: library path and `libexec_dir`.
    pub(super) libraries: Option<PathBuf>,
}

impl Programs {
    /// What it says of its version, such as `2.3.19.1 (9b53102964)`.
    pub(super) fn version(&self) -> Result<String, String> {
        let mut ask = Command::new(&self.dovecot);
        ask.arg("--version");
        if let Some(libraries) = &self.libraries {
            ask.env("LD_LIBRARY_PATH", libraries);
        }
        let out = ask.output().map_err(|e| format!("{}: {e}", self.dovecot.display()))?;
        Ok(String::from_utf8_lossy(&out.stdout).trim().to_owned())
    }

    /// Whether this is Dovecot 2.4 or later.
    pub(super) fn are_modern(&self) -> Result<bool, String> {
        let said = self.version()?;
        let mut numbers = said.split(['.', ' ', '\n']).map(str::parse::<u32>);
        match (numbers.next(), numbers.next()) {
            (Some(Ok(major)), Some(Ok(minor))) => Ok((major, minor) >= (2, 4)),
            _ => Err(format!("Dovecot does not tell its version: {said:?}")),
        }
    }
}

/// Finds Dovecot; downloads it only if `may_fetch`. The error says what is missing and what to do.
pub(super) fn find(may_fetch: bool) -> Result<Installed, String> {
    if Path::new("/usr/sbin/dovecot").exists() {
        return Ok(Installed::OnSystem);
    }
    let cache = cache()?;
    let root = cache.join(format!("dovecot-{}-{}", system_release(), std::env::consts::ARCH));
    if !root.join(".complete").exists() {
        if !may_fetch {
            return Err("Dovecot is neither on this machine nor in the tests' cache".into());
        }
        fetch(&cache, &root).map_err(|why| format!("no Dovecot: {why}; {HOW_TO_INSTALL}"))?;
    }
    Ok(Installed::Unpacked(root))
}

impl Installed {
    /// Programs that run for a server whose folder is `home`, which must come from [`new_home`].
    pub(super) fn programs(&self, home: &Path) -> Result<Programs, String> {
        match self {
            Self::OnSystem => Ok(Programs {
                dovecot: "/usr/sbin/dovecot".into(),
                libraries: None,
            }),
            Self::Unpacked(root) => copy_all(root, home).map_err(|e| format!("cannot copy {}: {e}", root.display())),
        }
    }
}

/// A new folder for one server, at a path short enough for sockets and of the one length that the patch needs.
pub(super) fn new_home() -> Result<tempfile::TempDir, String> {
    let home = tempfile::Builder::new()
        .prefix("hd-")
        .rand_bytes(6)
        .tempdir_in("/tmp")
        .map_err(|e| format!("cannot make a folder in /tmp: {e}"))?;
    for (old, new) in [LIBRARIES, DOVECONF] {
        assert_eq!(
            old.len(),
            home.path().join(new).as_os_str().len(),
            "the patch keeps lengths"
        );
    }
    Ok(home)
}

fn copy_all(root: &Path, home: &Path) -> io::Result<Programs> {
    let libraries = home.join(LIBRARIES.1);
    copy_tree(&root.join("usr/lib/dovecot"), &libraries, home)?;
    for triplet in fs::read_dir(root.join("usr/lib"))? {
        let path = triplet?.path();
        if path.is_dir() && path.file_name() != Some(OsStr::new("dovecot")) {
            copy_tree(&path, &libraries, home)?;
        }
    }
    copy_file(&root.join("usr/bin/doveconf"), &home.join(DOVECONF.1), home)?;
    let dovecot = home.join("dovecot");
    copy_file(&root.join("usr/sbin/dovecot"), &dovecot, home)?;
    Ok(Programs {
        dovecot,
        libraries: Some(libraries),
    })
}

fn copy_tree(from: &Path, to: &Path, home: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (kind, target) = (entry.file_type()?, to.join(entry.file_name()));
        if kind.is_dir() {
            copy_tree(&entry.path(), &target, home)?;
        } else if kind.is_symlink() {
            symlink(fs::read_link(entry.path())?, target)?;
        } else {
            copy_file(&entry.path(), &target, home)?;
        }
    }
    Ok(())
}

/// Copies a file with its mode, the compiled-in paths replaced.
fn copy_file(from: &Path, to: &Path, home: &Path) -> io::Result<()> {
    let mut bytes = fs::read(from)?;
    for (old, new) in [LIBRARIES, DOVECONF] {
        let new = home.join(new);
        replace_all(&mut bytes, old.as_bytes(), new.as_os_str().as_encoded_bytes());
    }
    fs::write(to, bytes)?;
    fs::set_permissions(to, fs::metadata(from)?.permissions())
}

fn replace_all(bytes: &mut [u8], old: &[u8], new: &[u8]) {
    let mut at = 0;
    while let Some(slash) = bytes[at..].iter().position(|&b| b == b'/') {
        at += slash;
        if bytes[at..].starts_with(old) {
            bytes[at..at + new.len()].copy_from_slice(new);
        }
        at += 1;
    }
}

/// `$HOMING_TEST_CACHE`, else `$XDG_CACHE_HOME/homing-tests`, else `~/.cache/homing-tests`.
fn cache() -> Result<PathBuf, String> {
    let env = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    env("HOMING_TEST_CACHE")
        .or_else(|| env("XDG_CACHE_HOME").map(|c| c.join("homing-tests")))
        .or_else(|| env("HOME").map(|h| h.join(".cache/homing-tests")))
        .ok_or_else(|| "no cache folder: set HOMING_TEST_CACHE or HOME".into())
}

/// Such as `debian-12`: packages of one release do not run on another.
fn system_release() -> String {
    let text = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let field = |name: &str| {
        text.lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
            .unwrap_or("unknown")
            .trim_matches('"')
            .to_owned()
    };
    format!("{}-{}", field("ID"), field("VERSION_ID"))
}

/// Downloads and unpacks the packages into `root`, one process at a time.
fn fetch(cache: &Path, root: &Path) -> Result<(), String> {
    let io = |e: io::Error| format!("{}: {e}", cache.display());
    fs::create_dir_all(cache).map_err(io)?;
    let lock = File::create(cache.join("dovecot.lock")).map_err(io)?;
    lock.lock().map_err(io)?;
    if root.join(".complete").exists() {
        return Ok(());
    }
    super::say(&format!("fetching Dovecot's packages into {} (once)", cache.display()));
    let work = tempfile::Builder::new()
        .prefix(".unpack-")
        .tempdir_in(cache)
        .map_err(io)?;
    // The system's lists first; where they are missing or out of date, lists of our own.
    unpack(work.path(), &[]).or_else(|first| {
        let own = apt_folders(cache).map_err(io)?;
        run("apt-get", work.path(), own.iter().map(String::as_str).chain(["update"]))?;
        unpack(work.path(), &own).map_err(|second| format!("{first}; with lists of its own: {second}"))
    })?;
    let made = work.path().join("root");
    File::create(made.join(".complete")).map_err(io)?;
    let _ = fs::remove_dir_all(root); // a half-made one
    fs::rename(made, root).map_err(io)
}

/// Options that make apt keep its lists and downloads below `cache`, without root's help.
fn apt_folders(cache: &Path) -> io::Result<[String; 2]> {
    let (lists, downloads) = (cache.join("apt/lists"), cache.join("apt/cache"));
    fs::create_dir_all(lists.join("partial"))?;
    fs::create_dir_all(downloads.join("archives/partial"))?;
    Ok([
        format!("-oDir::State::lists={}", lists.display()),
        format!("-oDir::Cache={}", downloads.display()),
    ])
}

fn unpack(work: &Path, apt: &[String]) -> Result<(), String> {
    let options = || apt.iter().map(String::as_str);
    let ask = ["install", "-s", "--no-install-recommends"];
    let plan = run("apt-get", work, options().chain(ask).chain(PACKAGES))?;
    let wanted: Vec<&str> = plan
        .lines()
        .filter_map(|line| line.strip_prefix("Inst ")?.split(' ').next())
        .filter(|name| name.starts_with("dovecot-") || name.starts_with("lib"))
        .collect();
    run("apt-get", work, options().chain(["download"]).chain(wanted))?;
    for entry in fs::read_dir(work).map_err(|e| e.to_string())? {
        let path = entry.map_err(|e| e.to_string())?.path();
        if path.extension() == Some(OsStr::new("deb")) {
            let deb = path.to_string_lossy();
            run("dpkg-deb", work, ["-x", deb.as_ref(), "root"])?;
        }
    }
    // Before the merged /usr, libraries could lie in /lib.
    let (top, merged) = (work.join("root/lib"), work.join("root/usr/lib"));
    if top.is_dir() {
        copy_tree(&top, &merged, work).map_err(|e| e.to_string())?;
    }
    Ok(())
}

/// Runs a program to its end in `dir`; its standard output, or what it complained about.
fn run<'a>(program: &str, dir: &Path, arguments: impl IntoIterator<Item = &'a str>) -> Result<String, String> {
    let out = Command::new(program)
        .args((program == "apt-get").then_some("-oAPT::Sandbox::User=")) // `_apt` may not write into our folders
        .args(arguments)
        .current_dir(dir)
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .output()
        .map_err(|e| format!("{program}: {e}"))?;
    if out.status.success() {
        return Ok(String::from_utf8_lossy(&out.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    Err(format!("{program} failed: {}", said.trim().replace('\n', " | ")))
}

//! Keywords as letters: the file `dovecot-keywords` says for each mailbox which of `a` to `z` is which keyword.
//!
//! Its lines are `NUMBER NAME`, 0 being `a`. An existing file is obeyed; lines are only added, because the letters are in
//! the names of files already.

use std::collections::HashMap;
use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, SystemTime};

use super::disk::{failure, if_there, replace_file, shown, small_file};
use super::filename::{FileName, PASSED, SYSTEM_LETTERS};
use super::place::{Place, Stamp};
use super::store::Shared;
use crate::error::{Reach, Result};
use crate::model::{Flags, Keyword};

/// Letters that there are.
const LETTERS: usize = 26;
/// A longer file is none of ours, nor of Dovecot's.
const LARGEST_FILE: u64 = 64 * 1024;
/// How long another program may hold the file's lock while we wait.
const WAIT: Duration = Duration::from_secs(2);
/// A lock older than this was left behind by a program that died.
const STALE: Duration = Duration::from_secs(120);

/// What the letters of one mailbox mean.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Keywords {
    /// The file as it was read, so that lines that we cannot read stay.
    text: Vec<u8>,
    letters: [Meaning; LETTERS],
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Meaning {
    #[default]
    Free,
    Keyword(Keyword),
    /// Taken by something that is no keyword.
    Unreadable,
}

impl Keywords {
    fn parse(text: Vec<u8>) -> Self {
        let mut letters: [Meaning; LETTERS] = Default::default();
        for line in text.split(|&b| b == b'\n') {
            let mut parts = line.splitn(2, |&b| b == b' ');
            let number = parts
                .next()
                .and_then(|n| std::str::from_utf8(n).ok())
                .and_then(|n| n.parse::<usize>().ok());
            let Some(slot) = number.and_then(|number| letters.get_mut(number)) else {
                continue;
            };
            let name = parts.next().and_then(|name| std::str::from_utf8(name).ok());
            *slot = name
                .and_then(|name| Keyword::new(name.trim_end()))
                .map_or(Meaning::Unreadable, Meaning::Keyword);
        }
        Self { text, letters }
    }

    /// The flags that a name's letters stand for. Letters without a meaning stand for nothing, and stay in the name.
    pub(super) fn flags(&self, name: &FileName) -> Flags {
        let passed = name.letters.contains(&PASSED).then(Keyword::forwarded);
        let keywords = name.letters.iter().filter_map(|&letter| self.keyword(letter)).cloned();
        Flags::new(name.system(), passed.into_iter().chain(keywords))
    }

    fn keyword(&self, letter: u8) -> Option<&Keyword> {
        let at = usize::from(letter.checked_sub(b'a')?);
        match self.letters.get(at)? {
            Meaning::Keyword(keyword) => Some(keyword),
            _ => None,
        }
    }

    /// The letters for flags, as far as there are letters for them.
    pub(super) fn letters(&self, flags: &Flags) -> Vec<u8> {
        let system = SYSTEM_LETTERS
            .iter()
            .filter(|(_, flag)| flags.system.contains(*flag))
            .map(|&(letter, _)| letter);
        let passed = flags.has(&Keyword::forwarded()).then_some(PASSED);
        let own = flags.keywords().iter().flat_map(|keyword| self.letters_of(keyword));
        system.chain(passed).chain(own).collect()
    }

    /// The letters that mean `keyword`: none, one, or several in a file that somebody wrote by hand.
    fn letters_of<'a>(&'a self, keyword: &'a Keyword) -> impl Iterator<Item = u8> + 'a {
        (b'a'..=b'z')
            .zip(&self.letters)
            .filter(move |(_, meaning)| matches!(meaning, Meaning::Keyword(k) if k == keyword))
            .map(|(letter, _)| letter)
    }

    /// Keywords of `flags` that no letter stands for.
    pub(super) fn missing<'a>(&'a self, flags: &'a Flags) -> impl Iterator<Item = &'a Keyword> {
        let forwarded = Keyword::forwarded();
        flags
            .keywords()
            .iter()
            .filter(move |keyword| **keyword != forwarded && self.letters_of(keyword).next().is_none())
    }

    /// Gives a letter to each keyword of `flags` that has none, as long as there are free ones; letters in `used` are not
    /// free, whatever they once meant. True if something was added.
    fn extend(&mut self, flags: &Flags, used: &[u8]) -> bool {
        let missing: Vec<Keyword> = self.missing(flags).cloned().collect();
        let mut added = false;
        for keyword in missing {
            let free = (0..LETTERS).find(|&at| self.letters[at] == Meaning::Free && !used.contains(&(b'a' + at as u8)));
            let Some(at) = free else { break };
            if !self.text.is_empty() && !self.text.ends_with(b"\n") {
                self.text.push(b'\n');
            }
            self.text.extend(format!("{at} {keyword}\n").into_bytes());
            self.letters[at] = Meaning::Keyword(keyword);
            added = true;
        }
        added
    }
}

/// Which flags a change touches, as letters of one mailbox.
#[derive(Debug)]
pub(super) struct LetterChange {
    pub(super) add: Vec<u8>,
    pub(super) remove: Vec<u8>,
}

impl LetterChange {
    /// Changes nothing.
    pub(super) const NONE: Self = Self {
        add: Vec::new(),
        remove: Vec::new(),
    };

    /// The letters of a name after the change; unknown ones stay.
    pub(super) fn apply(&self, letters: &[u8]) -> Vec<u8> {
        let kept = letters.iter().filter(|letter| !self.remove.contains(letter));
        let mut out: Vec<u8> = kept.chain(&self.add).copied().collect();
        out.sort_unstable();
        out.dedup();
        out
    }
}

/// The letters whose meaning does not depend on the mailbox; the others are dropped when a file changes mailboxes.
pub(super) fn portable(letters: &[u8]) -> impl Iterator<Item = u8> + '_ {
    letters.iter().copied().filter(|letter| !letter.is_ascii_lowercase())
}

/// What was read of each mailbox's file, as long as the file stays the same.
#[derive(Debug, Default)]
pub(super) struct KeywordFiles(Mutex<HashMap<PathBuf, Read>>);

/// A file's content and how it looked when it was read; `None`: there was none.
type Read = (Option<Stamp>, Arc<Keywords>);

impl Shared {
    /// What the letters of a mailbox mean now.
    pub(super) fn keywords(&self, place: &Place) -> Result<Arc<Keywords>> {
        let path = place.keywords();
        let stamp = fs::metadata(&path).ok().map(|meta| Stamp::of(&meta));
        let mut files = self.keyword_files.0.lock().expect("no panic while held");
        if let Some((known, keywords)) = files.get(&path)
            && *known == stamp
        {
            return Ok(Arc::clone(keywords));
        }
        let text = small_file(&path, LARGEST_FILE)?.unwrap_or_default();
        let keywords = Arc::new(Keywords::parse(text));
        files.insert(path, (stamp, Arc::clone(&keywords)));
        Ok(keywords)
    }

    /// The same, after giving letters to keywords of `flags` that have none. That there are none left is no failure: what has
    /// no letter is kept by the other side and by the state. That the file cannot be written is one, since it may pass.
    pub(super) fn keywords_for(&self, place: &Place, flags: &Flags) -> Result<Arc<Keywords>> {
        let keywords = self.keywords(place)?;
        if keywords.missing(flags).next().is_none() || self.options.read_only {
            return Ok(keywords);
        }
        self.add_keywords(place, flags).map_err(|err| {
            failure(
                &err,
                Reach::Mailbox,
                format!("cannot write {}", shown(&place.keywords())),
            )
        })?;
        self.keywords(place)
    }

    /// Adds lines under the lock that Dovecot takes. What is there is read only once the lock is held, or a letter given by
    /// somebody else meanwhile would get a second meaning.
    fn add_keywords(&self, place: &Place, flags: &Flags) -> io::Result<()> {
        let path = place.keywords();
        let used = self.letters_in_use(place)?;
        let _lock = Lock::take(place.path.join("dovecot-keywords.lock"))?;
        let mut keywords = Keywords::parse(if_there(fs::read(&path))?.unwrap_or_default());
        if !keywords.extend(flags, &used) {
            return Ok(());
        }
        let tmp = place.tmp().join("dovecot-keywords");
        // Left by a run that was killed right there; the lock is ours.
        if_there(fs::remove_file(&tmp))?;
        place.with_directory(&place.tmp(), || replace_file(&path, &tmp, &keywords.text))
    }

    /// Keyword letters in the names of files, which a lost `dovecot-keywords` must not give a new meaning.
    fn letters_in_use(&self, place: &Place) -> io::Result<Vec<u8>> {
        let mut used: Vec<u8> = Vec::new();
        for file in self.listing(place)?.files() {
            let letters = FileName::parse(file.name, self.separator).letters;
            used.extend(letters.iter().filter(|letter| letter.is_ascii_lowercase()));
            used.sort_unstable();
            used.dedup();
        }
        Ok(used)
    }
}

/// A lock file as Dovecot makes it: created exclusively, it says who holds it. Given up when dropped.
struct Lock(PathBuf);

impl Lock {
    /// Waits for whoever holds it, but not for the dead and not for ever.
    fn take(path: PathBuf) -> io::Result<Self> {
        let begun = std::time::Instant::now();
        loop {
            match fs::File::create_new(&path) {
                Err(err) if err.kind() == io::ErrorKind::AlreadyExists && begun.elapsed() < WAIT => {
                    if is_stale(&path) {
                        if_there(fs::remove_file(&path))?;
                    }
                    thread::sleep(Duration::from_millis(5));
                }
                Err(err) if err.kind() == io::ErrorKind::AlreadyExists => {
                    return Err(io::Error::other("another program holds its lock"));
                }
                made => {
                    let lock = made.map(|mut file| (file.write_all(holder().as_bytes()), Self(path)))?;
                    return lock.0.map(|()| lock.1);
                }
            }
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// This process, as lock files name it.
fn holder() -> String {
    format!("{}:{}", std::process::id(), nodename())
}

fn nodename() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// It is old, or names a process of this machine that is no more.
fn is_stale(lock: &std::path::Path) -> bool {
    let age = fs::metadata(lock)
        .and_then(|meta| meta.modified())
        .map(|time| SystemTime::now().duration_since(time));
    let text = fs::read_to_string(lock).unwrap_or_default();
    let pid = text
        .split_once(':')
        .filter(|(_, host)| host.trim_end() == nodename())
        .and_then(|(pid, _)| rustix::process::Pid::from_raw(pid.parse().ok()?));
    let is_dead = |pid| rustix::process::test_kill_process(pid) == Err(rustix::io::Errno::SRCH);
    pid.is_some_and(is_dead) || age.is_ok_and(|age| age.is_ok_and(|age| age > STALE))
}

#[cfg(test)]
mod tests {
    use super::super::testing::Fixture;
    use super::*;
    use crate::error::Retry;
    use crate::model::System;

    fn flags(names: &str) -> Flags {
        Flags::from_names(names.split_whitespace())
    }

    fn name(text: &str) -> FileName<'_> {
        FileName::parse(text.as_bytes(), b':')
    }

    const FILE: &str = "0 NonJunk\n1 $Forwarded\n3 caf\u{e9}\nrubbish\n99 Far\n2 Work\n";

    #[test]
    fn letters_and_flags() {
        let keywords = Keywords::parse(FILE.into());
        // (name, flags, the letters for these flags)
        for (file, meaning, letters) in [
            ("x:2,", "", ""),
            ("x:2,DFRST", "\\Draft \\Flagged \\Answered \\Seen \\Deleted", "DFRST"),
            ("x:2,P", "$forwarded", "Pb"),
            ("x:2,b", "$Forwarded", "Pb"),
            ("x:2,Sac", "\\Seen nonjunk Work", "Sac"),
            ("x:2,dez", "", ""),
            ("x:1,S", "", ""),
        ] {
            assert_eq!(keywords.flags(&name(file)), flags(meaning), "{file}");
            let mut made = keywords.letters(&flags(meaning));
            made.sort_unstable();
            assert_eq!(String::from_utf8(made).unwrap(), letters, "{file}");
        }
    }

    #[test]
    fn lines_are_only_added() {
        let mut keywords = Keywords::parse(FILE.trim_end().into());
        assert!(keywords.extend(&flags("todo nonjunk $Forwarded urgent"), b"e"));
        assert_eq!(
            String::from_utf8(keywords.text.clone()).unwrap(),
            format!("{FILE}5 todo\n6 urgent\n")
        );
        assert_eq!(Keywords::parse(keywords.text.clone()), keywords);
        assert!(!keywords.extend(&flags("TODO"), b""));
    }

    #[test]
    fn after_26_there_is_no_letter() {
        let it = Fixture::new();
        let place = it.mailbox("INBOX");
        let many = Flags::new(
            System::NONE,
            (0..30).map(|n| Keyword::new(&format!("k{n:02}")).unwrap()),
        );
        let keywords = it.shared().keywords_for(&place, &many).unwrap();
        assert_eq!(keywords.letters(&many).len(), 26);
        assert_eq!(keywords.missing(&many).count(), 4);
        let text = fs::read_to_string(place.keywords()).unwrap();
        assert_eq!(
            (text.lines().next(), text.lines().last()),
            (Some("0 k00"), Some("25 k25"))
        );
        assert!(!place.path.join("dovecot-keywords.lock").exists());
    }

    /// Threads that deliver at the same time once gave one letter to two keywords.
    #[test]
    fn every_keyword_has_a_letter_of_its_own() {
        let it = Fixture::new();
        let place = it.mailbox("INBOX");
        let names: Vec<Flags> = (0..12).map(|n| flags(&format!("k{n}"))).collect();
        let given: Vec<Vec<u8>> = std::thread::scope(|scope| {
            let threads: Vec<_> = names
                .iter()
                .map(|keyword| scope.spawn(|| it.shared().keywords_for(&place, keyword).unwrap().letters(keyword)))
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let keywords = it.shared().keywords(&place).unwrap();
        for (letters, keyword) in given.iter().zip(&names) {
            assert_eq!((letters.len(), letters), (1, &keywords.letters(keyword)), "{keyword}");
        }
    }

    #[test]
    fn a_lost_file_gives_no_letter_a_new_meaning() {
        let it = Fixture::new();
        let place = it.mailbox("INBOX");
        fs::write(place.path.join("cur/x:2,Sa"), "x").unwrap();
        let keywords = it.shared().keywords_for(&place, &flags("todo")).unwrap();
        assert_eq!(keywords.letters(&flags("todo")), b"b");
        assert_eq!(keywords.flags(&name("x:2,Sa")), flags("\\Seen"));
    }

    #[test]
    fn a_held_lock_is_waited_for_and_then_told() {
        let it = Fixture::new();
        let place = it.mailbox("INBOX");
        let lock = place.path.join("dovecot-keywords.lock");
        fs::write(&lock, "").unwrap();
        let held = it.shared().keywords_for(&place, &flags("todo")).unwrap_err();
        assert_eq!((held.reach, held.retry), (Reach::Mailbox, Retry::Later), "{held}");
        let old = SystemTime::now() - STALE - Duration::from_secs(1);
        fs::File::options()
            .write(true)
            .open(&lock)
            .unwrap()
            .set_modified(old)
            .unwrap();
        assert_eq!(
            it.shared()
                .keywords_for(&place, &flags("todo"))
                .unwrap()
                .letters(&flags("todo")),
            b"a"
        );
    }

    #[test]
    fn the_lock_of_a_dead_program_is_taken_over() {
        let it = Fixture::new();
        let place = it.mailbox("INBOX");
        let mut dead = std::process::Command::new("true").spawn().unwrap();
        let pid = dead.id();
        dead.wait().unwrap();
        let lock = place.path.join("dovecot-keywords.lock");
        fs::write(&lock, format!("{pid}:{}", nodename())).unwrap();
        let keywords = it.shared().keywords_for(&place, &flags("todo")).unwrap();
        assert_eq!(keywords.letters(&flags("todo")), b"a");
        assert!(!lock.exists(), "it is given up");
        // One of another machine, and one that lives: nobody can tell, and they hold it.
        for holder in [format!("{pid}:elsewhere"), holder()] {
            fs::write(&lock, &holder).unwrap();
            let held = it.shared().keywords_for(&place, &flags("later")).unwrap_err();
            assert!(held.what.contains("another program"), "{holder}: {held}");
        }
    }

    #[test]
    fn a_change_keeps_what_it_does_not_touch() {
        let change = LetterChange {
            add: b"Sa".to_vec(),
            remove: b"F".to_vec(),
        };
        assert_eq!(change.apply(b"FZb"), b"SZab");
    }
}

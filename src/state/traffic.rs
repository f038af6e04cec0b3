//! How much crossed an account's wire in the last 24 hours, for all runs and commands together: a small file beside the
//! databases, an hour a line. It is a help to be a good guest, not a book: what cannot be read counts for nothing.

use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::now;
use crate::imap::{Direction, Ledger};

const HOUR: i64 = 3600;
/// As many hours as count; the oldest of them is counted in full, so the window is never too short.
const HOURS: i64 = 24;

/// The traffic of one account.
#[derive(Debug)]
pub struct Traffic(PathBuf);

/// Bytes down and up that crossed in an hour.
type Line = (i64, [u64; 2]);

impl Traffic {
    /// The traffic as it is kept in that directory, which need not be there yet.
    pub fn below(directory: &Path) -> Self {
        Self(directory.join("traffic"))
    }

    fn lines(&self) -> Vec<Line> {
        fs::read_to_string(&self.0).map_or_else(|_| Vec::new(), |text| parse(&text))
    }

    /// One at a time, whatever else runs on the account.
    fn update(&self, hour: i64, bytes: [u64; 2]) -> io::Result<Vec<Line>> {
        if let Some(directory) = self.0.parent() {
            fs::create_dir_all(directory)?;
        }
        let mut options = OpenOptions::new();
        let mut file = options
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&self.0)?;
        file.lock()?;
        let mut text = String::new();
        file.read_to_string(&mut text)?;
        let lines = add(parse(&text), hour, bytes);
        write(&mut file, &lines)?;
        Ok(lines)
    }
}

fn write(file: &mut File, lines: &[Line]) -> io::Result<()> {
    let mut text = String::new();
    for (hour, [down, up]) in lines {
        let _ = writeln!(text, "{hour} {down} {up}");
    }
    file.seek(SeekFrom::Start(0))?;
    file.set_len(0)?;
    file.write_all(text.as_bytes())
}

fn parse(text: &str) -> Vec<Line> {
    let line = |line: &str| {
        let mut words = line.split(' ');
        let hour = words.next()?.parse().ok()?;
        let down = words.next()?.parse().ok()?;
        Some((hour, [down, words.next()?.parse().ok()?]))
    };
    text.lines().filter_map(line).collect()
}

/// What is too old is left out, and so is what a clock that went back would have in the future.
fn add(lines: Vec<Line>, hour: i64, bytes: [u64; 2]) -> Vec<Line> {
    let recent = |line: &Line| line.0 >= hour - HOURS && line.0 <= hour;
    let mut lines: Vec<Line> = lines.into_iter().filter(recent).collect();
    match lines.iter_mut().find(|line| line.0 == hour) {
        Some((_, sum)) => {
            for (sum, more) in sum.iter_mut().zip(bytes) {
                *sum = sum.saturating_add(more);
            }
        }
        None if bytes == [0, 0] => {}
        None => lines.push((hour, bytes)),
    }
    lines
}

fn sum(lines: &[Line]) -> [u64; 2] {
    lines.iter().fold([0, 0], |sum, (_, bytes)| {
        [sum[0].saturating_add(bytes[0]), sum[1].saturating_add(bytes[1])]
    })
}

/// The hour at whose beginning less than `most` is left.
fn frees(mut lines: Vec<Line>, direction: Direction, most: u64) -> Option<i64> {
    lines.sort_unstable();
    let mut left = sum(&lines)[direction as usize];
    for (hour, bytes) in lines {
        left -= bytes[direction as usize].min(left);
        if left < most {
            return Some(hour + HOURS + 1);
        }
    }
    None
}

impl Ledger for Traffic {
    fn add(&self, bytes: [u64; 2]) -> [u64; 2] {
        let hour = now().div_euclid(HOUR);
        let lines = if bytes == [0, 0] {
            Ok(add(self.lines(), hour, bytes))
        } else {
            self.update(hour, bytes)
        };
        lines.map_or(bytes, |lines| sum(&lines))
    }

    fn wait(&self, direction: Direction, most: u64) -> Duration {
        let now = now();
        let lines = add(self.lines(), now.div_euclid(HOUR), [0, 0]);
        let then = frees(lines, direction, most).map_or(now, |hour| hour * HOUR);
        Duration::from_secs(u64::try_from(then - now).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_of_a_day() {
        let lines = vec![(100, [5, 1]), (110, [7, 0]), (124, [1, 1]), (900, [9, 9])];
        assert_eq!(sum(&add(lines.clone(), 124, [2, 0])), [15, 2]);
        assert_eq!(sum(&add(lines.clone(), 125, [2, 0])), [10, 1]);
        for (most, hour) in [(20, 125), (9, 125), (8, 135), (1, 149)] {
            let lines = add(lines.clone(), 124, [0, 0]);
            assert_eq!(frees(lines, Direction::Down, most), Some(hour), "{most}");
        }
    }

    #[test]
    fn runs_count_together_and_nonsense_counts_for_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().join("account");
        let (one, two) = (Traffic::below(&place), Traffic::below(&place));
        assert_eq!(one.add([0, 0]), [0, 0]);
        assert!(!place.exists());
        assert_eq!(one.add([10, 1]), [10, 1]);
        assert_eq!(two.add([20, 2]), [30, 3]);
        assert!(one.wait(Direction::Down, 30) > Duration::from_secs(82_000));
        fs::write(place.join("traffic"), "x y z\n\n12\n1 2 3\n").unwrap();
        assert_eq!(two.add([1, 0]), [1, 0]);
    }
}

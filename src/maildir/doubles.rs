//! One unique part twice in one mailbox, as after `x:2,` was restored from a backup beside `x:2,S` (DESIGN 8a).

use std::io;

use super::disk::{failure, if_there, open_file, rename_new};
use super::filename::{FileName, finished, is_verbatim};
use super::index::FileRow;
use super::listing::{Found, Listed, Listing};
use super::place::Place;
use super::read::identify;
use super::store::Shared;
use crate::error::{Reach, Result};
use crate::model::{ContentDigest, Mailbox};

/// A file with one of the unique parts that are there twice.
struct Twin {
    found: Found,
    content: ContentDigest,
    /// Bytes on disk.
    size: u64,
}

impl Shared {
    /// Leaves one file for each unique part: of files with equal content the extras go to the attic, others get new names,
    /// and so are new messages. `listing` must be a settled one. True if anything was changed.
    pub(super) fn part_doubles(&self, mailbox: &Mailbox, place: &Place, listing: &Listing) -> Result<bool> {
        let mut changed = false;
        let mut files = listing.files().peekable();
        while let Some(file) = files.next() {
            let mut group = vec![file];
            while let Some(double) = files.next_if(|next| next.unique == file.unique) {
                group.push(double);
            }
            if group.len() > 1 {
                let row = self.index.by_name(mailbox.id, file.unique)?;
                changed |= self.part(mailbox, place, listing, group, row.as_ref()).map_err(|err| {
                    let what = format!(
                        "cannot tell apart two files of one name in {}",
                        self.shown(&mailbox.raw)
                    );
                    failure(&err, Reach::Mailbox, what)
                })?;
            }
        }
        Ok(changed)
    }

    fn part(
        &self,
        mailbox: &Mailbox,
        place: &Place,
        listing: &Listing,
        mut group: Vec<Listed>,
        row: Option<&FileRow>,
    ) -> io::Result<bool> {
        // The best first: it keeps the name, unless another one is the message that we know under it.
        if let Some(best) = group.iter().copied().reduce(|a, b| listing.better(a, b)) {
            group.sort_by_key(|file| *file != best);
        }
        let verbatim = |unique: &[u8]| row.map_or_else(|| is_verbatim(unique), |row| row.verbatim);
        let mut twins: Vec<Twin> = Vec::new();
        for file in &group {
            let path = place.file(file.part, file.name);
            if let Some(mut open) = if_there(open_file(&path))? {
                let content = identify(&mut open, verbatim(file.unique))?.content;
                twins.push(Twin {
                    found: file.found(),
                    content,
                    size: open.metadata()?.len(),
                });
            }
        }
        if let Some(content) = row.and_then(|row| row.content) {
            twins.sort_by_key(|twin| twin.content != content);
        }
        let mut kept: Vec<ContentDigest> = Vec::new();
        for twin in &twins {
            if kept.contains(&twin.content) {
                self.shelve(place, &twin.found, &self.path(&mailbox.raw))?;
            } else if !kept.is_empty() {
                self.give_new_name(place, twin, verbatim(group[0].unique))?;
            }
            kept.push(twin.content);
        }
        Ok(twins.len() > 1)
    }

    fn give_new_name(&self, place: &Place, twin: &Twin, verbatim: bool) -> io::Result<()> {
        let unique = finished(&self.namer.stem(None), verbatim, twin.size);
        let info_at = FileName::parse(&twin.found.name, self.separator).unique.len();
        let name = [unique.as_slice(), &twin.found.name[info_at..]].concat();
        rename_new(
            &place.file(twin.found.part, &twin.found.name),
            &place.file(twin.found.part, &name),
        )?;
        self.changed(place.part(twin.found.part));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::Fixture;

    #[test]
    fn equal_files_are_one_message() {
        let it = Fixture::new();
        it.file("INBOX", "cur/x:2,S", "same");
        let first = it.scan("INBOX", None, "");
        it.file("INBOX", "cur/x:2,", "same");
        it.file("INBOX", "new/x", "same");
        let again = it.scan("INBOX", None, "1");
        assert_eq!(
            (
                first.added.to_string(),
                again.added.to_string(),
                again.removed.to_string()
            ),
            ("1".into(), String::new(), String::new())
        );
        assert_eq!(again.flags, [(1, "\\Seen".to_owned())]);
        assert_eq!(it.files("INBOX"), ["cur/x:2,S"]);
        assert_eq!(it.attic().len(), 2);
    }

    #[test]
    fn different_files_are_two_messages() {
        let it = Fixture::new();
        it.file("INBOX", "cur/x:2,", "known");
        it.scan("INBOX", None, "");
        it.envelopes("INBOX", "1");
        it.file("INBOX", "cur/x:2,FS", "other");
        let seen = it.scan("INBOX", None, "1");
        assert_eq!(
            (seen.added.to_string(), seen.removed.to_string()),
            ("2".into(), String::new())
        );
        let files = it.files("INBOX");
        assert_eq!(files.len(), 2);
        assert!(
            files.contains(&"cur/x:2,".to_owned()),
            "the known one keeps its name: {files:?}"
        );
        assert!(files.iter().any(|name| name.ends_with(",S=5:2,FS")), "{files:?}");
        assert!(it.attic().is_empty());
        assert_eq!(it.scan("INBOX", None, "1:2").added.len(), 0, "settled for good");
    }

    #[test]
    fn a_dry_run_leaves_them() {
        let it = Fixture::with(|options| options.read_only = true);
        it.file("INBOX", "cur/x:2,S", "a");
        it.file("INBOX", "cur/x:2,", "b");
        let seen = it.scan("INBOX", None, "");
        assert!(seen.complete);
        assert_eq!(seen.added.to_string(), "1");
        assert_eq!(it.files("INBOX"), ["cur/x:2,", "cur/x:2,S"]);
    }
}

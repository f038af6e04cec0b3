//! An export that dies at any call to the disk: the same command goes on, and the end is as if it had never been cut off.
//! What it did not write itself stays as it is.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use crate::disk::library;
use crate::say;
use crate::scene::Scene;
use crate::support::server::Setup;
use crate::support::world::{Run, local};

const FORMATS: [&str; 2] = ["mbox", "eml"];

type Files = BTreeMap<PathBuf, Vec<u8>>;

/// Every file below a directory, hidden ones too.
fn files(root: &Path) -> Files {
    fn walk(root: &Path, directory: &Path, found: &mut Files) {
        for entry in fs::read_dir(directory).into_iter().flatten() {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                walk(root, &path, found);
            } else {
                let name = path.strip_prefix(root).expect("below it").to_owned();
                found.insert(name, fs::read(&path).expect("a file"));
            }
        }
    }
    let mut found = Files::new();
    walk(root, root, &mut found);
    found
}

fn export(scene: &Scene, format: &str, to: &Path) -> Run {
    let to = to.to_string_lossy();
    scene
        .world
        .run(&["export", "personal", "--format", format, "--to", &to])
}

/// The same, dying right before its n-th call that changes something on disk; whether it came so far.
fn dies(scene: &Scene, format: &str, to: &Path, nth: usize) -> bool {
    let mut command = scene.world.command();
    command.args(["export", "personal", "--format", format, "--to"]).arg(to);
    command.env("LD_PRELOAD", library());
    command.env("HOMING_DISK_FAULT", format!("{nth} kill"));
    let output = command.spawn().and_then(std::process::Child::wait_with_output);
    output.expect("the program runs").status.signal() == Some(9)
}

#[test]
fn cut_off_anywhere_and_asked_for_again() {
    let scene = Scene::new(&Setup::default());
    let [out, whole] = ["out", "whole"].map(|name| scene.world.home().join(name));
    let mut walked = 0;
    for format in FORMATS {
        assert_eq!(export(&scene, format, &whole).exit, 0);
        let mut nth = 1;
        while dies(&scene, format, &out, nth) {
            let title = format!("{format}, cut off at {nth}");
            fs::create_dir_all(&out).expect("a directory");
            fs::write(out.join("notes.txt"), "mine").expect("a file");
            let again = export(&scene, format, &out);
            assert_eq!(again.exit, 0, "{title}: {again:#?}");
            let mut now = files(&out);
            assert_eq!(
                now.remove(Path::new("notes.txt")).as_deref(),
                Some(&b"mine"[..]),
                "{title}"
            );
            assert_eq!(now, files(&whole), "{title}");
            let done = export(&scene, format, &out);
            assert_eq!(done.exit, 2, "{title}: what is done is not overwritten: {done:#?}");
            fs::remove_dir_all(&out).expect("a removal");
            (nth, walked) = (nth + 1, walked + 1);
        }
        fs::remove_dir_all(&out).expect("a removal");
        fs::remove_dir_all(&whole).expect("a removal");
    }
    let all = crate::WALKED.fetch_add(walked, Ordering::Relaxed) + walked;
    say(&format!(
        "faults: {walked} points of exports; {all} points by all tests so far"
    ));
    assert!(walked > 60, "{walked}");
}

/// An export that is cut off once its first mailbox is whole.
fn with_one_mailbox(scene: &Scene, format: &str, out: &Path) -> Files {
    for nth in 1.. {
        assert!(dies(scene, format, out, nth), "it is never cut off so");
        let there = files(out);
        if there
            .keys()
            .any(|name| name.ends_with("INBOX.mbox") || name.ends_with("INBOX/flags.tsv"))
        {
            return there;
        }
        let _ = fs::remove_dir_all(out);
    }
    unreachable!("a range without an end")
}

#[test]
fn what_is_the_same_stays_and_what_changed_is_written_anew() {
    for format in FORMATS {
        let scene = Scene::new(&Setup::default());
        let [out, whole] = ["out", "whole"].map(|name| scene.world.home().join(name));
        let first = with_one_mailbox(&scene, format, &out);
        let inode = |name: &Path| std::os::unix::fs::MetadataExt::ino(&fs::metadata(out.join(name)).expect("a file"));
        let kept: Vec<_> = first.keys().filter(|name| name.starts_with("Archive")).collect();
        let before: Vec<u64> = kept.iter().map(|name| inode(name)).collect();
        // The INBOX grows, and the archive is as it was.
        let mail = b"Subject: meanwhile\n\nhello\n";
        local::deliver(&scene.world.maildir.join("INBOX"), mail, 1_700_000_000, Some("S"));
        let run = export(&scene, format, &out);
        assert_eq!(run.exit, 0, "{format}: {run:#?}");
        let after: Vec<u64> = kept.iter().map(|name| inode(name)).collect();
        assert!(
            before == after && !kept.is_empty(),
            "{format}: what is whole and the same is kept"
        );
        assert_eq!(export(&scene, format, &whole).exit, 0);
        assert_eq!(files(&out), files(&whole), "{format}");
    }
}

#[test]
fn what_it_did_not_write_itself_is_refused() {
    let append = |path: &Path| {
        let text = fs::read(path).expect("a file");
        fs::write(path, [&text[..], b"more"].concat()).expect("room");
    };
    for format in FORMATS {
        let scene = Scene::new(&Setup::default());
        let out = scene.world.home().join("out");
        with_one_mailbox(&scene, format, &out);
        // Another export is not the one that was cut off.
        let to = out.to_string_lossy().into_owned();
        let other = [
            "export",
            "personal",
            "--format",
            format,
            "--mailbox",
            "INBOX",
            "--to",
            &to,
        ];
        assert_eq!(scene.world.run(&other).exit, 2, "{format}");
        // Somebody wrote into one of its files.
        let one = files(&out)
            .into_keys()
            .find(|name| name.to_string_lossy().contains("INBOX"));
        append(&out.join(one.expect("a file")));
        let there = files(&out);
        let run = export(&scene, format, &out);
        assert_eq!(run.exit, 2, "{format}: {run:#?}");
        assert!(there.into_iter().all(|(name, bytes)| {
            // The note gets a line each time.
            let now = fs::read(out.join(&name)).expect("it is there");
            now == bytes || name.to_string_lossy().starts_with(".homing-export-")
        }));
    }
}

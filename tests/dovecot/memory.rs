//! A first pull's memory does not grow with the mailbox.

use crate::changes::Writer;
use crate::scene::Scene;
use crate::support::dovecot::{Dovecot, say};

const MESSAGES: usize = 20_000;
const LIMIT_KIB: u64 = 40 * 1024;

#[test]
fn pulling_20_000_messages_takes_under_40_mib() {
    let Some(dovecot) = Dovecot::shared() else { return };
    let scene = Scene::new(dovecot, "memory");
    let mut writer = Writer::new(51);
    // One that is larger than all of the memory allowed.
    let mut big = vec![b"Subject: big\r\n\r\n".to_vec()];
    big.resize(
        1 + 48 * 1024 * 1024 / 64,
        vec![b'x'; 62].into_iter().chain(*b"\r\n").collect(),
    );
    scene.raw().append_all(
        "INBOX",
        &[crate::support::raw::Mail {
            bytes: big.concat(),
            flags: String::new(),
            date: 1_700_000_000,
        }],
    );
    writer.fill(&scene, &["INBOX"], MESSAGES - 1);
    let run = scene.world.sync_ok();
    assert_eq!(run.count("left", "added"), MESSAGES as u64, "{run:#?}");
    say(&format!(
        "memory: {MESSAGES} messages pulled in {:.1?}, peak {} KiB",
        run.took, run.peak_kib
    ));
    assert!(run.peak_kib < LIMIT_KIB, "{} KiB", run.peak_kib);
    let again = scene.world.sync_ok();
    say(&format!(
        "memory: again in {:.2?}, peak {} KiB",
        again.took, again.peak_kib
    ));
    assert!(again.peak_kib < LIMIT_KIB, "{} KiB", again.peak_kib);
}

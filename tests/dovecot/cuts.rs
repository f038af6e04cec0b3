//! Connections that break: nothing is lost, nothing is there twice, and the same run ends it.

use crate::changes::Writer;
use crate::scene::Scene;
use crate::support::dovecot::{Dovecot, say};
use crate::support::proxy::Cut;

#[test]
fn pulls_that_break_off_are_finished() {
    let Some(dovecot) = Dovecot::shared() else { return };
    for (nth, bytes) in [100, 5_000, 60_000, 250_000, 400_000].into_iter().enumerate() {
        let mut scene = Scene::new(dovecot, &format!("cut-pull-{nth}"));
        Writer::new(70 + nth as u64).fill(&scene, &["INBOX", "Work", "Work/2026"], 120);
        scene.proxy.cut(Cut::AfterBytes(bytes));
        scene.world.sync_ok();
        assert!(scene.proxy.uncut().is_empty(), "{bytes} bytes never came");
        let account = scene
            .world
            .assert_same(&mut scene.server, &format!("cut after {bytes} bytes"));
        assert_eq!(account.len(), 360);
        scene.nothing_left("pulled");
    }
}

#[test]
fn uploads_that_break_off_leave_no_double() {
    /// In two mailboxes, up to sixteen to a command.
    const MESSAGES: usize = 120;
    let Some(dovecot) = Dovecot::shared() else { return };
    let cuts = [
        Cut::Before("APPEND", 1),
        Cut::Unanswered("APPEND", 1),
        Cut::Unanswered("APPEND", 4),
        Cut::Before("APPEND", 7),
        Cut::Unanswered("CREATE", 1),
    ];
    for (nth, cut) in cuts.into_iter().enumerate() {
        let mut scene = Scene::new(dovecot, &format!("cut-push-{nth}"));
        scene.world.sync_ok();
        scene.proxy.take();
        crate::support::world::local::create(&scene.dir("Work"));
        for number in 0..MESSAGES {
            scene.deliver(["INBOX", "Work"][number % 2], &format!("number {number}"));
        }
        scene.proxy.cut(cut.clone());
        scene.world.sync_ok();
        assert!(scene.proxy.uncut().is_empty(), "{cut:?} never came about");
        let sent = scene.proxy.take().count("APPEND");
        let account = scene.world.assert_same(&mut scene.server, &format!("{cut:?}"));
        assert_eq!(account.len(), MESSAGES, "{cut:?}");
        scene.nothing_left("pushed");
        say(&format!("cuts: {cut:?}: {sent} commands sent for {MESSAGES} messages"));
    }
}

#[test]
fn flags_and_removals_that_break_off_are_finished() {
    let Some(dovecot) = Dovecot::shared() else { return };
    for (nth, cut) in [
        Cut::Unanswered("STORE", 1),
        Cut::Before("STORE", 1),
        Cut::Unanswered("EXPUNGE", 1),
    ]
    .into_iter()
    .enumerate()
    {
        let mut scene = Scene::new(dovecot, &format!("cut-flags-{nth}"));
        let mut writer = Writer::new(80 + nth as u64);
        writer.fill(&scene, &["INBOX", "Work"], 60);
        scene.sync_to_equal(&[], "first pull");
        writer.change_disk(&scene, 60);
        scene.proxy.take();
        scene.proxy.cut(cut.clone());
        scene.world.sync_ok();
        assert!(scene.proxy.uncut().is_empty(), "{cut:?} never came about");
        scene.world.assert_same(&mut scene.server, &format!("{cut:?}"));
        scene.nothing_left("changed");
    }
}

//! The same job on servers that can do less, or do it otherwise.

use crate::changes::Writer;
use crate::scene::Scene;
use crate::support::dovecot::{Dovecot, Variant, say};
use crate::support::proxy::Traffic;
use crate::support::witness::{Layout, assert_same, look_at_disk};
use crate::support::world::{local, remote};

/// Fills an account, pulls it and syncs three rounds of changes; everything that was said on the way.
fn base_scenario(scene: &mut Scene, seed: u64) -> Vec<String> {
    let mut writer = Writer::without_marks(seed);
    writer.fill(scene, &["INBOX", "Work", "Work/2026", "Entwürfe"], 60);
    let mut said = Vec::new();
    let mut listen = |traffic: Traffic| said.extend(traffic.commands);
    scene.sync_to_equal(&[], "first pull");
    listen(scene.proxy.take());
    listen(scene.nothing_left("after the first pull").1);
    for round in 1..=3 {
        writer.change_disk(scene, 40);
        writer.change_server(scene, 40);
        scene.sync_to_equal(&[], &format!("round {round}"));
        listen(scene.proxy.take());
        listen(scene.nothing_left(&format!("after round {round}")).1);
    }
    said
}

/// What a server does not offer is not asked for.
#[track_caller]
fn assert_unsaid(said: &[String], words: &[&str]) {
    for word in words {
        let used: Vec<_> = said.iter().filter(|line| line.to_uppercase().contains(word)).collect();
        assert!(used.is_empty(), "{word}: {used:#?}");
    }
}

#[test]
fn each_rung_of_the_capability_ladder() {
    const WITHOUT_CONDSTORE: [&str; 4] = ["QRESYNC", "CONDSTORE", "CHANGEDSINCE", "HIGHESTMODSEQ"];
    let rungs: [(&str, Variant, &[&str]); 4] = [
        ("no QRESYNC", Variant::masked("QRESYNC"), &["QRESYNC"]),
        ("no CONDSTORE", Variant::masked("QRESYNC CONDSTORE"), &WITHOUT_CONDSTORE),
        (
            "no UIDPLUS and others",
            Variant::masked("LIST-STATUS LIST-EXTENDED ESEARCH UIDPLUS MOVE LITERAL+ MULTIAPPEND"),
            &["RETURN (", "UID EXPUNGE", "MOVE", "+}"],
        ),
        (
            "IMAP4rev1 alone",
            Variant::saying("IMAP4rev1"),
            &[
                "QRESYNC",
                "CONDSTORE",
                "CHANGEDSINCE",
                "HIGHESTMODSEQ",
                "RETURN (",
                "UID EXPUNGE",
                "MOVE",
                "+}",
                "ENABLE",
                "NAMESPACE",
                "UNSELECT",
                "COMPRESS",
                "IDLE",
            ],
        ),
    ];
    for (nth, (name, variant, unsaid)) in rungs.iter().enumerate() {
        let Some(dovecot) = Dovecot::own(variant) else { return };
        let mut scene = Scene::new(&dovecot, "ladder");
        let said = base_scenario(&mut scene, nth as u64);
        assert_unsaid(&said, unsaid);
        say(&format!("ladder: {name}: {} commands", said.len()));
    }
}

#[test]
fn mailboxes_below_the_inbox() {
    let Some(dovecot) = Dovecot::own(&Variant::below_inbox()) else {
        return;
    };
    let mut scene = Scene::new(&dovecot, "below").below("INBOX.", '.');
    base_scenario(&mut scene, 11);
}

/// Without UIDPLUS, EXPUNGE takes what anybody marked. So ours waits until nobody else's message is marked.
#[test]
fn without_uidplus_foreign_marks_are_spared() {
    let Some(dovecot) = Dovecot::own(&Variant::masked("UIDPLUS MOVE")) else {
        return;
    };
    let mut scene = Scene::new(&dovecot, "spared");
    Writer::new(5).fill(&scene, &["INBOX"], 30);
    let mut session = scene.server.session();
    let uids = remote::uids(&mut session, "INBOX");
    for uid in &uids {
        remote::store(&mut session, *uid, "FLAGS.SILENT (\\Seen)");
    }
    scene.sync_to_equal(&[], "first pull");
    remote::store(&mut session, uids[3], "+FLAGS.SILENT (\\Deleted)");
    std::fs::remove_file(&scene.files("INBOX")[20]).unwrap();
    let run = scene.world.sync(&[]);
    // Ours may go or wait; the foreign one stays in any case, and mail is the same again once its mark is gone.
    let marked = remote::uids(&mut session, "INBOX");
    assert!(marked.contains(&uids[3]), "{run:#?}");
    assert!(marked.len() >= 29, "{marked:?}");
    remote::store(&mut session, uids[3], "-FLAGS.SILENT (\\Deleted)");
    scene.world.sync(&[]);
    let (_, account) = scene.sync_to_equal(&[], "unmarked");
    assert_eq!(account.len(), 29);
}

#[test]
fn maildir_plus_plus_on_disk() {
    let Some(dovecot) = Dovecot::shared() else { return };
    let mut scene = Scene::new(dovecot, "plusplus");
    scene.world.set("layout", "\"maildir++\"");
    Writer::new(6).fill(&scene, &["INBOX", "Work", "Work/2026", "per%cent"], 20);
    scene.world.sync_ok();
    let look = |scene: &Scene| look_at_disk(&scene.world.maildir, Layout::PlusPlus);
    assert_same(&look(&scene), &scene.server.look(), "pulled");
    scene.deliver("Work/2026", "from disk");
    local::create(&scene.dir("Neu/Unter"));
    scene.deliver("Neu/Unter", "in a new one");
    std::fs::remove_file(&scene.files("INBOX")[0]).unwrap();
    scene.world.sync_ok();
    let account = scene.server.look();
    assert_same(&look(&scene), &account, "pushed");
    assert_eq!(
        (
            account.count("INBOX"),
            account.count("Work/2026"),
            account.count("Neu/Unter")
        ),
        (19, 21, 1)
    );
    scene.nothing_left("pushed");
}

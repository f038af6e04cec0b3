//! How much the accounts bear: a limit ends the run cleanly, and later runs go on.

use std::fs;
use std::time::Duration;

use crate::scene::{Scene, mail, verdicts};
use crate::support::server::Setup;
use crate::support::world::Run;

const COUNT: usize = 900;

/// A scene with so much mail that a limit hits in the middle: messages of 4 kB.
fn scene(keys: &str) -> Scene {
    let mut scene = Scene::new(Setup::default(), Setup::default());
    scene.on_from(|from| {
        for n in 0..COUNT {
            let mut mail = mail(&format!("inbox {n}"));
            mail.bytes.resize(4_000, b'x');
            from.deliver("INBOX", &mail);
        }
    });
    scene.configure_to(keys);
    scene
}

/// As if a day had passed.
fn a_day_later(scene: &Scene, account: &str) {
    let file = scene.world.home().join(format!("xdg/state/homing/{account}/traffic"));
    assert!(file.metadata().unwrap().len() > 0);
    fs::write(file, "").unwrap();
}

fn arrived(run: &Run) -> u64 {
    verdicts(run)
        .get("INBOX")
        .map_or(0, |inbox| inbox["messages"][1].as_u64().unwrap())
}

#[test]
fn a_day_s_bytes_are_used_up_and_a_later_day_goes_on() {
    for (side, way) in [("new", "go to the server"), ("personal", "come from the server")] {
        let mut scene = scene("max-bytes = { up = \"1.5MB\" }");
        if side == "personal" {
            scene.configure_to("");
            scene.world.set("max-bytes", "{ down = \"1.5MB\" }");
        }
        let (mut before, mut days) = (0, 0);
        loop {
            let run = scene.migrate(&[]);
            if run.exit == 0 {
                assert_eq!(run.count("right", "added"), COUNT as u64 - before);
                break;
            }
            days += 1;
            assert_eq!(run.exit, 75, "{run:#?}");
            let told = &run.problems()[0]["what"];
            let wanted = format!("the 1.5 MB that may {way} within 24 hours are used up");
            assert_eq!((told, run.problems().len()), (&wanted.into(), 1), "{run:#?}");
            assert!(run.stderr.contains("it goes on after 20"), "{run:#?}");
            let now = arrived(&run);
            assert!(now >= before + 200 && now < COUNT as u64, "{before} and then {now}");
            before = now;

            // Nobody is even called before the time.
            let calls = scene.from.connections() + scene.to.connections();
            let again = scene.migrate(&[]);
            assert_eq!(again.exit, 75, "{again:#?}");
            let called = scene.from.connections() + scene.to.connections() - calls;
            assert!(called <= 1, "{called} connections");
            a_day_later(&scene, side);
        }
        // What was asked for still comes, so a limit on what comes is met less closely.
        assert!((1..=2).contains(&days), "{days} days were not enough");
        a_day_later(&scene, side);
        scene.assert_same(&[]);
        scene.assert_idle();
    }
}

#[test]
fn sync_and_migrate_use_up_the_same_bytes() {
    let mut scene = scene("");
    scene.world.set("max-bytes", "\"1.5MB\"");
    assert_eq!(scene.migrate(&[]).exit, 75);
    let maildir = scene.world.maildir.to_string_lossy().into_owned();
    scene.world.set("maildir", &format!("{maildir:?}"));
    let sync = scene.world.sync(&[]);
    assert_eq!((sync.exit, sync.changes()), (75, 0), "{sync:#?}");
    a_day_later(&scene, "personal");
    let sync = scene.world.sync(&[]);
    assert_eq!(sync.exit, 75, "{sync:#?}");
    let come = sync.count("left", "added");
    assert!(come >= 200 && come < COUNT as u64, "{come}");
    scene.world.unset("max-bytes");
    let sync = scene.world.sync_ok();
    assert_eq!(sync.count("left", "added"), COUNT as u64 - come);
}

#[test]
fn a_rate_is_kept() {
    let scene = scene("max-rate = \"2MB\"");
    let run = scene.migrate_ok(&[]);
    // 3.6 MB at 2 MB a second.
    assert!(run.took >= Duration::from_millis(1_700), "{:?}", run.took);
    scene.assert_same(&[]);
}

//! A server that always lies in one way (HAZARDS): mail goes both ways all the same, nothing is lost or doubled, and a
//! further run does nothing.

use crate::say;
use crate::scene::{Scene, Tolerance};
use crate::support::server::{Lies, Setup};

/// What it is called, and whether both sides can be equal in all but that.
type Row = (&'static str, Lies, bool);

#[test]
fn who_always_lies_in_one_way() {
    let lies = Lies::default;
    #[rustfmt::skip]
    let rows: Vec<Row> = vec![
        ("sizes are wrong",                 Lies { size: 11, ..lies() }, true),
        ("no UIDNEXT",                      Lies { no_uid_next: true, ..lies() }, true),
        ("no APPENDUID",                    Lies { no_append_uid: true, ..lies() }, true),
        ("no COPYUID",                      Lies { no_copy_uid: true, ..lies() }, true),
        ("VANISHED names the living",       Lies { vanished_names_living: true, ..lies() }, true),
        ("no mod-sequences",                Lies { zero_modseq: true, ..lies() }, true),
        ("the first spelling of a keyword", Lies { first_spelling: true, ..lies() }, true),
        ("dates are off",                   Lies { date: 3600, ..lies() }, false),
        ("keywords are dropped",            Lies { drops_keywords: true, ..lies() }, false),
        ("keywords are refused",            Lies { refuses_keywords: true, ..lies() }, false),
        ("headers are spoiled",             Lies { spoils_headers: true, ..lies() }, false),
        ("line ends are mended",            Lies { mends_line_ends: true, ..lies() }, false),
    ];
    let mut wrong = Vec::new();
    for setup in [Setup::default(), Setup::bare()] {
        for (title, lies, is_equal) in &rows {
            let ended = std::panic::catch_unwind(|| believe(&setup, title, lies, *is_equal));
            if ended.is_err() {
                wrong.push((*title, setup.caps.has("MOVE")));
            }
        }
    }
    say(&format!("faults: {} lies, with extensions and without", rows.len()));
    assert!(wrong.is_empty(), "{wrong:?}");
}

fn believe(setup: &Setup, title: &str, lies: &Lies, is_equal: bool) {
    let mut scene = Scene::new(&Setup {
        lies: lies.clone(),
        ..setup.clone()
    });
    for _ in 0..3 {
        let changed = scene.change();
        scene.recover(title, "");
        if is_equal {
            scene.agree(&changed, Tolerance::NONE, title);
        } else {
            let (disk, there) = (scene.world.look(), scene.look_at_server());
            assert_eq!(disk.names(), there.names(), "{title}");
            assert_eq!(disk.contents(), there.contents(), "{title}");
            scene.next_step();
        }
        scene.assert_idle(title);
    }
}

/// A level that a server lists as if it could be opened (HAZARDS 13) is told in the runs that are due to look again, and in
/// between only listed; all else goes on.
#[test]
fn a_level_that_is_not_there() {
    let mut scene = Scene::new(&Setup::default());
    scene.server.lie(Lies {
        ghosts: true,
        ..Lies::default()
    });
    for (nth, exit) in [1, 1, 0, 0].into_iter().enumerate() {
        scene.change();
        let run = scene.world.sync(&[]);
        let [problem] = run.problems() else {
            panic!("one problem: {run:#?}")
        };
        assert_eq!(
            (run.exit, &problem["waiting"]),
            (exit, &(exit == 0).into()),
            "run {nth}: {run:#?}"
        );
        assert_eq!(problem["mailbox"], "Archive", "{run:#?}");
        assert!(
            run.count("right", "added") > 0 && run.count("left", "removed") == 0,
            "{run:#?}"
        );
        scene.next_step();
    }
    scene.server.lie(Lies::default());
    scene.recover("the truth", "");
    scene.assert_same("the truth");
    scene.assert_idle("the truth");
}

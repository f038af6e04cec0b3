//! A server without UIDPLUS gives a mailbox a new UIDVALIDITY between our mark of `\\Deleted` and our EXPUNGE.
//!
//! The removal then comes back (DESIGN 8a), and its mark with it: what bears it now is not proven to be the message that was
//! meant. From then on the mark is somebody else's, and EXPUNGE would take its message along; so what is removed later in
//! that mailbox is marked too and stays, which is told and waits, until a mail program expunges.

use std::fs;

use crate::scene::{Scene, Tolerance};
use crate::support::server::{Fault, Point, Setup, What, When};
use crate::support::witness::digest;
use crate::support::world::local;

/// The points of a standard sync that lie from the mark of the message that is removed from Work to its EXPUNGE. The other
/// removal of that sync goes with its mailbox.
const BETWEEN: [(&str, usize, Point); 4] = [
    ("UID STORE", 3, Point::AfterExecution),
    ("UID SEARCH", 1, Point::BeforeExecution),
    ("UID SEARCH", 1, Point::AfterExecution),
    ("EXPUNGE", 1, Point::BeforeExecution),
];

pub(crate) fn is_between_mark_and_expunge(when: &When) -> bool {
    BETWEEN.contains(&(&*when.verb, when.nth, when.point))
}

#[test]
fn a_new_validity_between_mark_and_expunge() {
    for (verb, nth, point) in BETWEEN {
        let mut scene = Scene::new(&Setup::bare());
        scene.settle_in();
        let fault = Fault::new(verb, nth, point, What::bump_uid_validity());
        // Nothing is lost, nothing doubled, and a further run changes nothing.
        assert_eq!(scene.survive(&fault, Tolerance::RETURNS_WHAT_WAS_REMOVED), 1);
        let title = format!("{verb} {nth} {point:?}");
        let marked = |account: &mut crate::support::server::Account| -> Vec<(u32, [u8; 32])> {
            let all = account.mailbox("Work").iter();
            all.filter(|message| message.flags.has("\\Deleted"))
                .map(|message| (message.uid, digest(&message.bytes)))
                .collect()
        };
        let came_back = scene.server.with("user", marked);
        let [(_, content)] = came_back[..] else {
            panic!("{title}: one came back with its mark, not {came_back:?}")
        };
        let work = local::messages(&scene.world.maildir.join("Work"));
        let here = work
            .iter()
            .find(|path| digest(&fs::read(path).expect("a message")) == content);
        assert!(
            local::letters(here.expect("it is on disk too")).contains(&'T'),
            "{title}"
        );

        // What is removed now is marked, is told, and stays; the run after the next waits.
        let other = work.iter().find(|path| !local::letters(path).contains(&'T'));
        fs::remove_file(other.expect("another")).expect("a removal");
        for exit in [1, 1, 0] {
            scene.server.clear();
            let run = scene.world.sync(&[]);
            let [problem] = run.problems() else {
                panic!("{title}: one problem: {run:#?}")
            };
            let what = problem["what"].as_str().expect("a text");
            assert!(what.contains("marked as deleted but stays"), "{title}: {what}");
            assert_eq!(run.exit, exit, "{title}: {run:#?}");
            assert_eq!(scene.server.count("EXPUNGE"), 0, "{title}");
        }
        assert_eq!(scene.server.with("user", marked).len(), 2, "{title}");

        // A mail program expunges: both are gone on both sides, and nothing waits.
        scene.server.with("user", |account| {
            for (uid, _) in marked(account) {
                account.expunge("Work", uid);
            }
        });
        scene.recover(&title, "");
        scene.assert_same(&title);
        scene.assert_idle(&title);
        assert_eq!(scene.world.look().count("Work"), work.len() - 2, "{title}");
    }
}

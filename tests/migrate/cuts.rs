//! A run that is cut goes on where it was.

use std::thread::sleep;
use std::time::Duration;

use crate::scene::{Scene, mail};
use crate::support::server::Setup;

const MESSAGES: usize = 120;

#[test]
fn killed_ten_times_it_ends_the_same() {
    let slow = Setup {
        latency: Duration::from_millis(2),
        ..Setup::default()
    };
    let scene = Scene::new(Setup::default(), slow);
    scene.on_from(|from| {
        for n in 0..MESSAGES {
            let name = ["INBOX", "Work", "Lists/a"][n % 3];
            from.create(name);
            from.deliver(name, &mail(&format!("{name} {n}")).flagged("\\Seen todo"));
        }
    });
    for nth in 1..=10 {
        let arrived = || scene.on_to(|to| to.mailboxes.values().map(|m| m.messages.len()).sum::<usize>());
        let wanted = (arrived() + 5).min(MESSAGES - 1);
        let mut run = scene.world.spawn(&["migrate", "personal", "new"]);
        while arrived() < wanted && run.try_wait().expect("a child").is_none() {
            sleep(Duration::from_millis(1));
        }
        run.kill().expect("a child");
        run.wait().expect("a child");
        // What the dead client had sent is carried out.
        scene.to.settle();
        assert!(nth > 1 || arrived() < MESSAGES, "the first run was not cut");
    }
    scene.migrate_ok(&[]);
    scene.assert_same(&[]);
    scene.assert_idle();
}

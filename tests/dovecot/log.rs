//! `homing log` tells for each past run what was done to which message, and why.

use std::fs;

use serde_json::Value;

use crate::changes::Writer;
use crate::scene::Scene;
use crate::support::dovecot::Dovecot;
use crate::support::world::{ACCOUNT, local, remote};

/// What the last run did: action, side, mailbox, number of messages, reason.
fn done(run: &Value) -> Vec<String> {
    let text = |done: &Value, key: &str| done[key].as_str().unwrap_or("-").to_owned();
    let line = |done: &Value| {
        let to = done["to"].as_str().map_or(String::new(), |to| format!(" to {to}"));
        let (action, on) = (text(done, "action"), text(done, "on"));
        format!(
            "{action} {} {on} {}{to}: {}",
            done["count"],
            text(done, "mailbox"),
            text(done, "why")
        )
    };
    let mut lines: Vec<String> = run["done"].as_array().unwrap().iter().map(line).collect();
    lines.sort();
    lines
}

#[test]
fn what_was_done_to_which_message() {
    let Some(dovecot) = Dovecot::shared() else { return };
    let mut scene = Scene::new(dovecot, "log");
    Writer::without_marks(41).fill(&scene, &["INBOX", "Work"], 8);
    scene.sync_to_equal(&[], "first pull");
    let files = scene.files("INBOX");
    let name = files[0].file_name().unwrap().to_string_lossy().into_owned();
    let unique = name.split(":2,").next().unwrap().to_owned();
    fs::remove_file(&files[0]).unwrap();
    local::set_letters(&files[1], &"FST".chars().collect());
    let mut session = scene.server.session();
    let uid = remote::uids(&mut session, "Work")[0];
    remote::remove(&mut session, uid);
    let mut raw = scene.raw();
    raw.ok("SELECT Work");
    raw.ok("UID MOVE 2 INBOX");
    scene.deliver("Work", "new on disk");
    scene.sync_to_equal(&[], "changed");
    scene.nothing_left("a run that does nothing is not in the log");

    let log = scene.world.run(&["log", ACCOUNT]);
    assert_eq!(log.exit, 0, "{log:#?}");
    let runs = log.account()["runs"].as_array().unwrap();
    assert_eq!(runs.len(), 2, "{runs:#?}");
    let first = done(&runs[1]);
    assert_eq!(
        first.iter().filter(|line| line.starts_with("copy 8 left")).count(),
        2,
        "{first:#?}"
    );
    let (flags, second): (Vec<_>, Vec<_>) = done(&runs[0]).into_iter().partition(|line| line.starts_with("flags"));
    let wanted = [
        "copy 1 right Work: new on the left",
        "move 1 left Work to INBOX: moved on the right",
        "remove 1 left Work: gone on the right",
        "remove 1 right INBOX: gone on the left",
    ];
    assert_eq!(second, wanted);
    assert!(
        flags
            .iter()
            .all(|line| line.contains("right INBOX: changed on the left: ")),
        "{flags:#?}"
    );

    // The message is told by its UID, and by its file although that is gone.
    let find = |on: &str, action: &str| -> Value {
        let done = runs[0]["done"].as_array().unwrap();
        done.iter()
            .find(|done| done["on"] == on && done["action"] == action)
            .unwrap()["messages"][0]
            .clone()
    };
    assert_eq!(find("right", "remove")["file"], unique);
    let removed = find("left", "remove");
    assert_eq!(removed["uid"], uid, "{removed:#?}");
    let in_attic = local::listing(&scene.world.home().join("xdg/data"));
    assert!(
        in_attic
            .iter()
            .any(|line| line.contains(removed["file"].as_str().unwrap())),
        "{in_attic:#?}"
    );

    let one = scene.world.run(&["log", ACCOUNT, "--run", &runs[1]["run"].to_string()]);
    assert_eq!(one.account()["runs"][0]["run"], runs[1]["run"]);
    assert_eq!(scene.world.run(&["log", ACCOUNT, "--run", "999"]).exit, 2);
    assert_eq!(
        scene.world.run(&["log", ACCOUNT, "-n", "1"]).account()["runs"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

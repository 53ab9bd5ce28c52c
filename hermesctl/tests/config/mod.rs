//! `hermesctl config`: what it writes, what it refuses, and what it says about a daemon.

use std::fs;

use serde_json::{Value, json};

use crate::world::*;

fn file(world: &World) -> String {
    fs::read_to_string(world.home.path().join("config/config.toml")).unwrap_or_default()
}

fn wrong(world: &World, text: &str) {
    fs::create_dir_all(world.home.path().join("config")).unwrap();
    fs::write(world.home.path().join("config/config.toml"), text).unwrap();
}

/// A daemon that works with one log level, whatever the files say.
fn in_force(level: &'static str, origin: &'static str, source: Value) -> World {
    World::with_daemon(move |heard| match heard.route.as_str() {
        "POST /v1/config/reload" | "GET /v1/config" => {
            let setting = json!({"key": "daemon.log", "value": level, "origin": origin, "source": source});
            ok(json!({"v": 1, "settings": [setting]}))
        }
        _ => {
            Answer::Json(404, json!({"v": 1, "error": {"code": "unknown-route", "message": "", "hint": ""}}))
        }
    })
}

#[test]
fn what_is_set_is_shown_with_where_it_comes_from() {
    let world = World::without_daemon();
    let set = world.run(&["config", "set", "daemon.log", "debug"]);
    assert_eq!((code(&set), stdout(&set).as_str()), (0, "✓ daemon.log is debug\n"));
    assert!(stderr(&set).contains("it follows it when it starts"), "{}", stderr(&set));
    assert_eq!(file(&world), "[daemon]\nlog = \"debug\"\n");
    assert_eq!(stdout(&world.run(&["config", "get", "daemon.log"])), "debug\n");

    let mut shown = world.command(&["config", "show", "--origin", "--json", "--account", "bob"]);
    let shown = shown.env("HERMES_NO_AUTOSTART", "1").output().unwrap();
    let shown: Value = serde_json::from_slice(&shown.stdout).unwrap();
    let find = |key: &str| {
        shown["settings"].as_array().unwrap().iter().find(|setting| setting["key"] == key).unwrap().clone()
    };
    let path = world.home.path().join("config/config.toml").display().to_string();
    for (key, value, origin, source) in [
        ("daemon.log", json!("debug"), "file", json!(path)),
        ("daemon.autostart", json!(false), "variable", json!("HERMES_NO_AUTOSTART")),
        ("default_account", json!("bob"), "flag", json!("--account")),
    ] {
        let found = find(key);
        assert_eq!((&found["value"], &found["origin"], &found["source"]), (&value, &json!(origin), &source));
    }
    assert_eq!(code(&world.run(&["config", "unset", "daemon.log"])), 0);
    assert_eq!(stdout(&world.run(&["config", "get", "daemon.log"])), "info\n");
}

#[test]
fn what_no_key_takes_is_exit_2_and_changes_nothing() {
    let world = World::without_daemon();
    for (arguments, says) in [
        (&["config", "set", "daemon.lgo", "debug"], "did you mean daemon.log?"),
        (&["config", "set", "daemon.log", "loud"], "error, warn, info, debug or trace"),
        (&["config", "set", "default_account", "../x"], "a-z"),
    ] {
        let output = world.run(arguments);
        assert_eq!(code(&output), 2, "{arguments:?}");
        assert!(stderr(&output).contains(says), "{}", stderr(&output));
    }
    assert_eq!(file(&world), "");
}

#[test]
fn a_wrong_file_is_mended_with_the_command_that_the_error_names() {
    let world = World::without_daemon();
    wrong(&world, "# mine\n[daemn]\n");
    let status = world.run(&["status"]);
    assert!(stderr(&status).contains("line 2 sets daemn"), "{}", stderr(&status));
    let edit = |editor: &str| {
        world
            .command(&["config", "edit"])
            .env("PATH", "/usr/bin:/bin")
            .env("EDITOR", editor)
            .output()
            .unwrap()
    };
    let worse = edit("sed -i s/daemn/deamon/");
    assert_eq!(code(&worse), 2);
    assert!(stderr(&worse).contains("the file stays as it was"), "{}", stderr(&worse));
    assert_eq!(file(&world), "# mine\n[daemn]\n");
    assert_eq!(code(&edit("false")), 1);
    // What is tried for want of a named editor would flood a pipe.
    let nowhere = world.run(&["config", "edit"]);
    assert!(code(&nowhere) == 2 && stderr(&nowhere).contains("needs a terminal"), "{}", stderr(&nowhere));
    let mended = edit("sed -i s/daemn/daemon/");
    assert_eq!(code(&mended), 0, "{}", stderr(&mended));
    assert_eq!(file(&world), "# mine\n[daemon]\n");
    assert_eq!(code(&world.run(&["config", "show"])), 0);
}

#[test]
fn a_daemon_that_follows_says_so_and_one_that_does_not_says_why() {
    for (world, says, told) in [
        (in_force("debug", "file", json!("/x")), "hermesd follows it from now on", "in-force"),
        (in_force("info", "flag", json!("--log")), "it was started with --log", "overridden"),
        (
            in_force("info", "variable", json!("HERMES_LOG")),
            "HERMES_LOG is set in its environment",
            "overridden",
        ),
        (in_force("info", "default", Value::Null), "after a restart", "needs-restart"),
        (
            World::with_daemon(|_| {
                Answer::Json(
                    404,
                    json!({"v": 1, "error": {"code": "unknown-route", "message": "?", "hint": ""}}),
                )
            }),
            "older version",
            "needs-restart",
        ),
    ] {
        let output = world.run(&["config", "set", "daemon.log", "debug"]);
        assert_eq!(code(&output), 0);
        assert!(stderr(&output).contains(says), "{says}: {}", stderr(&output));
        let json = world.run(&["config", "set", "daemon.log", "debug", "--json"]);
        assert_eq!(serde_json::from_slice::<Value>(&json.stdout).unwrap()["daemon"], told);
    }
}

//! Every example of docs/api.md, as it stands there.

use std::{env, fs, process::Command};

use hermes_tests::world::{
    World,
    programs::{Programs, workspace},
};

/// The blocks of a language, in order.
fn blocks(page: &str, language: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        if line == format!("```{language}") {
            let block: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
            blocks.push(block.join("\n"));
        }
    }
    blocks
}

/// Whether a program is here; says so when it is not.
fn is_here(program: &str) -> bool {
    let here = Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success());
    if !here {
        eprintln!("SKIPPED: no {program} here, so the examples of docs/api.md that need it were not run");
    }
    here
}

#[test]
fn the_examples_of_the_api_do_what_they_say() {
    let page = fs::read_to_string(workspace().join("docs/api.md")).unwrap();
    let (shell, python) = (blocks(&page, "sh"), blocks(&page, "python"));
    assert!(shell.len() >= 4 && python.len() >= 5, "the examples are found");
    let world = World::new();
    let (alice, bob) = world.pair("alice", "bob");
    bob.send("alice", "an unread message");
    world.until("alice has it", || alice.unread().len() == 1);

    let path = format!(
        "{}:{}",
        Programs::get().ctl().parent().unwrap().display(),
        env::var("PATH").unwrap_or_default()
    );
    let run = |program: &str, script: &str| {
        let output = Command::new(program)
            .args(["-c", script])
            .env("PATH", &path)
            .env("HERMES_HOME", alice.home.path())
            .env("HERMES_SOCKET", alice.home.socket())
            .env_remove("HERMES_ACCOUNT")
            .output()
            .unwrap();
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{script}\n\nended with {}:\n{out}\n{err}", output.status);
        // curl ends well whatever the answer is.
        assert!(!out.contains("\"error\":{\"code\""), "{script}\n\nwas answered:\n{out}");
        out.into_owned()
    };
    if is_here("curl") {
        for script in &shell {
            let out = run("bash", &format!("set -euo pipefail\n{script}"));
            assert!(
                script.contains("/events") || out.contains("\"v\":1") || out.contains("\"v\": 1"),
                "{out}"
            );
        }
        assert_eq!(alice.sent("bob"), ["backup done"]);
    }
    if is_here("python3") {
        let out = run("python3", &python.join("\n\n"));
        for expected in ["['bob']", "delivered False", "an unread message", "\nevent "] {
            assert!(out.contains(expected), "no {expected} in:\n{out}");
        }
        assert!(alice.unread().is_empty(), "what was read is marked");
    }
}

//! `hermesctl daemon` beside a systemd that is a shell script: what is written, and what systemd is told.

use std::{fs, process::Output};

use serde_json::{Value, json};

use crate::world::*;

/// Answers `show` and notes everything else.
const SYSTEMCTL: &str = r#"#!/bin/sh
shift 2
case "$1" in
show-environment) exit 0 ;;
show) printf 'ActiveState=%s\nUnitFileState=enabled\nMainPID=%s\n' "$(cat "$FAKE/active")" "$(cat "$FAKE/pid")" ;;
*) echo "$*" >> "$FAKE/told" ;;
esac
"#;

struct Machine {
    world: World,
    program: std::path::PathBuf,
}

impl Machine {
    fn new(world: World) -> Self {
        let program = installed_beside(&world, "#!/bin/sh\nexit 3\n");
        let bin = world.home.path().join("bin");
        // Another process writes it, for the reason that `installed_beside` has.
        let install = "printf %s \"$2\" > \"$1/systemctl\" && chmod 755 \"$1/systemctl\"";
        let made =
            std::process::Command::new("sh").args(["-c", install, "sh"]).arg(&bin).arg(SYSTEMCTL).status();
        assert!(made.unwrap().success());
        let machine = Self { world, program };
        machine.fares("inactive", 0);
        machine
    }

    /// What systemd says of the service.
    fn fares(&self, active: &str, pid: u32) {
        fs::write(self.world.home.path().join("active"), active).unwrap();
        fs::write(self.world.home.path().join("pid"), pid.to_string()).unwrap();
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let home = self.world.home.path();
        std::process::Command::new(&self.program)
            .args(arguments)
            .env_clear()
            .env("HERMES_HOME", home)
            .env("XDG_CONFIG_HOME", home.join("xdg"))
            .env("FAKE", home)
            .env("PATH", format!("{}:/usr/bin:/bin", home.join("bin").display()))
            .output()
            .unwrap()
    }

    fn told(&self) -> String {
        let path = self.world.home.path().join("told");
        let told = fs::read_to_string(&path).unwrap_or_default();
        let _ = fs::remove_file(path);
        told
    }

    fn unit(&self, name: &str) -> Option<String> {
        fs::read_to_string(self.world.home.path().join("xdg/systemd/user").join(name)).ok()
    }
}

/// A daemon that is gone as soon as it is asked to stop.
fn daemon() -> World {
    World::with_daemon(|heard| match heard.route.as_str() {
        "POST /v1/shutdown" => ok(json!({"v": 1, "pid": 4_000_000})),
        _ => ok(status_of(&[])),
    })
}

#[test]
fn installing_writes_the_units_makes_room_and_enables_them() {
    let machine = Machine::new(daemon());
    let output = machine.run(&["daemon", "install"]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    assert!(stdout(&output).contains("systemd keeps hermesd running"), "{}", stdout(&output));
    let service = machine.unit("hermesd.service").unwrap();
    let home = machine.world.home.path().display();
    assert!(
        service.contains(&format!("ExecStart={home}/bin/hermesd --socket {home}/run/hermesd.sock\n")),
        "{service}"
    );
    assert!(
        service.contains(&format!("Environment=HERMES_HOME={home}\n")) && service.contains("Type=notify\n")
    );
    let socket = machine.unit("hermesd.socket").unwrap();
    assert!(socket.contains(&format!("ListenStream={home}/run/hermesd.sock\n")), "{socket}");
    assert_eq!(machine.told(), "daemon-reload\nenable --now hermesd.socket hermesd.service\n");
    assert_eq!(
        machine.world.heard("POST /v1/shutdown").len(),
        1,
        "the one in the background has to go first"
    );

    machine.fares("active", 1);
    let status: Value = serde_json::from_slice(&machine.run(&["daemon", "status", "--json"]).stdout).unwrap();
    assert_eq!((&status["running"], &status["service"]["active"]), (&json!(true), &json!("active")));
    assert_eq!(code(&machine.run(&["daemon", "restart"])), 0);
    assert_eq!(code(&machine.run(&["daemon", "stop"])), 0);
    let told = machine.told();
    assert!(told.contains("restart hermesd.service\n"), "{told}");
    assert!(told.contains("stop hermesd.socket hermesd.service\n"), "{told}");

    assert_eq!(code(&machine.run(&["daemon", "uninstall"])), 0);
    assert_eq!(machine.told(), "disable --now hermesd.socket hermesd.service\ndaemon-reload\n");
    assert_eq!((machine.unit("hermesd.service"), machine.unit("hermesd.socket")), (None, None));
}

#[test]
fn an_installed_service_is_what_a_command_starts() {
    let machine = Machine::new(World::without_daemon());
    fs::create_dir_all(machine.world.home.path().join("xdg/systemd/user")).unwrap();
    fs::write(machine.world.home.path().join("xdg/systemd/user/hermesd.service"), "[Service]\n").unwrap();
    // It does not come up here; what counts is whom it was asked of.
    assert_eq!(code(&machine.run(&["status"])), 3);
    assert_eq!(machine.told(), "start hermesd.socket hermesd.service\n");
}

#[test]
fn units_of_others_are_left_alone() {
    let machine = Machine::new(daemon());
    let directory = machine.world.home.path().join("xdg/systemd/user");
    fs::create_dir_all(&directory).unwrap();
    fs::write(directory.join("hermesd.service"), "[Service]\nExecStart=/opt/mine\n").unwrap();
    assert_eq!(code(&machine.run(&["daemon", "install"])), 0);
    assert_eq!(code(&machine.run(&["daemon", "uninstall"])), 1);
    assert_eq!(machine.unit("hermesd.service").unwrap(), "[Service]\nExecStart=/opt/mine\n");
}

#[test]
fn without_a_manager_it_says_what_happens_instead() {
    let world = World::with_daemon(|_| ok(status_of(&[])));
    // No systemctl is in the path.
    let output = world.command(&["daemon", "install"]).env("PATH", "/nowhere").output().unwrap();
    assert_eq!(code(&output), 1);
    assert!(stderr(&output).contains("systemctl is not installed"), "{}", stderr(&output));
    assert!(stderr(&output).contains("starts hermesd in the background"), "{}", stderr(&output));
    let status = world.command(&["daemon", "status"]).env("PATH", "/nowhere").output().unwrap();
    assert_eq!(code(&status), 0);
    assert!(stdout(&status).contains("running, in the background"), "{}", stdout(&status));
}

#[test]
fn the_log_of_a_daemon_in_the_background_is_a_file() {
    let world = World::without_daemon();
    let logs = |arguments: &[&str]| {
        world.command(&[&["daemon", "logs"], arguments].concat()).env("PATH", "/nowhere").output().unwrap()
    };
    let none = logs(&[]);
    assert_eq!(code(&none), 1);
    assert!(stderr(&none).contains("hermesctl daemon start"), "{}", stderr(&none));
    fs::create_dir(world.home.path().join("state")).unwrap();
    fs::write(world.home.path().join("state/hermesd.log"), "one\ntwo\nthr\u{1b}[2Jee\n").unwrap();
    assert_eq!(stdout(&logs(&["-n", "2"])), "two\nthr␛[2Jee\n");
}

//! A terminal: tmux.

use std::{
    path::Path,
    process::{Command, Stdio},
};

use hermes_tests::world::{
    Account, Programs,
    wait::{DEADLINE, eventually},
};

/// A tmux server of the test's own, gone with it.
pub struct Terminal {
    socket: String,
}

impl Terminal {
    /// Starts a shell that finds `hermesctl`, for the account's home, in 80 columns and 24 rows. `None` where there is no
    /// tmux.
    pub fn start(socket: &Path, account: &Account) -> Option<Self> {
        Command::new("tmux")
            .arg("-V")
            .stdout(Stdio::null())
            .status()
            .ok()
            .filter(|status| status.success())?;
        let terminal = Self { socket: socket.display().to_string() };
        let home = account.home.path();
        let programs = Programs::get().ctl();
        let programs = programs.parent().expect("a program lies in a directory").display();
        let shell = format!(
            "cd '{home}' && HERMES_HOME='{home}' PATH='{programs}':\"$PATH\" LC_ALL=C.UTF-8 TZ=UTC PS1='ready> ' ENV= exec sh -i",
            home = home.display()
        );
        terminal.tmux(&["-u", "-f", "/dev/null", "new-session", "-d", "-x", "80", "-y", "24", &shell]);
        Some(terminal)
    }

    /// Waits until the shell asks for a command, and so has the keys: a program that is about to end or to stop reads some that
    /// are pressed meanwhile.
    #[track_caller]
    pub fn until_prompt(&self) {
        let mut screen = String::new();
        let asks = eventually(DEADLINE, || {
            screen = self.screen();
            screen.trim_end().lines().last().is_some_and(|line| line.trim_end() == "ready>")
        });
        assert!(asks, "the shell does not ask:\n{screen}");
    }

    /// Presses keys, one after the other; what is no key's name is typed.
    pub fn press(&self, keys: &[&str]) {
        self.tmux(&[&["send-keys"], keys].concat());
    }

    /// Pastes a text, as a terminal does that brackets what is pasted.
    pub fn paste(&self, text: &str) {
        self.tmux(&["set-buffer", text]);
        self.tmux(&["paste-buffer", "-p"]);
    }

    /// Gives the window another size.
    pub fn resize(&self, columns: u16, rows: u16) {
        self.tmux(&["resize-window", "-x", &columns.to_string(), "-y", &rows.to_string()]);
    }

    /// What stands on the screen.
    pub fn screen(&self) -> String {
        let captured = self.command(&["capture-pane", "-p"]).output().expect("tmux runs");
        String::from_utf8(captured.stdout).expect("a screen is text")
    }

    /// Waits until the screen has this text.
    #[track_caller]
    pub fn until(&self, text: &str) {
        let mut screen = String::new();
        let found = eventually(DEADLINE, || {
            screen = self.screen();
            screen.contains(text)
        });
        assert!(found, "{text:?} is not on the screen:\n{screen}");
    }

    #[track_caller]
    fn tmux(&self, arguments: &[&str]) {
        let status = self.command(arguments).status().expect("tmux runs");
        assert!(status.success(), "tmux {arguments:?}");
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("tmux");
        command.arg("-S").arg(&self.socket).args(arguments).stdin(Stdio::null()).stderr(Stdio::null());
        command.env("TERM", "xterm-256color").env("LC_ALL", "C.UTF-8").env_remove("TMUX");
        command
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _gone = self.command(&["kill-server"]).status();
    }
}

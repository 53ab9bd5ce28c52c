//! One run of the user's command for one message.

use std::{
    env,
    ffi::{OsStr, OsString},
    fmt, io,
    os::unix::{fs::PermissionsExt, process::ExitStatusExt},
    path::Path,
    process::Stdio,
};

use hermes_api::{ErrorCode, EventFrame, Message, Problem};
use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    io::AsyncWriteExt,
    process::{Child, ChildStdin, Command},
};

use crate::{clean, stop::Stop};

/// How a command that ran failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    Exit(i32),
    Signal(i32),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exit(code) => write!(f, "ended with {code}"),
            Self::Signal(signal) => write!(f, "was ended by signal {signal}"),
        }
    }
}

/// Finds the command where the system would: by its path, or by its name in `PATH`.
pub(super) fn find(command: &[OsString]) -> Result<(), Problem> {
    let program = Path::new(command.first().map_or(OsStr::new(""), OsString::as_os_str));
    let runs = |path: &Path| {
        path.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
    };
    let found = match program.components().count() {
        1 => env::var_os("PATH")
            .is_some_and(|paths| env::split_paths(&paths).any(|directory| runs(&directory.join(program)))),
        _ => runs(program),
    };
    match found {
        true => Ok(()),
        false => Err(Problem::new(
            ErrorCode::Usage,
            format!("cannot run {}: there is no such program", program.display()),
            "name a program behind --; what a shell should read: -- sh -c '...'",
        )),
    }
}

/// Runs the command. An error means that it cannot be run at all, which trying again does not change.
pub(super) async fn attempt(
    command: &[OsString],
    account: &str,
    frame: &EventFrame,
    message: &Message,
    number: u32,
) -> Result<Result<(), Failure>, Stop> {
    let Some((program, arguments)) = command.split_first() else {
        return Err(Stop::usage("there is no command", "name one behind --"));
    };
    let failed = |error: io::Error| {
        let message = format!("cannot run {}: {error}", program.display());
        Stop::Problem(Problem::new(ErrorCode::Io, message, "nothing is lost; mend it and start again"))
    };
    let mut child = Command::new(program)
        .args(arguments)
        .envs(environment(account, frame, message, number))
        .stdin(Stdio::piped())
        .spawn()
        .map(Running)
        .map_err(failed)?;
    let document = clean::json(&serde_json::to_string(frame).map_err(|error| failed(error.into()))?);
    let stdin = child.0.stdin.take();
    let status = tokio::select! {
        status = child.0.wait() => status.map_err(failed)?,
        never = feed(stdin, document) => match never {},
    };
    Ok(match (status.code(), status.signal()) {
        (Some(0), _) => Ok(()),
        (Some(code), _) => Err(Failure::Exit(code)),
        (None, signal) => Err(Failure::Signal(signal.unwrap_or_default())),
    })
}

/// Hands the event over and closes the pipe. A command that does not want to read it may leave it.
async fn feed(stdin: Option<ChildStdin>, document: String) -> std::convert::Infallible {
    if let Some(mut stdin) = stdin {
        let _ = stdin.write_all(format!("{document}\n").as_bytes()).await;
        let _ = stdin.shutdown().await;
    }
    std::future::pending().await
}

/// A command that is told to end when nobody waits for it any more, so that the next run of it finds itself alone.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It has no id once it has ended.
        let process = self.0.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        if let Some(process) = process {
            let _ = kill_process(process, Signal::TERM);
        }
    }
}

/// What a shell may use unquoted and be none the worse: ids, numbers, and names that this account's user has given. The name
/// that a member of a group gives itself may be that of a contact, and nobody has vouched for it.
fn environment(
    account: &str,
    frame: &EventFrame,
    message: &Message,
    number: u32,
) -> [(&'static str, String); 7] {
    let known = message.author.as_ref().is_none_or(|author| author.contact);
    // What begins with a dash is an option to the next program, and with a dot a file that hides or a way up.
    let harmless = |text: &str| match !text.starts_with(['-', '.']) && text.chars().all(is_harmless) {
        true => text.to_owned(),
        false => String::new(),
    };
    [
        ("HERMES_ACCOUNT", harmless(account)),
        ("HERMES_FROM", if known { harmless(&message.from) } else { String::new() }),
        ("HERMES_CHAT", harmless(&message.chat)),
        ("HERMES_REF", harmless(&message.reference)),
        ("HERMES_ID", harmless(&message.id)),
        ("HERMES_SEQ", frame.seq.unwrap_or_default().to_string()),
        ("HERMES_ATTEMPT", number.to_string()),
    ]
}

fn is_harmless(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '#')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(from: &str) -> (EventFrame, Message) {
        written_by(from, "null")
    }

    fn written_by(from: &str, author: &str) -> (EventFrame, Message) {
        let json = format!(
            r#"{{"v":1,"seq":7,"event":"received","message":{{"ref":"ops#1","id":"00","chat":"ops",
            "direction":"in","from":{from:?},"author":{author},"kind":"text","text":"$(touch /tmp/x)","sent_at":1,
            "received_at":1,"state":null,"error":null,"read":false,"no_one_time_prekey":false}}}}"#
        );
        let frame: EventFrame = serde_json::from_str(&json).unwrap();
        let hermes_api::Event::Received { message } = frame.event.clone() else { panic!("{frame:?}") };
        (frame, *message)
    }

    #[test]
    fn what_others_chose_is_not_in_the_environment() {
        let (event, message) = frame("bob");
        let variables = environment("alice", &event, &message, 1);
        assert!(variables.contains(&("HERMES_FROM", "bob".to_owned())));
        assert!(!variables.iter().any(|(_, value)| value.contains('$')), "{variables:?}");
        for (contact, expected) in [(true, "bob"), (false, "")] {
            let author = format!(r#"{{"name":"bob","contact":{contact},"me":false,"fingerprint":"00"}}"#);
            let (event, message) = written_by("bob", &author);
            let variables = environment("alice", &event, &message, 1);
            assert!(variables.contains(&("HERMES_FROM", expected.to_owned())), "a stranger calls itself bob");
        }
        for hostile in ["$(id)", "a b", "`id`", "a;b", "a\nb", "-rf", "--to", "..", "../x", "é"] {
            let (event, message) = frame(hostile);
            assert!(environment("alice", &event, &message, 1).contains(&("HERMES_FROM", String::new())));
        }
    }

    async fn sh(script: &str) -> Result<(), Failure> {
        let (event, message) = frame("bob");
        let command = ["sh", "-c", script].map(OsString::from);
        attempt(&command, "alice", &event, &message, 3).await.expect("sh runs")
    }

    #[tokio::test]
    async fn the_event_is_on_standard_input_and_the_end_is_told() {
        assert_eq!(sh("grep -q '\"seq\":7' && test \"$HERMES_REF$HERMES_ATTEMPT\" = 'ops#13'").await, Ok(()));
        assert_eq!(sh("exit 3").await, Err(Failure::Exit(3)));
        assert_eq!(sh("kill -9 $$").await, Err(Failure::Signal(9)));
        let (event, message) = frame("bob");
        let missing = [OsString::from("/nonexistent/program")];
        assert!(attempt(&missing, "alice", &event, &message, 1).await.is_err());
        assert!(find(&missing).is_err() && find(&["no such program".into()]).is_err());
        assert!(
            find(&["sh".into()]).is_ok() && find(&["/bin/sh".into()]).is_ok() && find(&["/".into()]).is_err()
        );
    }
}

//! `hermesctl config edit`

use std::{env, ffi::OsString, fs, io::IsTerminal, path::Path, process::Stdio};

use hermes_api::{ErrorCode, Problem, V1};
use hermes_config::{EXAMPLE, Key, write};
use serde::Serialize;
use serde_json::Value;
use tokio::process::Command;

use super::{config_problem, told::Daemon, write_problem};
use crate::{
    input::{self, Questions},
    invocation::Basis,
    output::{Format, GOOD, Line},
    stop::Stop,
};

/// What is tried when neither variable names an editor.
const EDITOR: &str = "vi";

#[derive(Debug, Serialize)]
struct Edited {
    v: V1,
    file: String,
    changed: bool,
}

/// A copy is edited, and takes the file's place once it is right.
pub(super) async fn run(basis: &mut Basis) -> Result<(), Stop> {
    // One that was named may well work without a terminal; the one that is tried for want of it does not.
    let is_named =
        ["VISUAL", "EDITOR"].iter().any(|name| env::var_os(name).is_some_and(|name| !name.is_empty()));
    let can_show = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    if !(is_named || can_show) {
        let hint = "for scripts: hermesctl config set KEY VALUE";
        return Err(Stop::usage("config edit needs a terminal for the editor", hint));
    }
    let before = write::text(&basis.paths).map_err(|error| config_problem(&error))?;
    let start = before.clone().unwrap_or_else(commented_example);
    let draft = tempfile::Builder::new().prefix("hermes-").suffix(".toml").tempfile().map_err(io)?;
    fs::write(draft.path(), &start).map_err(io)?;
    let after = loop {
        open_editor(draft.path()).await?;
        let text = fs::read_to_string(draft.path()).map_err(io)?;
        let Err(error) = write::check(&basis.paths, &text) else { break text };
        let problem = config_problem(&error);
        if basis.questions == Questions::Off {
            return Err(Problem { hint: "the file stays as it was".to_owned(), ..problem }.into());
        }
        basis.notes.problem(&problem);
        if !again().await? {
            basis.notes.say(&Line::new("The file stays as it was."));
            return Ok(());
        }
    };
    let changed = after != start;
    if changed {
        write::replace(&basis.paths, &after).map_err(|error| write_problem(&error))?;
    }
    let file = basis.paths.config_file().display().to_string();
    if basis.output.format == Format::Json {
        return Ok(basis.output.json(&Edited { v: V1, file, changed })?);
    }
    if !changed {
        basis.notes.say(&Line::new("Nothing was changed."));
        return Ok(());
    }
    basis.output.line(&Line::default().styled(GOOD, "✓ ").plain(format!("{file} is changed")));
    basis.output.flush()?;
    let files = super::files(basis)?;
    let daemon = Daemon::tell(basis).await;
    let value = |key: &Key| key.read::<Value>(files.config()).unwrap_or_default();
    daemon.summary(value).iter().for_each(|line| basis.notes.say(line));
    Ok(())
}

/// The shipped example with every key out of force, for a user who has no file yet.
fn commented_example() -> String {
    let line = |line: &str| match line {
        "" => String::new(),
        line if line.starts_with(['#', '[']) => line.to_owned(),
        line => format!("# {line}"),
    };
    EXAMPLE.lines().map(|text| line(text) + "\n").collect()
}

/// An editor's name may carry arguments, so a shell takes it apart, as with other programs that have this variable.
async fn open_editor(path: &Path) -> Result<(), Problem> {
    let named = |variable| env::var_os(variable).filter(|name| !name.is_empty());
    let editor = named("VISUAL").or_else(|| named("EDITOR")).unwrap_or_else(|| EDITOR.into());
    let mut script = OsString::from(&editor);
    script.push(" \"$@\"");
    let status =
        Command::new("sh").arg("-c").arg(script).arg("sh").arg(path).stdin(Stdio::inherit()).status();
    let failed = |how: String| {
        let message = format!("the editor {} {how}", editor.display());
        Problem::new(ErrorCode::Io, message, "set EDITOR to another one; the file stays as it was")
    };
    match status.await {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(failed(format!("failed ({status})"))),
        Err(error) => Err(failed(format!("cannot be started: {error}"))),
    }
}

async fn again() -> Result<bool, Problem> {
    let answer = input::ask("Edit it again? [Y/n]").await?.to_ascii_lowercase();
    Ok(!answer.starts_with('n'))
}

fn io(error: std::io::Error) -> Problem {
    Problem::new(
        ErrorCode::Io,
        format!("cannot make a copy to edit: {error}"),
        "set TMPDIR to a directory with room",
    )
}

#[cfg(test)]
mod tests {
    use hermes_config::{Config, Paths};

    use super::*;

    #[test]
    fn what_is_offered_to_edit_changes_nothing_by_itself() {
        let home = tempfile::tempdir().unwrap();
        let paths = Paths::under(home.path()).unwrap();
        let text = commented_example();
        assert!(text.contains("# log = \"info\"\n") && text.contains("\n[daemon]\n"));
        write::replace(&paths, &text).unwrap();
        assert_eq!(Config::load(&paths).unwrap(), Config::default());
        assert!(paths.config_file().is_file());
    }
}

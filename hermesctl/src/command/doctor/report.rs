//! `hermesctl bugreport`: what somebody who helps has to know, and nothing that says who, where or with whom.
//!
//! What is in it is chosen, not cleaned: facts that the checks word without names, values of keys that are one of a few
//! words, and of log lines the part that is written in the program.

use std::{fs::OpenOptions, io::Write, os::unix::fs::OpenOptionsExt, path::Path};

use hermes_api::{ErrorCode, Exit, Problem};
use hermes_config::{Config, Key, Layers, Origin};
use serde::Serialize;
use serde_json::Value;

use super::{Check, Findings, Verdict, examine};
use crate::{
    cli,
    daemon::tail,
    invocation::Basis,
    limits,
    output::{Format, GOOD, Line},
    service,
    stop::Stop,
};

/// The report as `--json` has it.
#[derive(Debug, Serialize)]
struct Report {
    v: hermes_api::V1,
    versions: Vec<(&'static str, String)>,
    checks: Vec<Fact>,
    config: Vec<Setting>,
    log: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Fact {
    check: &'static str,
    verdict: Verdict,
    /// Which of the accounts it is about, counted from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<usize>,
    fact: String,
}

#[derive(Debug, Serialize)]
struct Setting {
    key: &'static str,
    value: String,
    from: &'static str,
}

pub(crate) async fn run(args: cli::Bugreport, basis: &mut Basis) -> Result<Exit, Stop> {
    let Findings { checks, layers, status } = examine(basis).await;
    let report = Report {
        v: hermes_api::V1,
        versions: versions(status.map(|status| status.version)),
        checks: facts(&checks),
        config: layers.as_ref().map(settings).unwrap_or_default(),
        log: own_words_of(&log(basis).await),
    };
    match args.output {
        Some(path) => {
            let text = match basis.output.format {
                Format::Json => serde_json::to_string(&report).unwrap_or_default() + "\n",
                Format::Text => lines(&report).join("\n") + "\n",
            };
            write(&path, &text)?;
            basis.notes.say(&Line::default().styled(GOOD, "✓ ").plain(format!("wrote {}", path.display())));
        }
        None if basis.output.format == Format::Json => basis.output.json(&report)?,
        None => lines(&report).into_iter().for_each(|line| basis.output.line(&Line::new(line))),
    }
    basis.output.flush()?;
    basis.notes.say(&Line::new("It names nobody, no place and no text. Read it before you pass it on."));
    Ok(Exit::Ok)
}

/// A report is for somebody else's eyes, but who those are its owner decides.
fn write(path: &Path, text: &str) -> Result<(), Problem> {
    let write =
        || OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?.write_all(text.as_bytes());
    write().map_err(|error: std::io::Error| {
        let hint = match error.kind() {
            std::io::ErrorKind::AlreadyExists => "name a file that is not there yet",
            _ => "name a file in a directory that you may write to",
        };
        Problem::new(ErrorCode::Io, format!("cannot write {}: {error}", path.display()), hint)
    })
}

fn versions(hermesd: Option<String>) -> Vec<(&'static str, String)> {
    let system = rustix::system::uname();
    let text = |part: &std::ffi::CStr| part.to_string_lossy().into_owned();
    vec![
        ("hermesctl", env!("CARGO_PKG_VERSION").to_owned()),
        // Whatever answers at the socket says so; a version has no other letters.
        (
            "hermesd",
            hermesd
                .map_or("not running".to_owned(), |version| version.chars().filter(version_char).collect()),
        ),
        // Not the machine's name, which uname knows too.
        (
            "system",
            format!("{} {} {}", text(system.sysname()), text(system.release()), text(system.machine())),
        ),
    ]
}

fn version_char(c: &char) -> bool {
    c.is_ascii_digit() || *c == '.'
}

fn facts(checks: &[Check]) -> Vec<Fact> {
    let mut accounts: Vec<&str> = Vec::new();
    let mut facts = Vec::new();
    for check in checks {
        let account = check.account.as_deref().map(|name| {
            let known = accounts.iter().position(|known| *known == name);
            known.unwrap_or_else(|| {
                accounts.push(name);
                accounts.len() - 1
            }) + 1
        });
        facts.push(Fact { check: check.check, verdict: check.verdict, account, fact: check.fact.clone() });
    }
    facts
}

fn settings(layers: &Layers) -> Vec<Setting> {
    let settings = layers.settings().map(|(key, _, origin)| Setting {
        key: key.name,
        value: shown(key, layers.config()),
        from: match origin {
            Origin::Default => "default",
            Origin::File(_) => "file",
            Origin::Variable(_) => "variable",
            Origin::Flag(_) => "flag",
        },
    });
    settings.collect()
}

/// Yes, no, numbers, and words of a key that has one by default, which are a choice among a few. All else somebody made
/// up, and may name things.
fn shown(key: &Key, config: &Config) -> String {
    let value: Value = key.read(config).unwrap_or_default();
    let chosen = key
        .value(&Config::default())
        .is_some_and(|default| default.as_str().is_some_and(|word| !word.is_empty()));
    match value {
        Value::Null => "not set".to_owned(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::String(word) if chosen => word,
        Value::Array(items) if items.is_empty() => "empty".to_owned(),
        _ => "set".to_owned(),
    }
}

/// The end of the log: of systemd's where it runs the daemon, else of the file.
async fn log(basis: &Basis) -> String {
    if let Some(manager) = service::keeper(&basis.socket).await
        && manager.state().await.is_ok_and(|unit| unit.active != "inactive")
        && let Some(journal) = manager.journal(limits::REPORT_LINES).await
    {
        return journal;
    }
    tail(&basis.paths.log_file(), limits::LOG_TAIL_BYTES).map_or_else(|_| String::new(), |(text, _)| text)
}

/// The last lines of a log, as far as they are the program's own words.
fn own_words_of(log: &str) -> Vec<String> {
    let lines: Vec<String> = log.lines().filter_map(own_words).collect();
    lines[lines.len().saturating_sub(limits::REPORT_LINES)..].to_vec()
}

/// Time, level, module and message of a line; its fields, which hold whatever happened to whom, are left out. So is
/// every line of another form.
fn own_words(line: &str) -> Option<String> {
    let mut words = line.split_whitespace();
    let (time, level, module) = (words.next()?, words.next()?, words.next()?);
    let is_time = time.len() > 20 && time.ends_with('Z') && time.starts_with(|c: char| c.is_ascii_digit());
    let is_level = ["ERROR", "WARN", "INFO", "DEBUG", "TRACE"].contains(&level);
    let is_module =
        module.strip_suffix(':').is_some_and(|module| module.split("::").next() == Some("hermesd"));
    if !(is_time && is_level && is_module) {
        return None;
    }
    // A span's fields would stand between module and message.
    let message: Vec<&str> = words.take_while(|word| !word.contains('=') && !word.contains('{')).collect();
    Some(format!("{time} {level} {module} {}", message.join(" ")))
}

fn lines(report: &Report) -> Vec<String> {
    let mut lines = vec!["Hermes bug report".to_owned(), String::new()];
    lines.extend(report.versions.iter().map(|(name, version)| format!("{name:<10} {version}")));
    lines.extend([String::new(), "Checks".to_owned()]);
    for fact in &report.checks {
        let mark = match fact.verdict {
            Verdict::Ok => "ok",
            Verdict::Warn => "warn",
            Verdict::Fail => "FAIL",
        };
        let account = fact.account.map_or(String::new(), |number| format!("account {number}: "));
        lines.push(format!("  {mark:<5} {:<13} {account}{}", fact.check, fact.fact));
    }
    lines.extend([String::new(), "Configuration".to_owned()]);
    let setting = |setting: &Setting| format!("  {} = {} ({})", setting.key, setting.value, setting.from);
    lines.extend(report.config.iter().map(setting));
    lines.extend([String::new(), "Log, without what happened to whom".to_owned()]);
    match report.log.is_empty() {
        true => lines.push("  none in a file".to_owned()),
        false => lines.extend(report.log.iter().map(|line| format!("  {line}"))),
    }
    lines
}

#[cfg(test)]
mod tests {
    use hermes_config::KEYS;

    use super::*;

    #[test]
    fn of_a_log_line_the_programs_own_words_stay() {
        let line = "2026-11-27T23:43:01.154554Z  WARN hermesd::link: not connected to the mailbox reason=h.example wait_ms=3";
        let own = "2026-11-27T23:43:01.154554Z WARN hermesd::link: not connected to the mailbox";
        assert_eq!(own_words(line).unwrap(), own);
        for line in [
            "",
            "hermesd: cannot open /home/alice/x",
            "2026-11-27T23:43:01.154554Z  WARN other::link: alice",
            "bob INFO hermesd::x: hello",
            "2026-11-27T23:43:01.154554Z hello hermesd::x: there",
        ] {
            assert_eq!(own_words(line), None, "{line}");
        }
    }

    /// A key that somebody adds is not shown unless it is a yes, a number, or one of a few words.
    #[test]
    fn what_somebody_made_up_is_not_shown() {
        let mut config = Config::default();
        for key in KEYS {
            let Ok(value) = key.parse("canary").or_else(|_| key.parse("[\"canary\"]")) else { continue };
            key.assign(&mut config, value).unwrap();
        }
        for key in KEYS {
            assert!(!shown(key, &config).contains("canary"), "{}", key.name);
        }
    }
}

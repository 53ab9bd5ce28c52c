//! `hermesctl doctor`: looks at everything that has to be right, and says what is not and what to do.
//!
//! Works while the daemon is down, with a wrong configuration, and without an account.

mod accounts;
mod machine;
mod relay;
mod report;

use hermes_api::{AccountStatus, ClientError, DaemonStatus, Diagnosis, Exit, OtherBuild, RelayClock, V1};
use hermes_config::{Config, Layers};
use serde::Serialize;

pub(crate) use self::report::run as bugreport;
use super::config::config_problem;
use crate::{
    invocation::Basis,
    output::{BAD, DIM, Format, GOOD, Line, WARN},
    render::fold,
    stop::Stop,
};

/// How a check came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Verdict {
    Ok,
    Warn,
    Fail,
}

/// One line of the doctor's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Check {
    /// What was looked at, as in `disk`.
    check: &'static str,
    verdict: Verdict,
    /// The account that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<String>,
    /// What was found.
    text: String,
    /// What to do about it; empty when nothing is.
    #[serde(skip_serializing_if = "String::is_empty")]
    advice: String,
    /// What was found in words that say nothing of who, where or with whom: numbers, states and codes.
    #[serde(skip)]
    fact: String,
}

impl Check {
    /// A check whose finding holds nothing private, so that it is its own fact.
    pub(super) fn plain(check: &'static str, verdict: Verdict, text: impl Into<String>) -> Self {
        let text = text.into();
        Self { check, verdict, account: None, fact: text.clone(), text, advice: String::new() }
    }

    /// A check whose finding names names; `fact` is what may be told to strangers.
    pub(super) fn private(
        check: &'static str,
        verdict: Verdict,
        text: impl Into<String>,
        fact: impl Into<String>,
    ) -> Self {
        Self { fact: fact.into(), ..Self::plain(check, verdict, text) }
    }

    /// Adds what to do.
    pub(super) fn advise(self, advice: impl Into<String>) -> Self {
        Self { advice: advice.into(), ..self }
    }

    /// Says which account it is about.
    pub(super) fn of(self, account: &str) -> Self {
        Self { account: Some(account.to_owned()), ..self }
    }
}

/// What was found before anything is judged.
pub(super) struct Findings {
    pub(super) checks: Vec<Check>,
    pub(super) layers: Option<Layers>,
    pub(super) status: Option<DaemonStatus>,
}

#[derive(Serialize)]
struct Document<'a> {
    v: V1,
    ok: bool,
    checks: &'a [Check],
}

pub(crate) async fn run(basis: &mut Basis) -> Result<Exit, Stop> {
    let Findings { checks, .. } = examine(basis).await;
    let failed = checks.iter().filter(|check| check.verdict == Verdict::Fail).count();
    let warned = checks.iter().filter(|check| check.verdict == Verdict::Warn).count();
    if basis.output.format == Format::Json {
        basis.output.json(&Document { v: V1, ok: failed == 0, checks: &checks })?;
    } else {
        for check in &checks {
            lines(check, basis.output.width).iter().for_each(|line| basis.output.line(line));
        }
        basis.output.line(&summary(failed, warned));
    }
    basis.output.flush()?;
    Ok(if failed == 0 { Exit::Ok } else { Exit::Failure })
}

/// Columns of a check's mark and name.
const HEAD: usize = 16;

/// On a terminal of so many columns, what is long goes on below itself. Advice is left whole: it is there to be copied.
fn lines(check: &Check, width: Option<u16>) -> Vec<Line> {
    let (style, mark) = match check.verdict {
        Verdict::Ok => (GOOD, "✓"),
        Verdict::Warn => (WARN, "!"),
        Verdict::Fail => (BAD, "✗"),
    };
    let line = Line::default().styled(style, mark).styled(DIM, format!(" {:<13} ", check.check));
    let text = match &check.account {
        Some(account) => format!("{account}: {}", check.text),
        None => check.text.clone(),
    };
    let room = width.map(|width| usize::from(width).saturating_sub(HEAD));
    let mut folded = fold::fold(&text, room).into_iter();
    let mut lines = vec![line.plain(folded.next().unwrap_or_default())];
    lines.extend(folded.map(|text| Line::new(" ".repeat(HEAD)).plain(text)));
    if !check.advice.is_empty() {
        lines.push(Line::default().styled(DIM, "                → ").plain(&check.advice));
    }
    lines
}

fn summary(failed: usize, warned: usize) -> Line {
    let count = |n: usize, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
    match (failed, warned) {
        (0, 0) => Line::default().styled(GOOD, "Everything is in order."),
        (0, warned) => Line::default().styled(WARN, format!("It works, with {}.", count(warned, "warning"))),
        (failed, 0) => Line::default().styled(BAD, format!("{} found.", count(failed, "problem"))),
        (failed, warned) => {
            let both = format!("{} found, and {}.", count(failed, "problem"), count(warned, "warning"));
            Line::default().styled(BAD, both)
        }
    }
}

/// Looks at everything, the machine first: what is wrong there explains most of what is wrong elsewhere.
pub(super) async fn examine(basis: &Basis) -> Findings {
    let mut checks = Vec::new();
    let layers = match Layers::load(&basis.paths) {
        Ok(layers) => {
            checks.push(Check::plain("configuration", Verdict::Ok, "the configuration can be used"));
            Some(layers)
        }
        Err(error) => {
            let problem = config_problem(&error);
            let check = Check::private("configuration", Verdict::Fail, problem.message, "it cannot be used");
            checks.push(check.advise(problem.hint));
            None
        }
    };
    let config = layers.as_ref().map_or_else(Config::default, |layers| layers.config().clone());
    let client = basis.client();
    let status = client.status().await;
    let diagnosis = match &status {
        Ok(_) => client.diagnosis().await.ok(),
        Err(_) => None,
    };
    checks.push(daemon(&status, client.other_build()));
    checks.extend(machine::checks(basis, &config, status.as_ref().ok(), diagnosis.as_ref()).await);
    let status = status.ok();
    if let Some(status) = &status {
        if status.accounts.is_empty() {
            let none = Check::plain("accounts", Verdict::Warn, "there is no account yet");
            checks.push(none.advise("make one: hermesctl init --name NAME --relay ADDRESS"));
        }
        for account in &status.accounts {
            checks.extend(of_account(account, clock_of(diagnosis.as_ref(), &account.name)).await);
        }
    }
    Findings { checks, layers, status }
}

/// One cause is one problem: what was found on the way to the relay stands in place of what it leads to.
async fn of_account(account: &AccountStatus, clock: Option<RelayClock>) -> Vec<Check> {
    let mut checks = accounts::checks(account, clock);
    if let Some(way) = relay::check(account).await {
        if way.verdict == Verdict::Fail && accounts::is_unreachable(account) {
            checks.retain(|check| check.check != accounts::RELAY);
        }
        checks.push(way);
    }
    checks
}

fn clock_of(diagnosis: Option<&Diagnosis>, account: &str) -> Option<RelayClock> {
    diagnosis?.accounts.iter().find(|known| known.name == account)?.relay_clock
}

fn daemon(status: &Result<DaemonStatus, ClientError>, build: Option<OtherBuild>) -> Check {
    let own = env!("CARGO_PKG_VERSION");
    match status {
        Ok(status) if status.version != own => {
            let text = format!("hermesd {} runs, and this hermesctl is {own}", status.version);
            Check::plain("daemon", Verdict::Warn, text).advise("hermesctl daemon restart")
        }
        Ok(status) if build.is_some() => {
            let how = if build == Some(OtherBuild::Silent) { "older" } else { "of another build" };
            let version = &status.version;
            let text = format!("hermesd {version} runs (pid {}), {how} than this hermesctl", status.pid);
            let fact = format!("hermesd {version} runs, {how} than this hermesctl");
            Check::private("daemon", Verdict::Warn, text, fact).advise("hermesctl daemon restart")
        }
        Ok(status) => {
            let text = format!("hermesd {} runs (pid {})", status.version, status.pid);
            Check::private("daemon", Verdict::Ok, text, format!("hermesd {} runs", status.version))
        }
        Err(ClientError::NotRunning { .. }) => {
            let text = "hermesd is not running: nothing is sent, and messages wait at the relay";
            Check::plain("daemon", Verdict::Fail, text).advise("start it: hermesctl daemon start")
        }
        Err(error) => {
            let problem = error.problem();
            let fact = format!("cannot be asked: {}", problem.code.as_str());
            Check::private("daemon", Verdict::Fail, problem.message, fact).advise(problem.hint)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_what_and_the_next_what_to_do() {
        let check = Check::plain("disk", Verdict::Fail, "the disk is full").of("alice").advise("make room");
        let texts = |width| lines(&check, width).iter().map(Line::text).collect::<Vec<_>>();
        assert_eq!(texts(None), ["✗ disk          alice: the disk is full", "                → make room"]);
        let narrow =
            ["✗ disk          alice: the", "                disk is full", "                → make room"];
        assert_eq!(texts(Some(30)), narrow);
        assert_eq!(summary(0, 0).text(), "Everything is in order.");
        assert_eq!(summary(1, 2).text(), "1 problem found, and 2 warnings.");
    }
}

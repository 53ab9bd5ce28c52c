//! What a running daemon makes of the configuration.

use hermes_api::{ClientError, ConfigInForce, ConfigOrigin, ErrorCode, SettingInForce};
use hermes_config::{KEYS, Key};
use serde::Serialize;
use serde_json::Value;

use super::{concerns_daemon, text};
use crate::{
    invocation::Basis,
    output::{Line, WARN},
};

/// What the daemon said.
pub(super) enum Daemon {
    /// What it works with.
    Follows(ConfigInForce),
    /// None runs.
    NotRunning,
    /// It runs, and cannot say; the reason is for people.
    Unknown(String),
}

/// Where a change stands with the daemon, as JSON shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Told {
    /// The key is none of its business.
    NotConcerned,
    /// It works with the new value.
    InForce,
    /// It will, when it starts.
    NotRunning,
    /// It goes on with what it has until it starts again.
    NeedsRestart,
    /// A flag or a variable of its own stands above the file.
    Overridden,
}

impl Daemon {
    /// Asks what it works with.
    pub(super) async fn ask(basis: &Basis) -> Self {
        Self::from(basis.client().config().await)
    }

    /// Has it read its configuration again.
    pub(super) async fn tell(basis: &Basis) -> Self {
        Self::from(basis.client().reload_config().await)
    }

    fn from(answer: Result<ConfigInForce, ClientError>) -> Self {
        match answer {
            Ok(config) => Self::Follows(config),
            Err(ClientError::NotRunning { .. }) => Self::NotRunning,
            Err(error) => Self::Unknown(match error.problem() {
                problem if problem.code == ErrorCode::UnknownRoute => "it is of an older version".to_owned(),
                problem => problem.message,
            }),
        }
    }

    fn setting(&self, key: &str) -> Option<&SettingInForce> {
        match self {
            Self::Follows(config) => config.settings.iter().find(|setting| setting.key == key),
            Self::NotRunning | Self::Unknown(_) => None,
        }
    }

    /// What it works with instead of `value`.
    pub(super) fn differs(&self, key: &Key, value: &Value) -> Option<&Value> {
        let setting = self.setting(key.name).filter(|_| concerns_daemon(key))?;
        Some(&setting.value).filter(|in_force| *in_force != value)
    }

    /// How it stands with a key that now is `value`.
    pub(super) fn told(&self, key: &Key, value: &Value) -> Told {
        if !concerns_daemon(key) {
            return Told::NotConcerned;
        }
        match (self, self.setting(key.name)) {
            (Self::NotRunning, _) => Told::NotRunning,
            (_, Some(setting)) if setting.value == *value => Told::InForce,
            (_, Some(setting)) if matches!(setting.origin, ConfigOrigin::Flag | ConfigOrigin::Variable) => {
                Told::Overridden
            }
            _ => Told::NeedsRestart,
        }
    }

    /// The same for people; nothing where there is nothing to know.
    pub(super) fn say(&self, told: Told, key: &Key) -> Option<Line> {
        let line = |said: &str| Some(Line::new(said));
        match told {
            Told::NotConcerned => None,
            Told::InForce => line("hermesd follows it from now on"),
            Told::NotRunning => line("hermesd is not running; it follows it when it starts"),
            Told::NeedsRestart => {
                let why = match self {
                    Self::Unknown(reason) => format!(" ({reason})"),
                    _ => String::new(),
                };
                let said = format!("hermesd follows it after a restart{why}: hermesctl daemon restart");
                Some(Line::default().styled(WARN, "warning: ").plain(said))
            }
            Told::Overridden => self.setting(key.name).map(|setting| self.explain(key.name, &setting.value)),
        }
    }

    /// Why the daemon works with another value than the files and this environment say.
    pub(super) fn explain(&self, key: &str, in_force: &Value) -> Line {
        let setting = self.setting(key);
        let source = setting.and_then(|setting| setting.source.clone()).unwrap_or_default();
        let why = match setting.map(|setting| setting.origin) {
            Some(ConfigOrigin::Flag) => format!("it was started with {source}"),
            Some(ConfigOrigin::Variable) => format!("{source} is set in its environment"),
            _ => "it follows your file after a restart: hermesctl daemon restart".to_owned(),
        };
        let said = format!("hermesd works with {key} = {}: {why}", text(in_force));
        Line::default().styled(WARN, "warning: ").plain(said)
    }

    /// What there is to know after everything may have changed.
    pub(super) fn summary(&self, values: impl Fn(&Key) -> Value) -> Vec<Line> {
        let mut lines = Vec::new();
        for key in KEYS {
            if let Some(in_force) = self.differs(key, &values(key)) {
                lines.push(self.explain(key.name, in_force));
            }
        }
        match self {
            Self::Follows(_) if lines.is_empty() => lines.push(Line::new("hermesd follows it from now on")),
            Self::Follows(_) | Self::NotRunning => {}
            Self::Unknown(reason) => {
                let said = format!("hermesd did not take it over ({reason}): hermesctl daemon restart");
                lines.push(Line::default().styled(WARN, "warning: ").plain(said));
            }
        }
        lines
    }
}

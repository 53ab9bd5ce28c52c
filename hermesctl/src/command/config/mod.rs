//! `hermesctl config`
//!
//! It works on a file that no other command would accept, for this is what mends it.

mod edit;
mod told;

use hermes_api::{ConfigOrigin, ErrorCode, Exit, Problem, V1};
use hermes_config::{ConfigError, Key, Layers, Origin, TakesEffect, WriteError, write};
use serde::Serialize;
use serde_json::Value;

use self::told::{Daemon, Told};
use crate::{
    cli,
    invocation::Basis,
    output::{Format, GOOD, Line, NAME, WARN},
    stop::Stop,
};

/// One key, as `--json` shows it.
#[derive(Debug, Serialize)]
struct Setting {
    key: &'static str,
    value: Value,
    origin: ConfigOrigin,
    source: Option<String>,
    about: &'static str,
    /// What a running daemon works with, when it is something else.
    #[serde(skip_serializing_if = "Option::is_none")]
    in_force: Option<Value>,
}

/// All keys, as `show --json` shows them.
#[derive(Debug, Serialize)]
struct Settings {
    v: V1,
    file: String,
    settings: Vec<Setting>,
}

/// A key and its value, as `get`, `set` and `unset` show them.
#[derive(Debug, Serialize)]
struct One {
    v: V1,
    key: &'static str,
    value: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    daemon: Option<Told>,
}

pub(crate) async fn run(command: cli::Config, global: &cli::Global, basis: &mut Basis) -> Result<Exit, Stop> {
    match command {
        cli::Config::Show { origin } => show(origin, global, basis).await?,
        cli::Config::Get { key } => get(key, global, basis)?,
        cli::Config::Set { key, value } => {
            let value = key.parse(&value).map_err(|reason| wrong_value(key, &value, &reason))?;
            write::set(&basis.paths, key, value).map_err(|error| write_problem(&error))?;
            changed(key, global, basis).await?;
        }
        cli::Config::Unset { key } => {
            write::unset(&basis.paths, key).map_err(|error| write_problem(&error))?;
            changed(key, global, basis).await?;
        }
        cli::Config::Edit => edit::run(basis).await?,
    }
    basis.output.flush()?;
    Ok(Exit::Ok)
}

/// The files and the environment, and above them this command's flags.
fn layers(global: &cli::Global, basis: &Basis) -> Result<Layers, Problem> {
    let mut layers = Layers::load(&basis.paths).map_err(|error| config_problem(&error))?;
    let account = global.account.as_ref().map(|name| ("--account", "default_account", name.as_str().into()));
    let autostart = global.no_autostart.then(|| ("--no-autostart", "daemon.autostart", false.into()));
    for (flag, key, value) in account.into_iter().chain(autostart) {
        if let Some(key) = Key::find(key) {
            layers
                .apply_flag(flag, key, value)
                .map_err(|reason| Problem::new(ErrorCode::Usage, format!("{flag}: {reason}"), ""))?;
        }
    }
    Ok(layers)
}

fn files(basis: &Basis) -> Result<Layers, Problem> {
    Layers::of_files(&basis.paths).map_err(|error| config_problem(&error))
}

async fn show(origin: bool, global: &cli::Global, basis: &mut Basis) -> Result<(), Stop> {
    let layers = layers(global, basis)?;
    let files = files(basis)?;
    let daemon = Daemon::ask(basis).await;
    let settings = layers.settings().map(|(key, _, origin)| {
        let value: Value = key.read(layers.config()).unwrap_or_default();
        // The daemon has flags and variables of its own.
        let in_force = daemon.differs(key, &key.read(files.config()).unwrap_or_default()).cloned();
        let (origin, source) = named(origin);
        Setting { key: key.name, value, origin, source, about: key.about, in_force }
    });
    let settings: Vec<Setting> = settings.collect();
    if basis.output.format == Format::Json {
        let file = basis.paths.config_file().display().to_string();
        return Ok(basis.output.json(&Settings { v: V1, file, settings })?);
    }
    let rows = settings.iter().map(|setting| {
        let mut row = vec![setting.key.to_owned(), text(&setting.value)];
        row.push(if origin { origin_text(setting) } else { setting.about.to_owned() });
        row
    });
    let header = ["key", "value", if origin { "from" } else { "what it is" }];
    basis.output.table(&header, &rows.collect::<Vec<_>>());
    basis.output.flush()?;
    for setting in &settings {
        if let Some(in_force) = &setting.in_force {
            basis.notes.say(&daemon.explain(setting.key, in_force));
        }
    }
    Ok(())
}

fn get(key: &'static Key, global: &cli::Global, basis: &mut Basis) -> Result<(), Stop> {
    let value: Value = key.read(layers(global, basis)?.config()).unwrap_or_default();
    if basis.output.format == Format::Json {
        return Ok(basis.output.json(&One { v: V1, key: key.name, value, daemon: None })?);
    }
    match value.is_null() {
        true => basis.notes.say(&Line::new(format!("{} is not set", key.name))),
        false => basis.output.line(&Line::new(text(&value))),
    }
    Ok(())
}

/// Says what counts after a change of the file, and what a running daemon makes of it.
async fn changed(key: &'static Key, global: &cli::Global, basis: &mut Basis) -> Result<(), Stop> {
    let layers = layers(global, basis)?;
    let value: Value = key.read(files(basis)?.config()).unwrap_or_default();
    let daemon = Daemon::tell(basis).await;
    let told = daemon.told(key, &value);
    if basis.output.format == Format::Json {
        return Ok(basis.output.json(&One { v: V1, key: key.name, value, daemon: Some(told) })?);
    }
    let line = Line::default().styled(GOOD, "✓ ").styled(NAME, key.name);
    let line = match value.is_null() {
        true => line.plain(" is not set"),
        false => line.plain(format!(" is {}", text(&value))),
    };
    basis.output.line(&line);
    basis.output.flush()?;
    let origin = layers.settings().find(|(known, ..)| known.name == key.name).map(|(.., origin)| origin);
    if let Some(above @ (Origin::Variable(_) | Origin::Flag(_))) = origin {
        let (_, source) = named(above);
        let here = key.read(layers.config()).unwrap_or_default();
        let source = source.unwrap_or_default();
        let text = format!("{source} stands above the file: here it is {}", text(&here));
        basis.notes.say(&Line::default().styled(WARN, "warning: ").plain(text));
    }
    if let Some(line) = daemon.say(told, key) {
        basis.notes.say(&line);
    }
    Ok(())
}

/// A value as a person types it.
fn text(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn named(origin: &Origin) -> (ConfigOrigin, Option<String>) {
    match origin {
        Origin::Default => (ConfigOrigin::Default, None),
        Origin::File(path) => (ConfigOrigin::File, Some(path.display().to_string())),
        Origin::Variable(name) => (ConfigOrigin::Variable, Some((*name).to_owned())),
        Origin::Flag(flag) => (ConfigOrigin::Flag, Some((*flag).to_owned())),
    }
}

fn origin_text(setting: &Setting) -> String {
    setting.source.clone().unwrap_or_else(|| "default".to_owned())
}

fn wrong_value(key: &Key, value: &str, reason: &str) -> Problem {
    let message = format!("{} cannot be {value:?}: {reason}", key.name);
    Problem::new(ErrorCode::Usage, message, format!("{}: {}", key.name, key.about))
}

/// A configuration that cannot be used; the error's own advice becomes the hint.
pub(crate) fn config_problem(error: &ConfigError) -> Problem {
    split(error.to_string(), ErrorCode::BadConfig)
}

fn write_problem(error: &WriteError) -> Problem {
    match error {
        WriteError::Config(error) => config_problem(error),
        WriteError::Io { .. } => split(error.to_string(), ErrorCode::Io),
    }
}

fn split(text: String, code: ErrorCode) -> Problem {
    let (message, hint) = text.split_once("; ").unwrap_or((&text, ""));
    Problem::new(code, message, hint)
}

/// Whether hermesd has a say in what the key does.
fn concerns_daemon(key: &Key) -> bool {
    matches!(key.takes_effect, TakesEffect::Reload | TakesEffect::Restart)
}

//! Every key of the configuration: its type, its default, its variable, and when a change of it counts.
//!
//! The table below is the only list. A new key is one line there and one in `hermes.example.toml`, which a test compares.
//! A key's type has serde's spelling in files; in variables and on the command line the same without quotes.

use serde::{
    Deserialize, Serialize,
    de::{DeserializeOwned, IntoDeserializer},
};
use toml_edit::{Value, ser::ValueSerializer};

use crate::{AccountName, Audience, LogLevel, Preview};

settings! {
    top {
        /// The account that hermesctl uses when none is named
        default_account: Option<AccountName> = None, "HERMES_ACCOUNT", Command;
    }
    /// The daemon's settings.
    daemon: Daemon {
        /// How much hermesd writes to its log: error, warn, info, debug or trace
        log: LogLevel = LogLevel::Info, "HERMES_LOG", Reload;
        /// Whether hermesctl starts hermesd in the background when it is not running
        autostart: bool = true, "HERMES_NO_AUTOSTART", Command;
        /// Whether hermesd shuts itself off from all files that are not its own
        sandbox: bool = true, "HERMES_NO_SANDBOX", Restart;
    }
    /// What is announced on the desktop.
    notifications: Notifications {
        /// Whether hermesd announces unread messages on the desktop
        enabled: bool = true, "HERMES_NO_NOTIFICATIONS", Restart;
        /// What an announcement says: full, name-only or none
        preview: Preview = Preview::Full, "HERMES_NOTIFICATION_PREVIEW", Restart;
    }
    /// How the keys of the stores are protected.
    keys: KeyProtection {
        /// The command that prints the passphrase of an account's keys; {account} in it is the account's name
        passphrase_command: Vec<String> = Vec::new(), "HERMES_PASSPHRASE_COMMAND", Restart;
    }
    /// What others may learn.
    privacy: Privacy {
        /// Who is told while this daemon is connected, and has its pings answered: contacts or nobody
        presence: Audience = Audience::Contacts, "HERMES_PRESENCE", Reload;
        /// Whether senders are told that their messages were read
        read_receipts: bool = true, "HERMES_READ_RECEIPTS", Reload;
    }
}

/// What begins the name of a variable that says the opposite of its key, which is a yes or a no.
const OPPOSITE: &str = "HERMES_NO_";

/// When a changed value counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TakesEffect {
    /// Read by hermesctl whenever it runs.
    Command,
    /// Read by hermesd when it starts, and again when it is told to read its configuration again.
    Reload,
    /// Read by hermesd when it starts.
    Restart,
}

/// A key that a file, a variable or a flag may set.
pub struct Key {
    /// As in `daemon.log`.
    pub name: &'static str,
    /// What it is for, in one clause.
    pub about: &'static str,
    /// The variable that stands above the files.
    pub variable: &'static str,
    /// When a changed value counts.
    pub takes_effect: TakesEffect,
    assign: fn(&mut Config, Value) -> Result<(), String>,
    value: fn(&Config) -> Option<Value>,
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

impl Key {
    /// The key of that name.
    pub fn find(name: &str) -> Option<&'static Self> {
        KEYS.iter().find(|key| key.name == name)
    }

    /// The name of the key that looks most like `name`.
    pub fn nearest(name: &str) -> &'static str {
        let last = |key: &'static str| key.rsplit('.').next().unwrap_or(key);
        let likeness = |known: &'static str| {
            // A key in the wrong table is as likely a mistake as a misspelt one.
            strsim::jaro_winkler(name, known).max(strsim::jaro_winkler(name, last(known)))
        };
        let names = KEYS.iter().map(|key| key.name);
        names.max_by(|a, b| likeness(a).total_cmp(&likeness(b))).unwrap_or_default()
    }

    /// Sets the key in `config`; the error says what is wrong with the value.
    pub fn assign(&self, config: &mut Config, value: Value) -> Result<(), String> {
        (self.assign)(config, value).map_err(|said| in_plain_words(&said))
    }

    /// What `config` says; nothing when the key is not set and has no default.
    pub fn value(&self, config: &Config) -> Option<Value> {
        (self.value)(config)
    }

    /// The same as whatever serde makes of it, like a JSON value.
    pub fn read<T: DeserializeOwned>(&self, config: &Config) -> Option<T> {
        self.value(config).and_then(|value| read(value).ok())
    }

    /// What a person typed as the key's value: the word itself where the key takes words, else TOML.
    pub fn parse(&self, text: &str) -> Result<Value, String> {
        let try_out = |value: &Value| self.assign(&mut Config::default(), value.clone());
        let word = Value::from(text);
        let Err(no_word) = try_out(&word) else { return Ok(word) };
        match text.parse::<Value>() {
            Ok(value) => try_out(&value).map(|()| value),
            Err(_) => Err(no_word),
        }
    }

    /// What the key's variable says when it holds `text`.
    pub(crate) fn parse_variable(&self, text: &str) -> Result<Value, String> {
        let opposite = self.variable.starts_with(OPPOSITE);
        match yes_or_no(text).filter(|_| matches!(self.value(&Config::default()), Some(Value::Boolean(_)))) {
            Some(said) => Ok(Value::from(said != opposite)),
            None if opposite => Err("it is a yes or a no, like 1 or 0".to_owned()),
            None => self.parse(text),
        }
    }
}

fn yes_or_no(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "1" | "true" | "yes" | "on" | "y" | "t" => Some(true),
        "0" | "false" | "no" | "off" | "n" | "f" => Some(false),
        _ => None,
    }
}

fn read<'de, T: Deserialize<'de>>(value: Value) -> Result<T, String> {
    T::deserialize(value.into_deserializer()).map_err(|error| error.message().to_owned())
}

/// What serde says of a value that does not fit is meant for programmers. Other words are ours already.
fn in_plain_words(said: &str) -> String {
    let Some((_, expected)) = said.split_once("expected ").filter(|(before, _)| {
        ["unknown variant", "invalid type", "invalid value"].iter().any(|start| before.starts_with(start))
    }) else {
        return said.to_owned();
    };
    match expected {
        "a boolean" => "it is true or false".to_owned(),
        "a sequence" => "it is a list of words, like [\"pass\", \"show\", \"hermes/{account}\"]".to_owned(),
        "a string" => "it is a word".to_owned(),
        words => format!("it is {}", words.replace('`', "")),
    }
}

/// An absent value is the one thing TOML cannot say.
fn write<T: Serialize>(value: &T) -> Option<Value> {
    value.serialize(ValueSerializer::new()).ok()
}

/// Makes the structs, their defaults and [`KEYS`] out of one table.
macro_rules! settings {
    (
        top { $(#[doc = $about:literal] $name:ident: $type:ty = $default:expr, $variable:literal, $effect:ident;)* }
        $(
            #[doc = $what:literal]
            $section:ident: $Section:ident {
                $(#[doc = $in_about:literal] $in_name:ident: $in_type:ty = $in_default:expr, $in_variable:literal, $in_effect:ident;)*
            }
        )*
    ) => {
        /// What the configuration decides, with the defaults filled in.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct Config {
            $(#[doc = $about] pub $name: $type,)*
            $(#[doc = $what] pub $section: $Section,)*
        }

        impl Default for Config {
            fn default() -> Self {
                Self { $($name: $default,)* $($section: $Section { $($in_name: $in_default,)* },)* }
            }
        }

        $(
            #[doc = $what]
            #[derive(Clone, Debug, PartialEq, Eq)]
            pub struct $Section {
                $(#[doc = $in_about] pub $in_name: $in_type,)*
            }
        )*

        /// Every key, in the order of the example.
        pub const KEYS: &[Key] = &[
            $(Key {
                name: stringify!($name),
                about: $about.trim_ascii(),
                variable: $variable,
                takes_effect: TakesEffect::$effect,
                assign: |config, value| read(value).map(|value| config.$name = value),
                value: |config| write(&config.$name),
            },)*
            $($(Key {
                name: concat!(stringify!($section), ".", stringify!($in_name)),
                about: $in_about.trim_ascii(),
                variable: $in_variable,
                takes_effect: TakesEffect::$in_effect,
                assign: |config, value| read(value).map(|value| config.$section.$in_name = value),
                value: |config| write(&config.$section.$in_name),
            },)*)*
        ];
    };
}
use settings;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_typed_as_a_word_or_as_toml() {
        let parse = |key, text| Key::find(key).unwrap().parse(text).map(|value| value.to_string());
        assert_eq!(parse("daemon.log", "debug").unwrap(), "\"debug\"");
        assert_eq!(parse("daemon.log", "\"debug\"").unwrap(), "\"debug\"");
        assert_eq!(parse("daemon.autostart", "false").unwrap(), "false");
        // A word that is also a number stays a word where a word is asked for.
        assert_eq!(parse("default_account", "7").unwrap(), "\"7\"");
        for (key, text, says) in [
            ("daemon.log", "loud", "warn"),
            ("daemon.autostart", "maybe", "it is true or false"),
            ("notifications.preview", "loud", "it is one of full, name-only, none"),
            ("privacy.presence", "all", "it is contacts or nobody"),
            ("keys.passphrase_command", "pass", "it is a list of words"),
            ("default_account", "..", "a-z"),
        ] {
            assert!(parse(key, text).unwrap_err().contains(says), "{key} {text}");
        }
    }

    #[test]
    fn variables_say_yes_and_no_in_many_words() {
        let parse = |key, text| Key::find(key).unwrap().parse_variable(text);
        for (text, autostart) in [("1", false), ("yes", false), ("0", true), ("OFF", true)] {
            assert_eq!(parse("daemon.autostart", text).unwrap().as_bool(), Some(autostart), "{text}");
        }
        assert!(parse("daemon.autostart", "maybe").is_err());
        assert_eq!(parse("daemon.log", "trace").unwrap().as_str(), Some("trace"));
        assert_eq!(parse("default_account", "1").unwrap().as_str(), Some("1"));
    }

    #[test]
    fn variables_are_distinct_and_ours() {
        let mut variables: Vec<_> = KEYS.iter().map(|key| key.variable).collect();
        assert!(variables.iter().all(|name| name.starts_with("HERMES_")));
        variables.sort_unstable();
        variables.dedup();
        assert_eq!(variables.len(), KEYS.len());
    }
}

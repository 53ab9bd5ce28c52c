//! What a running daemon takes from its configuration.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::V1;

/// The configuration that the daemon works with ([`crate::routes::CONFIG`]).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ConfigInForce {
    /// The document's version.
    pub v: V1,
    /// Every key, in the order of the shipped example.
    pub settings: Vec<SettingInForce>,
}

/// One key of the configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SettingInForce {
    /// As in `daemon.log`.
    pub key: String,
    /// Its value; null when it has none.
    pub value: Value,
    /// What said so.
    pub origin: ConfigOrigin,
    /// The path of the file, the name of the variable, or the flag.
    #[serde(default)]
    pub source: Option<String>,
}

/// What decides a value, the strongest last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum ConfigOrigin {
    /// Nobody said anything.
    Default,
    /// A configuration file.
    File,
    /// A variable of the environment.
    Variable,
    /// A flag of the command line.
    Flag,
    /// Something that this program is too old to know.
    #[serde(other)]
    Other,
}

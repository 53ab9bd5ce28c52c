//! Backups: making one, and making an account of one.
//!
//! Both bodies are a line of JSON and, behind it, the file: hermesd may not touch files that are not its own.

use serde::{Deserialize, Serialize};

use crate::{KeyKind, Passphrase, V1};

/// Asks for a backup of an account ([`crate::routes::BACKUP`]).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct BackUp {
    /// What is to open it; without one, a recovery key is drawn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passphrase: Option<Passphrase>,
}

/// The line before a backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct BackupHead {
    /// The document's version.
    pub v: V1,
    /// Of which account.
    pub account: String,
    /// What opens it, when no passphrase was given. It is not kept anywhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recovery_key: Option<Passphrase>,
}

/// The line before a backup that an account is to be made of ([`crate::routes::RESTORE`]). It takes the place of the one
/// that the backup was made of, which stops.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct RestoreAccount {
    /// Its label; no account may have it.
    pub name: String,
    /// Its passphrase or recovery key.
    pub passphrase: Passphrase,
    /// What is to open the account's keys; [`KeyKind::File`] when nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keys: Option<KeyKind>,
    /// For [`KeyKind::Passphrase`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_passphrase: Option<Passphrase>,
    /// How long to wait for the relay's answer before replying with what stands, in milliseconds.
    #[serde(default)]
    pub timeout_ms: u64,
}

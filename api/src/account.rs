//! Making an account.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{AccountStatus, KeyKind, Passphrase, V1};

/// Asks for a new account ([`crate::routes::ACCOUNTS`]).
///
/// An account that the relay has not taken yet may be asked for again with the same name and relay: the token then
/// replaces the one before, and registration is tried at once. Anything else under a name that exists is
/// [`crate::ErrorCode::AccountExists`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct CreateAccount {
    /// The label, which is also the first profile name: 1 to 32 of `a-z`, `0-9`, `_`, `-`.
    pub name: String,
    /// `hermes://HOST:PORT#PIN`; or `hermes://HOST` or `hermes://HOST:PORT`, if the relay has a certificate for the host:
    /// then it is asked, once, which key it has.
    pub relay: String,
    /// What the relay's operator handed out, when the relay asks for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registration_token: Option<RegistrationToken>,
    /// What is to open the keys; [`KeyKind::File`] when nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keys: Option<KeyKind>,
    /// For [`KeyKind::Passphrase`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passphrase: Option<Passphrase>,
    /// How long to wait for the relay's answer before replying with what stands, in milliseconds.
    #[serde(default)]
    pub timeout_ms: u64,
}

/// The account as it stands when the wait is over ([`crate::ConnectionState`] tells whether the relay has taken it).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CreatedAccount {
    /// The document's version.
    pub v: V1,
    /// The account.
    pub account: AccountStatus,
}

/// A registration token. Whoever has it can make an account at the relay, so it is not printed by `Debug`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(transparent)]
pub struct RegistrationToken(String);

impl RegistrationToken {
    /// Wraps the token's text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The token's text.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for RegistrationToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RegistrationToken(…)")
    }
}

/// Removes an account from this machine, with everything that it has ([`crate::routes::REMOVE_ACCOUNT`]).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct RemoveAccount {
    /// The account's name once more: nothing brings it back, so it is not removed by mistake.
    pub account: String,
}

/// An account was removed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RemovedAccount {
    /// The document's version.
    pub v: V1,
    /// The name it had.
    pub removed: String,
}

/// What an account calls itself ([`crate::routes::PROFILE`]).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Profile {
    /// The document's version.
    pub v: V1,
    /// The name that contacts are told, and members of groups that it joins from here on.
    pub name: String,
}

/// Has an account call itself otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct SetProfile {
    /// 1 to 64 characters without controls.
    pub name: String,
}

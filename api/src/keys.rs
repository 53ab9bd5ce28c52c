//! How an account's keys are protected, and locking them.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::{AccountStatus, V1};

macro_rules! key_kinds {
    ($($(#[$doc:meta])* $name:ident = $text:literal, $protection:literal;)*) => {
        /// What opens the key of an account's store.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
        pub enum KeyKind {
            $($(#[$doc])* #[serde(rename = $text)] $name,)*
            /// A kind that this program is too old to know.
            #[serde(other, rename = "other")]
            Other,
        }

        impl KeyKind {
            /// Every kind that can be asked for.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The kind as it stands in JSON and on the command line.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                    Self::Other => "other",
                }
            }

            /// What it protects against and what not, in one clause.
            pub fn protection(self) -> &'static str {
                match self {
                    $(Self::$name => $protection,)*
                    Self::Other => "see a newer hermesctl",
                }
            }
        }
    };
}

key_kinds! {
    /// A file that only its owner can read.
    File = "file", "protects a copy of the data directory without the key file; whoever has both reads everything";
    /// A passphrase that is typed at each start.
    Passphrase = "passphrase", "protects everything on the disk, as far as the passphrase cannot be guessed";
    /// A passphrase that a command prints.
    Command = "command", "protects everything on the disk, as far as the command gives the passphrase to nobody else";
    /// A credential of the service manager.
    Credential = "credential", "protects the user's files; whoever administers the machine can have the credential";
    /// The keyring of the desktop.
    Keyring = "keyring", "protects everything on the disk while the keyring is locked; programs of the session can ask it";
}

#[cfg(feature = "openapi")]
impl utoipa::PartialSchema for KeyKind {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
        use utoipa::openapi::{ObjectBuilder, Type};
        let kinds = Self::ALL.iter().map(|kind| kind.as_str());
        ObjectBuilder::new().schema_type(Type::String).enum_values(Some(kinds)).into()
    }
}

#[cfg(feature = "openapi")]
impl utoipa::ToSchema for KeyKind {}

impl fmt::Display for KeyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Not the name of a kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no such kind; the kinds are file, passphrase, command, credential and keyring")]
pub struct UnknownKeyKind;

impl FromStr for KeyKind {
    type Err = UnknownKeyKind;

    fn from_str(text: &str) -> Result<Self, UnknownKeyKind> {
        Self::ALL.iter().copied().find(|kind| kind.as_str() == text).ok_or(UnknownKeyKind)
    }
}

/// A passphrase on its way to the daemon. It is wiped when dropped and not printed by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Passphrase(Zeroizing<String>);

impl Passphrase {
    /// Wraps the text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// The text.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

#[cfg(feature = "openapi")]
impl utoipa::PartialSchema for Passphrase {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
        String::schema()
    }
}

#[cfg(feature = "openapi")]
impl utoipa::ToSchema for Passphrase {}

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passphrase(…)")
    }
}

impl Serialize for Passphrase {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Passphrase {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::new)
    }
}

/// How the keys of an account stand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct KeyStatus {
    /// What opens them.
    pub kind: KeyKind,
    /// [`KeyKind::protection`], as text for people.
    pub protection: String,
    /// Whether they are locked away: nothing is sent or fetched, and the relay keeps what arrives.
    pub locked: bool,
}

/// Asks to open an account's keys ([`crate::routes::UNLOCK`]). An account that is open stays so.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Unlock {
    /// For keys under a passphrase that somebody types.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passphrase: Option<Passphrase>,
}

/// Asks to keep an account's keys in another way ([`crate::routes::KEYS`]). The account has to be open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ChangeKeys {
    /// What is to open them.
    pub kind: KeyKind,
    /// The passphrase so far, where the keys are under one: whoever reaches the socket of an account that is open must not
    /// lock its owner out for good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current: Option<Passphrase>,
    /// The new passphrase, for [`KeyKind::Passphrase`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passphrase: Option<Passphrase>,
}

/// The account after its keys were locked, unlocked or changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct KeysChanged {
    /// The document's version.
    pub v: V1,
    /// The account.
    pub account: AccountStatus,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_written_as_it_is_read() {
        for kind in KeyKind::ALL {
            assert_eq!(kind.as_str().parse(), Ok(*kind));
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
        }
        assert_eq!("other".parse::<KeyKind>(), Err(UnknownKeyKind));
        assert_eq!(serde_json::from_str::<KeyKind>("\"tpm\"").unwrap(), KeyKind::Other);
    }

    #[test]
    fn a_passphrase_is_not_printed() {
        let unlock = Unlock { passphrase: Some(Passphrase::new("secret")) };
        assert!(!format!("{unlock:?}").contains("secret"));
        let text = serde_json::to_string(&unlock).unwrap();
        assert_eq!(serde_json::from_str::<Unlock>(&text).unwrap(), unlock);
    }
}

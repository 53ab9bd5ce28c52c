//! Who is told something.

use serde::{Deserialize, Serialize};

/// Who is told something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Audience {
    /// Contacts.
    #[default]
    Contacts,
    /// No one.
    Nobody,
}

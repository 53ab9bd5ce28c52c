//! What the daemon knows about itself that nobody needs every day.

use serde::{Deserialize, Serialize};

use crate::{UnixMillis, V1};

/// How the daemon runs ([`crate::routes::DIAGNOSIS`]).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Diagnosis {
    /// The document's version.
    pub v: V1,
    /// Whether a service manager is told how it fares.
    pub supervised: bool,
    /// What protects its process.
    pub measures: Vec<Measure>,
    /// Its accounts, by name.
    pub accounts: Vec<AccountDiagnosis>,
}

/// One account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AccountDiagnosis {
    /// Its local label.
    pub name: String,
    /// What the relay's clock said when the account last connected; nothing before.
    pub relay_clock: Option<RelayClock>,
}

/// Two clocks at one moment, as far as a message from one to the other allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RelayClock {
    /// The relay's.
    pub relay: UnixMillis,
    /// The daemon's, when the relay's word arrived.
    pub local: UnixMillis,
}

/// Something that protects the daemon's process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Measure {
    /// For programs, as in `core-dumps`.
    pub name: String,
    /// Whether it is in force.
    pub state: MeasureState,
    /// For people: what it does, or why it is not in force.
    pub detail: String,
}

/// Whether a measure is in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum MeasureState {
    /// It is.
    On,
    /// As far as this system knows it.
    Partly,
    /// It could be, and is not.
    Off,
    /// This system does not have it.
    Unavailable,
    /// Something that this program is too old to know.
    #[serde(other)]
    Other,
}

//! One contact in full.

use hermes_protocol::{
    identity::{Fingerprint, IdentityKeyPair},
    safety_number::{SafetyCode, SafetyNumber},
};
use hermes_wire::Timestamp;

use super::{ContactView, chat_named};
use crate::{
    account,
    id::ChatId,
    row::{ContactRecord, SessionRecord, Standing},
    rows::{self, ReadError, StoreResult},
    store::{Table, View},
    trust::ChangePolicy,
};

/// All that is to be known of a contact.
#[derive(Debug, Clone)]
pub struct ContactDetails {
    /// The contact as a list shows it.
    pub contact: ContactView,
    /// What it calls itself, as it said last. Not cleaned, and nobody has vouched for it.
    pub profile_name: Option<String>,
    /// What to compare with what the contact sees.
    pub safety: Safety,
    /// What happens when the identity key changes.
    pub policy: ChangePolicy,
    /// The key that waits for the user's word.
    pub change: Option<KeyChange>,
    /// The session in use; `None` before there is one.
    pub session: Option<SessionFacts>,
}

/// The two forms of what people compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Safety {
    /// Sixty digits.
    pub number: SafetyNumber,
    /// The text of a QR code.
    pub code: SafetyCode,
}

/// Another identity in the contact's place.
#[derive(Debug, Clone, Copy)]
pub struct KeyChange {
    /// Whose.
    pub fingerprint: Fingerprint,
    /// What to compare with what the contact sees, if this is the contact.
    pub safety: Safety,
    /// When it was first heard.
    pub at: Timestamp,
    /// Messages and receipts that are held until it is accepted.
    pub held: u64,
}

/// How a contact's sessions stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionFacts {
    /// Sessions that are kept; one of them is active, the others only receive.
    pub kept: usize,
    /// Whether the contact has been heard in the active one.
    pub heard: bool,
    /// Whether the active one began without a one-time prekey.
    pub without_one_time_key: bool,
}

/// The contact of a name; `None` when there is no such contact.
pub fn contact_named<V: View>(view: &V, name: &str) -> StoreResult<Option<ContactDetails>, V> {
    match chat_named(view, name)? {
        Some(chat) => contact_at(view, chat),
        None => Ok(None),
    }
}

/// The contact of a chat; `None` when it is gone.
pub fn contact_at<V: View>(view: &V, chat: ChatId) -> StoreResult<Option<ContactDetails>, V> {
    let row = rows::get::<ContactRecord, _>(view, &chat)?.filter(|row| row.removed.is_none());
    let Some(row) = row else { return Ok(None) };
    let record = account::record(view)?;
    let own = IdentityKeyPair::from_bytes(record.identity.expose()).identity().fingerprint();
    let safety = |other: &Fingerprint| Safety {
        number: SafetyNumber::between(&own, other),
        code: SafetyCode::between(&own, other),
    };
    let session = match &row.active {
        Some(id) => {
            let active: SessionRecord = rows::get(view, id)?.ok_or(ReadError::Corrupt(Table::Session))?;
            Some(SessionFacts {
                kept: row.retired.len().saturating_add(1),
                heard: matches!(active.standing, Standing::Established),
                without_one_time_key: active.without_one_time_key,
            })
        }
        None => None,
    };
    Ok(Some(ContactDetails {
        contact: ContactView::new(chat, &row),
        profile_name: row.profile.clone(),
        safety: safety(&row.fingerprint),
        policy: row.trust.policy,
        change: row.trust.change.as_ref().map(|change| KeyChange {
            fingerprint: change.next.fingerprint,
            safety: safety(&change.next.fingerprint),
            at: change.at,
            held: change.held,
        }),
        session,
    }))
}

//! A ticket: everything needed to write to a mailbox. Travels end to end, in invites and in the first messages;
//! the relay sees the mailbox id and the token of it, nothing else.

use hermes_wire::{MailboxId, RelayAddress, token::SignedDropToken};
use serde_tuple::{Deserialize_tuple, Serialize_tuple};

use crate::prekey::BundleKey;

/// The way to a mailbox.
#[derive(Clone, Debug, PartialEq, Eq, Serialize_tuple, Deserialize_tuple)]
pub struct Ticket {
    /// Where the mailbox is.
    pub relay: RelayAddress,
    /// Which one it is.
    pub mailbox: MailboxId,
    /// The permission to write to it.
    pub token: SignedDropToken,
    /// What opens its prekeys.
    pub bundle_key: BundleKey,
}

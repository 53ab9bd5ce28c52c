//! Identifiers that never leave this device.

use hermes_wire::byte_id;

byte_id!(
    /// A conversation on this device; drawn at random, meaningless elsewhere.
    ChatId, 16
);
byte_id!(
    /// A mailbox of the account's at another relay than its own.
    GuestId, 16
);

//! Every limit of the wire, with its unit and its reason.

use std::time::Duration;

/// Bytes of an envelope that is handed on and not kept: the smallest there is, and the only size of ephemeral ones.
pub const EPHEMERAL_BYTES: usize = 256;
/// Nesting of CBOR values. Our deepest frame nests 6; the rest is slack for content from newer versions.
pub const CBOR_DEPTH: usize = 16;
/// Bytes of one envelope body: a 16 KiB text, padded, with handshake and room to spare.
pub const ENVELOPE_BYTES: usize = 64 * 1024;
/// Bytes of one frame: an envelope, or a bundle, and their framing.
pub const FRAME_BYTES: usize = ENVELOPE_BYTES + 4 * 1024;
/// Bytes of one encoded drop token with its signature.
pub const DROP_TOKEN_BYTES: usize = 512;
/// Bytes of one prekey entry: an ML-KEM-1024 key (1,568) with signature, sealing and framing.
pub const PREKEY_ENTRY_BYTES: usize = 2_560;
/// Prekey entries in one upload frame (so that a frame holds them at their largest).
pub const PREKEYS_PER_FRAME: usize = 24;
/// Prekeys of one kind that a relay keeps for a mailbox.
pub const PREKEYS_PER_KIND: usize = 200;
/// Characters of a registration token.
pub const REGISTRATION_TOKEN_CHARS: usize = 128;
/// Bytes of the body of a post or a commit to a channel: each is copied up to [`ROSTER_ENTRIES`] times in one commit of
/// the relay's store. What is larger goes as a blob.
pub const POST_BYTES: usize = 16 * 1024;
/// Entries of a channel's roster: a group of 1,000, and room for a few who are about to leave.
pub const ROSTER_ENTRIES: usize = 1_024;
/// Changes of a roster in one frame: at about 190 bytes each they fit beside a body, and a relay checks as many signatures.
pub const ROSTER_CHANGES: usize = 64;
/// Bytes of an encoded roster: [`ROSTER_ENTRIES`] with tokens in their longest encoding take 203 KiB.
pub const ROSTER_BYTES: usize = 256 * 1024;
/// Bytes of one blob: the first update of a group of 1,000 is 885 KB, its tree about 3 MB.
pub const BLOB_BYTES: u32 = 4 * 1024 * 1024;
/// Bytes of a blob in one frame.
pub const BLOB_PART_BYTES: usize = 48 * 1024;
/// Credit a client may have outstanding: envelopes.
pub const CREDIT_ENVELOPES: u32 = 256;
/// Credit a client may have outstanding: bytes.
pub const CREDIT_BYTES: u32 = 1024 * 1024;
/// A drop stream without a frame for this long is closed.
pub const DROP_IDLE: Duration = Duration::from_secs(10);
/// Validity of a contact's drop token.
pub const CONTACT_TOKEN_VALIDITY: Duration = Duration::from_secs(2 * 365 * 86_400);
/// Deposits under an invite's contact id are accepted this long after the invite expired, so that a pairing can finish.
pub const INVITE_GRACE: Duration = Duration::from_secs(30 * 86_400);

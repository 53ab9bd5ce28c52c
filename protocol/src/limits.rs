//! Every limit of the protocol, with its unit and its reason.

use std::time::Duration;

/// Messages a receiving chain may jump ahead in one step: more than a mailbox loses at worst, and about 20 ms of HMAC.
pub const CHAIN_JUMP: u32 = 25_000;
/// Skipped message keys kept of one chain, the newest: older gaps are lost mail, not late mail.
pub const SKIPPED_KEYS_PER_CHAIN: usize = 1_000;
/// Skipped message keys kept of one session, the newest.
pub const SKIPPED_KEYS_PER_SESSION: usize = 2_000;
/// Receiving chains whose header keys stay on trial after the next one has begun; each costs a failed trial.
pub const SKIPPED_CHAINS: usize = 8;
/// How long a skipped key opens its message: a relay's retention of 30 days and a week of slack.
pub const SKIPPED_LIFETIME: Duration = Duration::from_secs(37 * 86_400);
/// Members of a group: what one atomic fan-out of the relay carries.
pub const GROUP_MEMBERS: usize = 1_000;
/// Adds, removals and replacements in one commit, so that a Welcome and a commit stay of a size.
pub const GROUP_CHANGES: usize = 64;
/// Bytes of one row of a group's key agreement: the longest has the tree, 2.5 MB in a group of 1,000, or a commit that has
/// another tree in it.
pub const GROUP_ROW_BYTES: usize = 16 * 1024 * 1024;
/// PBKDF2 iterations of the finite-field lock. Its input is already strong, and a stranger chooses when we compute it.
pub const FF_ITERATIONS: u32 = 1_000;
/// Initiations that a handshake may list as unopened: more than two sides can cross in one retention period.
pub const UNOPENED_INITIATIONS: usize = 8;
/// Bytes of a handshake part: ML-KEM ciphertext, ephemeral keys, sealed identity with a full list, and framing.
pub const HANDSHAKE_BYTES: usize = 3 * 1024;
/// Messages, sent and received, after which the next new sending chain offers an ML-KEM-768 key: often enough that a
/// thief of the state is soon shut out, seldom enough that most messages stay in their small bucket.
pub const KEM_INTERVAL_MESSAGES: u32 = 50;
/// Time after which it does so whatever the number of messages.
pub const KEM_INTERVAL: Duration = Duration::from_secs(86_400);
/// Bytes of one ephemeral message's plaintext: what the smallest envelope holds, so that all look alike.
pub const EPHEMERAL_BYTES: usize = 180;
/// Bytes of one encoded content; a padded envelope bounds it anyway.
pub const CONTENT_BYTES: usize = 64 * 1024;
/// Bytes of UTF-8 in one text.
pub const TEXT_BYTES: usize = 16 * 1024;
/// Bytes of UTF-8 in a reaction: the longest emoji, a family of four with skin tones, has 41 and few can draw it; flags
/// and couples fit.
pub const REACTION_BYTES: usize = 32;
/// Characters of a profile name.
pub const PROFILE_NAME_CHARS: usize = 64;
/// Key packages that one content brings.
pub const KEY_PACKAGES: usize = 4;
/// Bytes of one key package: two X-Wing keys (1,216 each), signatures, identity and member card.
pub const KEY_PACKAGE_BYTES: usize = 6 * 1024;
/// Messages that one receipt names.
pub const RECEIPT_MESSAGES: usize = 256;
/// Messages that somebody may say who waits to be accepted: enough to say who and why. What follows waits with its author.
pub const REQUEST_MESSAGES: u64 = 5;
/// Bytes of each of them, as content.
pub const REQUEST_BYTES: usize = 2_048;
/// Characters of an invite: a relay address with the longest host name, a drop token, keys, in base64.
pub const INVITE_CHARS: usize = 2_048;
/// Ranges of missing messages in one resend request: more gaps than that are asked for in the next one.
pub const RESEND_RANGES: usize = 64;
/// Iterations of SHA-512 in a safety number: Signal's count. They make 100 bits dearer to meet, and cost its reader
/// some milliseconds.
pub const SAFETY_NUMBER_ITERATIONS: u32 = 5_200;
/// Characters of a safety code after its scheme: two fingerprints in base64, three times over.
pub const SAFETY_CODE_CHARS: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    /// Each is stated in docs/protocol.md: both sides count on it.
    #[test]
    fn the_limits_are_those_that_the_protocol_states() {
        const DAY: u64 = 24 * 60 * 60;
        assert_eq!(CHAIN_JUMP, 25_000);
        assert_eq!((SKIPPED_KEYS_PER_CHAIN, SKIPPED_KEYS_PER_SESSION, SKIPPED_CHAINS), (1_000, 2_000, 8));
        assert_eq!(SKIPPED_LIFETIME.as_secs(), 37 * DAY);
        assert_eq!((KEM_INTERVAL_MESSAGES, KEM_INTERVAL.as_secs()), (50, DAY));
        assert_eq!((UNOPENED_INITIATIONS, HANDSHAKE_BYTES), (8, 3_072));
        assert_eq!((TEXT_BYTES, CONTENT_BYTES), (16_384, 65_536));
        assert_eq!(REACTION_BYTES, 32);
        assert_eq!((PROFILE_NAME_CHARS, RECEIPT_MESSAGES, RESEND_RANGES), (64, 256, 64));
        assert_eq!(INVITE_CHARS, 2_048);
        assert_eq!((REQUEST_MESSAGES, REQUEST_BYTES), (5, 2_048));
        assert_eq!((KEY_PACKAGES, KEY_PACKAGE_BYTES), (4, 6_144));
    }
}

//! Who receives what is posted to a channel.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_tuple::{Deserialize_tuple, Serialize_tuple};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::{ChannelId, CopyKey, RosterKey, SealNonce, seal};
use crate::{
    byte_id, codec,
    id::MailboxId,
    limits::{ROSTER_BYTES, ROSTER_CHANGES, ROSTER_ENTRIES},
    token::SignedDropToken,
};

/// Keeps a roster's hash from being any other hash.
const DOMAIN: &[u8] = b"Hermes/1 roster";

byte_id!(
    /// Names a channel's roster: SHA-256("Hermes/1 roster" ‖ channel ‖ encoded roster). Members compute the same from
    /// their tree.
    RosterHash, 32
);

/// A member's place in a roster, made by the member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize_tuple, Deserialize_tuple)]
pub struct RosterEntry {
    /// Where its copies go.
    pub mailbox: MailboxId,
    /// The permission to put them there: a token with [`crate::token::Permission::Channel`].
    pub token: SignedDropToken,
    /// Encrypts its copies.
    pub key: CopyKey,
}

/// Everyone who receives, by their leaves in the group's tree. At most [`ROSTER_ENTRIES`], and no mailbox twice.
///
/// Its encoding, which is what is hashed and sealed, is the list of pairs of leaf and entry in rising order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<(u32, RosterEntry)>", into = "Vec<(u32, RosterEntry)>")]
pub struct Roster {
    entries: BTreeMap<u32, RosterEntry>,
}

/// How one roster becomes another: what stands at these leaves afterwards, in rising order, nothing for a leaf that is
/// vacated. At most [`ROSTER_CHANGES`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<(u32, Option<RosterEntry>)>", into = "Vec<(u32, Option<RosterEntry>)>")]
pub struct RosterChange(Vec<(u32, Option<RosterEntry>)>);

/// Why there is no such roster, or no such change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RosterError {
    /// The leaves do not rise.
    #[error("the leaves of a roster stand in rising order")]
    Order,
    /// More changes than a frame takes.
    #[error("more than {ROSTER_CHANGES} changes of a roster at once")]
    ManyChanges,
    /// More entries than a channel has.
    #[error("more than {ROSTER_ENTRIES} entries in a roster")]
    ManyEntries,
    /// A leaf is vacated where nobody is.
    #[error("nobody stands at leaf {leaf}")]
    Vacant {
        /// Which one.
        leaf: u32,
    },
    /// Two entries have one mailbox.
    #[error("a mailbox stands in the roster twice")]
    Twice,
}

/// A sealed roster that does not open: another key, channel or epoch, or damage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the roster does not open")]
pub struct RosterLost;

impl Roster {
    /// The roster with these entries.
    pub fn new(entries: impl IntoIterator<Item = (u32, RosterEntry)>) -> Result<Self, RosterError> {
        Self::try_from(entries.into_iter().collect::<Vec<_>>())
    }

    /// The entries, by rising leaves.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &RosterEntry)> {
        self.entries.iter().map(|(leaf, entry)| (*leaf, entry))
    }

    /// The entry at a leaf.
    pub fn get(&self, leaf: u32) -> Option<&RosterEntry> {
        self.entries.get(&leaf)
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether nobody is in it.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The roster after `change`.
    pub fn changed(mut self, change: &RosterChange) -> Result<Self, RosterError> {
        for (leaf, entry) in change.iter() {
            match entry {
                Some(entry) => drop(self.entries.insert(leaf, entry.clone())),
                None => drop(self.entries.remove(&leaf).ok_or(RosterError::Vacant { leaf })?),
            }
        }
        self.check()?;
        Ok(self)
    }

    /// The change that makes `next` of this roster.
    pub fn change_to(&self, next: &Self) -> Result<RosterChange, RosterError> {
        let mut changes: BTreeMap<u32, Option<RosterEntry>> = next
            .iter()
            .filter(|(leaf, entry)| self.get(*leaf) != Some(entry))
            .map(|(leaf, entry)| (leaf, Some(entry.clone())))
            .collect();
        let vacated = self.iter().map(|(leaf, _)| leaf).filter(|leaf| next.get(*leaf).is_none());
        changes.extend(vacated.map(|leaf| (leaf, None)));
        RosterChange::try_from(changes.into_iter().collect::<Vec<_>>())
    }

    /// The roster's name in its channel.
    pub fn hash(&self, channel: ChannelId) -> RosterHash {
        let hash = Sha256::new().chain_update(DOMAIN).chain_update(channel.0);
        RosterHash(hash.chain_update(self.encoded().as_slice()).finalize().into())
    }

    /// Seals the roster: nonce ‖ XChaCha20-Poly1305(key, encoded roster, AD = channel ‖ epoch as 8 bytes, big-endian).
    pub fn seal(&self, key: &RosterKey, channel: ChannelId, epoch: u64, nonce: &SealNonce) -> Vec<u8> {
        seal::seal(key.as_bytes(), nonce, &associated(channel, epoch), &self.encoded())
    }

    /// Opens what [`Self::seal`] made.
    pub fn open(sealed: &[u8], key: &RosterKey, channel: ChannelId, epoch: u64) -> Result<Self, RosterLost> {
        let text = seal::open(key.as_bytes(), &associated(channel, epoch), sealed).ok_or(RosterLost)?;
        codec::decode(&Zeroizing::new(text), ROSTER_BYTES).map_err(|_| RosterLost)
    }

    fn encoded(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(codec::encode(self))
    }

    fn check(&self) -> Result<(), RosterError> {
        if self.entries.len() > ROSTER_ENTRIES {
            return Err(RosterError::ManyEntries);
        }
        let mut mailboxes: Vec<MailboxId> = self.entries.values().map(|entry| entry.mailbox).collect();
        mailboxes.sort_unstable();
        mailboxes.dedup();
        if mailboxes.len() < self.entries.len() { Err(RosterError::Twice) } else { Ok(()) }
    }
}

impl RosterChange {
    /// What stands at each leaf afterwards, by rising leaves.
    pub fn iter(&self) -> impl Iterator<Item = (u32, Option<&RosterEntry>)> {
        self.0.iter().map(|(leaf, entry)| (*leaf, entry.as_ref()))
    }

    /// The entries that are new or take another's place, by rising leaves.
    pub fn entering(&self) -> impl Iterator<Item = &RosterEntry> {
        self.0.iter().filter_map(|(_, entry)| entry.as_ref())
    }
}

fn associated(channel: ChannelId, epoch: u64) -> [u8; 40] {
    let mut bytes = [0; 40];
    let (id, number) = bytes.split_at_mut(32);
    id.copy_from_slice(&channel.0);
    number.copy_from_slice(&epoch.to_be_bytes());
    bytes
}

fn rising<T>(list: &[(u32, T)]) -> bool {
    list.iter().zip(list.iter().skip(1)).all(|((one, _), (next, _))| one < next)
}

impl TryFrom<Vec<(u32, RosterEntry)>> for Roster {
    type Error = RosterError;

    fn try_from(list: Vec<(u32, RosterEntry)>) -> Result<Self, RosterError> {
        if !rising(&list) {
            return Err(RosterError::Order);
        }
        let roster = Self { entries: list.into_iter().collect() };
        roster.check()?;
        Ok(roster)
    }
}

impl From<Roster> for Vec<(u32, RosterEntry)> {
    fn from(roster: Roster) -> Self {
        roster.entries.into_iter().collect()
    }
}

impl TryFrom<Vec<(u32, Option<RosterEntry>)>> for RosterChange {
    type Error = RosterError;

    fn try_from(list: Vec<(u32, Option<RosterEntry>)>) -> Result<Self, RosterError> {
        if list.len() > ROSTER_CHANGES {
            return Err(RosterError::ManyChanges);
        }
        if rising(&list) { Ok(Self(list)) } else { Err(RosterError::Order) }
    }
}

impl From<RosterChange> for Vec<(u32, Option<RosterEntry>)> {
    fn from(change: RosterChange) -> Self {
        change.0
    }
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::SigningKey;

    use super::*;
    use crate::{
        id::ContactId,
        time::Timestamp,
        token::{DropToken, Permission},
    };

    const CHANNEL: ChannelId = ChannelId([1; 32]);

    fn entry(seed: u16) -> RosterEntry {
        let mut mailbox = [9; 32];
        mailbox[..2].copy_from_slice(&seed.to_be_bytes());
        let token = DropToken {
            contact: ContactId([1; 16]),
            permission: Permission::Channel,
            expiry: Timestamp(u64::MAX),
            uses: None,
        };
        let mailbox = MailboxId(mailbox);
        let token = SignedDropToken::issue(&token, mailbox, &SigningKey::from_bytes(&[5; 32]));
        RosterEntry { mailbox, token, key: CopyKey::new([7; 32]) }
    }

    fn roster(seeds: impl IntoIterator<Item = u16>) -> Roster {
        Roster::new(seeds.into_iter().map(|seed| (u32::from(seed), entry(seed)))).unwrap()
    }

    #[test]
    fn a_change_leads_from_one_roster_to_the_other() {
        let (one, next) = (roster([1, 2, 3]), roster([2, 3, 70]));
        let change = one.change_to(&next).unwrap();
        let leaves: Vec<_> = change.iter().map(|(leaf, entry)| (leaf, entry.is_some())).collect();
        assert_eq!(leaves, [(1, false), (70, true)]);
        assert_eq!(one.clone().changed(&change), Ok(next));
        assert_eq!(one.change_to(&one).unwrap(), RosterChange::default());
        assert_eq!(one.change_to(&roster(0..68)), Err(RosterError::ManyChanges));
    }

    #[test]
    fn what_is_no_roster_is_refused() {
        let vacant = RosterChange::try_from(vec![(4, None)]).unwrap();
        assert_eq!(roster([1]).changed(&vacant), Err(RosterError::Vacant { leaf: 4 }));
        assert_eq!(Roster::new([(1, entry(1)), (2, entry(1))]), Err(RosterError::Twice));
        assert_eq!(Roster::new([(2, entry(1)), (1, entry(2))]), Err(RosterError::Order));
        assert_eq!(RosterChange::try_from(vec![(2, None), (2, None)]), Err(RosterError::Order));
        let many = (0..1_025).map(|seed| (u32::from(seed), entry(seed)));
        assert_eq!(Roster::new(many), Err(RosterError::ManyEntries));
        let disordered = codec::encode(&[(2, entry(1)), (1, entry(2))]);
        assert!(codec::decode::<Roster>(&disordered, ROSTER_BYTES).is_err());
    }

    #[test]
    fn opens_under_its_key_channel_and_epoch_only_however_large() {
        let full =
            Roster::new((0..1_024).map(|seed| (u32::MAX - 1_024 + u32::from(seed), entry(seed)))).unwrap();
        let key = RosterKey::new([3; 32]);
        let sealed = full.seal(&key, CHANNEL, 7, &[4; 24]);
        assert_eq!(Roster::open(&sealed, &key, CHANNEL, 7), Ok(full));
        assert_eq!(Roster::open(&sealed, &RosterKey::new([4; 32]), CHANNEL, 7), Err(RosterLost));
        assert_eq!(Roster::open(&sealed, &key, ChannelId([2; 32]), 7), Err(RosterLost));
        assert_eq!(Roster::open(&sealed, &key, CHANNEL, 8), Err(RosterLost));
        assert_eq!(Roster::open(&sealed[1..], &key, CHANNEL, 7), Err(RosterLost));
        assert_eq!(Roster::open(&[0; 39], &key, CHANNEL, 7), Err(RosterLost));
    }

    #[test]
    fn a_hash_names_channel_leaves_and_entries() {
        let one = roster([1, 2]);
        assert_eq!(one.hash(CHANNEL), roster([1, 2]).hash(CHANNEL));
        assert_ne!(one.hash(CHANNEL), one.hash(ChannelId([2; 32])));
        assert_ne!(one.hash(CHANNEL), roster([1, 3]).hash(CHANNEL));
        let moved = Roster::new([(1, entry(1)), (3, entry(2))]).unwrap();
        assert_ne!(one.hash(CHANNEL), moved.hash(CHANNEL));
    }
}

//! Members: who they are, and where their copies go.

use std::collections::BTreeMap;

use hermes_wire::{MailboxId, channel::CopyKey, codec, token::SignedDropToken};
use openmls::prelude::{BasicCredential, Credential, CredentialType, LeafNode, MlsGroup};
use serde_bytes::ByteArray;
use serde_tuple::{Deserialize_tuple, Serialize_tuple};

use crate::{
    group::{GroupError, Leaf, Rule, library::CARD},
    identity::{Identity, IdentityKeyPair, StoredIdentity},
    kdf::Label,
    limits::PROFILE_NAME_CHARS,
};

/// Bytes of an encoded card: a drop token, a name of 64 characters, two identifiers.
const CARD_BYTES: usize = 1024;
/// Bytes of an encoded credential.
const CREDENTIAL_BYTES: usize = 256;

/// What a member tells the others about itself: its place in the roster, and its name.
#[derive(Clone, PartialEq, Eq, Serialize_tuple, Deserialize_tuple)]
pub struct MemberCard {
    /// Where its copies go.
    pub mailbox: MailboxId,
    /// What lets them in: permission `Channel` at that mailbox.
    pub token: SignedDropToken,
    /// Under what the relay encrypts them.
    pub copy_key: CopyKey,
    /// Profile name: 1 to 64 characters, none of them a control character.
    pub name: String,
}

/// One member of an epoch. A value of this type has a credential that its identity signed, and a well-formed card.
#[derive(Clone, PartialEq, Eq)]
pub struct Member {
    /// Its place in the tree.
    pub leaf: Leaf,
    /// Who it is.
    pub identity: Identity,
    /// What it tells.
    pub card: MemberCard,
}

impl MemberCard {
    /// The extension's bytes.
    pub(super) fn encode(&self) -> Result<Vec<u8>, GroupError> {
        if !is_name(&self.name) {
            return Err(GroupError::Name);
        }
        Ok(codec::encode(self))
    }

    fn of(leaf: &LeafNode) -> Result<Self, Rule> {
        let mut extensions = leaf.extensions().iter();
        let (Some(_), None) = (extensions.next(), extensions.next()) else { return Err(Rule::Card) };
        let card: Self = codec::decode(card_bytes(leaf)?, CARD_BYTES).map_err(|_| Rule::Card)?;
        if is_name(&card.name) { Ok(card) } else { Err(Rule::Card) }
    }

    /// The same of an own row.
    fn stored(leaf: &LeafNode) -> Result<Self, Rule> {
        codec::decode_tolerant(card_bytes(leaf)?, CARD_BYTES).map_err(|_| Rule::Card)
    }
}

fn card_bytes(leaf: &LeafNode) -> Result<&[u8], Rule> {
    leaf.extensions().unknown(CARD).map(|card| card.0.as_slice()).ok_or(Rule::Card)
}

impl Member {
    /// What a leaf says, checked.
    pub(super) fn of(place: Leaf, leaf: &LeafNode) -> Result<Self, Rule> {
        let identity = identity(leaf.credential(), leaf.signature_key().as_slice())?;
        Ok(Self { leaf: place, identity, card: MemberCard::of(leaf)? })
    }
}

/// Leaves that were checked already, by their signature keys: those of an own row, before they were put there, and those
/// of a commit. Two signatures each, which a group of a thousand need not have checked a thousand times over at every step,
/// and keys and cards that need not be read again for each epoch.
#[derive(Default)]
pub(super) struct Vouched(BTreeMap<Vec<u8>, Checked>);

/// A leaf's member, and what says all of it.
struct Checked {
    credential: Credential,
    card: Vec<u8>,
    member: Member,
}

impl Vouched {
    /// The leaves of an own row.
    pub(super) fn of(group: &MlsGroup) -> Result<Self, Rule> {
        let mut vouched = Self::default();
        for (index, leaf) in group.treesync().full_leaves() {
            let bytes = leaf.credential().serialized_content();
            let wire: StoredCredential =
                codec::decode_tolerant(bytes, CREDENTIAL_BYTES).map_err(|_| Rule::Credential)?;
            let card = MemberCard::stored(leaf)?;
            vouched.put(Member { leaf: Leaf(index.u32()), identity: wire.identity.0, card }, leaf)?;
        }
        Ok(vouched)
    }

    /// What a leaf says; checked, unless it was before.
    pub(super) fn member(&self, place: Leaf, leaf: &LeafNode) -> Result<Member, Rule> {
        match self.0.get(leaf.signature_key().as_slice()) {
            Some(checked) if checked.says_the_same(leaf) => {
                Ok(Member { leaf: place, ..checked.member.clone() })
            }
            _ => Member::of(place, leaf),
        }
    }

    /// Checks a leaf, which need not be done again then.
    pub(super) fn check(&mut self, place: Leaf, leaf: &LeafNode) -> Result<Member, Rule> {
        let member = Member::of(place, leaf)?;
        self.put(member.clone(), leaf)?;
        Ok(member)
    }

    fn put(&mut self, member: Member, leaf: &LeafNode) -> Result<(), Rule> {
        let (credential, card) = (leaf.credential().clone(), card_bytes(leaf)?.to_vec());
        self.0.insert(leaf.signature_key().as_slice().to_vec(), Checked { credential, card, member });
        Ok(())
    }
}

impl Checked {
    fn says_the_same(&self, leaf: &LeafNode) -> bool {
        // Its card alone: whatever else a leaf had would break a rule.
        let cards = leaf.extensions().iter().count();
        self.credential == *leaf.credential() && cards == 1 && card_bytes(leaf) == Ok(self.card.as_slice())
    }
}

/// An identity, and its signature over the leaf's key.
#[derive(Serialize_tuple, Deserialize_tuple)]
struct WireCredential {
    identity: Identity,
    signature: ByteArray<64>,
}

/// The same of an own row.
#[derive(Deserialize_tuple)]
struct StoredCredential {
    identity: StoredIdentity,
    _signature: ByteArray<64>,
}

/// The credential of a leaf with this signature key.
pub(super) fn credential(identity: &IdentityKeyPair, key: &[u8; 32]) -> Credential {
    let signature = ByteArray::new(identity.sign(&signed(key)));
    let wire = WireCredential { identity: identity.identity().clone(), signature };
    BasicCredential::new(codec::encode(&wire)).into()
}

fn identity(credential: &Credential, key: &[u8]) -> Result<Identity, Rule> {
    if credential.credential_type() != CredentialType::Basic {
        return Err(Rule::Credential);
    }
    let wire: WireCredential =
        codec::decode(credential.serialized_content(), CREDENTIAL_BYTES).map_err(|_| Rule::Credential)?;
    if wire.identity.has_signed(&signed(key), &wire.signature) {
        Ok(wire.identity)
    } else {
        Err(Rule::Credential)
    }
}

fn signed(key: &[u8]) -> Vec<u8> {
    [Label::GROUP_CREDENTIAL.bytes(), key].concat()
}

/// Whether people could read it as a name.
pub(super) fn is_name(name: &str) -> bool {
    (1..=PROFILE_NAME_CHARS).contains(&name.chars().count()) && !name.chars().any(char::is_control)
}

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
        let bytes = leaf.extensions().unknown(CARD).ok_or(Rule::Card)?;
        let card: Self = codec::decode(&bytes.0, CARD_BYTES).map_err(|_| Rule::Card)?;
        if is_name(&card.name) { Ok(card) } else { Err(Rule::Card) }
    }
}

impl Member {
    /// What a leaf says, checked.
    pub(super) fn of(place: Leaf, leaf: &LeafNode) -> Result<Self, Rule> {
        let identity = identity(leaf.credential(), leaf.signature_key().as_slice())?;
        Ok(Self { leaf: place, identity, card: MemberCard::of(leaf)? })
    }
}

/// The leaves of an own row, whose credentials were checked before they were put there: two signatures each, which a
/// group of a thousand need not have checked a thousand times over at every step.
#[derive(Default)]
pub(super) struct Vouched(BTreeMap<Leaf, (Credential, Vec<u8>)>);

impl Vouched {
    pub(super) fn of(group: &MlsGroup) -> Self {
        let leaves = group.treesync().full_leaves();
        Self(leaves.map(|(index, leaf)| (Leaf(index.u32()), claim(leaf))).collect())
    }

    /// What a leaf says; checked, unless it said the same before.
    pub(super) fn member(&self, place: Leaf, leaf: &LeafNode) -> Result<Member, Rule> {
        if self.0.get(&place) != Some(&claim(leaf)) {
            return Member::of(place, leaf);
        }
        let bytes = leaf.credential().serialized_content();
        let wire: StoredCredential =
            codec::decode_tolerant(bytes, CREDENTIAL_BYTES).map_err(|_| Rule::Credential)?;
        Ok(Member { leaf: place, identity: wire.identity.0, card: MemberCard::of(leaf)? })
    }
}

/// What a credential's signatures are about.
fn claim(leaf: &LeafNode) -> (Credential, Vec<u8>) {
    (leaf.credential().clone(), leaf.signature_key().as_slice().to_vec())
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

//! Members: who they are, and where their copies go.

use ed25519_dalek::VerifyingKey;
use hermes_wire::{MailboxId, channel::CopyKey, codec, token::SignedDropToken};
use openmls::prelude::{BasicCredential, Credential, CredentialType, LeafNode};
use serde_bytes::ByteArray;
use serde_tuple::{Deserialize_tuple, Serialize_tuple};

use crate::{
    group::{GroupError, Leaf, Rule, library::CARD},
    identity::{Identity, IdentityKeyPair},
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

/// An identity, and its signature over the leaf's key.
#[derive(Serialize_tuple, Deserialize_tuple)]
struct WireCredential {
    identity: Identity,
    signature: ByteArray<64>,
}

/// The credential of a leaf with this signature key.
pub(super) fn credential(identity: &IdentityKeyPair, key: &VerifyingKey) -> Credential {
    let signature = ByteArray::new(identity.sign(&signed(key.as_bytes())));
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

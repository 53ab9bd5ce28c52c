//! An epoch: the members at one moment, and the secrets that they share until the next.

use std::collections::{BTreeMap, BTreeSet};

use hermes_wire::{
    byte_id,
    channel::{PostToken, RosterKey},
};
use zeroize::Zeroizing;

use crate::{
    group::{GroupContext, GroupId, Leaf, Member, SenderChain, chain::CHAIN_BYTES},
    kdf::{self, Label},
    limits::GROUP_MEMBERS,
    record::{Reader, RecordError, Writer},
    secret::{ChainKey, HeaderKey},
    signing::SigningSecret,
};

byte_id!(
    /// Equal at all members of an epoch, and nowhere else (RFC 9420, section 8.7): what shows that nothing forked.
    Authenticator, 32
);

/// What is public among the members of an epoch; read from the rows.
#[derive(Clone, PartialEq, Eq)]
pub struct Epoch {
    /// The group.
    pub group: GroupId,
    /// Number of the epoch: the channel's too.
    pub number: u64,
    /// Compared between members.
    pub authenticator: Authenticator,
    /// The own leaf.
    pub me: Leaf,
    /// Everybody, the own leaf too.
    pub members: BTreeMap<Leaf, Member>,
    /// Name, channel, admins.
    pub context: GroupContext,
    /// Whose proposals to leave have arrived in this epoch.
    pub leaving: BTreeSet<Leaf>,
    /// The own place among those whose update would fill blank nodes of the tree, from 0; `None` when it would fill none.
    pub place_to_fill: Option<u32>,
}

/// An epoch's secrets: its keys, and a sender chain for every member. The chains rest as a row each, the keys as one row;
/// all of them go when the next epoch begins.
pub struct EpochSecrets {
    /// What every message needs; does not change.
    pub keys: EpochKeys,
    /// One per member.
    pub chains: BTreeMap<Leaf, SenderChain>,
}

/// What every message of an epoch needs besides its chain.
#[derive(Clone)]
pub struct EpochKeys {
    group: GroupId,
    number: u64,
    me: Leaf,
    /// Seals headers.
    sender_data: HeaderKey,
    /// Seals commits and proposals once more.
    change: HeaderKey,
    post_token: PostToken,
    roster_key: RosterKey,
    /// The own leaf's.
    signing: SigningSecret,
}

/// Bytes of [`EpochKeys::to_bytes`].
const KEYS_BYTES: usize = 205;

impl EpochKeys {
    /// The group.
    pub fn group(&self) -> GroupId {
        self.group
    }

    /// Number of the epoch.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// The own leaf.
    pub fn me(&self) -> Leaf {
        self.me
    }

    /// What lets this epoch's members post.
    pub fn post_token(&self) -> PostToken {
        self.post_token.clone()
    }

    /// Under what the relay seals this epoch's roster.
    pub fn roster_key(&self) -> RosterKey {
        self.roster_key.clone()
    }

    pub(super) fn sender_data(&self) -> &HeaderKey {
        &self.sender_data
    }

    pub(super) fn change(&self) -> &HeaderKey {
        &self.change
    }

    pub(super) fn signing(&self) -> &SigningSecret {
        &self.signing
    }

    /// For the sealed store: 205 bytes.
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        Writer::new(KEYS_BYTES - 1)
            .bytes(&self.group.0)
            .u64(self.number)
            .u32(self.me.0)
            .bytes(self.sender_data.as_bytes())
            .bytes(self.change.as_bytes())
            .bytes(self.post_token.as_bytes())
            .bytes(self.roster_key.as_bytes())
            .bytes(self.signing.as_bytes())
            .finish()
    }

    /// Reads what [`Self::to_bytes`] wrote.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, RecordError> {
        let mut reader = Reader::new(bytes)?;
        let keys = Self {
            group: GroupId(*reader.array()?),
            number: reader.u64()?,
            me: Leaf(reader.u32()?),
            sender_data: HeaderKey::new(reader.array()?),
            change: HeaderKey::new(reader.array()?),
            post_token: PostToken::new(*reader.array()?),
            roster_key: RosterKey::new(*reader.array()?),
            signing: SigningSecret::from_bytes(reader.array()?),
        };
        reader.finish()?;
        Ok(keys)
    }
}

impl EpochSecrets {
    /// All that the members share until the next commit, from the one secret that the tree gives for it.
    ///
    /// HKDF-SHA256 with the epoch authenticator as salt: two epochs that differ in anything agree in no key.
    pub(super) fn derive(
        seed: &[u8],
        epoch: &Epoch,
        signing: SigningSecret,
        verifying: &BTreeMap<Leaf, [u8; 32]>,
    ) -> Self {
        let context =
            |leaf: Leaf| [&epoch.group.0[..], &epoch.number.to_be_bytes(), &leaf.0.to_be_bytes()].concat();
        let salt = &epoch.authenticator.0;
        let blocks = kdf::derive::<4>(salt, seed, Label::GROUP_EPOCH, &context(Leaf(u32::MAX)));
        let [sender_data, change, post_token, roster_key] = &*blocks;
        let keys = EpochKeys {
            group: epoch.group,
            number: epoch.number,
            me: epoch.me,
            sender_data: HeaderKey::new(sender_data),
            change: HeaderKey::new(change),
            post_token: PostToken::new(*post_token),
            roster_key: RosterKey::new(*roster_key),
            signing,
        };
        let chain = |(leaf, verifying): (&Leaf, &[u8; 32])| {
            let blocks = kdf::derive::<1>(salt, seed, Label::GROUP_SENDER, &context(*leaf));
            let [chain] = &*blocks;
            (*leaf, SenderChain::new(*leaf, ChainKey::new(chain), *verifying))
        };
        Self { keys, chains: verifying.iter().map(chain).collect() }
    }

    /// For the sealed store, while an own commit's fate is open.
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let mut writer = Writer::new(KEYS_BYTES + self.chains.len().saturating_mul(CHAIN_BYTES));
        writer = writer.bytes(&self.keys.to_bytes());
        for chain in self.chains.values() {
            writer = writer.bytes(&chain.to_bytes());
        }
        writer.finish()
    }

    /// Reads what [`Self::to_bytes`] wrote.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, RecordError> {
        let mut reader = Reader::new(bytes)?;
        let keys = EpochKeys::from_bytes(reader.array::<KEYS_BYTES>()?)?;
        let rest = reader.rest();
        let (rows, []) = rest.as_chunks::<CHAIN_BYTES>() else { return Err(RecordError::Malformed) };
        if rows.len() > GROUP_MEMBERS {
            return Err(RecordError::Malformed);
        }
        let chains = rows.iter().map(|row| SenderChain::from_bytes(row).map(|chain| (chain.leaf(), chain)));
        Ok(Self { keys, chains: chains.collect::<Result<_, _>>()? })
    }
}

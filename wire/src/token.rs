//! Drop tokens: permissions to write to a mailbox, signed by its owner, checked by the relay without knowing who holds them.

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};
use serde_bytes::{ByteArray, ByteBuf};
use serde_tuple::{Deserialize_tuple, Serialize_tuple};

use crate::{
    codec,
    id::{ContactId, DropKey, MailboxId},
    limits::{DROP_TOKEN_BYTES, INVITE_GRACE},
    time::Timestamp,
};

/// Keeps a token's signature from meaning anything elsewhere.
const DOMAIN: &[u8] = b"Hermes/1 drop token";

/// What a token allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Permission {
    /// Deposit envelopes.
    Deposit,
    /// Deposit envelopes and fetch prekey bundles.
    DepositAndPrekeys,
    /// Stand in the roster of a channel, so that copies of what is posted there are put into the mailbox; nothing else.
    Channel,
}

/// What the owner of a mailbox signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize_tuple, Deserialize_tuple)]
pub struct DropToken {
    /// The pseudonym of the depositor; delivered with each envelope.
    pub contact: ContactId,
    /// What it allows.
    pub permission: Permission,
    /// No fetch after this; no deposit either, but for invites (`uses` is set), which have [`INVITE_GRACE`] for those.
    pub expiry: Timestamp,
    /// How many different fetches it allows; `None` is no limit but the relay's rate. Deposits are never counted.
    pub uses: Option<u32>,
}

/// A token as it travels: the exact bytes that were signed, and the signature.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize_tuple, Deserialize_tuple)]
pub struct SignedDropToken {
    token: ByteBuf,
    signature: ByteArray<64>,
}

/// Why a token does not open a mailbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Not a token of this mailbox.
    #[error("not a token of this mailbox")]
    Invalid,
    /// Genuine, and over.
    #[error("the token has expired")]
    Expired,
}

/// What a token is being used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// Depositing envelopes.
    Deposit,
    /// Fetching a prekey bundle.
    FetchPrekeys,
    /// Receiving copies of what is posted to a channel.
    Channel,
}

impl SignedDropToken {
    /// Signs `token` for `mailbox` with its drop key.
    pub fn issue(token: &DropToken, mailbox: MailboxId, key: &SigningKey) -> Self {
        let token = codec::encode(token);
        let signature = key.sign(&signed_bytes(mailbox, &token));
        Self { token: ByteBuf::from(token), signature: ByteArray::new(signature.to_bytes()) }
    }

    /// Checks the signature, then the content. A key that is no curve point costs the same as a wrong signature.
    pub fn verify(&self, mailbox: MailboxId, key: DropKey) -> Result<DropToken, TokenError> {
        if self.token.len() > DROP_TOKEN_BYTES {
            return Err(TokenError::Invalid);
        }
        let key = VerifyingKey::from_bytes(key.as_bytes()).map_err(|_| TokenError::Invalid)?;
        key.verify_strict(&signed_bytes(mailbox, &self.token), &Signature::from_bytes(&self.signature))
            .map_err(|_| TokenError::Invalid)?;
        codec::decode(&self.token, DROP_TOKEN_BYTES).map_err(|_| TokenError::Invalid)
    }

    /// What the token says, for whoever has verified it already.
    pub fn unverified(&self) -> Result<DropToken, TokenError> {
        codec::decode(&self.token, DROP_TOKEN_BYTES).map_err(|_| TokenError::Invalid)
    }
}

impl DropToken {
    /// Whether the token may be used like this at `now`.
    pub fn permits(&self, usage: Use, now: Timestamp) -> Result<(), TokenError> {
        let allowed = match (usage, self.permission) {
            (Use::Deposit, Permission::Deposit | Permission::DepositAndPrekeys)
            | (Use::FetchPrekeys, Permission::DepositAndPrekeys) => true,
            (Use::Channel, Permission::Channel) => self.uses.is_none(),
            _ => false,
        };
        if !allowed {
            return Err(TokenError::Invalid);
        }
        let end = match usage {
            Use::Deposit if self.uses.is_some() => self.expiry.after(INVITE_GRACE),
            _ => self.expiry,
        };
        if now > end { Err(TokenError::Expired) } else { Ok(()) }
    }
}

/// Bound to the mailbox, so that two mailboxes sharing a drop key would still not share tokens.
fn signed_bytes(mailbox: MailboxId, token: &[u8]) -> Vec<u8> {
    [DOMAIN, mailbox.as_bytes(), token].concat()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn key(seed: u8) -> (SigningKey, DropKey) {
        let key = SigningKey::from_bytes(&[seed; 32]);
        let public = DropKey(key.verifying_key().to_bytes());
        (key, public)
    }

    fn token(uses: Option<u32>) -> DropToken {
        DropToken {
            contact: ContactId([1; 16]),
            permission: Permission::DepositAndPrekeys,
            expiry: Timestamp(1_000),
            uses,
        }
    }

    #[test]
    fn opens_only_its_own_mailbox() {
        let (secret, public) = key(1);
        let signed = SignedDropToken::issue(&token(None), MailboxId([9; 32]), &secret);
        assert_eq!(signed.verify(MailboxId([9; 32]), public), Ok(token(None)));
        assert_eq!(signed.verify(MailboxId([8; 32]), public), Err(TokenError::Invalid));
        assert_eq!(signed.verify(MailboxId([9; 32]), key(2).1), Err(TokenError::Invalid));
    }

    #[test]
    fn each_permission_is_for_its_own_uses() {
        let permits = |permission, usage, uses| {
            DropToken { permission, uses, ..token(None) }.permits(usage, Timestamp(0)).is_ok()
        };
        let uses = [Use::Deposit, Use::FetchPrekeys, Use::Channel];
        let of = |permission| uses.map(|usage| permits(permission, usage, None));
        assert_eq!(of(Permission::Deposit), [true, false, false]);
        assert_eq!(of(Permission::DepositAndPrekeys), [true, true, false]);
        assert_eq!(of(Permission::Channel), [false, false, true]);
        assert!(!permits(Permission::Channel, Use::Channel, Some(1)));
        let late = DropToken { permission: Permission::Channel, ..token(None) };
        assert_eq!(late.permits(Use::Channel, Timestamp(1_001)), Err(TokenError::Expired));
    }

    #[test]
    fn an_expired_invite_can_still_finish_its_pairing() {
        let late = Timestamp(2_000);
        assert_eq!(token(None).permits(Use::Deposit, late), Err(TokenError::Expired));
        assert_eq!(token(Some(1)).permits(Use::Deposit, late), Ok(()));
        assert_eq!(token(Some(1)).permits(Use::FetchPrekeys, late), Err(TokenError::Expired));
        let over = Timestamp(1_000).after(INVITE_GRACE).after(Duration::from_millis(1));
        assert_eq!(token(Some(1)).permits(Use::Deposit, over), Err(TokenError::Expired));
    }
}

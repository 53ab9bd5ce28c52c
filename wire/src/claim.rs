//! Store claims: what a mailbox's owner leaves at its relay so that a store put back from an old copy, or a second copy
//! of one store, notices that it is not the newest.
//!
//! The relay keeps the newest claim and lets it move only from one that the claimant knows. It cannot invent one: each
//! is signed by the mailbox's key. It can hide the newest or show an older one, so that this finds accidents and not a
//! relay's malice.

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use serde_bytes::ByteArray;
use serde_tuple::{Deserialize_tuple, Serialize_tuple};

use crate::{byte_id, codec, id::MailboxId};

/// Keeps a claim's signature from meaning anything elsewhere. The same key signs TLS certificates and handshakes, whose
/// signed bytes begin otherwise: with a DER sequence (RFC 5280, 4.1.2), and with 64 spaces (RFC 8446, 4.4.3).
const DOMAIN: &[u8] = b"Hermes/1 store claim";

byte_id!(
    /// A store's life from its making, or from when it took over from another copy. Drawn at random.
    StoreEpoch, 16
);
byte_id!(
    /// Tells two claims apart that two copies of a store made under the same number. Drawn at random.
    ClaimNonce, 16
);
byte_id!(
    /// One run of a daemon: drawn when it starts and kept nowhere, so that two copies of one store differ in it.
    RunId, 16
);

/// "This is the newest store of the mailbox."
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize_tuple, Deserialize_tuple)]
pub struct Claim {
    /// Whose.
    pub epoch: StoreEpoch,
    /// Rises with every claim of an epoch.
    pub counter: u64,
    /// Nobody but the store that drew it has made this claim.
    pub nonce: ClaimNonce,
    /// The claim that the epoch's first one replaced: whose that was, and was up to date, knows that another copy has
    /// taken over.
    pub succeeds: Option<ClaimNonce>,
}

/// A claim and the signature of its mailbox's key.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize_tuple, Deserialize_tuple)]
pub struct SignedClaim {
    claim: Claim,
    signature: ByteArray<64>,
}

/// A claim that its mailbox did not sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a claim of this mailbox")]
pub struct ForeignClaim;

impl Claim {
    /// Whether this claim may take the place of `held`.
    pub fn moves_on(&self, held: Option<&Self>) -> bool {
        held.is_none_or(|held| self.epoch != held.epoch || self.counter > held.counter)
    }
}

impl SignedClaim {
    /// Signs `claim` with the mailbox's key.
    pub fn issue(claim: Claim, mailbox: &SigningKey) -> Self {
        let id = MailboxId(mailbox.verifying_key().to_bytes());
        let signature = mailbox.sign(&signed_bytes(id, &claim));
        Self { claim, signature: ByteArray::new(signature.to_bytes()) }
    }

    /// The claim, if the mailbox signed it.
    pub fn verify(&self, mailbox: MailboxId) -> Result<Claim, ForeignClaim> {
        let key = VerifyingKey::from_bytes(mailbox.as_bytes()).map_err(|_| ForeignClaim)?;
        key.verify_strict(&signed_bytes(mailbox, &self.claim), &Signature::from_bytes(&self.signature))
            .map_err(|_| ForeignClaim)?;
        Ok(self.claim)
    }

    /// The claim, for whoever has verified it already or need not.
    pub fn unverified(&self) -> &Claim {
        &self.claim
    }
}

/// One claim has one encoding, so its fields are signed as they travel.
fn signed_bytes(mailbox: MailboxId, claim: &Claim) -> Vec<u8> {
    [DOMAIN, mailbox.as_bytes(), &codec::encode(claim)].concat()
}

/// Asks the relay to move the claim it holds: only if it holds `expected`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize_tuple, Deserialize_tuple)]
pub struct MoveClaim {
    /// What the relay holds, as far as the owner knows.
    pub expected: Option<Claim>,
    /// What it should hold.
    pub next: SignedClaim,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim() -> Claim {
        Claim { epoch: StoreEpoch([1; 16]), counter: 7, nonce: ClaimNonce([2; 16]), succeeds: None }
    }

    #[test]
    fn is_worth_something_at_its_own_mailbox_only_and_as_it_was_signed() {
        let key = SigningKey::from_bytes(&[3; 32]);
        let mailbox = MailboxId(key.verifying_key().to_bytes());
        let signed = SignedClaim::issue(claim(), &key);
        assert_eq!(signed.verify(mailbox), Ok(claim()));
        let other = MailboxId(SigningKey::from_bytes(&[4; 32]).verifying_key().to_bytes());
        assert_eq!(signed.verify(other), Err(ForeignClaim));
        let changes: [fn(&mut Claim); 4] = [
            |claim| claim.epoch = StoreEpoch([9; 16]),
            |claim| claim.counter += 1,
            |claim| claim.nonce = ClaimNonce([9; 16]),
            |claim| claim.succeeds = Some(ClaimNonce([9; 16])),
        ];
        for change in changes {
            let mut changed = signed.clone();
            change(&mut changed.claim);
            assert_eq!(changed.verify(mailbox), Err(ForeignClaim));
        }
    }

    #[test]
    fn moves_up_within_an_epoch_and_anywhere_between_epochs() {
        let next = |counter| Claim { counter, ..claim() };
        assert!(next(1).moves_on(None));
        assert!(next(8).moves_on(Some(&claim())));
        assert!(!next(7).moves_on(Some(&claim())));
        assert!(!next(6).moves_on(Some(&claim())));
        assert!(Claim { epoch: StoreEpoch([2; 16]), ..next(1) }.moves_on(Some(&claim())));
    }
}

//! The secret of an invite.

use hermes_protocol::{InviteSecret, TranscriptHash};

use crate::{
    support::{Account, Stock},
    taint::{public, secret},
};

pub fn proof() {
    let (mut alice, mut bob) = (Account::new(1), Account::new(2));
    let transcript: TranscriptHash = alice.initiate(&mut bob, Stock::Full).transcript;
    let mut bytes = [7; 16];
    secret(&mut bytes);
    let invite = InviteSecret::from_bytes(bytes);
    let mut proof = invite.prove(&transcript);
    // It is sent to whoever made the invite.
    public(&proof);
    for expected in [true, false] {
        let verdict = invite.verify(&transcript, &proof);
        // A verdict is what a comparison is for.
        public(&verdict);
        assert_eq!(verdict, expected);
        proof[31] ^= 1;
    }
}

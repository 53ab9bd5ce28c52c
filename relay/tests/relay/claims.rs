//! The relay's rules for store claims: only the owner's, only forward, only from where the owner thinks they are.

use crate::common::{Ask, NOW, Owner, claim, prekeys};
use hermes_relay::{
    Limits, Outcome, Policy, Registration, Relay, Request, Store, store::memory::MemoryStore,
};
use hermes_wire::{
    Claim, ClaimNonce, FetchId, MoveClaim, Refusal, SignedClaim,
    mailbox::PrekeyStock,
    prekey::{PrekeyId, PrekeyKind},
};

fn with_bob() -> (Relay<MemoryStore>, Owner) {
    let policy = Policy { registration: Registration::Open, limits: Limits::default() };
    let (mut relay, bob) = (Relay::new(MemoryStore::new(), policy).unwrap(), Owner::with_claims(1));
    assert!(matches!(relay.registers(NOW, &bob), Outcome::Registered { .. }));
    (relay, bob)
}

fn claims(relay: &mut Relay<MemoryStore>, bob: &Owner, expected: Option<Claim>, next: Claim) -> Outcome {
    let claim = MoveClaim { expected, next: bob.sign(next) };
    relay.ask(NOW, Request::Claim { mailbox: bob.mailbox, claim })
}

/// What the relay tells its owner on connecting.
fn told(relay: &mut Relay<MemoryStore>, bob: &Owner) -> Option<SignedClaim> {
    match relay.registers(NOW, bob) {
        Outcome::Registered { registered, .. } => registered.claim,
        other => panic!("{other:?}"),
    }
}

fn taken(claim: Claim) -> Outcome {
    Outcome::Claimed { claim, stock: None }
}

#[test]
fn the_newest_claim_is_kept_and_told_on_connecting() {
    let (mut relay, bob) = with_bob();
    assert_eq!(told(&mut relay, &bob), None);
    assert_eq!(claims(&mut relay, &bob, None, claim(1, 1)), taken(claim(1, 1)));
    assert_eq!(claims(&mut relay, &bob, Some(claim(1, 1)), claim(1, 5)), taken(claim(1, 5)));
    let policy = Policy { registration: Registration::Open, limits: Limits::default() };
    let mut relay = Relay::new(relay.into_store(), policy).unwrap();
    let told = told(&mut relay, &bob).unwrap();
    assert_eq!(told.verify(bob.mailbox), Ok(claim(1, 5)));
}

#[test]
fn a_claim_moves_only_from_the_expected_one() {
    let (mut relay, bob) = with_bob();
    let first = claim(1, 1);
    claims(&mut relay, &bob, None, first);
    let refused = Outcome::ClaimRefused(Some(bob.sign(first)));
    let same_number = Claim { nonce: ClaimNonce([9; 16]), ..first };
    for expected in [None, Some(claim(1, 0)), Some(claim(2, 1)), Some(same_number)] {
        assert_eq!(claims(&mut relay, &bob, expected, claim(1, 2)), refused, "{expected:?}");
    }
    assert_eq!(told(&mut relay, &bob), Some(bob.sign(first)));
    // Two stores that know the same claim: the first one has it, within one commit as well.
    let ask = |next: Claim| Request::Claim {
        mailbox: bob.mailbox,
        claim: MoveClaim { expected: Some(first), next: bob.sign(next) },
    };
    let other = Claim { nonce: ClaimNonce([9; 16]), ..claim(1, 2) };
    let outcomes = relay.apply(NOW, vec![ask(claim(1, 2)), ask(other)]).unwrap();
    assert_eq!(outcomes, [taken(claim(1, 2)), Outcome::ClaimRefused(Some(bob.sign(claim(1, 2))))]);
}

#[test]
fn a_repeat_after_a_lost_answer_is_answered_alike() {
    let (mut relay, bob) = with_bob();
    for _ in 0..2 {
        assert_eq!(claims(&mut relay, &bob, None, claim(1, 1)), taken(claim(1, 1)));
    }
}

#[test]
fn a_claim_that_goes_back_or_is_not_signed_by_the_mailbox_is_a_bad_frame() {
    let (mut relay, bob) = with_bob();
    claims(&mut relay, &bob, None, claim(1, 5));
    for counter in [4, 5] {
        let next = Claim { nonce: ClaimNonce([9; 16]), ..claim(1, counter) };
        let outcome = claims(&mut relay, &bob, Some(claim(1, 5)), next);
        assert_eq!(outcome, Outcome::Refused(Refusal::BadFrame), "{counter}");
    }
    let forged = MoveClaim { expected: Some(claim(1, 5)), next: Owner::with_claims(2).sign(claim(1, 6)) };
    let outcome = relay.ask(NOW, Request::Claim { mailbox: bob.mailbox, claim: forged });
    assert_eq!(outcome, Outcome::Refused(Refusal::BadFrame));
    assert_eq!(told(&mut relay, &bob), Some(bob.sign(claim(1, 5))));
}

#[test]
fn another_epoch_drops_the_prekeys_of_the_store_before() {
    let (mut relay, bob) = with_bob();
    claims(&mut relay, &bob, None, claim(1, 1));
    relay.ask(NOW, Request::PutPrekeys { mailbox: bob.mailbox, entries: prekeys() });
    // The same store keeps its own.
    assert_eq!(claims(&mut relay, &bob, Some(claim(1, 1)), claim(1, 2)), taken(claim(1, 2)));
    let entry = relay.opens(NOW, bob.open(&bob.token(1))).unwrap();
    let fetch = |relay: &mut Relay<MemoryStore>, id| {
        relay.ask(NOW, Request::FetchPrekeys { entry: entry.clone(), fetch: FetchId([id; 16]) })
    };
    assert!(matches!(fetch(&mut relay, 1), Outcome::Bundle { .. }));

    let stock = PrekeyKind::ALL.map(|kind| PrekeyStock { kind, count: 0 }).to_vec();
    let outcome = claims(&mut relay, &bob, Some(claim(1, 2)), claim(2, 1));
    assert_eq!(outcome, Outcome::Claimed { claim: claim(2, 1), stock: Some(stock) });
    assert!(matches!(fetch(&mut relay, 2), Outcome::Refused(Refusal::Busy { .. })));
    for kind in PrekeyKind::ALL {
        assert_eq!(relay.store().prekey_after(bob.mailbox, kind, PrekeyId(0)).unwrap(), None);
    }
    // Ids go on rising.
    assert!(matches!(relay.registers(NOW, &bob), Outcome::Registered { registered, .. }
        if registered.next_prekey_id == PrekeyId(7)));
}

"""Reproduces every frozen vector from its inputs, with a model that shares no code with the crates.

Needs Python 3.10 or newer and nothing else. `cargo test -p hermes-tests --test project vectors` runs it.
"""

import json
import pathlib
import sys

if sys.version_info < (3, 10):
    sys.exit("Python 3.10 or newer is needed")

import safety_number
from handshake import Bad, Identity, Prekey, cbor, initiate, open_bundle, respond, seal_entry
from ratchet import EPHEMERAL, Session


class Draws:
    """The randomness of one operation, drawn in the recorded order and used up to the last byte."""

    def __init__(self, recorded):
        self.recorded = [bytes.fromhex(draw) for draw in recorded]

    def take(self, length):
        draw = self.recorded.pop(0)
        assert len(draw) == length, f"{length} bytes wanted, {len(draw)} drawn"
        return draw

    def __enter__(self):
        return self

    def __exit__(self, error, *_):
        assert error or not self.recorded, "randomness left over"


def same(name, made, frozen):
    if isinstance(made, bytes):
        made = made.hex()
    if made != frozen:
        sys.exit(f"{name}: the model has {made[:80]}, frozen is {frozen[:80]}")


def unhex(value):
    return bytes.fromhex(value)


def load(name):
    return json.loads((pathlib.Path(__file__).parent / name).read_text())


def account(frozen):
    prekeys = {
        prekey["id"]: Prekey(prekey["kind"], prekey["id"], unhex(prekey["secret"]))
        for prekey in frozen.get("prekeys", [])
    }
    return Identity(secret=unhex(frozen["identity"])), unhex(frozen["mailbox"]), prekeys


def check_bundle(case, owner, prekeys):
    """The sealed bundle, and what a stranger makes of it."""
    frozen = case["bundle"]
    key = unhex(frozen["key"])
    with Draws(frozen["randomness"]) as draws:
        entries = [
            seal_entry(prekeys[number], owner, frozen["expiry"], key, draws) if number else None
            for number in frozen["published"]
        ]
    same("sealed bundle", cbor(entries), frozen["sealed"])
    same("fingerprint", owner.fingerprint, frozen["fingerprint"])
    return open_bundle(unhex(frozen["sealed"]), key, owner.fingerprint, frozen["expiry"])


def check_handshake(case):
    """Both sides of one handshake; what they agree on."""
    alice, alice_mailbox, _ = account(case["initiator"])
    bob, bob_mailbox, prekeys = account(case["responder"])
    bundle = check_bundle(case, bob, prekeys)
    unopened = [unhex(replay_id) for replay_id in case["unopened"]]
    # The last draw of an initiation is the session's first ratchet key.
    with Draws(case["randomness"]) as draws:
        handshake, agreed = initiate(
            alice, (alice_mailbox, bob_mailbox), bundle, case["counter"], unopened, draws
        )
        ratchet_secret = draws.take(32)
    same("handshake", handshake, case["handshake"])
    (peer, *introduction), theirs = respond(handshake, bob, bob_mailbox, prekeys)
    same("initiator", peer.fingerprint, case["initiator"]["fingerprint"])
    assert introduction == [alice_mailbox, case["counter"], unopened]
    for side in (agreed, theirs):
        same("transcript", side.transcript, case["transcript"])
        same("session id", side.session_id, case["session_id"])
        same("replay id", side.replay_id, case["replay_id"])
        same("invite proof", side.invite_proof(unhex(case["invite_secret"])), case["invite_proof"])
    assert agreed.root == theirs.root
    return agreed, bundle[1]["signed"], prekeys, ratchet_secret


def check_step(number, step, session, pending, envelopes):
    """One sealing or opening; the state behind it is compared through the record in which it rests."""
    with Draws(step["randomness"]) as draws:
        if "seal" in step:
            envelope = session.seal(pending, unhex(step["seal"]), draws)
            same(f"step {number}: envelope", envelope, step["envelope"])
            envelopes.append(envelope)
        elif "hint" in step:
            envelope = session.seal_ephemeral(unhex(step["hint"]), draws)
            same(f"step {number}: ephemeral envelope", envelope, step["envelope"])
            envelopes.append(envelope)
        else:
            envelope = bytearray(envelopes[step["open"]])
            if "flipped" in step:
                envelope[step["flipped"]] ^= 1
            try:
                if envelope[1] == EPHEMERAL:
                    text = session.open_ephemeral(bytes(envelope))
                else:
                    text = session.open(bytes(envelope), step["now"], draws)
                same(f"step {number}: text", text, step.get("text"))
            except Bad as error:
                same(f"step {number}: error", str(error), step.get("error"))
    same(f"step {number}: session", session.record(), step["session"])


def check_conversation(conversation):
    """Everything that two people say to each other in one session, and what goes wrong on the way."""
    case = conversation["handshake"]
    agreed, signed, prekeys, ratchet_secret = check_handshake(case)
    _, number, public = signed
    sessions = {
        "initiator": Session.initiator(agreed, public, ratchet_secret),
        "responder": Session.responder(agreed, prekeys[number].secret),
    }
    for side, session in sessions.items():
        same(f"{side}: first session", session.record(), conversation[side])
    handshake, envelopes = unhex(case["handshake"]), []
    for number, step in enumerate(conversation["steps"]):
        session = sessions[step["by"]]
        heard = step["by"] == "responder" or session.receiving
        check_step(number, step, session, None if heard else handshake, envelopes)
    return len(conversation["steps"])


def check_safety_number(case):
    """Both orders of one pair."""
    fingerprints = [Identity(secret=unhex(secret)).fingerprint for secret in case["identities"]]
    for made, frozen in zip(fingerprints, case["fingerprints"], strict=True):
        same("fingerprint", made, frozen)
    for pair in (fingerprints, fingerprints[::-1]):
        same("safety number", safety_number.number(*pair), case["number"])
        same("safety code", safety_number.code(*pair), case["code"])


def main():
    for case in load("handshake.json"):
        check_handshake(case)
        print(f"handshake: {case['name']}")
    steps = check_conversation(load("ratchet.json"))
    print(f"ratchet: {steps} steps")
    for case in load("safety_number.json"):
        check_safety_number(case)
    print("safety numbers")


main()

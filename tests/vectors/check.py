"""Reproduces every frozen vector from its inputs, with a model that shares no code with the crates.

Needs Python 3.10 or newer and nothing else. `cargo test -p hermes-tests --test vectors` runs it.
"""

import json
import pathlib
import sys

if sys.version_info < (3, 10):
    sys.exit("Python 3.10 or newer is needed")

from handshake import Identity, Prekey, cbor, initiate, open_bundle, respond, seal_entry


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


def main():
    for case in load("handshake.json"):
        check_handshake(case)
        print(f"handshake: {case['name']}")


main()

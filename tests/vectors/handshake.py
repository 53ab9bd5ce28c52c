"""Identities, prekeys and the handshake."""

import mlkem
from mlkem import ML_KEM_1024
from primitives import (
    aead_open,
    aead_seal,
    cbor,
    cbor_decode,
    ed25519_public,
    ed25519_sign,
    ed25519_verify,
    ffdh,
    hkdf,
    hmac,
    is_element,
    pbkdf2,
    sha256,
    x25519,
    xaead_open,
    xaead_seal,
)

VERSION = 1
KINDS = {"Signed": 1, "OneTime": 2, "OneTimeKem": 3, "LastResortKem": 4, "SignedFf": 5}


class Bad(Exception):
    """What a peer sent is not what the protocol allows."""


def ensure(condition, reason):
    if not condition:
        raise Bad(reason)


def u32(number):
    return number.to_bytes(4, "big")


def u64(number):
    return number.to_bytes(8, "big")


def framed(*parts):
    return b"".join(u32(len(part)) + part for part in parts)


class Identity:
    """Both key pairs of an account; or, without the secrets, of somebody else."""

    def __init__(self, secret=None, public=None):
        if secret:
            self.signing, self.agreement = secret[:32], secret[32:]
            keys = [ed25519_public(self.signing), x25519(self.agreement)]
            public = keys + [ed25519_sign(self.signing, self._crossed(keys[1]))]
        self.verifying, self.agreement_public, self.cross = self.public = public
        ensure(
            ed25519_verify(self.verifying, self._crossed(self.agreement_public), self.cross),
            "keys that do not belong together",
        )

    @staticmethod
    def _crossed(agreement):
        return b"Hermes/1 identity cross signature|" + agreement

    @property
    def keys(self):
        return self.verifying + self.agreement_public

    @property
    def fingerprint(self):
        return sha256(b"Hermes/1 identity fingerprint|", self.keys)


class Prekey:
    """A secret prekey: kind, number, and what its public half follows from."""

    def __init__(self, kind, number, secret):
        self.kind, self.number, self.secret = kind, number, secret
        if kind in ("Signed", "OneTime"):
            self.public = x25519(secret)
        elif kind == "SignedFf":
            self.public = ffdh(secret)
        else:
            self.public = mlkem.public(ML_KEM_1024, secret)


def _outside(kind, number, expiry):
    return bytes([KINDS[kind]]) + u64(number) + u64(expiry)


def seal_entry(prekey, owner, expiry, bundle_key, draws):
    """An entry as the relay holds it."""
    outside = _outside(prekey.kind, prekey.number, expiry)
    signature = ed25519_sign(owner.signing, b"Hermes/1 prekey|" + outside + owner.keys + prekey.public)
    inside = cbor([prekey.public, signature, owner.public if prekey.kind == "Signed" else None])
    nonce = draws.take(24)
    sealed = nonce + xaead_seal(bundle_key, nonce, b"Hermes/1 prekey entry|" + outside, inside)
    return [prekey.kind, prekey.number, expiry, sealed]


def _open_entry(entry, kinds, bundle_key, now):
    kind, number, expiry, sealed = entry
    ensure(kind in kinds, "a key of the wrong kind")
    outside = _outside(kind, number, expiry)
    text = xaead_open(bundle_key, sealed[:24], b"Hermes/1 prekey entry|" + outside, sealed[24:])
    ensure(text is not None, "an entry that does not open")
    ensure(now <= expiry, "an expired key")
    public, signature, identity = cbor_decode(text)
    ensure((identity is not None) == (kind == "Signed"), "an owner in the wrong place")
    return public, signature, identity, outside


def open_bundle(encoded, bundle_key, fingerprint, now):
    """The owner, and by role (kind, number, public key)."""
    signed, one_time, kem, ff = cbor_decode(encoded)
    owner = Identity(public=_open_entry(signed, ["Signed"], bundle_key, now)[2])
    ensure(owner.fingerprint == fingerprint, "another identity")
    roles = {
        "signed": (signed, ["Signed"]),
        "one_time": (one_time, ["OneTime"]),
        "kem": (kem, ["OneTimeKem", "LastResortKem"]),
        "ff": (ff, ["SignedFf"]),
    }
    keys = {}
    for role, (entry, kinds) in roles.items():
        if entry is None:
            ensure(role == "one_time", "a missing key")
            continue
        public, signature, _, outside = _open_entry(entry, kinds, bundle_key, now)
        message = b"Hermes/1 prekey|" + outside + owner.keys + public
        ensure(ed25519_verify(owner.verifying, message, signature), "a wrong signature")
        keys[role] = (entry[0], entry[1], public)
    ensure(mlkem.is_public(ML_KEM_1024, keys["kem"][2]), "no encapsulation key")
    ensure(is_element(keys["ff"][2]), "no element of the group")
    return owner, keys


def _introduction_keys(dh3, ss, opening):
    key, nonce = hkdf(b"", framed(dh3, ss), b"Hermes/1 sealed identity|" + opening, 2)
    return key, nonce[:12]


class Agreed:
    """What both sides have after a handshake."""

    def __init__(self, initiator, responder, mailboxes, keys, handshake, locks):
        opening, sealed_identity = cbor_decode(handshake)
        (signed_id, one_time_id, kem_id, ff_id), ephemeral, finite_field, ciphertext = opening
        self.transcript = sha256(
            b"Hermes/1 transcript|",
            framed(
                VERSION.to_bytes(2, "big"),
                initiator.keys,
                responder.keys,
                *mailboxes,
                u64(signed_id),
                bytes([one_time_id is None]),
                b"" if one_time_id is None else u64(one_time_id),
                u64(kem_id),
                bytes([KINDS[keys["kem"][0]]]),
                u64(ff_id),
                keys["signed"][2],
                keys["one_time"][2] if "one_time" in keys else b"",
                keys["kem"][2],
                keys["ff"][2],
                ephemeral,
                finite_field,
                ciphertext,
                sealed_identity,
            ),
        )
        self.session_id = sha256(b"Hermes/1 session id", self.transcript)[:16]
        self.binding = sha256(
            b"Hermes/1 session binding|", initiator.keys, responder.keys, self.session_id
        )
        self.replay_id = sha256(b"Hermes/1 replay|", u64(signed_id), u64(kem_id), ephemeral)
        dh1, dh2, dh3, dh4, ss, z = locks
        secrets = framed(dh1, dh2, dh3, dh4, ss, pbkdf2(z, self.transcript, 1000))
        info = b"Hermes/1 handshake" + self.transcript
        self.root, self.initiator_header, self.responder_header = hkdf(b"", b"\xff" * 32 + secrets, info, 3)

    def invite_proof(self, secret):
        return hmac(secret, b"Hermes/1 invite proof|", self.transcript)


def initiate(identity, mailboxes, bundle, counter, unopened, draws):
    """The handshake part, and what it agrees on. `mailboxes` are the initiator's and the responder's."""
    owner, keys = bundle
    ephemeral, exponent, message = (draws.take(32) for _ in range(3))
    ss, ciphertext = mlkem.encapsulate(ML_KEM_1024, keys["kem"][2], message)
    numbers = [keys[role][1] if role in keys else None for role in ("signed", "one_time", "kem", "ff")]
    opening = [numbers, x25519(ephemeral), ffdh(exponent), ciphertext]
    signed = keys["signed"][2]
    dh3 = x25519(ephemeral, signed)
    locks = (
        x25519(identity.agreement, signed),
        x25519(ephemeral, owner.agreement_public),
        dh3,
        x25519(ephemeral, keys["one_time"][2]) if "one_time" in keys else b"",
        ss,
        ffdh(exponent, keys["ff"][2]),
    )
    digest = sha256(b"Hermes/1 opening|", cbor(opening))
    introduction = cbor([identity.public, mailboxes[0], counter, unopened])
    sealed = aead_seal(*_introduction_keys(dh3, ss, digest), digest, introduction)
    handshake = cbor([opening, sealed])
    return handshake, Agreed(identity, owner, mailboxes, keys, handshake, locks)


def respond(handshake, identity, mailbox, prekeys):
    """Who initiates (identity, mailbox, counter, list of unopened), and what is agreed on."""
    opening, sealed = cbor_decode(handshake)
    numbers, ephemeral, finite_field, ciphertext = opening
    named = dict(zip(("signed", "one_time", "kem", "ff"), numbers))
    mine = {role: prekeys[number] for role, number in named.items() if number is not None}
    dh3 = x25519(mine["signed"].secret, ephemeral)
    ss = mlkem.decapsulate(ML_KEM_1024, mine["kem"].secret, ciphertext)
    digest = sha256(b"Hermes/1 opening|", cbor(opening))
    text = aead_open(*_introduction_keys(dh3, ss, digest), digest, sealed)
    ensure(text is not None, "a sealed identity that does not open")
    public, peer_mailbox, counter, unopened = cbor_decode(text)
    peer = Identity(public=public)
    ensure(peer.keys != identity.keys, "oneself")
    locks = (
        x25519(mine["signed"].secret, peer.agreement_public),
        x25519(identity.agreement, ephemeral),
        dh3,
        x25519(mine["one_time"].secret, ephemeral) if "one_time" in mine else b"",
        ss,
        ffdh(mine["ff"].secret, finite_field),
    )
    keys = {role: (key.kind, key.number, key.public) for role, key in mine.items()}
    agreed = Agreed(peer, identity, (peer_mailbox, mailbox), keys, handshake, locks)
    return (peer, peer_mailbox, counter, unopened), agreed

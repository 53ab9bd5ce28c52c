"""The double ratchet with header encryption, its sparse ML-KEM step, ephemeral messages, envelopes and padding."""

from copy import copy

import mlkem
from handshake import Bad, ensure, u32, u64
from mlkem import ML_KEM_768
from primitives import aead_open, aead_seal, hkdf, hmac, sha256, x25519, xaead_open, xaead_seal

VERSION = b"\1"
FIRST, ORDINARY, EPHEMERAL = 1, 2, 3
BODY, OFFER, ANSWER = 1, 2, 3
SEALED_HEADER = 41 + 16
PART_BYTES = {BODY: 0, OFFER: 24 + 4 + 1184 + 16, ANSWER: 24 + 4 + 1088 + 16}
KEM_INTERVAL_MESSAGES, KEM_INTERVAL_MS = 50, 86_400_000
PASSED_CHAINS = 8


def bucket(length):
    """Padded size of an envelope: four fixed sizes, then Padmé."""
    for size in (256, 1024, 4096, 16384):
        if length <= size:
            return size
    exponent = length.bit_length() - 1
    zeros = exponent - exponent.bit_length()
    return -(-length >> zeros) << zeros


def root_step(root, agreed, share):
    """Root key, chain key, next header key, ephemeral key."""
    if share is None:
        return hkdf(root, agreed, b"Hermes/1 root|", 4)
    secret, exchange = share
    return hkdf(root, agreed + secret, b"Hermes/1 root with kem|" + exchange, 4)


def message_keys(message_key, header_nonce):
    cipher, mac, nonce = hkdf(header_nonce, message_key, b"Hermes/1 message keys|", 3)
    return cipher, mac, nonce[:12]


def exchange(key, ciphertext):
    return sha256(b"Hermes/1 kem exchange|", key, ciphertext)


class Chain:
    def __init__(self, chain, header, ephemeral, number=0):
        self.chain, self.header, self.number, self.index = chain, header, number, 0
        self.ephemeral = ephemeral

    def advance(self):
        key, self.chain = hmac(self.chain, b"\1"), hmac(self.chain, b"\2")
        self.index += 1
        return key


class Session:
    """One side. Opening changes it only when everything has been checked."""

    def __init__(self, agreed, ratchet_secret, root, next_sending_header, next_receiving_header):
        self.id, self.binding = agreed.session_id, agreed.binding
        self.root, self.ratchet_secret = root, ratchet_secret
        self.next_sending_header, self.next_receiving_header = next_sending_header, next_receiving_header
        self.previous, self.sending, self.receiving = None, None, None
        self.steps, self.last, self.messages, self.role = 0, 0, 0, None
        # Beside the session: keys of overtaken messages, and header keys of passed chains, newest first.
        self.skipped, self.passed = {}, []

    @classmethod
    def initiator(cls, agreed, signed_prekey, ratchet_secret):
        agreement = x25519(ratchet_secret, signed_prekey)
        root, chain, header, ephemeral = root_step(agreed.root, agreement, None)
        session = cls(agreed, ratchet_secret, root, header, agreed.responder_header)
        session.sending = Chain(chain, agreed.initiator_header, ephemeral)
        return session

    @classmethod
    def responder(cls, agreed, signed_prekey_secret):
        return cls(
            agreed, signed_prekey_secret, agreed.root, agreed.responder_header, agreed.initiator_header
        )

    # --- Sealing -----------------------------------------------------------------------------------------------------

    def seal(self, handshake, text, draws):
        """A whole envelope; `handshake` goes in front of it until a reply has been opened."""
        follows, step, half = self._part()
        previous = self.previous.index if self.previous else 0
        header = bytes([follows]) + x25519(self.ratchet_secret) + u32(previous) + u32(self.sending.index)
        key, header_key = self.sending.advance(), self.sending.header
        nonce = draws.take(24)
        sealed_header = xaead_seal(header_key, nonce, VERSION + self.id, header)
        part = b""
        if follows != BODY:
            part_nonce = draws.take(24)
            part = part_nonce + xaead_seal(
                header_key, part_nonce, VERSION + self.id + nonce, u32(step) + half
            )
        front = VERSION + bytes([ORDINARY])
        if handshake:
            front = VERSION + bytes([FIRST]) + len(handshake).to_bytes(2, "big") + handshake
        overhead = len(front) + 24 + SEALED_HEADER + len(part) + 16 + 32
        room = bucket(overhead + 2 + len(text)) - overhead
        padded = (len(text).to_bytes(2, "big") + text).ljust(room, b"\0")
        cipher, mac_key, body_nonce = message_keys(key, nonce)
        body = aead_seal(cipher, body_nonce, self.binding, padded)
        mac = self._mac(mac_key, nonce, sealed_header, part + body[:-16], body[-16:])
        self.messages += 1
        return front + nonce + sealed_header + part + body + mac

    def _part(self):
        if self.role is None:
            return BODY, None, None
        kind, value = self.role
        if kind == OFFER:
            return OFFER, self.steps + 1, mlkem.public(ML_KEM_768, value)
        return ANSWER, self.steps, value

    def _mac(self, key, nonce, sealed_header, rest, tag):
        bound = VERSION + self.id + self.binding
        return hmac(key, b"Hermes/1 message mac|", bound, nonce, sealed_header, u32(len(rest)), rest, tag)

    # --- Opening -----------------------------------------------------------------------------------------------------

    def open(self, envelope, now, draws):
        message = envelope[2:]
        if envelope[1] == FIRST:
            message = message[2 + int.from_bytes(message[:2], "big") :]
        nonce, sealed_header = message[:24], message[24 : 24 + SEALED_HEADER]
        rest, tag, mac = message[24 + SEALED_HEADER : -48], message[-48:-32], message[-32:]
        parts = (nonce, sealed_header, rest, tag, mac)
        candidates = [(self.next_receiving_header, lambda header: self._turn(header, parts, now, draws))]
        if self.receiving:
            candidates.insert(0, (self.receiving.header, lambda header: self._current(header, parts)))
        for header_key, number in self.passed:
            candidates.append((header_key, lambda header, number=number: self._late(number, header, parts)))
        for header_key, opening in candidates:
            header = xaead_open(header_key, nonce, VERSION + self.id, sealed_header)
            if header is not None:
                return opening(self._read(header))
        raise Bad("NotForThisSession")

    @staticmethod
    def _read(header):
        ensure(len(header) == 41 and header[0] in PART_BYTES, "UnknownHeader")
        numbers = [int.from_bytes(header[at : at + 4], "big") for at in (33, 37)]
        return header[0], header[1:33], *numbers

    def _body(self, follows, key, parts):
        nonce, sealed_header, rest, tag, mac = parts
        cipher, mac_key, body_nonce = message_keys(key, nonce)
        ensure(self._mac(mac_key, nonce, sealed_header, rest, tag) == mac, "Forged")
        padded = aead_open(cipher, body_nonce, self.binding, rest[PART_BYTES[follows] :] + tag)
        ensure(padded is not None, "Forged")
        length = int.from_bytes(padded[:2], "big")
        ensure(len(padded) >= 2 + length and not any(padded[2 + length :]), "BadPadding")
        return padded[2 : 2 + length]

    def _late(self, number, header, parts):
        follows, _, _, index = header
        ensure((number, index) in self.skipped, "Duplicate")
        text = self._body(follows, self.skipped[number, index], parts)
        del self.skipped[number, index]
        self.messages += 1
        return text

    def _current(self, header, parts):
        follows, _, _, index = header
        if index < self.receiving.index:
            return self._late(self.receiving.number, header, parts)
        ahead = copy(self.receiving)
        skipped = self._skip(ahead, index)
        text = self._body(follows, ahead.advance(), parts)
        self.receiving = ahead
        self.skipped.update(skipped)
        self.messages += 1
        return text

    @staticmethod
    def _skip(chain, index):
        return {(chain.number, chain.index): chain.advance() for _ in range(chain.index, index)}

    def _turn(self, header, parts, now, draws):
        follows, peer_key, previous, index = header
        step, half = self._open_part(follows, parts)
        share = self._peer_share(follows, step, half)
        unread = self._skip(copy(self.receiving), previous) if self.receiving else {}
        number = self.receiving.number + 1 if self.receiving else 0
        agreed = x25519(self.ratchet_secret, peer_key)
        root, chain, next_receiving, ephemeral = root_step(self.root, agreed, share)
        receiving = Chain(chain, self.next_receiving_header, ephemeral, number)
        skipped = self._skip(receiving, index)
        text = self._body(follows, receiving.advance(), parts)

        if self.receiving:
            self.passed.insert(0, (self.receiving.header, self.receiving.number))
            for _, gone in self.passed[PASSED_CHAINS:]:
                self.skipped = {key: value for key, value in self.skipped.items() if key[0] != gone}
            del self.passed[PASSED_CHAINS:]
        self.skipped.update(unread)
        self.skipped.update(skipped)
        self.receiving = receiving
        self.messages += 1
        if share:
            self.steps, self.last, self.messages = step, now, 0
        self.ratchet_secret = draws.take(32)
        own_share = self._own_turn(follows, half, now, draws)
        agreed = x25519(self.ratchet_secret, peer_key)
        self.root, chain, next_sending, ephemeral = root_step(root, agreed, own_share)
        self.previous = self.sending
        self.sending = Chain(chain, self.next_sending_header, ephemeral)
        self.next_sending_header, self.next_receiving_header = next_sending, next_receiving
        return text

    def _open_part(self, follows, parts):
        if follows == BODY:
            return None, None
        nonce, _, rest, _, _ = parts
        sealed = rest[: PART_BYTES[follows]]
        bound = VERSION + self.id + nonce
        text = xaead_open(self.next_receiving_header, sealed[:24], bound, sealed[24:])
        ensure(text is not None, "Forged")
        return int.from_bytes(text[:4], "big"), text[4:]

    def _peer_share(self, follows, step, half):
        """What the peer's chain mixes into its root step."""
        offering = self.role is not None and self.role[0] == OFFER
        ensure(follows == (ANSWER if offering else follows), "BadKemStep")
        ensure(offering or follows != ANSWER, "BadKemStep")
        ensure(follows == BODY or step == self.steps + 1, "BadKemStep")
        if follows == OFFER:
            ensure(mlkem.is_public(ML_KEM_768, half), "BadKemStep")
        if not offering:
            return None
        seed = self.role[1]
        secret = mlkem.decapsulate(ML_KEM_768, seed, half)
        return secret, exchange(mlkem.public(ML_KEM_768, seed), half)

    def _own_turn(self, follows, half, now, draws):
        """What the own new chain carries, and what it mixes into its root step."""
        self.role = None
        if follows == OFFER:
            secret, ciphertext = mlkem.encapsulate(ML_KEM_768, half, draws.take(32))
            self.steps, self.last, self.messages = self.steps + 1, now, 0
            self.role = (ANSWER, ciphertext)
            return secret, exchange(half, ciphertext)
        due = self.messages >= KEM_INTERVAL_MESSAGES or now - self.last >= KEM_INTERVAL_MS
        if self.steps == 0 or due:
            self.role = (OFFER, draws.take(64))
        return None

    # --- Ephemeral messages -------------------------------------------------------------------------------------------

    def seal_ephemeral(self, text, draws):
        nonce = draws.take(24)
        cipher, mac_key = hkdf(b"", self.receiving.ephemeral, b"Hermes/1 ephemeral keys|", 2)
        padded = (len(text).to_bytes(2, "big") + text).ljust(182, b"\0")
        sealed = xaead_seal(cipher, nonce, self.binding, padded)
        return VERSION + bytes([EPHEMERAL]) + nonce + sealed + self._ephemeral_mac(mac_key, nonce + sealed)

    def open_ephemeral(self, envelope):
        message, mac = envelope[2:-32], envelope[-32:]
        for chain in (self.sending, self.previous):
            if chain is None:
                continue
            cipher, mac_key = hkdf(b"", chain.ephemeral, b"Hermes/1 ephemeral keys|", 2)
            if self._ephemeral_mac(mac_key, message) == mac:
                padded = xaead_open(cipher, message[:24], self.binding, message[24:])
                return padded[2 : 2 + int.from_bytes(padded[:2], "big")]
        raise Bad("NoKey")

    def _ephemeral_mac(self, key, message):
        return hmac(key, b"Hermes/1 ephemeral mac|", VERSION + self.id + self.binding, message)

    # --- The record in which a session rests --------------------------------------------------------------------------

    def record(self):
        record = VERSION + self.id + self.binding + self.root + self.ratchet_secret
        record += x25519(self.ratchet_secret) + self.next_sending_header + self.next_receiving_header
        record += bytes([self.previous is not None])
        if self.previous:
            record += u32(self.previous.index) + self.previous.ephemeral
        record += bytes([self.sending is not None])
        if self.sending:
            record += self.sending.chain + self.sending.header + u32(self.sending.index)
            record += self.sending.ephemeral
        record += bytes([self.receiving is not None])
        if self.receiving:
            chain = self.receiving
            # The last number is the bound of what was given up: nothing here.
            record += u32(chain.number) + chain.chain + chain.header + u32(chain.index) + u32(0)
            record += chain.ephemeral
        record += u32(self.steps) + u64(self.last) + u32(self.messages)
        if self.role is None:
            return record + b"\0"
        return record + bytes([{OFFER: 1, ANSWER: 2}[self.role[0]]]) + self.role[1]

"""What two people compare: sixty digits, and the text of a QR code."""

import base64
import hashlib

from primitives import cbor

ITERATIONS = 5200


def half(fingerprint):
    """Thirty digits of one side, in groups of five."""
    digest = b"Hermes/1 safety number|" + fingerprint
    for _ in range(ITERATIONS):
        digest = hashlib.sha512(digest + fingerprint).digest()
    groups = [int.from_bytes(digest[at : at + 5], "big") % 100_000 for at in range(0, 30, 5)]
    return [f"{group:05}" for group in groups]


def number(one, other):
    return " ".join(group for side in sorted([half(one), half(other)]) for group in side)


def code(one, other):
    text = base64.urlsafe_b64encode(cbor([1, *sorted([one, other])])).rstrip(b"=")
    return "hermes-safety:" + text.decode()

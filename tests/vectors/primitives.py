"""Curves, ciphers, derivations and CBOR, written from their specifications with nothing but the standard library.

Slow, and open to timing: this is for checking vectors, never for secrets.
"""

import hashlib
import hmac as _hmac

# --- Symmetric -------------------------------------------------------------------------------------------------------


def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def hmac(key, *parts):
    """RFC 2104 with SHA-256."""
    return _hmac.new(key, b"".join(parts), hashlib.sha256).digest()


def hkdf(salt, secret, info, blocks):
    """RFC 5869 with SHA-256; a list of 32-byte blocks."""
    key, block, output = hmac(salt, secret), b"", []
    for number in range(1, blocks + 1):
        block = hmac(key, block, info, bytes([number]))
        output.append(block)
    return output


def pbkdf2(password, salt, iterations):
    """RFC 8018, section 5.2, with HMAC-SHA256; 32 bytes."""
    return hashlib.pbkdf2_hmac("sha256", password, salt, iterations, 32)


def _double_round(s):
    for a, b, c, d in (
        (0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15),
        (0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14),
    ):  # fmt: skip
        for x, y, z, turn in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
            s[x] = (s[x] + s[y]) & 0xFFFFFFFF
            word = s[z] ^ s[x]
            s[z] = (word << turn | word >> (32 - turn)) & 0xFFFFFFFF


def _words(data):
    return [int.from_bytes(data[at : at + 4], "little") for at in range(0, len(data), 4)]


def _bytes(words):
    return b"".join(word.to_bytes(4, "little") for word in words)


def _chacha_block(key, tail):
    """The state of RFC 8439, section 2.3, and what it becomes after 20 rounds."""
    start = _words(b"expand 32-byte k" + key + tail)
    state = list(start)
    for _ in range(10):
        _double_round(state)
    return start, state


def hchacha20(key, nonce):
    """draft-irtf-cfrg-xchacha-03, section 2.2."""
    _, state = _chacha_block(key, nonce)
    return _bytes(state[:4] + state[12:])


def chacha20(key, counter, nonce, data):
    output = bytearray()
    for at in range(0, len(data), 64):
        start, state = _chacha_block(key, (counter + at // 64).to_bytes(4, "little") + nonce)
        stream = _bytes([(x + y) & 0xFFFFFFFF for x, y in zip(start, state)])
        output += bytes(x ^ y for x, y in zip(data[at : at + 64], stream))
    return bytes(output)


def poly1305(key, message):
    r = int.from_bytes(key[:16], "little") & 0x0FFFFFFC0FFFFFFC0FFFFFFC0FFFFFFF
    total = 0
    for at in range(0, len(message), 16):
        total = (total + int.from_bytes(message[at : at + 16] + b"\1", "little")) * r % (2**130 - 5)
    return (total + int.from_bytes(key[16:], "little") & (2**128 - 1)).to_bytes(16, "little")


def _aead_tag(key, nonce, associated, ciphertext):
    padded = b"".join(part + bytes(-len(part) % 16) for part in (associated, ciphertext))
    lengths = len(associated).to_bytes(8, "little") + len(ciphertext).to_bytes(8, "little")
    return poly1305(chacha20(key, 0, nonce, bytes(32)), padded + lengths)


def aead_seal(key, nonce, associated, text):
    """RFC 8439, section 2.8: ciphertext and tag."""
    ciphertext = chacha20(key, 1, nonce, text)
    return ciphertext + _aead_tag(key, nonce, associated, ciphertext)


def aead_open(key, nonce, associated, sealed):
    """The text, or None."""
    ciphertext, tag = sealed[:-16], sealed[-16:]
    if len(tag) < 16 or _aead_tag(key, nonce, associated, ciphertext) != tag:
        return None
    return chacha20(key, 1, nonce, ciphertext)


def xaead_seal(key, nonce, associated, text):
    """XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03, section 2.3)."""
    return aead_seal(hchacha20(key, nonce[:16]), bytes(4) + nonce[16:], associated, text)


def xaead_open(key, nonce, associated, sealed):
    return aead_open(hchacha20(key, nonce[:16]), bytes(4) + nonce[16:], associated, sealed)


# --- X25519 (RFC 7748) -----------------------------------------------------------------------------------------------

P25519 = 2**255 - 19


def x25519(scalar, point=(9).to_bytes(32, "little")):
    """The shared secret, or the public key. Refuses a result of zero (section 6.1)."""
    k = int.from_bytes(scalar, "little") & (2**255 - 8) | 2**254
    u = (int.from_bytes(point, "little") & (2**255 - 1)) % P25519
    x2, z2, x3, z3, swap = 1, 0, u, 1, 0
    for bit in range(254, -1, -1):
        now = k >> bit & 1
        if swap ^ now:
            x2, x3, z2, z3 = x3, x2, z3, z2
        swap = now
        a, b, c, d = x2 + z2, x2 - z2, x3 + z3, x3 - z3
        aa, bb, da, cb = a * a % P25519, b * b % P25519, d * a % P25519, c * b % P25519
        e = aa - bb
        x3, z3 = (da + cb) ** 2 % P25519, u * (da - cb) ** 2 % P25519
        x2, z2 = aa * bb % P25519, e * (aa + 121665 * e) % P25519
    if swap:
        x2, z2 = x3, z3
    shared = x2 * pow(z2, P25519 - 2, P25519) % P25519
    if shared == 0:
        raise ValueError("a point of small order")
    return shared.to_bytes(32, "little")


# --- Ed25519 (RFC 8032, section 5.1) ---------------------------------------------------------------------------------

_L = 2**252 + 27742317777372353535851937790883648493
_D = -121665 * pow(121666, -1, P25519) % P25519


def _recover_x(y, odd):
    square = (y * y - 1) * pow(_D * y * y + 1, -1, P25519) % P25519
    x = pow(square, (P25519 + 3) // 8, P25519)
    if (x * x - square) % P25519:
        x = x * pow(2, (P25519 - 1) // 4, P25519) % P25519
    if (x * x - square) % P25519 or (x == 0 and odd):
        return None
    return x if x & 1 == odd else P25519 - x


def _add(p, q):
    """Extended coordinates (X, Y, Z, T)."""
    a, b = (p[1] - p[0]) * (q[1] - q[0]) % P25519, (p[1] + p[0]) * (q[1] + q[0]) % P25519
    c, d = 2 * p[3] * q[3] * _D % P25519, 2 * p[2] * q[2] % P25519
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P25519, g * h % P25519, f * g % P25519, e * h % P25519


def _multiply(scalar, point):
    result = (0, 1, 1, 0)
    while scalar:
        if scalar & 1:
            result = _add(result, point)
        point, scalar = _add(point, point), scalar >> 1
    return result


def _compress(point):
    inverse = pow(point[2], -1, P25519)
    x, y = point[0] * inverse % P25519, point[1] * inverse % P25519
    return (y | (x & 1) << 255).to_bytes(32, "little")


def _decompress(data):
    y, odd = int.from_bytes(data, "little") & (2**255 - 1), data[31] >> 7
    x = _recover_x(y, odd) if y < P25519 else None
    return None if x is None else (x, y, 1, x * y % P25519)


_BASE_Y = 4 * pow(5, -1, P25519) % P25519
_BASE_X = _recover_x(_BASE_Y, 0)
_BASE = (_BASE_X, _BASE_Y, 1, _BASE_X * _BASE_Y % P25519)


def _challenge(*parts):
    return int.from_bytes(hashlib.sha512(b"".join(parts)).digest(), "little") % _L


def ed25519_public(seed):
    scalar = int.from_bytes(hashlib.sha512(seed).digest()[:32], "little") & (2**254 - 8) | 2**254
    return _compress(_multiply(scalar, _BASE))


def ed25519_sign(seed, message):
    digest = hashlib.sha512(seed).digest()
    scalar = int.from_bytes(digest[:32], "little") & (2**254 - 8) | 2**254
    public, nonce = ed25519_public(seed), _challenge(digest[32:], message)
    commitment = _compress(_multiply(nonce, _BASE))
    answer = (nonce + _challenge(commitment, public, message) * scalar) % _L
    return commitment + answer.to_bytes(32, "little")


def ed25519_verify(public, message, signature):
    """Strict: cofactorless, canonical answer, no key or commitment of small order."""
    key, commitment = _decompress(public), _decompress(signature[:32])
    answer = int.from_bytes(signature[32:], "little")
    if key is None or commitment is None or answer >= _L:
        return False
    neutral = _compress((0, 1, 1, 0))
    if neutral in (_compress(_multiply(8, key)), _compress(_multiply(8, commitment))):
        return False
    right = _add(commitment, _multiply(_challenge(signature[:32], public, message), key))
    return _compress(_multiply(answer, _BASE)) == _compress(right)


# --- ffdhe2048 (RFC 7919, appendix A.1) ------------------------------------------------------------------------------


def _ffdhe_prime():
    """p = 2^2048 - 2^1984 + (floor(2^1918 e) + 560316) 2^64 - 1."""
    term, e, k = 1 << 2100, 0, 0
    while term:
        e, k = e + term, k + 1
        term //= k
    return 2**2048 - 2**1984 + ((e >> (2100 - 1918)) + 560316) * 2**64 - 1


FFDHE_PRIME = _ffdhe_prime()


def is_element(element):
    """Whether it is in the subgroup of prime order, and not 1."""
    value = int.from_bytes(element, "big")
    return 1 < value < FFDHE_PRIME - 1 and pow(value, FFDHE_PRIME >> 1, FFDHE_PRIME) == 1


def ffdh(exponent, element=b"\2"):
    """The shared element, or the public one."""
    if not is_element(element):
        raise ValueError("not an element of the group")
    value = pow(int.from_bytes(element, "big"), int.from_bytes(exponent, "big"), FFDHE_PRIME)
    return value.to_bytes(256, "big")


# --- CBOR (RFC 8949, section 4.2) ------------------------------------------------------------------------------------


def _cbor_head(major, value):
    if value < 24:
        return bytes([major << 5 | value])
    size = next(size for size in range(4) if value < 1 << (8 << size))
    return bytes([major << 5 | 24 + size]) + value.to_bytes(1 << size, "big")


def cbor(value):
    """Unsigned integers, byte strings, text, arrays and null, each in its one encoding."""
    if value is None:
        return b"\xf6"
    if isinstance(value, int):
        return _cbor_head(0, value)
    if isinstance(value, bytes):
        return _cbor_head(2, len(value)) + value
    if isinstance(value, str):
        return _cbor_head(3, len(value.encode())) + value.encode()
    return _cbor_head(4, len(value)) + b"".join(map(cbor, value))


def cbor_decode(data):
    """One value that fills the data, in its one encoding."""
    value, rest = _cbor_item(data)
    if rest or cbor(value) != data:
        raise ValueError("not canonical")
    return value


def _cbor_item(data):
    major, small = data[0] >> 5, data[0] & 31
    size = 1 << small - 24 if 24 <= small < 28 else 0
    length = int.from_bytes(data[1 : 1 + size], "big") if size else small
    data = data[1 + size :]
    if major == 0:
        return length, data
    if major in (2, 3):
        text = data[:length]
        return (text if major == 2 else text.decode()), data[length:]
    if major == 4:
        items = []
        for _ in range(length):
            item, data = _cbor_item(data)
            items.append(item)
        return items, data
    if (major, small) == (7, 22):
        return None, data
    raise ValueError("not a value of this protocol")

"""ML-KEM from FIPS 203, sections 4 to 7; names and numbers of algorithms are those of the standard."""

from hashlib import sha3_256, sha3_512, shake_128, shake_256

Q = 3329
_ZETAS = [pow(17, int(f"{i:07b}"[::-1], 2), Q) for i in range(128)]
_GAMMAS = [pow(17, 2 * int(f"{i:07b}"[::-1], 2) + 1, Q) for i in range(128)]


class ParameterSet:
    """Section 8. `eta2` is 2 in both."""

    def __init__(self, k, du, dv, eta1=2):
        self.k, self.du, self.dv, self.eta1 = k, du, dv, eta1
        self.public_bytes = 384 * k + 32
        self.ciphertext_bytes = 32 * (du * k + dv)


ML_KEM_768 = ParameterSet(3, 10, 4)
ML_KEM_1024 = ParameterSet(4, 11, 5)


def _byte_encode(d, f):  # algorithm 5
    return sum(x << d * i for i, x in enumerate(f)).to_bytes(32 * d, "little")


def _byte_decode(d, data):  # algorithm 6
    number, modulus = int.from_bytes(data, "little"), Q if d == 12 else 1 << d
    return [(number >> d * i & (1 << d) - 1) % modulus for i in range(256)]


def _compress(d, f):
    return [((x << d) + Q // 2) // Q % (1 << d) for x in f]


def _decompress(d, f):
    return [(x * Q + (1 << d - 1)) >> d for x in f]


def _sample_ntt(seed):  # algorithm 7
    stream, f = shake_128(seed).digest(1344), []
    for at in range(0, len(stream), 3):
        a, b, c = stream[at : at + 3]
        f += [d for d in (a | (b & 15) << 8, b >> 4 | c << 4) if d < Q]
    assert len(f) >= 256, "1344 bytes are enough with overwhelming probability"
    return f[:256]


def _sample_cbd(eta, data):  # algorithm 8
    bits = int.from_bytes(data, "little")
    half = [(bits >> eta * i & (1 << eta) - 1).bit_count() for i in range(512)]
    return [(half[2 * i] - half[2 * i + 1]) % Q for i in range(256)]


def _prf(eta, seed, number):
    return _sample_cbd(eta, shake_256(seed + bytes([number])).digest(64 * eta))


def _ntt(f):  # algorithm 9
    f, i, length = list(f), 1, 128
    while length >= 2:
        for start in range(0, 256, 2 * length):
            for j in range(start, start + length):
                t = _ZETAS[i] * f[j + length]
                f[j], f[j + length] = (f[j] + t) % Q, (f[j] - t) % Q
            i += 1
        length //= 2
    return f


def _inverse_ntt(f):  # algorithm 10
    f, i, length = list(f), 127, 2
    while length <= 128:
        for start in range(0, 256, 2 * length):
            for j in range(start, start + length):
                f[j], f[j + length] = (f[j] + f[j + length]) % Q, _ZETAS[i] * (f[j + length] - f[j]) % Q
            i -= 1
        length *= 2
    return [x * 3303 % Q for x in f]


def _multiply_ntts(f, g):  # algorithms 11 and 12
    h = []
    for i, gamma in enumerate(_GAMMAS):
        (a0, a1), (b0, b1) = f[2 * i : 2 * i + 2], g[2 * i : 2 * i + 2]
        h += [(a0 * b0 + a1 * b1 * gamma) % Q, (a0 * b1 + a1 * b0) % Q]
    return h


def _sum(*polynomials):
    return [sum(column) % Q for column in zip(*polynomials)]


def _dot(row, vector):
    return _sum(*map(_multiply_ntts, row, vector))


def _matrix(p, rho):
    return [[_sample_ntt(rho + bytes([j, i])) for j in range(p.k)] for i in range(p.k)]


def _encrypt(p, public, message, randomness):  # algorithm 14
    t = [_byte_decode(12, public[384 * i : 384 * (i + 1)]) for i in range(p.k)]
    a = _matrix(p, public[384 * p.k :])
    y = [_ntt(_prf(p.eta1, randomness, i)) for i in range(p.k)]
    e1 = [_prf(2, randomness, p.k + i) for i in range(p.k)]
    e2 = _prf(2, randomness, 2 * p.k)
    u = [_sum(_inverse_ntt(_dot([a[j][i] for j in range(p.k)], y)), e1[i]) for i in range(p.k)]
    v = _sum(_inverse_ntt(_dot(t, y)), e2, _decompress(1, _byte_decode(1, message)))
    c1 = b"".join(_byte_encode(p.du, _compress(p.du, f)) for f in u)
    return c1 + _byte_encode(p.dv, _compress(p.dv, v))


def _decrypt(p, s, ciphertext):  # algorithm 15
    size = 32 * p.du
    u = [_decompress(p.du, _byte_decode(p.du, ciphertext[size * i : size * (i + 1)])) for i in range(p.k)]
    v = _decompress(p.dv, _byte_decode(p.dv, ciphertext[size * p.k :]))
    w = _sum(v, [-x for x in _inverse_ntt(_dot(s, [_ntt(f) for f in u]))])
    return _byte_encode(1, _compress(1, w))


def _expand(p, seed):  # algorithm 13, from d of the seed d || z
    expanded = sha3_512(seed[:32] + bytes([p.k])).digest()
    rho, sigma = expanded[:32], expanded[32:]
    s = [_ntt(_prf(p.eta1, sigma, i)) for i in range(p.k)]
    e = [_ntt(_prf(p.eta1, sigma, p.k + i)) for i in range(p.k)]
    t = [_sum(_dot(row, s), e[i]) for i, row in enumerate(_matrix(p, rho))]
    return s, b"".join(_byte_encode(12, f) for f in t) + rho


def public(p, seed):
    """The encapsulation key of the 64-byte seed d || z (algorithm 16)."""
    return _expand(p, seed)[1]


def is_public(p, key):
    """The modulus check of section 7.2."""
    parts = [key[384 * i : 384 * (i + 1)] for i in range(p.k)]
    return len(key) == p.public_bytes and all(_byte_encode(12, _byte_decode(12, x)) == x for x in parts)


def encapsulate(p, key, message):
    """Shared secret and ciphertext (algorithm 17)."""
    g = sha3_512(message + sha3_256(key).digest()).digest()
    return g[:32], _encrypt(p, key, message, g[32:])


def decapsulate(p, seed, ciphertext):
    """Algorithm 18, with its implicit rejection."""
    s, key = _expand(p, seed)
    message = _decrypt(p, s, ciphertext)
    shared, again = encapsulate(p, key, message)
    return shared if again == ciphertext else shake_256(seed[32:] + ciphertext).digest(32)

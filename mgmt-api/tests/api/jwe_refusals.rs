//! Encrypted bodies over HTTP: what is taken, what is refused, and with which code.

use aws_lc_rs::aead::{self, AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::rand;
use aws_lc_rs::rsa::{
    OAEP_SHA1_MGF1SHA1, OAEP_SHA256_MGF1SHA256, OaepAlgorithm, OaepPublicEncryptingKey,
    PublicEncryptingKey,
};
use axum::http::StatusCode;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use josekit::jwe::alg::rsaes::RsaesJweAlgorithm;
use josekit::jwe::{JweContext, JweHeader};
use josekit::jwk::alg::rsa::RsaKeyPair;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::world::{World, caller_key, decrypted, on_each, public_key, send, text};

async fn our_key(world: &World) -> Vec<u8> {
    let got = send(world.nobody.get(world.secure_url("/secure/public_key"))).await;
    STANDARD.decode(text(&got.expect(StatusCode::OK), "publicKey")).unwrap()
}

fn token(key: &[u8], algorithm: RsaesJweAlgorithm, header: &Value, plain: &Value) -> String {
    let mut claims = JweHeader::new();
    for (name, value) in header.as_object().unwrap() {
        claims.set_claim(name, Some(value.clone())).unwrap();
    }
    let encrypter = algorithm.encrypter_from_pem(key).unwrap();
    let plain = serde_json::to_vec(plain).unwrap();
    JweContext::new().serialize_compact(&plain, &claims, &encrypter).unwrap()
}

/// A token sealed under `header` as it stands, so that only the header can be why it is refused.
fn sealed(key: &[u8], padding: &'static OaepAlgorithm, header: &str, plain: &Value) -> String {
    let (_rest, pem) = x509_parser::pem::parse_x509_pem(key).unwrap();
    let key = PublicEncryptingKey::from_der(&pem.contents).unwrap();
    let key = OaepPublicEncryptingKey::new(key).unwrap();
    let (mut content_key, mut vector) = ([0_u8; 32], [0_u8; aead::NONCE_LEN]);
    rand::fill(&mut content_key).unwrap();
    rand::fill(&mut vector).unwrap();
    let mut wrapped = vec![0_u8; key.ciphertext_size()];
    let wrapped = key.encrypt(padding, &content_key, &mut wrapped, None).unwrap();

    let header = URL_SAFE_NO_PAD.encode(header);
    let mut text = serde_json::to_vec(plain).unwrap();
    let content_key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &content_key).unwrap());
    let nonce = Nonce::assume_unique_for_key(vector);
    let aad = Aad::from(header.as_bytes());
    let tag = content_key.seal_in_place_separate_tag(nonce, aad, &mut text).unwrap();
    let parts: [&[u8]; 4] = [wrapped, &vector, &text, tag.as_ref()];
    format!("{header}.{}", parts.map(|part| URL_SAFE_NO_PAD.encode(part)).join("."))
}

struct Ready {
    path: String,
    plain: Value,
}

impl Ready {
    async fn new(world: &World) -> Self {
        let customer = world.customer().await;
        let balance = world.balance(&customer, "EUR").await;
        Self {
            path: format!("/secure/customers/{customer}/cards/virtual"),
            plain: json!({ "balanceId": balance, "configId": "0019167984" }),
        }
    }

    fn with_payload(&self, world: &World, body: &Value) -> RequestBuilder {
        world
            .secure(Method::POST, &self.path)
            .header("Encrypted-Request", "true")
            .header("Public-Key", public_key())
            .json(body)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_encrypted_request_gets_an_encrypted_answer() {
    on_each(async |world| {
        let (key, ready) = (our_key(world).await, Ready::new(world).await);
        for algorithm in [RsaesJweAlgorithm::RsaOaep256, RsaesJweAlgorithm::RsaOaep] {
            let token = token(&key, algorithm, &json!({ "enc": "A256GCM" }), &ready.plain);
            let got = send(ready.with_payload(world, &json!({ "payload": token }))).await;
            let card = decrypted(&got.expect(StatusCode::CREATED));
            assert_eq!(text(&card, "pan").len(), 16);
        }
        // As the seed prints it, unless the caller asks for the other one.
        let request = ready.with_payload(world, &json!({ "payload": token(&key, RsaesJweAlgorithm::RsaOaep256, &json!({ "enc": "A256GCM" }), &ready.plain) }));
        let got = send(request.header("Encryption-Algorithm", "RSA-OAEP")).await;
        let payload = text(&got.expect(StatusCode::CREATED), "payload");
        let header = payload.split('.').next().unwrap();
        let header: Value =
            serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).unwrap()).unwrap();
        assert_eq!(header, json!({ "alg": "RSA-OAEP", "enc": "A256GCM" }));
        let own = caller_key().to_pem_private_key();
        let own = RsaesJweAlgorithm::RsaOaep.decrypter_from_pem(own).unwrap();
        let (plain, _header) = josekit::jwe::deserialize_compact(&payload, &own).unwrap();
        let card: Value = serde_json::from_slice(&plain).unwrap();
        assert_eq!(text(&card, "pan").len(), 16);
        let request = ready.with_payload(world, &json!({ "payload": token(&key, RsaesJweAlgorithm::RsaOaep256, &json!({ "enc": "A256GCM" }), &ready.plain) }));
        let got = send(request.header("Encryption-Algorithm", "RSA1_5")).await;
        got.expect_error(400, "INVALID_REQUEST");
        // Asked for again in the other one it is another request.
        let again = async |algorithm: &str| {
            let header = json!({ "enc": "A256GCM" });
            let token = token(&key, RsaesJweAlgorithm::RsaOaep256, &header, &ready.plain);
            let request = ready.with_payload(world, &json!({ "payload": token }));
            let request = request.header("Encryption-Algorithm", algorithm);
            send(request.header("Idempotency-Key", "once")).await
        };
        again("RSA-OAEP-256").await.expect(StatusCode::CREATED);
        again("RSA-OAEP").await.expect_error(422, "IDEMPOTENCY_KEY_REUSED");
    })
    .await;
}

/// A good token, to be made bad in one place.
struct Good<'a> {
    key: &'a [u8],
    plain: &'a Value,
    token: String,
}

impl<'a> Good<'a> {
    fn new(key: &'a [u8], plain: &'a Value) -> Self {
        let header = json!({ "enc": "A256GCM" });
        let token = token(key, RsaesJweAlgorithm::RsaOaep256, &header, plain);
        Self { key, plain, token }
    }

    fn made(&self, header: Value) -> String {
        token(self.key, RsaesJweAlgorithm::RsaOaep256, &header, self.plain)
    }

    /// Under another header, with the padding of RSA-OAEP-256.
    fn raw_header(&self, text: &str) -> String {
        sealed(self.key, &OAEP_SHA256_MGF1SHA256, text, self.plain)
    }

    /// Under another header, with the padding of RSA-OAEP.
    fn raw_header_sha1(&self, text: &str) -> String {
        sealed(self.key, &OAEP_SHA1_MGF1SHA1, text, self.plain)
    }

    /// With one more member in the header.
    fn named(&self, name: &str, value: Value) -> String {
        let mut header = json!({ "alg": "RSA-OAEP-256", "enc": "A256GCM" });
        header[name] = value;
        self.raw_header(&header.to_string())
    }

    fn bytes(&self, part: usize) -> Vec<u8> {
        URL_SAFE_NO_PAD.decode(self.token.split('.').nth(part).unwrap()).unwrap()
    }

    fn with_part(&self, part: usize, bytes: &[u8]) -> String {
        let mut parts: Vec<String> = self.token.split('.').map(str::to_owned).collect();
        parts[part] = URL_SAFE_NO_PAD.encode(bytes);
        parts.join(".")
    }

    fn cut(&self, part: usize, keep: usize) -> String {
        self.with_part(part, &self.bytes(part)[..keep])
    }

    fn grown(&self, part: usize) -> String {
        self.with_part(part, &[self.bytes(part), vec![0]].concat())
    }

    fn flipped(&self, part: usize, place: usize) -> String {
        let mut bytes = self.bytes(part);
        bytes[place] ^= 1;
        self.with_part(part, &bytes)
    }

    /// What is taken: without it the refusals of [`Self::bad_headers`] would show nothing.
    fn good_headers(&self) -> Vec<(&'static str, String)> {
        vec![
            ("plain", self.raw_header(r#"{"alg":"RSA-OAEP-256","enc":"A256GCM"}"#)),
            ("SHA-1", self.raw_header_sha1(r#"{"alg":"RSA-OAEP","enc":"A256GCM"}"#)),
            ("in another order", self.raw_header(r#"{"enc":"A256GCM", "alg":"RSA-OAEP-256"}"#)),
        ]
    }

    fn bad_headers(&self) -> Vec<(&'static str, String)> {
        let encs = ["A128GCM", "A192GCM", "A128CBC-HS256", "A256CBC-HS512"];
        let algs =
            ["RSA1_5", "none", "dir", "A256KW", "ECDH-ES", "PBES2-HS256+A128KW", "RSA-OAEP-512"];
        let encs = encs.map(|enc| (enc, self.made(json!({ "enc": enc }))));
        let algs = algs.map(|alg| {
            (alg, self.raw_header(&json!({ "alg": alg, "enc": "A256GCM" }).to_string()))
        });
        let twice = r#"{"alg":"RSA-OAEP","alg":"RSA-OAEP-256","enc":"A256GCM"}"#;
        let others = vec![
            ("zip", self.made(json!({ "enc": "A256GCM", "zip": "DEF" }))),
            ("kid", self.made(json!({ "enc": "A256GCM", "kid": "other" }))),
            ("crit", self.named("crit", json!(["x"]))),
            ("crit, empty", self.named("crit", json!([]))),
            ("jwk", self.named("jwk", json!({ "kty": "RSA" }))),
            ("jku", self.named("jku", json!("https://example.com"))),
            ("x5u", self.named("x5u", json!("https://example.com"))),
            ("x5c", self.named("x5c", json!(["AAAA"]))),
            ("epk", self.named("epk", json!({ "kty": "EC" }))),
            ("p2c", self.named("p2c", json!(1_000_000_000))),
            ("cty", self.named("cty", json!("JWT"))),
            ("b64", self.named("b64", json!(false))),
            ("alg twice", self.raw_header(twice)),
            ("a list", self.raw_header("[]")),
            ("a text", self.raw_header("\"RSA-OAEP-256\"")),
            ("more behind", self.raw_header(r#"{"alg":"RSA-OAEP-256","enc":"A256GCM"} x"#)),
            ("not JSON", self.raw_header("{")),
            ("empty", self.raw_header("")),
            ("no enc", self.raw_header(r#"{"alg":"RSA-OAEP-256"}"#)),
            ("no alg", self.raw_header(r#"{"enc":"A256GCM"}"#)),
            ("SHA-256 padding", self.raw_header(r#"{"alg":"RSA-OAEP","enc":"A256GCM"}"#)),
            ("SHA-1 padding", self.raw_header_sha1(r#"{"alg":"RSA-OAEP-256","enc":"A256GCM"}"#)),
        ];
        [encs.to_vec(), algs.to_vec(), others].concat()
    }

    fn bad_parts(&self) -> Vec<(&'static str, String)> {
        let good = &self.token;
        vec![
            ("tag of no byte", self.cut(4, 0)),
            ("tag of one byte", self.cut(4, 1)),
            ("tag of 15 bytes", self.cut(4, 15)),
            ("tag of 17 bytes", self.grown(4)),
            ("tag changed", self.flipped(4, 15)),
            ("vector of 11 bytes", self.cut(2, 11)),
            ("vector of 13 bytes", self.grown(2)),
            ("vector changed", self.flipped(2, 0)),
            ("key short", self.cut(1, 255)),
            ("key long", self.grown(1)),
            ("key changed", self.flipped(1, 100)),
            ("key of zeros", self.with_part(1, &[0; 256])),
            ("ciphertext changed", self.flipped(3, 0)),
            ("ciphertext cut", self.cut(3, 3)),
            ("ciphertext longer", self.grown(3)),
            ("truncated", good[..good.len() / 2].to_owned()),
            ("four parts", good.rsplit_once('.').unwrap().0.to_owned()),
            ("six parts", format!("{good}.AAAA")),
            ("padded", format!("{good}=")),
            ("a blank behind", format!("{good} ")),
            ("a signature", "eyJhbGciOiJub25lIn0.e30.".to_owned()),
            ("longer than any", "A".repeat(60_000)),
            ("dots", "....".to_owned()),
            ("nothing", String::new()),
        ]
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_read_is_encrypted_where_it_is_asked_for() {
    on_each(async |world| {
        let customer = world.customer().await;
        let balance = world.balance(&customer, "EUR").await;
        let at = |rest: &str| format!("/secure/customers/{customer}/{rest}");
        let asked = async |path: &str, header: &str| {
            let request = world.secure(Method::GET, path).header("Public-Key", public_key());
            send(request.header(header, "true")).await
        };
        for rest in [format!("balances/{balance}"), "balances".to_owned(), "cards".to_owned()] {
            let path = at(&rest);
            let plain = world.get(&path).await.expect(StatusCode::OK);
            for header in ["Encrypted-Request", "Encrypted-Response", "Encrypt-Response"] {
                let sealed = asked(&path, header).await.expect(StatusCode::OK);
                assert_eq!(sealed.as_object().unwrap().len(), 1, "{rest}: {sealed}");
                assert_eq!(decrypted(&sealed), plain, "{rest}");
            }
        }
        let got = asked(&at("cards/1"), "Encrypted-Response").await;
        got.expect_error(404, "CARD_NOT_FOUND");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engineer_tries_encryption_in_the_sandbox() {
    on_each(async |world| {
        let path = "/sandbox/encryption";
        let sample = world.get(path).await.expect(StatusCode::OK);
        let key = text(&sample, "privateKey");
        let decrypter = RsaesJweAlgorithm::RsaOaep256.decrypter_from_pem(key).unwrap();
        let payload = text(&sample, "payload");
        let (plain, _) = josekit::jwe::deserialize_compact(&payload, &decrypter).unwrap();
        assert_eq!(serde_json::from_slice::<Value>(&plain).unwrap(), sample["plain"]);
        let again = world.get(path).await.expect(StatusCode::OK);
        assert_eq!(again["privateKey"], sample["privateKey"]);

        let asked = json!({ "card_no": 1337 });
        assert_eq!(world.post(path, &asked).await.expect(StatusCode::OK)["card_no"], 1338);
        let header = json!({ "enc": "A256GCM" });
        let sealed = token(&our_key(world).await, RsaesJweAlgorithm::RsaOaep, &header, &asked);
        let request = world.secure(Method::POST, path).header("Encrypted-Request", "true");
        let request = request.header("Public-Key", public_key());
        let got = send(request.json(&json!({ "payload": sealed }))).await;
        assert_eq!(decrypted(&got.expect(StatusCode::OK)), json!({ "card_no": 1338 }));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_that_the_wrapper_must_refuse_are_refused_alike() {
    on_each(async |world| {
        let (key, ready) = (our_key(world).await, Ready::new(world).await);
        let rsa = RsaesJweAlgorithm::RsaOaep256;
        let good = Good::new(&key, &ready.plain);
        let other = caller_key().to_pem_public_key();
        // 20 MB of one letter shrink to a token that a body may carry.
        let zip = json!({ "enc": "A256GCM", "zip": "DEF" });
        let bomb = token(&key, rsa, &zip, &json!("0".repeat(20_000_000)));
        assert!(bomb.len() < 40_000, "{}", bomb.len());
        let others =
            vec![("other key", Good::new(&other, &ready.plain).token), ("compression bomb", bomb)];
        let tokens = [good.bad_headers(), good.bad_parts(), others].concat();
        assert!(tokens.len() >= 40, "{}", tokens.len());
        for (name, token) in good.good_headers() {
            let got = send(ready.with_payload(world, &json!({ "payload": token }))).await;
            assert_eq!(got.status, 201, "{name}: {}", got.json());
        }
        let mut bodies = Vec::new();
        for (name, token) in tokens {
            let got = send(ready.with_payload(world, &json!({ "payload": token }))).await;
            assert_eq!(got.title(), "CANT_DECRYPT_PAYLOAD", "{name}");
            got.expect_error(400, "CANT_DECRYPT_PAYLOAD");
            bodies.push(text(&got.json(), "detail"));
        }
        bodies.dedup();
        assert_eq!(bodies.len(), 1, "one text for every failure");

        for body in [json!({ "pay": "x" }), json!([]), ready.plain.clone(), json!({ "payload": 1 })]
        {
            send(ready.with_payload(world, &body)).await.expect_error(400, "INVALID_PAYLOAD");
        }
        for plain in [json!("x"), json!({ "balanceId": 1 })] {
            let token = token(&key, rsa, &json!({ "enc": "A256GCM" }), &plain);
            let got = send(ready.with_payload(world, &json!({ "payload": token }))).await;
            got.expect_error(400, "INVALID_PAYLOAD");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn card_data_leaves_encrypted_to_the_registered_key_only() {
    on_each(async |world| {
        let ready = Ready::new(world).await;
        let request = || world.secure(Method::POST, &ready.path).json(&ready.plain);
        send(request()).await.expect_error(400, "ENCRYPTION_REQUIRED");
        let only_key = request().header("Public-Key", public_key());
        send(only_key).await.expect_error(400, "ENCRYPTION_REQUIRED");
        let off = request().header("Encrypted-Response", "false");
        send(off).await.expect_error(400, "ENCRYPTION_REQUIRED");
        let wanted = || request().header("Encrypt-Response", "true");
        send(wanted()).await.expect_error(400, "INVALID_PUBLIC_KEY");
        for bad in ["", "x", "aGVsbG8="] {
            let got = send(wanted().header("Public-Key", bad)).await;
            got.expect_error(400, "INVALID_PUBLIC_KEY");
        }
        let maybe = request().header("Encrypted-Response", "maybe");
        send(maybe).await.expect_error(400, "INVALID_REQUEST");

        let first = send(wanted().header("Public-Key", public_key())).await;
        first.expect(StatusCode::CREATED);
        let other = RsaesJweAlgorithm::RsaOaep.generate_key_pair(2048).unwrap();
        let other = STANDARD.encode(other.to_pem_public_key());
        let got = send(wanted().header("Public-Key", &other)).await;
        got.expect_error(400, "INVALID_PUBLIC_KEY");
        // The same key in another form is the same key.
        let (_rest, pem) = x509_parser::pem::parse_x509_pem(&caller_key().to_pem_public_key())
            .map(|(rest, pem)| (rest.len(), pem))
            .unwrap();
        let der = send(wanted().header("Public-Key", STANDARD.encode(pem.contents))).await;
        der.expect(StatusCode::CREATED);
    })
    .await;
}

/// A DER element of 256 bytes or more.
fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).unwrap().to_be_bytes();
    [&[tag, 0x82][..], &length[..], content].concat()
}

/// A public key of so many bits, a multiple of eight, as PKCS#1; nobody has its private one.
fn nobodys_key(bits: usize) -> Vec<u8> {
    let modulus = element(0x02, &[vec![0_u8], vec![0xab; bits / 8]].concat());
    element(0x30, &[modulus, vec![0x02, 3, 1, 0, 1]].concat())
}

/// Requirement #52.
#[tokio::test(flavor = "multi_thread")]
async fn a_callers_key_comes_in_four_forms_and_has_2048_to_4096_bits() {
    on_each(async |world| {
        let customer = world.customer_with_pin().await;
        let listed = async |session: &str, key: &[u8]| {
            let request = world.nobody.get(world.public_url("/customers/me/balances"));
            let request = request.bearer_auth(session).header("Encrypted-Response", "true");
            send(request.header("Public-Key", STANDARD.encode(key))).await
        };
        let session = world.customer_session(&customer).await;
        let small = RsaKeyPair::generate(1_024).unwrap().to_pem_public_key();
        for key in [small, nobodys_key(2_040), nobodys_key(4_104), nobodys_key(8_192)] {
            listed(&session, &key).await.expect_error(400, "INVALID_PUBLIC_KEY");
        }
        // None of these was registered, and in each form it is the same key.
        let own = caller_key();
        for form in [
            own.to_pem_public_key(),
            own.to_der_public_key(),
            own.to_traditional_pem_public_key(),
            own.to_raw_public_key(),
        ] {
            let sealed = listed(&session, &form).await.expect(StatusCode::OK);
            assert_eq!(decrypted(&sealed)["items"], json!([]));
        }
        for bits in [3_072, 4_096] {
            let session = world.customer_session(&customer).await;
            let sealed = listed(&session, &nobodys_key(bits)).await.expect(StatusCode::OK);
            assert_eq!(text(&sealed, "payload").split('.').count(), 5, "{bits}");
        }
    })
    .await;
}

/// Requirement #55.
#[tokio::test(flavor = "multi_thread")]
async fn an_empty_post_has_the_headers_and_no_payload() {
    on_each(async |world| {
        let customer = world.customer_with_pin().await;
        let balance = world.balance(&customer, "EUR").await;
        let card = text(&world.card(&customer, &balance, "0019167984").await, "id");
        let session = world.customer_session(&customer).await;
        let own = |what: &str| {
            let url = world.public_url(&format!("/customers/me/cards/{card}/{what}"));
            world.nobody.post(url).bearer_auth(&session)
        };
        let with_key = |request: RequestBuilder| {
            request.header("Encrypted-Request", "true").header("Public-Key", public_key())
        };
        send(own("cvv/reset")).await.expect_error(400, "ENCRYPTION_REQUIRED");
        let without_key = own("cvv/reset").header("Encrypted-Request", "true");
        send(without_key).await.expect_error(400, "INVALID_PUBLIC_KEY");
        let with_payload = with_key(own("cvv/reset")).json(&json!({ "payload": "e30" }));
        send(with_payload).await.expect_error(400, "INVALID_REQUEST");
        let reset = send(with_key(own("cvv/reset"))).await.expect(StatusCode::OK);
        assert_eq!(text(&decrypted(&reset), "cvc2").len(), 3);
        // A body that may be left out, and an answer that has none.
        let activated = send(with_key(own("activate"))).await;
        assert_eq!((activated.status, activated.bytes.len()), (204, 0));
        let at = format!("/secure/customers/{customer}");
        let replace = world.secure(Method::POST, &format!("{at}/cards/{card}/replace"));
        let replaced = send(with_key(replace)).await.expect(StatusCode::CREATED);
        assert_ne!(text(&decrypted(&replaced), "id"), card);

        // Where a body is needed, an empty one is none.
        let open = || world.secure(Method::POST, &format!("{at}/balances"));
        send(open()).await.expect_error(415, "UNSUPPORTED_MEDIA_TYPE");
        let open_json = || open().header("Content-Type", "application/json");
        send(open_json()).await.expect_error(400, "INVALID_REQUEST");
        send(with_key(open_json())).await.expect_error(400, "INVALID_PAYLOAD");
        let listed = world.get(&format!("{at}/balances")).await.json();
        assert_eq!(listed["items"].as_array().unwrap().len(), 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn our_public_key_is_at_every_printed_address() {
    on_each(async |world| {
        let secure = send(world.nobody.get(world.secure_url("/secure/public_key"))).await;
        let secure = secure.expect(StatusCode::OK);
        let pem = String::from_utf8(STANDARD.decode(text(&secure, "publicKey")).unwrap()).unwrap();
        assert!(pem.starts_with("-----BEGIN PUBLIC KEY-----\n"), "{pem}");
        for path in ["/customers/public_key", "/admin/public_key", "/lifecycle/v1/public-key"] {
            assert_eq!(world.get_public(path).await.expect(StatusCode::OK), secure, "{path}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_before_still_opens_until_it_is_taken_away() {
    on_each(async |world| {
        let (old, ready) = (our_key(world).await, Ready::new(world).await);
        let sealed_to = |key: &[u8]| {
            let header = json!({ "enc": "A256GCM" });
            json!({ "payload": token(key, RsaesJweAlgorithm::RsaOaep256, &header, &ready.plain) })
        };
        let sent = async |world: &World, key: &[u8]| {
            send(ready.with_payload(world, &sealed_to(key))).await
        };
        world.stop_server().await;
        let pair = RsaesJweAlgorithm::RsaOaep256.generate_key_pair(2048).unwrap();
        let file = world.path("pki/jwe-new.key");
        mgmt_api::secret_file::create(&file, &pair.to_pem_private_key()).unwrap();
        let before = std::mem::replace(&mut world.config.jwe_key, file);
        world.config.jwe_key_before = Some(before);
        world.start_server().await;
        let new = our_key(world).await;
        assert_ne!(new, old);
        for key in [&old, &new] {
            sent(world, key).await.expect(StatusCode::CREATED);
        }
        world.stop_server().await;
        world.config.jwe_key_before = None;
        world.start_server().await;
        sent(world, &new).await.expect(StatusCode::CREATED);
        sent(world, &old).await.expect_error(400, "CANT_DECRYPT_PAYLOAD");
    })
    .await;
}

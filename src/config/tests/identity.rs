// SPDX-License-Identifier: Apache-2.0
//! What a policy's author is told about issuers and their keys.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::*;

/// RFC 7515 appendix A.2.
const N: &str = "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ";
/// RFC 7515 appendix A.3.
const X: &str = "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU";
const Y: &str = "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0";
/// RFC 8037 appendix A.2.
const ED25519: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";

const RSA: &str = "expected an RSA key of 2048 to 8192 bits with an odd exponent from 3 on, found another";
const POINT: &str = "expected a point on the key's curve, each coordinate as long as its field, found another";
const FITS: &str = "expected an `alg` that fits the key's type, found another";
const KEYS: &str = "identity.providers.a.jwt.keys.inline.keys";
const MIXED: &str = "expected HS256, HS384 and HS512 beside `secrets`, and the others beside public keys, found a mixture";

fn rsa() -> Value {
    json!({"kty": "RSA", "kid": "r", "n": N, "e": "AQAB"})
}

fn ec() -> Value {
    json!({"kty": "EC", "kid": "e", "crv": "P-256", "x": X, "y": Y})
}

fn okp() -> Value {
    json!({"kty": "OKP", "kid": "o", "crv": "Ed25519", "x": ED25519})
}

/// The key with another member; `null` takes it away.
fn with(mut key: Value, name: &str, value: Value) -> Value {
    key[name] = value;
    key.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    key
}

fn text(bytes: &[u8]) -> Value {
    URL_SAFE_NO_PAD.encode(bytes).into()
}

/// A policy with one provider, and what `change` makes of that.
fn policy(change: impl FnOnce(&mut Value)) -> Value {
    let mut provider = json!({
        "issuer": "https://id.shop.example/", "audiences": ["orders-api"], "algorithms": ["RS256", "ES256", "EdDSA"],
        "keys": {"inline": {"keys": [rsa(), ec(), okp()]}},
    });
    change(&mut provider);
    json!({
        "schema": 1, "service": {"name": "edge"}, "identity": {"providers": {"a": {"jwt": provider}}},
        "routes": [{"name": "r", "rules": [{"name": "callers", "require": {"caller": {"provider": "a"}}}]}],
        "default": {"action": "admit"},
    })
}

fn with_keys(keys: Vec<Value>) -> Value {
    policy(|provider| provider["keys"] = json!({"inline": {"keys": keys}}))
}

#[test]
fn keys_that_are_none_are_named_by_their_place() {
    let edge = |bits: usize| {
        let mut number = vec![0xff; bits.div_ceil(8)];
        number[0] >>= number.len() * 8 - bits;
        text(&number)
    };
    for (key, expected) in [
        (with(rsa(), "n", edge(1024)), RSA),
        (with(rsa(), "n", edge(2047)), RSA),
        (with(rsa(), "n", edge(8193)), RSA),
        (with(rsa(), "n", text(&[0xfe; 256])), RSA),
        (with(rsa(), "n", text(&[0; 256])), RSA),
        (with(rsa(), "n", text(&[])), RSA),
        (with(rsa(), "n", text(&[&[0; 128][..], &[0xff; 128]].concat())), RSA),
        (with(rsa(), "e", text(&[1])), RSA),
        (with(rsa(), "e", text(&[0])), RSA),
        (with(rsa(), "e", text(&[])), RSA),
        (with(rsa(), "e", text(&[2])), RSA),
        (with(rsa(), "e", text(&[1, 0, 0])), RSA),
        (with(rsa(), "e", text(&[0, 0, 1])), RSA),
        (with(rsa(), "e", text(&[0xff; 9])), RSA),
        (with(rsa(), "alg", json!("ES256")), FITS),
        (with(rsa(), "alg", json!("HS256")), FITS),
        (with(ec(), "alg", json!("ES384")), FITS),
        (with(okp(), "alg", json!("ES256")), FITS),
        (with(ec(), "y", json!(X)), POINT),
        (with(ec(), "x", json!(Y)), POINT),
        (with(with(ec(), "x", text(&[0; 32])), "y", text(&[0; 32])), POINT),
        (with(ec(), "crv", json!("P-384")), POINT),
        (with(ec(), "x", text(&[1; 31])), POINT),
        (with(ec(), "x", text(&[1; 33])), POINT),
        (with(okp(), "x", text(&[0; 31])), POINT),
        (with(okp(), "x", text(&[0; 33])), POINT),
        // Points of small order (RFC 7748 section 6.1 lists their like): 1, 4, 2, and one of 8.
        (with(okp(), "x", text(&[&[1][..], &[0; 31]].concat())), POINT),
        (with(okp(), "x", text(&[0; 32])), POINT),
        (with(okp(), "x", text(&[&[0xec][..], &[0xff; 30], &[0x7f]].concat())), POINT),
        (with(okp(), "x", json!("xxdqcD1N2E-rPM-w-i--7SnovRnF-kFX6qFUTQNfyww")), POINT),
        (with(ec(), "d", json!(X)), "expected a public key, found a private one: replace it, it is no secret any more"),
        (with(rsa(), "d", json!("AQAB")), "expected a public key, found a private one: replace it, it is no secret any more"),
        (json!({"kty": "oct", "k": X}), "expected a public key, found a secret (`oct`): name it in `secrets`"),
        (json!({"kty": "oct", "k": X, "d": X}), "expected a public key, found a secret (`oct`): name it in `secrets`"),
        (with(rsa(), "kty", Value::Null), "expected a member `kty`, found none"),
        (with(rsa(), "kty", json!(1)), "expected `kty` to be text, found something else"),
        (with(rsa(), "n", Value::Null), "expected a member `n`, found none"),
        (with(rsa(), "e", json!(65_537)), "expected `e` to be text, found something else"),
        (with(rsa(), "e", json!("AQAB=")), "expected `e` in base64url without padding, found something else"),
        (with(rsa(), "e", json!("AQB")), "expected `e` in base64url without padding, found something else"),
        (with(rsa(), "n", json!(N.replace('-', "+").replace('_', "/"))), "expected `n` in base64url without padding, found something else"),
        (with(ec(), "crv", Value::Null), "expected a member `crv`, found none"),
        (with(ec(), "crv", json!(256)), "expected `crv` to be text, found something else"),
        (with(ec(), "y", Value::Null), "expected a member `y`, found none"),
        (with(ec(), "kid", json!("")), "expected a `kid` of 1 to 256 bytes, found another"),
        (with(ec(), "kid", json!("k".repeat(257))), "expected a `kid` of 1 to 256 bytes, found another"),
        (with(ec(), "kid", json!(7)), "expected `kid` to be text, found something else"),
        (with(ec(), "use", json!(["sig"])), "expected `use` to be text, found something else"),
        (with(ec(), "key_ops", json!("verify")), "expected `key_ops` to be a list, found something else"),
        (with(ec(), "alg", json!(256)), "expected `alg` to be text, found something else"),
        (json!("e"), "expected a JSON Web Key, found something else, or a member twice"),
        (json!([]), "expected a JSON Web Key, found something else, or a member twice"),
    ] {
        let found = wrong(&with_keys(vec![with(rsa(), "kid", json!("good")), key.clone()]));
        assert_eq!(found, [format!("{KEYS}[1]: {expected}")], "{key}");
    }
    let twice = with_keys(vec![rsa()]).to_string().replace("\"kty\":", "\"kty\":\"RSA\",\"kty\":");
    assert!(findings(&twice)[0].ends_with("keys[0]: expected a JSON Web Key, found something else, or a member twice"));
}

#[test]
fn all_that_is_wrong_comes_at_once_with_line_and_column() {
    let keys = format!(
        "\n  {},\n  {},\n    {},\n{}",
        with(rsa(), "e", text(&[1])),
        ec(),
        with(ec(), "y", json!(X)),
        json!({"kty": "oct", "k": X})
    );
    let good = json!([rsa(), ec(), okp()]).to_string();
    let text = policy(|provider| provider["clock_skew"] = json!("11m")).to_string().replace(&good, &format!("[{keys}]"));
    let text = text.replace("\"provider\":\"a\"", "\"provider\":\"b\"");
    let found = findings(&text);
    let column = text.lines().next().unwrap().find("\"11m\"").unwrap() + 1;
    assert_eq!(
        found[..4],
        [
            format!("1:{column}: identity.providers.a.jwt.clock_skew: expected a duration up to 10m, found \"11m\""),
            format!("2:3: {KEYS}[0]: {RSA}"),
            format!("4:5: {KEYS}[2]: {POINT}"),
            format!("5:1: {KEYS}[3]: expected a public key, found a secret (`oct`): name it in `secrets`"),
        ],
    );
    assert_eq!(found.len(), 4, "{found:?}");
}

#[test]
fn keys_of_no_use_are_left_out_and_said_so() {
    for key in [
        json!({"kty": "PQC", "kid": "u"}),
        json!({"kty": "rsa", "kid": "u"}),
        with(ec(), "crv", json!("P-521")),
        with(ec(), "crv", json!("secp256k1")),
        with(ec(), "crv", json!("p-256")),
        with(okp(), "crv", json!("X25519")),
        with(okp(), "crv", json!("Ed448")),
        with(rsa(), "use", json!("enc")),
        with(rsa(), "use", json!("SIG")),
        with(rsa(), "key_ops", json!(["sign", "encrypt"])),
        with(rsa(), "key_ops", json!([])),
        with(rsa(), "alg", json!("RSA-OAEP")),
        with(rsa(), "alg", json!("none")),
    ] {
        let loaded = Policy::from_json(with_keys(vec![with(okp(), "kid", json!("good")), key.clone()]).to_string().as_bytes());
        let warnings: Vec<String> =
            loaded.unwrap_or_else(|found| panic!("{key}: {found}")).warnings.iter().map(ToString::to_string).collect();
        let left_out = format!("{KEYS}[1]: warning: a key of a type that isn't known, or that isn't for signatures: it is left out");
        assert!(warnings.iter().any(|line| line.ends_with(&left_out)), "{key}: {warnings:?}");
        assert_eq!(wrong(&with_keys(vec![key.clone()])), [format!("{KEYS}: expected at least one key of use, found none")], "{key}");
    }
    for key in [with(rsa(), "use", json!("sig")), with(rsa(), "key_ops", json!(["verify"])), with(rsa(), "alg", json!("PS512")), rsa()] {
        let loaded = Policy::from_json(with_keys(vec![key.clone()]).to_string().as_bytes()).unwrap();
        assert!(!loaded.warnings.to_string().contains("left out"), "{key}");
    }
}

#[test]
fn a_set_has_each_id_once_and_no_more_than_100_keys() {
    let many = |count: usize| (0..count).map(|index| with(ec(), "kid", json!(format!("k{index}")))).collect();
    assert_eq!(wrong(&with_keys(many(100))), [""; 0]);
    assert_eq!(wrong(&with_keys(many(101))), [format!("{KEYS}: expected at most 100 keys, found more")]);
    let twice = format!("{KEYS}: expected each `kid` once, found one twice");
    assert_eq!(wrong(&with_keys(vec![rsa(), with(ec(), "kid", json!("r"))])), [twice]);
    assert_eq!(
        wrong(&with_keys(vec![with(rsa(), "kid", Value::Null), with(rsa(), "kid", Value::Null)])),
        [""; 0],
        "without ids, both are tried for"
    );
}

#[test]
fn what_does_not_go_together_is_no_provider() {
    let jwks = |more: &str, value: Value| {
        let mut source = json!({"uri": "https://id.shop.example/jwks.json", "cluster": "issuer"});
        source[more] = value;
        json!({"jwks": source})
    };
    let secrets = json!({"secrets": [{"key": {"secret": "shared"}}]});
    let pem = |key: &str| json!({"pem": [{"kid": "p", "key": key}]});
    let block = |der: &[u8], label: &str| format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der));
    let spki = [b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00", &URL_SAFE_NO_PAD.decode(ED25519).unwrap()[..]].concat();
    let weak = [b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00", &[0; 32][..]].concat();
    assert_eq!(wrong(&policy(|provider| provider["keys"] = pem(&block(&spki, "PUBLIC KEY")))), [""; 0]);
    let no_pem = "keys.pem[0].key: expected an RSA (2048 to 8192 bits), P-256, P-384 or Ed25519 key as a PEM block `PUBLIC KEY`, found something else";
    let names = "tokens[0].header: expected another header: `authorization` and `cookie` are places of their own, found";
    for (field, value, expected) in [
        ("algorithms", json!(["HS256"]), format!("keys: {MIXED}")),
        ("algorithms", json!(["RS256", "HS256"]), format!("keys: {MIXED}")),
        ("keys", secrets.clone(), format!("keys: {MIXED}")),
        ("algorithms", json!([]), "algorithms: expected a list of at least one, found an empty one".to_owned()),
        ("algorithms", json!(["RS256", "ES256", "RS256"]), "algorithms[2]: expected each of the list once, found \"RS256\"".to_owned()),
        ("algorithms", json!(["none"]), ALGORITHMS.to_owned() + "\"none\""),
        ("algorithms", json!(["rs256"]), ALGORITHMS.to_owned() + "\"rs256\""),
        ("algorithms", json!(["ES512"]), ALGORITHMS.to_owned() + "\"ES512\""),
        ("audiences", json!([]), "audiences: expected a list of at least one, found an empty one".to_owned()),
        ("audiences", json!([""]), "audiences[0]: expected text of at least one character, found \"\"".to_owned()),
        ("issuer", json!(""), "issuer: expected text of at least one character, found \"\"".to_owned()),
        ("issuer", json!(["a"]), "issuer: expected text, found a list".to_owned()),
        ("clock_skew", json!("601s"), "clock_skew: expected a duration up to 10m, found \"601s\"".to_owned()),
        ("max_lifetime", json!("0s"), "max_lifetime: expected a duration of 1s at least, found \"0s\"".to_owned()),
        ("max_length", json!(255), "max_length: expected a whole number from 256 to 65536, found 255".to_owned()),
        ("max_length", json!(65_537), "max_length: expected a whole number from 256 to 65536, found 65537".to_owned()),
        ("tokens", json!([]), "tokens: expected a list of at least one, found an empty one".to_owned()),
        ("tokens", json!([{"header": "Authorization"}]), format!("{names} \"Authorization\"")),
        ("tokens", json!([{"header": "cookie"}]), format!("{names} \"cookie\"")),
        ("tokens", json!([{"header": "x token"}]), format!("tokens[0].header: {TOKEN}\"x token\"")),
        ("tokens", json!([{"cookie": "a=b"}]), format!("tokens[0].cookie: {TOKEN}\"a=b\"")),
        ("tokens", json!([{"authorization": {"scheme": "Bearer x"}}]), format!("tokens[0].authorization.scheme: {TOKEN}\"Bearer x\"")),
        ("keys", pem("AAAA"), no_pem.to_owned()),
        ("keys", pem(&block(&spki, "PRIVATE KEY")), no_pem.to_owned()),
        ("keys", pem(&block(&spki, "RSA PUBLIC KEY")), no_pem.to_owned()),
        ("keys", pem(&block(&spki[1..], "PUBLIC KEY")), no_pem.to_owned()),
        ("keys", pem(&block(&[&spki[..], &[0]].concat(), "PUBLIC KEY")), no_pem.to_owned()),
        ("keys", pem(&block(&weak, "PUBLIC KEY")), format!("keys.pem[0].key: {}", POINT.replace("another", "something else"))),
        ("keys", pem(&block(&rsa_spki(128), "PUBLIC KEY")), no_pem.to_owned()),
        (
            "keys",
            jwks("jwks_cluster", json!("x")),
            "keys.jwks: expected `jwks_cluster` in `discovery` alone, found it in `jwks`".to_owned(),
        ),
        ("keys", jwks("uri", json!("id.shop.example/jwks.json")), URI.to_owned()),
        ("keys", jwks("uri", json!("ftp://id.shop.example/")), URI.to_owned()),
        ("keys", jwks("uri", json!("https://user:pass@id.shop.example/")), URI.to_owned()),
        ("keys", jwks("uri", json!("https://id.shop.example/#x")), URI.to_owned()),
        ("keys", jwks("uri", json!("https://id.shop.example/\r\nx: y")), URI.to_owned()),
        ("keys", jwks("cluster", json!("")), "keys.jwks.cluster: expected text of at least one character, found \"\"".to_owned()),
        ("keys", jwks("cache_duration", json!("59s")), between("cache_duration", "from 1m to 24h", "59s")),
        ("keys", jwks("cache_duration", json!("25h")), between("cache_duration", "from 1m to 24h", "25h")),
        ("keys", jwks("stale_if_error", json!("721h")), between("stale_if_error", "up to 720h", "721h")),
        ("keys", jwks("unknown_kid_interval", json!("999ms")), between("unknown_kid_interval", "from 1s to 24h", "999ms")),
        ("keys", jwks("timeout", json!("99ms")), between("timeout", "from 100ms to 30s", "99ms")),
        ("keys", jwks("timeout", json!("31s")), between("timeout", "from 100ms to 30s", "31s")),
        ("keys", jwks("wait", json!("61s")), between("wait", "up to 1m", "61s")),
        (
            "keys",
            jwks("on_unavailable", json!("allow")),
            "keys.jwks.on_unavailable: expected `refuse` or `admit`, found \"allow\"".to_owned(),
        ),
    ] {
        let found = wrong(&policy(|provider| provider[field] = value.clone()));
        assert_eq!(found, [format!("identity.providers.a.jwt.{expected}")], "{field}: {value}");
    }
    let unknown = policy(|provider| (provider["algorithms"], provider["keys"]) = (json!(["HS256"]), secrets.clone()));
    let expected = "identity.providers.a.jwt.keys.secrets[0].key.secret: expected a name in `secrets`, found another";
    assert_eq!(wrong(&unknown), [expected]);
}

#[test]
fn rules_name_providers_that_there_are() {
    let mut nobody = policy(|_| {});
    nobody["routes"][0]["rules"][0]["require"]["caller"]["provider"] = json!("b");
    let expected = "routes[0].rules[0].require.caller.provider: expected a name in `identity.providers`, found \"b\"";
    assert_eq!(wrong(&nobody), [expected]);
    for name in ["A", "a.b", "-a", "_a", "é", &"a".repeat(65)] {
        let mut named = policy(|_| {});
        let provider = named["identity"]["providers"]["a"].take();
        named["identity"]["providers"] = json!({ name: provider });
        named["routes"] = json!([]);
        let found = wrong(&named);
        let expected = "expected a name of at most 64 lower-case letters, digits, `-` and `_`, found another";
        assert!(found.len() == 1 && found[0].ends_with(expected), "{name}: {found:?}");
    }
    let mut many = policy(|_| {});
    let provider = many["identity"]["providers"]["a"].clone();
    for (count, expected) in [(16, vec![]), (17, vec!["identity.providers: expected at most 16 providers, found a mapping"])] {
        let providers = (1..count).map(|index| (format!("p{index}"), provider.clone())).chain([("a".to_owned(), provider.clone())]);
        many["identity"]["providers"] = Value::Object(providers.collect());
        assert_eq!(wrong(&many), expected, "{count}");
    }
}

#[test]
fn a_key_in_the_place_of_its_name_is_not_shown() {
    let secret = "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0MTI=";
    for keys in [
        json!({ "secrets": secret }),
        json!({ "secrets": [secret] }),
        json!({"secrets": [{ "key": secret }]}),
        json!({"secrets": [{"key": {"secret": secret}}]}),
        json!({"secrets": [{"key": {"secret": [secret]}}]}),
        json!({ "pem": secret }),
        json!({"pem": [{ "key": secret }]}),
        json!({ "inline": secret }),
        json!({"inline": {"keys": [{"kty": "oct", "k": secret}]}}),
        json!({"inline": {"keys": [{"kty": secret}]}}),
        json!({"inline": {"keys": [{"kty": "RSA", "n": N, "e": secret, "d": secret}]}}),
        json!(secret),
    ] {
        let found = wrong(&policy(|provider| (provider["algorithms"], provider["keys"]) = (json!(["HS256"]), keys.clone()))).join("\n");
        assert!(!found.is_empty() && !found.contains("c2Vj"), "{keys}: {found}");
    }
}

fn between(field: &str, range: &str, found: &str) -> String {
    format!("keys.jwks.{field}: expected a duration {range}, found {found:?}")
}

/// A SubjectPublicKeyInfo of an RSA key of so many bytes, from 128 to 240.
fn rsa_spki(length: usize) -> Vec<u8> {
    let tlv = |tag: u8, content: &[u8]| [&[tag, 0x81, u8::try_from(content.len()).unwrap()][..], content].concat();
    let numbers = [tlv(2, &[&[0][..], &vec![0xff; length]].concat()), b"\x02\x03\x01\x00\x01".to_vec()].concat();
    let algorithm = b"\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00";
    tlv(0x30, &[&algorithm[..], &tlv(3, &[&[0][..], &tlv(0x30, &numbers)].concat())].concat())
}

const ALGORITHMS: &str = "algorithms[0]: expected `RS256` or `RS384` or `RS512` or `PS256` or `PS384` or `PS512` or `ES256` or `ES384` or `EdDSA` or `HS256` or `HS384` or `HS512`, found ";
const TOKEN: &str = "expected a name of letters, digits and !#$%&'*+-.^_`|~, found ";
const URI: &str = "keys.jwks.uri: expected an absolute URI such as https://id.shop.example/jwks.json (something else)";

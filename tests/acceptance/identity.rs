// SPDX-License-Identifier: Apache-2.0
//! Issuers and their keys: a provider for every way to have keys, and changes to them.

use serde_json::{Value, json};

/// The section with every field.
pub(super) fn whole() -> Value {
    let jwt = |algorithms: Value, keys: Value| json!({"jwt": {"issuer": "https://id.shop.example/", "audiences": ["orders-api"], "algorithms": algorithms, "keys": keys}});
    let published = json!({
        "uri": "https://id.shop.example/jwks.json?x=1", "cluster": "issuer", "cache_duration": "10m", "stale_if_error": "1h",
        "unknown_kid_interval": "30s", "timeout": "1s500ms", "wait": "3s", "on_unavailable": "admit"
    });
    let mut discovery = published.clone();
    discovery["jwks_cluster"] = json!("keys");
    let mut inline = jwt(json!(["ES256", "EdDSA"]), json!({"inline": {"keys": [ec(), {"kty": "PQC", "kid": "later"}]}}));
    let more = json!({
        "tokens": [{"authorization": {"scheme": "DPoP"}}, {"header": "X-Token"}, {"query": "access_token"}, {"cookie": "session"}],
        "clock_skew": "30s", "max_lifetime": "1h", "max_length": 4096
    });
    inline["jwt"].as_object_mut().into_iter().for_each(|fields| fields.extend(more.as_object().cloned().unwrap_or_default()));
    json!({"providers": {
        "inline": inline,
        "pem": jwt(json!(["EdDSA"]), json!({"pem": [{"kid": "k1", "key": PEM}]})),
        "shared": jwt(json!(["HS256", "HS384", "HS512"]), json!({"secrets": [{"kid": "k1", "key": {"secret": "hop-key"}}]})),
        "jwks": jwt(json!(["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"]), json!({ "jwks": published })),
        "discovery": jwt(json!(["ES384"]), json!({ "discovery": discovery })),
    }})
}

/// RFC 7515 appendix A.3.
fn ec() -> Value {
    json!({
        "kty": "EC", "kid": "e1", "use": "sig", "alg": "ES256", "key_ops": ["verify"], "crv": "P-256",
        "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"
    })
}

/// Changes that the reader accepts.
pub(super) fn accepted() -> Vec<(&'static str, Value)> {
    vec![
        ("/identity/providers/inline/jwt/audiences", json!(["a", "b", "a"])),
        ("/identity/providers/inline/jwt/issuer", json!("any text")),
        ("/identity/providers/inline/jwt/algorithms", json!(["RS256"])),
        (KEY, json!({"kty": "EC", "crv": "P-521", "x": 7})),
        (KEY, json!({"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo", "issuer": "of no interest"})),
        ("/identity/providers/inline/jwt/tokens", json!([{"query": "é"}])),
        ("/identity/providers/inline/jwt/tokens", json!([{"header": "x-authorization"}, {"header": "cookie2"}])),
        ("/identity/providers/inline/jwt/clock_skew", json!("0s")),
        ("/identity/providers/inline/jwt/clock_skew", json!("10m")),
        ("/identity/providers/inline/jwt/max_lifetime", json!("1s")),
        ("/identity/providers/inline/jwt/max_length", json!(256)),
        ("/identity/providers/inline/jwt/max_length", json!(65_536)),
        ("/identity/providers/pem/jwt/keys/pem/0", json!({ "key": PEM })),
        ("/identity/providers/shared/jwt/keys/secrets/0", json!({"key": {"secret": "old-key"}})),
        (JWKS, json!({"uri": "http://127.0.0.1:8080", "cluster": "issuer"})),
        ("/identity/providers/jwks/jwt/keys/jwks/uri", json!("https://[::1]:8443/%20;@")),
        ("/identity/providers/jwks/jwt/keys/jwks/cache_duration", json!("24h")),
        ("/identity/providers/jwks/jwt/keys/jwks/stale_if_error", json!("0s")),
        ("/identity/providers/jwks/jwt/keys/jwks/unknown_kid_interval", json!("1s")),
        ("/identity/providers/jwks/jwt/keys/jwks/timeout", json!("100ms")),
        ("/identity/providers/jwks/jwt/keys/jwks/wait", json!("0s")),
        ("/identity/providers/jwks/jwt/keys/jwks/on_unavailable", json!("refuse")),
        ("/identity/providers/discovery/jwt/keys/discovery", json!({"uri": "https://a", "cluster": "b"})),
        ("/routes/2/rules/0/require/caller/provider", json!("discovery")),
    ]
}

/// Changes that neither the reader nor the schema accepts; `None` takes the field away.
pub(super) fn refused_by_both() -> Vec<(&'static str, Option<Value>)> {
    let missing = [
        "/identity/providers/inline/jwt",
        "/identity/providers/inline/jwt/issuer",
        "/identity/providers/inline/jwt/audiences",
        "/identity/providers/inline/jwt/algorithms",
        "/identity/providers/inline/jwt/keys",
        "/identity/providers/inline/jwt/keys/inline/keys",
        "/identity/providers/inline/jwt/keys/inline/keys/0/kty",
        "/identity/providers/inline/jwt/tokens/0/authorization/scheme",
        "/identity/providers/pem/jwt/keys/pem/0/key",
        "/identity/providers/shared/jwt/keys/secrets/0/key",
        "/identity/providers/shared/jwt/keys/secrets/0/key/secret",
        "/identity/providers/jwks/jwt/keys/jwks/uri",
        "/identity/providers/jwks/jwt/keys/jwks/cluster",
        "/routes/2/rules/0/require/caller/provider",
    ];
    let mut changes: Vec<(&'static str, Option<Value>)> = missing.map(|place| (place, None)).into();
    for (place, values) in [
        ("/identity", vec![json!(null), json!([]), json!({"issuers": {}})]),
        ("/identity/providers", vec![json!([]), json!({"A": {}}), json!({"a.b": {}}), json!({"a": {"oauth": {}}}), json!({"a": {}})]),
        ("/identity/providers/inline/jwt/issuer", vec![json!(""), json!(1), json!(["a"])]),
        ("/identity/providers/inline/jwt/audiences", vec![json!([]), json!("a"), json!([""]), json!([1])]),
        (
            "/identity/providers/inline/jwt/algorithms",
            vec![json!([]), json!("ES256"), json!(["none"]), json!(["es256"]), json!(["ES512"]), json!(["ES256", "ES256"]), json!([null])],
        ),
        (
            "/identity/providers/inline/jwt/keys",
            vec![json!({}), json!("inline"), json!({"inline": {}, "pem": []}), json!({"static": {}}), json!({"inline": {"keys": []}})],
        ),
        (
            "/identity/providers/inline/jwt/keys/inline",
            vec![json!([]), json!({"keys": {}}), json!({"keys": [1]}), json!({"keys": [{"kty": 1}]})],
        ),
        (KEY, vec![json!({"kty": "oct", "k": "AAAA"}), json!({"kty": "EC", "kid": ""}), json!({"kty": "EC", "kid": 1}), json!(null)]),
        (
            "/identity/providers/inline/jwt/tokens",
            vec![
                json!([]),
                json!(["query"]),
                json!([{}]),
                json!([{"body": "a"}]),
                json!([{"query": ""}]),
                json!([{"header": "Authorization"}]),
                json!([{"header": "COOKIE"}]),
                json!([{"header": "a b"}]),
                json!([{"cookie": "a=b"}]),
                json!([{"authorization": "Bearer"}]),
                json!([{"authorization": {"scheme": "a b"}}]),
                json!([{"query": "a", "cookie": "b"}]),
            ],
        ),
        ("/identity/providers/inline/jwt/clock_skew", vec![json!(60), json!("1d"), json!("")]),
        ("/identity/providers/inline/jwt/max_lifetime", vec![json!(60), json!("-1s"), json!(null)]),
        ("/identity/providers/inline/jwt/max_length", vec![json!(255), json!(65_537), json!("4096"), json!(4096.5)]),
        ("/identity/providers/pem/jwt/keys/pem", vec![json!([]), json!(PEM), json!([PEM]), json!([{"key": 1}])]),
        ("/identity/providers/pem/jwt/keys/pem/0/kid", vec![json!(""), json!(1), json!("k".repeat(257))]),
        ("/identity/providers/shared/jwt/keys/secrets", vec![json!([]), json!(["hop-key"]), json!([{"key": "hop-key"}])]),
        ("/identity/providers/shared/jwt/keys/secrets/0/kid", vec![json!(""), json!(1), json!("k".repeat(257))]),
        (
            "/identity/providers/jwks/jwt/keys/jwks/uri",
            vec![
                json!("id.shop.example"),
                json!("ftp://a/"),
                json!("https://"),
                json!("HTTPS://a/"),
                json!("https://a b/"),
                json!("https://u@a/"),
                json!(1),
            ],
        ),
        ("/identity/providers/jwks/jwt/keys/jwks/cluster", vec![json!(""), json!(1), json!(null)]),
        ("/identity/providers/jwks/jwt/keys/jwks/timeout", vec![json!(1), json!("1"), json!(null)]),
        ("/identity/providers/jwks/jwt/keys/jwks/on_unavailable", vec![json!("allow"), json!("Admit"), json!(true)]),
        ("/identity/providers/discovery/jwt/keys/discovery/jwks_cluster", vec![json!(""), json!(1)]),
        ("/routes/2/rules/0/require", vec![json!({}), json!("caller"), json!({"caller": "inline"}), json!({"caller": {"provider": 1}})]),
    ] {
        changes.extend(values.into_iter().map(|value| (place, Some(value))));
    }
    changes
}

/// Changes that only the reader knows to be wrong.
pub(super) fn refused_by_the_reader() -> Vec<(&'static str, Value, &'static str)> {
    let point = "what a key is worth is known to its reader";
    let together = "algorithms and keys hang together";
    let range = "durations are added up";
    vec![
        (KEY, json!({"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}), point),
        (KEY, json!({"kty": "EC", "crv": "P-256"}), point),
        (KEY, json!({"kty": "RSA", "n": "AQAB", "e": "AQ"}), point),
        ("/identity/providers/inline/jwt/keys/inline/keys", json!([{"kty": "PQC"}]), point),
        (
            "/identity/providers/inline/jwt/keys/inline/keys",
            json!([ec(), ec()]),
            "ids are unique, and JSON Schema compares whole items alone",
        ),
        ("/identity/providers/pem/jwt/keys/pem/0/key", json!("-----BEGIN PUBLIC KEY-----"), point),
        ("/identity/providers/pem/jwt/keys/pem", json!([{"kid": "a", "key": PEM}, {"kid": "a", "key": PEM}]), "ids are unique"),
        ("/identity/providers/inline/jwt/algorithms", json!(["HS256"]), together),
        ("/identity/providers/inline/jwt/algorithms", json!(["ES256", "HS256"]), together),
        ("/identity/providers/shared/jwt/algorithms", json!(["RS256"]), together),
        ("/identity/providers/shared/jwt/keys/secrets/0/key/secret", json!("nowhere"), "sections hang together"),
        ("/routes/2/rules/0/require/caller/provider", json!("nobody"), "sections hang together"),
        (
            "/identity/providers/jwks/jwt/keys/jwks",
            json!({"uri": "https://a", "cluster": "b", "jwks_cluster": "c"}),
            "it is one of discovery's",
        ),
        ("/identity/providers/jwks/jwt/keys/jwks/uri", json!("https://a/<x>"), "URIs are read to their end"),
        ("/identity/providers/jwks/jwt/keys/jwks/uri", json!("https://:/"), "URIs are read to their end"),
        ("/identity/providers/inline/jwt/clock_skew", json!("11m"), range),
        ("/identity/providers/inline/jwt/max_lifetime", json!("0s"), range),
        ("/identity/providers/jwks/jwt/keys/jwks/cache_duration", json!("59s"), range),
        ("/identity/providers/jwks/jwt/keys/jwks/stale_if_error", json!("721h"), range),
        ("/identity/providers/jwks/jwt/keys/jwks/unknown_kid_interval", json!("0s"), range),
        ("/identity/providers/jwks/jwt/keys/jwks/timeout", json!("31s"), range),
        ("/identity/providers/jwks/jwt/keys/jwks/wait", json!("2m"), range),
    ]
}

const KEY: &str = "/identity/providers/inline/jwt/keys/inline/keys/1";
const JWKS: &str = "/identity/providers/jwks/jwt/keys/jwks";
/// RFC 8037 appendix A.2, as RFC 8410 section 4 has it.
const PEM: &str = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n-----END PUBLIC KEY-----\n";

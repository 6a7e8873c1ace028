// SPDX-License-Identifier: Apache-2.0
//! The reader and the JSON Schema say the same of a policy, as an independent validator reads the schema: what the reader
//! accepts fits, what doesn't fit is refused, and what fits and is refused is refused for a reason that no schema can know.

use jsonschema::Validator;
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Value, json};
use tracegate::Policy;
use tracegate::config::{Finding, Problem, Severity, json_schema};
use tracegate_acceptance::{Schema, accepted, refused};

fn validator() -> Validator {
    jsonschema::draft202012::new(&json_schema()).unwrap()
}

fn misfits(validator: &Validator, document: &Value) -> Vec<String> {
    validator.iter_errors(document).map(|error| format!("{}: {error}", error.instance_path())).collect()
}

/// What the reader has against a document.
fn errors(document: &Value) -> Vec<Finding> {
    match Policy::from_json(document.to_string().as_bytes()) {
        Ok(_) => Vec::new(),
        Err(findings) => findings.iter().filter(|finding| finding.severity == Severity::Error).cloned().collect(),
    }
}

#[test]
fn it_is_a_schema_of_its_draft() {
    let schema = json_schema();
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    let flaws: Vec<String> = jsonschema::draft202012::meta::validator().iter_errors(&schema).map(|error| error.to_string()).collect();
    assert!(flaws.is_empty(), "{flaws:?}");
}

#[test]
fn everything_in_it_is_described() {
    fn check(place: &str, schema: &Value) {
        for (name, field) in schema["properties"].as_object().into_iter().flatten() {
            assert!(field["description"].is_string(), "{place}.{name}: {field}");
        }
        for way in schema["oneOf"].as_array().into_iter().flatten() {
            assert!(way["description"].is_string(), "{place}: {way}");
        }
    }
    let schema = json_schema();
    assert_eq!(schema["title"], "tracegate policy, schema 1");
    check("policy", &schema);
    for (name, definition) in schema["$defs"].as_object().unwrap() {
        assert!(definition["description"].is_string(), "{name}");
        check(name, definition);
    }
}

#[test]
fn what_the_reader_accepts_fits_and_so_does_its_canonical_form() {
    let validator = validator();
    for document in accepted() {
        let loaded = Policy::from_json(document.to_string().as_bytes()).unwrap_or_else(|findings| panic!("{findings}\n{document:#}"));
        assert_eq!(misfits(&validator, &document), [""; 0], "{document:#}");
        let canonical = serde_json::from_str(&loaded.canonical).unwrap();
        assert_eq!(misfits(&validator, &canonical), [""; 0], "{canonical:#}");
    }
}

#[test]
fn the_defaults_that_it_names_are_those_of_the_reader() {
    let fingerprint = |document: &Value| Policy::from_json(document.to_string().as_bytes()).unwrap().policy.fingerprint;
    let schema = json_schema();
    let mut least = tracegate_acceptance::least();
    let before = fingerprint(&least);
    for (name, field) in schema["properties"].as_object().unwrap() {
        if let Some(default) = field.get("default") {
            least[name] = default.clone();
        }
    }
    assert_eq!(least.as_object().unwrap().len(), 11, "{least}");
    assert_eq!(fingerprint(&least), before);
    let refuse = |status: Value| json!({"schema": 1, "service": {"name": "edge"}, "default": status});
    let default = &schema["$defs"]["DefaultAction"]["properties"]["status"]["default"];
    assert_eq!(fingerprint(&refuse(json!({"action": "refuse", "status": default}))), fingerprint(&refuse(json!({"action": "refuse"}))));
}

#[test]
fn what_does_not_fit_is_refused_by_the_reader() {
    let validator = validator();
    for (document, schema) in refused() {
        assert!(!errors(&document).is_empty(), "the reader accepts {document:#}");
        let expected = match schema {
            Schema::Refuses => false,
            Schema::CannotKnow(_) => true,
        };
        assert_eq!(validator.is_valid(&document), expected, "{schema:?} {document:#}");
    }
}

#[test]
fn a_field_that_stands_twice_is_gone_before_a_schema_sees_it() {
    let twice = r#"{"schema": 1, "schema": 1, "service": {"name": "edge"}, "default": {"action": "admit"}}"#;
    assert!(Policy::from_json(twice.as_bytes()).is_err());
    assert!(validator().is_valid(&serde_json::from_str(twice).unwrap()));
}

/// Whether the reader refuses for what no schema can know.
fn is_beyond_a_schema(finding: &Finding) -> bool {
    match &finding.problem {
        Problem::Expected { expected, found } => {
            [
                "a name of its own",
                "whole seconds from 1s to 1h",
                "a key of baggage: letters, digits and !#$%&'*+-.^_`|~; `*` is no wildcard: leave `allow` out to let every key pass",
                "a prefix that goes past the authority: with a `/` behind it",
                "a suffix with its leading dot, such as .shop.example",
                "`exact` or `suffix`: a name's owner is told by its end",
                "a name in `identity.providers`",
                "a name in `routes`",
                "an issuer of tokens in `identity.providers`",
                "one of the provider's services",
                "one of the provider's subscriptions",
                "one of the provider's products",
                "a header that means nothing else to gateways and services",
                "a header of its own",
                "a header without credentials",
                "a name in `quotas`",
                "no more than `max_queue_size`",
                "a name in `identity.providers` of one with tokens",
                "a part above 0 and up to 1, in thousandths, such as 0.5",
                "a name of at most 125 bytes",
                "printable ASCII",
                "text of 1 to 25600 bytes",
            ]
            .contains(&expected.as_ref())
                || expected.starts_with("a duration ")
                || expected.ends_with(" bytes in base64")
                || (expected.starts_with("a whole number") && found.ends_with(".0"))
        }
        Problem::Invalid(message) => {
            let dots = message.contains("/..") || message.contains("/.;") || message.contains("%2e") || message.contains("%2E");
            message.starts_with("expected a path in normal form")
                || message.starts_with("expected parameter names that differ")
                || (message.starts_with("expected a path that begins with '/'") && dots)
                || (message.starts_with("expected a host name") && message.contains("(\"["))
                || ["` to be text,", "` to be a list,", "` in base64url"].iter().any(|part| message.contains(part))
                || message.ends_with(" alone, found it beside another")
                || HANGS_TOGETHER.iter().any(|start| message.starts_with(start))
        }
        _ => false,
    }
}

/// A change to one place of a document.
#[derive(Clone, Debug)]
enum Change {
    Drop,
    Replace(Value),
    Add(&'static str, Value),
    Repeat,
    Put(Index, char),
    Cut(Index),
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        2 => Just(Change::Drop),
        4 => value().prop_map(Change::Replace),
        2 => (prop::sample::select(NAMES), value()).prop_map(|(name, value)| Change::Add(name, value)),
        1 => Just(Change::Repeat),
        4 => (any::<Index>(), prop::sample::select(CHARACTERS)).prop_map(|(at, character)| Change::Put(at, character)),
        2 => any::<Index>().prop_map(Change::Cut),
    ]
}

/// Wrong types, numbers around every bound, words of every list and beside them.
fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        prop::sample::select(vec![json!(null), json!(true), json!([]), json!({}), json!(1.0), json!(404.0), json!(0.5), json!([[]])]),
        prop::sample::select(vec![-1, 0, 1, 2, 399, 400, 404, 511, 512, 599, 600, 16447, 16448, i64::MAX, i64::MIN]).prop_map(Value::from),
        prop::sample::select(WORDS).prop_map(Value::from),
        prop::sample::select(WORDS).prop_map(|word| json!([word])),
        (prop::sample::select(NAMES), prop::sample::select(WORDS)).prop_map(|(name, word)| json!({ name: word })),
    ]
}

/// The JSON pointers to all there is.
fn places(document: &Value) -> Vec<String> {
    fn visit(value: &Value, place: String, places: &mut Vec<String>) {
        match value {
            Value::Object(fields) => {
                for (name, field) in fields {
                    let name = if name.contains(['~', '/']) { &name.replace('~', "~0").replace('/', "~1") } else { name };
                    visit(field, format!("{place}/{name}"), places);
                }
            }
            Value::Array(items) => items.iter().enumerate().for_each(|(index, item)| visit(item, format!("{place}/{index}"), places)),
            _ => {}
        }
        places.push(place);
    }
    let mut places = Vec::new();
    visit(document, String::new(), &mut places);
    places
}

fn apply(document: &mut Value, place: Index, change: Change) {
    let places = places(document);
    let place = place.get(&places);
    if let Change::Drop = change {
        let (parent, name) = place.rsplit_once('/').unwrap_or_default();
        match document.pointer_mut(parent) {
            Some(Value::Object(fields)) => drop(fields.remove(&name.replace("~1", "/").replace("~0", "~"))),
            Some(Value::Array(items)) => drop(items.pop()),
            _ => {}
        }
        return;
    }
    let Some(found) = document.pointer_mut(place) else { return };
    match (change, found) {
        (Change::Replace(value), found) => *found = value,
        (Change::Add(name, value), Value::Object(fields)) => drop(fields.insert(name.to_owned(), value)),
        (Change::Repeat, Value::Array(items)) => items.extend(items.first().cloned()),
        (Change::Put(at, character), Value::String(text)) => {
            let mut characters: Vec<char> = text.chars().collect();
            characters.insert(at.index(characters.len() + 1), character);
            *text = characters.into_iter().collect();
        }
        (Change::Cut(at), Value::String(text)) if !text.is_empty() => {
            let mut characters: Vec<char> = text.chars().collect();
            characters.remove(at.index(characters.len()));
            *text = characters.into_iter().collect();
        }
        _ => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn of_any_change_to_an_accepted_document_both_say_the_same(
        document in prop::sample::select(accepted()),
        changes in prop::collection::vec((any::<Index>(), change()), 1..4),
    ) {
        thread_local!(static VALIDATOR: Validator = validator());
        let mut document = document;
        for (place, change) in changes {
            apply(&mut document, place, change);
        }
        let errors = errors(&document);
        if errors.is_empty() {
            let misfits = VALIDATOR.with(|validator| misfits(validator, &document));
            prop_assert!(misfits.is_empty(), "the reader accepts, the schema refuses: {misfits:?}\n{document}");
        } else if VALIDATOR.with(|validator| validator.is_valid(&document)) {
            let surprises: Vec<String> = errors.iter().filter(|error| !is_beyond_a_schema(error)).map(ToString::to_string).collect();
            prop_assert!(surprises.is_empty(), "the schema accepts, the reader refuses: {surprises:?}\n{document}");
        }
    }
}

/// What is said of fields that don't go together, and of texts that are read to their end.
const HANGS_TOGETHER: &[&str] = &[
    "expected `listener: {client_certificates: verified}`",
    "expected `trace.signed_hop` beside",
    "expected `trace.tracestate.member` beside",
    "expected a name in `secrets`",
    "expected a collector in `export.logs` beside `otlp`",
    "expected header names in lower case",
    "expected a parameter of the route's path template",
    "expected `export.spans.digest_key` beside a digest",
    "expected another claim",
    "expected at least 2 beside `export.spans.client`",
    "expected the name of a route",
    "expected two keys with ids and secrets of their own",
    "expected `tracecontext` in",
    "expected a key of at most 32 bytes",
    "expected `trace.sampling` beside",
    "expected a `when`",
    "expected the last rule without `when`",
    "expected a network",
    "expected an IPv4 network as such",
    "expected a prefix length",
    "expected a probability",
    "expected HS256, HS384 and HS512 beside `secrets`",
    "expected an absolute URI",
    "expected an RSA (2048 to 8192 bits), P-256, P-384 or Ed25519 key",
    "expected an RSA key",
    "expected a point on the key's curve",
    "expected an `alg` that fits",
    "expected a member `",
    "expected `jwks_cluster` in `discovery` alone",
    "expected a public key, found a private one",
    "expected a `kid` of 1 to 256 bytes",
    "expected each `kid` once",
    "expected at most 100 keys",
    "expected at least one key of use",
    "expected `tenants` beside `organizations` or `common` alone",
    "expected a key of its own",
    "expected a header of its own",
    "expected `replace_token` or `forward_token`",
    "expected no `",
    "expected no number of requests beside a limit in bytes",
    "expected a regular expression",
    "expected a claim's name or a JSON Pointer",
    "expected `key_absent`: ",
    "expected a limit ",
    "expected a burst ",
    "expected `volatile: true` beside",
    "expected `fixed_window` or `calendar` beside",
    "expected `products` beside",
    "expected `mode: {lease: …}` beside",
    "expected a part under a name of its own",
    "expected `subscription_keys` in",
    "expected a name of at most 64 lower-case letters",
    "expected at most 16 secrets",
    "expected `identity.providers`: ",
    "expected a provider with tokens",
    "expected a status such as",
    "expected an instant such as",
    "expected the name of an IANA time zone",
];
const NAMES: &[&str] = &[
    "name",
    "namespace",
    "attributes",
    "exact",
    "suffix",
    "prefix",
    "template",
    "status",
    "mode",
    "match",
    "rules",
    "hosts",
    "member",
    "when",
    "context",
    "not",
    "route",
    "signed_hop",
    "probability",
    "caller",
    "claim",
    "any_of",
    "provider",
    "services",
    "regex",
    "present",
    "quotas",
    "limit",
    "requests",
    "bytes",
    "burst",
    "local",
    "lease",
    "x",
    "",
];
const WORDS: &[&str] = &[
    "",
    "admit",
    "refuse",
    "Refuse",
    "anonymous",
    "deny",
    "enforce",
    "shadow",
    "tracecontext",
    "b3",
    "continue",
    "honor",
    "valid",
    "verified",
    "30s",
    "2h",
    "exact",
    "skip",
    "subscription",
    "5xx",
    "rate",
    "keep",
    "inline",
    "partners",
    "contoso",
    "x_user_id",
    "/a~1b",
    "10.0.0.0/8",
    "read",
    "GET",
    "get",
    "a",
    ".a",
    "/a",
    "/{a}",
    "*",
    "/a/../b",
    "[::1]",
    "[::1::]",
    "/a/..;",
    "é",
];
const CHARACTERS: &[char] = &[
    'a', 'Z', '0', '9', '_', '-', '*', '/', '@', '.', ':', '[', ']', '{', '}', '%', '2', 'F', 'e', ';', '?', '#', '\\', ' ', '\n', '\0',
    '\u{7f}', 'é',
];

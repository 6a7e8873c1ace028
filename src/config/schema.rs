// SPDX-License-Identifier: Apache-2.0
//! The JSON Schema of the policy document, for editors and for those who write policies by program.
//!
//! It comes from the types of the document; here stands what derives can't know. What the reader accepts fits the schema.
//! The reader refuses more: what is found only by reading a path to its end, names that stand twice, `1.0` for `1`.

use schemars::generate::SchemaSettings;
use schemars::transform::{RecursiveTransform, Transform as _};
use schemars::{Schema, SchemaGenerator, json_schema as schema};
use serde_json::{Value, json};

use super::SCHEMA;
use super::document::{Collector, DEFAULT_STATUS, Document, LogCollector, Provider, Quota};
use crate::identity::Algorithm;
use crate::route::HOST_MAX_LENGTH;
use crate::trace::MEMBER_KEY_MAX_LENGTH;

/// The policy document's JSON Schema (draft 2020-12), as this version reads policies.
#[must_use]
pub fn json_schema() -> Value {
    let mut schema = SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<Document>();
    // Formats such as `uint64` are nobody's standard, and editors warn of what they don't know.
    RecursiveTransform(|schema: &mut Schema| drop(schema.remove("format"))).transform(&mut schema);
    schema.insert("title".to_owned(), json!(format!("tracegate policy, schema {SCHEMA}")));
    schema.to_value()
}

/// `status` goes with `refuse` alone.
pub(super) fn status_beside_refuse(schema: &mut Schema) {
    schema.insert("if".to_owned(), json!({"properties": {"action": {"const": "admit"}}, "required": ["action"]}));
    schema.insert("then".to_owned(), json!({"properties": {"status": false}}));
    if let Some(status) = schema.pointer_mut("/properties/status").and_then(Value::as_object_mut) {
        status.insert("default".to_owned(), json!(DEFAULT_STATUS));
    }
}

pub(super) fn member_key(_: &mut SchemaGenerator) -> Schema {
    schema!({"type": "string", "pattern": "^[a-z0-9][a-z0-9_*/@-]*$", "maxLength": MEMBER_KEY_MAX_LENGTH, "not": {"const": "ot"}})
}

pub(super) fn key_id(_: &mut SchemaGenerator) -> Schema {
    schema!({"type": "string", "pattern": "^[A-Za-z0-9_-]{1,16}$"})
}

pub(super) fn networks(_: &mut SchemaGenerator) -> Schema {
    schema!({"type": "array", "minItems": 1, "items": {"type": "string", "pattern": "^[0-9A-Fa-f.:]+(/(0|[1-9][0-9]{0,2}))?$"}})
}

pub(super) fn duration(_: &mut SchemaGenerator) -> Schema {
    schema!({"type": "string", "pattern": "^([0-9]{1,5}(h|m|s|ms)){1,4}$"})
}

pub(super) fn providers(generator: &mut SchemaGenerator) -> Schema {
    let provider = generator.subschema_for::<Provider>();
    schema!({
        "type": "object", "maxProperties": 16, "propertyNames": {"pattern": "^[a-z0-9][a-z0-9_-]{0,63}$"}, "additionalProperties": provider
    })
}

pub(super) fn quotas(generator: &mut SchemaGenerator) -> Schema {
    let quota = generator.subschema_for::<Quota>();
    schema!({
        "type": "object", "maxProperties": 64, "propertyNames": {"pattern": "^[a-z0-9][a-z0-9_-]{0,63}$"}, "additionalProperties": quota
    })
}

pub(super) fn collectors(generator: &mut SchemaGenerator) -> Schema {
    let collector = generator.subschema_for::<Collector>();
    schema!({
        "type": "object", "maxProperties": 4, "propertyNames": {"pattern": "^[a-z0-9][a-z0-9_-]{0,63}$"}, "additionalProperties": collector
    })
}

pub(super) fn log_collectors(generator: &mut SchemaGenerator) -> Schema {
    let collector = generator.subschema_for::<LogCollector>();
    schema!({
        "type": "object", "maxProperties": 4, "propertyNames": {"pattern": "^[a-z0-9][a-z0-9_-]{0,63}$"}, "additionalProperties": collector
    })
}

pub(super) fn resource_attributes(_: &mut SchemaGenerator) -> Schema {
    let taken = r"^(service\.(name|namespace|instance\.id)$|telemetry\.sdk\.|tracegate\.)";
    schema!({
        "type": "object", "propertyNames": {"minLength": 1, "not": {"pattern": taken}}, "additionalProperties": {"type": "string"}
    })
}

pub(super) fn secret_headers(generator: &mut SchemaGenerator) -> Schema {
    let secret = generator.subschema_for::<super::document::SecretName>();
    schema!({
        "type": "object", "propertyNames": {"pattern": "^[a-z0-9!#$%&'*+.^_`|~-]{1,128}$"}, "additionalProperties": secret
    })
}

/// A part of a key is a word, or a mapping with one.
pub(super) fn quota_key(_: &mut SchemaGenerator) -> Schema {
    let object = |name: &str, value: Value| json!({"type": "object", "required": [name], "additionalProperties": false, "properties": {name: value}});
    let prefix = |longest: u8| json!({"type": "integer", "minimum": 0, "maximum": longest});
    let name = json!({"type": "string", "minLength": 1});
    let path = json!({"type": "string", "minLength": 1, "maxLength": 256});
    let claim =
        json!({"type": "object", "required": ["path"], "additionalProperties": false, "properties": {"provider": name, "path": path}});
    let source =
        json!({"type": "object", "additionalProperties": false, "properties": {"ipv4_prefix": prefix(32), "ipv6_prefix": prefix(128)}});
    let header = json!({"type": "string", "pattern": "^[!#$%&'*+.^_`|~0-9A-Za-z-]+$"});
    let parts = [("claim", claim), ("source", source), ("header", header), ("query", name.clone()), ("literal", name)];
    let words = json!({"enum": ["subscription", "product", "caller", "source", "route", "method"]});
    let any: Vec<Value> = std::iter::once(words).chain(parts.map(|(name, value)| object(name, value))).collect();
    schema!({"type": "array", "minItems": 1, "items": {"oneOf": any}})
}

/// Either `requests` or `bytes`.
pub(super) fn one_unit(schema: &mut Schema) {
    let ways = [("requests", "In requests."), ("bytes", "In bytes.")];
    let ways = ways.map(|(unit, description)| json!({"required": [unit], "description": description}));
    schema.insert("oneOf".to_owned(), json!(ways));
}

pub(super) fn global_mode(_: &mut SchemaGenerator) -> Schema {
    let lease = json!({
        "type": "object", "required": ["max_slice"], "additionalProperties": false,
        "properties": {
            "max_slice": {"type": "integer", "minimum": 1, "maximum": 1_000_000_000, "description": "Required: the largest slice, in units of the limit."},
            "duration": {
                "type": "string", "pattern": "^([0-9]{1,5}(h|m|s|ms)){1,4}$",
                "description": "For how long a slice counts, from `100ms` to `1h`. Default: `10s`."
            }
        }
    });
    schema!({"oneOf": [
        {"const": "exact", "description": "About each request, which waits for the answer."},
        {
            "type": "object", "required": ["lease"], "additionalProperties": false, "properties": {"lease": lease},
            "description": "For slices of the limit, ahead of need."
        }
    ]})
}

pub(super) fn statuses(_: &mut SchemaGenerator) -> Schema {
    schema!({"type": "array", "minItems": 1, "items": {"oneOf": [
        {"type": "integer", "minimum": 100, "maximum": 599},
        {"type": "string", "pattern": "^([1-5]xx|[1-5][0-9]{2}(-[1-5][0-9]{2})?)$"}
    ]}})
}

pub(super) fn share(_: &mut SchemaGenerator) -> Schema {
    schema!({"type": "number", "exclusiveMinimum": 0, "maximum": 1})
}

/// RFC 3339's instants, to the second.
pub(super) const TIMESTAMP: &str = "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(Z|[+-][0-9]{2}:[0-9]{2})$";

pub(super) fn algorithms(_: &mut SchemaGenerator) -> Schema {
    let names = Algorithm::ALL.map(Algorithm::as_str);
    schema!({"type": "array", "minItems": 1, "uniqueItems": true, "items": {"enum": names}})
}

/// RFC 7517: other members may stand beside those that are known.
pub(super) fn key_set(_: &mut SchemaGenerator) -> Schema {
    schema!({
        "type": "object",
        "required": ["keys"],
        "additionalProperties": false,
        "properties": {
            "keys": {
                "type": "array", "minItems": 1,
                "items": {
                    "type": "object", "required": ["kty"],
                    "properties": {"kty": {"type": "string", "not": {"const": "oct"}}, "kid": {"type": "string", "minLength": 1}}
                }
            }
        }
    })
}

pub(super) fn uri(_: &mut SchemaGenerator) -> Schema {
    schema!({"type": "string", "pattern": r"^https?://[A-Za-z0-9._:\[\]-]+([/?][!-~]*)?$", "maxLength": 2048})
}

pub(super) fn vault_uri(_: &mut SchemaGenerator) -> Schema {
    schema!({"type": "string", "pattern": r"^https://[A-Za-z0-9-]{3,24}\.vault\.(azure\.net|azure\.cn|usgovcloudapi\.net)/?$"})
}

pub(super) const TOKEN: &str = "^[!#$%&'*+.^_`|~0-9A-Za-z-]+$";

pub(super) fn token(_: &mut SchemaGenerator) -> Schema {
    schema!({"type": "string", "pattern": TOKEN})
}

pub(super) fn header_name(_: &mut SchemaGenerator) -> Schema {
    schema!({"type": "string", "pattern": "^[!#$%&'*+.^_`|~0-9A-Za-z-]+$", "not": {"pattern": "^([Aa][Uu][Tt][Hh][Oo][Rr][Ii][Zz][Aa][Tt][Ii][Oo][Nn]|[Cc][Oo][Oo][Kk][Ii][Ee])$"}})
}

const GUID: &str = "[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}";

pub(super) fn guid(_: &mut SchemaGenerator) -> Schema {
    schema!({"type": "string", "pattern": format!("^{GUID}$")})
}

pub(super) fn guids(_: &mut SchemaGenerator) -> Schema {
    schema!({"type": "array", "minItems": 1, "items": {"type": "string", "pattern": format!("^{GUID}$")}})
}

pub(super) fn tenant(_: &mut SchemaGenerator) -> Schema {
    schema!({"type": "string", "pattern": format!("^({GUID}|organizations|consumers|common)$")})
}

pub(super) fn key_digests(_: &mut SchemaGenerator) -> Schema {
    schema!({"type": "array", "minItems": 1, "maxItems": 2, "items": {"type": "string", "pattern": "^[0-9A-Fa-f]{64}$"}})
}

pub(super) fn probability(_: &mut SchemaGenerator) -> Schema {
    schema!({"type": "number", "minimum": 0, "maximum": 1})
}

pub(super) fn host(_: &mut SchemaGenerator) -> Schema {
    schema!({"type": "string", "pattern": format!(r"^({NAME}|\[[0-9A-Fa-f:.]+\])$"), "maxLength": HOST_MAX_LENGTH})
}

pub(super) fn host_suffix(_: &mut SchemaGenerator) -> Schema {
    // Its leading dot doesn't count.
    schema!({"type": "string", "pattern": format!(r"^\.{NAME}$"), "maxLength": HOST_MAX_LENGTH.saturating_add(1)})
}

pub(super) fn path(_: &mut SchemaGenerator) -> Schema {
    schema!({"type": "string", "pattern": format!(r"^(\*|/([^{NEVER_PLAIN}]|{ESCAPE})*)$")})
}

pub(super) fn path_template(_: &mut SchemaGenerator) -> Schema {
    schema!({"type": "string", "pattern": format!(r"^(\*|(/(\{{[A-Za-z0-9_-]+\}}|([^/{{}}{NEVER_PLAIN}]|{ESCAPE})*))+)$")})
}

/// Labels and dots, perhaps one at the end.
const NAME: &str = r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*\.?";
/// What never stands in a path as itself.
const NEVER_PLAIN: &str = r"%?#\\\x00-\x20\x7f";
/// An escape of anything but `/`, `\` and NUL.
const ESCAPE: &str = "%([13-46-9A-Fa-f][0-9A-Fa-f]|0[1-9A-Fa-f]|2[0-9A-Ea-e]|5[0-9ABD-Fabd-f])";

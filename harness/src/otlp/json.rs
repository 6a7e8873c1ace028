// SPDX-License-Identifier: Apache-2.0
//! A span in OTLP's JSON: ids in hexadecimal digits, numbers of 64 bits as texts, enumerations as numbers
//! (<https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding>).

use serde_json::{Map, Value as Json, json};

use super::wire::{Field, Malformed, Value, fields};

/// A span; `shown` makes of each text what may be shown of it.
///
/// # Errors
///
/// [`Malformed`], where it is no message `Span`.
pub fn span(span: &[u8], shown: &dyn Fn(String) -> String) -> Result<Json, Malformed> {
    read(span, |number, value, object| {
        match number {
            1 => object.set("traceId", id(value)?),
            2 => object.set("spanId", id(value)?),
            3 => object.set("traceState", value.text()?.into()),
            4 => object.set("parentSpanId", id(value)?),
            5 => object.set("name", shown(value.text()?).into()),
            6 => object.set("kind", value.number()?.into()),
            7 => object.set("startTimeUnixNano", text(value)?),
            8 => object.set("endTimeUnixNano", text(value)?),
            9 => object.push("attributes", attribute(value.bytes()?, shown)?),
            11 => object.push("events", event(value.bytes()?, shown)?),
            13 => object.push("links", link(value.bytes()?, shown)?),
            15 => object.set("status", status(value.bytes()?, shown)?),
            16 => object.set("flags", value.number()?.into()),
            _ => {}
        }
        Ok(())
    })
}

fn event(event: &[u8], shown: &dyn Fn(String) -> String) -> Result<Json, Malformed> {
    read(event, |number, value, object| {
        match number {
            1 => object.set("timeUnixNano", text(value)?),
            2 => object.set("name", shown(value.text()?).into()),
            3 => object.push("attributes", attribute(value.bytes()?, shown)?),
            _ => {}
        }
        Ok(())
    })
}

fn link(link: &[u8], shown: &dyn Fn(String) -> String) -> Result<Json, Malformed> {
    read(link, |number, value, object| {
        match number {
            1 => object.set("traceId", id(value)?),
            2 => object.set("spanId", id(value)?),
            3 => object.set("traceState", value.text()?.into()),
            4 => object.push("attributes", attribute(value.bytes()?, shown)?),
            6 => object.set("flags", value.number()?.into()),
            _ => {}
        }
        Ok(())
    })
}

fn status(status: &[u8], shown: &dyn Fn(String) -> String) -> Result<Json, Malformed> {
    read(status, |number, value, object| {
        match number {
            2 => object.set("message", shown(value.text()?).into()),
            3 => object.set("code", value.number()?.into()),
            _ => {}
        }
        Ok(())
    })
}

/// A `KeyValue` with a text or a whole number: the module tells no others.
fn attribute(attribute: &[u8], shown: &dyn Fn(String) -> String) -> Result<Json, Malformed> {
    read(attribute, |number, value, object| {
        match number {
            1 => object.set("key", value.text()?.into()),
            2 => {
                for Field { number, value, .. } in fields(value.bytes()?).collect::<Result<Vec<_>, _>>()? {
                    match number {
                        1 => object.set("value", json!({"stringValue": shown(value.text()?)})),
                        3 => object.set("value", json!({"intValue": value.number()?.cast_signed().to_string()})),
                        _ => {}
                    }
                }
            }
            _ => {}
        }
        Ok(())
    })
}

/// A message's fields as an object.
fn read<'a>(message: &'a [u8], take: impl Fn(u64, Value<'a>, &mut Object) -> Result<(), Malformed>) -> Result<Json, Malformed> {
    let mut object = Object(Map::new());
    for field in fields(message) {
        let Field { number, value, .. } = field?;
        take(number, value, &mut object)?;
    }
    Ok(Json::Object(object.0))
}

/// An object that is being filled.
struct Object(Map<String, Json>);

impl Object {
    fn set(&mut self, name: &str, value: Json) {
        self.0.insert(name.to_owned(), value);
    }

    fn push(&mut self, name: &str, value: Json) {
        match self.0.get_mut(name) {
            Some(Json::Array(list)) => list.push(value),
            _ => self.set(name, Json::Array(vec![value])),
        }
    }
}

fn id(value: Value<'_>) -> Result<Json, Malformed> {
    value.bytes().map(|bytes| hex::encode(bytes).into())
}

fn text(value: Value<'_>) -> Result<Json, Malformed> {
    value.number().map(|number| number.to_string().into())
}

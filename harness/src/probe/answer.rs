// SPDX-License-Identifier: Apache-2.0
//! What a backend says has reached it.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;

use super::{Carrier, MARK};
use crate::carrier::Carried;

/// What a request was answered with.
#[derive(Debug)]
pub(super) enum Answer {
    /// The backend tells what reached it.
    Echoed(Box<Arrived>),
    /// The gateway answers by itself.
    Refused(u16),
}

/// What reached the backend.
#[derive(Debug)]
pub(super) struct Arrived {
    pub(super) carried: Carried,
    /// The probe's own mark is there.
    pub(super) is_marked: bool,
    lines: Vec<Carrier>,
}

impl Arrived {
    /// Reads `{"headers": …}` in either form: pairs, or values by name. `None` where it is about a request with another mark.
    ///
    /// # Errors
    ///
    /// What was found instead, in words.
    pub(super) fn read(body: &[u8], mark: &str) -> Result<Option<Self>, &'static str> {
        let answer: Value = serde_json::from_slice(body).map_err(|_| if body.is_empty() { "no body" } else { "a body that is no JSON" })?;
        let headers = answer.get("headers").ok_or("JSON without \"headers\"")?;
        let lines = lines(headers).ok_or("JSON with \"headers\" in another form")?;
        let marks = || lines.iter().filter(|(name, _)| name.eq_ignore_ascii_case(MARK)).map(|(_, value)| value.as_slice());
        if marks().any(|found| found != mark.as_bytes()) {
            return Ok(None);
        }
        let carriers = lines.iter().filter_map(|(name, _)| Carrier::named(name.as_bytes())).collect();
        let carried = Carried::of(lines.iter().map(|(name, value)| (name, value)));
        Ok(Some(Self { carried, is_marked: marks().next().is_some(), lines: carriers }))
    }

    /// How many lines of a carrier arrived.
    pub(super) fn count(&self, carrier: Carrier) -> usize {
        self.lines.iter().filter(|known| **known == carrier).count()
    }
}

/// Header lines; `None` where they have neither form.
fn lines(headers: &Value) -> Option<Vec<(String, Vec<u8>)>> {
    match headers {
        Value::Array(pairs) => pairs.iter().map(pair).collect(),
        Value::Object(values) => {
            let lines = values.iter().map(|(name, value)| match value {
                Value::Array(values) => values.iter().map(|value| Some((name.clone(), bytes(value)?))).collect::<Option<Vec<_>>>(),
                value => Some(vec![(name.clone(), bytes(value)?)]),
            });
            Some(lines.collect::<Option<Vec<_>>>()?.into_iter().flatten().collect())
        }
        _ => None,
    }
}

fn pair(pair: &Value) -> Option<(String, Vec<u8>)> {
    match pair.as_array()?.as_slice() {
        [Value::String(name), value] => Some((name.clone(), bytes(value)?)),
        _ => None,
    }
}

/// A value: text, or any bytes as `{"base64": "…"}`.
fn bytes(value: &Value) -> Option<Vec<u8>> {
    match value {
        Value::String(text) => Some(text.as_bytes().to_vec()),
        Value::Object(encoded) => BASE64_STANDARD.decode(encoded.get("base64")?.as_str()?).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_an_echo_are_understood() {
        let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        for (form, lines) in [
            (format!(r#"{{"method":"GET","headers":[["Traceparent","{parent}"],["tracegate-probe","m"],["x",{{"base64":"/w=="}}]]}}"#), 1),
            (format!(r#"{{"args":{{}},"headers":{{"Traceparent":"{parent}","Tracegate-Probe":"m"}}}}"#), 1),
            (format!(r#"{{"headers":{{"Traceparent":["{parent}","{parent}"],"Tracegate-Probe":["m"]}}}}"#), 2),
        ] {
            let arrived = Arrived::read(form.as_bytes(), "m").unwrap().unwrap();
            assert!(arrived.is_marked && arrived.carried.get(Carrier::TRACEPARENT).unwrap().starts_with(parent.as_bytes()), "{form}");
            assert_eq!(arrived.count(Carrier::TRACEPARENT), lines, "{form}");
            assert!(Arrived::read(form.as_bytes(), "n").unwrap().is_none(), "an answer to another request: {form}");
        }
        assert!(!Arrived::read(br#"{"headers":{}}"#, "m").unwrap().unwrap().is_marked);
    }

    #[test]
    fn what_is_no_echo_is_named() {
        for (body, expected) in [
            ("", "no body"),
            ("<html>", "a body that is no JSON"),
            ("[]", "JSON without \"headers\""),
            (r#"{"statusCode":401}"#, "JSON without \"headers\""),
            (r#"{"headers":"x"}"#, "JSON with \"headers\" in another form"),
            (r#"{"headers":[["a"]]}"#, "JSON with \"headers\" in another form"),
            (r#"{"headers":{"a":{"base64":"/"}}}"#, "JSON with \"headers\" in another form"),
        ] {
            assert_eq!(Arrived::read(body.as_bytes(), "m").unwrap_err(), expected, "{body}");
        }
    }
}

// SPDX-License-Identifier: Apache-2.0
//! Layouts of one JSON object a record: alone, in arrays and in envelopes.

use std::fs;

use serde_json::{Value, json};

use crate::{SECRET, layouts, places, read};

/// A layout whose records stand on one line each loses to a cut what the cut runs through, and nothing before it.
#[test]
fn every_cut_of_a_line_costs_that_line() {
    for name in ["gateway-logs-2017.ndjson", "table-rows.ndjson", "insights.ndjson"] {
        let whole = fs::read_to_string(layouts().join(name)).unwrap();
        let first: String = whole.lines().take(2).map(|line| format!("{line}\n")).collect();
        let begins = first.find('\n').unwrap() + 1;
        assert_eq!(places(&read(first.as_bytes()).0), [2, 1]);
        for cut in begins + 1..first.len() - 1 {
            let (found, messages) = read(&first.as_bytes()[..cut]);
            assert_eq!((places(&found), messages.len()), (vec![1], 1), "{name}, cut at {cut}: {messages:?}");
            assert!(messages[0].starts_with("log:2: "), "{messages:?}");
        }
    }
}

/// Each field of a record changed to a wrong value; what is said of it.
fn assert_refused(good: &Value, wrong: &[(&str, Value, &str)]) {
    assert_eq!(read(good.to_string().as_bytes()).1, Vec::<String>::new());
    for (field, value, message) in wrong {
        let mut record = good.clone();
        match value {
            Value::Null => drop(record.as_object_mut().unwrap().remove(*field)),
            value => record[*field] = value.clone(),
        }
        assert_eq!(read(record.to_string().as_bytes()).1, [format!("log:1: {message}")], "{field}: {value}");
    }
}

#[test]
fn rows_are_refused_where_they_are_wrong() {
    let good = json!({"TimeGenerated": "2026-10-05T06:00:00Z", "Method": "GET", "Url": "https://a.example/", "BackendResponseCode": 0,
        "LastErrorSource": "", "RequestHeaders": "", "BackendResponseHeaders": null, "IsRequestSuccess": true, "Errors": [{"a": 1}]});
    let fields = [
        ("TimeGenerated", Value::Null, "TimeGenerated: expected an RFC 3339 date and time, found none"),
        (
            "TimeGenerated",
            json!("10/5/2026, 6:00:00.123 AM"),
            "TimeGenerated: expected an RFC 3339 date and time, found \"10/5/2026, 6:00:00.123 AM\"",
        ),
        ("TimeGenerated", json!(SECRET), "TimeGenerated: expected an RFC 3339 date and time, found other text"),
        ("Method", Value::Null, "Method: expected the request's method, found none"),
        ("Url", json!({"a": SECRET}), "Url: expected text, found another value"),
        ("BackendResponseCode", json!(-1), "BackendResponseCode: expected a status code or nothing, found other text"),
        ("LastErrorReason", json!([SECRET]), "LastErrorReason: expected text, found another value"),
        ("RequestHeaders", json!("{\"a\":"), "RequestHeaders: EOF while parsing a value"),
        ("RequestHeaders", json!({"a b": SECRET}), "expected a header name, found something else"),
        (
            "BackendResponseHeaders",
            json!({"a": {"b": SECRET}}),
            "BackendResponseHeaders: expected a header's value to be text or a list of texts",
        ),
    ];
    assert_refused(&good, &fields);
}

#[test]
fn requests_of_insights_are_refused_where_they_are_wrong() {
    let good = json!({"timestamp": "2026-10-05T06:00:00Z", "name": "GET /", "url": "https://a.example/", "resultCode": "200",
        "customDimensions": "{\"API Name\":\"a\"}"});
    let table = json!({"TimeGenerated": "2026-10-05T06:00:00Z", "Name": "GET /", "Url": "https://a.example/", "ResultCode": 200,
        "Properties": {"HTTP Method": "PUT"}});
    assert_eq!(read(table.to_string().as_bytes()).0[0].request.method, "PUT");
    assert_refused(
        &good,
        &[
            ("timestamp", Value::Null, "timestamp: expected an RFC 3339 date and time, found none"),
            ("name", json!("unnamed"), "HTTP Method: expected the request's method, found none"),
            ("name", json!(format!("{SECRET}{{}} /")), "HTTP Method: expected a method, found other text"),
            ("url", Value::Null, "url: expected the request's URL, found none"),
            ("url", json!("https://<apim>.azure-api.net/"), "url: expected an authority of host and port"),
            ("resultCode", json!("Faulted"), "resultCode: expected a status code or nothing, found other text"),
            ("customDimensions", json!(SECRET), "customDimensions: expected value"),
            ("customDimensions", json!({"Request-a b": SECRET}), "expected a header name, found something else"),
        ],
    );
}

#[test]
fn reports_are_refused_where_they_are_wrong() {
    let good =
        json!({"timestamp": "2026-10-05T06:00:00Z", "method": "GET", "url": "https://a.example/", "responseCode": 200, "apiId": "/apis/-"});
    assert_eq!(read(good.to_string().as_bytes()).0[0].apim.as_ref().unwrap().api, None);
    assert_refused(
        &good,
        &[
            ("timestamp", json!("yesterday"), "timestamp: expected an RFC 3339 date and time, found other text"),
            ("method", Value::Null, "method: expected the request's method, found none"),
            ("url", json!("a"), "url: expected a URL with scheme and host"),
            ("responseCode", json!(1.5), "responseCode: expected a status code or nothing, found other text"),
        ],
    );
    let whole = json!({"count": 1, "value": [good, 7, good]}).to_string();
    let (found, messages) = read(whole.as_bytes());
    assert_eq!((found.len(), messages.len()), (2, 1), "{messages:?}");
    let whole = json!({"value": [good, good]}).to_string();
    for cut in whole.find('[').unwrap() + 1..whole.len() {
        let (found, messages) = read(&whole.as_bytes()[..cut]);
        assert!(found.len() <= 2);
        assert_eq!(messages, ["log:1: expected the end of the array that begins here, found the end of the file"], "cut at {cut}");
    }
}

#[test]
fn records_of_2017_are_refused_where_they_are_wrong() {
    let record = |properties: Value| {
        let properties = if properties.is_object() { json!(properties.to_string()) } else { properties };
        json!({"time": "2026-10-05T06:00:00Z", "properties": properties}).to_string()
    };
    let good = json!({"Method": "GET", "Url": "https://a.example/", "BackendResponseCode": "200", "ApiId": ""});
    assert_eq!(read(record(good.clone()).as_bytes()).1, Vec::<String>::new());
    for (field, value, message) in [
        ("Method", Value::Null, "properties.Method: expected the request's method, found none"),
        ("Method", json!([SECRET]), "properties.Method: expected text, found another value"),
        ("Method", json!(format!("Bearer {SECRET}")), "properties.Method: expected a method, found other text"),
        ("Url", json!(""), "properties.Url: expected the request's URL, found none"),
        ("Url", json!("/relative"), "properties.Url: expected a URL with scheme and host"),
        ("Url", json!("ftp://a/"), "properties.Url: expected the scheme http or https"),
        ("Url", json!("https://a/\u{1}"), "properties.Url: path: expected one that begins with '/' and has no control characters"),
        ("BackendResponseCode", json!(99), "properties.BackendResponseCode: expected 0, 100 to 599 or nothing, found 99"),
        ("BackendResponseCode", json!(SECRET), "properties.BackendResponseCode: expected a status code or nothing, found other text"),
        ("RequestHeaders", json!(SECRET), "properties.RequestHeaders: expected value"),
        ("RequestHeaders", json!([SECRET]), "properties.RequestHeaders: invalid type: expected header values by name, found sequence"),
    ] {
        let mut wrong = good.clone();
        wrong[field] = value;
        assert_eq!(read(record(wrong).as_bytes()).1, [format!("log:1: {message}")]);
    }
    for (properties, message) in [
        (json!("{\"Method\""), "properties, which is text: EOF while parsing an object (column 9)"),
        (json!(SECRET), "properties, which is text: expected value (column 1)"),
        (json!("[]"), "properties, which is text: invalid type: expected a JSON object, found sequence (column 0)"),
        (json!(7), "invalid type: expected an object, or one as JSON text, found integer (column 15)"),
    ] {
        assert_eq!(read(record(properties).as_bytes()).1, [format!("log:1: {message}")]);
    }
}

/// Another member before them has an envelope read whole: what else it holds must not hide its records.
#[test]
fn the_records_of_an_envelope_stand_anywhere_in_it() {
    let record = json!({"time": "2026-10-05T06:00:00Z", "request": {"method": "GET", "path": "/"}});
    for members in [
        r#""records":[{r},{r}]"#,
        r#""records":[{r},{r}],"value":7"#,
        r#""value":null,"records":[{r},{r}]"#,
        r#""value":[{r},{r}],"records":7"#,
        r#""records":7,"value":[{r},{r}]"#,
        r#""records":[{r},{r}],"value":[{r}]"#,
        r#""records":[{r},{r}],"records":7"#,
    ] {
        let envelope = format!("{{\"count\":2,{}}}", members.replace("{r}", &record.to_string()));
        let (found, messages) = read(envelope.as_bytes());
        assert_eq!((found.len(), messages), (2, Vec::new()), "{members}");
    }
    for (envelope, message) in [
        (r#"{"count":2,"records":7}"#, "records: invalid type: expected a sequence, found integer"),
        (r#"{"count":2,"value":7}"#, "expected a record with one of "),
    ] {
        let (found, messages) = read(envelope.as_bytes());
        assert!(found.is_empty() && messages.len() == 1 && messages[0].starts_with(&format!("log:1: {message}")), "{messages:?}");
    }
}

// SPDX-License-Identifier: Apache-2.0
//! Recordings in every layout: what is accepted, what is refused and where, and what a cut costs.

use std::fs;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use flate2::Compression;
use flate2::write::GzEncoder;
use indicatif::ProgressBar;
use serde_json::{Value, json};
use tempfile::TempDir;
use tracegate_harness::Redactor;
use tracegate_harness::recording::{Files, InOrder, Recorded, Records, Stream, WINDOW};
use tracegate_tests::{folder, lines, run, stderr, stdout};

/// What `layouts.py` puts wherever a credential may stand.
const SECRET: &str = "canary-7f3a9";

fn layouts() -> PathBuf {
    folder("recordings").join("layouts")
}

fn replay(recordings: &[&Path]) -> Output {
    let policy = folder("recordings").join("sample-policy.yaml");
    let arguments = ["replay", "--format", "json", "--policy"].map(PathBuf::from);
    run(arguments.into_iter().chain([policy]).chain(recordings.iter().map(|path| path.to_path_buf())))
}

/// Reads `contents` in time order; the exchanges, and the messages of what can't be read, with the file as `log`.
fn read(contents: &[u8]) -> (Vec<Recorded>, Vec<String>) {
    let scratch = TempDir::new().unwrap();
    let path = scratch.path().join("log");
    fs::write(&path, contents).unwrap();
    let files = Files(vec![path]);
    let (redactor, progress) = (Redactor::new(0), ProgressBar::hidden());
    let (mut found, mut messages) = (Vec::new(), Vec::new());
    match Records::open(0, &files.0[0], &redactor, &progress) {
        Err(unread) => messages.push(files.locate(&unread)),
        Ok(records) => {
            for next in InOrder::new([records], WINDOW) {
                match next {
                    Ok(ordered) => found.push(ordered.recorded),
                    Err(unread) => messages.push(files.locate(&unread).replace(files.0[0].to_str().unwrap(), "log")),
                }
            }
        }
    }
    assert!(messages.iter().all(|message| !message.contains(SECRET)), "{messages:?}");
    assert!(found.iter().all(|recorded| !recorded.request.path.contains(SECRET)));
    (found, messages)
}

/// The lines on which the exchanges stand.
fn places(found: &[Recorded]) -> Vec<u64> {
    found.iter().map(|recorded| recorded.place.line).collect()
}

#[test]
fn the_layouts_are_what_their_generator_writes() {
    let output = Command::new("python3").arg(folder("recordings").join("layouts.py")).arg("--check").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// The generator, which shares no code with the product, says what each exchange must come to.
#[test]
fn every_layout_comes_to_what_its_generator_says() {
    let expected = fs::read(folder("recordings").join("layouts.expected.json")).unwrap();
    let expected: Value = serde_json::from_slice(&expected).unwrap();
    assert_eq!(fs::read_dir(layouts()).unwrap().count(), expected.as_object().unwrap().len());
    for (name, rows) in expected.as_object().unwrap() {
        let output = replay(&[&layouts().join(name)]);
        assert_eq!((output.status.code(), stderr(&output).as_str()), (Some(0), ""), "{name}");
        assert!(!stdout(&output).contains(SECRET), "{name}");
        let found = lines(&output);
        assert_eq!(found.len(), rows.as_array().unwrap().len() + 1, "{name}");
        for (row, line) in rows.as_array().unwrap().iter().zip(&found) {
            assert_eq!(line["line"], row["line"], "{name}: {line}");
            assert_eq!(line["undecidable"], row["undecidable"], "{name}: {line}");
            assert_eq!(line["agrees"], if row["undecidable"].is_null() { json!(true) } else { Value::Null }, "{name}: {line}");
            let request = &line["upstream_request"];
            assert_eq!(request.is_null(), row["request"].is_null(), "{name}: {line}");
            if !request.is_null() {
                let path = row["request"][1].as_str().unwrap();
                let shown = request["path"].as_str().unwrap();
                let (before, after) = path.split_once(SECRET).unwrap_or((path, ""));
                assert!(request["method"] == row["request"][0] && shown.starts_with(before) && shown.ends_with(after), "{name}: {line}");
                assert_eq!(shown.len(), if path.contains(SECRET) { path.len() - SECRET.len() + 17 } else { path.len() }, "{name}: {shown}");
                let headers = request["headers"].as_array().unwrap();
                let parent = headers.iter().find(|header| header[0] == "traceparent").unwrap()[1].as_str().unwrap();
                let continued = row["continues"].as_str().is_some_and(|trace_id| parent.contains(trace_id));
                assert_eq!(continued, row["continues"].is_string(), "{name}: {parent}");
            }
        }
    }
}

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

/// A row of a query's result, and the columns that it has.
const ROW: &str = r#"["2026-10-05T06:00:00Z","GET","https://a.example/",1]"#;
const COLUMNS: &str = r#""columns":[{"name":"TimeGenerated"},{"name":"Method"},{"name":"Url"},{"name":"Other"}]"#;

/// Read row by row, or whole where something stands before the tables, or before a table's columns.
#[test]
fn results_of_queries_are_refused_where_they_are_wrong() {
    let rows = format!("\"rows\":[\n{ROW},\n[1,2,3],\n7,\n{ROW},\n[\"{SECRET}\",2,{{\"a\":[]}},4],\n{ROW}]");
    for (before, table) in [
        ("", format!("{COLUMNS},{rows}")),
        ("", format!("\"name\":\"PrimaryResult\",{COLUMNS},{rows},\"more\":[{{}}]")),
        ("", format!("{rows},{COLUMNS}")),
        ("\"statistics\":{},", format!("{COLUMNS},{rows}")),
        ("\"statistics\":{},", format!("{rows},{COLUMNS}")),
    ] {
        let result = format!("{{{before}\"tables\":[{{{table}}},\n{{{COLUMNS},\"rows\":[{ROW}]}}]}}\n");
        let (found, messages) = read(result.as_bytes());
        assert_eq!(places(&found), [2, 5, 7, 8], "{result}");
        let expected = [
            "log:3: expected 4 cells, as many as there are columns, found 3",
            "log:4: expected a row as an array, found '7'",
            "log:6: Url: expected text, found another value",
        ];
        assert_eq!(messages, expected, "{result}");
    }
    let rows = format!("\"rows\":[\n{ROW},\n[\"{SECRET}\",nil,3,4],\n{ROW}]");
    for (table, lines, message) in [
        (format!("{COLUMNS},{rows}"), vec![2, 4, 5], "log:3: expected ident (column 18)"),
        // Read whole, a table is JSON or isn't.
        (format!("{rows},{COLUMNS}"), vec![5], "log:1: expected ident (line 3 of the record, column 18)"),
    ] {
        let (found, messages) = read(format!("{{\"tables\":[{{{table}}},\n{{{COLUMNS},\"rows\":[{ROW}]}}]}}\n").as_bytes());
        assert_eq!((places(&found), messages), (lines, vec![message.to_owned()]));
    }
    for (result, message) in [
        (r#"{"tables":7}"#, "tables: invalid type: expected a sequence, found integer"),
        (r#"{"tables":[7]}"#, "expected a JSON object, found '7'"),
        (r#"{"a":1,"tables":[7]}"#, "invalid type: expected a JSON object, found integer"),
        (r#"{"tables":[{"columns":[]}]}"#, "tables: missing field `rows`"),
        (r#"{"tables":[{"rows":[]}]}"#, "tables: missing field `columns`"),
        (r#"{"tables":[{"columns":[7],"rows":[[1]]}]}"#, "tables: invalid type: expected a column as a JSON object, found integer"),
        (r#"{"tables":[{"columns":[{"name":"count_"}],"rows":[[1]]}]}"#, "expected a record with one of "),
    ] {
        let messages = read(result.as_bytes()).1;
        assert!(messages.len() == 1 && messages[0].starts_with(&format!("log:1: {message}")), "{result}: {messages:?}");
    }
}

#[test]
fn every_cut_of_a_result_is_located_and_costs_no_row_before_it() {
    let whole = fs::read_to_string(layouts().join("table-query.json")).unwrap();
    let row_ends: Vec<usize> = whole.match_indices("]").map(|(at, _)| at + 1).filter(|at| whole[*at..].starts_with([',', '\n'])).collect();
    let rows_begin = whole.find("\"rows\":[").unwrap() + 8;
    for cut in whole.find('[').unwrap() + 1..whole.trim_end().len() {
        let (found, messages) = read(&whole.as_bytes()[..cut]);
        let complete = row_ends.iter().filter(|&&end| (rows_begin..=cut).contains(&end)).count();
        assert_eq!(found.len(), complete, "cut at {cut}");
        assert_eq!(messages, ["log:1: expected the end of the array that begins here, found the end of the file"], "cut at {cut}");
    }
}

#[test]
fn what_follows_a_cut_result_is_read() {
    let cut = format!("{{\"tables\":[{{{COLUMNS},\"rows\":[\n{ROW},\n[1,");
    let table = format!("{{{COLUMNS},\"rows\":[\n{ROW}]}}");
    let record = r#"{"time":"2026-10-05T06:00:00Z","request":{"method":"GET","path":"/"}}"#;
    for (next, line) in [
        (format!("{{\"tables\":[{table}]}}"), 5),
        (format!("{{\"a\":1,\"tables\":[{table}]}}"), 5),
        (table, 5),
        (format!("{{\"records\":[{record}]}}"), 4),
        (record.to_owned(), 4),
    ] {
        let (found, messages) = read(format!("{cut}\n{next}\n").as_bytes());
        assert_eq!(places(&found), [2, line], "{next}");
        assert!(messages.iter().any(|message| message.starts_with("log:1: expected the end of the array ")), "{messages:?}");
    }
}

#[test]
fn a_pretty_printed_result_is_read() {
    let result: Value = serde_json::from_slice(&fs::read(layouts().join("table-query.json")).unwrap()).unwrap();
    let pretty = serde_json::to_string_pretty(&result).unwrap();
    let (found, messages) = read(pretty.as_bytes());
    let rows: Vec<u64> = (1..).zip(pretty.lines()).filter(|(_, line)| *line == "        [").map(|(at, _)| at).collect();
    let mut lines = places(&found);
    lines.sort_unstable();
    assert_eq!((lines, messages), (rows, Vec::new()));
}

/// More than is kept of any one record, as the query API writes it: on one line.
#[test]
fn a_result_of_any_length_is_read_in_bounded_memory() {
    let row = |at: usize| {
        ROW.replace("06:00:00", &format!("06:{:02}:{:02}", at / 60, at % 60)).replace(",1]", &format!(",\"{}\"]", "x".repeat(40_000)))
    };
    let table =
        |rows: usize| format!("{{\"name\":\"PrimaryResult\",{COLUMNS},\"rows\":[{}]}}", (0..rows).map(row).collect::<Vec<_>>().join(","));
    let scratch = TempDir::new().unwrap();
    let [small, large] = ["small", "large"].map(|name| scratch.path().join(name));
    fs::write(&small, format!("{{\"tables\":[{}]}}", table(10))).unwrap();
    fs::write(&large, format!("{{\"tables\":[{},{}],\"statistics\":{{}}}}", table(10), table(1000))).unwrap();
    assert!(fs::metadata(&large).unwrap().len() > 40_000_000);
    let output = replay(&[&large]);
    assert_eq!((lines(&output).len(), stderr(&output).as_str(), output.status.code()), (1010 + 1, "", Some(0)));
    #[cfg(target_os = "linux")]
    {
        let (least, most) = (peak_memory(&small), peak_memory(&large));

        assert!(most < least + (8 << 10), "{least} and {most} KiB");
    }
}

#[test]
fn csv_is_read_as_rfc_4180_has_it() {
    let url = |path: &str| format!("https://a.example/{path}");
    for (rows, expected) in [
        ("Method,TimeGenerated,Url,Other\nGET,{t},{u},\n", vec!["GET /u 2"]),
        ("\u{feff}TimeGenerated [UTC],\"Method\",Url\r\n{t},GET,{u}\r\n\r\n\n{t},PUT,{u}", vec!["GET /u 2", "PUT /u 5"]),
        ("Note,TimeGenerated,Url,Method\n\"a\"\"b,\r\n\nc\",{t},{u},GET\n\"\",{t},{u},PUT\n", vec!["GET /u 2", "PUT /u 5"]),
        ("timestamp,url,resultCode,name,customDimensions\n{t},{u},200,GET /,\"{\"\"HTTP Method\"\":\"\"PUT\"\"}\"\n", vec!["PUT /u 2"]),
        ("timestamp,url,method\n{t},{u},GET\n", vec!["GET /u 2"]),
    ] {
        let text = rows.replace("{t}", "2026-10-05T06:00:00Z").replace("{u}", &url("u"));
        let (found, messages) = read(text.as_bytes());
        assert_eq!(messages, Vec::<String>::new(), "{rows}");
        let found: Vec<String> =
            found.iter().map(|recorded| format!("{} {} {}", recorded.request.method, recorded.request.path, recorded.place.line)).collect();
        assert_eq!(found, expected, "{rows}");
    }
}

#[test]
fn broken_rows_of_csv_are_located_and_cost_only_themselves() {
    let good = "2026-10-05T06:00:00Z,GET,https://a.example/,\"a\nb\"";
    let read = |rows: &str| read(format!("TimeGenerated,Method,Url,Note\n{rows}").replace("{good}", good).as_bytes());
    for (rows, lines, expected) in [
        ("{good}\na,b\n{good}", vec![2, 5], vec!["log:4: expected 4 fields, as many as in the header, found 2"]),
        ("{good},\n{good}", vec![4], vec!["log:2: expected 4 fields, as many as in the header, found 5"]),
        (
            "{good}\n2026,\"GET,canary-7f3a9\n{good}\n{good}",
            vec![2, 5, 7],
            vec!["log:4: column 2 (Method): expected ',' or the end of the line behind a closing quote, found more"],
        ),
        ("{good}\n2026,GET,\"canary-7f3a9", vec![2], vec!["log:4: column 3 (Url): expected a closing quote, found the end of the file"]),
        (
            "{good}\n,,,\"canary-7f3a9\"x\n{good}",
            vec![2, 5],
            vec!["log:4: column 4: expected ',' or the end of the line behind a closing quote, found more"],
        ),
        ("2026,GET,https://a/,\n{good}", vec![3], vec!["log:2: TimeGenerated: expected an RFC 3339 date and time, found other text"]),
        (",GET,https://a/,\n", vec![], vec!["log:2: TimeGenerated: expected an RFC 3339 date and time, found none"]),
        ("{\"a\": 1}\n{good}", vec![3], vec!["log:2: expected 4 fields, as many as in the header, found 1"]),
    ] {
        let (found, messages) = read(rows);
        assert_eq!((places(&found), messages), (lines, expected.iter().map(|&message| message.to_owned()).collect()), "{rows}");
    }
    let mut bytes = b"TimeGenerated,Method,Url\n2026-10-05T06:00:00Z,GET,https://a/\xff\n".to_vec();
    assert_eq!(messages_of(&bytes), ["log:2: Url: expected text in UTF-8, found other bytes"]);
    bytes.truncate(20);
    assert_eq!(messages_of(&bytes), ["log:1: expected a column Url, found none"]);
    for (header, message) in [
        ("TimeGenerated,Url,Other", "expected a column Method, found none"),
        ("TimeGenerated,Method,Other", "expected a column Url, found none"),
        ("Method,Url,Other", "expected a column TimeGenerated, found none"),
        ("Url,Method,TimeGenerated,Url", "expected the column Url once, found it again"),
        ("url,customDimensions,timestamp,x", "expected a column resultCode or ResultCode, found none"),
        ("a,b,c", "expected a JSON object or a CSV header with a column that is known, found 'a'"),
    ] {
        assert_eq!(messages_of(format!("{header}\n{good}\n").as_bytes()), [format!("log:1: {message}")]);
    }
}

fn messages_of(contents: &[u8]) -> Vec<String> {
    read(contents).1
}

#[test]
fn every_cut_of_csv_costs_the_row_it_runs_through() {
    let whole = fs::read(layouts().join("table.csv")).unwrap();
    let (all, _) = read(&whole);
    let begins: Vec<u64> = {
        let mut lines = places(&all);
        lines.sort_unstable();
        lines
    };
    let line_ends: Vec<usize> = (0..whole.len()).filter(|&at| whole[at] == b'\n').collect();
    // The last row that has line breaks within.
    let place =
        begins.iter().rposition(|line| begins.contains(line) && !begins.contains(&(line + 1)) && line < begins.last().unwrap()).unwrap();
    let (from, to) = (line_ends[begins[place] as usize - 2] + 1, line_ends[begins[place + 1] as usize - 2]);
    let last_column = whole[..to].iter().rposition(|&byte| byte == b',').unwrap();
    for cut in from + 1..to {
        let (found, messages) = read(&whole[..cut]);
        // The end of the last field is not marked: a cut there goes unseen.
        if cut > last_column {
            assert_eq!((found.len(), messages.len()), (place + 1, 0), "cut at {cut}: {messages:?}");
        } else {
            assert_eq!(found.len(), place, "cut at {cut}: {messages:?}");
            assert!(messages[0].starts_with(&format!("log:{}: ", begins[place])), "cut at {cut}: {messages:?}");
        }
    }
}

/// A quote that is never closed makes every line behind it part of one field: it must not be read again from each of them.
#[test]
fn hostile_csv_takes_linear_time_and_bounded_memory() {
    let good = "2026-10-05T06:00:00Z,GET,https://a.example/";
    let header = "TimeGenerated,Method,Url";
    let (found, messages) = read(format!("{header}\n{good}\n\"{}\n{good}\n", "x".repeat(20 << 20)).as_bytes());
    assert_eq!((places(&found), messages), (vec![2, 4], vec!["log:3: expected a row of at most 16 MiB, found more".to_owned()]));
    let begun = std::time::Instant::now();
    let (found, messages) = read(format!("{header}\n\"{}{good}\n", "a,\"\"\n".repeat(200_000)).as_bytes());
    assert_eq!((found.len(), messages.len()), (1, 200_000));
    assert!(begun.elapsed().as_secs() < 20);
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

/// Records of every layout in one stream, with what is none of them between.
#[test]
fn one_file_may_mix_layouts() {
    let file = |name: &str| fs::read_to_string(layouts().join(name)).unwrap();
    let [table, insights, reports, query] = ["table-rows.ndjson", "insights.ndjson", "by-request.json", "table-query.json"].map(file);
    let csv = file("table.csv");
    let mixed = format!("{table}{{\"a\":\"{SECRET}\"}}\n{insights}{reports}{csv}{query}");
    let (found, messages) = read(mixed.as_bytes());
    assert_eq!(found.len(), 4 * 8);
    assert!(found.is_sorted_by_key(|recorded| recorded.time));
    assert!(messages[0].starts_with("log:9: expected a record with one of `properties`, "), "{messages:?}");
    // Rows of CSV among JSON are none; what within them is no line of `{` is passed over with them.
    assert!(messages[1].starts_with("log:28: expected a JSON object, found "), "{messages:?}");
}

#[test]
fn records_late_by_more_than_the_window_are_told() {
    let at = |second: u32| json!({"time": format!("2026-10-05T06:00:{second:02}Z"), "request": {"method": "GET", "path": "/"}}).to_string();
    let scratch = TempDir::new().unwrap();
    let path = scratch.path().join("log");
    fs::write(&path, [5, 4, 3, 2, 1].map(at).join("\n")).unwrap();
    let files = Files::named(&[path]);
    let (redactor, progress) = (Redactor::new(0), ProgressBar::hidden());
    let late: Vec<(u64, bool)> = InOrder::new(Stream::of(&files, &redactor, &progress), 2)
        .map(|next| next.map(|ordered| (ordered.recorded.place.line, ordered.late)).unwrap())
        .collect();
    assert_eq!(late, [(2, false), (3, true), (4, true), (5, true), (1, false)]);
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

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn gzip_is_told_by_its_first_bytes_and_every_cut_of_it_is_located() {
    let whole = fs::read(layouts().join("gateway-logs-2017.ndjson")).unwrap();
    let all = places(&read(&whole).0);
    let packed = gzip(&whole);
    assert_eq!((places(&read(&packed).0), read(&packed).1.len()), (all.clone(), 0));
    // Members follow one another, as where files are appended to.
    let (head, tail) = whole.split_at(1000);
    assert_eq!(places(&read(&[gzip(head), gzip(tail)].concat()).0), all);
    for cut in 2..packed.len() {
        let (found, messages) = read(&packed[..cut]);
        assert_eq!(messages.len(), 1, "cut at {cut}: {messages:?}");
        let line = messages[0].strip_prefix("log:").and_then(|rest| rest.split(':').next()).unwrap().parse::<u64>().unwrap();
        let last = places(&found).into_iter().max().unwrap_or(0);
        // A cut just before a line's end is one of that line.
        assert!(found.len() as u64 == last && (last..=last + 1).contains(&line), "cut at {cut}: {messages:?}");
        assert!(messages[0].ends_with(": expected the rest of the gzip data, found the end of the file"), "{messages:?}");
    }
    let mut wrong = packed.clone();
    *wrong.iter_mut().nth_back(6).unwrap() ^= 1;
    let (found, messages) = read(&wrong);
    assert_eq!((found.len(), messages.len()), (8, 1));
    assert!(messages[0].starts_with("log:9: expected sound gzip data: "), "{messages:?}");
}

#[test]
fn a_directory_stands_for_every_file_below_it() {
    let scratch = TempDir::new().unwrap();
    let top = scratch.path().join("logs");
    fs::create_dir_all(top.join("b/.hidden")).unwrap();
    let record = |second: u32, path: &str| {
        let properties = json!({"method": "GET", "url": format!("https://api.contoso.example/orders/{path}"), "backendResponseCode": 200});
        json!({"time": format!("2026-10-05T06:00:{second:02}Z"), "properties": properties}).to_string()
    };
    fs::write(top.join("b/2.log"), record(3, "2")).unwrap();
    fs::write(top.join("b/10.log"), gzip(record(3, "10").as_bytes())).unwrap();
    fs::write(top.join("z"), record(1, "z")).unwrap();
    fs::write(top.join("b/.hidden/1"), "nonsense").unwrap();
    fs::write(top.join(".DS_Store"), "nonsense").unwrap();
    fs::write(scratch.path().join("beside"), record(2, "beside")).unwrap();
    let paths = |output: &Output| -> Vec<String> {
        let found = lines(output);
        found[..found.len() - 1].iter().map(|line| line["upstream_request"]["path"].as_str().unwrap().to_owned()).collect()
    };
    let output = replay(&[&scratch.path().join("beside"), &top]);
    assert_eq!((paths(&output), stderr(&output).as_str()), (["z", "beside", "10", "2"].map(|name| format!("/orders/{name}")).into(), ""));
    let empty = scratch.path().join("empty");
    fs::create_dir(&empty).unwrap();
    let output = replay(&[&empty, &top]);
    assert_eq!((paths(&output).len(), output.status.code()), (3, Some(2)));
    assert_eq!(stderr(&output), format!("{}: expected a file below this directory, found none\n", empty.display()));
}

/// More files than may be open at once: neighbours are read one after another.
#[test]
fn any_number_of_files_is_read_in_time_order() {
    let scratch = TempDir::new().unwrap();
    for hour in 0..200 {
        let records = [30, 10, 20].map(|second| {
            let request = json!({"method": "GET", "path": "/"});
            format!("{}\n", json!({"time": format!("2026-10-{:02}T{:02}:00:{second}Z", 1 + hour / 24, hour % 24), "request": request}))
        });
        fs::write(scratch.path().join(format!("{hour:03}")), records.concat()).unwrap();
    }
    let files = Files::named(&[scratch.path().to_owned()]);
    let (redactor, progress) = (Redactor::new(0), ProgressBar::hidden());
    let streams = Stream::of(&files, &redactor, &progress);
    assert!(streams.len() <= 64, "{}", streams.len());
    let found: Vec<Recorded> = InOrder::new(streams, WINDOW)
        .map(|next| {
            let ordered = next.unwrap();
            assert!(!ordered.late);
            ordered.recorded
        })
        .collect();
    assert_eq!(found.len(), 600);
    assert!(found.is_sorted_by_key(|recorded| recorded.time));
}

/// 100 MB of one line, plain and packed: refused where it stands, in memory that doesn't grow with it.
#[test]
fn a_line_without_bounds_costs_itself_and_no_memory() {
    let scratch = TempDir::new().unwrap();
    let path = scratch.path().join("log");
    let good = r#"{"time":"2026-10-05T06:00:00Z","request":{"method":"GET","path":"/"}}"#;
    for packed in [false, true] {
        for (before, after) in [("{\"a\":\"", "\"}"), ("", ""), ("{\"a\":\"", "")] {
            let mut file = BufWriter::new(fs::File::create(&path).unwrap());
            let contents = [format!("{good}\n{before}"), "x".repeat(100 << 20), format!("{after}\n{good}\n")].concat();
            file.write_all(&if packed { gzip(contents.as_bytes()) } else { contents.into_bytes() }).unwrap();
            file.flush().unwrap();
            let output = replay(&[&path]);
            let expected = if before.is_empty() { "a JSON object, found 'x'" } else { "a record of at most 16 MiB, found more" };
            assert_eq!(stderr(&output), format!("{}:2: expected {expected}\n", path.display()));
            assert_eq!((lines(&output)[1]["line"].as_u64(), output.status.code()), (Some(3), Some(1)));
        }
        #[cfg(target_os = "linux")]
        {
            let small = scratch.path().join("small");
            fs::write(&small, good).unwrap();
            let (least, most) = (peak_memory(&small), peak_memory(&path));
            assert!(most < least + (48 << 10), "{least} and {most} KiB");
        }
    }
}

/// The most memory that a replay takes, in KiB.
#[cfg(target_os = "linux")]
fn peak_memory(recording: &Path) -> u64 {
    let script = "import resource, subprocess, sys; subprocess.run(sys.argv[1:], capture_output=True); \
        print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)";
    let command = tracegate_tests::tracegate();
    let output = Command::new("python3").args(["-c", script]).arg(command.get_program()).arg("replay").arg(recording).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().parse().unwrap()
}

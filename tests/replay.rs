// SPDX-License-Identifier: Apache-2.0
//! `tracegate replay`, as its users meet it: arguments in, bytes and exit code out.

#[path = "replay/against.rs"]
mod against;
#[path = "replay/agreement.rs"]
mod agreement;
#[path = "replay/callers.rs"]
mod callers;
#[path = "replay/digest.rs"]
mod digest;
#[path = "replay/export.rs"]
mod export;
#[path = "replay/find.rs"]
mod find;
#[path = "replay/html.rs"]
mod html;
#[path = "replay/limits.rs"]
mod limits;
#[path = "replay/mint.rs"]
mod mint;
#[path = "replay/sampling.rs"]
mod sampling;
#[path = "replay/secrets.rs"]
mod secrets;
#[path = "replay/spans.rs"]
mod spans;
#[path = "replay/survival.rs"]
mod survival;

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;
use tracegate_tests::{folder, lines, run, stderr, stdout};

/// A file in a directory that goes when the test ends.
fn file(scratch: &TempDir, name: &str, contents: &str) -> PathBuf {
    let path = scratch.path().join(name);
    fs::write(&path, contents).unwrap();
    path
}

fn replay(arguments: &[&str]) -> std::process::Output {
    run(std::iter::once("replay").chain(arguments.iter().copied()))
}

fn text(path: &std::path::Path) -> &str {
    path.to_str().unwrap()
}

fn summary(lines: &[Value]) -> &Value {
    &lines.last().unwrap()["summary"]
}

/// One GatewayLogs record; `properties` are added to the least that there is.
fn record(properties: Value) -> Value {
    let mut whole = json!({"method": "GET", "url": "https://api.example/a", "responseCode": 200, "backendResponseCode": 200});
    whole.as_object_mut().unwrap().extend(properties.as_object().unwrap().clone());
    json!({"time": "2026-10-05T06:00:00.1234567Z", "category": "GatewayLogs", "properties": whole})
}

/// The generator, which shares no code with the product, says what each exchange of the sample must come to.
#[test]
fn the_sample_comes_to_what_its_generator_says() {
    let expected: Value = serde_json::from_slice(&fs::read(folder("recordings").join("sample.expected.json")).unwrap()).unwrap();
    let output = replay(&[]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let table = stdout(&output);
    for (api, row) in expected["by_api"].as_object().unwrap() {
        let found: Vec<&str> =
            table.lines().find(|line| line.starts_with(&format!("{api} "))).unwrap().split_whitespace().skip(1).collect();
        let number = |name: &str| row[name].to_string();
        let expected = ["exchanges", "continued", "restarted", "refused", "agreed"].map(number);
        assert_eq!(found[..5], expected, "{api}");
        assert_eq!((found[5], found[6]), ("0", number("undecidable").as_str()), "{api}");
    }
    for (undecidable, count) in expected["undecidable"].as_object().unwrap() {
        let line = table.lines().find(|line| line.contains(&format!(" {undecidable}: "))).unwrap();
        assert_eq!(line.split_whitespace().next().unwrap(), count.to_string(), "{undecidable}");
    }
    // Whom the sample's policy trusts, by its callers' addresses; and what looks spoofed.
    for (principal, fates) in expected["by_principal"].as_object().unwrap() {
        let line = table.lines().find(|line| line.starts_with(&format!("{principal} ("))).unwrap();
        let found: Vec<&str> = line.split_whitespace().skip(3).collect();
        assert_eq!(found, [fates["continued"].to_string(), fates["linked"].to_string(), fates["restarted"].to_string(), "0".to_owned()]);
    }
    for (sign, count) in expected["signs"].as_object().unwrap() {
        let line = table.lines().find(|line| line.contains(&format!(" {sign}: "))).unwrap();
        assert_eq!(line.split_whitespace().next().unwrap(), count.to_string(), "{sign}");
    }
    let json = lines(&replay(&["--format", "json"]));
    for principal in summary(&json)["trust"]["principals"].as_array().unwrap() {
        let expected = &expected["by_principal"][principal["name"].as_str().unwrap()];
        assert_eq!((&principal["continued"], &principal["linked"]), (&expected["continued"], &expected["linked"]));
    }
    assert_eq!(summary(&json)["trust"]["signs"], expected["signs"]);
}

/// The rows of a table, the totals last: names, and numbers in the order of the headings.
pub(crate) fn rows(table: &str) -> Vec<(String, Vec<u64>)> {
    let lines = table.lines().skip(1).take_while(|line| !line.is_empty()).filter(|line| !line.starts_with("---"));
    let row = |line: &str| {
        let mut numbers: Vec<&str> = line.split_whitespace().collect();
        let name = numbers.drain(..numbers.len() - 7).collect::<Vec<_>>().join(" ");
        (name, numbers.into_iter().map(|number| number.parse().unwrap()).collect())
    };
    lines.map(row).collect()
}

#[test]
fn the_table_is_by_api_or_hour_or_reason() {
    let plain = stdout(&replay(&[]));
    assert!(!plain.contains('\x1b') && !plain.contains('…'), "what is no terminal gets neither colour nor cuts: {plain}");
    assert_eq!(stdout(&replay(&["--by", "api"])), plain);
    let all = rows(&plain).pop().unwrap();
    for (by, heading) in [("hour", "hour (UTC) "), ("reason", "reason ")] {
        let table = stdout(&replay(&["--by", by]));
        assert!(table.starts_with(heading), "{table}");
        let mut rows = rows(&table);
        assert_eq!(rows.pop().as_ref(), Some(&all), "the totals are the same, however they are told apart");
        assert!(rows.is_sorted() && rows.len() > 1, "{table}");
        let sums: Vec<u64> = (0..7).map(|column| rows.iter().map(|(_, numbers)| numbers[column]).sum()).collect();
        assert_eq!(sums, all.1, "{table}");
        let first = rows.first().unwrap();
        match by {
            "hour" => assert_eq!((first.0.len(), first.0.get(13..)), (16, Some(":00")), "{table}"),
            "reason" => assert_eq!(rows[1].0, "OperationNotFound", "{table}"),
            _ => {}
        }
    }
    let output = replay(&["--by", "hour", "--format", "json"]);
    assert_eq!((output.status.code(), stdout(&output).as_str()), (Some(2), ""));
    assert!(stderr(&output).contains("expected --by with --format text"), "{}", stderr(&output));
}

#[test]
fn hours_are_of_the_request_in_utc() {
    let scratch = TempDir::new().unwrap();
    let records: String =
        ["2026-10-05T06:59:59.9999999Z", "2026-10-05T07:00:00Z", "2026-10-05T09:30:00+02:00", "2026-10-06T00:10:00+01:00"]
            .into_iter()
            .map(|time| {
                let mut record = record(json!({}));
                record["time"] = json!(time);
                format!("{record}\n")
            })
            .collect();
    let log = file(&scratch, "log.json", &records);
    let table = stdout(&replay(&[text(&log), "--by", "hour"]));
    let found: Vec<(String, u64)> = rows(&table).into_iter().map(|(name, numbers)| (name, numbers[0])).collect();
    let expected = [("2026-10-05 06:00", 1), ("2026-10-05 07:00", 2), ("2026-10-05 23:00", 1), ("all", 4)];
    assert_eq!(found, expected.map(|(name, count)| (name.to_owned(), count)));
}

#[test]
fn the_sample_is_what_its_generator_writes() {
    let script = folder("recordings").join("generate.py");
    let output = Command::new("python3").arg(script).arg("--check").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn json_has_every_field_and_the_same_bytes_every_time() {
    let first = replay(&["--format", "json"]);
    assert_eq!(first.status.code(), Some(0));
    assert_eq!(replay(&["--format", "json"]).stdout, first.stdout, "same inputs and seed, same bytes");
    assert_ne!(replay(&["--format", "json", "--seed", "1"]).stdout, first.stdout, "another seed, other ids");
    let text = stdout(&first);
    let shape = r#"{"recording":"tests/recordings/sample.ndjson","index":"#;
    assert!(text.lines().next().unwrap().starts_with(shape), "{text:.300}");
    let lines = lines(&first);
    let order = [
        "recording",
        "index",
        "line",
        "decision",
        "status",
        "reason",
        "upstream_request",
        "response",
        "span",
        "agrees",
        "undecidable",
        "difference",
    ];
    for (line, shown) in lines.iter().zip(text.lines()).take(lines.len() - 1) {
        let places: Vec<usize> = order.iter().map(|field| shown.find(&format!("\"{field}\":")).unwrap()).collect();
        assert!(places.is_sorted() && line.as_object().unwrap().len() == order.len(), "{shown}");
        assert_eq!(line["upstream_request"].is_null(), line["decision"] == "refused", "{shown}");
        assert_eq!(line["undecidable"].is_null(), !line["agrees"].is_null(), "{shown}");
    }
    let summary = summary(&lines);
    let expected = json!({"exchanges": 2400, "admitted": 2350, "refused": 50, "agreed": 2077, "differed": 0, "undecidable": 323, "malformed": 0,
        "policy_fingerprint": summary["policy_fingerprint"], "module_version": tracegate::VERSION, "seed": 0, "trust": summary["trust"],
        "sampling": summary["sampling"]});
    assert_eq!(summary, &expected);
    assert_eq!(summary["policy_fingerprint"].as_str().unwrap().len(), 16);
}

#[test]
fn records_come_in_time_order_across_files_whatever_the_layout() {
    let scratch = TempDir::new().unwrap();
    let at = |second: u32, path: &str| {
        let mut record = record(json!({"url": format!("https://api.example/{path}")}));
        record["time"] = json!(format!("2026-10-05T06:00:{second:02}Z"));
        record
    };
    let pretty = serde_json::to_string_pretty(&json!({"records": [at(5, "f"), at(1, "b")]})).unwrap();
    let envelope = file(&scratch, "envelope.json", &format!("\u{feff}{pretty}\n{}", json!({"records": [at(3, "d")]})));
    let stream = file(&scratch, "stream.json", &format!("{}{}\n\n{:#}", at(2, "c"), at(0, "a"), at(3, "e")));
    let native =
        file(&scratch, "native.ndjson", "{\"time\":\"2026-10-05T06:00:09.123456789Z\",\"request\":{\"method\":\"GET\",\"path\":\"/g\"}}\n");
    let output = replay(&[text(&envelope), text(&stream), text(&native), "--format", "json"]);
    let lines = lines(&output);
    let found: Vec<String> =
        lines[..7].iter().map(|line| format!("{}{}", line["upstream_request"]["path"].as_str().unwrap(), line["line"])).collect();
    assert_eq!(found, ["/a1", "/b13", "/c1", "/d25", "/e3", "/f3", "/g1"], "{}", stderr(&output));
    assert_eq!(lines[6]["undecidable"], "no_record");
    assert_eq!(output.status.code(), Some(0), "what can't be decided is no finding");
}

#[test]
fn envelopes_may_hold_more_than_records() {
    let scratch = TempDir::new().unwrap();
    let good = record(json!({}));
    let first = json!({"count": 1, "records": [good, good]});
    let log = file(&scratch, "log.json", &format!("{first:#}\n{{\"records\":[{good}],\"count\":1}}\n"));
    let found = lines(&replay(&[text(&log), "--format", "json"]));
    assert_eq!(found[..3].iter().map(|line| line["line"].as_u64().unwrap()).collect::<Vec<_>>(), [4, 14, 26]);
    assert_eq!((&summary(&found)["exchanges"], &summary(&found)["malformed"]), (&json!(3), &json!(0)));
    let nested = json!({"a": 1, "records": [{"b": 1, "records": [good]}, good, good]});
    let log = file(&scratch, "nested.json", &nested.to_string());
    assert_eq!(summary(&lines(&replay(&[text(&log), "--format", "json"])))["exchanges"], 3);
}

#[test]
fn logged_headers_keep_repeated_names() {
    let scratch = TempDir::new().unwrap();
    let parent = |digit: char| format!("00-{digit}af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    let twice = format!(r#"{{"traceparent":"{}","content-length":5,"x-none":null,"traceparent":"{}"}}"#, parent('0'), parent('1'));
    let log = record(json!({"requestHeaders": 0})).to_string().replace("\"requestHeaders\":0", &format!("\"requestHeaders\":{twice}"));
    let log = file(&scratch, "log.json", &log);
    let found = lines(&replay(&[text(&log), "--format", "json"]));
    let headers = found[0]["upstream_request"]["headers"].as_array().unwrap();
    let sent = headers.iter().find(|line| line[0] == "traceparent").unwrap()[1].as_str().unwrap();
    assert!(!sent.contains("af7651916cd43dd8448eb211c80319c"), "two contexts are none: {sent}");
    assert!(headers.contains(&json!(["content-length", "5"])) && headers.iter().all(|line| line[0] != "x-none"), "{headers:?}");
}

#[test]
fn malformed_records_are_located_counted_and_skipped() {
    let scratch = TempDir::new().unwrap();
    let good = record(json!({})).to_string();
    let missing = json!({"time": "2026-10-05T06:00:00Z", "properties": {"method": "GET"}}).to_string();
    let contents =
        format!("{good}\n{}\n{missing}\nnonsense\n{good}\n{}\n{}", &good[..100], good.replace("2026-10", "20x6-10"), &good[..50]);
    let path = file(&scratch, "log.json", &contents);
    let output = replay(&[text(&path), "--format", "json"]);
    assert_eq!(output.status.code(), Some(1));
    let shown = stderr(&output).replace(text(&path), "log.json");
    let expected = [
        "log.json:2: expected the end of a JSON object, found the beginning of another",
        "log.json:3: properties.url: expected the request's URL, found none",
        "log.json:4: expected a JSON object, found 'n'",
        "log.json:6: time: expected an RFC 3339 date and time, found \"20x6-10-05T06:00:00.1234567Z\"",
        "log.json:7: expected the end of a JSON object, found the end of the file",
    ];
    assert_eq!(shown.lines().collect::<Vec<_>>(), expected);
    let lines = lines(&output);
    assert_eq!((&summary(&lines)["exchanges"], &summary(&lines)["malformed"]), (&json!(2), &json!(5)));
    assert_eq!(
        lines[..2].iter().map(|line| (&line["index"], &line["line"])).collect::<Vec<_>>(),
        [(&json!(0), &json!(1)), (&json!(1), &json!(5))]
    );
    assert_eq!(replay(&[text(&path), "--lenient"]).status.code(), Some(0));
}

#[test]
fn what_cannot_be_replayed_at_all_is_code_2() {
    let scratch = TempDir::new().unwrap();
    let good = record(json!({})).to_string();
    let unclosed = file(&scratch, "unclosed.json", &format!("{{\"records\":[{good},\n{good}"));
    let output = replay(&[text(&unclosed)]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        stderr(&output).contains("unclosed.json:1: expected the end of the array that begins here, found the end of the file"),
        "{}",
        stderr(&output)
    );
    assert!(stdout(&output).contains("api.example          2"), "what was whole is replayed all the same: {}", stdout(&output));
    for (name, contents) in [("empty.json", ""), ("notes.md", "# notes\n"), ("other.json", "{\"a\":1}\n"), ("gzip", "\u{1f}\u{8b}")] {
        let path = file(&scratch, name, contents);
        let output = replay(&[text(&path)]);
        assert_eq!((output.status.code(), stdout(&output).as_str()), (Some(2), ""), "{name}");
        assert!(stderr(&output).contains("no exchange could be read"), "{name}: {}", stderr(&output));
    }
    let empty = scratch.path().join("empty");
    fs::create_dir(&empty).unwrap();
    for arguments in
        [&["nowhere.json"][..], &[text(&empty)], &["--fromat", "json"], &["--policy", "nowhere.yaml"], &["--module", "Cargo.toml"]]
    {
        let output = replay(arguments);
        assert_eq!((output.status.code(), stdout(&output).as_str()), (Some(2), ""), "{arguments:?}");
        assert!(!stderr(&output).is_empty(), "{arguments:?}");
    }
}

#[test]
fn a_wrong_policy_starts_nothing() {
    let scratch = TempDir::new().unwrap();
    let policy = file(&scratch, "policy.json", "{\"schema\": 9}");
    let out = scratch.path().join("out.json");
    let output = replay(&["--policy", text(&policy), "--out", text(&out)]);
    assert_eq!((output.status.code(), stdout(&output).as_str()), (Some(2), ""));
    assert!(stderr(&output).contains("policy.json:1:12: schema: expected 1, the newest schema that version "), "{}", stderr(&output));
    assert!(!out.exists());
}

/// The module at hand, and not this checkout's, is what has to read the policy.
#[test]
fn a_module_that_is_too_old_or_cut_off_is_named() {
    let scratch = TempDir::new().unwrap();
    let module = std::fs::read(tracegate_harness::module::build().unwrap()).unwrap();
    let schema = b"\"schema\":1}";
    let at = module.windows(schema.len()).rposition(|window| window == schema).unwrap();
    let mut old = module.clone();
    old[at + schema.len() - 2] = b'0';
    let file = |name: &str, bytes: &[u8]| {
        let path = scratch.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    };
    let (old, cut) = (file("old.wasm", &old), file("cut.wasm", &module[..module.len() - 1]));
    let version = tracegate::VERSION;
    let too_old = format!("expected a module that reads policies of schema 1, found tracegate {version}, which reads none above 0");
    let cut_off = "cut.wasm: expected a WebAssembly module, found the beginning of one: ";
    for (option, module, expected) in
        [("--module", &old, too_old.as_str()), ("--against", &old, &too_old), ("--module", &cut, cut_off), ("--against", &cut, cut_off)]
    {
        let out = scratch.path().join("out.json");
        let output = replay(&[option, text(module), "--format", "json", "--out", text(&out)]);
        assert_eq!((output.status.code(), stdout(&output).as_str()), (Some(2), ""), "{option}");
        assert!(stderr(&output).contains(expected), "{option}: {}", stderr(&output));
        assert!(!out.exists(), "nothing is half-written");
    }
}

#[test]
fn native_records_are_read_strictly() {
    let scratch = TempDir::new().unwrap();
    for (change, message) in [
        (json!({"extra": 1}), "unknown field `extra`"),
        (json!({"request": {"method": "GET", "path": "/", "body": "x"}}), "unknown field `body`"),
        (json!({"request": {"path": "/"}}), "missing field `method`"),
        (json!({"request": {"method": "GET", "path": "orders"}}), "path: expected one that begins with '/'"),
        (json!({"request": {"method": "GE T", "path": "/"}}), "expected a method, found \"GE T\""),
        (json!({"request": {"method": "GET", "path": "/", "source": "203.0.113.9"}}), "request.source: expected an address with a port"),
        (json!({"request": {"method": "GET", "path": "/", "headers": [["a b", "1"]]}}), "expected a header name, found something else"),
        (
            json!({"request": {"method": "GET", "path": "/", "headers": [["authorization", "s3cret\r\n"]]}}),
            "header authorization: expected a value without CR, LF and NUL",
        ),
        (json!({"request": {"method": "GET", "path": "/", "headers": [["a", {"base64": "/w"}]]}}), "expected padded base64"),
        (
            json!({"request": {"method": "GET", "path": "/", "headers": "authorization: s3cret"}}),
            "invalid type: expected a sequence, found string",
        ),
        (json!({"request": {"method": "GET", "path": "/", "authority": "u:s3cret@a"}}), "expected an authority of host and port"),
        (json!({"request": {"method": "GET", "path": "/", "authority": "a\r\nx: 1"}}), "expected an authority of host and port"),
        (json!({"request": {"method": "GET", "path": "/", "scheme": "ftp"}}), "expected the scheme http or https"),
        (json!({"response": {"status": 0}}), "response.status: expected one from 100 to 599, found 0"),
        (json!({"time": "2026-11-22T09:00:00+24:00"}), "time: expected an RFC 3339 date and time"),
        (json!({"time": "20261122T090001Z"}), "time: expected an RFC 3339 date and time"),
        (json!({"time": "2026-11-22T09:00:00+01:00[Europe/Paris]"}), "time: expected an RFC 3339 date and time"),
        (json!({"time": "9999-11-22T09:00:00Z"}), "time: expected an RFC 3339 date and time"),
        (json!({"time": "2026-11-22T09:00:00.1234567891Z"}), "time: expected an RFC 3339 date and time"),
        (json!({"expect": {"decision": "perhaps"}}), "expected `admitted` or `refused`, found another word"),
    ] {
        let mut exchange = json!({"time": "2026-11-22T09:00:00Z", "request": {"method": "GET", "path": "/"}});
        exchange.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let path = file(&scratch, "native.ndjson", &exchange.to_string());
        let output = replay(&[text(&path)]);
        assert_eq!(output.status.code(), Some(2), "{change}");
        assert!(stderr(&output).contains(message), "{change}: {}", stderr(&output));
        assert!(!stderr(&output).contains("s3cret"), "a value is not shown");
    }
}

#[test]
fn results_go_to_a_file_whole() {
    let scratch = TempDir::new().unwrap();
    let out = scratch.path().join("out.ndjson");
    let output = replay(&["--format", "json", "--out", text(&out)]);
    assert_eq!((output.status.code(), stdout(&output).as_str()), (Some(0), ""));
    assert_eq!(fs::read(&out).unwrap(), replay(&["--format", "json"]).stdout);
    #[cfg(unix)]
    {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let (target, link) = (scratch.path().join("target"), scratch.path().join("link"));
        fs::write(&target, "old").unwrap();
        symlink(&target, &link).unwrap();
        assert_eq!(replay(&["--out", text(&link)]).status.code(), Some(0));
        assert!(link.is_symlink() && fs::read_to_string(&target).unwrap().starts_with("API "), "a link is followed");
        let (nowhere, dangling) = (scratch.path().join("nowhere-yet"), scratch.path().join("dangling"));
        symlink("nowhere-yet", &dangling).unwrap();
        fs::set_permissions(&target, fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(
            (replay(&["--out", text(&dangling)]).status.code(), replay(&["--out", text(&target)]).status.code()),
            (Some(0), Some(0))
        );
        assert!(dangling.is_symlink() && nowhere.is_file(), "even to where nothing is yet");
        assert_eq!(fs::metadata(&target).unwrap().permissions().mode() & 0o777, 0o600, "a file that is there keeps its mode");
        assert_ne!(fs::metadata(&out).unwrap().permissions().mode() & 0o044, 0, "others may read it, as the umask allows");
        assert_eq!(replay(&["--out", "/dev/null"]).status.code(), Some(0));
        assert!(!fs::metadata("/dev/null").unwrap().is_file(), "a device is written to, not replaced");
    }
    let output = replay(&["--out", text(&scratch.path().join("nowhere/out.ndjson"))]);
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn a_policy_with_secrets_is_replayed_with_them_or_with_stand_ins() {
    let scratch = TempDir::new().unwrap();
    let policy = file(
        &scratch,
        "edge.yaml",
        "schema: 1\nservice: {name: edge}\nsecrets: {hop-key: {environment: {name: TRACEGATE_TEST_HOP}}}\n\
         trace: {tracestate: {member: tgate}, signed_hop: {active: {id: k1, key: {secret: hop-key}}}}\ndefault: {action: admit}\n",
    );
    let log = file(&scratch, "log.json", &record(json!({})).to_string());
    let with = |value: Option<&str>| {
        let mut command = tracegate_tests::tracegate();
        command.args(["replay", text(&log), "--policy", text(&policy), "--format", "json"]);
        match value {
            Some(value) => command.env("TRACEGATE_TEST_HOP", value),
            None => command.env_remove("TRACEGATE_TEST_HOP"),
        };
        command.output().unwrap()
    };
    let member = |output: &std::process::Output| {
        let headers = lines(output)[0]["upstream_request"]["headers"].clone();
        let state = headers.as_array().unwrap().iter().find(|line| line[0] == "tracestate").unwrap()[1].as_str().unwrap().to_owned();
        assert!(state.starts_with("tgate=1.k1.") && state.len() == 86, "{state}");
        state
    };
    let without = with(None);
    assert_eq!(without.status.code(), Some(0), "{}", stderr(&without));
    assert_eq!(
        stderr(&without),
        "TRACEGATE_TEST_HOP is not set: a stand-in takes its place, and what is signed, verified or digested with it here isn't as at the gateway\n"
    );
    let secret = with(Some("c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0MTI="));
    assert_eq!((secret.status.code(), stderr(&secret).as_str()), (Some(0), ""));
    let mac = |state: String| state.rsplit_once('.').unwrap().1.to_owned();
    assert_ne!(mac(member(&without)), mac(member(&secret)));
    let short = with(Some("aHVudGVyMg=="));
    assert_eq!((short.status.code(), stdout(&short).as_str()), (Some(2), ""));
    let expected = "secrets.hop-key: expected at least 32 bytes in base64 in the environment variable TRACEGATE_TEST_HOP, found fewer";
    assert!(stderr(&short).contains(expected) && !stderr(&short).contains("hunter"), "{}", stderr(&short));
}

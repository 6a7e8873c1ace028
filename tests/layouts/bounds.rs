// SPDX-License-Identifier: Apache-2.0
//! What has no bounds, in memory that has.

use std::fs;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::Command;

use serde_json::json;
use tempfile::TempDir;
use tracegate_tests::{lines, stderr};

use crate::results::{COLUMNS, ROW};
use crate::{gzip, read, replay};

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

/// What is read whole may hold more elements than its length tells: they are not even counted to the end.
#[test]
fn more_elements_than_records_could_be_are_refused_in_bounded_memory() {
    let scratch = TempDir::new().unwrap();
    let path = scratch.path().join("log");
    let good = r#"{"time":"2026-10-05T06:00:00Z","request":{"method":"GET","path":"/"}}"#;
    for (before, element, after, name) in [
        ("{\"a\":1,\"records\":[", "{},", "{}]}", "records"),
        ("{\"a\":1,\"value\":[", "1,", "1]}", "records"),
        ("{\"tables\":[{\"rows\":[", "[],", "[]],\"columns\":[]}]}", "tables"),
    ] {
        fs::write(&path, format!("{before}{}{after}\n{good}\n", element.repeat((15 << 20) / element.len()))).unwrap();
        let output = replay(&[&path]);
        let message = "expected at most 100000 elements where the array is not the first member, found more";
        assert_eq!(stderr(&output), format!("{}:1: {name}: {message}\n", path.display()));
        assert_eq!((lines(&output).len(), output.status.code()), (2, Some(1)));
        #[cfg(target_os = "linux")]
        {
            let small = scratch.path().join("small");
            fs::write(&small, good).unwrap();
            let (least, most) = (peak_memory(&small), peak_memory(&path));
            assert!(most < least + (64 << 10), "{least} and {most} KiB");
        }
    }
}

/// Each header line takes more memory than its text.
#[test]
fn more_header_lines_than_a_gateway_takes_are_refused() {
    let message = "expected at most 10000 header lines, found ";
    let lines = vec![""; 11_000];
    let log = json!({"time": "2026-10-05T06:00:00Z", "properties": {"method": "GET", "url": "https://a/", "requestHeaders": {"a": lines, "b": ""}}});
    let native = json!({"time": "2026-10-05T06:00:00Z", "request": {"method": "GET", "path": "/", "headers": vec![["a", ""]; 11_000]}});
    for record in [log, native] {
        let messages = read(record.to_string().as_bytes()).1;
        assert!(messages.len() == 1 && messages[0].contains(message), "{messages:?}");
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

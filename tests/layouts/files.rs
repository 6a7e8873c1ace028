// SPDX-License-Identifier: Apache-2.0
//! Files, whatever their records: packed, many, and out of order.

use std::fs;
use std::process::Output;
use std::thread;

use indicatif::ProgressBar;
use serde_json::json;
use tempfile::TempDir;
use tracegate_harness::Redactor;
use tracegate_harness::recording::{Files, InOrder, Ordered, Records, in_order};
use tracegate_tests::{lines, stderr};

use crate::{gzip, layouts, places, read, replay};

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
        // Their names are in another order than their times.
        fs::write(scratch.path().join(format!("{:03}", hour * 7 % 200)), records.concat()).unwrap();
    }
    let files = Files::named(&[scratch.path().to_owned()]);
    let (redactor, progress) = (Redactor::new(0), ProgressBar::hidden());
    let found: Vec<Ordered> =
        thread::scope(|scope| in_order(scope, &files, &redactor, &progress).unwrap().collect::<Result<_, _>>().unwrap());
    assert_eq!(found.len(), 600);
    assert!(found.is_sorted_by_key(|next| next.recorded.time) && found.iter().all(|next| !next.late));
    let mut places: Vec<(usize, u64)> = found.iter().map(|next| (next.recorded.place.file, next.recorded.place.index)).collect();
    places.sort_unstable();
    assert!(places.iter().copied().eq((0..200).flat_map(|file| [(file, 0), (file, 1), (file, 2)])), "each file's records are counted");
}

#[test]
fn records_late_by_more_than_the_window_are_told() {
    let at = |second: u32| json!({"time": format!("2026-10-05T06:00:{second:02}Z"), "request": {"method": "GET", "path": "/"}}).to_string();
    let scratch = TempDir::new().unwrap();
    let path = scratch.path().join("log");
    fs::write(&path, [5, 4, 3, 2, 1].map(at).join("\n")).unwrap();
    let files = Files::named(&[path]);
    let (redactor, progress) = (Redactor::new(0), ProgressBar::hidden());
    let records = Records::open(0, &files.0[0], &redactor, &progress).unwrap();
    let late: Vec<(u64, bool)> =
        InOrder::new([records], 2).map(|next| next.map(|ordered| (ordered.recorded.place.line, ordered.late)).unwrap()).collect();
    assert_eq!(late, [(2, false), (3, true), (4, true), (5, true), (1, false)]);
}

#[test]
fn text_that_is_not_utf_8_is_told() {
    let utf_16 = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
    assert_eq!(read(&utf_16("\u{feff}{\"a\":1}")).1, ["log: expected text in UTF-8, found UTF-16"]);
}

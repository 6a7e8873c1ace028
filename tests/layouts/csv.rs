// SPDX-License-Identifier: Apache-2.0
//! Tables as CSV with a header.

use std::fs;

use crate::{layouts, places, read};

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

/// A quote that is never closed makes every line behind it part of one field: were it read again from each of them, this would take hours.
#[test]
fn hostile_csv_is_read_once_and_in_bounded_memory() {
    let good = "2026-10-05T06:00:00Z,GET,https://a.example/";
    let header = "TimeGenerated,Method,Url";
    let (found, messages) = read(format!("{header}\n{good}\n\"{}\n{good}\n", "x".repeat(20 << 20)).as_bytes());
    assert_eq!((places(&found), messages), (vec![2, 4], vec!["log:3: expected a row of at most 16 MiB, found more".to_owned()]));
    let (found, messages) = read(format!("{header}\n\"{}{good}\n", "a,\"\"\n".repeat(200_000)).as_bytes());
    assert_eq!((found.len(), messages.len()), (1, 200_000));
}

/// As the portal exports what a query found: times in a way of its own.
#[test]
fn times_of_the_portal_are_read_where_they_are_said_to_be_utc() {
    let row = |column: &str, time: &str| read(format!("{column},Method,Url\n\"{time}\",GET,https://a.example/\n").as_bytes());
    for (time, expected) in [
        ("2/25/2025, 9:19:25.391 AM", "2025-02-25T09:19:25.391Z"),
        ("12/1/2025, 12:00:00 AM", "2025-12-01T00:00:00Z"),
        ("12/1/2025, 12:00:01.5 PM", "2025-12-01T12:00:01.5Z"),
        ("2026-10-05 06:01:06.742", "2026-10-05T06:01:06.742Z"),
        ("2026-10-05T06:01:06.742Z", "2026-10-05T06:01:06.742Z"),
    ] {
        let (found, messages) = row("TimeGenerated [UTC]", time);
        assert_eq!((found.len(), messages.len()), (1, 0), "{time}: {messages:?}");
        assert_eq!(found[0].time.to_string(), expected, "{time}");
    }
    for (column, time) in [
        ("TimeGenerated [UTC]", "25/02/2025, 09:19:25.391"),
        ("TimeGenerated [UTC]", "13/1/2025, 9:00:00 AM"),
        ("TimeGenerated", "2/25/2025, 9:19:25.391 AM"),
    ] {
        let messages = row(column, time).1;
        assert_eq!(messages, [format!("log:2: TimeGenerated: expected an RFC 3339 date and time, found {time:?}")]);
    }
}

// SPDX-License-Identifier: Apache-2.0
//! Results of queries: tables of columns and rows.

use std::fs;

use serde_json::Value;

use crate::{SECRET, layouts, places, read};

/// A row of a query's result, and the columns that it has.
pub(crate) const ROW: &str = r#"["2026-10-05T06:00:00Z","GET","https://a.example/",1]"#;
pub(crate) const COLUMNS: &str = r#""columns":[{"name":"TimeGenerated"},{"name":"Method"},{"name":"Url"},{"name":"Other"}]"#;

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

// SPDX-License-Identifier: Apache-2.0
//! A table in the result of a query that was read whole.

use serde::Deserialize;

use super::columns::{Columns, message};
use super::frame::Frame;
use super::parts::Parts;

/// The rows of a table that was read whole.
pub(super) fn rows(table: &[u8], first_line: u64) -> Result<Vec<Frame>, String> {
    #[derive(Deserialize)]
    struct Table<'a> {
        columns: Columns,
        #[serde(borrow)]
        rows: Parts<'a>,
    }
    let Table { columns, rows } = serde_json::from_slice(table).map_err(|error| message(&error))?;
    Ok(rows.frames(table, first_line, Some(&columns)))
}

#[cfg(test)]
mod tests {
    use super::super::frame::MAX_RECORD;
    use super::super::frame::tests::{frames, frames_of};

    /// The beginning of a result with a table of two columns.
    const HEAD: &str = r#"{"tables":[{"name":"a","columns":[{"name":"Url","type":"string"},{"name":"b"}],"rows":["#;

    /// Rows in one table, `▸` for its head, as in [`frames`].
    fn cut(text: &str) -> Vec<String> {
        frames(&text.replace('▸', HEAD))
    }

    #[test]
    fn results_of_queries_are_cut_into_rows() {
        assert_eq!(cut("▸[1,2],[\"]\",{\"c\":[3]}]]}]}{}"), ["1:row [1,2]", "1:row [\"]\",{\"c\":[3]}]", "1:{}"]);
        assert_eq!(cut("▸]}]}"), Vec::<String>::new());
        assert_eq!(cut("{\"tables\":[]}\n{}"), ["2:{}"]);
        let spacious = "\n{ \"tables\"\t:\r\n[ { \"columns\" : [\n] , \"rows\"\n:\n[\n[\n1\n,\n[\n2\n]\n]\n,\n[\n]\n]\n}\n]\n}\n{}";
        assert_eq!(frames(spacious), ["7:row [\n1\n,\n[\n2\n]\n]", "15:row [\n]", "21:{}"]);
        let several = "▸[1,2]],\"more\":[[{}]]},\n{\"rows.\":[[7]],\"a,\\\"rows\":[[7]],\"columns\":[],\"a\":{\"rows\":[[7]]},\"rows\":[\n[]]}],\"render\":{\"a\":[8]}}\n▸[3,4]]}]}";
        assert_eq!(cut(several), ["1:row [1,2]", "3:row []", "4:row [3,4]"]);
    }

    #[test]
    fn a_table_that_does_not_begin_with_its_columns_is_cut_whole() {
        let tables = [r#"{"rows":[[1]],"columns":[]}"#, r#"{"columns":null,"rows":[[1]],"rows":[]}"#, r#"{"columns":[]}"#, "{}"];
        let found = frames(&format!("{{\"tables\":[{}]}}", tables.join(",\n")));
        assert_eq!(found, [1, 2, 3, 4].map(|line| format!("{line}:{}", tables[line - 1])));
    }

    #[test]
    fn a_broken_row_costs_only_itself() {
        let another = "expected the end of a row, found the beginning of another";
        let string = "expected the end of a string, found the end of the line";
        for (rows, expected) in [
            (
                "[1,2],7,\n{\"a\":[1]},null,[3,4]",
                vec![
                    "1:row [1,2]",
                    "1!expected a row as an array, found '7'",
                    "2:row {\"a\":[1]}",
                    "2!expected a row as an array, found 'n'",
                    "2:row [3,4]",
                ],
            ),
            ("[1,2\n[3,4],\n[5,6]", vec!["1!{another}", "2:row [3,4]", "3:row [5,6]"]),
            ("\n[1,\n[3,4],\n[5,6]", vec!["2!{another}", "3:row [3,4]", "4:row [5,6]"]),
            ("[1,2 [3,4]", vec!["1!{another}", "1:row [3,4]"]),
            ("\n [\n  1,\n  [2],\n [\n  3,\n  [4]\n ]", vec!["2!{another}", "5:row [\n  3,\n  [4]\n ]"]),
            ("[1,\"2\n],[3,4]", vec!["1!{string}", "2!expected a row as an array, found ']'", "2:row [3,4]"]),
            ("[1,\"2\n[3,4]", vec!["1!{string}", "2:row [3,4]"]),
            ("[1,{\"a\":2],[3,4]", vec!["1!expected the end of a JSON array or object, found ']'", "1:row [3,4]"]),
            (
                "[1,}],[3,4]",
                vec!["1!expected the end of a JSON array or object, found '}'", "1!expected a row as an array, found ']'", "1:row [3,4]"],
            ),
        ] {
            let expected: Vec<String> =
                expected.iter().map(|found| found.replace("{another}", another).replace("{string}", string)).collect();
            assert_eq!(cut(&format!("▸{rows}]}}]}}")), expected, "{rows}");
        }
    }

    #[test]
    fn a_broken_table_costs_only_itself() {
        let text = r#"{"tables":[7,
            {"columns":[{"title":"a"}],"rows":[[1],[2]]},
            {"columns":[{"name":"a"}],"rows":[[3]]}]}"#;
        let expected = ["1!expected a JSON object, found '7'", "2!tables: missing field `name`", "3:row [3]"];
        assert_eq!(frames(text), expected);
    }

    #[test]
    fn every_cut_of_a_result_is_located_and_costs_no_row_before_it() {
        let whole = format!("\n{HEAD}[1,2],\n[3,4]],\"c\":[5]}},{{\"columns\":[],\"rows\":[[]]}}],\"d\":6}}");
        let rows = frames(&whole);
        assert_eq!(rows, ["2:row [1,2]", "3:row [3,4]", "3:row []"]);
        for cut in HEAD.find('[').unwrap() + 2..whole.len() {
            let text = &whole[..cut];
            let complete = ["[1,2]", "[3,4]", "[[]"].iter().filter(|row| text.contains(*row)).count();
            let expected: Vec<String> = rows[..complete].iter().cloned().chain(["2!unclosed".to_owned()]).collect();
            assert_eq!(frames(text), expected, "{text}");
            // Another result behind the cut is read.
            let two = frames(&format!("{text}\n{}", whole.trim()));
            assert_eq!(two[..complete], rows[..complete], "{text}");
            let strip = |row: &String| row.split_once(':').map(|(_, row)| row.to_owned());
            assert!(two.len() > complete + 3 && two[two.len() - 3..].iter().map(strip).eq(rows.iter().map(strip)), "{two:?}");
        }
    }

    #[test]
    fn what_is_too_long_costs_only_itself() {
        let framed = |text: &str| frames_of(text.replace('▸', HEAD).as_bytes());
        let long = "x".repeat(MAX_RECORD);
        let found = framed(&format!("▸[1,2],\n[\"{long}\",[]],\n[3,4]]}}]}}"));
        assert_eq!(found, ["1:row [1,2]", "2!expected a row of at most 16 MiB, found more", "3:row [3,4]"]);
        let tables = [format!("\"a\":\"{long}\",\"columns\":[],\"rows\":[[]]"), format!("\"rows\":[[\"{long}\"]],\"columns\":[]")];
        for table in tables {
            let found = framed(&format!("{{\"tables\":[{{{table}}},\n{{\"columns\":[],\"rows\":[[]]}}]}}"));
            assert_eq!(found, ["1!expected a table with `columns` and then `rows` in its first 16 MiB, found more", "2:row []"]);
        }
    }

    #[test]
    fn hostile_results_are_read_once() {
        // Were anything read again for each row, this would take hours.
        let count = |text: String| frames_of(text.as_bytes()).len();
        // A table's beginning is parsed once, whatever it says.
        assert_eq!(count(format!("{{\"tables\":[{{{}}}]}}", ["\"rows\":[]"; 1_000_000].join(","))), 1);
        assert_eq!(count(format!("{{\"tables\":[{{\"a\":\"{}\",{}}}]}}", "x".repeat(8 << 20), ["\"rows\":[]"; 500_000].join(","))), 1);
        assert_eq!(count(format!("{{\"tables\":[{{{}\"a\":[{}]}}]}}", " ".repeat(8 << 20), "[],".repeat(1_000_000))), 1);
        // Rows without end, within one another or not.
        assert_eq!(count(format!("{HEAD}{}", "[\n".repeat(1_000_000))), 1);
        assert_eq!(count(format!("{HEAD}{}", "[1,\n".repeat(1_000_000))), 1_000_000);
        assert_eq!(count(format!("{HEAD}{}", "[],".repeat(1_000_000))), 1_000_001);
        assert_eq!(count("{\"tables\":[".repeat(500_000)), 500_000);
        assert_eq!(count(HEAD.repeat(100_000)), 100_000);
    }
}

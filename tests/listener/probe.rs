// SPDX-License-Identifier: Apache-2.0
//! The probe (`tests/probe`): how it is asked, and what it logs.

/// The program that makes these host calls when a request's headers come.
pub fn program(calls: &[&str]) -> String {
    format!("request_headers: {}", calls.join("; "))
}

/// What each of the calls of a case came to: the text that it returned, or `None` where the host had nothing.
pub fn results(log: &str, case: &str, calls: usize) -> Vec<Option<String>> {
    (1..=calls)
        .map(|number| {
            let mark = format!("PROBE {case} request_headers {number} get_");
            let line = log.lines().find_map(|line| Some(line.split_once(&mark)?.1));
            let line = line.unwrap_or_else(|| panic!("the probe logged no `{mark}`:\n{log}"));
            let words: Vec<&str> = line.split(' ').collect();
            match words.as_slice() {
                [_, "0", "~"] => Some(String::new()),
                [_, "0", value] => Some(decoded(value)),
                [_, "1", ..] => None,
                _ => panic!("expected a value or none: {line}"),
            }
        })
        .collect()
}

/// Without percent coding.
fn decoded(text: &str) -> String {
    let mut parts = text.split('%');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        bytes.push(u8::from_str_radix(&part[..2], 16).expect("an escape has two digits"));
        bytes.extend_from_slice(&part.as_bytes()[2..]);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

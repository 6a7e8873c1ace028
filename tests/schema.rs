// SPDX-License-Identifier: Apache-2.0
//! `tracegate schema`: the JSON Schema of the policy document, printed or in a file. What it says of documents is held to the
//! reader in `tests/acceptance`.

use std::ffi::OsStr;
use std::fs;

use serde_json::Value;
use tracegate_tests::{run, stderr, stdout};

#[test]
fn it_is_printed_or_written_and_is_the_same_each_time() {
    let printed = run(["schema"]);
    assert_eq!((printed.status.code(), stderr(&printed).as_str()), (Some(0), ""));
    let text = stdout(&printed);
    let schema: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    assert_eq!(schema["title"], "tracegate policy, schema 1");
    assert_eq!(schema, tracegate::config::json_schema());
    assert!(text.ends_with("}\n") && text.lines().count() > 100, "it is laid out to be read");

    let scratch = tempfile::tempdir().unwrap();
    let file = scratch.path().join("policy.schema.json");
    fs::write(&file, "old").unwrap();
    let written = run([OsStr::new("schema"), OsStr::new("--out"), file.as_os_str()]);
    assert_eq!((written.status.code(), stdout(&written).as_str()), (Some(0), ""));
    assert_eq!(fs::read_to_string(&file).unwrap(), text);
    assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 1, "nothing else is left behind");
}

#[test]
fn a_file_that_cannot_be_written_is_named() {
    let scratch = tempfile::tempdir().unwrap();
    let file = scratch.path().join("none/policy.schema.json");
    let output = run([OsStr::new("schema"), OsStr::new("--out"), file.as_os_str()]);
    assert_eq!((output.status.code(), stdout(&output).as_str()), (Some(2), ""));
    assert!(stderr(&output).contains("none/policy.schema.json") && !file.exists(), "{}", stderr(&output));
}

// SPDX-License-Identifier: Apache-2.0
//! `tracegate check`: everything that is wrong with a policy, where it stands.

use std::fs;

use tracegate_tests::{folder, lines, run, stderr, stdout};

#[test]
fn a_valid_policy_has_a_fingerprint_and_perhaps_warnings() {
    let policy = folder("recordings").join("sample-policy.yaml");
    let output = run([std::ffi::OsStr::new("check"), policy.as_os_str()]);
    let text = stdout(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(
        text.contains("sample-policy.yaml: valid, fingerprint a30b432413a05ebc (as a gauge 179268766405536)")
            && text.ends_with(", 5 routes\n"),
        "{text}"
    );
    assert!(!text.contains("warning"), "{text}");
    let scratch = tempfile::tempdir().unwrap();
    let trusting = scratch.path().join("trusting.yaml");
    fs::write(&trusting, "# everybody is believed\nschema: 1\nservice: {name: edge}\ndefault: {action: admit}\n").unwrap();
    let output = run([std::ffi::OsStr::new("check"), trusting.as_os_str()]);
    assert_eq!(output.status.code(), Some(0));
    let warning = "trusting.yaml:2:1: warning: every caller's valid trace context is continued: `trace.trust` tells callers apart";
    assert!(stdout(&output).contains(warning), "{}", stdout(&output));
}

#[test]
fn every_error_of_every_policy_is_shown() {
    let scratch = tempfile::tempdir().unwrap();
    let yaml = scratch.path().join("a.yaml");
    let json = scratch.path().join("b.json");
    fs::write(&yaml, "schema: 1\nservice: {name: edge, nmae: x}\ndefault: {action: refuse, status: 200}\n").unwrap();
    fs::write(&json, "{\"schema\": 1,\n \"service\": {\"name\": \"edge\"},\n \"default\": {\"action\": \"admit\"},\n}").unwrap();
    let missing = scratch.path().join("c.yaml");
    let arguments = ["check".as_ref(), yaml.as_os_str(), json.as_os_str(), missing.as_os_str()];
    let output = run(arguments);
    assert_eq!(output.status.code(), Some(2));
    let shown = stdout(&output).replace(&format!("{}/", scratch.path().display()), "");
    let errors: Vec<&str> = shown.lines().filter(|line| !line.contains("warning: ")).collect();
    assert_eq!(
        errors,
        [
            "a.yaml:2:23: service.nmae: expected one of `name`, `namespace`, `attributes`, found an unknown field",
            "a.yaml:3:35: default.status: expected a whole number from 400 to 599, found 200",
            "b.json:4:1: key must be a string",
        ]
    );
    assert!(stderr(&output).contains("c.yaml: No such file"), "{}", stderr(&output));
    let mut arguments = arguments.to_vec();
    arguments.extend(["--format", "json"].map(std::ffi::OsStr::new));
    let found = lines(&run(arguments));
    assert_eq!(
        found.iter().filter(|line| line["severity"] == "error").map(|line| (&line["line"], &line["column"])).collect::<Vec<_>>(),
        [(&2.into(), &23.into()), (&3.into(), &35.into()), (&4.into(), &1.into())]
    );
}

#[test]
fn a_reader_that_goes_away_is_no_panic() {
    let policy = folder("recordings").join("sample-policy.yaml");
    let Ok(full) = fs::OpenOptions::new().write(true).open("/dev/full") else { return };
    let output = tracegate_tests::tracegate().arg("check").arg(policy).stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("can't write to standard output"), "{}", stderr(&output));
}

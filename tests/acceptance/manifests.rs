// SPDX-License-Identifier: Apache-2.0
//! The manifests that ship fit their kinds: `crds/` has the schemas, written down from those that Istio, Envoy Gateway and the Gateway API publish.
//! They are stricter than a cluster in one thing: a field that a kind doesn't have is refused, where Kubernetes would drop it without a word.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use jsonschema::Validator;
use serde_json::{Value, json};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The schemas, by kind.
fn kinds() -> BTreeMap<String, Validator> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("crds");
    let read = |path: PathBuf| {
        let schema: Value =
            serde_saphyr::from_str(&fs::read_to_string(&path).unwrap()).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let kind = schema["properties"]["kind"]["const"].as_str().unwrap_or_else(|| panic!("{} names no kind", path.display())).to_owned();
        assert!(path.ends_with(format!("{}.yaml", kind.to_lowercase())), "{}: {kind}", path.display());
        (kind, jsonschema::draft202012::new(&schema).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
    };
    fs::read_dir(directory).unwrap().map(|entry| read(entry.unwrap().path())).collect()
}

/// What the tests of `render` have written beside the examples; none where they haven't run, which is a failure where nothing may be left out.
fn others() -> Vec<PathBuf> {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), |set| root().join(set));
    let listed = fs::read_dir(target.join("rendered"));
    assert!(listed.is_ok() || std::env::var_os("TRACEGATE_TEST_STRICT").is_none(), "the tests of `render` write target/rendered");
    listed.into_iter().flatten().map(|entry| entry.unwrap().path()).collect()
}

/// The documents for Kubernetes, with their files.
fn documents() -> Vec<(String, Value)> {
    let mut documents = Vec::new();
    let examples = fs::read_dir(root().join("envoy-config")).unwrap().map(|entry| entry.unwrap().path());
    for path in examples.chain(others()) {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if name.starts_with("istio") || name.starts_with("envoy-gateway") {
            let text = fs::read_to_string(&path).unwrap();
            let parts = text.split("\n---\n").skip(1);
            documents
                .extend(parts.map(|part| (name.clone(), serde_saphyr::from_str(part).unwrap_or_else(|error| panic!("{name}: {error}")))));
        }
    }
    documents
}

fn misfits(kinds: &BTreeMap<String, Validator>, document: &Value) -> Vec<String> {
    let kind = document["kind"].as_str().unwrap_or_default();
    match kinds.get(kind) {
        None => vec![format!("there is no kind {kind:?}")],
        Some(validator) => validator.iter_errors(document).map(|error| format!("{kind} {}: {error}", error.instance_path())).collect(),
    }
}

#[test]
fn every_document_fits_its_kind_and_every_kind_is_written() {
    let (kinds, documents) = (kinds(), documents());
    for (file, document) in &documents {
        assert_eq!(misfits(&kinds, document), Vec::<String>::new(), "{file}");
    }
    for kind in kinds.keys() {
        assert!(documents.iter().any(|(_, document)| document["kind"] == *kind), "no example has a {kind}");
    }
}

/// The schemas aren't open: a field that there isn't, a word that there isn't and a missing field are seen wherever they stand.
#[test]
fn what_a_kind_doesnt_have_is_seen() {
    let kinds = kinds();
    let (mut fields, mut words) = (0, 0);
    for (file, document) in documents() {
        let mut places = Vec::new();
        walk(&document, String::new(), &mut places);
        for place in places {
            let mut changed = document.clone();
            match changed.pointer_mut(&place).unwrap() {
                Value::Object(object) => {
                    fields += 1;
                    object.insert("nobodysField".to_owned(), json!(1));
                }
                value @ Value::String(_) => {
                    words += 1;
                    *value = json!(["another type"]);
                }
                value => *value = json!({"another": "type"}),
            }
            assert!(!misfits(&kinds, &changed).is_empty(), "{file}: {place} of {} may be anything", document["kind"]);
        }
    }
    assert!(fields > 100 && words > 100, "{fields} fields and {words} words were tried");
}

/// The places of all that has a structure of its own: not names and labels of one's choice, nor what is handed on as it is.
fn walk(value: &Value, at: String, places: &mut Vec<String>) {
    const OPEN: [&str; 6] = ["/pluginConfig", "/config", "/annotations", "/data", "/options", "/patch/value"];
    let is_patch = at.contains("/jsonPatches/") && at.ends_with("/value");
    if is_patch || OPEN.iter().any(|open| at.ends_with(open)) {
        return;
    }
    match value {
        Value::Object(fields) => {
            fields.iter().for_each(|(name, value)| walk(value, format!("{at}/{}", name.replace('~', "~0").replace('/', "~1")), places))
        }
        Value::Array(items) => items.iter().enumerate().for_each(|(index, value)| walk(value, format!("{at}/{index}"), places)),
        _ => {}
    }
    places.push(at);
}

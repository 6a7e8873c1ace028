// SPDX-License-Identifier: Apache-2.0
//! The browser's face on a page, in headless Chromium.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde_json::{Value, json};
use tempfile::TempDir;
use tracegate_harness::{module, tools};
use tracegate_tests::faces::Conversation;
use tracegate_tests::{folder, present};

/// What a page tells of a policy of its own, and of a conversation; `None` where there is no Chromium.
pub(crate) fn told(policy: &str, conversation: &Conversation) -> Option<Value> {
    let chromium = present(tools::program("chromium", "chromium"))?;
    let face = module::build_browser().expect("the browser's face builds");
    let encoded = |path: PathBuf| BASE64_STANDARD.encode(fs::read(path).expect("it is there"));
    let given = json!({
        "face": encoded(face.join("tracegate.js")),
        "wasm": encoded(face.join("tracegate_bg.wasm")),
        "player": encoded(folder("browser").join("conversation.mjs")),
        "policy": policy,
        "turns": conversation,
    });
    let template = fs::read_to_string(folder("browser").join("page.html")).expect("it is there");
    let page = template.replace("{{given}}", &given.to_string().replace('<', "\\u003c"));
    let scratch = TempDir::new().expect("there is room");
    let path = scratch.path().join("page.html");
    fs::write(&path, page).expect("there is room");
    let mut command = Command::new(chromium);
    command.args(["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--virtual-time-budget=60000"]);
    command.arg(format!("--user-data-dir={}", scratch.path().join("profile").display())).arg("--dump-dom");
    command.arg(format!("file://{}", path.display())).stdin(Stdio::null()).stderr(Stdio::null());
    let output = command.output().expect("Chromium runs");
    let shown = String::from_utf8(output.stdout).expect("a page is text");
    let answers = shown.split("<pre id=\"answers\">").nth(1).and_then(|rest| rest.split("</pre>").next());
    let answers = BASE64_STANDARD.decode(answers.unwrap_or_else(|| panic!("no page: {shown}"))).expect("it is in base64");
    Some(serde_json::from_slice(&answers).expect("answers are JSON"))
}

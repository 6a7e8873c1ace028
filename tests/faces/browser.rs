// SPDX-License-Identifier: Apache-2.0
//! The browser's face in Node, lent what the native core was lent.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Mutex;

use serde::Deserialize;
use tracegate_harness::{module, tools};

use super::said::Heard;
use super::turn::{Conversation, Turn};
use crate::{folder, present};

/// The browser's face of this checkout.
#[derive(Debug)]
pub(super) struct Browser(Mutex<Node>);

#[derive(Debug)]
struct Node {
    _process: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

/// What the face answered in one turn.
#[derive(Debug, Deserialize)]
pub struct Answered {
    heard: Heard,
    log: Vec<(bool, String)>,
    asked: usize,
    wrong: Option<String>,
}

impl Browser {
    /// `None` where there is no Node.
    pub(super) fn build() -> Option<Self> {
        let node = present(tools::program("node", "nodejs"))?;
        let face = module::build_browser().expect("the browser's face builds");
        let mut command = Command::new(node);
        command.arg(folder("browser").join("in_node.mjs")).arg(face).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().expect("Node starts");
        let input = process.stdin.take().expect("its input is a pipe");
        let output = BufReader::new(process.stdout.take().expect("its output is a pipe"));
        Some(Self(Mutex::new(Node { _process: process, input, output })))
    }

    /// Holds it to a conversation.
    #[track_caller]
    pub(super) fn agree(&self, conversation: &Conversation) {
        let mut said = serde_json::to_vec(conversation).expect("turns are JSON");
        said.push(b'\n');
        let mut answer = String::new();
        {
            let mut node = self.0.lock().expect("nobody fails while Node works");
            node.input.write_all(&said).and_then(|()| node.input.flush()).expect("Node reads");
            node.output.read_line(&mut answer).expect("Node answers");
        }
        let answers: Vec<Answered> = serde_json::from_str(&answer).unwrap_or_else(|error| panic!("the browser's face: {error}: {answer}"));
        compare(conversation, &answers);
    }
}

/// Holds what the face answered against the conversation.
///
/// # Panics
///
/// Where it asked for something else, or answered something else.
#[track_caller]
pub fn compare(conversation: &[Turn], answers: &[Answered]) {
    assert_eq!(answers.len(), conversation.len());
    for (turn, Answered { heard, log, asked, wrong }) in conversation.iter().zip(answers) {
        assert_eq!(*wrong, None, "the browser's face asks for something else in {:?}", turn.said);
        assert_eq!(*asked, turn.asks.len(), "the browser's face asks for less in {:?}", turn.said);
        assert_eq!(*heard, turn.heard, "the browser's face answers something else to {:?}", turn.said);
        assert_eq!(*log, turn.log, "the browser's face logs something else in {:?}", turn.said);
    }
}

// SPDX-License-Identifier: Apache-2.0
//! Programs: phases of operations, read from text. Everything about them is checked before any of it runs.

use std::collections::HashMap;

use crate::text::{decoded, decoded_pairs};

/// What to do in each phase.
pub type Program = HashMap<String, Vec<Op>>;

/// One operation.
pub struct Op {
    /// The variable that the number it returns goes to.
    pub store: Option<usize>,
    /// Which.
    pub name: &'static str,
    /// Which of its pointers is spoilt.
    pub fault: Option<Fault>,
    /// What it is given, in the order of its signature.
    pub arguments: Vec<Argument>,
}

/// The pointer or size that a `bad` call spoils.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The first pointer to something that the host reads.
    Input,
    /// The first pointer to where the host writes.
    Output,
    /// The first size of something that the host reads.
    Size,
}

/// An argument as parsed.
pub enum Argument {
    /// A number.
    Number(i64),
    /// The number in a variable.
    Variable(usize),
    /// Bytes: text, a serialised list of pairs, or a property's path.
    Bytes(Vec<u8>),
    /// The context that runs the program.
    Me,
    /// Its root context.
    Root,
}

/// A root's configuration: `case NAME`, then phases.
pub fn parse_root(text: &str) -> (String, Result<Program, String>) {
    let (first, phases) = text.split_once('|').unwrap_or((text, ""));
    match first.trim().strip_prefix("case ") {
        Some(case) => (case.trim().to_owned(), parse(phases)),
        None => ("unnamed".to_owned(), Err("expected `case NAME` first".to_owned())),
    }
}

/// `phase: op; op | phase: op`.
pub fn parse(text: &str) -> Result<Program, String> {
    let mut program = Program::new();
    for phase in text.split('|').map(str::trim).filter(|phase| !phase.is_empty()) {
        let (name, ops) = phase.split_once(':').ok_or_else(|| format!("no colon in `{phase}`"))?;
        if !PHASES.contains(&name) {
            return Err(format!("no phase `{name}`"));
        }
        let ops = ops.split(';').map(str::trim).filter(|op| !op.is_empty()).map(parse_op).collect::<Result<Vec<Op>, String>>()?;
        program.entry(name.to_owned()).or_default().extend(ops);
    }
    Ok(program)
}

fn parse_op(text: &str) -> Result<Op, String> {
    let wrong = |what: &str| format!("{what} in `{text}`");
    let (store, rest) = match text.as_bytes() {
        [letter @ b'a'..=b'z', b'=', ..] => (Some(usize::from(letter - b'a')), &text[2..]),
        _ => (None, text),
    };
    let mut tokens = rest.split(' ').filter(|token| !token.is_empty());
    let mut name = tokens.next().unwrap_or_default();
    let mut fault = None;
    if name == "bad" {
        fault = match tokens.next() {
            Some("in") => Some(Fault::Input),
            Some("out") => Some(Fault::Output),
            Some("size") => Some(Fault::Size),
            _ => return Err(wrong("no such kind of pointer")),
        };
        name = tokens.next().unwrap_or_default();
    }
    let (name, signature) = OPS.iter().find(|(known, _)| *known == name).ok_or_else(|| wrong("no such op"))?;
    let arguments = signature
        .chars()
        .map(|kind| tokens.next().and_then(|token| parse_argument(kind, token)).ok_or_else(|| wrong("an argument is missing or wrong")))
        .collect::<Result<_, _>>()?;
    if tokens.next().is_some() {
        return Err(wrong("too many arguments"));
    }
    Ok(Op { store, name, fault, arguments })
}

fn parse_argument(kind: char, token: &str) -> Option<Argument> {
    Some(match (kind, token) {
        ('b', _) => Argument::Bytes(decoded(token)),
        ('p', _) => Argument::Bytes(decoded_pairs(token)),
        ('k', _) => Argument::Bytes(token.split('.').map(decoded).collect::<Vec<_>>().join(&0)),
        ('c', "me") => Argument::Me,
        ('c', "root") => Argument::Root,
        _ => match token.as_bytes() {
            [b'$', letter @ b'a'..=b'z'] => Argument::Variable(usize::from(letter - b'a')),
            // Numbers above the signed range are their bits.
            _ => Argument::Number(token.parse().ok().or_else(|| Some(token.parse::<u64>().ok()?.cast_signed()))?),
        },
    })
}

const PHASES: [&str; 16] = [
    "vm_start",
    "configure",
    "tick",
    "request_headers",
    "request_body",
    "request_trailers",
    "response_headers",
    "response_body",
    "response_trailers",
    "http_call_response",
    "grpc_receive",
    "grpc_close",
    "late",
    "done",
    "log",
    "delete",
];

/// Every op with its arguments: `n` a number, `b` bytes, `p` pairs, `k` a property's path, `c` a context.
const OPS: &[(&str, &str)] = &[
    ("get_header_map_value", "nb"),
    ("get_header_map_pairs", "n"),
    ("set_header_map_pairs", "np"),
    ("add_header_map_value", "nbb"),
    ("replace_header_map_value", "nbb"),
    ("remove_header_map_value", "nb"),
    ("get_header_map_size", "n"),
    ("get_buffer_bytes", "nnn"),
    ("get_buffer_status", "n"),
    ("set_buffer_bytes", "nnnb"),
    ("get_property", "k"),
    ("set_property", "kb"),
    ("get_shared_data", "b"),
    ("set_shared_data", "bbn"),
    ("define_metric", "nb"),
    ("increment_metric", "nn"),
    ("record_metric", "nn"),
    ("get_metric", "n"),
    ("http_call", "bpbpn"),
    ("grpc_call", "bbbpbn"),
    ("grpc_cancel", "n"),
    ("grpc_close", "n"),
    ("continue_stream", "n"),
    ("close_stream", "n"),
    ("send_local_response", "nbbpn"),
    ("set_effective_context", "c"),
    ("set_tick_period_milliseconds", "n"),
    ("get_current_time_nanoseconds", ""),
    ("get_log_level", ""),
    ("log", "nb"),
    ("get_status", ""),
    ("done", ""),
    ("call_foreign_function", "bb"),
    ("trap", ""),
    ("stay", ""),
    ("return", "n"),
    ("fd_write", "nb"),
    ("clock_time_get", "n"),
    ("random_get", "n"),
    ("environ_sizes_get", ""),
    ("args_sizes_get", ""),
    ("fill", "nb"),
];

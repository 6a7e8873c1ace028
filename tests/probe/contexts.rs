// SPDX-License-Identifier: Apache-2.0
//! Contexts, and the callbacks of proxy-wasm ABI 0.2.1: each logs that it was called, then runs its phase.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use crate::calls;
use crate::program::{Argument, Op, Program, parse, parse_root};

/// A context that has a program.
pub struct Context {
    /// Its own id.
    pub id: u32,
    /// Its root's id: its own in a root.
    pub root: u32,
    case: String,
    program: Program,
    calls: Cell<u32>,
    ticks: Cell<u32>,
}

/// What has been asked of a service and not been answered.
struct Pending {
    owner: Rc<Context>,
    /// The call's number within its context, from 1.
    index: u32,
}

/// Ticks that are logged, so that logs are bounded.
const TICKS: u32 = 3;

thread_local! {
    /// Each context's root.
    static ROOTS: RefCell<HashMap<u32, u32>> = RefCell::default();
    static CONTEXTS: RefCell<HashMap<u32, Rc<Context>>> = RefCell::default();
    static PENDING: RefCell<HashMap<u32, Pending>> = RefCell::default();
    static VARIABLES: RefCell<[i64; 26]> = const { RefCell::new([0; 26]) };
}

/// A variable's value.
pub fn variable(index: usize) -> i64 {
    VARIABLES.with_borrow(|variables| variables.get(index).copied().unwrap_or_default())
}

/// Notes a call to a service; returns its name in the log.
pub fn called(caller: &Context, token: u32) -> String {
    let index = caller.calls.get() + 1;
    caller.calls.set(index);
    if let Some(owner) = CALLER.with_borrow(Clone::clone) {
        PENDING.with_borrow_mut(|pending| pending.insert(token, Pending { owner, index }));
    }
    format!("call{index}")
}

/// Notes a gRPC call that the host refused: it may close the call all the same, by a token that it never gave.
pub fn refused() -> String {
    REFUSED.set(CALLER.with_borrow(Clone::clone));
    "none".to_owned()
}

thread_local! {
    /// The context whose program runs.
    static CALLER: RefCell<Option<Rc<Context>>> = const { RefCell::new(None) };
    /// The last context whose gRPC call was refused.
    static REFUSED: RefCell<Option<Rc<Context>>> = const { RefCell::new(None) };
}

fn known(id: u32) -> Option<Rc<Context>> {
    CONTEXTS.with_borrow(|contexts| contexts.get(&id).cloned())
}

/// Keeps a program for a context, or says what is wrong with it.
fn adopt(id: u32, case: String, program: Result<Program, String>) {
    match program {
        Err(what) => calls::log(&format!("PROBE {case} bad program: {what}")),
        Ok(program) => {
            let root = ROOTS.with_borrow(|roots| roots.get(&id).copied().unwrap_or(id));
            let context = Context { id, root, case, program, calls: Cell::new(0), ticks: Cell::new(0) };
            CONTEXTS.with_borrow_mut(|contexts| contexts.insert(id, Rc::new(context)));
        }
    }
}

/// Logs a callback and runs its phase; returns what the program has it return.
fn phase(id: u32, name: &str, arguments: &[u32]) -> Option<u32> {
    let context = known(id)?;
    calls::log(&line(&context, name, arguments));
    run(&context, name)
}

fn line(context: &Context, name: &str, arguments: &[u32]) -> String {
    arguments.iter().fold(format!("PROBE {} {name}", context.case), |line, argument| format!("{line} {argument}"))
}

fn run(context: &Rc<Context>, phase: &str) -> Option<u32> {
    let before = CALLER.replace(Some(Rc::clone(context)));
    let mut returned = None;
    for (index, op) in context.program.get(phase).into_iter().flatten().enumerate() {
        match op.name {
            "return" => returned = Some(number(op)),
            "stay" => {}
            "trap" => core::arch::wasm32::unreachable(),
            _ => {
                let outcome = calls::run(op, context);
                if let Some(variable) = op.store {
                    VARIABLES.with_borrow_mut(|variables| variables.get_mut(variable).map(|value| *value = outcome.number));
                }
                let name = if op.fault.is_some() { "bad" } else { op.name };
                let result = outcome.result.map(|result| format!(" {result}")).unwrap_or_default();
                calls::log(&format!("PROBE {} {phase} {} {name} {}{result}", context.case, index + 1, outcome.status));
            }
        }
    }
    CALLER.set(before);
    returned
}

fn number(op: &Op) -> u32 {
    match op.arguments.first() {
        Some(Argument::Number(number)) => *number as u32,
        Some(Argument::Variable(index)) => variable(*index) as u32,
        _ => 0,
    }
}

/// Reads a root's program from the plugin's configuration, once the host gives it out.
fn read_configuration(root: u32) {
    if known(root).is_none()
        && let Some(text) = calls::configuration().filter(|text| !text.is_empty())
    {
        let (case, program) = parse_root(&String::from_utf8_lossy(&text));
        adopt(root, case, program);
    }
}

#[unsafe(no_mangle)]
extern "C" fn proxy_abi_version_0_2_1() {}

unsafe extern "C" {
    fn __wasm_call_ctors();
}

#[unsafe(no_mangle)]
extern "C" fn _initialize() {
    // SAFETY: the host calls this once, before anything else.
    unsafe { __wasm_call_ctors() };
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_context_create(id: u32, parent: u32) {
    let root = if parent == 0 { id } else { parent };
    ROOTS.with_borrow_mut(|roots| roots.insert(id, root));
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_vm_start(root: u32, size: u32) -> u32 {
    read_configuration(root);
    phase(root, "vm_start", &[size]).unwrap_or(1)
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_configure(root: u32, size: u32) -> u32 {
    read_configuration(root);
    phase(root, "configure", &[size]).unwrap_or(1)
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_tick(root: u32) {
    if let Some(context) = known(root)
        && context.ticks.get() < TICKS
    {
        context.ticks.set(context.ticks.get() + 1);
        phase(root, "tick", &[]);
    }
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_request_headers(id: u32, headers: u32, end: u32) -> u32 {
    if let Some(program) = calls::request_header("x-program")
        && let Some(case) = calls::request_header("x-case")
    {
        adopt(id, String::from_utf8_lossy(&case).into_owned(), parse(&String::from_utf8_lossy(&program)));
    }
    phase(id, "request_headers", &[headers, end]).unwrap_or(0)
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_request_body(id: u32, size: u32, end: u32) -> u32 {
    phase(id, "request_body", &[size, end]).unwrap_or(0)
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_request_trailers(id: u32, trailers: u32) -> u32 {
    phase(id, "request_trailers", &[trailers]).unwrap_or(0)
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_response_headers(id: u32, headers: u32, end: u32) -> u32 {
    phase(id, "response_headers", &[headers, end]).unwrap_or(0)
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_response_body(id: u32, size: u32, end: u32) -> u32 {
    phase(id, "response_body", &[size, end]).unwrap_or(0)
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_response_trailers(id: u32, trailers: u32) -> u32 {
    phase(id, "response_trailers", &[trailers]).unwrap_or(0)
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_http_call_response(_root: u32, token: u32, headers: u32, body_size: u32, trailers: u32) {
    let Some(pending) = PENDING.with_borrow_mut(|pending| pending.remove(&token)) else { return };
    answered(&pending, "http_call_response", &[headers, body_size, trailers]);
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_grpc_receive(root: u32, token: u32, size: u32) {
    end_grpc_call(root, token, "grpc_receive", size);
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_grpc_close(root: u32, token: u32, status: u32) {
    end_grpc_call(root, token, "grpc_close", status);
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_grpc_receive_initial_metadata(root: u32, token: u32, lines: u32) {
    end_grpc_call(root, token, "grpc_receive_initial_metadata", lines);
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_grpc_receive_trailing_metadata(root: u32, token: u32, lines: u32) {
    end_grpc_call(root, token, "grpc_receive_trailing_metadata", lines);
}

/// Logs what a gRPC call came to and runs its phase. One that was refused has a number 0.
fn end_grpc_call(root: u32, token: u32, phase: &str, argument: u32) {
    let refused = || REFUSED.take().map(|owner| Pending { owner, index: 0 });
    let Some(pending) = PENDING.with_borrow_mut(|pending| pending.remove(&token)).or_else(refused) else { return };
    if root != pending.owner.root {
        calls::log(&line(&pending.owner, "grpc call of another root", &[]));
    }
    answered(&pending, phase, &[argument]);
}

/// Logs that a call has been answered, and runs its phase for the context that made it.
fn answered(Pending { owner, index }: &Pending, phase: &str, arguments: &[u32]) {
    let line = line(owner, phase, &[&[*index], arguments].concat());
    if known(owner.id).is_none_or(|context| !Rc::ptr_eq(&context, owner)) {
        calls::log(&format!("{line} gone"));
        run(owner, "late");
        return;
    }
    let stays = owner.program.get(phase).and_then(|ops| ops.first()).is_some_and(|op| op.name == "stay");
    if !stays {
        calls::set_effective_context(owner.id);
    }
    calls::log(&line);
    run(owner, phase);
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_done(id: u32) -> u32 {
    phase(id, "done", &[]).unwrap_or(1)
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_log(id: u32) {
    phase(id, "log", &[]);
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_delete(id: u32) {
    phase(id, "delete", &[]);
    ROOTS.with_borrow_mut(|roots| roots.remove(&id));
    CONTEXTS.with_borrow_mut(|contexts| contexts.remove(&id));
}

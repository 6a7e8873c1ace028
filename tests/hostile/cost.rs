// SPDX-License-Identifier: Apache-2.0
//! The module in the native host, its work counted.

use tracegate_harness::host::{self, Always, HeaderMap, Message, Metering, Module, Options, Proxy, Reply, Request};
use tracegate_harness::module;

use super::head::{Head, heads, random, seeded};
use super::sound::assert_sound;
use crate::EVERYTHING;

/// Twice the bytes take less than two and a half times the work: what is no square is well below, what is one above.
#[test]
fn work_grows_with_the_bytes_and_no_faster() {
    let module = compiled();
    // Where the fixed cost of a request is small beside.
    const SIZE: usize = 60 << 10;
    for (small, large) in heads(SIZE).iter().zip(heads(2 * SIZE)) {
        let (once, twice) = (fuel(&module, small), fuel(&module, &large));
        assert!(twice * 2 < once * 5, "{}: {once} units for {SIZE} bytes, {twice} for twice as many", small.what);
    }
}

/// Nearly a mebibyte, with all bytes that a host may hand over.
#[test]
fn nothing_traps_and_nothing_malformed_goes_on() {
    let module = compiled();
    let mut proxy = start(&module);
    let any: Vec<u8> = (0..=u8::MAX).filter(|byte| !matches!(byte, 0 | b'\r' | b'\n')).collect();
    let mut seeded = seeded(3);
    let some = heads(1_000_000).into_iter().step_by(7).chain(heads(60 << 10)).filter(|head| head.lines.len() <= MAX_LINES);
    let some = some.chain((0..3000).map(|_| random(&mut seeded, &any)));
    for head in some {
        let finished = proxy.exchange(request(&head));
        assert_eq!(proxy.failure(), None, "{}", head.what);
        let upstream = finished.upstream.unwrap_or_else(|| panic!("{}: not forwarded: {}", head.what, finished.details)).head;
        let lines: Vec<_> = upstream.iter().map(|line| (line.name.clone(), line.value.clone())).collect();
        assert_sound(&head.what, &lines);
    }
}

/// The native host looks for a line among all others: beyond this the time is its own.
const MAX_LINES: usize = 6000;

fn compiled() -> Module {
    host::compile_file(&module::build().unwrap(), Metering::Fuel).unwrap()
}

fn start(module: &Module) -> Proxy<'_, Always> {
    Proxy::start(module, Options::new(EVERYTHING, 7), Always(Reply::now(Message::response(200, [("x", "")], b"")))).unwrap()
}

fn request(head: &Head) -> Request {
    let mut map: HeaderMap = [(":method", "GET"), (":path", "/"), (":authority", "api.example")].into_iter().collect();
    head.lines.iter().for_each(|(name, value)| map.add(name.as_bytes(), value));
    Request { message: Message::request(map), ..Request::default() }
}

/// What the module takes for a request like this one, its buffers warm.
fn fuel(module: &Module, head: &Head) -> u64 {
    let mut proxy = start(module);
    let mut last = 0;
    for _ in 0..2 {
        let before = proxy.vm().fuel_used().unwrap();
        proxy.exchange(request(head));
        assert_eq!(proxy.failure(), None, "{}", head.what);
        last = proxy.vm().fuel_used().unwrap() - before;
    }
    last
}

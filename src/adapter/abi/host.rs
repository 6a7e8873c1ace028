// SPDX-License-Identifier: Apache-2.0
//! Host calls that can't panic: every status comes back as a value, every text as bytes.
//!
//! Names and semantics: <https://github.com/proxy-wasm/spec/tree/main/abi-versions/v0.2.1>.
#![expect(unsafe_code, reason = "calling the host means calling foreign functions")]

use std::time::Duration;

use proxy_wasm::hostcalls;
use proxy_wasm::types::{LogLevel, MapType, MetricType};

use crate::inputs::EntropyUnavailable;

mod raw {
    //! Declared with the lowered types of the SDK's own declarations: another type would link to `unreachable`. A status
    //! is a plain number here, since hosts may answer with one that the SDK's enum doesn't have.

    use super::{LogLevel, MapType, MetricType};

    #[link(wasm_import_module = "env")]
    unsafe extern "C" {
        pub(super) fn proxy_log(level: LogLevel, message_data: *const u8, message_size: usize) -> u32;
        pub(super) fn proxy_get_current_time_nanoseconds(return_time: *mut u64) -> u32;
        pub(super) fn proxy_set_tick_period_milliseconds(period: u32) -> u32;
        pub(super) fn proxy_get_buffer_bytes(
            buffer: u32,
            start: usize,
            max_size: usize,
            return_data: *mut *mut u8,
            return_size: *mut usize,
        ) -> u32;
        pub(super) fn proxy_get_property(path_data: *const u8, path_size: usize, return_data: *mut *mut u8, return_size: *mut usize)
        -> u32;
        pub(super) fn proxy_set_property(path_data: *const u8, path_size: usize, value_data: *const u8, value_size: usize) -> u32;
        pub(super) fn proxy_get_shared_data(
            key_data: *const u8,
            key_size: usize,
            return_data: *mut *mut u8,
            return_size: *mut usize,
            return_cas: *mut u32,
        ) -> u32;
        pub(super) fn proxy_set_shared_data(
            key_data: *const u8,
            key_size: usize,
            value_data: *const u8,
            value_size: usize,
            cas: u32,
        ) -> u32;
        pub(super) fn proxy_call_foreign_function(
            name_data: *const u8,
            name_size: usize,
            arguments_data: *const u8,
            arguments_size: usize,
            return_data: *mut *mut u8,
            return_size: *mut usize,
        ) -> u32;
        pub(super) fn proxy_set_effective_context(context: u32) -> u32;
        pub(super) fn proxy_continue_stream(stream: u32) -> u32;
        pub(super) fn proxy_get_header_map_pairs(map: MapType, return_data: *mut *mut u8, return_size: *mut usize) -> u32;
        pub(super) fn proxy_get_header_map_value(
            map: MapType,
            key_data: *const u8,
            key_size: usize,
            return_data: *mut *mut u8,
            return_size: *mut usize,
        ) -> u32;
        pub(super) fn proxy_replace_header_map_value(
            map: MapType,
            key_data: *const u8,
            key_size: usize,
            value_data: *const u8,
            value_size: usize,
        ) -> u32;
        pub(super) fn proxy_remove_header_map_value(map: MapType, key_data: *const u8, key_size: usize) -> u32;
        pub(super) fn proxy_send_local_response(
            status: u32,
            details_data: *const u8,
            details_size: usize,
            body_data: *const u8,
            body_size: usize,
            headers_data: *const u8,
            headers_size: usize,
            grpc_status: i32,
        ) -> u32;
        pub(super) fn proxy_define_metric(kind: MetricType, name_data: *const u8, name_size: usize, return_id: *mut u32) -> u32;
        pub(super) fn proxy_increment_metric(id: u32, offset: i64) -> u32;
        pub(super) fn proxy_record_metric(id: u32, value: u64) -> u32;
    }
}

/// A status other than OK, as the host gave it (`proxy_status_t`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Failed(u32);

impl Failed {
    /// A shared value has another version than was given.
    pub(super) const CAS_MISMATCH: Self = Self(8);
}

impl std::fmt::Display for Failed {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "the host answered with status {}", self.0)
    }
}

const fn checked(status: u32) -> Result<(), Failed> {
    if status == 0 { Ok(()) } else { Err(Failed(status)) }
}

/// Writes a log line; a host that takes none is no reason to fail.
pub(super) fn log(level: LogLevel, message: &str) {
    // SAFETY: the pointer and size are those of a live string, which the host only reads.
    let _ = unsafe { raw::proxy_log(level, message.as_ptr(), message.len()) };
}

/// Nanoseconds since 1970, or 0 from a host without a clock.
pub(super) fn now() -> u64 {
    let mut now = 0;
    // SAFETY: the host writes 8 bytes to a live `u64`.
    let status = unsafe { raw::proxy_get_current_time_nanoseconds(&raw mut now) };
    if status == 0 { now } else { 0 }
}

/// Fills `bytes` with the host's randomness.
pub(super) fn fill_random(bytes: &mut [u8]) -> Result<(), EntropyUnavailable> {
    getrandom::fill(bytes).map_err(|_| EntropyUnavailable)
}

/// Asks for ticks every `milliseconds`.
pub(super) fn set_tick_period(milliseconds: u32) -> Result<(), Failed> {
    // SAFETY: passes a number.
    checked(unsafe { raw::proxy_set_tick_period_milliseconds(milliseconds) })
}

/// The plugin's configuration, `size` bytes of it.
pub(super) fn plugin_configuration(size: usize) -> Result<Vec<u8>, Failed> {
    const PLUGIN_CONFIGURATION: u32 = 7;
    buffer(PLUGIN_CONFIGURATION, size)
}

/// The first `size` bytes of the body that a callout brought.
pub(super) fn call_response_body(size: usize) -> Result<Vec<u8>, Failed> {
    const HTTP_CALL_RESPONSE_BODY: u32 = 4;
    buffer(HTTP_CALL_RESPONSE_BODY, size)
}

/// The message that a gRPC call brought, `size` bytes of it.
pub(super) fn grpc_message(size: usize) -> Result<Vec<u8>, Failed> {
    const GRPC_RECEIVE_BUFFER: u32 = 5;
    buffer(GRPC_RECEIVE_BUFFER, size)
}

fn buffer(kind: u32, size: usize) -> Result<Vec<u8>, Failed> {
    // SAFETY: the host writes a pointer and a size to the two live places that `returned` gives it.
    returned(|data, length| unsafe { raw::proxy_get_buffer_bytes(kind, 0, size, data, length) })
}

/// A value that the VMs of one id share, and which version of it this is.
pub(super) fn shared_data(key: &str) -> Result<(Vec<u8>, u32), Failed> {
    let mut cas = 0;
    // SAFETY: the key is a live string, which the host only reads; it writes to three live places, two of which `returned` gives it.
    let value = returned(|data, length| unsafe { raw::proxy_get_shared_data(key.as_ptr(), key.len(), data, length, &raw mut cas) });
    value.map(|value| (value, cas))
}

/// Sets a value that the VMs of one id share, where its version is `cas`; 0 stands for any.
pub(super) fn set_shared_data(key: &str, value: &[u8], cas: u32) -> Result<(), Failed> {
    // SAFETY: pointers and sizes are those of live slices, which the host only reads.
    checked(unsafe { raw::proxy_set_shared_data(key.as_ptr(), key.len(), value.as_ptr(), value.len(), cas) })
}

/// Calls a function of the host's own.
pub(super) fn foreign_function(name: &str, arguments: &[u8]) -> Result<Vec<u8>, Failed> {
    // SAFETY: the slices are live, and the host only reads them; it writes to the two live places that `returned` gives it.
    returned(|data, length| unsafe {
        raw::proxy_call_foreign_function(name.as_ptr(), name.len(), arguments.as_ptr(), arguments.len(), data, length)
    })
}

/// Makes another context the one that calls are about.
pub(super) fn set_effective_context(context: u32) -> Result<(), Failed> {
    // SAFETY: passes a number.
    checked(unsafe { raw::proxy_set_effective_context(context) })
}

/// Lets a paused request go on.
pub(super) fn continue_request() -> Result<(), Failed> {
    const HTTP_REQUEST: u32 = 0;
    // SAFETY: passes a number.
    checked(unsafe { raw::proxy_continue_stream(HTTP_REQUEST) })
}

/// Sends a request of the plugin's own; the answer goes to the context that is at work. The SDK must know of the call to pass the answer on, and
/// it does the sending: it panics on statuses that the ABI doesn't give for this call.
pub(super) fn http_call(cluster: &str, headers: Vec<(&str, &str)>, body: Option<&[u8]>, timeout: Duration) -> Option<u32> {
    hostcalls::dispatch_http_call(cluster, headers, body, Vec::new(), timeout).ok()
}

/// Makes a unary gRPC call; the answer goes to the context that is at work. The SDK sends it, for the reasons of [`http_call`].
///
/// The cluster is named by an `envoy.config.core.v3.GrpcService`, and not plainly: Envoy reads a plain name as such a message first, and ends itself
/// where that succeeds, as it does for `users`.
pub(super) fn grpc_call(cluster: &str, service: &str, method: &str, message: &[u8], timeout: Duration) -> Option<u32> {
    let length = u8::try_from(cluster.len()).ok().filter(|length| *length <= MAX_GRPC_CLUSTER)?;
    let target = format!("\n{}\n{}{cluster}", char::from(length.saturating_add(2)), char::from(length));
    hostcalls::dispatch_grpc_call(&target, service, method, Vec::new(), Some(message), timeout).ok()
}

/// A longer name's message would hold lengths that are no text, as which the SDK passes it on.
const MAX_GRPC_CLUSTER: u8 = 125;

/// An attribute of the stream at hand, by its path.
pub(super) fn property(path: &str) -> Result<Vec<u8>, Failed> {
    // SAFETY: the path is a live string, which the host only reads; it writes to the two live places that `returned` gives it.
    returned(|data, length| unsafe { raw::proxy_get_property(path.as_ptr(), path.len(), data, length) })
}

/// Sets an attribute of the stream at hand that later filters and the access log see.
pub(super) fn set_property(path: &str, value: &[u8]) -> Result<(), Failed> {
    // SAFETY: pointers and sizes are those of live slices, which the host only reads.
    checked(unsafe { raw::proxy_set_property(path.as_ptr(), path.len(), value.as_ptr(), value.len()) })
}

/// A serialised header map, in the host's own buffer.
pub(super) fn header_map(map: MapType) -> Result<Vec<u8>, Failed> {
    // SAFETY: the host writes a pointer and a size to the two live places that `returned` gives it.
    returned(|data, length| unsafe { raw::proxy_get_header_map_pairs(map, data, length) })
}

/// The value of the first line called `name`.
pub(super) fn header_value(map: MapType, name: &str) -> Result<Vec<u8>, Failed> {
    // SAFETY: the name is a live string, which the host only reads; it writes to the two live places that `returned` gives it.
    returned(|data, length| unsafe { raw::proxy_get_header_map_value(map, name.as_ptr(), name.len(), data, length) })
}

/// Makes all lines called `name` one.
pub(super) fn replace_header(map: MapType, name: &str, value: &[u8]) -> Result<(), Failed> {
    // SAFETY: pointers and sizes are those of live slices, which the host only reads.
    checked(unsafe { raw::proxy_replace_header_map_value(map, name.as_ptr(), name.len(), value.as_ptr(), value.len()) })
}

/// Deletes all lines called `name`.
pub(super) fn remove_header(map: MapType, name: &str) -> Result<(), Failed> {
    // SAFETY: the pointer and size are those of a live string, which the host only reads.
    checked(unsafe { raw::proxy_remove_header_map_value(map, name.as_ptr(), name.len()) })
}

/// Answers the client. `details` goes to the access log's response code details.
pub(super) fn send_local_response(status: u16, details: &str, headers: &[(&str, &str)], body: &str) -> Result<(), Failed> {
    /// Leaves the mapping from HTTP to gRPC status to the host.
    const NO_GRPC_STATUS: i32 = -1;
    let headers = serialised(headers);
    // SAFETY: pointers and sizes are those of live slices, which the host only reads.
    checked(unsafe {
        raw::proxy_send_local_response(
            u32::from(status),
            details.as_ptr(),
            details.len(),
            body.as_ptr(),
            body.len(),
            headers.as_ptr(),
            headers.len(),
            NO_GRPC_STATUS,
        )
    })
}

/// Defines a metric; defining it again gives the same id.
pub(super) fn define_metric(kind: MetricType, name: &str) -> Result<u32, Failed> {
    let mut id = 0;
    // SAFETY: pointer and size are those of a live string, and the host writes 4 bytes to a live `u32`.
    checked(unsafe { raw::proxy_define_metric(kind, name.as_ptr(), name.len(), &raw mut id) }).map(|()| id)
}

/// Adds to a counter or a gauge.
pub(super) fn increment_metric(id: u32, by: i64) {
    // SAFETY: passes numbers.
    let _ = unsafe { raw::proxy_increment_metric(id, by) };
}

/// Sets a gauge, or adds a value to a histogram.
pub(super) fn record_metric(id: u32, value: u64) {
    // SAFETY: passes numbers.
    let _ = unsafe { raw::proxy_record_metric(id, value) };
}

/// Takes over the buffer that the host allocated, through `proxy_on_memory_allocate`, and filled.
fn returned(call: impl FnOnce(*mut *mut u8, *mut usize) -> u32) -> Result<Vec<u8>, Failed> {
    let mut data = std::ptr::null_mut();
    let mut size = 0;
    checked(call(&raw mut data, &raw mut size))?;
    if data.is_null() || size == 0 {
        return Ok(Vec::new());
    }
    // SAFETY: ABI 0.2.1 gives the caller the buffer, which the SDK's `proxy_on_memory_allocate` made as a boxed slice of
    // `size` bytes with this allocator; nothing else keeps the pointer.
    Ok(unsafe { Vec::from_raw_parts(data, size, size) })
}

/// The form that [`pairs`](super::super::pairs) reads.
fn serialised(headers: &[(&str, &str)]) -> Vec<u8> {
    let length = |text: &str| u32::try_from(text.len()).unwrap_or(u32::MAX).to_le_bytes();
    let mut buffer = u32::try_from(headers.len()).unwrap_or(u32::MAX).to_le_bytes().to_vec();
    for (name, value) in headers {
        buffer.extend(length(name).into_iter().chain(length(value)));
    }
    for text in headers.iter().flat_map(|(name, value)| [name, value]) {
        buffer.extend_from_slice(text.as_bytes());
        buffer.push(0);
    }
    buffer
}

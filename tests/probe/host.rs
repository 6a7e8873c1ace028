// SPDX-License-Identifier: Apache-2.0
//! The host's functions as imported: addresses are plain numbers, so that wrong ones can be passed.

#[link(wasm_import_module = "env")]
unsafe extern "C" {
    pub fn proxy_log(level: u32, message: u32, size: u32) -> u32;
    pub fn proxy_get_log_level(level: u32) -> u32;
    pub fn proxy_get_status(code: u32, message: u32, size: u32) -> u32;
    pub fn proxy_set_tick_period_milliseconds(period: u32) -> u32;
    pub fn proxy_get_current_time_nanoseconds(time: u32) -> u32;
    pub fn proxy_get_property(path: u32, path_size: u32, value: u32, value_size: u32) -> u32;
    pub fn proxy_set_property(path: u32, path_size: u32, value: u32, value_size: u32) -> u32;
    pub fn proxy_get_shared_data(key: u32, key_size: u32, value: u32, value_size: u32, cas: u32) -> u32;
    pub fn proxy_set_shared_data(key: u32, key_size: u32, value: u32, value_size: u32, cas: u32) -> u32;
    pub fn proxy_define_metric(kind: u32, name: u32, name_size: u32, id: u32) -> u32;
    pub fn proxy_increment_metric(id: u32, offset: i64) -> u32;
    pub fn proxy_record_metric(id: u32, value: u64) -> u32;
    pub fn proxy_get_metric(id: u32, value: u32) -> u32;
    pub fn proxy_get_header_map_value(map: u32, name: u32, name_size: u32, value: u32, value_size: u32) -> u32;
    pub fn proxy_get_header_map_pairs(map: u32, pairs: u32, size: u32) -> u32;
    pub fn proxy_set_header_map_pairs(map: u32, pairs: u32, size: u32) -> u32;
    pub fn proxy_add_header_map_value(map: u32, name: u32, name_size: u32, value: u32, value_size: u32) -> u32;
    pub fn proxy_replace_header_map_value(map: u32, name: u32, name_size: u32, value: u32, value_size: u32) -> u32;
    pub fn proxy_remove_header_map_value(map: u32, name: u32, name_size: u32) -> u32;
    pub fn proxy_get_header_map_size(map: u32, size: u32) -> u32;
    pub fn proxy_get_buffer_bytes(buffer: u32, start: u32, length: u32, bytes: u32, size: u32) -> u32;
    pub fn proxy_get_buffer_status(buffer: u32, length: u32, flags: u32) -> u32;
    pub fn proxy_set_buffer_bytes(buffer: u32, start: u32, length: u32, bytes: u32, size: u32) -> u32;
    pub fn proxy_http_call(
        cluster: u32,
        cluster_size: u32,
        headers: u32,
        headers_size: u32,
        body: u32,
        body_size: u32,
        trailers: u32,
        trailers_size: u32,
        timeout: u32,
        token: u32,
    ) -> u32;
    pub fn proxy_grpc_call(
        cluster: u32,
        cluster_size: u32,
        service: u32,
        service_size: u32,
        method: u32,
        method_size: u32,
        metadata: u32,
        metadata_size: u32,
        message: u32,
        message_size: u32,
        timeout: u32,
        token: u32,
    ) -> u32;
    pub fn proxy_grpc_cancel(token: u32) -> u32;
    pub fn proxy_grpc_close(token: u32) -> u32;
    pub fn proxy_continue_stream(stream: u32) -> u32;
    pub fn proxy_close_stream(stream: u32) -> u32;
    pub fn proxy_send_local_response(
        status: u32,
        details: u32,
        details_size: u32,
        body: u32,
        body_size: u32,
        headers: u32,
        headers_size: u32,
        grpc_status: i32,
    ) -> u32;
    pub fn proxy_set_effective_context(context: u32) -> u32;
    pub fn proxy_done() -> u32;
    pub fn proxy_call_foreign_function(name: u32, name_size: u32, argument: u32, argument_size: u32, result: u32, size: u32) -> u32;
}

#[link(wasm_import_module = "wasi_snapshot_preview1")]
unsafe extern "C" {
    pub fn fd_write(descriptor: u32, vectors: u32, count: u32, written: u32) -> u32;
    pub fn clock_time_get(clock: u32, precision: u64, time: u32) -> u32;
    pub fn random_get(bytes: u32, size: u32) -> u32;
    pub fn environ_sizes_get(count: u32, size: u32) -> u32;
    pub fn args_sizes_get(count: u32, size: u32) -> u32;
}

// SPDX-License-Identifier: Apache-2.0
//! What the module may do: a host that restricts it to this refuses the rest, such as changing a body.

/// The host functions that the module imports.
pub const HOST_FUNCTIONS: [&str; 26] = [
    "environ_get",
    "environ_sizes_get",
    "fd_write",
    "proc_exit",
    "proxy_call_foreign_function",
    "proxy_continue_stream",
    "proxy_define_metric",
    "proxy_get_buffer_bytes",
    "proxy_get_current_time_nanoseconds",
    "proxy_get_header_map_pairs",
    "proxy_get_header_map_value",
    "proxy_get_property",
    "proxy_get_shared_data",
    "proxy_grpc_call",
    "proxy_http_call",
    "proxy_increment_metric",
    "proxy_log",
    "proxy_record_metric",
    "proxy_remove_header_map_value",
    "proxy_replace_header_map_value",
    "proxy_send_local_response",
    "proxy_set_effective_context",
    "proxy_set_property",
    "proxy_set_shared_data",
    "proxy_set_tick_period_milliseconds",
    "random_get",
];

/// The callbacks that the host makes.
pub const CALLBACKS: [&str; 13] = [
    "proxy_on_configure",
    "proxy_on_context_create",
    "proxy_on_delete",
    "proxy_on_done",
    "proxy_on_grpc_close",
    "proxy_on_grpc_receive",
    "proxy_on_http_call_response",
    "proxy_on_log",
    "proxy_on_request_headers",
    "proxy_on_request_trailers",
    "proxy_on_response_headers",
    "proxy_on_tick",
    "proxy_on_vm_start",
];

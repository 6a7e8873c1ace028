// SPDX-License-Identifier: Apache-2.0
//! The callbacks that a module exports; a host calls no others.

use wasmtime::{Instance, Store, TypedFunc, WasmParams, WasmResults};

use super::engine::wasm_error;
use super::state::State;
use crate::error::Result;

/// Declares the callbacks: field, export, parameters and result.
macro_rules! calls {
    ($($(#[$doc:meta])* $field:ident = $export:literal: ($($parameter:ty),*) -> $result:ty;)*) => {
        /// The callbacks of ABI 0.2.1, where the module has them.
        pub(super) struct Calls {
            $($(#[$doc])* pub(super) $field: Option<TypedFunc<($($parameter,)*), $result>>,)*
        }

        impl Calls {
            /// Finds what the module exports.
            ///
            /// # Errors
            ///
            /// When an export has another signature than the ABI says.
            pub(super) fn find(instance: &Instance, store: &mut Store<State>) -> Result<Self> {
                Ok(Self { $($field: find(instance, store, $export)?,)* })
            }
        }
    };
}

calls! {
    initialize = "_initialize": () -> ();
    main = "main": (u32, u32) -> u32;
    start = "_start": () -> ();
    context_create = "proxy_on_context_create": (u32, u32) -> ();
    vm_start = "proxy_on_vm_start": (u32, u32) -> u32;
    configure = "proxy_on_configure": (u32, u32) -> u32;
    tick = "proxy_on_tick": (u32) -> ();
    request_headers = "proxy_on_request_headers": (u32, u32, u32) -> u32;
    request_body = "proxy_on_request_body": (u32, u32, u32) -> u32;
    request_trailers = "proxy_on_request_trailers": (u32, u32) -> u32;
    response_headers = "proxy_on_response_headers": (u32, u32, u32) -> u32;
    response_body = "proxy_on_response_body": (u32, u32, u32) -> u32;
    response_trailers = "proxy_on_response_trailers": (u32, u32) -> u32;
    http_call_response = "proxy_on_http_call_response": (u32, u32, u32, u32, u32) -> ();
    grpc_receive = "proxy_on_grpc_receive": (u32, u32, u32) -> ();
    grpc_close = "proxy_on_grpc_close": (u32, u32, u32) -> ();
    done = "proxy_on_done": (u32) -> u32;
    log = "proxy_on_log": (u32) -> ();
    delete = "proxy_on_delete": (u32) -> ();
}

/// An export with its signature; `None` where there is none, an error where it has another.
pub(super) fn find<P: WasmParams, R: WasmResults>(
    instance: &Instance,
    store: &mut Store<State>,
    name: &str,
) -> Result<Option<TypedFunc<P, R>>> {
    let Some(function) = instance.get_func(&mut *store, name) else { return Ok(None) };
    let typed =
        function.typed(&*store).map_err(|error| wasm_error(&format!("`{name}` has another signature than in ABI 0.2.1"), &error))?;
    Ok(Some(typed))
}

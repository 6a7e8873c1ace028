// SPDX-License-Identifier: Apache-2.0
//! Values of the page's and of its host's, made plain before they are looked at: a proxy, a getter or an array with a length of its own could throw in
//! the middle of a call, and what throws through WebAssembly leaves its state behind as it stands.

use js_sys::{Reflect, Uint8Array};
use wasm_bindgen::JsCast;
use wasm_bindgen::prelude::{JsValue, wasm_bindgen};

#[wasm_bindgen]
extern "C" {
    /// <https://html.spec.whatwg.org/multipage/structured-data.html#dom-structuredclone>
    #[wasm_bindgen(catch, js_name = structuredClone)]
    fn structured_clone(value: &JsValue) -> Result<JsValue, JsValue>;
}

/// A copy in plain objects, arrays and the like: nothing in it runs code.
///
/// # Errors
///
/// What the value threw, or that it holds what can't be copied.
pub(super) fn copied(value: &JsValue) -> Result<JsValue, JsValue> {
    structured_clone(value)
}

/// An answer's copy. What a service says fills no memory: a longer body reads as one of [`MAX_BYTES`] and one more, which nothing makes use of.
///
/// # Errors
///
/// As [`copied`].
pub(super) fn copied_answer(value: &JsValue) -> Result<JsValue, JsValue> {
    let value = copied(value)?;
    let reply = Reflect::get(&value, &"reply".into()).unwrap_or_default();
    if let Some(body) = Reflect::get(&reply, &"body".into()).ok().and_then(|body| body.dyn_into::<Uint8Array>().ok())
        && body.length() > MAX_BYTES
    {
        Reflect::set(&reply, &"body".into(), &body.subarray(0, MAX_BYTES.saturating_add(1)))?;
    }
    Ok(value)
}

/// The bytes of an `Uint8Array`, up to [`MAX_BYTES`] of them.
pub(super) fn bytes(value: &JsValue) -> Option<Vec<u8>> {
    let array: Uint8Array = copied(value).ok()?.dyn_into().ok()?;
    (array.length() <= MAX_BYTES).then(|| array.to_vec())
}

/// What anybody threw, in words.
pub(super) fn words(thrown: &JsValue) -> String {
    let message = Reflect::get(thrown, &"message".into()).ok().and_then(|message| message.as_string());
    message.or_else(|| thrown.as_string()).unwrap_or_else(|| "it can't be copied".to_owned())
}

/// More than any value that a host keeps for a gateway.
const MAX_BYTES: u32 = 16 << 20;

// SPDX-License-Identifier: Apache-2.0
//! Values of the page's and of its host's, made plain before they are looked at: a proxy, a getter, a cycle or an array with a length of its own could
//! throw in the middle of a call, and what throws through WebAssembly leaves its state behind as it stands.

use js_sys::{Array, JsString, Object, Reflect, Uint8Array};
use wasm_bindgen::JsCast;
use wasm_bindgen::prelude::{JsValue, wasm_bindgen};

#[wasm_bindgen]
extern "C" {
    /// <https://html.spec.whatwg.org/multipage/structured-data.html#dom-structuredclone>
    #[wasm_bindgen(catch, js_name = structuredClone)]
    fn structured_clone(value: &JsValue) -> Result<JsValue, JsValue>;
}

/// A copy in plain objects, arrays, bytes and primitive values, nested no deeper than the face's own values and with no more than [`MAX_BYTES`] of
/// texts and parts altogether: nothing in it runs code. Of bytes no more than [`MAX_BYTES`] and one are left, which nothing makes use of.
///
/// # Errors
///
/// What else was found.
pub(super) fn copied(value: &JsValue) -> Result<JsValue, String> {
    let copy = structured_clone(value).map_err(|thrown| words(&thrown))?;
    let mut room = MAX_BYTES;
    settle(&copy, MAX_DEPTH, &mut room)?;
    Ok(copy)
}

/// The bytes of an `Uint8Array`, up to [`MAX_BYTES`] of them.
pub(super) fn bytes(value: &JsValue) -> Option<Vec<u8>> {
    bytes_of(structured_clone(value).ok()?)
}

/// The same of what has been copied.
pub(super) fn bytes_of(copy: JsValue) -> Option<Vec<u8>> {
    let array: Uint8Array = copy.dyn_into().ok()?;
    (array.length() <= MAX_BYTES).then(|| array.to_vec())
}

/// A text of up to [`MAX_BYTES`] characters.
pub(super) fn text(value: &JsValue) -> Option<String> {
    let text: &JsString = value.dyn_ref()?;
    (text.length() <= MAX_BYTES).then(|| value.as_string()).flatten()
}

/// Refuses what isn't plain in a copy, or has more in it than there is room, and shortens bytes.
fn settle(value: &JsValue, depth: u8, room: &mut u32) -> Result<(), String> {
    // One text may stand in many places: it is taken in for each.
    let length = value.dyn_ref().map_or(0, JsString::length);
    let left = room.checked_sub(PART).and_then(|room| room.checked_sub(length));
    *room = left.ok_or_else(|| format!("expected at most {MAX_BYTES} characters in all, {PART} counted for each part, found more"))?;
    if !value.is_object() || value.is_instance_of::<Uint8Array>() {
        return Ok(());
    }
    let is_plain = Array::is_array(value) || Object::is(&Object::get_prototype_of(value), &Object::get_prototype_of(&Object::new()));
    let depth = depth.checked_sub(1).filter(|_| is_plain);
    let depth = depth.ok_or("expected plain objects, lists, texts, numbers and an Uint8Array, found something else, or nested deeper")?;
    let holder: &Object = value.unchecked_ref();
    for name in Object::keys(holder).iter() {
        let part = Reflect::get(value, &name).map_err(|thrown| words(&thrown))?;
        settle(&part, depth, room)?;
        if let Some(bytes) = part.dyn_ref::<Uint8Array>().filter(|bytes| bytes.length() > MAX_BYTES) {
            let short = bytes.subarray(0, MAX_BYTES.saturating_add(1));
            Reflect::set(value, &name, &short).map_err(|thrown| words(&thrown))?;
        }
    }
    Ok(())
}

/// What anybody threw, in words.
fn words(thrown: &JsValue) -> String {
    let message = Reflect::get(thrown, &"message".into()).ok().and_then(|message| message.as_string());
    message.or_else(|| thrown.as_string()).unwrap_or_else(|| "it can't be copied".to_owned())
}

/// More than any value that a host keeps for a gateway, and than any policy.
const MAX_BYTES: u32 = 16 << 20;
/// What a part takes beside its text.
const PART: u32 = 32;
/// An answer holds a reply, that its lines, those a line each.
const MAX_DEPTH: u8 = 4;

// SPDX-License-Identifier: Apache-2.0
//! The custom section `tracegate`: which version this is and which policy schemas it reads, for tools that look at the
//! file without running it.
#![expect(unsafe_code, reason = "a section's name is an unsafe attribute: linkers give some names a meaning")]

/// `{"version":"…","schema":1}`
const TEXT: &str = concat!("{\"version\":\"", env!("CARGO_PKG_VERSION"), "\",\"schema\":1}");
const _: () = assert!(crate::config::SCHEMA == 1, "the section names the newest schema");

#[used]
#[unsafe(link_section = "tracegate")]
static SECTION: [u8; TEXT.len()] = *match TEXT.as_bytes().first_chunk() {
    Some(text) => text,
    None => &[0; TEXT.len()],
};

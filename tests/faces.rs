// SPDX-License-Identifier: Apache-2.0
//! What is said to the core and what it answers, taken down on the native core and held against its other faces: the module, the component, and
//! the one for browsers. Each is lent what the core was lent, clock and randomness included, and must answer the same, word for word.

mod browser;
mod bytes;
mod component;
mod module;
mod recorded;
mod said;
mod turn;

use std::sync::OnceLock;

pub use browser::{Answered, compare};
pub use bytes::Bytes;
pub use module::beyond_a_module;
pub use recorded::Recorded;
pub use said::{Answer, Awaits, Call, Compiled, Decided, Drained, Edit, Failed, Failure, Finding, Heard, Lines, Said, Told};
pub use turn::{Ask, Conversation, Record, Turn};

/// Holds a conversation against the other faces: against the module where a proxy could have had it, see [`beyond_a_module`].
///
/// # Panics
///
/// Where a face asks for something else, or answers something else.
#[track_caller]
pub fn agree(conversation: &Conversation) {
    static MODULE: OnceLock<module::Module> = OnceLock::new();
    static COMPONENT: OnceLock<component::Component> = OnceLock::new();
    static BROWSER: OnceLock<Option<browser::Browser>> = OnceLock::new();
    if conversation.is_empty() {
        return;
    }
    if beyond_a_module(conversation).is_none() {
        MODULE.get_or_init(module::Module::build).agree(conversation);
    }
    COMPONENT.get_or_init(component::Component::build).agree(conversation);
    if let Some(browser) = BROWSER.get_or_init(browser::Browser::build) {
        browser.agree(conversation);
    }
}

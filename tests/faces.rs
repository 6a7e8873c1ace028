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
pub use recorded::Recorded;
pub use said::{Answer, Awaits, Call, Compiled, Decided, Drained, Edit, Failed, Failure, Finding, Heard, Lines, Said, Told};
pub use turn::{Ask, Conversation, Record, Turn};

/// Holds a conversation against the other faces: the module among them, unless no proxy could tell it all of this and none needs to.
///
/// # Panics
///
/// Where a face asks for something else, or answers something else, and where a module needs to be told what none can be.
#[track_caller]
fn agree(conversation: &Conversation, may_be_beyond_modules: bool) {
    static MODULE: OnceLock<module::Module> = OnceLock::new();
    static COMPONENT: OnceLock<component::Component> = OnceLock::new();
    static BROWSER: OnceLock<Option<browser::Browser>> = OnceLock::new();
    if conversation.is_empty() {
        return;
    }
    let module = || MODULE.get_or_init(module::Module::build);
    match module::courses(conversation) {
        Err(_) if let [Turn { heard: Heard::Started { error: Some(error) }, .. }] = conversation.as_slice() => {
            module().refuses(&conversation[0], error);
        }
        Ok(courses) => module().agree(conversation, courses),
        Err(why) => assert!(may_be_beyond_modules, "no module can be told this: {why}"),
    }
    COMPONENT.get_or_init(component::Component::build).agree(conversation);
    if let Some(browser) = BROWSER.get_or_init(browser::Browser::build) {
        browser.agree(conversation);
    }
}

// SPDX-License-Identifier: Apache-2.0
//! The browser face's JavaScript and TypeScript: the program `browser-bindings` writes them. What tries them lies beside: `conversation.mjs` plays what
//! was said to the native core, `in_node.mjs` does so in Node, `page.html` in a browser.

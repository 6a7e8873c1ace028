// SPDX-License-Identifier: Apache-2.0
//! Members that stand once, and such as don't.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::json;

fn names(text: &str) -> Option<Vec<String>> {
    let node = json::parse(text.as_bytes()).unwrap();
    Members::read(&node).map(|members| members.0.keys().map(|name| (*name).to_owned()).collect())
}

#[test]
fn members_stand_once_at_every_depth() {
    for (text, expected) in [
        ("{}", Some(&[][..])),
        (r#"{"":1}"#, Some(&[""])),
        (r#"{"b":1,"a":{"b":1},"c":[{"b":1},{"b":1}]}"#, Some(&["a", "b", "c"])),
        (r#"{"a":1,"A":1," a":1,"a\u0000":1}"#, Some(&[" a", "A", "a", "a\0"])),
        // Composed and decomposed letters are different names: nothing is normalised.
        ("{\"\u{e9}\":1,\"e\u{301}\":1}", Some(&["e\u{301}", "\u{e9}"])),
        (r#"{"a":1,"a":1}"#, None),
        (r#"{"a":1,"\u0061":1}"#, None),
        (r#"{"\u00e9":1,"\u00E9":1}"#, None),
        ("{\"\u{e9}\":1,\"\\u00e9\":1}", None),
        (r#"{"\ud83d\ude00":1,"\uD83D\uDE00":1}"#, None),
        (r#"{"\/":1,"/":1}"#, None),
        (r#"{"a":{"b":1,"b":1}}"#, None),
        (r#"{"a":[[[{"b":{},"c":[{"d":1,"d":2}]}]]]}"#, None),
        ("[]", None),
        (r#"[{"a":1}]"#, None),
        ("null", None),
        (r#""a""#, None),
        ("1", None),
    ] {
        let expected = expected.map(|names| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
        assert_eq!(names(text), expected, "{text}");
    }
}

proptest! {
    /// However letters are written, a set of names tells what is there twice.
    #[test]
    fn a_name_twice_is_seen_however_it_is_written(
        members in prop::collection::vec(("[ab]{1,2}", any::<[bool; 2]>(), 0..3_usize), 0..5),
        within in any::<bool>(),
    ) {
        let written = |(name, escaped, _): &(String, [bool; 2], usize)| -> String {
            name.chars().zip(escaped).map(|(letter, escaped)| if *escaped { format!("\\u{:04x}", u32::from(letter)) } else { letter.into() }).collect()
        };
        let fields: Vec<String> = members.iter().map(|member| format!("\"{}\":{}", written(member), member.2)).collect();
        let object = format!("{{{}}}", fields.join(","));
        let object = if within { format!("{{\"x\":[0,{object}]}}") } else { object };
        let different: BTreeSet<&str> = members.iter().map(|(name, ..)| name.as_str()).collect();
        prop_assert_eq!(names(&object).is_some(), different.len() == members.len(), "{}", object);
    }
}

// SPDX-License-Identifier: Apache-2.0
//! Lists and texts of a policy within a sentence.

/// Texts with commas and a last `or`.
pub(super) fn any<T: AsRef<str>>(texts: &[T]) -> String {
    list(texts, "or")
}

/// Texts with commas and a last `and`.
pub(super) fn all<T: AsRef<str>>(texts: &[T]) -> String {
    list(texts, "and")
}

fn list<T: AsRef<str>>(texts: &[T], last_word: &str) -> String {
    let shown: Vec<String> = texts.iter().map(|text| word(text.as_ref())).collect();
    join(&shown, last_word)
}

/// Phrases with commas and a last word between them.
pub(super) fn join(phrases: &[String], last_word: &str) -> String {
    match phrases.split_last() {
        None => String::new(),
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} {last_word} {last}", rest.join(", ")),
    }
}

/// A text of the policy's: in quotes where it could be taken for words of the sentence.
pub(super) fn word(text: &str) -> String {
    let plain = |letter: char| letter.is_alphanumeric() || "-_./:@*+~{}=$%".contains(letter);
    let is_word = !text.is_empty() && text.chars().all(plain) && !matches!(text, "and" | "or" | "with");
    if is_word { text.to_owned() } else { format!("{text:?}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_read_as_sentences_do() {
        for (texts, expected) in [
            (&["a"][..], "a"),
            (&["a", "b"], "a or b"),
            (&["a", "b", "c"], "a, b or c"),
            (&["a b", "", "or"], "\"a b\", \"\" or \"or\""),
            (&["\u{1b}[2J"], "\"\\u{1b}[2J\""),
            (&["https://shop.example/tier", "{id}"], "https://shop.example/tier or {id}"),
        ] {
            assert_eq!(any(texts), expected);
        }
        assert_eq!(all(&["a", "b"]), "a and b");
    }
}

// SPDX-License-Identifier: Apache-2.0
//! A header map with Envoy's semantics: names in lower case, lines in order, repeated lines kept apart.

/// One header line, as bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The name, in lower case.
    pub name: Vec<u8>,
    /// The value, without white space around it.
    pub value: Vec<u8>,
}

/// Header lines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeaderMap(Vec<Line>);

impl HeaderMap {
    /// All lines, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Line> {
        self.0.iter()
    }

    /// How many lines there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The first line's value: what `proxy_get_header_map_value` gives in Envoy.
    #[must_use]
    pub fn first<'a>(&'a self, name: &'a [u8]) -> Option<&'a [u8]> {
        self.values(name).next()
    }

    /// Every line's value.
    pub fn values<'a>(&'a self, name: &'a [u8]) -> impl Iterator<Item = &'a [u8]> + 'a {
        self.0.iter().filter(move |line| line.name.eq_ignore_ascii_case(name)).map(|line| line.value.as_slice())
    }

    /// Appends a line.
    pub fn add(&mut self, name: &[u8], value: &[u8]) {
        self.0.push(Line { name: name.to_ascii_lowercase(), value: value.trim_ascii().to_vec() });
    }

    /// Makes all lines of a name one, in the first one's place, or appends it.
    pub fn replace(&mut self, name: &[u8], value: &[u8]) {
        let Some(first) = self.0.iter().position(|line| line.name.eq_ignore_ascii_case(name)) else {
            return self.add(name, value);
        };
        let mut index = 0;
        self.0.retain(|line| {
            let keep = index <= first || !line.name.eq_ignore_ascii_case(name);
            index += 1;
            keep
        });
        if let Some(line) = self.0.get_mut(first) {
            line.value = value.trim_ascii().to_vec();
        }
    }

    /// Deletes every line of a name.
    pub fn remove(&mut self, name: &[u8]) {
        self.0.retain(|line| !line.name.eq_ignore_ascii_case(name));
    }
}

impl<N: AsRef<[u8]>, V: AsRef<[u8]>> FromIterator<(N, V)> for HeaderMap {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(lines: I) -> Self {
        let mut map = Self::default();
        for (name, value) in lines {
            map.add(name.as_ref(), value.as_ref());
        }
        map
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map() -> HeaderMap {
        [("A", "1"), ("b", " 2\t"), ("a", "3"), ("c", "4")].into_iter().collect()
    }

    fn lines(map: &HeaderMap) -> Vec<(&str, &str)> {
        map.iter().map(|line| (std::str::from_utf8(&line.name).unwrap_or("?"), std::str::from_utf8(&line.value).unwrap_or("?"))).collect()
    }

    #[test]
    fn lines_are_as_envoy_hands_them_over() {
        assert_eq!(lines(&map()), [("a", "1"), ("b", "2"), ("a", "3"), ("c", "4")]);
        assert_eq!(map().first(b"a"), Some(&b"1"[..]));
        assert_eq!(map().first(b"x"), None);
    }

    #[test]
    fn replace_collapses_add_appends_remove_deletes_all() {
        let mut replaced = map();
        replaced.replace(b"A", b"9");
        assert_eq!(lines(&replaced), [("a", "9"), ("b", "2"), ("c", "4")]);
        replaced.replace(b"d", b"5");
        assert_eq!(lines(&replaced), [("a", "9"), ("b", "2"), ("c", "4"), ("d", "5")]);
        let mut removed = map();
        removed.remove(b"a");
        assert_eq!(lines(&removed), [("b", "2"), ("c", "4")]);
        removed.add(b"C", b"6");
        assert_eq!(lines(&removed), [("b", "2"), ("c", "4"), ("c", "6")]);
    }
}

//! Header maps as Envoy keeps them: names in lower case, several values of a name in order.

use std::fmt;

/// Headers or trailers. Values are bytes; nothing says that they are UTF-8.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Headers(Vec<(String, Vec<u8>)>);

impl Headers {
    /// No headers.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// The first value of a header, which is what a plugin gets that asks for one.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.all(name).next()
    }

    /// The first value, with what is not UTF-8 replaced.
    pub fn text(&self, name: &str) -> Option<String> {
        self.get(name).map(|value| String::from_utf8_lossy(value).into_owned())
    }

    /// Every value of a header, in order.
    pub fn all<'h>(&'h self, name: &str) -> impl Iterator<Item = &'h [u8]> + use<'h> {
        let name = name.to_ascii_lowercase();
        self.0.iter().filter(move |(known, _)| *known == name).map(|(_, value)| value.as_slice())
    }

    /// All values of a header joined by commas, which is what attributes show.
    pub fn joined(&self, name: &str) -> Option<Vec<u8>> {
        let values: Vec<&[u8]> = self.all(name).collect();
        (!values.is_empty()).then(|| values.join(&b','))
    }

    /// Adds a value to those that a header has.
    pub fn add(&mut self, name: impl AsRef<str>, value: impl Into<Vec<u8>>) {
        self.0.push((name.as_ref().to_ascii_lowercase(), value.into()));
    }

    /// Gives a header one value instead of all that it has.
    pub fn set(&mut self, name: impl AsRef<str>, value: impl Into<Vec<u8>>) {
        self.remove(name.as_ref());
        self.add(name, value);
    }

    /// Takes a header away, with all of its values.
    pub fn remove(&mut self, name: &str) {
        let name = name.to_ascii_lowercase();
        self.0.retain(|(known, _)| *known != name);
    }

    /// Names and values, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_slice()))
    }

    /// How many values there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The bytes of all names and values.
    pub fn byte_size(&self) -> usize {
        self.0.iter().map(|(name, value)| name.len().saturating_add(value.len())).sum()
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}

impl<N: AsRef<str>, V: Into<Vec<u8>>> FromIterator<(N, V)> for Headers {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(headers: I) -> Self {
        let mut map = Self::new();
        for (name, value) in headers {
            map.add(name, value);
        }
        map
    }
}

impl<N: AsRef<str>, V: Into<Vec<u8>>> Extend<(N, V)> for Headers {
    fn extend<I: IntoIterator<Item = (N, V)>>(&mut self, headers: I) {
        for (name, value) in headers {
            self.add(name, value);
        }
    }
}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let entries = self.iter().map(|(name, value)| (name, String::from_utf8_lossy(value)));
        f.debug_map().entries(entries).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::Headers;

    #[test]
    fn several_values_of_one_name() {
        let mut headers = Headers::from_iter([("A", "1"), ("b", "x"), ("a", "2")]);
        assert_eq!(headers.get("a"), Some(&b"1"[..]));
        assert_eq!(headers.joined("A"), Some(b"1,2".to_vec()));
        headers.set("a", "3");
        assert_eq!(headers, Headers::from_iter([("b", "x"), ("a", "3")]));
        headers.remove("A");
        assert_eq!(headers.joined("a"), None);
        assert_eq!(headers.byte_size(), 2);
    }
}

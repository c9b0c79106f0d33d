//! Values of attributes, and the bytes that a plugin gets of them.

use crate::Status;
use crate::pairs;

/// A value of an attribute, by the types of Envoy's expression language.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// There, and nothing. It has no serialisation.
    Null,
    /// One byte.
    Bool(bool),
    /// Eight bytes, the lowest first.
    Int(i64),
    /// Eight bytes, the lowest first.
    Uint(u64),
    /// Eight bytes; every number of dynamic metadata is one.
    Double(f64),
    /// Its bytes.
    String(String),
    /// Its bytes.
    Bytes(Vec<u8>),
    /// Nanoseconds, since 1970 or of a span of time.
    Nanoseconds(i64),
    /// Pairs of serialised keys and values.
    Map(Vec<(String, Value)>),
    /// Pairs of serialised elements and nothing.
    List(Vec<Value>),
    /// A map whose keys nobody can list, such as `request`: it has no serialisation.
    Attributes(Vec<(String, Value)>),
    /// A protocol buffer: fields by name, and its bytes.
    Message {
        /// Its fields.
        fields: Vec<(String, Value)>,
        /// Its serialisation.
        bytes: Vec<u8>,
    },
}

impl Value {
    /// A text.
    pub fn text(text: impl Into<String>) -> Self {
        Self::String(text.into())
    }

    /// A map.
    pub fn map<K: Into<String>>(entries: impl IntoIterator<Item = (K, Self)>) -> Self {
        Self::Map(entries.into_iter().map(|(key, value)| (key.into(), value)).collect())
    }

    /// What is found by one more part of a path.
    pub(crate) fn field(&self, part: &str) -> Option<&Self> {
        match self {
            Self::Map(entries)
            | Self::Attributes(entries)
            | Self::Message { fields: entries, .. } => {
                entries.iter().find(|(key, _)| key == part).map(|(_, value)| value)
            }
            Self::List(elements) => elements.get(part.parse::<usize>().ok()?),
            _ => None,
        }
    }

    /// The bytes that a plugin gets.
    ///
    /// # Errors
    /// [`Status::SerializationFailure`] for what has none: null, and whatever contains one.
    pub fn serialize(&self) -> Result<Vec<u8>, Status> {
        Ok(match self {
            Self::Null | Self::Attributes(_) => return Err(Status::SerializationFailure),
            Self::Bool(value) => vec![u8::from(*value)],
            Self::Int(value) | Self::Nanoseconds(value) => value.to_le_bytes().to_vec(),
            Self::Uint(value) => value.to_le_bytes().to_vec(),
            Self::Double(value) => value.to_le_bytes().to_vec(),
            Self::String(text) => text.clone().into_bytes(),
            Self::Bytes(bytes) | Self::Message { bytes, .. } => bytes.clone(),
            Self::Map(entries) => {
                let values: Vec<Vec<u8>> =
                    entries.iter().map(|(_, value)| value.serialize()).collect::<Result<_, _>>()?;
                let keys = entries.iter().map(|(key, _)| key.as_bytes());
                pairs::encode(keys.zip(values.iter().map(Vec::as_slice)))
            }
            Self::List(elements) => {
                let elements: Vec<Vec<u8>> =
                    elements.iter().map(Self::serialize).collect::<Result<_, _>>()?;
                pairs::encode(elements.iter().map(|element| (element.as_slice(), &b""[..])))
            }
        })
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::text(text)
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::String(text)
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Self::Double(value)
    }
}

impl From<u64> for Value {
    fn from(value: u64) -> Self {
        Self::Uint(value)
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<Vec<u8>> for Value {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::Value;
    use crate::Status;

    #[test]
    fn values_have_the_bytes_that_envoy_gives_them() {
        let null = Err(Status::SerializationFailure);
        for (value, bytes) in [
            (Value::text("JP"), Ok(b"JP".to_vec())),
            (Value::Bool(true), Ok(vec![1])),
            (Value::Int(-2), Ok((-2_i64).to_le_bytes().to_vec())),
            (Value::Double(3.0), Ok(b"\0\0\0\0\0\0\x08@".to_vec())),
            (Value::Null, null.clone()),
            (Value::map([("a", Value::Null)]), null.clone()),
            (Value::Attributes(Vec::new()), null),
            (
                Value::List(vec![Value::text("JP")]),
                Ok(b"\x01\0\0\0\x02\0\0\0\0\0\0\0JP\0\0".to_vec()),
            ),
            (
                Value::map([("a", Value::text("b"))]),
                Ok(b"\x01\0\0\0\x01\0\0\0\x01\0\0\0a\0b\0".to_vec()),
            ),
        ] {
            assert_eq!(value.serialize(), bytes, "{value:?}");
        }
    }
}

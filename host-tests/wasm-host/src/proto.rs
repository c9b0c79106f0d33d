//! The few protocol buffers that attributes are handed out as.

use crate::Value;

fn varint(mut number: u64, bytes: &mut Vec<u8>) {
    while number >= 0x80 {
        bytes.push(u8::try_from(number & 0x7f).unwrap_or_default() | 0x80);
        number >>= 7;
    }
    bytes.push(u8::try_from(number).unwrap_or_default());
}

/// A field of bytes.
fn field(number: u64, content: &[u8], bytes: &mut Vec<u8>) {
    const LENGTH_DELIMITED: u64 = 2;
    varint(number << 3 | LENGTH_DELIMITED, bytes);
    varint(content.len() as u64, bytes);
    bytes.extend(content);
}

/// A map from text to messages: entries with key 1 and value 2.
fn map<'e>(number: u64, entries: impl Iterator<Item = (&'e str, Vec<u8>)>, bytes: &mut Vec<u8>) {
    for (key, value) in entries {
        let mut entry = Vec::new();
        field(1, key.as_bytes(), &mut entry);
        field(2, &value, &mut entry);
        field(number, &entry, bytes);
    }
}

/// `google.protobuf.Struct`.
fn structure(entries: &[(String, Value)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    map(1, entries.iter().map(|(key, known)| (key.as_str(), value(known))), &mut bytes);
    bytes
}

/// `google.protobuf.Value`.
fn value(known: &Value) -> Vec<u8> {
    const NULL: u8 = 1 << 3;
    const NUMBER: u8 = 2 << 3 | 1;
    const BOOL: u8 = 4 << 3;
    let mut bytes = Vec::new();
    match known {
        Value::Null => bytes.extend([NULL, 0]),
        Value::Double(number) => {
            bytes.push(NUMBER);
            bytes.extend(number.to_le_bytes());
        }
        Value::Bool(flag) => bytes.extend([BOOL, u8::from(*flag)]),
        Value::Map(entries) | Value::Attributes(entries) => {
            field(5, &structure(entries), &mut bytes);
        }
        Value::List(elements) => {
            let mut list = Vec::new();
            for element in elements {
                field(1, &value(element), &mut list);
            }
            field(6, &list, &mut bytes);
        }
        other => field(3, &other.serialize().unwrap_or_default(), &mut bytes),
    }
    bytes
}

/// `envoy.config.core.v3.Metadata`: structures by namespace.
pub(crate) fn metadata<'n>(namespaces: impl Iterator<Item = (&'n String, &'n Value)>) -> Value {
    let namespaces: Vec<(String, Value)> =
        namespaces.map(|(name, value)| (name.clone(), value.clone())).collect();
    let mut bytes = Vec::new();
    let structures = namespaces.iter().map(|(name, known)| match known {
        Value::Map(entries) => (name.as_str(), structure(entries)),
        _ => (name.as_str(), Vec::new()),
    });
    map(1, structures, &mut bytes);
    let fields = vec![("filter_metadata".to_owned(), Value::Map(namespaces))];
    Value::Message { fields, bytes }
}

/// `envoy.config.core.v3.Locality`.
pub(crate) fn locality(region: &str, zone: &str) -> Value {
    let mut bytes = Vec::new();
    for (number, text) in [(1, region), (2, zone)] {
        if !text.is_empty() {
            field(number, text.as_bytes(), &mut bytes);
        }
    }
    let fields = [("region", region), ("zone", zone), ("sub_zone", "")];
    let fields = fields.map(|(name, text)| (name.to_owned(), Value::text(text))).to_vec();
    Value::Message { fields, bytes }
}

#[cfg(test)]
mod tests {
    use super::{locality, metadata};
    use crate::Value;

    #[test]
    fn messages_are_written_as_protocol_buffers() {
        let namespaces = [("ns".to_owned(), Value::map([("a", Value::text("b"))]))];
        let message = metadata(namespaces.iter().map(|(name, value)| (name, value)));
        let structure = b"\x0a\x08\x0a\x01a\x12\x03\x1a\x01b";
        let entry = [b"\x0a\x02ns\x12\x0a".as_slice(), structure].concat();
        let bytes = [b"\x0a\x10".as_slice(), &entry].concat();
        assert_eq!(message.serialize(), Ok(bytes));
        let place = locality("taiwan", "b");
        assert_eq!(place.serialize(), Ok(b"\x0a\x06taiwan\x12\x01b".to_vec()));
        assert_eq!(place.field("region"), Some(&Value::text("taiwan")));
    }
}

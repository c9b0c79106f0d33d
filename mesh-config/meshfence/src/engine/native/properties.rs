//! Verified claims as properties of a fake host, in Envoy's serialisation.

use crate::engine::mesh::claims::{Claims, NAMESPACE};
use serde_json::Value;

/// The properties that verified claims make.
pub(super) fn of(claims: &Claims) -> impl Iterator<Item = (String, Vec<u8>)> {
    let Claims { issuer, payload } = claims;
    // A claim without bytes, a null or an empty text, is there all the same.
    payload.iter().map(move |(name, value)| {
        let path = format!("metadata.filter_metadata.{NAMESPACE}.{issuer}.{name}");
        (path, serialised(value).unwrap_or_default())
    })
}

/// How Envoy hands out a value of metadata. It cannot serialise a null, nor what has one in it.
fn serialised(value: &Value) -> Option<Vec<u8>> {
    Some(match value {
        Value::Null => return None,
        Value::Bool(value) => vec![u8::from(*value)],
        Value::Number(number) => number.as_f64()?.to_le_bytes().to_vec(),
        Value::String(text) => text.clone().into_bytes(),
        Value::Array(items) => {
            pairs(items.iter().map(|item| Some((serialised(item)?, Vec::new()))))?
        }
        Value::Object(fields) => pairs(
            fields
                .iter()
                .map(|(name, value)| Some((name.clone().into_bytes(), serialised(value)?))),
        )?,
    })
}

/// Pairs in the form of the ABI: how many, how long each part is, and the parts with a NUL behind.
fn pairs(pairs: impl Iterator<Item = Option<(Vec<u8>, Vec<u8>)>>) -> Option<Vec<u8>> {
    let pairs: Vec<_> = pairs.collect::<Option<_>>()?;
    let length = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes();
    let mut bytes = u32::try_from(pairs.len()).unwrap_or(u32::MAX).to_le_bytes().to_vec();
    for (key, value) in &pairs {
        bytes.extend(length(key));
        bytes.extend(length(value));
    }
    for part in pairs.iter().flat_map(|(key, value)| [key, value]) {
        bytes.extend(part);
        bytes.push(0);
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::{Claims, of, serialised};
    use serde_json::json;

    #[test]
    fn a_claim_without_bytes_is_there() {
        for (value, bytes) in
            [(json!("staff"), &b"staff"[..]), (json!(""), b""), (json!(null), b"")]
        {
            let payload = [(String::from("kind"), value.clone())].into_iter().collect();
            let found: Vec<_> = of(&Claims { issuer: "shop".into(), payload }).collect();
            let path = "metadata.filter_metadata.envoy.filters.http.jwt_authn.shop.kind";
            assert_eq!(found, [(path.to_owned(), bytes.to_vec())], "{value}");
        }
    }

    #[test]
    fn claims_are_serialised_as_envoy_does() {
        for (value, bytes) in [
            (json!("JP"), &b"JP"[..]),
            (json!(true), b"\x01"),
            (json!(3), b"\0\0\0\0\0\0\x08@"),
            (json!(["JP"]), b"\x01\0\0\0\x02\0\0\0\0\0\0\0JP\0\0"),
            (json!({"a": "b"}), b"\x01\0\0\0\x01\0\0\0\x01\0\0\0a\0b\0"),
        ] {
            assert_eq!(serialised(&value).unwrap(), bytes, "{value}");
        }
        for value in [json!(null), json!(["JP", null]), json!({"a": {"b": null}})] {
            assert_eq!(serialised(&value), None, "{value}");
        }
    }
}

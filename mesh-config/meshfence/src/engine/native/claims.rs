//! Claims as the guard finds them: metadata that `jwt_authn` wrote, in Envoy's serialisation.

use crate::issuer;
use policy_doc::{PolicySet, TestToken};
use serde_json::Value;

/// Where `jwt_authn` keeps a verified payload, as the fake host names properties.
const METADATA: &str = "metadata.filter_metadata.envoy.filters.http.jwt_authn";

/// The properties that a verified token makes.
pub(super) fn properties(set: &PolicySet, token: &TestToken) -> Vec<(String, Vec<u8>)> {
    let Some(issuer) = set.mesh.issuers.iter().find(|issuer| issuer.name == token.issuer) else {
        return Vec::new();
    };
    let mut claims = issuer::claims(issuer, &token.sub);
    claims.extend(token.claims.iter().map(|(name, value)| (name.clone(), value.clone())));
    // A claim without bytes, a null or an empty text, is there all the same.
    let property = |(name, value): (&String, &Value)| {
        Some((format!("{METADATA}.{}.{name}", issuer.name), serialised(value)?))
    };
    claims.iter().filter_map(property).collect()
}

/// How Envoy hands out a value of metadata: nothing of a null, which it cannot serialise.
fn serialised(value: &Value) -> Option<Vec<u8>> {
    Some(match value {
        Value::Null => Vec::new(),
        Value::Bool(value) => vec![u8::from(*value)],
        Value::Number(number) => number.as_f64()?.to_le_bytes().to_vec(),
        Value::String(text) => text.clone().into_bytes(),
        Value::Array(items) => {
            pairs(items.iter().map(|item| (serialised(item).unwrap_or_default(), Vec::new())))
        }
        Value::Object(fields) => pairs(fields.iter().map(|(name, value)| {
            (name.clone().into_bytes(), serialised(value).unwrap_or_default())
        })),
    })
}

/// Pairs in the form of the ABI: how many, how long each part is, and the parts with a NUL behind.
fn pairs(pairs: impl Iterator<Item = (Vec<u8>, Vec<u8>)>) -> Vec<u8> {
    let pairs: Vec<_> = pairs.collect();
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
    bytes
}

#[cfg(test)]
mod tests {
    use super::{METADATA, properties, serialised};
    use crate::policy_set::{self, Origin};
    use policy_doc::{Purpose, TestToken};
    use serde_json::json;

    #[test]
    fn a_claim_without_bytes_is_there() {
        let set = policy_set::require(Origin::Example, Purpose::LocalTry).unwrap();
        for (value, bytes) in
            [(json!("staff"), &b"staff"[..]), (json!(""), b""), (json!(null), b"")]
        {
            let claims = [(String::from("kind"), value.clone())].into_iter().collect();
            let token = TestToken { issuer: "shop".into(), sub: "mei".into(), claims };
            let found = properties(&set, &token);
            let kind = found.iter().find(|(name, _)| *name == format!("{METADATA}.shop.kind"));
            assert_eq!(kind.map(|(_, bytes)| bytes.as_slice()), Some(bytes), "{value}");
        }
    }

    #[test]
    fn claims_are_serialised_as_envoy_does() {
        for (value, bytes) in [
            (json!("JP"), &b"JP"[..]),
            (json!(true), b"\x01"),
            (json!(3), b"\0\0\0\0\0\0\x08@"),
            (json!(null), b""),
            (json!(["JP"]), b"\x01\0\0\0\x02\0\0\0\0\0\0\0JP\0\0"),
            (json!({"a": "b"}), b"\x01\0\0\0\x01\0\0\0\x01\0\0\0a\0b\0"),
        ] {
            assert_eq!(serialised(&value).unwrap(), bytes, "{value}");
        }
    }
}

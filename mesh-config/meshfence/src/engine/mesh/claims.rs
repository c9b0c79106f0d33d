//! Claims of a caller whose token `jwt_authn` verified.

use crate::issuer;
use policy_doc::{PolicySet, TestToken};
use serde_json::{Map, Value};

/// The namespace of the dynamic metadata that `jwt_authn` writes.
pub(crate) const NAMESPACE: &str = "envoy.filters.http.jwt_authn";

/// What it writes there.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Claims {
    /// The key: the issuer's name.
    pub(crate) issuer: String,
    /// The payload of the token.
    pub(crate) payload: Map<String, Value>,
}

/// The claims of a token; none if the policy set has no such issuer.
pub(crate) fn of(set: &PolicySet, token: &TestToken) -> Option<Claims> {
    let issuer = set.mesh.issuers.iter().find(|issuer| issuer.name == token.issuer)?;
    let mut payload = issuer::claims(issuer, &token.sub);
    payload.extend(token.claims.iter().map(|(name, value)| (name.clone(), value.clone())));
    Some(Claims { issuer: issuer.name.clone(), payload })
}

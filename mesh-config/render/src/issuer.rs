//! What an issuer must say, whichever proxy verifies its tokens.

use policy_doc::Issuer;

/// The key that is missing: proxies take an empty issuer, or an empty list of audiences, for "any".
pub(crate) fn lacking(issuer: &Issuer) -> Option<&'static str> {
    if issuer.issuer.is_empty() {
        Some("issuer")
    } else if issuer.audiences.is_empty() || issuer.audiences.iter().any(String::is_empty) {
        Some("audiences")
    } else {
        None
    }
}

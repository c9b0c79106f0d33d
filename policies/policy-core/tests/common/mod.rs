//! What tests of decisions have in common.

use policy_core::{CanonicalPath, IdempotencyKey, Request, RequestKind};

/// A request with an idempotency key, to a host of the shop.
pub(crate) fn plain<'r>(method: &'r str, path: &'r CanonicalPath<'r>) -> Request<'r> {
    Request {
        method: method.as_bytes(),
        host: b"api.shop.example",
        path,
        kind: RequestKind::Plain,
        idempotency_key: IdempotencyKey::Present,
        deadline: None,
        token: None,
        client_country: None,
        entry: None,
    }
}

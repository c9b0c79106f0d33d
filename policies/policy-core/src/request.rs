//! What is known of a request before it is judged.

use crate::country::Country;
use crate::deadline::Deadline;
use crate::path::CanonicalPath;
use crate::region::RegionId;

/// What is known of a request before it is judged. Nothing in it comes from a header that the
/// caller could have set to widen what is allowed.
#[derive(Debug, Clone)]
pub struct Request<'r> {
    /// The method as it came.
    pub method: &'r [u8],
    /// The host as it came, with or without a port.
    pub host: &'r [u8],
    /// The path.
    pub path: &'r CanonicalPath<'r>,
    /// What kind of exchange it is.
    pub kind: RequestKind,
    /// Whether an `Idempotency-Key` came with it.
    pub idempotency_key: IdempotencyKey,
    /// How long the caller will wait, where known.
    pub deadline: Option<Deadline>,
    /// The fencing token that a trusted sender put on it.
    pub token: Option<Token<'r>>,
    /// Where the client sits, as far as somebody says so: never a reason to allow anything.
    pub client_country: Option<Country>,
    /// Where it entered the mesh, as far as a trusted sender tells; here if nobody does.
    pub entry: Option<RegionId>,
}

/// A fencing token as it was received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token<'r> {
    /// The context that the lease is named after.
    pub lease: &'r str,
    /// The lease's shard, if it is split.
    pub shard: Option<&'r str>,
    /// Whom the sender takes for the holder.
    pub holder: &'r str,
    /// Since which grant.
    pub epoch: u64,
}

/// What kind of exchange a request opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestKind {
    /// A request and a response.
    Plain,
    /// A gRPC call.
    Grpc,
    /// An upgrade or a tunnel: what follows cannot be judged.
    Stream,
    /// A CORS preflight: OPTIONS with `Origin`, `Access-Control-Request-Method` and no body.
    Preflight,
}

/// Whether an `Idempotency-Key` came with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdempotencyKey {
    /// One did.
    Present,
    /// None did.
    Absent,
}

//! Where a request is sent to, and what certificate the client shows there.

use crate::certificates::{Identity, Validity};
use crate::exit::{Exit, Failure};
use crate::local::LocalRun;
use local_mesh::client::{self, RawRequest, Received};
use local_mesh::tls::TlsClient;
use policy_core::{Role, SpiffeId};
use std::net::SocketAddr;
use std::time::Duration;

/// How long one request may take, held ones included.
pub(super) const REQUEST_LIMIT: Duration = Duration::from_secs(20);

/// The listener of a role, and how to speak to it.
pub(super) enum Door {
    Plain(SocketAddr),
    Tls(SocketAddr, TlsClient),
}

impl Door {
    /// The way into a region by a role, for a client with this SPIFFE id in its certificate.
    pub(super) fn of(
        run: &LocalRun,
        region: &str,
        role: Role,
        id: Option<&str>,
    ) -> Result<Self, Failure> {
        let address = run.address(region, role).ok_or_else(|| {
            Failure::new(Exit::Internal, format!("`{region}` has no listener as {role}"))
        })?;
        if matches!(role, Role::Edge | Role::Outbound) {
            return Ok(Self::Plain(address));
        }
        let identity = id.map(|id| identity(run, region, id)).transpose()?;
        Ok(Self::Tls(address, run.client(region, identity.as_ref())?))
    }

    /// Sends a request on a connection of its own, with HTTP/2 or HTTP/1.1.
    pub(super) async fn send(
        &self,
        request: &RawRequest,
        http2: bool,
    ) -> Result<Received, local_mesh::Error> {
        match (self, http2) {
            (Self::Plain(address), false) => {
                client::receive_from(*address, request, REQUEST_LIMIT).await
            }
            (Self::Plain(address), true) => {
                client::receive_http2(*address, request, REQUEST_LIMIT).await
            }
            (Self::Tls(address, tls), false) => {
                tls.receive_from(*address, request, REQUEST_LIMIT).await
            }
            (Self::Tls(address, tls), true) => {
                tls.receive_http2(*address, request, REQUEST_LIMIT).await
            }
        }
    }
}

/// A certificate with an id, by the authority that vouches for it; of an id that nobody here
/// vouches for, by that of the region it is shown to.
fn identity(run: &LocalRun, shown_to: &str, id: &str) -> Result<Identity, Failure> {
    let domain = SpiffeId::parse(id).map(SpiffeId::trust_domain);
    let mut regions = run.set().body.regions.iter().map(|region| region.name.as_str());
    let vouches = |region: &&str| {
        let domains = render::trust_domains(run.set(), region);
        domains.is_ok_and(|domains| domain.is_some_and(|domain| domains.contains(domain)))
    };
    let authority = regions.find(vouches).unwrap_or(shown_to);
    run.certificates().issue(authority, &[id], Validity::Usual)
}

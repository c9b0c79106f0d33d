//! A complete Envoy bootstrap for one region.
//!
//! ```text
//! client ─► edge: jwt_authn, guard, router ─┬─► upstream
//!                                           └─► peer-<region> ─► east-west ─► upstream there
//! ```
//!
//! One module a resource. What Envoy would decide by a default that matters is written out, so that
//! a new Envoy cannot change it silently.

mod access_log;
mod bootstrap;
mod clusters;
mod filters;
mod listener;
mod plan;
mod routes;

pub use bootstrap::bootstrap;
pub use clusters::{CLUSTER_UPSTREAM, PEER_CLUSTER_PREFIX, TRUSTED_CA};
pub use listener::{LISTENER_EAST_WEST, LISTENER_EDGE};
pub use plan::{AccessLog, EnvoyPlan, Keys, RenderError, Site};

use crate::yaml::{Node, map};
use std::net::SocketAddr;

/// What `@type` says of a message.
fn type_url(message: &str) -> String {
    format!("type.googleapis.com/{message}")
}

/// An address to listen on or to connect to.
fn address(socket: SocketAddr) -> Node {
    map! {
        "socket_address" => map! {
            "address" => socket.ip().to_string(),
            "port_value" => socket.port(),
        },
    }
}

#[cfg(test)]
mod tests;

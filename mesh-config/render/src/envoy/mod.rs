//! A complete Envoy bootstrap for one region.
//!
//! ```text
//! user ─► edge: jwt_authn, guard ─┬─► upstream = inbound: jwt_authn, guard ─► application
//!                                 └─► peer-<region> = east-west there: guard ─► upstream there
//! application ─► outbound: jwt_authn, guard ─┬─► upstream
//!                                            └─► peer-<region>
//! ```
//!
//! East-west and inbound are mutual TLS; without other regions there is no east-west. One module a resource. What Envoy would decide by a default
//! that matters is written out, so that a new Envoy cannot change it silently.

mod access_log;
mod bootstrap;
mod clusters;
mod filters;
mod identity;
mod listener;
mod plan;
mod plugin;
mod routes;
mod secrets;
mod tls;
mod tokens;

pub use bootstrap::bootstrap;
pub use clusters::{CLUSTER_APPLICATION, CLUSTER_UPSTREAM, PEER_CLUSTER_PREFIX, TRUSTED_CA};
pub use identity::{gateway_id, trust_domains};
pub use listener::{listener_name, roles, stat_prefix};
pub use plan::{AccessLog, Delivery, EnvoyPlan, Keys, RenderError, Site};
pub use plugin::{plugin_file, plugin_name, plugin_resource, plugin_resource_with};
pub use secrets::{Certificates, SecretFile, secrets};

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

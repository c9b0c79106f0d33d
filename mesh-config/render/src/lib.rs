//! Envoy bootstraps from a policy set.
//!
//! ```text
//! PolicySet ─┐
//! EnvoyPlan ─┴─► bootstrap ─► YAML, one complete file a region
//! ```
//!
//! Pure: it reads no file and opens no socket. The same set and plan give the same bytes.
//!
//! In this release everything listens on loopback: the east-west listener has no mutual TLS and no
//! guard yet, so [`bootstrap`] refuses any other address.

mod envoy;
mod yaml;

pub use envoy::{
    AccessLog, CLUSTER_UPSTREAM, EnvoyPlan, Keys, LISTENER_EAST_WEST, LISTENER_EDGE,
    PEER_CLUSTER_PREFIX, RenderError, Site, TRUSTED_CA, bootstrap,
};

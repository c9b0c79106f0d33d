//! What enforces a policy set: Envoy bootstraps, and the resources of an Istio mesh; and what
//! watches over it.
//!
//! ```text
//! PolicySet ─┬─ EnvoyPlan ─► bootstrap ─► YAML, one complete file a region
//!            ├─ IstioPlan ─► manifests ─► YAML, one file a kind and region
//!            └─► alerts ─► YAML, one rule file of Prometheus
//! ```
//!
//! Pure: it reads no file and opens no socket. The same set and plan give the same bytes.
//!
//! Regions meet by mutual TLS, and so do a region's gateway and its workloads; [`bootstrap`] refuses
//! any other listener on an address that others could reach.

mod banner;
mod envoy;
mod issuer;
mod istio;
mod prometheus;
mod yaml;

pub use envoy::{
    AccessLog, CLUSTER_APPLICATION, CLUSTER_UPSTREAM, Certificates, Delivery, EnvoyPlan, Keys,
    PEER_CLUSTER_PREFIX, RenderError, SecretFile, Site, TRUSTED_CA, bootstrap, gateway_id,
    listener_name, plugin_file, plugin_name, plugin_resource, plugin_resource_with, roles, secrets,
    stat_prefix, trust_domains,
};
pub use istio::{IstioError, IstioPlan, Manifest, manifests};
pub use prometheus::{ALERTS_FILE, alerts};

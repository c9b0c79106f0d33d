//! What attributes tell of a cluster and its host.

use crate::Value;
use std::collections::BTreeMap;

/// What attributes tell of a cluster and its host.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ClusterInfo {
    pub(crate) metadata: BTreeMap<String, Value>,
    pub(crate) host_metadata: BTreeMap<String, Value>,
    pub(crate) locality: (String, String),
}

impl ClusterInfo {
    /// Nothing is known.
    pub fn new() -> Self {
        Self::default()
    }

    /// Metadata of the cluster, in a namespace: `xds.cluster_metadata`.
    #[must_use]
    pub fn metadata(mut self, namespace: impl Into<String>, value: impl Into<Value>) -> Self {
        self.metadata.insert(namespace.into(), value.into());
        self
    }

    /// Metadata of its host, in a namespace: `xds.upstream_host_metadata`.
    #[must_use]
    pub fn host_metadata(mut self, namespace: impl Into<String>, value: impl Into<Value>) -> Self {
        self.host_metadata.insert(namespace.into(), value.into());
        self
    }

    /// Where its host is: `upstream.locality`.
    #[must_use]
    pub fn locality(mut self, region: impl Into<String>, zone: impl Into<String>) -> Self {
        self.locality = (region.into(), zone.into());
        self
    }
}

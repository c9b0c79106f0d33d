//! The agent of the region, as the proxies of an Istio mesh reach it: by a cluster that Istio names
//! after the host.

use super::plan::IstioError;
use super::resource::service_host;
use policy_core::wire::Agent as Asked;
use policy_doc::AgentUrl;

/// The agent of the region.
#[derive(Debug)]
pub(super) struct Agent<'a> {
    pub(super) url: &'a AgentUrl,
    /// What Istio calls it.
    pub(super) host: String,
    /// The namespace of its Service; none where it is outside of the mesh.
    pub(super) namespace: Option<&'a str>,
}

impl<'a> Agent<'a> {
    /// Whom the URL names: `name.namespace` is a Service of the cluster, with or without the `svc`
    /// and the domain behind it, anything longer a host outside of the mesh.
    pub(super) fn new(url: &'a AgentUrl, region: &str) -> Result<Self, IstioError> {
        let refused = |problem| IstioError::Agent {
            region: region.to_owned(),
            host: url.host.clone(),
            problem,
        };
        if url.address().is_some() {
            return Err(refused("is an address, and Istio knows clusters by their hosts"));
        }
        let short = url.host.strip_suffix(".svc.cluster.local");
        let short = short.or_else(|| url.host.strip_suffix(".svc")).unwrap_or(&url.host);
        let is_suffixed = short.len() < url.host.len();
        Ok(match short.split_once('.') {
            None => return Err(refused("names no namespace: write `name.namespace`")),
            Some((name, namespace)) if !namespace.contains('.') => {
                Self { url, host: service_host(name, namespace), namespace: Some(namespace) }
            }
            Some(_) if is_suffixed => return Err(refused("is no Service: write `name.namespace`")),
            Some(_) => Self { url, host: url.host.clone(), namespace: None },
        })
    }

    /// Whom the guards ask.
    pub(super) fn asked(&self) -> Asked {
        Asked {
            cluster: format!("outbound|{}||{}", self.url.port, self.host),
            authority: self.url.authority(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn istio_names_clusters_after_hosts() {
        for (host, cluster, namespace) in [
            (
                "agent.meshfence",
                "outbound|7070||agent.meshfence.svc.cluster.local",
                Some("meshfence"),
            ),
            ("agent.ns.svc", "outbound|7070||agent.ns.svc.cluster.local", Some("ns")),
            ("agent.ns.svc.cluster.local", "outbound|7070||agent.ns.svc.cluster.local", Some("ns")),
            ("agent.taiwan.example", "outbound|7070||agent.taiwan.example", None),
            ("agent", "names no namespace: write `name.namespace`", None),
            ("agent.svc", "names no namespace: write `name.namespace`", None),
            ("a.b.c.svc", "is no Service: write `name.namespace`", None),
            ("10.0.0.1", "is an address, and Istio knows clusters by their hosts", None),
        ] {
            let url = AgentUrl { is_tls: false, host: host.into(), port: 7070 };
            match Agent::new(&url, "taiwan") {
                Ok(agent) => {
                    assert_eq!(agent.asked().cluster, cluster, "{host}");
                    assert_eq!(agent.asked().authority, format!("{host}:7070"));
                    assert_eq!(agent.namespace, namespace, "{host}");
                }
                Err(error) => {
                    let message = format!("the agent of region `taiwan`, `{host}`, {cluster}");
                    assert_eq!(error.to_string(), message);
                }
            }
        }
    }
}

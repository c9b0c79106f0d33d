//! The frame of every resource, and the files they stand in.

use super::plan::View;
use crate::banner::banner;
use crate::yaml::{Node, comment_line, emit, map};
use policy_doc::{AttachmentTarget, PolicySet};

/// The domain of the services of a cluster.
const CLUSTER_DOMAIN: &str = "svc.cluster.local";

/// One resource.
#[derive(Debug)]
pub(super) struct Resource {
    pub(super) kind: Kind,
    pub(super) name: String,
    pub(super) namespace: String,
    pub(super) spec: Node,
}

/// The kinds that are rendered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    WasmPlugin,
    RequestAuthentication,
    ServiceEntry,
    DestinationRule,
    Gateway,
    VirtualService,
}

impl Kind {
    /// The oldest version that every supported Istio serves as stable as the kind is.
    const fn api_version(self) -> &'static str {
        match self {
            Self::WasmPlugin => "extensions.istio.io/v1alpha1",
            Self::RequestAuthentication => "security.istio.io/v1",
            Self::ServiceEntry | Self::DestinationRule | Self::Gateway | Self::VirtualService => {
                "networking.istio.io/v1"
            }
        }
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::WasmPlugin => "WasmPlugin",
            Self::RequestAuthentication => "RequestAuthentication",
            Self::ServiceEntry => "ServiceEntry",
            Self::DestinationRule => "DestinationRule",
            Self::Gateway => "Gateway",
            Self::VirtualService => "VirtualService",
        }
    }
}

impl Resource {
    fn document(&self, set: &PolicySet) -> Node {
        map! {
            "apiVersion" => self.kind.api_version(),
            "kind" => self.kind.as_str(),
            "metadata" => map! {
                "name" => self.name.as_str(),
                "namespace" => self.namespace.as_str(),
                "labels" => map! {
                    "app.kubernetes.io/managed-by" => "meshfence",
                    "app.kubernetes.io/part-of" => set.name.as_str(),
                },
            },
            "spec" => self.spec.clone(),
        }
    }
}

/// A file of resources, with what an operator has to know about them at its top.
pub(super) fn file(view: &View<'_>, about: &[&str], resources: &[Resource]) -> String {
    let (set, region) = (view.set, view.region);
    let mut text = banner(set, &format!("region {region}"));
    text.push_str("#\n");
    for line in about {
        text.push_str(&if line.is_empty() { "#\n".to_owned() } else { comment_line(line) });
    }
    for resource in resources {
        text.push_str("---\n");
        text.push_str(&emit(&resource.document(set)));
    }
    text
}

/// How a resource says what it is attached to.
pub(super) fn target(target: &AttachmentTarget) -> (String, Node) {
    match target {
        AttachmentTarget::Refs(refs) => {
            let refs = refs.iter().map(|target| {
                map! {
                    "group" => target.group.as_str(),
                    "kind" => target.kind.as_str(),
                    "name" => target.name.as_str(),
                }
            });
            ("targetRefs".to_owned(), refs.collect::<Vec<_>>().into())
        }
        AttachmentTarget::Selector(labels) => {
            let labels = labels.iter().map(|(key, value)| (key.clone(), value.as_str().into()));
            ("selector".to_owned(), map! { "matchLabels" => Node::Map(labels.collect()) })
        }
    }
}

/// The name of a service in DNS.
pub(super) fn service_host(name: &str, namespace: &str) -> String {
    format!("{name}.{namespace}.{CLUSTER_DOMAIN}")
}

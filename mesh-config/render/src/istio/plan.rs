//! What the resources need beyond the policy set, and what is refused.

use super::agent::Agent;
use crate::issuer::lacking;
use policy_core::Role;
use policy_doc::{
    AttachmentTarget, Issuer, MeshAttachment, PeerGateway, PluginImage, PolicySet, TargetRef,
    is_sha256,
};
use std::collections::{BTreeMap, BTreeSet};
use thiserror::Error;

/// What a policy set does not say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IstioPlan {
    /// The checksum of the plugin, where the policy set has none: of the image's manifest for
    /// `oci://`, else of the module.
    pub plugin_sha256: Option<String>,
    /// The secret with the certificate that users get to see, in the namespace of the gateway.
    pub edge_credential: String,
}

/// Why there are no resources.
#[derive(Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum IstioError {
    /// The region asked for is not in the policy set.
    #[error("the policy set `{set}` has no region `{region}`")]
    RegionUnknown {
        /// The policy set.
        set: String,
        /// The region.
        region: String,
    },
    /// A second pass takes a filter where Istio has none.
    #[error("`Fencing.spec.reroute` is for plain Envoys: Istio attaches no filter to a cluster")]
    Reroute,
    /// A key of `Mesh` that only Istio needs is not there.
    #[error("the `Mesh` document has no `{key}`: {why}")]
    KeyMissing {
        /// The key.
        key: &'static str,
        /// What it is for.
        why: &'static str,
    },
    /// The plugin is not pinned.
    #[error(
        "the plugin is not pinned: whoever can push to its registry would decide what runs in \
         every proxy"
    )]
    PinMissing,
    /// What the plugin is pinned to is no checksum.
    #[error("`{0}` is no SHA-256: 64 lower-case hexadecimal digits")]
    PinMalformed(String),
    /// The plugin is pinned to two checksums.
    #[error("the plugin is pinned to `{document}` in the `Mesh` document, and to `{plan}` here")]
    PinTwice {
        /// The one of the policy set.
        document: String,
        /// The one of the plan.
        plan: String,
    },
    /// The secret has no name that a secret can have.
    #[error("`{0}` is no name of a secret")]
    CredentialMalformed(String),
    /// Nothing is attached in a role that the policy set needs.
    #[error("nothing is attached as `{role}`: {why}")]
    RoleMissing {
        /// The role.
        role: Role,
        /// What would go wrong.
        why: &'static str,
    },
    /// A static state in what is deployed.
    #[error("a static state is for `meshfence up` only: proxies would never notice a lease move")]
    StaticState,
    /// An issuer that would let in more tokens than it should.
    #[error("issuer `{name}` has no {what}: tokens of anybody would be accepted")]
    IssuerIncomplete {
        /// The name of the issuer.
        name: String,
        /// `issuer` or `audiences`.
        what: &'static str,
    },
    /// The proxies of a region cannot reach its agent by that name.
    #[error("the agent of region `{region}`, `{host}`, {problem}")]
    Agent {
        /// The region.
        region: String,
        /// What was given.
        host: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The configuration of the plugin has no JSON form.
    #[error("the configuration of the plugin cannot be written: {0}")]
    Configuration(String),
}

impl IstioError {
    /// What can be done about it, where that is not clear from the message.
    pub fn help(&self) -> Option<&'static str> {
        match self {
            Self::PinMissing => Some(
                "add `sha256` to `plugin` in the `Mesh` document, or pass --plugin-sha256: the \
                 digest of the image's manifest for `oci://`, else of the module",
            ),
            Self::PinTwice { .. } => Some("keep one of them"),
            _ => None,
        }
    }
}

/// A region with everything that rendering it takes.
#[derive(Debug)]
pub(super) struct View<'a> {
    pub(super) set: &'a PolicySet,
    pub(super) region: &'a str,
    pub(super) edge_credential: &'a str,
    pub(super) plugin: &'a PluginImage,
    pub(super) sha256: &'a str,
    pub(super) attachments: Vec<Attached<'a>>,
    pub(super) peers: Vec<Peer<'a>>,
    /// The east-west gateway of this region, if there are others.
    pub(super) own_gateway: Option<&'a PeerGateway>,
    /// The agent of this region, if it has one.
    pub(super) agent: Option<Agent<'a>>,
    /// The services behind the contexts, each once.
    pub(super) services: BTreeSet<(String, String)>,
    /// The service and port behind each context.
    pub(super) by_context: BTreeMap<&'a str, Service>,
}

/// One attachment and the name of its resources.
#[derive(Debug)]
pub(super) struct Attached<'a> {
    pub(super) name: String,
    pub(super) role: Role,
    pub(super) namespace: &'a str,
    pub(super) target: &'a AttachmentTarget,
}

/// Another region.
#[derive(Debug)]
pub(super) struct Peer<'a> {
    pub(super) region: &'a str,
    pub(super) ids: &'a [String],
    pub(super) gateway: &'a PeerGateway,
    pub(super) cloud_region: Option<&'a str>,
}

/// The service behind a context.
#[derive(Debug, Clone)]
pub(super) struct Service {
    pub(super) name: String,
    pub(super) namespace: String,
    pub(super) port: u16,
}

impl<'a> View<'a> {
    pub(super) fn new(
        set: &'a PolicySet,
        plan: &'a IstioPlan,
        region: &'a str,
    ) -> Result<Self, IstioError> {
        if !set.body.regions.iter().any(|known| known.name == region) {
            let set = set.name.clone();
            return Err(IstioError::RegionUnknown { set, region: region.to_owned() });
        }
        if set.body.fencing.static_state.is_some() {
            return Err(IstioError::StaticState);
        }
        if set.body.fencing.reroute {
            return Err(IstioError::Reroute);
        }
        let missing = |key, why| IstioError::KeyMissing { key, why };
        let plugin = set
            .mesh
            .plugin
            .as_ref()
            .ok_or(missing("plugin", "nothing says where proxies get the module from"))?;
        let sha256 = pin(plugin, plan)?;
        if !is_secret_name(&plan.edge_credential) {
            return Err(IstioError::CredentialMalformed(plan.edge_credential.clone()));
        }
        let attachments = attached(&set.mesh.attachments);
        check_roles(set, &attachments)?;
        check_issuers(set)?;
        let gateway_of = |region: &str| {
            let gateway = set.mesh.peer_gateways.get(region);
            gateway.ok_or(missing("peerGateway", "nothing says where a region is reached"))
        };
        let mut peers = Vec::new();
        for peer in set.body.regions.iter().filter(|peer| peer.name != region) {
            peers.push(Peer {
                region: &peer.name,
                ids: &peer.peer_ids,
                gateway: gateway_of(&peer.name)?,
                cloud_region: set.mesh.cloud_regions.get(&peer.name).map(String::as_str),
            });
        }
        let own_gateway = if peers.is_empty() { None } else { Some(gateway_of(region)?) };
        let mut by_context = BTreeMap::new();
        for context in &set.body.contexts {
            by_context.insert(context.name.as_str(), service(set, &context.name)?);
        }
        Ok(Self {
            set,
            region,
            edge_credential: &plan.edge_credential,
            plugin,
            sha256,
            attachments,
            peers,
            own_gateway,
            agent: set.agent(region).map(|agent| Agent::new(agent, region)).transpose()?,
            services: by_context
                .values()
                .map(|service| (service.namespace.clone(), service.name.clone()))
                .collect(),
            by_context,
        })
    }

    /// The attachments in these roles.
    pub(super) fn attached(&self, roles: &[Role]) -> impl Iterator<Item = &Attached<'a>> {
        self.attachments.iter().filter(move |attached| roles.contains(&attached.role))
    }

    /// The namespaces that requests are sent from: no other one has any business with the services
    /// and regions behind them.
    pub(super) fn sending_namespaces(&self) -> BTreeSet<&'a str> {
        let senders = self.attached(&[Role::Edge, Role::Peer, Role::Outbound]);
        senders.map(|attached| attached.namespace).collect()
    }

    /// The namespaces of all guards.
    pub(super) fn namespaces(&self) -> BTreeSet<&'a str> {
        self.attachments.iter().map(|attached| attached.namespace).collect()
    }

    /// The namespaces that requests are sent to other regions from.
    pub(super) fn routing_namespaces(&self) -> BTreeSet<&'a str> {
        let routers = self.attachments.iter().filter(|attached| attached.role.routes());
        routers.map(|attached| attached.namespace).collect()
    }
}

impl Attached<'_> {
    /// The gateways that this attachment is on, each with the labels of its pods, and the
    /// Kubernetes `Gateway` that runs them, if one does.
    pub(super) fn gateways(&self) -> Vec<(String, BTreeMap<String, String>, Option<&TargetRef>)> {
        match self.target {
            AttachmentTarget::Selector(labels) => vec![(self.name.clone(), labels.clone(), None)],
            AttachmentTarget::Refs(refs) => refs
                .iter()
                .map(|target| {
                    let name = match refs.len() {
                        1 => self.name.clone(),
                        _ => format!("{}-{}", self.name, target.name),
                    };
                    let labels = [(GATEWAY_NAME_LABEL.to_owned(), target.name.clone())];
                    (name, labels.into(), Some(target))
                })
                .collect(),
        }
    }
}

/// The label of the pods that Istio runs for a Kubernetes `Gateway`.
const GATEWAY_NAME_LABEL: &str = "gateway.networking.k8s.io/gateway-name";

/// Attachments with names of their own in their namespaces.
fn attached(attachments: &[MeshAttachment]) -> Vec<Attached<'_>> {
    let same = |left: &MeshAttachment, right: &MeshAttachment| {
        left.role == right.role && left.namespace == right.namespace
    };
    attachments
        .iter()
        .enumerate()
        .map(|(number, attachment)| {
            let alike = attachments.iter().filter(|other| same(other, attachment)).count();
            let before = attachments.iter().take(number);
            let before = before.filter(|other| same(other, attachment)).count();
            let name = match alike {
                1 => format!("meshfence-{}", attachment.role),
                _ => format!("meshfence-{}-{}", attachment.role, before + 1),
            };
            Attached {
                name,
                role: attachment.role,
                namespace: &attachment.namespace,
                target: &attachment.target,
            }
        })
        .collect()
}

fn pin<'a>(plugin: &'a PluginImage, plan: &'a IstioPlan) -> Result<&'a str, IstioError> {
    let pin = match (plugin.sha256.as_deref(), plan.plugin_sha256.as_deref()) {
        (None, None) => return Err(IstioError::PinMissing),
        (Some(document), Some(plan)) if document != plan => {
            let (document, plan) = (document.to_owned(), plan.to_owned());
            return Err(IstioError::PinTwice { document, plan });
        }
        (Some(pin), _) | (None, Some(pin)) => pin,
    };
    if is_sha256(pin) { Ok(pin) } else { Err(IstioError::PinMalformed(pin.to_owned())) }
}

fn is_secret_name(name: &str) -> bool {
    let is_end = |byte: Option<u8>| {
        byte.is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    };
    name.len() <= 253
        && is_end(name.bytes().next())
        && is_end(name.bytes().next_back())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte))
}

/// Every way into a region has a guard. That requests pass the place where they are counted is a
/// matter of the documents, and checked with them.
fn check_roles(set: &PolicySet, attachments: &[Attached<'_>]) -> Result<(), IstioError> {
    let has = |role: Role| attachments.iter().any(|attached| attached.role == role);
    let need = |role: Role, is_needed: bool, why| {
        if is_needed && !has(role) { Err(IstioError::RoleMissing { role, why }) } else { Ok(()) }
    };
    if attachments.is_empty() {
        let why = "nothing says where the plugin goes";
        return Err(IstioError::KeyMissing { key: "attachments", why });
    }
    need(Role::Edge, true, "users would come in without a decision")?;
    let several = set.body.regions.len() > 1;
    need(Role::Peer, several, "other regions would come in without a decision")
}

fn check_issuers(set: &PolicySet) -> Result<(), IstioError> {
    let lacks = |issuer: &Issuer| Some((issuer.name.clone(), lacking(issuer)?));
    match set.mesh.issuers.iter().find_map(lacks) {
        Some((name, what)) => Err(IstioError::IssuerIncomplete { name, what }),
        None => Ok(()),
    }
}

fn service(set: &PolicySet, context: &str) -> Result<Service, IstioError> {
    let upstream = set.mesh.upstreams.of(context);
    let missing =
        || IstioError::KeyMissing { key: "upstreams", why: "nothing says which services serve" };
    Ok(Service {
        name: upstream.name.unwrap_or_else(|| context.to_owned()),
        namespace: upstream.namespace.ok_or_else(missing)?,
        port: upstream.port.ok_or_else(missing)?,
    })
}

//! What a bootstrap needs beyond the policy set, and what is refused.

use super::identity;
use crate::issuer::lacking;
use policy_core::Role;
use policy_doc::{Issuer, PolicySet};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use thiserror::Error;

/// Where everything is that a policy set does not say.
#[derive(Debug, Clone)]
pub struct EnvoyPlan {
    /// Exactly one for each region of the policy set.
    pub sites: Vec<Site>,
    /// The path of `meshfence.wasm` as Envoy sees it.
    pub module: String,
    /// Where the keys of the token issuers come from.
    pub keys: Keys,
    /// Where access logs go.
    pub access_log: AccessLog,
    /// The directory of the files that [`super::secrets`] renders, as Envoy sees it. Each region
    /// has a directory of its own in it.
    pub secrets: String,
    /// How the guards get their configuration.
    pub delivery: Delivery,
}

/// The addresses of one region.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Site {
    /// The name of the region.
    pub region: String,
    /// Where users enter. Loopback.
    pub edge: SocketAddr,
    /// Envoy's administration interface. Loopback.
    pub admin: SocketAddr,
    /// Where the other regions enter, with a certificate.
    pub peer: SocketAddr,
    /// Where gateways and workloads of the same region reach the application, with a certificate.
    pub inbound: SocketAddr,
    /// Where the application sends what it asks of others. Loopback.
    pub outbound: SocketAddr,
    /// The application.
    pub application: SocketAddr,
}

impl Site {
    /// Where the listener of a role is reached.
    pub fn listener(&self, role: Role) -> SocketAddr {
        match role {
            Role::Edge => self.edge,
            Role::Peer => self.peer,
            Role::Inbound => self.inbound,
            Role::Outbound => self.outbound,
        }
    }
}

/// How the guards get their configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delivery {
    /// In the bootstrap: a new one comes with a restart.
    Inline,
    /// From files below this directory, as Envoy sees it: see [`super::plugin_file`]. Each is read
    /// again when another one is moved into its place.
    Files(String),
}

/// Where the keys of the token issuers come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Keys {
    /// From the `jwksUri` of each issuer, by a TLS cluster of its own.
    Remote,
    /// One JSON Web Key Set for every issuer: what `up` makes for a run. Public keys only.
    Inline(String),
}

/// Where access logs go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccessLog {
    /// To Envoy's standard output.
    Stdout,
    /// To a file for each region, by the name of the region.
    File(BTreeMap<String, String>),
}

/// Why there is no bootstrap.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RenderError {
    /// The region asked for is not in the policy set.
    #[error("the policy set `{set}` has no region `{region}`")]
    RegionUnknown {
        /// The policy set.
        set: String,
        /// The region.
        region: String,
    },
    /// A site is of no region of the policy set.
    #[error("there is a site for `{region}`, which is no region of the policy set")]
    SiteUnknown {
        /// The region.
        region: String,
    },
    /// A region has no site.
    #[error("there is no site for region `{region}`")]
    SiteMissing {
        /// The region.
        region: String,
    },
    /// A region has two sites.
    #[error("there are two sites for region `{region}`")]
    SiteTwice {
        /// The region.
        region: String,
    },
    /// A listener that other machines could reach.
    #[error(
        "the {listener} address {address} of region `{region}` is not a loopback address, and \
         whoever reached it would not have to show a certificate"
    )]
    NotLoopback {
        /// The region.
        region: String,
        /// `edge`, `outbound` or `admin`.
        listener: &'static str,
        /// The address.
        address: SocketAddr,
    },
    /// An address that nobody could find.
    #[error("the {name} address of region `{region}` has no port")]
    PortMissing {
        /// The region.
        region: String,
        /// `edge`, `admin`, `peer`, `application`, `inbound` or `outbound`.
        name: &'static str,
    },
    /// An address to listen on that nobody can connect to.
    #[error("the {name} address {address} of region `{region}` is none that others can connect to")]
    NoDestination {
        /// The region.
        region: String,
        /// `peer`, `inbound` or `application`.
        name: &'static str,
        /// The address.
        address: SocketAddr,
    },
    /// Two listeners on one address.
    #[error("{address} is the address of two listeners")]
    AddressTwice {
        /// The address.
        address: SocketAddr,
    },
    /// No path for the access log of a region.
    #[error("there is no access log path for region `{region}`")]
    LogMissing {
        /// The region.
        region: String,
    },
    /// No path of the module.
    #[error("the path of the module is empty")]
    ModuleMissing,
    /// An issuer that would let in more tokens than it should.
    #[error("issuer `{name}` has no {what}: tokens of anybody would be accepted")]
    IssuerIncomplete {
        /// The name of the issuer.
        name: String,
        /// `issuer` or `audiences`.
        what: &'static str,
    },
    /// Keys of an issuer cannot be fetched from there.
    #[error("the jwksUri `{uri}` of issuer `{name}` {problem}")]
    JwksUri {
        /// The name of the issuer.
        name: String,
        /// What was given.
        uri: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The inline keys are not a set of public keys.
    #[error("the inline keys {problem}")]
    InlineKeys {
        /// What is wrong with them.
        problem: &'static str,
    },
    /// Nothing that one region could ask another to see whether it is up.
    #[error(
        "the policy set has no health paths: regions ask each other for one to see who is up, and \
         guards answer to no other path without a policy"
    )]
    HealthPathMissing,
    /// No directory for files that Envoy reads.
    #[error("the directory of {what} is empty")]
    DirectoryMissing {
        /// The secrets, or the configurations.
        what: &'static str,
    },
    /// A region cannot show who it is.
    #[error(
        "region `{region}` has no peerIds: its certificate has to name one, or no other region and \
         none of its own workloads can tell its gateway from anybody else"
    )]
    IdMissing {
        /// The region.
        region: String,
    },
    /// The one certificate of a region is not believed by its own workloads.
    #[error(
        "the first of the peerIds of region `{region}`, `{id}`, has to be one of its gatewayIds too: \
         one Envoy shows the same certificate to other regions and to its own workloads"
    )]
    IdNotBelieved {
        /// The region.
        region: String,
        /// The id.
        id: String,
    },
    /// An id that is none.
    #[error("`{id}`, an id of region `{region}`, is no SPIFFE id with a trust domain and a path")]
    IdMalformed {
        /// The region.
        region: String,
        /// What was given.
        id: String,
    },
    /// Certificates without the authority of a trust domain.
    #[error("there is no authority for the trust domain `{domain}`")]
    AuthorityMissing {
        /// The trust domain.
        domain: String,
    },
    /// The configuration of the plugin has no JSON form.
    #[error("the configuration of the plugin cannot be written")]
    Configuration(#[source] serde_json::Error),
}

/// A plan that holds for a policy set, seen from one region.
#[derive(Debug, Clone, Copy)]
pub(super) struct View<'a> {
    pub(super) set: &'a PolicySet,
    pub(super) plan: &'a EnvoyPlan,
    pub(super) site: &'a Site,
    /// What regions ask each other for.
    pub(super) health_path: &'a str,
}

impl<'a> View<'a> {
    /// Checks all of the plan, so that what is rendered for one region is rendered for each.
    pub(super) fn new(
        set: &'a PolicySet,
        plan: &'a EnvoyPlan,
        region: &str,
    ) -> Result<Self, RenderError> {
        if !set.body.regions.iter().any(|known| known.name == region) {
            return Err(RenderError::RegionUnknown {
                set: set.name.clone(),
                region: region.to_owned(),
            });
        }
        check_sites(set, plan)?;
        identity::check(set)?;
        if plan.module.is_empty() {
            return Err(RenderError::ModuleMissing);
        }
        check_directories(plan)?;
        set.mesh.issuers.iter().try_for_each(check_issuer)?;
        let site = plan
            .sites
            .iter()
            .find(|site| site.region == region)
            .ok_or_else(|| RenderError::SiteMissing { region: region.to_owned() })?;
        let health_path = set.body.health_paths.first().ok_or(RenderError::HealthPathMissing)?;
        Ok(Self { set, plan, site, health_path })
    }

    /// The sites of the other regions, in the order of the policy set.
    pub(super) fn peers(&self) -> impl Iterator<Item = &'a Site> {
        let Self { set, plan, site, .. } = *self;
        set.body
            .regions
            .iter()
            .filter(|region| region.name != site.region)
            .filter_map(|region| plan.sites.iter().find(|site| site.region == region.name))
    }

    /// What Envoy's locality calls a region: the cloud's word for it, where there is one.
    pub(super) fn locality(&self, region: &str) -> String {
        self.set.mesh.cloud_regions.get(region).map_or(region, String::as_str).to_owned()
    }
}

fn check_sites(set: &PolicySet, plan: &EnvoyPlan) -> Result<(), RenderError> {
    let mut regions = BTreeSet::new();
    let mut listeners = BTreeSet::new();
    for site in &plan.sites {
        let Site { region, edge, admin, peer, inbound, outbound, application } = site;
        if !set.body.regions.iter().any(|known| known.name == *region) {
            return Err(RenderError::SiteUnknown { region: region.clone() });
        }
        if !regions.insert(region) {
            return Err(RenderError::SiteTwice { region: region.clone() });
        }
        let own = [
            ("edge", *edge),
            ("admin", *admin),
            ("peer", *peer),
            ("inbound", *inbound),
            ("outbound", *outbound),
        ];
        for (name, address) in own.into_iter().chain([("application", *application)]) {
            if address.port() == 0 {
                return Err(RenderError::PortMissing { region: region.clone(), name });
            }
        }
        for (name, address) in
            [("peer", *peer), ("inbound", *inbound), ("application", *application)]
        {
            if address.ip().is_unspecified() {
                return Err(RenderError::NoDestination { region: region.clone(), name, address });
            }
        }
        for (listener, address) in [("edge", *edge), ("admin", *admin), ("outbound", *outbound)] {
            if !address.ip().is_loopback() {
                return Err(RenderError::NotLoopback { region: region.clone(), listener, address });
            }
        }
        for (_, address) in own {
            if !listeners.insert(address) {
                return Err(RenderError::AddressTwice { address });
            }
        }
    }
    match set.body.regions.iter().find(|region| !regions.contains(&region.name)) {
        Some(region) => Err(RenderError::SiteMissing { region: region.name.clone() }),
        None => Ok(()),
    }
}

/// An empty one would be the root of the file system.
fn check_directories(plan: &EnvoyPlan) -> Result<(), RenderError> {
    let delivery = match &plan.delivery {
        Delivery::Inline => None,
        Delivery::Files(directory) => Some(("configurations", directory)),
    };
    for (what, directory) in [("secrets", &plan.secrets)].into_iter().chain(delivery) {
        if directory.is_empty() {
            return Err(RenderError::DirectoryMissing { what });
        }
    }
    Ok(())
}

fn check_issuer(issuer: &Issuer) -> Result<(), RenderError> {
    let refuse = |what| RenderError::IssuerIncomplete { name: issuer.name.clone(), what };
    lacking(issuer).map_or(Ok(()), |what| Err(refuse(what)))
}

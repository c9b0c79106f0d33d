//! What an operator applies in each region of an Istio mesh.
//!
//! ```text
//! users ─► Gateway edge: jwt, guard ─┬─► Service of the context ─► sidecar: jwt, guard ─► application
//!                                    └─► ServiceEntry peer-<region>, its DestinationRule
//! other regions ─► Gateway peer: ISTIO_MUTUAL, guard ─► Service of the context
//! ```
//!
//! One module a kind. The files are numbered in the order in which they have to be in force: the
//! guard stands before anything leads past it.

mod agent;
mod destination_rule;
mod gateway;
mod paths;
mod plan;
mod request_authentication;
mod resource;
mod service_entry;
mod virtual_service;
mod wasm_plugin;

pub use plan::{IstioError, IstioPlan};

use plan::View;
use policy_doc::PolicySet;
use resource::{Resource, file};

/// One file of resources.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// Its name.
    pub name: &'static str,
    /// What is in it.
    pub text: String,
}

/// The resources of one region, a file for each kind, in the order to apply them.
///
/// # Errors
/// What the policy set or the plan lacks: see [`IstioError`].
pub fn manifests(
    set: &PolicySet,
    plan: &IstioPlan,
    region: &str,
) -> Result<Vec<Manifest>, IstioError> {
    let view = View::new(set, plan, region)?;
    let kinds: [(&'static str, &[&str], Vec<Resource>); 6] = [
        ("1-wasmplugin.yaml", wasm_plugin::ABOUT, wasm_plugin::all(&view)?),
        (
            "2-requestauthentication.yaml",
            request_authentication::ABOUT,
            request_authentication::all(&view),
        ),
        ("3-serviceentry.yaml", service_entry::ABOUT, service_entry::all(&view)),
        ("4-destinationrule.yaml", destination_rule::ABOUT, destination_rule::all(&view)),
        ("5-gateway.yaml", gateway::ABOUT, gateway::all(&view)),
        ("6-virtualservice.yaml", virtual_service::ABOUT, virtual_service::all(&view)),
    ];
    let files = kinds.into_iter().filter(|(_, _, resources)| !resources.is_empty());
    Ok(files
        .map(|(name, about, resources)| Manifest { name, text: file(&view, about, &resources) })
        .collect())
}

#[cfg(test)]
mod tests;

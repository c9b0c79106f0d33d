//! `meshfence render istio`: what an operator applies in each region of an Istio mesh.

use super::output::Output;
use crate::cli::RenderIstio;
use crate::exit::{Exit, Failure};
use crate::policy_set::{self, Origin};
use policy_doc::Purpose;
use render::{IstioError, IstioPlan};
use std::path::Path;

pub(super) fn run(arguments: &RenderIstio) -> Result<(), Failure> {
    let origin = Origin::of(arguments.policy_set.directory.as_deref());
    let set = policy_set::require(origin, Purpose::Deploy)?;
    let set = policy_set::with_candidate(set, &arguments.candidate, Purpose::Deploy)?;
    let plan = IstioPlan {
        plugin_sha256: arguments.plugin_sha256.clone(),
        edge_credential: arguments.edge_credential.clone(),
    };
    let mut output = Output::default();
    for region in &set.body.regions {
        let manifests =
            render::manifests(&set, &plan, &region.name).map_err(|error| refuse(&error))?;
        for manifest in manifests {
            output.add(Path::new(&region.name).join(manifest.name), manifest.text);
        }
    }
    output.deliver(&arguments.output)
}

fn refuse(error: &IstioError) -> Failure {
    let exit = match error {
        IstioError::PinMissing
        | IstioError::PinMalformed(_)
        | IstioError::PinTwice { .. }
        | IstioError::CredentialMalformed(_) => Exit::Usage,
        _ => Exit::InvalidPolicy,
    };
    let failure = Failure::new(exit, error.to_string());
    match error.help() {
        Some(help) => failure.help(help),
        None => failure,
    }
}

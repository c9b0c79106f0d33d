//! `meshfence render envoy`: a bootstrap for each region, and the module.

use super::output::Output;
use crate::cli::RenderEnvoy;
use crate::exit::{Exit, Failure};
use crate::local;
use crate::policy_set::{self, Origin};
use policy_doc::Purpose;
use render::{AccessLog, EnvoyPlan, Keys};
use std::path;

const MODULE: &str = "meshfence.wasm";

pub(super) fn run(arguments: &RenderEnvoy) -> Result<(), Failure> {
    let origin = Origin::of(arguments.policy_set.directory.as_deref());
    let set = policy_set::require(origin, Purpose::Deploy)?;
    let out = &arguments.output.out;
    let regions: Vec<&str> = set.body.regions.iter().map(|region| region.name.as_str()).collect();
    let ports = local_mesh::ports::plan(arguments.base_port, &regions)?;
    let module = path::absolute(out.join(MODULE)).map_err(|error| {
        Failure::new(Exit::Usage, format!("cannot use `{}`: {error}", out.display()))
    })?;
    let plan = EnvoyPlan {
        sites: ports.into_iter().map(local::site).collect(),
        module: module.display().to_string(),
        keys: Keys::Remote,
        access_log: AccessLog::Stdout,
    };
    let mut output = Output::default();
    output.add(MODULE, module::WASM);
    for region in regions {
        output.add(format!("{region}.yaml"), local::bootstrap(&set, &plan, region)?);
    }
    output.deliver(&arguments.output)
}

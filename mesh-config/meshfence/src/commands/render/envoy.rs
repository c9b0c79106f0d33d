//! `meshfence render envoy`: a bootstrap for each region, and the module.

use super::output::{Output, unwritable};
use crate::cli::RenderEnvoy;
use crate::exit::Failure;
use crate::local;
use crate::policy_set::{self, Origin};
use policy_doc::Purpose;
use render::{AccessLog, EnvoyPlan, Keys};
use std::fs;

const MODULE: &str = "meshfence.wasm";

pub(super) fn run(arguments: &RenderEnvoy) -> Result<(), Failure> {
    let origin = Origin::of(arguments.policy_set.directory.as_deref());
    let set = policy_set::require(origin, Purpose::Deploy)?;
    let out = &arguments.out;
    let regions: Vec<&str> = set.body.regions.iter().map(|region| region.name.as_str()).collect();
    let ports = local_mesh::ports::plan(arguments.base_port, &regions)?;
    fs::create_dir_all(out).map_err(|error| unwritable(out, &error))?;
    let module_path = out.canonicalize().map_err(|error| unwritable(out, &error))?.join(MODULE);
    let plan = EnvoyPlan {
        sites: ports.into_iter().map(local::site).collect(),
        module: module_path.display().to_string(),
        keys: Keys::Remote,
        access_log: AccessLog::Stdout,
    };
    // Everything is rendered before anything is written: half a mesh is worse than none.
    let mut output = Output::new(out);
    output.add(MODULE, module::WASM);
    for region in regions {
        output.add(format!("{region}.yaml"), local::bootstrap(&set, &plan, region)?);
    }
    output.write()
}

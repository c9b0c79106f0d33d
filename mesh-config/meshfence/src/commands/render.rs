//! `meshfence render envoy`: a bootstrap for each region, and the module.

use crate::cli::RenderEnvoy;
use crate::exit::{Exit, Failure};
use crate::local;
use crate::policy_set::{self, Origin};
use crate::terminal;
use policy_doc::Purpose;
use render::{AccessLog, EnvoyPlan, Keys};
use std::fs;
use std::path::Path;

const MODULE: &str = "meshfence.wasm";

pub(crate) fn envoy(arguments: &RenderEnvoy) -> Result<(), Failure> {
    let origin = Origin::of(arguments.policy_set.directory.as_deref());
    let set = policy_set::require(origin, Purpose::Deploy)?;
    let out = &arguments.out;
    let regions: Vec<&str> = set.body.regions.iter().map(|region| region.name.as_str()).collect();
    let ports = local_mesh::ports::plan(arguments.base_port, &regions)?;
    let unwritable = |path: &Path, error: &std::io::Error| {
        Failure::new(Exit::Environment, format!("cannot write `{}`: {error}", path.display()))
    };
    fs::create_dir_all(out).map_err(|error| unwritable(out, &error))?;
    let module_path = out.canonicalize().map_err(|error| unwritable(out, &error))?.join(MODULE);
    let plan = EnvoyPlan {
        sites: ports.into_iter().map(local::site).collect(),
        module: module_path.display().to_string(),
        keys: Keys::Remote,
        access_log: AccessLog::Stdout,
    };
    // Everything is rendered before anything is written: half a mesh is worse than none.
    let mut files = vec![(module_path, module::WASM.to_vec())];
    for region in regions {
        let text = local::bootstrap(&set, &plan, region)?;
        files.push((out.join(format!("{region}.yaml")), text.into_bytes()));
    }
    for (path, bytes) in files {
        fs::write(&path, bytes).map_err(|error| unwritable(&path, &error))?;
        terminal::print(&path.display().to_string())?;
    }
    Ok(())
}

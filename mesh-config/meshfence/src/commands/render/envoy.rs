//! `meshfence render envoy`: a bootstrap for each region, what it reads, and the module.

use super::output::Output;
use crate::certificates::{LocalCertificates, STORE};
use crate::cli::RenderEnvoy;
use crate::exit::{Exit, Failure};
use crate::local::{self, invalid};
use crate::policy_set::{self, Origin};
use crate::terminal;
use policy_doc::{PolicySet, Purpose};
use render::{AccessLog, Certificates, Delivery, EnvoyPlan, Keys};
use std::path::{self, Path};
use std::time::SystemTime;

const MODULE: &str = "meshfence.wasm";
const SECRETS: &str = "tls";
const PLUGIN: &str = "plugin";

pub(super) fn run(arguments: &RenderEnvoy) -> Result<(), Failure> {
    let origin = Origin::of(arguments.policy_set.directory.as_deref());
    let set = policy_set::require(origin, Purpose::Deploy)?;
    let set = policy_set::with_candidate(set, &arguments.candidate, Purpose::Deploy)?;
    let out = &arguments.output.out;
    let regions: Vec<&str> = set.body.regions.iter().map(|region| region.name.as_str()).collect();
    let ports = local_mesh::ports::plan(arguments.base_port, &regions)?;
    let out = path::absolute(out).map_err(|error| {
        Failure::new(Exit::Usage, format!("cannot use `{}`: {error}", out.display()))
    })?;
    let root = arguments.root.as_deref().unwrap_or(&out);
    let below = |name: &str| root.join(name).display().to_string();
    let module = arguments.module.as_ref().map(|module| module.display().to_string());
    let plan = EnvoyPlan {
        sites: ports.into_iter().map(local::site).collect(),
        module: module.clone().unwrap_or_else(|| below(MODULE)),
        keys: Keys::Remote,
        access_log: AccessLog::Stdout,
        secrets: below(SECRETS),
        delivery: if arguments.config_files {
            Delivery::Files(below(PLUGIN))
        } else {
            Delivery::Inline
        },
    };
    let mut output = Output::default();
    if module.is_none() {
        output.add(MODULE, module::WASM);
    }
    for region in regions {
        output.add(format!("{region}.yaml"), local::bootstrap(&set, &plan, region)?);
        if arguments.config_files {
            configurations(&mut output, &set, &plan, region)?;
        }
        if !arguments.local_certificates {
            let certificates = Certificates::Files(plan.secrets.clone());
            for file in render::secrets(&set, region, &certificates).map_err(invalid)? {
                output.add(Path::new(SECRETS).join(file.path), file.text);
            }
        }
    }
    if !arguments.local_certificates {
        return output.deliver(&arguments.output);
    }
    output.leave(STORE);
    let certificates = LocalCertificates::load(&set, &out, SystemTime::now())?;
    for file in certificates.files(&set)? {
        output.expect(Path::new(SECRETS).join(file.path), &file.text);
    }
    output.deliver(&arguments.output)?;
    if arguments.output.check { Ok(()) } else { deliver(&certificates, &set, &out) }
}

fn configurations(
    output: &mut Output,
    set: &PolicySet,
    plan: &EnvoyPlan,
    region: &str,
) -> Result<(), Failure> {
    for role in render::roles(set) {
        let path = Path::new(PLUGIN).join(render::plugin_file(region, role));
        output.add(path, render::plugin_resource(set, plan, region, role).map_err(invalid)?);
    }
    Ok(())
}

fn deliver(certificates: &LocalCertificates, set: &PolicySet, out: &Path) -> Result<(), Failure> {
    let directory = out.join(SECRETS);
    certificates.write(set, &directory)?;
    certificates.keep(out)?;
    let left = certificates.expire().and_then(|end| end.duration_since(SystemTime::now()).ok());
    let hours = left.unwrap_or_default().as_secs().div_ceil(3600);
    terminal::print(&format!(
        "{}: certificates for this machine, which expire in {hours} h; run this again in time: it \
         renews those that have used two thirds of a day, and Envoy reads them without a restart",
        directory.display()
    ))
}

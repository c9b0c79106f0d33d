//! `meshfence render prometheus`: what to wake somebody for.

use super::output::Output;
use crate::cli::RenderPrometheus;
use crate::exit::Failure;
use crate::policy_set::{self, Origin};
use policy_doc::Purpose;

pub(super) fn run(arguments: &RenderPrometheus) -> Result<(), Failure> {
    let origin = Origin::of(arguments.policy_set.directory.as_deref());
    let set = policy_set::require(origin, Purpose::Deploy)?;
    let mut output = Output::default();
    output.add(render::ALERTS_FILE, render::alerts(&set));
    output.deliver(&arguments.output)
}

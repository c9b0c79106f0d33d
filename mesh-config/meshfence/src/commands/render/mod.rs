//! `meshfence render`: what enforces a policy set, as files.

mod envoy;
mod istio;
mod output;
mod prometheus;

use crate::cli::Render;
use crate::exit::Failure;

pub(crate) fn run(command: &Render) -> Result<(), Failure> {
    match command {
        Render::Envoy(arguments) => envoy::run(arguments),
        Render::Istio(arguments) => istio::run(arguments),
        Render::Prometheus(arguments) => prometheus::run(arguments),
    }
}

//! `meshfence reap`: what removes the containers of an `up` that was killed.

use crate::cli::Reap;
use crate::exit::Failure;

pub(crate) async fn run(arguments: Reap) -> Result<(), Failure> {
    Ok(local_mesh::docker::reap(&arguments.run, std::io::stdin()).await?)
}

//! `meshfence sweep`: what removes the files of a command that was killed.

use crate::cli::Sweep;
use crate::exit::Failure;

pub(crate) async fn run(arguments: Sweep) -> Result<(), Failure> {
    local_mesh::run_dir::remove_after(&arguments.run, std::io::stdin()).await;
    Ok(())
}

//! `meshfence echo`: the upstream of `up`.

use crate::cli::Echo;
use crate::exit::Failure;
use local_mesh::echo::{EchoOptions, serve};

pub(crate) async fn run(arguments: Echo) -> Result<(), Failure> {
    let options = EchoOptions::new(arguments.region, arguments.listen);
    Ok(serve(options, local_mesh::interrupted()).await?)
}

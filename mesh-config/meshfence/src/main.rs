//! The `meshfence` command: arguments in, text and an exit code out.

use std::process::ExitCode;

fn main() -> ExitCode {
    meshfence::run().into()
}

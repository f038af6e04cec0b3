//! The `homing` program: everything it does is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(homing::cli::main(&std::env::args_os().collect::<Vec<_>>()))
}

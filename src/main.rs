//! The thin binary: everything is in the library, see [`mstar::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    mstar::cli::main()
}

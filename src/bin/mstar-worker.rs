//! The half of the program that starts libtorch: workers and `sample`. `mstar` starts it when it is
//! needed; loading libtorch takes a quarter of a second, which checking and planning need not wait
//! for.

use std::process::ExitCode;

fn main() -> ExitCode {
    mstar::cli::worker_main()
}

//! Writes the search path of libtorch into the binary, so that running, testing and doctests need no
//! `LD_LIBRARY_PATH`, and refuses a libtorch that this version of tch does not fit.

use std::{env, fs, path::Path};

/// The one version whose headers `tch` compiles against.
const VERSION: &str = "2.11.0";

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=LIBTORCH");
    let Ok(libraries) = env::var("DEP_TCH_LIBTORCH_LIB") else { return };
    println!("cargo:rustc-link-arg=-Wl,-rpath,{libraries}");
    println!("cargo:rustc-env=MSTAR_LIBTORCH_FOLDER={libraries}");
    // `mstar` itself calls nothing of libtorch. Inline functions of its headers would still tie it to
    // the library, because the library exports them too; hidden, they are dropped with the rest.
    println!("cargo:rustc-link-arg-bin=mstar=-Wl,--exclude-libs=ALL");
    let header = Path::new(&libraries).join("../include/torch/headeronly/version.h");
    let version =
        fs::read_to_string(header).map_or_else(|_| "unknown".into(), |text| version(&text));
    assert!(
        version == VERSION,
        "libtorch {version} was found and mstar needs {VERSION}; unset LIBTORCH and run \
         `.ci/libtorch` to have the right one fetched"
    );
}

fn version(header: &str) -> String {
    let number = |name: &str| {
        let line =
            header.lines().find(|line| line.contains(&format!("define TORCH_VERSION_{name} ")));
        line.and_then(|line| line.split_whitespace().last()).unwrap_or("?").to_owned()
    };
    format!("{}.{}.{}", number("MAJOR"), number("MINOR"), number("PATCH"))
}

//! What needs libtorch. It is linked into `mstar-worker` beside `mstar`, so that everything else
//! starts at once; nothing here but the hand-over may be reached from `mstar` itself.

use crate::cli::exit::{Exit, Trouble};
use std::path::PathBuf;
use std::process::Command;

/// The program beside this one that is linked with libtorch.
pub(super) fn worker_program() -> Result<PathBuf, Trouble> {
    if !cfg!(feature = "torch") {
        return Err(Trouble::wrong(
            "this mstar was built without libtorch: it checks, plans and reports",
            "build it with the feature `torch`, which is on by default",
        ));
    }
    let own = std::env::current_exe().map_err(|error| Trouble::Said {
        message: format!("the program's own path is unknown: {error}"),
        hint: None,
        exit: Exit::Broke,
    })?;
    let program = own.with_file_name("mstar-worker");
    if program.is_file() {
        return Ok(program);
    }
    let message = format!("`{}` is not there", program.display());
    Err(Trouble::wrong(
        message,
        "keep `mstar` and `mstar-worker` in one folder; `cargo build` makes both",
    ))
}

/// Lets the worker program do what was typed.
pub(crate) fn hand_over() -> Result<Exit, Trouble> {
    let program = worker_program()?;
    let status = Command::new(&program).args(std::env::args_os().skip(1)).status();
    let status = status.map_err(|error| Trouble::Said {
        message: format!("`{}` cannot be started: {error}", program.display()),
        hint: None,
        exit: Exit::Broke,
    })?;
    Ok(match status.code() {
        Some(0) => Exit::Done,
        Some(1) => Exit::StageFailed,
        Some(2) => Exit::Wrong,
        Some(130) => Exit::Interrupted,
        _ => Exit::Broke,
    })
}

/// Version of libtorch; a worker refuses to start with another. None in a build without it.
pub(super) fn libtorch_version() -> Option<String> {
    #[cfg(feature = "torch")]
    let version = Some(crate::stages::LIBTORCH_WANTED.to_owned());
    #[cfg(not(feature = "torch"))]
    let version = None;
    version
}

/// The folder of libtorch's libraries that the worker program was built against.
pub(super) fn libtorch_folder() -> Option<&'static str> {
    option_env!("MSTAR_LIBTORCH_FOLDER")
}

/// What the worker program says when it is started.
pub(super) enum Worker {
    /// This build has none.
    Absent,
    /// How many CUDA devices libtorch can use.
    Answers(u32),
    /// It does not start; why.
    Silent(String),
}

/// Starts the worker program, which loads libtorch, and asks for its CUDA devices.
pub(super) fn ask_worker() -> Worker {
    if !cfg!(feature = "torch") {
        return Worker::Absent;
    }
    let output = match worker_program() {
        Ok(program) => Command::new(program).arg("cuda-devices").output(),
        Err(trouble) => return Worker::Silent(first_line(&trouble.to_string())),
    };
    match output {
        Ok(output) if output.status.success() => {
            let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
            Worker::Answers(text.parse().unwrap_or(0))
        }
        Ok(output) => Worker::Silent(first_line(&String::from_utf8_lossy(&output.stderr))),
        Err(error) => Worker::Silent(error.to_string()),
    }
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or("it says nothing").trim_start_matches("error: ").to_owned()
}

/// CUDA devices that libtorch can use, of those that the driver shows.
pub(super) fn usable_cuda_devices(shown: u32) -> u32 {
    match shown {
        0 => 0,
        _ => match ask_worker() {
            Worker::Answers(usable) => shown.min(usable),
            Worker::Absent | Worker::Silent(_) => 0,
        },
    }
}

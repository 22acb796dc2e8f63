//! Devices: the choice that people write, whether it is there, and how many threads libtorch uses.

use crate::base::Hint;
use std::{fmt, str::FromStr, sync::OnceLock};
use tch::{Cuda, Device};

/// Where tensors shall live, as written in a recipe or on the command line. It never enters a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum DeviceChoice {
    /// The first CUDA device if there is one, else the CPU.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// The CUDA device of this index, from 0.
    Cuda(usize),
}

/// A device that cannot be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeviceError {
    /// Not one of the words.
    #[error("unknown device `{0}`")]
    Unknown(String),
    /// CUDA was asked for, and libtorch cannot use it here.
    #[error("no CUDA device: {reason}")]
    NoCuda {
        /// What the loader or the driver said.
        reason: String,
    },
    /// CUDA works, but this index does not exist.
    #[error("no device `cuda:{index}`: this machine has {count}")]
    NoSuchIndex {
        /// The index asked for.
        index: usize,
        /// How many there are.
        count: usize,
    },
}

impl Hint for DeviceError {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Unknown(_) => "use `auto`, `cpu`, `cuda` or `cuda:N`".to_owned(),
            Self::NoCuda { .. } => {
                "use `device = \"cpu\"`, or point `LIBTORCH` at a CUDA build of libtorch 2.11 on a \
                 machine with an NVIDIA driver"
                    .to_owned()
            }
            Self::NoSuchIndex { count, .. } => match count {
                1 => "use `cuda:0`".to_owned(),
                _ => format!("use `cuda:0` to `cuda:{}`", count.saturating_sub(1)),
            },
        })
    }
}

impl FromStr for DeviceChoice {
    type Err = DeviceError;

    fn from_str(text: &str) -> Result<Self, DeviceError> {
        match text {
            "auto" => Ok(Self::Auto),
            "cpu" => Ok(Self::Cpu),
            "cuda" => Ok(Self::Cuda(0)),
            _ => text
                .strip_prefix("cuda:")
                .and_then(|index| index.parse().ok())
                .map(Self::Cuda)
                .ok_or_else(|| DeviceError::Unknown(text.to_owned())),
        }
    }
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(index) => write!(f, "cuda:{index}"),
        }
    }
}

impl DeviceChoice {
    /// The device, after a look whether it is there.
    ///
    /// # Errors
    /// When CUDA or the index asked for is missing; `auto` never fails.
    pub fn open(self) -> Result<Device, DeviceError> {
        match self {
            Self::Cpu => Ok(Device::Cpu),
            Self::Auto => Ok(cuda_devices().map_or(Device::Cpu, |_| Device::Cuda(0))),
            Self::Cuda(index) => match cuda_devices()? {
                count if index < count => Ok(Device::Cuda(index)),
                count => Err(DeviceError::NoSuchIndex { index, count }),
            },
        }
    }
}

/// How many CUDA devices there are, at least one.
///
/// # Errors
/// With what the loader said when libtorch's CUDA half is missing or cannot be loaded.
pub fn cuda_devices() -> Result<usize, DeviceError> {
    static LOADED: OnceLock<Result<(), String>> = OnceLock::new();
    // The linker drops libtorch_cuda from a program that names none of its symbols, so it is loaded
    // here, once, before the first question about CUDA: its registrations run while it loads.
    let loaded = LOADED.get_or_init(|| open_library(c"libtorch_cuda.so"));
    loaded.clone().map_err(|reason| DeviceError::NoCuda { reason })?;
    match usize::try_from(Cuda::device_count()).unwrap_or(0) {
        0 => Err(DeviceError::NoCuda { reason: "the driver reports none".to_owned() }),
        count => Ok(count),
    }
}

/// Sets how many threads one operation may use; operations are never run beside each other.
pub fn set_threads(threads: usize) {
    static INTER_OP: OnceLock<()> = OnceLock::new();
    tch::set_num_threads(i32::try_from(threads.max(1)).unwrap_or(i32::MAX));
    // libtorch accepts this number only once and before its pool starts.
    INTER_OP.get_or_init(|| {
        if tch::get_num_interop_threads() != 1 {
            tch::set_num_interop_threads(1);
        }
    });
}

/// Device, threads and library in a few words: equal text promises equal bits.
pub fn describe(device: Device, threads: usize) -> String {
    let device = match device {
        Device::Cuda(index) => format!("cuda:{index}"),
        _ => format!("cpu, {threads} threads"),
    };
    format!("{device}, libtorch {}", libtorch_version())
}

/// The version of the libtorch that is loaded, such as `2.11.0`.
pub fn libtorch_version() -> String {
    let packed = abi_version();
    format!("{}.{}.{}", packed >> 56, (packed >> 48) & 0xff, (packed >> 40) & 0xff)
}

/// The version that the bindings were generated for; another one cannot be used.
pub const LIBTORCH_WANTED: &str = "2.11.0";

#[expect(unsafe_code, reason = "the dynamic loader has no safe interface")]
fn open_library(name: &std::ffi::CStr) -> Result<(), String> {
    // SAFETY: the name is a C string; the library stays loaded until the process ends. `dlerror` is
    // read at once, in the thread that failed.
    unsafe {
        if !libc::dlopen(name.as_ptr(), libc::RTLD_NOW | libc::RTLD_GLOBAL).is_null() {
            return Ok(());
        }
        let message = libc::dlerror();
        if message.is_null() {
            return Err("the loader gave no reason".to_owned());
        }
        Err(std::ffi::CStr::from_ptr(message).to_string_lossy().into_owned())
    }
}

#[expect(unsafe_code, reason = "a C function of libtorch that its Rust bindings do not name")]
fn abi_version() -> u64 {
    unsafe extern "C" {
        // Major, minor and patch in the three highest bytes (torch/headeronly/version.h).
        safe fn aoti_torch_abi_version() -> u64;
    }
    aoti_torch_abi_version()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_reads_and_prints_the_same_words() {
        for text in ["auto", "cpu", "cuda:0", "cuda:3"] {
            assert_eq!(text.parse::<DeviceChoice>().unwrap().to_string(), text);
        }
        for text in ["", "gpu", "cuda:", "cuda:-1", "CPU"] {
            assert_eq!(text.parse::<DeviceChoice>(), Err(DeviceError::Unknown(text.to_owned())));
        }
    }

    #[test]
    fn a_missing_index_is_an_error_with_a_hint() {
        let error = DeviceChoice::Cuda(9999).open().unwrap_err();
        assert!(error.hint().is_some());
    }

    #[test]
    fn the_loaded_libtorch_is_the_one_the_bindings_want() {
        assert_eq!(libtorch_version(), LIBTORCH_WANTED);
    }
}

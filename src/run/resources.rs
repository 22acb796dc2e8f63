//! What this process may really use of the machine, and how workers share it.

use crate::{base::Hint, event::Machine};
use serde::{Deserialize, Serialize};
use std::{fs, str::FromStr};
use thiserror::Error;

/// What workers compute on. Never part of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Device {
    /// All CUDA devices, or else the processor.
    Auto,
    /// The processor.
    Cpu,
    /// All CUDA devices, or one by number.
    Cuda(Option<u32>),
}

/// A device that cannot be had.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum DeviceError {
    /// Not the name of a device.
    #[error("no device is called `{name}`")]
    Unknown {
        /// What was given.
        name: String,
    },
    /// Fewer CUDA devices than that.
    #[error("`{name}` was asked for and there are {found} CUDA devices")]
    Missing {
        /// What was given.
        name: String,
        /// How many there are.
        found: u32,
    },
}

impl Hint for DeviceError {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Unknown { .. } => "`auto`, `cpu`, `cuda` or `cuda:N`".into(),
            Self::Missing { .. } => {
                "`mstar doctor` says what this mstar and this machine have".into()
            }
        })
    }
}

impl FromStr for Device {
    type Err = DeviceError;

    fn from_str(name: &str) -> Result<Self, DeviceError> {
        let unknown = || DeviceError::Unknown { name: name.to_owned() };
        match name {
            "auto" => Ok(Self::Auto),
            "cpu" => Ok(Self::Cpu),
            "cuda" => Ok(Self::Cuda(None)),
            _ => {
                let number = name.strip_prefix("cuda:").ok_or_else(unknown)?;
                number.parse().map(|number| Self::Cuda(Some(number))).map_err(|_| unknown())
            }
        }
    }
}

/// One worker's share.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slot {
    /// The worker's number, from 0.
    pub number: u32,
    /// `cpu` or `cuda:N`.
    pub device: String,
    /// Threads it may use.
    pub threads: u32,
}

impl Slot {
    /// `cpu` or `cuda`.
    pub fn kind(&self) -> &str {
        self.device.split(':').next().unwrap_or_default()
    }
}

/// What this process may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resources {
    /// Cores, within the affinity and the control group.
    pub cores: u32,
    /// Memory in bytes, within the control group; 0 when unknown.
    pub memory_bytes: u64,
    /// What of it is free, in bytes; none when unknown.
    pub free_memory_bytes: Option<u64>,
    /// Model of the processor.
    pub processor: String,
    /// CUDA devices that the driver shows. Whoever knows that this build cannot use them sets 0.
    pub cuda_devices: u32,
    /// Threads that a process may have at most: `OMP_NUM_THREADS`, if it is set.
    pub most_threads: u32,
}

impl Resources {
    /// Looks at the machine.
    pub fn detect() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get());
        Self {
            cores: u32::try_from(cores).unwrap_or(u32::MAX),
            memory_bytes: memory_bytes(),
            free_memory_bytes: of_memory("MemAvailable:"),
            processor: processor(),
            cuda_devices: cuda_devices(),
            most_threads: most_threads(),
        }
    }

    /// The same for the log.
    pub fn machine(&self) -> Machine {
        Machine {
            processor: self.processor.clone(),
            cores: self.cores,
            memory_bytes: self.memory_bytes,
            cuda_devices: self.cuda_devices,
        }
    }

    /// Shares the machine among workers: one for each CUDA device, or two on a processor with
    /// more than one core, so that what is short runs beside what is long. `workers` sets another
    /// number.
    ///
    /// # Errors
    /// When a CUDA device is asked for that is not there.
    pub fn slots(&self, device: Device, workers: Option<u32>) -> Result<Vec<Slot>, DeviceError> {
        let missing = |name: String| DeviceError::Missing { name, found: self.cuda_devices };
        let devices: Vec<String> = match device {
            Device::Cuda(None) if self.cuda_devices == 0 => return Err(missing("cuda".into())),
            Device::Cuda(Some(number)) if number >= self.cuda_devices => {
                return Err(missing(format!("cuda:{number}")));
            }
            Device::Cuda(Some(number)) => vec![format!("cuda:{number}")],
            Device::Auto | Device::Cuda(None) if self.cuda_devices > 0 => {
                (0..self.cuda_devices).map(|number| format!("cuda:{number}")).collect()
            }
            Device::Auto | Device::Cpu | Device::Cuda(None) => {
                vec!["cpu".into(); self.cores.clamp(1, 2) as usize]
            }
        };
        let count = workers.map_or(devices.len(), |workers| workers.max(1) as usize);
        // A worker alone on a processor takes as many threads as one of two, since the number of threads decides the
        // order of sums and so the last bits: `--workers 1` makes the bytes that two make.
        let least = if devices[0] == "cpu" { self.cores.clamp(1, 2) } else { 1 };
        let sharing = (count as u32).max(least);
        let threads = (self.cores / sharing).min(self.most_threads).max(1);
        let devices = devices.into_iter().cycle().take(count);
        Ok((0..).zip(devices).map(|(number, device)| Slot { number, device, threads }).collect())
    }
}

fn memory_bytes() -> u64 {
    let total = of_memory("MemTotal:");
    let group = fs::read_to_string("/sys/fs/cgroup/memory.max").ok();
    let limit = group.and_then(|text| text.trim().parse::<u64>().ok());
    let total = total.unwrap_or(0);
    limit.map_or(total, |limit| limit.min(total))
}

/// What the kernel says of the machine's memory, in bytes.
fn of_memory(what: &str) -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(what))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

/// The first number of `OMP_NUM_THREADS`; the others are for nested teams.
fn most_threads() -> u32 {
    let text = std::env::var("OMP_NUM_THREADS").unwrap_or_default();
    text.split(',').next().and_then(|first| first.trim().parse().ok()).unwrap_or(u32::MAX)
}

fn processor() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with("model name"));
    let name = line.and_then(|line| line.split_once(':')).map(|(_, name)| name.trim());
    name.unwrap_or(std::env::consts::ARCH).to_owned()
}

/// Devices that the driver shows, or fewer where `CUDA_VISIBLE_DEVICES` says so.
fn cuda_devices() -> u32 {
    let is_device = |name: &str| {
        let number = name.strip_prefix("nvidia").unwrap_or_default();
        !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
    };
    let entries = fs::read_dir("/dev").into_iter().flatten().flatten();
    let there = entries.filter(|entry| entry.file_name().to_str().is_some_and(is_device)).count();
    let visible = std::env::var("CUDA_VISIBLE_DEVICES").ok().map(|list| {
        let named = list.split(',').map(str::trim);
        named.take_while(|name| !name.is_empty() && *name != "-1").count()
    });
    u32::try_from(visible.map_or(there, |visible| visible.min(there))).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(cores: u32, cuda_devices: u32) -> Resources {
        let most_threads = u32::MAX;
        Resources {
            cores,
            memory_bytes: 0,
            free_memory_bytes: None,
            processor: String::new(),
            cuda_devices,
            most_threads,
        }
    }

    #[test]
    fn workers_share_what_there_is() {
        let shares = |cores, cuda, device: &str, workers| {
            let slots = machine(cores, cuda).slots(device.parse().unwrap(), workers).unwrap();
            slots.into_iter().map(|slot| (slot.device, slot.threads)).collect::<Vec<_>>()
        };
        let cpu = |threads| ("cpu".to_owned(), threads);
        assert_eq!(shares(1, 0, "auto", None), [cpu(1)]);
        assert_eq!(shares(8, 0, "auto", None), [cpu(4), cpu(4)]);
        assert_eq!(shares(2, 0, "cpu", Some(4)), [cpu(1), cpu(1), cpu(1), cpu(1)]);
        assert_eq!(shares(16, 2, "auto", None), [("cuda:0".into(), 8), ("cuda:1".into(), 8)]);
        assert_eq!(shares(16, 2, "cuda:1", None), [("cuda:1".into(), 16)]);
        assert_eq!(shares(4, 2, "cpu", Some(1)), [cpu(2)]);
        let few = Resources { most_threads: 3, ..machine(8, 0) };
        let threads = |workers| few.slots(Device::Cpu, workers).unwrap()[0].threads;
        assert_eq!((threads(Some(1)), threads(Some(4))), (3, 2));
    }

    #[test]
    fn devices_that_are_not_there_are_refused() {
        assert!(matches!("gpu".parse::<Device>(), Err(DeviceError::Unknown { .. })));
        assert!(matches!("cuda:x".parse::<Device>(), Err(DeviceError::Unknown { .. })));
        let missing = DeviceError::Missing { name: "cuda:2".into(), found: 2 };
        assert_eq!(machine(4, 2).slots(Device::Cuda(Some(2)), None), Err(missing));
        assert!(machine(4, 0).slots(Device::Cuda(None), None).is_err());
    }
}

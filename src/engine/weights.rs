//! Weights: a walk over dotted names that hands out leaf tensors, from a safetensors file or from
//! random numbers, and the way back to bytes.
//!
//! A model is built by walking: `let q_proj = w / "layers" / 0 / "q_proj"`, then
//! `q_proj.leaf("weight", &[64, 64], Init::Normal(0.02))`. The same walk reads a checkpoint, where
//! everything missing, misshapen or left over is said at once, or makes a fresh model.

mod adapters;
mod checkpoint;
mod file;
mod init;
mod names;
mod shards;

pub use adapters::{ADAPTER_CONFIG, ADAPTER_WEIGHTS, Adapted, Adapters, Lora};
pub(in crate::engine) use checkpoint::{Bytes, map};
pub(in crate::engine) use file::{Stored, copied, digest_of, header};
pub use file::{from_safetensors, to_safetensors, write_safetensors};
pub use init::{Init, normal, orthogonal};
pub use names::{Fused, Names, Rows, Spelling};
pub use shards::{Shard, index, shards};

use checkpoint::Checkpoint;

use super::nn::adapter::Noise;
use crate::base::{Digest, DigestWriter, Hint, Seed};
use std::{
    cell::RefCell,
    collections::BTreeMap,
    fmt,
    io::{self, Write},
    ops::Div,
    path::Path as FilePath,
};
use tch::{Device, Kind, Tensor};

/// The number format that parameters are held and multiplied in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// 32-bit floats.
    #[default]
    F32,
    /// bfloat16; the optimizer then keeps a 32-bit copy.
    Bf16,
}

impl Precision {
    pub(crate) fn kind(self) -> Kind {
        match self {
            Self::F32 => Kind::Float,
            Self::Bf16 => Kind::BFloat16,
        }
    }
}

/// One tensor that does not fit the model.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mismatch {
    /// The model has it, the file does not.
    Missing {
        /// Full dotted name.
        name: String,
    },
    /// The file has it, the model does not.
    Extra {
        /// Full dotted name.
        name: String,
    },
    /// Both have it, with different shapes.
    Shape {
        /// Full dotted name.
        name: String,
        /// The shape of the model.
        expected: Vec<i64>,
        /// The shape in the file.
        found: Vec<i64>,
    },
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { name } => write!(f, "`{name}` is missing"),
            Self::Extra { name } => write!(f, "`{name}` is not part of the model"),
            Self::Shape { name, expected, found } => {
                write!(f, "`{name}` has shape {found:?}, the model needs {expected:?}")
            }
        }
    }
}

/// Weights that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum WeightsError {
    /// The file cannot be read.
    #[error("cannot read `{path}`: {source}")]
    Unreadable {
        /// The file.
        path: String,
        /// What the system said.
        source: io::Error,
    },
    /// A pickled checkpoint, which could run code.
    #[error("`{path}` is a pickled PyTorch checkpoint, not safetensors")]
    Pickle {
        /// The file.
        path: String,
    },
    /// Not safetensors, or a torn file.
    #[error("`{path}` is broken at byte {offset}: {reason}")]
    Corrupt {
        /// The file.
        path: String,
        /// Where in it.
        offset: usize,
        /// What is wrong there.
        reason: String,
    },
    /// Files of a checkpoint that do not belong together.
    #[error("`{path}`: {reason}")]
    Index {
        /// The file.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A tensor of a number format that is not supported.
    #[error("`{name}` in `{path}` has the unsupported number format {format}")]
    Format {
        /// The file.
        path: String,
        /// The tensor.
        name: String,
        /// The format as safetensors calls it.
        format: String,
    },
    /// `adapter_config.json` that cannot be read, or says what is not computed here.
    #[error("`{ADAPTER_CONFIG}`: {reason}")]
    Adapters {
        /// What is wrong with it.
        reason: String,
    },
    /// Adapters for linear maps that the model does not have.
    #[error("no linear map of the model is called {}", Quoted(.unknown))]
    Targets {
        /// What was asked for.
        unknown: Vec<String>,
        /// Last parts of the names that there are.
        known: Vec<String>,
    },
    /// The file and the model do not fit each other.
    #[error("weights do not fit the model: {}", Listed(.0))]
    Mismatched(
        /// Every tensor that does not fit, missing ones first.
        Vec<Mismatch>,
    ),
}

struct Quoted<'a>(&'a [String]);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, name) in self.0.iter().enumerate() {
            write!(f, "{}`{name}`", if index > 0 { ", " } else { "" })?;
        }
        Ok(())
    }
}

struct Listed<'a>(&'a [Mismatch]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, mismatch) in self.0.iter().enumerate() {
            write!(f, "{}{mismatch}", if index > 0 { "; " } else { "" })?;
        }
        Ok(())
    }
}

impl Hint for WeightsError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Unreadable { .. } => Some("check the path of the model".to_owned()),
            Self::Pickle { path } => Some(format!(
                "pickles can run code and are never opened; convert it: {}",
                conversion(path)
            )),
            Self::Corrupt { .. } => {
                Some("it is no safetensors file, or not all of one: fetch or write it again".into())
            }
            Self::Index { .. } => {
                Some("fetch all files of the checkpoint again, from one revision".to_owned())
            }
            Self::Format { .. } => Some("store the tensor as F32, BF16 or F16".to_owned()),
            Self::Adapters { .. } => Some(
                "merge such adapters into the weights with PEFT's `merge_and_unload` first".into(),
            ),
            Self::Targets { known, .. } => Some(format!("there are {}", Quoted(known))),
            Self::Mismatched(_) => {
                Some("check that `config.json` and the weights are of the same model".to_owned())
            }
        }
    }
}

/// The command that makes safetensors of a pickled checkpoint.
fn conversion(path: &str) -> String {
    let folder = FilePath::new(path).parent().unwrap_or(FilePath::new("."));
    match path.ends_with(".json") {
        true => format!(
            "python -c \"from transformers import AutoModelForImageTextToText as M; \
             M.from_pretrained('{0}').save_pretrained('{0}')\"",
            folder.display()
        ),
        false => format!(
            "python -c \"import torch; from safetensors.torch import save_file; w = \
             torch.load('{path}', weights_only=True); save_file({{k: v.clone() for k, v in \
             w.items()}}, '{}')\"",
            folder.join("model.safetensors").display()
        ),
    }
}

enum Origin {
    File(Checkpoint),
    Random(Seed),
}

/// Where a model's tensors come from, and what has been handed out so far.
pub struct Weights {
    origin: Origin,
    kind: Kind,
    device: Device,
    handed_out: RefCell<BTreeMap<String, Tensor>>,
    mismatches: RefCell<Vec<Mismatch>>,
    adapters: Option<Box<Adapters>>,
    /// Whether what is handed out only stands for tensors.
    unread: bool,
}

impl Weights {
    /// Maps a safetensors file, or a folder with `model.safetensors` or
    /// `model.safetensors.index.json` and what that names.
    ///
    /// # Errors
    /// When a file cannot be read, is torn, or is no safetensors file.
    pub fn open(
        path: &FilePath,
        precision: Precision,
        device: Device,
    ) -> Result<Self, WeightsError> {
        Ok(Self::new(Origin::File(Checkpoint::open(path)?), precision, device))
    }

    /// Reads the bytes of a safetensors file; `name` stands for it in errors.
    ///
    /// # Errors
    /// When the bytes are no safetensors file.
    pub fn from_bytes(
        bytes: &[u8],
        name: &str,
        precision: Precision,
        device: Device,
    ) -> Result<Self, WeightsError> {
        Ok(Self::new(Origin::File(Checkpoint::of_bytes(bytes, name)?), precision, device))
    }

    /// Fresh weights: each tensor follows its rule and a seed named after it.
    pub fn random(seed: Seed, precision: Precision, device: Device) -> Self {
        Self::new(Origin::Random(seed), precision, device)
    }

    fn new(origin: Origin, precision: Precision, device: Device) -> Self {
        Self {
            origin,
            kind: precision.kind(),
            device,
            handed_out: RefCell::default(),
            mismatches: RefCell::default(),
            adapters: None,
            unread: false,
        }
    }

    /// Reads no tensor: what is handed out stands for them, and only names and shapes are right.
    #[must_use]
    pub fn unread(self) -> Self {
        Self { unread: true, ..self }
    }

    /// What the checkpoint calls the tensors of the model; nothing for fresh weights.
    pub fn spelling(&self) -> Spelling {
        match &self.origin {
            Origin::File(checkpoint) => checkpoint.spelling(),
            Origin::Random(_) => Spelling::default(),
        }
    }

    /// Gives linear maps that are handed out adapters, which are trained in place of the weights.
    #[must_use]
    pub fn with_adapters(self, adapters: Adapters) -> Self {
        Self { adapters: Some(Box::new(adapters)), ..self }
    }

    /// Ends the walk over the adapters, if there are any. Comes before [`Weights::finish`].
    ///
    /// # Errors
    /// With every tensor that does not fit, or with the targets that name no linear map.
    pub fn adapted(&mut self) -> Result<Option<Adapted>, WeightsError> {
        self.adapters.take().map(|adapters| adapters.finish()).transpose()
    }

    /// Calls what was found as a model does, before the walk begins.
    #[must_use]
    pub fn named(mut self, names: &Names) -> Self {
        if let Origin::File(checkpoint) = &mut self.origin {
            checkpoint.rename(names);
        }
        self.adapters = self.adapters.map(|adapters| Box::new(adapters.named(names)));
        self
    }

    /// Whether a head is the embedding: as `declared`, and where a checkpoint has no tensor `head`.
    /// A tied head that is there all the same is not read.
    #[must_use]
    pub fn tied(&mut self, head: &str, declared: bool) -> bool {
        let Origin::File(checkpoint) = &mut self.origin else { return declared };
        let tied = declared || checkpoint.shape(head).is_none();
        if tied {
            checkpoint.forget(head);
        }
        tied
    }

    /// The root of the walk.
    pub fn root(&self) -> Path<'_> {
        Path { weights: self, name: String::new() }
    }

    /// Ends the walk.
    ///
    /// # Errors
    /// With every tensor that is missing, misshapen or left over.
    pub fn finish(self) -> Result<Parameters, WeightsError> {
        let handed_out = self.handed_out.into_inner();
        let mut mismatches = self.mismatches.into_inner();
        if let Origin::File(checkpoint) = &self.origin {
            let extra = checkpoint.names().filter(|(name, _)| !handed_out.contains_key(*name));
            mismatches.extend(extra.map(|(_, found)| Mismatch::Extra { name: found.to_owned() }));
        }
        mismatches.sort();
        mismatches.dedup();
        match mismatches.is_empty() {
            true => Ok(Parameters(handed_out)),
            false => Err(WeightsError::Mismatched(mismatches)),
        }
    }

    fn leaf(&self, name: String, shape: &[i64], init: &Init<'_>) -> Tensor {
        let leaf = match &self.origin {
            Origin::Random(seed) => self.placed(&init.values(*seed, &name, shape)),
            Origin::File(checkpoint) => {
                let found = checkpoint.shape(&name);
                let fault = match found {
                    Some(found) if found == shape => None,
                    Some(found) => {
                        let expected = shape.to_vec();
                        Some(Mismatch::Shape { name: name.clone(), expected, found })
                    }
                    None => Some(Mismatch::Missing { name: name.clone() }),
                };
                let read = match fault {
                    None if self.unread => None,
                    None => checkpoint.read(&name, |found| self.placed(found)),
                    Some(fault) => {
                        self.mismatches.borrow_mut().push(fault);
                        None
                    }
                };
                // No more than a stand-in: a wrong configuration may ask for any size.
                read.unwrap_or_else(|| Tensor::zeros([1], (self.kind, self.device)))
            }
        };
        let leaf = leaf.set_requires_grad(true);
        let _again = self.handed_out.borrow_mut().insert(name, leaf.shallow_clone());
        leaf
    }

    /// A copy, the only one, on the device and in the number format of the model.
    fn placed(&self, values: &Tensor) -> Tensor {
        let placed = values.to_device(self.device).to_kind(self.kind).detach();
        match placed.data_ptr() == values.data_ptr() {
            true => placed.copy(),
            false => placed.contiguous(),
        }
    }
}

/// Whether two sets of tensors have the same names and shapes.
///
/// # Errors
/// With everything that is missing, misshapen or left over in `found`.
pub(super) fn check_same(
    expected: &BTreeMap<String, Tensor>,
    found: &BTreeMap<String, Tensor>,
) -> Result<(), WeightsError> {
    let absent = expected.iter().filter_map(|(name, tensor)| match found.get(name) {
        None => Some(Mismatch::Missing { name: name.clone() }),
        Some(other) if other.size() != tensor.size() => Some(Mismatch::Shape {
            name: name.clone(),
            expected: tensor.size(),
            found: other.size(),
        }),
        Some(_) => None,
    });
    let extra = found.keys().filter(|name| !expected.contains_key(*name));
    let extra = extra.map(|name| Mismatch::Extra { name: name.clone() });
    let mut mismatches: Vec<Mismatch> = absent.chain(extra).collect();
    mismatches.sort();
    match mismatches.is_empty() {
        true => Ok(()),
        false => Err(WeightsError::Mismatched(mismatches)),
    }
}

/// A place in the tree of dotted names.
#[derive(Clone)]
pub struct Path<'w> {
    weights: &'w Weights,
    name: String,
}

impl Path<'_> {
    /// The full dotted name of this place.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The number format and the device of the tensors handed out.
    pub fn options(&self) -> (Kind, Device) {
        (self.weights.kind, self.weights.device)
    }

    /// Settings, tensors and noise of the adapter of the linear map at this place, if it has one.
    pub(crate) fn adapter(&self, input: i64, output: i64) -> Option<(&Lora, [Tensor; 2], Noise)> {
        self.weights.adapters.as_ref()?.at(&self.name, (input, output))
    }

    /// The trainable tensor `name` below this place. A tensor that is not there, or has another
    /// shape, is noted for [`Weights::finish`] and a zero stands in for it until then.
    pub fn leaf(&self, name: &str, shape: &[i64], init: Init<'_>) -> Tensor {
        self.weights.leaf((self / name).name, shape, &init)
    }
}

impl<'w> Div<&str> for &Path<'w> {
    type Output = Path<'w>;

    fn div(self, part: &str) -> Path<'w> {
        let name = match self.name.is_empty() {
            true => part.to_owned(),
            false => format!("{}.{part}", self.name),
        };
        Path { weights: self.weights, name }
    }
}

impl<'w> Div<usize> for &Path<'w> {
    type Output = Path<'w>;

    fn div(self, index: usize) -> Path<'w> {
        self / index.to_string().as_str()
    }
}

impl<'w> Div<&str> for Path<'w> {
    type Output = Self;

    fn div(self, part: &str) -> Self {
        &self / part
    }
}

impl<'w> Div<usize> for Path<'w> {
    type Output = Self;

    fn div(self, index: usize) -> Self {
        &self / index
    }
}

/// The trainable tensors of a model by their full dotted names.
#[derive(Default)]
pub struct Parameters(BTreeMap<String, Tensor>);

impl Parameters {
    /// Every parameter, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Tensor)> {
        self.0.iter().map(|(name, tensor)| (name.as_str(), tensor))
    }

    /// These and those of another model together, to be trained as one; names must differ.
    #[must_use]
    pub fn joined(&self, other: &Self) -> Self {
        let both = self.iter().chain(other.iter());
        Self(both.map(|(name, tensor)| (name.to_owned(), tensor.shallow_clone())).collect())
    }

    /// How many numbers they hold.
    pub fn count(&self) -> u64 {
        self.0.values().map(|tensor| tensor.numel() as u64).sum()
    }

    /// A safetensors file of them, in an order that depends on the names alone.
    pub fn to_bytes(&self) -> Vec<u8> {
        to_safetensors(self.iter())
    }

    /// Writes the bytes of [`Parameters::to_bytes`], one tensor in memory at a time.
    ///
    /// # Errors
    /// When the sink refuses.
    pub fn write(&self, sink: &mut dyn Write) -> io::Result<()> {
        write_safetensors(self.iter(), sink)
    }

    /// The digest of [`Parameters::to_bytes`].
    pub fn digest(&self) -> Digest {
        let mut digest = DigestWriter::default();
        self.write(&mut digest).expect("a digest takes all that is written");
        digest.finish()
    }

    /// Lets only parameters whose name `chosen` accepts be trained.
    pub fn train_only(&self, chosen: impl Fn(&str) -> bool) {
        for (name, tensor) in self.iter() {
            let _leaf = tensor.set_requires_grad(chosen(name));
        }
    }

    /// Overwrites every parameter in place with those of `bytes`.
    ///
    /// # Errors
    /// When the bytes are no safetensors file or do not have exactly these tensors; nothing is
    /// overwritten then.
    pub fn restore(&self, bytes: &[u8], name: &str) -> Result<(), WeightsError> {
        let weights = Weights::from_bytes(bytes, name, Precision::F32, Device::Cpu)?;
        let root = weights.root();
        let fresh: Vec<Tensor> =
            self.iter().map(|(name, old)| root.leaf(name, &old.size(), Init::Zeros)).collect();
        weights.finish()?;
        tch::no_grad(|| {
            for ((_, old), new) in self.iter().zip(&fresh) {
                old.shallow_clone().copy_(new);
            }
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn two(weights: &Weights) -> (Tensor, Tensor) {
        let root = weights.root();
        let a = (&root / "layers" / 0).leaf("weight", &[3, 2], Init::Normal(0.5));
        let b = (&root / "norm").leaf("weight", &[2], Init::Ones);
        (a, b)
    }

    fn random(seed: u64) -> Parameters {
        let weights = Weights::random(Seed(seed), Precision::F32, Device::Cpu);
        let _leaves = two(&weights);
        weights.finish().unwrap()
    }

    #[test]
    fn random_weights_depend_on_seed_and_name_only() {
        assert_eq!(random(1).digest(), Digest::of(&random(1).to_bytes()));
        assert_ne!(random(1).digest(), random(2).digest());
        let names: Vec<_> = random(1).0.into_keys().collect();
        assert_eq!(names, ["layers.0.weight", "norm.weight"]);
    }

    #[test]
    fn bytes_read_back_bit_for_bit() {
        let bytes = random(1).to_bytes();
        let weights = Weights::from_bytes(&bytes, "a", Precision::F32, Device::Cpu).unwrap();
        let _leaves = two(&weights);
        assert_eq!(weights.finish().unwrap().to_bytes(), bytes);
    }

    #[test]
    fn everything_that_does_not_fit_is_said_at_once() {
        let bytes = random(1).to_bytes();
        let weights = Weights::from_bytes(&bytes, "a", Precision::F32, Device::Cpu).unwrap();
        drop(weights.root().leaf("layers.0.weight", &[2, 3], Init::Zeros));
        drop(weights.root().leaf("head", &[1], Init::Zeros));
        drop(weights.root().leaf("tail", &[1], Init::Zeros));
        let error = weights.finish().err().unwrap();
        assert_eq!(
            error.to_string(),
            "weights do not fit the model: `head` is missing; `tail` is missing; `norm.weight` is \
             not part of the model; `layers.0.weight` has shape [3, 2], the model needs [2, 3]"
        );
        assert!(error.hint().is_some());
    }

    #[test]
    fn a_parameter_is_restored_in_place() {
        let (one, two) = (random(1), random(2));
        let held = one.0["layers.0.weight"].shallow_clone();
        one.restore(&two.to_bytes(), "a").unwrap();
        assert_eq!(one.digest(), two.digest());
        assert_eq!(held, two.0["layers.0.weight"]);
    }
}

//! safetensors: the only format that weights are read from, and bytes for those who write.

use super::WeightsError;
use safetensors::{Dtype, SafeTensorError, SafeTensors, View};
use std::{borrow::Cow, collections::BTreeMap, path::Path};
use tch::{Kind, Tensor};

/// Reads a file through a memory map, so that only the tensors themselves are copied.
pub(super) fn open(path: &Path) -> Result<BTreeMap<String, Tensor>, WeightsError> {
    let name = path.display().to_string();
    let unreadable = |source| WeightsError::Unreadable { path: name.clone(), source };
    let file = std::fs::File::open(path).map_err(unreadable)?;
    if file.metadata().map_err(unreadable)?.len() == 0 {
        return Err(WeightsError::Corrupt { path: name, reason: "it is empty".to_owned() });
    }
    #[expect(unsafe_code, reason = "weights are memory-mapped")]
    // SAFETY: the map is read and dropped in this function; stored artifacts are never rewritten
    // in place.
    let map = unsafe { memmap2::Mmap::map(&file) }.map_err(unreadable)?;
    from_safetensors(&map, &name)
}

/// The tensors of a safetensors file, in the number formats they are stored in. `name` stands for
/// the file in errors.
///
/// # Errors
/// When the bytes are torn, pickled, or hold a number format that libtorch lacks.
pub fn from_safetensors(
    bytes: &[u8],
    name: &str,
) -> Result<BTreeMap<String, Tensor>, WeightsError> {
    let path = || name.to_owned();
    let file = SafeTensors::deserialize(bytes).map_err(|error| {
        // A zip archive or a bare pickle: both are what `torch.save` writes.
        match bytes.starts_with(b"PK\x03\x04") || bytes.starts_with(b"\x80\x02") {
            true => WeightsError::Pickle { path: path() },
            false => WeightsError::Corrupt { path: path(), reason: reason(&error) },
        }
    })?;
    file.iter()
        .map(|(tensor_name, view)| {
            let kind = kind_of(view.dtype()).ok_or_else(|| WeightsError::Format {
                path: path(),
                name: tensor_name.to_owned(),
                format: format!("{:?}", view.dtype()),
            })?;
            let shape: Vec<i64> = view.shape().iter().map(|&side| side as i64).collect();
            Ok((tensor_name.to_owned(), Tensor::from_data_size(view.data(), &shape, kind)))
        })
        .collect()
}

fn reason(error: &SafeTensorError) -> String {
    match error {
        SafeTensorError::HeaderTooSmall => "it is too short".to_owned(),
        SafeTensorError::HeaderTooLarge | SafeTensorError::InvalidHeaderLength => {
            "its header is longer than the file".to_owned()
        }
        SafeTensorError::MetadataIncompleteBuffer => {
            "the tensors do not fill it exactly".to_owned()
        }
        other => other.to_string(),
    }
}

fn kind_of(format: Dtype) -> Option<Kind> {
    Some(match format {
        Dtype::F32 => Kind::Float,
        Dtype::BF16 => Kind::BFloat16,
        Dtype::F16 => Kind::Half,
        Dtype::F64 => Kind::Double,
        Dtype::I64 => Kind::Int64,
        Dtype::I32 => Kind::Int,
        Dtype::I16 => Kind::Int16,
        Dtype::I8 => Kind::Int8,
        Dtype::U8 => Kind::Uint8,
        Dtype::BOOL => Kind::Bool,
        _ => return None,
    })
}

fn format_of(kind: Kind) -> Dtype {
    match kind {
        Kind::Float => Dtype::F32,
        Kind::BFloat16 => Dtype::BF16,
        Kind::Half => Dtype::F16,
        Kind::Double => Dtype::F64,
        Kind::Int64 => Dtype::I64,
        other => unreachable!("no parameter or optimizer state has kind {other:?}"),
    }
}

struct Stored {
    format: Dtype,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

impl View for Stored {
    fn dtype(&self) -> Dtype {
        self.format
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(&self.bytes)
    }

    fn data_len(&self) -> usize {
        self.bytes.len()
    }
}

/// A safetensors file as bytes: by number format, then by name, so that equal tensors give equal
/// bytes. It carries `format = pt`, which transformers asks for.
pub fn to_safetensors<'t>(tensors: impl Iterator<Item = (&'t str, &'t Tensor)>) -> Vec<u8> {
    let stored = tensors.map(|(name, tensor)| {
        let tensor = tensor.detach().to_device(tch::Device::Cpu).contiguous();
        let size = tensor.numel() * tensor.kind().elt_size_in_bytes();
        let mut bytes = vec![0; size];
        tensor.copy_data_u8(&mut bytes, tensor.numel());
        let shape = tensor.size().iter().map(|&side| side as usize).collect();
        (name.to_owned(), Stored { format: format_of(tensor.kind()), shape, bytes })
    });
    let about = [("format".to_owned(), "pt".to_owned())].into();
    safetensors::serialize(stored, Some(about)).expect("names are unique and sizes fit shapes")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Hint as _;

    #[test]
    fn every_way_to_be_no_safetensors_file_is_an_error_with_a_hint() {
        let good = to_safetensors([("a", &Tensor::from_slice(&[1.0_f32, 2.0]))].into_iter());
        assert!(from_safetensors(&good, "good").is_ok());
        let torn = &good[..good.len() - 3];
        for bytes in [&b""[..], b"short", b"PK\x03\x04pickled archive", b"\x80\x02}q", torn] {
            let error = from_safetensors(bytes, "some.file").unwrap_err();
            assert!(error.to_string().contains("`some.file`"), "{error}");
            assert!(error.hint().is_some());
        }
        let pickle = from_safetensors(b"PK\x03\x04pickled archive", "x").unwrap_err();
        assert!(matches!(pickle, WeightsError::Pickle { .. }));
    }

    #[test]
    fn a_missing_file_is_an_error_with_its_path() {
        let error = open(Path::new("no/such/file")).unwrap_err();
        assert!(error.to_string().starts_with("cannot read `no/such/file`"));
    }

    #[test]
    fn bfloat16_keeps_its_bits() {
        let tensor = Tensor::from_slice(&[1.5_f32, -3.0]).to_kind(Kind::BFloat16);
        let read = from_safetensors(&to_safetensors([("a", &tensor)].into_iter()), "x").unwrap();
        assert_eq!(read["a"], tensor);
    }
}

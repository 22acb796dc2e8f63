//! safetensors: the only format that weights are read from, and bytes for those who write.

use super::WeightsError;
use crate::base::{Digest, DigestWriter};
use safetensors::{
    Dtype, SafeTensorError, SafeTensors,
    tensor::{Metadata, TensorInfo},
};
use std::{
    cmp::Reverse,
    collections::BTreeMap,
    io::{self, Write},
    ops::Range,
};
use tch::{Kind, Tensor};

/// More dimensions than any parameter has; libtorch refuses to work on many more.
const MOST_DIMENSIONS: usize = 8;
/// Bytes before the header: its length.
const LENGTH_BYTES: usize = 8;

/// One tensor of a file: what it is and which bytes hold it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::engine) struct Stored {
    pub(super) kind: Kind,
    pub(in crate::engine) shape: Vec<i64>,
    pub(super) bytes: Range<usize>,
}

/// The tensors that the header of a safetensors file names. `path` stands for it in errors.
pub(in crate::engine) fn header(
    bytes: &[u8],
    path: &str,
) -> Result<BTreeMap<String, Stored>, WeightsError> {
    let (length, metadata) = SafeTensors::read_metadata(bytes).map_err(|error| {
        // A zip archive or a bare pickle: both are what `torch.save` writes.
        match bytes.starts_with(b"PK\x03\x04") || bytes.starts_with(b"\x80\x02") {
            true => WeightsError::Pickle { path: path.to_owned() },
            false => corrupt(path, bytes.len(), &error),
        }
    })?;
    let start = LENGTH_BYTES + length;
    let mut tensors = BTreeMap::new();
    for (name, info) in metadata.tensors() {
        let kind = kind_of(info.dtype).ok_or_else(|| WeightsError::Format {
            path: path.to_owned(),
            name: name.clone(),
            format: format!("{:?}", info.dtype),
        })?;
        let shape = shape_of(&info.shape).ok_or_else(|| WeightsError::Corrupt {
            path: path.to_owned(),
            offset: LENGTH_BYTES,
            reason: format!("tensor `{name}` has the impossible shape {:?}", info.shape),
        })?;
        let (from, to) = info.data_offsets;
        let _new = tensors.insert(name, Stored { kind, shape, bytes: start + from..start + to });
    }
    Ok(tensors)
}

/// The shape as libtorch counts; `None` where its arithmetic would overflow.
fn shape_of(shape: &[usize]) -> Option<Vec<i64>> {
    let mut places = 1_i64;
    let mut sides = Vec::with_capacity(shape.len());
    for &side in shape {
        let side = i64::try_from(side).ok()?;
        places = places.checked_mul(side.max(1))?;
        sides.push(side);
    }
    (shape.len() <= MOST_DIMENSIONS).then_some(sides)
}

/// Where in the file an error of its header is, and what is wrong there.
fn corrupt(path: &str, length: usize, error: &SafeTensorError) -> WeightsError {
    let (offset, reason) = match error {
        SafeTensorError::HeaderTooSmall => (length, "it is too short".to_owned()),
        SafeTensorError::HeaderTooLarge => (0, "the header claims to be larger than 100 MB".into()),
        SafeTensorError::InvalidHeaderLength => {
            (0, "its header is longer than the file".to_owned())
        }
        SafeTensorError::InvalidHeader(error) => {
            (LENGTH_BYTES + error.valid_up_to(), "the header is not UTF-8".to_owned())
        }
        // The writers put the header into one line; where it has more, the first is meant.
        SafeTensorError::InvalidHeaderDeserialization(error) => {
            let within = if error.line() == 1 { error.column().saturating_sub(1) } else { 0 };
            (LENGTH_BYTES + within, format!("the header cannot be read: {error}"))
        }
        SafeTensorError::MetadataIncompleteBuffer => {
            (length, "the tensors do not fill it exactly".to_owned())
        }
        SafeTensorError::InvalidOffset(name) => {
            (LENGTH_BYTES, format!("tensor `{name}` overlaps another or leaves a gap"))
        }
        other => (LENGTH_BYTES, other.to_string()),
    };
    WeightsError::Corrupt { path: path.to_owned(), offset, reason }
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
    let stored = header(bytes, name)?;
    let read = |(name, stored): (String, Stored)| (name, copied(bytes, &stored));
    Ok(stored.into_iter().map(read).collect())
}

/// A tensor with memory of its own.
pub(in crate::engine) fn copied(bytes: &[u8], stored: &Stored) -> Tensor {
    Tensor::from_data_size(&bytes[stored.bytes.clone()], &stored.shape, stored.kind)
}

/// What `make` makes of a tensor that lies in `bytes` itself, wherever its place there permits.
pub(super) fn with_mapped(
    bytes: &[u8],
    stored: &Stored,
    make: impl FnOnce(&Tensor) -> Tensor,
) -> Tensor {
    let data = &bytes[stored.bytes.clone()];
    let size = stored.kind.elt_size_in_bytes();
    if data.is_empty() || !(data.as_ptr() as usize).is_multiple_of(size) {
        return make(&copied(bytes, stored));
    }
    let strides: Vec<i64> = (0..stored.shape.len())
        .map(|at| stored.shape[at + 1..].iter().map(|&side| side.max(1)).product())
        .collect();
    #[expect(unsafe_code, reason = "weights are memory-mapped")]
    // SAFETY: the header was checked: `data` holds exactly the numbers of this shape, is aligned to
    // them, and outlives the tensor, which nobody writes to and `make` may not keep.
    let mapped = unsafe {
        Tensor::from_blob(data.as_ptr(), &stored.shape, &strides, stored.kind, tch::Device::Cpu)
    };
    make(&mapped)
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

/// The numbers of a tensor as they lie in a file.
fn bytes_of(tensor: &Tensor) -> Vec<u8> {
    let tensor = tensor.detach().to_device(tch::Device::Cpu).contiguous();
    let mut bytes = vec![0; tensor.numel() * tensor.kind().elt_size_in_bytes()];
    tensor.copy_data_u8(&mut bytes, tensor.numel());
    bytes
}

/// The digest of some tensors: of names, number formats, shapes and numbers.
pub(in crate::engine) fn digest_of<'t>(
    tensors: impl Iterator<Item = (&'t str, &'t Tensor)>,
) -> Digest {
    let mut digest = DigestWriter::default();
    for (name, tensor) in tensors {
        digest.update(format!("{name}: {:?} {:?}\n", tensor.kind(), tensor.size()).as_bytes());
        digest.update(&bytes_of(tensor));
    }
    digest.finish()
}

/// Writes a safetensors file, one tensor in memory at a time: by number format, then by name, so
/// that equal tensors give equal bytes. It carries `format = pt`, which transformers asks for.
///
/// # Errors
/// When the sink refuses.
pub fn write_safetensors<'t>(
    tensors: impl Iterator<Item = (&'t str, &'t Tensor)>,
    sink: &mut dyn Write,
) -> io::Result<()> {
    let mut tensors: Vec<(Dtype, &str, &Tensor)> =
        tensors.map(|(name, tensor)| (format_of(tensor.kind()), name, tensor)).collect();
    tensors.sort_by_key(|(format, name, _)| (Reverse(*format), *name));
    let mut end = 0;
    let info = |(dtype, name, tensor): &(Dtype, &str, &Tensor)| {
        let start = end;
        end += tensor.numel() * tensor.kind().elt_size_in_bytes();
        let shape = tensor.size().iter().map(|&side| side as usize).collect();
        ((*name).to_owned(), TensorInfo { dtype: *dtype, shape, data_offsets: (start, end) })
    };
    let infos = tensors.iter().map(info).collect();
    let about = [("format".to_owned(), "pt".to_owned())].into();
    let metadata = Metadata::new(Some(about), infos).expect("sizes fit shapes");
    let mut header = serde_json::to_vec(&metadata).expect("names and numbers are JSON");
    header.resize(header.len().next_multiple_of(LENGTH_BYTES), b' ');
    sink.write_all(&(header.len() as u64).to_le_bytes())?;
    sink.write_all(&header)?;
    for (_, _, tensor) in tensors {
        sink.write_all(&bytes_of(tensor))?;
    }
    Ok(())
}

/// The bytes of [`write_safetensors`].
pub fn to_safetensors<'t>(tensors: impl Iterator<Item = (&'t str, &'t Tensor)>) -> Vec<u8> {
    let mut bytes = Vec::new();
    write_safetensors(tensors, &mut bytes).expect("memory does not refuse");
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Hint as _;
    use proptest::prelude::*;
    use safetensors::tensor::TensorView;

    fn good() -> Vec<u8> {
        let (a, b) = (Tensor::from_slice(&[1.0_f32, 2.0]), Tensor::from_slice(&[3_i64]));
        to_safetensors([("a.weight", &a), ("b", &b)].into_iter())
    }

    #[test]
    fn every_way_to_be_no_safetensors_file_is_an_error_with_a_hint() {
        let good = good();
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
    fn a_file_has_the_bytes_that_the_library_of_the_format_writes() {
        let tensors = [
            ("b", Tensor::from_slice(&[3_i64, 4])),
            ("none", Tensor::from_slice::<f32>(&[])),
            ("a.weight", Tensor::from_slice(&[1.0_f32, 2.0, 3.0, 4.0]).view([2, 2])),
            ("turned", Tensor::from_slice(&[1.0_f32, 2.0, 3.0, 4.0]).view([2, 2]).tr()),
            ("half", Tensor::from_slice(&[1.0_f32]).to_kind(Kind::BFloat16)),
        ];
        let ours = to_safetensors(tensors.iter().map(|(name, tensor)| (*name, tensor)));
        let read = from_safetensors(&ours, "x").unwrap();
        let bytes: Vec<(&str, &Tensor, Vec<u8>)> = tensors
            .iter()
            .map(|(name, tensor)| {
                assert_eq!(&read[*name], tensor);
                let tensor_bytes = tensor.numel() * tensor.kind().elt_size_in_bytes();
                let mut bytes = vec![0; tensor_bytes];
                tensor.contiguous().copy_data_u8(&mut bytes, tensor.numel());
                (*name, tensor, bytes)
            })
            .collect();
        let views = bytes.iter().map(|(name, tensor, bytes)| {
            let shape = tensor.size().iter().map(|&side| side as usize).collect();
            (*name, TensorView::new(format_of(tensor.kind()), shape, bytes).unwrap())
        });
        let about = [("format".to_owned(), "pt".to_owned())].into();
        assert_eq!(ours, safetensors::serialize(views, Some(about)).unwrap());
    }

    #[test]
    fn a_broken_header_is_told_with_its_place() {
        let mut broken = good();
        let at = broken.iter().position(|&byte| byte == b'[').unwrap();
        broken[at] = b'?';
        let error = from_safetensors(&broken, "x").unwrap_err().to_string();
        assert!(error.starts_with(&format!("`x` is broken at byte {at}: the header")), "{error}");
    }

    #[test]
    fn shapes_that_overflow_are_errors() {
        let header =
            br#"{"a":{"dtype":"F32","shape":[0,9223372036854775807,4],"data_offsets":[0,0]}}"#;
        let bytes = [&(header.len() as u64).to_le_bytes()[..], header].concat();
        let error = from_safetensors(&bytes, "x").unwrap_err().to_string();
        assert!(error.contains("`a` has the impossible shape"), "{error}");
    }

    #[test]
    fn bfloat16_keeps_its_bits() {
        let tensor = Tensor::from_slice(&[1.5_f32, -3.0]).to_kind(Kind::BFloat16);
        let read = from_safetensors(&to_safetensors([("a", &tensor)].into_iter()), "x").unwrap();
        assert_eq!(read["a"], tensor);
    }

    /// The file with some bytes replaced, often by such as mean something in a header.
    fn mutated() -> impl Strategy<Value = Vec<u8>> {
        let meaning = prop::sample::select(br#"{}[]",:0123456789-eFUI"#.to_vec());
        let byte = prop_oneof![any::<u8>(), meaning];
        let change = (any::<prop::sample::Index>(), byte);
        (prop::collection::vec(change, 0..6), any::<prop::sample::Index>(), any::<bool>()).prop_map(
            |(changes, end, torn)| {
                let mut bytes = good();
                for (at, byte) in changes {
                    let at = at.index(bytes.len());
                    bytes[at] = byte;
                }
                if torn {
                    bytes.truncate(end.index(bytes.len()));
                }
                bytes
            },
        )
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]
        #[test]
        fn no_bytes_make_a_panic(bytes in mutated()) {
            if let Err(error) = from_safetensors(&bytes, "x") {
                prop_assert!(error.to_string().contains("`x`"), "{}", error);
            }
        }
    }
}

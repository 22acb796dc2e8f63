//! Pictures and texts against Pillow, transformers and sentencepiece: what `tests/parity/inputs.py`
//! wrote into the folder `inputs` of `MSTAR_PARITY_DIR`. Pixels are equal to the last bit.

mod pixels;
mod processors;
mod robustness;
mod texts;

use serde::de::DeserializeOwned;
use std::path::PathBuf;

fn folder() -> PathBuf {
    let folder = std::env::var_os("MSTAR_PARITY_DIR").expect(
        "MSTAR_PARITY_DIR must name the folder that `python tests/parity/goldens.py DIR` wrote",
    );
    PathBuf::from(folder).join("inputs")
}

fn read(name: &str) -> Vec<u8> {
    let path = folder().join(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The rows of one table of goldens.
fn rows<T: DeserializeOwned>(table: &str) -> Vec<T> {
    let mut index: serde_json::Value = serde_json::from_slice(&read("index.json")).unwrap();
    let rows: Vec<T> = serde_json::from_value(index[table].take()).unwrap();
    assert!(!rows.is_empty(), "no goldens of `{table}`");
    rows
}

/// As `checksum` in `inputs.py`.
fn checksum(bytes: &[u8]) -> String {
    let sum = bytes.iter().zip(0_u64..).fold(0_u64, |sum, (&byte, place)| {
        let odd = place.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        sum.wrapping_add(u64::from(byte).wrapping_mul(odd))
    });
    format!("{sum:016x}")
}

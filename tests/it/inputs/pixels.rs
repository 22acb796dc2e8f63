//! Decoding and resizing.

use super::{checksum, read, rows};
use mstar::data::picture::{PictureLimits, Resample, decode, resize};
use serde::Deserialize;

#[derive(Deserialize)]
struct Decoded {
    file: String,
    width: u32,
    height: u32,
    sum: String,
}

#[test]
fn every_kind_of_file_decodes_as_pillow_decodes_it() {
    let goldens: Vec<Decoded> = rows("decode");
    let mut wrong = Vec::new();
    for golden in &goldens {
        match decode(&read(&golden.file), &PictureLimits::default()) {
            Ok(image) if image.dimensions() != (golden.width, golden.height) => {
                wrong.push(format!("{}: its size is {:?}", golden.file, image.dimensions()));
            }
            Ok(image) if checksum(image.as_raw()) != golden.sum => {
                wrong.push(format!("{}: other pixels", golden.file));
            }
            Ok(_) => {}
            Err(error) => wrong.push(format!("{}: {error}", golden.file)),
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), goldens.len(), wrong.join("\n"));
}

#[derive(Deserialize)]
struct Resized {
    file: String,
    width: u32,
    height: u32,
    filter: u64,
    sum: String,
}

#[test]
fn resizing_is_pillows_to_the_last_bit() {
    let goldens: Vec<Resized> = rows("resize");
    let mut wrong = Vec::new();
    for golden in &goldens {
        let image = decode(&read(&golden.file), &PictureLimits::default()).unwrap();
        let filter = Resample::from_number(golden.filter).unwrap();
        let resized = resize(&image, golden.width, golden.height, filter);
        if checksum(resized.as_raw()) != golden.sum {
            let (width, height) = (golden.width, golden.height);
            wrong.push(format!("{} to {width} x {height} with {filter:?}", golden.file));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), goldens.len(), wrong.join("\n"));
}

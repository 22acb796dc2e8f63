//! No bytes make a reader panic or take more memory than its limits allow.

use super::read;
use mstar::data::{
    picture::{PictureError, PictureLimits, decode},
    processor::{Processor, ProcessorFiles},
    settings::Settings,
    text::{ChatTemplate, VocabularyFiles, vocabulary},
};
use proptest::prelude::*;

/// A file with some bytes changed, some cut off, some put in.
fn mutated(bytes: Vec<u8>) -> impl Strategy<Value = Vec<u8>> {
    let edits = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..4_u8), 1..9);
    (Just(bytes), edits).prop_map(|(mut bytes, edits)| {
        for (at, byte, kind) in edits {
            if bytes.is_empty() {
                break;
            }
            let at = at.index(bytes.len());
            match kind {
                0 => bytes.truncate(at),
                1 => bytes.insert(at, byte),
                2 => bytes[at] ^= 1 << (byte % 8),
                _ => bytes[at.min(40)] = byte,
            }
        }
        bytes
    })
}

fn pictures() -> impl Strategy<Value = Vec<u8>> {
    let names = [
        "rgb.png",
        "p_transparent.png",
        "grey16.png",
        "odd_75_420_baseline.jpg",
        "even_75_422_progressive.jpg",
        "cmyk.jpg",
        "restart.jpg",
        "lossy.webp",
        "rgba.webp",
        "p.gif",
        "p.bmp",
        "turned6.jpg",
    ];
    prop::sample::select(names.map(read).to_vec()).prop_flat_map(mutated)
}

fn settings(bytes: &[u8]) -> Option<Settings> {
    Settings::from_bytes("file.json", bytes).ok()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn damaged_pictures_are_errors_or_pictures(bytes in pictures()) {
        let limits = PictureLimits { pixels: 1 << 20 };
        if let Ok(image) = decode(&bytes, &limits) {
            prop_assert!(u64::from(image.width()) * u64::from(image.height()) <= limits.pixels);
        }
    }

    #[test]
    fn damaged_sentencepiece_models_are_errors_or_tokenizers(
        bytes in Just(read("plain.model")).prop_flat_map(mutated)
    ) {
        let files =
            VocabularyFiles { tokenizer: None, sentencepiece: Some(&bytes), config: None, rows: None };
        if let Ok((tokenizer, _)) = vocabulary(&files) {
            prop_assert!(tokenizer.encode("what is it?").is_ok() || tokenizer.size() > 0);
        }
    }

    #[test]
    fn damaged_settings_are_errors_or_processors(
        family in prop::sample::select(mstar::data::processor::FAMILIES.to_vec()),
        bytes in Just(
            br#"{"size": {"longest_edge": 64, "height": 28}, "max_image_size": {"longest_edge": 32},
                "min_pixels": 3136, "max_pixels": 50176, "patch_size": 14, "merge_size": 2,
                "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5], "num_crops": 2,
                "max_patches": 4, "scale_resolution": 56, "resample": 3}"#.to_vec()
        ).prop_flat_map(mutated),
    ) {
        let config = format!(r#"{{"model_type": "{family}", "force_image_size": 28}}"#);
        let files = ProcessorFiles {
            config: settings(config.as_bytes()).unwrap(),
            preprocessor: settings(&bytes),
            processor: None,
        };
        drop(Processor::new(&files));
    }

    #[test]
    fn damaged_templates_are_errors_or_templates(
        bytes in Just(read("tokenizer_config_qwen2_vl.json")).prop_flat_map(mutated)
    ) {
        if let Some(Ok(template)) = settings(&bytes).map(|own| ChatTemplate::from_settings(&own)) {
            drop(template.render(&[], &Default::default(), None, true));
        }
    }
}

#[test]
fn damaged_tokenizers_are_errors_or_tokenizers() {
    let bytes = read("tokenizer_qwen2_vl.json");
    for at in (0..bytes.len()).step_by(bytes.len() / 40) {
        let mut damaged = bytes.clone();
        damaged[at] = damaged[at].wrapping_add(1);
        for damaged in [damaged, bytes[..at].to_vec()] {
            let files = VocabularyFiles {
                tokenizer: Some(&damaged),
                sentencepiece: None,
                config: None,
                rows: None,
            };
            if let Ok((tokenizer, _)) = vocabulary(&files) {
                drop(tokenizer.encode("what is it?"));
            }
        }
    }
}

#[test]
fn pictures_that_lie_about_their_size_are_refused_before_memory_is_taken() {
    let mut png = read("rgb.png");
    png[16..24].copy_from_slice(&[0, 0, 0x40, 0, 0, 0, 0x20, 0]);
    let crc = crc32(&png[12..29]);
    png[29..33].copy_from_slice(&crc.to_be_bytes());
    let error = decode(&png, &PictureLimits::default()).unwrap_err();
    assert!(matches!(error, PictureError::TooLarge { width: 16384, height: 8192, .. }), "{error}");

    let mut jpeg = read("photo_75_420_baseline.jpg");
    let frame = jpeg.windows(2).position(|marker| marker == [0xff, 0xc0]).unwrap();
    jpeg[frame + 5..frame + 9].copy_from_slice(&[0xff, 0, 0xff, 0]);
    let error = decode(&jpeg, &PictureLimits::default()).unwrap_err();
    assert!(matches!(error, PictureError::TooLarge { .. }), "{error}");

    let small = PictureLimits { pixels: 60 * 47 };
    let error = decode(&read("rgb.png"), &small).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the picture says that it is 61 x 47 pixels, which is more than the limit of 2820 pixels"
    );
    assert_eq!(decode(b"no picture", &small), Err(PictureError::UnknownFormat));
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0_u32, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| {
            (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg())
        })
    })
}

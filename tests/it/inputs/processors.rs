//! Image processors: tiles to the last bit, numbers to the last bit where a library was asked and
//! within 1e-5 where the published code was transcribed, grids and counts of placeholders.

use super::{checksum, read, rows};
use mstar::data::{
    picture::{PictureLimits, decode},
    processor::{Processed, Processor, ProcessorFiles},
    settings::Settings,
};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

#[derive(Deserialize)]
struct Golden {
    file: String,
    kind: String,
    config: BTreeMap<String, Value>,
    tiles: Vec<String>,
    pixels: Option<String>,
    shape: Vec<usize>,
    grid: (usize, usize),
    placeholders: usize,
    first: Vec<f32>,
}

fn files(config: &BTreeMap<String, Value>) -> ProcessorFiles {
    let settings = |name: &str| {
        let value = config.get(name)?;
        Some(Settings::from_bytes(name, value.to_string().as_bytes()).unwrap())
    };
    ProcessorFiles {
        config: settings("config").unwrap(),
        preprocessor: settings("preprocessor"),
        processor: settings("processor"),
    }
}

fn difference(golden: &Golden, ours: &Processed) -> Option<String> {
    let tiles: Vec<String> = ours.tiles.iter().map(|tile| checksum(tile.as_raw())).collect();
    let bytes: Vec<u8> = ours.pixels.iter().flat_map(|number| number.to_le_bytes()).collect();
    if (ours.grid.rows, ours.grid.columns) != golden.grid {
        return Some(format!("grid {:?}, not {:?}", ours.grid, golden.grid));
    }
    if tiles != golden.tiles {
        return Some(format!("{} other tiles of {}", tiles.len(), golden.tiles.len()));
    }
    if ours.shape != golden.shape || ours.pixels.len() != golden.shape.iter().product::<usize>() {
        return Some(format!("shape {:?}, not {:?}", ours.shape, golden.shape));
    }
    if ours.placeholders != golden.placeholders {
        return Some(format!("{} placeholders, not {}", ours.placeholders, golden.placeholders));
    }
    let step = (ours.pixels.len() / 50).max(1);
    let largest = ours.pixels.iter().step_by(step).zip(&golden.first);
    let largest = largest.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    if largest > 1e-5 {
        return Some(format!("numbers differ by {largest}"));
    }
    match &golden.pixels {
        Some(sum) if *sum != checksum(&bytes) => Some("numbers differ in a last bit".into()),
        _ => None,
    }
}

#[test]
fn processors_make_what_their_references_make() {
    let goldens: Vec<Golden> = rows("process");
    let mut wrong = Vec::new();
    let mut compared = BTreeMap::<&str, usize>::new();
    for golden in &goldens {
        let image = decode(&read(&golden.file), &PictureLimits::default()).unwrap();
        let processor = Processor::new(&files(&golden.config)).unwrap();
        let ours = processor.process(&image).unwrap();
        *compared.entry(&golden.kind).or_default() += 1;
        if let Some(difference) = difference(golden, &ours) {
            wrong.push(format!("{} of {}: {difference}", golden.kind, golden.file));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), goldens.len(), wrong.join("\n"));
    assert_eq!(compared.len(), 7, "{compared:?}");
}

#[derive(Deserialize)]
struct Grid {
    least: u32,
    most: u32,
    width: u32,
    height: u32,
    grid: (u32, u32),
}

#[test]
fn internvl_chooses_grids_in_the_order_of_a_python_set() {
    let mut wrong = Vec::new();
    for golden in rows::<Grid>("grids") {
        let config = serde_json::json!({
            "model_type": "internvl_chat", "force_image_size": 448,
            "min_dynamic_patch": golden.least, "max_dynamic_patch": golden.most,
        });
        let config = BTreeMap::from([("config".to_owned(), config)]);
        let Processor::InternVl(processor) = Processor::new(&files(&config)).unwrap() else {
            panic!("another processor");
        };
        let (width, height) = (golden.width, golden.height);
        let grid = processor.grid(width, height);
        if grid != golden.grid {
            wrong.push(format!("{width} x {height}: {grid:?}, not {:?}", golden.grid));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn faults_of_files_name_file_and_field() {
    let told = |config: &str, preprocessor: &str| {
        let files = ProcessorFiles {
            config: Settings::from_bytes("config.json", config.as_bytes()).unwrap(),
            preprocessor: Some(
                Settings::from_bytes("preprocessor_config.json", preprocessor.as_bytes()).unwrap(),
            ),
            processor: None,
        };
        Processor::new(&files).unwrap_err().to_string()
    };
    let qwen = r#"{"model_type": "qwen2_vl"}"#;
    assert_eq!(
        told(qwen, r#"{"size": {"shortest_edge": "many"}}"#),
        "`size.shortest_edge` of `preprocessor_config.json` is `\"many\"`; expected a whole number \
         from 1 to 268435456"
    );
    assert_eq!(
        told(qwen, r#"{"image_std": [1, 0, 1]}"#),
        "`image_std` of `preprocessor_config.json` is `[1,0,1]`; expected three numbers other than 0"
    );
    assert_eq!(
        told("{}", "{}"),
        "`config.json` has no `model_type`; expected the name of a family"
    );
    assert_eq!(
        told(r#"{"model_type": "llava"}"#, "{}"),
        "`model_type` of `config.json` is `llava`, which has no image processor here"
    );
}

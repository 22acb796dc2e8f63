//! Loaders against files as people have them, and against files that are broken in any way.
#![expect(clippy::disallowed_methods, reason = "tests make the files that are read")]

use super::*;
use crate::base::Seed;
use crate::data::mini_vista::{MiniVista, POOL_ONE_OPERATION, Stream};
use crate::data::{Sample, preview::png, table};
use base64::Engine as _;
use proptest::prelude::*;
use serde_json::json;
use std::fs;
use std::ops::ControlFlow;
use std::path::Path;

fn drawn(count: u64) -> Vec<Sample> {
    let task = MiniVista::new(Seed(5), POOL_ONE_OPERATION);
    (0..count).map(|at| task.sample(Stream::Train, at)).collect()
}

fn base64(bytes: &[u8]) -> String {
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

/// Everything that a source gives.
fn read(source: &str, columns: &Columns) -> Result<Vec<Result<Unread, BadSample>>, LoadError> {
    let source = FileSource::parse(source).expect("it is a source of files").expect("of a format");
    let mut all = Vec::new();
    samples(&source, columns, &mut |_, sample| {
        all.push(sample);
        ControlFlow::Continue(())
    })?;
    Ok(all)
}

fn good(folder: &Path, source: &str) -> Vec<Unread> {
    let (format, file) = source.split_once(':').unwrap();
    let all = read(&format!("{format}:{}", folder.join(file).display()), &Columns::default());
    all.unwrap().into_iter().map(|sample| sample.unwrap()).collect()
}

#[test]
fn every_form_gives_the_same_samples() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fs::create_dir(folder.join("pictures")).unwrap();
    let samples = drawn(6);
    let (mut paths, mut inline, mut talks, mut named) = (vec![], vec![], vec![], vec![]);
    let mut table = "index\tquestion\tanswer\tcategory\timage\n".to_owned();
    for (at, sample) in samples.iter().enumerate() {
        let picture = png(&sample.images[0]).unwrap();
        let path = format!("pictures/{at}.png");
        fs::write(folder.join(&path), &picture).unwrap();
        let Sample { question, category, .. } = sample;
        let answer = sample.answer.as_ref().unwrap();
        let row = json!({ "question": question, "answer": answer, "category": category });
        let with = |name: &str, value: String| {
            let mut row = row.clone();
            row[name] = json!(value);
            row.to_string()
        };
        paths.push(with("image", path.clone()));
        inline.push(with("image", base64(&picture)));
        named.push(with("file_name", format!("{at}.png")));
        talks.push(json!({ "image": path, "category": category, "conversations": [
            { "from": "human", "value": format!("<image>\n{question}") },
            { "from": "gpt", "value": answer },
        ]}));
        // Every second image is that of the row before, which comes later in one case.
        let image = base64(&picture);
        table = format!("{table}{at}\t\"{question}\"\t{answer}\t{category}\t{image}\n");
    }
    fs::write(folder.join("paths.jsonl"), paths.join("\n")).unwrap();
    fs::write(folder.join("inline.jsonl"), inline.join("\n\n")).unwrap();
    fs::write(folder.join("pictures/metadata.jsonl"), named.join("\n")).unwrap();
    fs::write(folder.join("talks.json"), json!(talks).to_string()).unwrap();
    fs::write(folder.join("table.tsv"), table).unwrap();
    fs::write(folder.join("rows.parquet"), table::encode(&samples).unwrap()).unwrap();
    for source in [
        "jsonl:paths.jsonl",
        "jsonl:inline.jsonl",
        "images:pictures",
        "llava:talks.json",
        "tsv:table.tsv",
        "parquet:rows.parquet",
    ] {
        let found = good(folder, source);
        assert_eq!(found.len(), samples.len(), "{source}");
        for (found, sample) in found.iter().zip(&samples) {
            assert_eq!(found.question, sample.question, "{source}");
            assert_eq!(Some(&found.answer), sample.answer.as_ref(), "{source}");
            assert_eq!(found.category, sample.category, "{source}");
            assert_eq!(found.decode().unwrap(), sample.images, "{source}");
        }
    }
}

#[test]
fn named_sources_are_read_as_they_are_handed_round() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let picture = png(&drawn(1)[0].images[0]).unwrap();
    let images = folder.join("data_images/TabMWP/images");
    fs::create_dir_all(&images).unwrap();
    fs::write(images.join("1.png"), &picture).unwrap();
    let talk = json!([{ "image": "TabMWP/images/1.png", "conversations": [
        { "from": "human", "value": "<image>\nHint: choose.\nQuestion: which?" },
        { "from": "gpt", "value": "The answer is B." },
    ]}]);
    fs::write(folder.join("train_samples_all_tuning.json"), talk.to_string()).unwrap();
    let found = &good(folder, "mathv360k:train_samples_all_tuning.json")[0];
    assert_eq!((found.answer.as_str(), found.category.as_str()), ("B", "TabMWP"));

    let image = base64(&picture);
    let rows = format!(
        "index\tquestion\tA\tB\tC\tanswer\tl2-category\timage\n\
         1000001\twhich?\tdog\tcat\t\tB\tlogic\t1\n1\twhich?\tcat\tdog\t\tA\tlogic\t{image}\n\
         2\twhat?\tx\ty\t\tA\tlogic\t7\n"
    );
    fs::write(folder.join("dev.tsv"), rows).unwrap();
    let all = read(&format!("mmbench:{}", folder.join("dev.tsv").display()), &Columns::default());
    let all = all.unwrap();
    let first = all[0].as_ref().unwrap();
    assert_eq!(first.question, "which?\nChoices:\n(A) dog\n(B) cat");
    assert_eq!((first.answer.as_str(), first.category.as_str()), ("B", "logic"));
    assert_eq!(first.images, all[1].as_ref().unwrap().images);
    assert!(all[2].as_ref().unwrap_err().to_string().contains("index `7`"));

    let row = json!({ "question": "q", "options": ["a", "b"], "answer": "1", "image": image });
    fs::write(folder.join("test.jsonl"), row.to_string()).unwrap();
    assert_eq!(good(folder, "ai2d:test.jsonl")[0].answer, "B");
    let vista = json!({ "1": {
        "query": "Hint: x\nQuestion: q", "question": "q", "answer": "1.2", "image": "data_images/TabMWP/images/1.png",
        "metadata": { "task": "math word problem" }, "choices": null,
    }});
    fs::write(folder.join("testmini.json"), vista.to_string()).unwrap();
    assert_eq!(good(folder, "mathvista:testmini.json")[0].category, "math word problem");
}

#[test]
fn bad_rows_are_told_with_file_row_and_column() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fs::write(folder.join("lies.png"), &png(&drawn(1)[0].images[0]).unwrap()[..60]).unwrap();
    let rows = [
        json!({ "question": "q", "answer": "a", "image": "none.png" }),
        json!({ "question": "q", "answer": "a", "image": "../../etc/passwd" }),
        json!({ "question": "q", "answer": "a", "image": 7 }),
        json!({ "question": "q", "answer": "a", "image": ["x", "y"] }),
        json!({ "question": "q", "answer": "a", "image": "" }),
        json!({ "question": "q", "answer": "a" }),
        json!({ "question": "q", "answer": null, "image": "lies.png" }),
        json!({ "question": ["q"], "answer": "a", "image": "lies.png" }),
        json!({ "question": "q", "answer": "a", "image": "lies.png" }),
        json!([1]),
    ];
    let mut text = rows.map(|row| row.to_string()).join("\n");
    text += "\n{\"question\": \n";
    fs::write(folder.join("rows.jsonl"), text).unwrap();
    let all = read(&format!("jsonl:{}", folder.join("rows.jsonl").display()), &Columns::default());
    let told = all.unwrap().into_iter().map(|sample| {
        let error = sample.and_then(|sample| sample.decode()).unwrap_err();
        assert!(!error.hint.is_empty());
        error.to_string().replace(&folder.display().to_string(), "DIR")
    });
    let told: Vec<String> = told.collect();
    for (at, part) in [
        "row 1 of `DIR/rows.jsonl`: `image` names `none.png`, and there is no such file",
        "`image` names `../../etc/passwd`, which is not below the folder of its file",
        "`image` should be an image, and is a number",
        "`image` names `x`, and there is no such file",
        "`image` is empty",
        "`image` is not there",
        "`answer` is empty, and text is expected",
        "`question` should be text, and is a list",
        "row 9 of `DIR/rows.jsonl`: `image` cannot be decoded",
        "an object is expected, and it is a list",
        "row 11 of `DIR/rows.jsonl` cannot be read: it is no JSON",
    ]
    .iter()
    .enumerate()
    {
        assert!(told[at].contains(part), "{part}\n{}", told[at]);
    }
}

#[test]
fn rows_have_several_images_or_none() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let samples = drawn(3);
    for (sample, name) in samples.iter().zip(["a.png", "b.png"]) {
        fs::write(folder.join(name), png(&sample.images[0]).unwrap()).unwrap();
    }
    let pictures = |count: usize| -> Vec<image::RgbImage> {
        samples[..count].iter().map(|sample| sample.images[0].clone()).collect()
    };
    let check = |found: &Unread, question: &str, count: usize| {
        assert_eq!((found.question.as_str(), found.images.len()), (question, count));
        assert_eq!(found.decode().unwrap(), pictures(count));
    };
    let rows = [
        json!({ "question": "Is <image> like <image>?", "answer": "a", "images": ["a.png", "b.png"] }),
        json!({ "question": "Which is it? <image>", "answer": "a", "image": "a.png" }),
        json!({ "question": "How much?", "answer": "a", "images": [] }),
        json!({ "question": "How much?", "answer": "a", "image": null }),
        json!({ "question": "Both?", "answer": "a", "image": null, "images": ["a.png", "b.png"] }),
        json!({ "question": "Is <image> like <image>?", "answer": "a", "image": "a.png" }),
        json!({ "question": "<image> How much?", "answer": "a", "images": [] }),
        json!({ "question": "How much?", "answer": "a", "images": ["a.png", null] }),
        json!({ "question": "How much?", "answer": "a" }),
    ];
    fs::write(folder.join("rows.jsonl"), rows.map(|row| row.to_string()).join("\n")).unwrap();
    let source = format!("jsonl:{}", folder.join("rows.jsonl").display());
    let found = read(&source, &Columns::default()).unwrap();
    check(found[0].as_ref().unwrap(), "Is <image> like <image>?", 2);
    check(found[1].as_ref().unwrap(), "Which is it? <image>", 1);
    check(found[2].as_ref().unwrap(), "How much?", 0);
    check(found[3].as_ref().unwrap(), "How much?", 0);
    check(found[4].as_ref().unwrap(), "Both?", 2);
    let told = |at: usize| found[at].as_ref().unwrap_err();
    let places = "row 6 of `DIR` the question has 2 `<image>`, and the row 1 images";
    let file = folder.join("rows.jsonl").display().to_string();
    assert_eq!(told(5).to_string().replace(&file, "DIR"), places);
    assert!(told(6).to_string().contains("has 1 `<image>`, and the row 0 images"));
    assert!(told(7).to_string().contains("`images` is empty, and an image is expected"));
    // An image that was called otherwise is not taken for none.
    assert!(told(8).to_string().contains("`image` is not there"));
    assert!(told(8).hint.contains("an empty list"), "{}", told(8).hint);

    let said =
        |text: &str| json!([{ "from": "human", "value": text }, { "from": "gpt", "value": "a" }]);
    let talks = json!([
        { "image": ["a.png", "b.png"], "conversations": said("<image>\n<image>\nCompare.") },
        { "conversations": said("How much?") },
    ]);
    fs::write(folder.join("talks.json"), talks.to_string()).unwrap();
    let found = good(folder, "llava:talks.json");
    check(&found[0], "Compare.", 2);
    check(&found[1], "How much?", 0);

    let table = "question\tanswer\timage_path\nBoth?\ta\t\"['a.png', 'b.png']\"\nNone?\ta\t\n";
    fs::write(folder.join("rows.tsv"), table).unwrap();
    let found = good(folder, "tsv:rows.tsv");
    check(&found[0], "Both?", 2);
    check(&found[1], "None?", 0);

    let prepared: Vec<Sample> = [0, 1, 2]
        .map(|count| Sample { images: pictures(count), ..samples[count].clone() })
        .to_vec();
    fs::write(folder.join("rows.parquet"), table::encode(&prepared).unwrap()).unwrap();
    let found = good(folder, "parquet:rows.parquet");
    (0..3).for_each(|count| check(&found[count], &samples[count].question, count));
}

#[test]
fn columns_are_named_by_the_recipe() {
    let folder = tempfile::tempdir().unwrap();
    let row = json!({ "ask": { "text": "q" }, "gold": 7, "picture": "data:image/png;base64,AAAA" });
    let file = folder.path().join("rows.jsonl");
    fs::write(&file, row.to_string()).unwrap();
    let columns = Columns {
        question: "ask.text".to_owned(),
        answer: "gold".to_owned(),
        image: "picture".to_owned(),
        ..Columns::default()
    };
    let source = format!("jsonl:{}", file.display());
    let found = read(&source, &columns).unwrap().remove(0).unwrap();
    assert_eq!((found.question.as_str(), found.answer.as_str()), ("q", "7"));
    let other = Columns { answer: "golden".to_owned(), ..columns };
    let error = read(&source, &other).unwrap().remove(0).unwrap_err();
    assert!(error.to_string().contains("`golden` is not there"), "{error}");
    assert!(error.hint.contains("`gold`"));
}

#[test]
fn a_survey_knows_what_changed() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rows.jsonl");
    let picture = folder.path().join("a.png");
    fs::write(&picture, png(&drawn(1)[0].images[0]).unwrap()).unwrap();
    let good = json!({ "question": "q", "answer": "a", "image": "a.png" }).to_string();
    fs::write(&file, format!("{good}\n{{}}\n{good}")).unwrap();
    let source = FileSource::parse(&format!("jsonl:{}", file.display())).unwrap().unwrap();
    let look = || survey(&source, &Columns::default()).unwrap();
    let before = look();
    assert_eq!((before.samples, before.bad), (2, 1));
    assert_eq!(before.first_bad.as_ref().unwrap().row, 2);
    assert_eq!(look(), before);
    fs::write(&picture, b"another image").unwrap();
    assert_ne!(look().digest, before.digest);
}

/// A file of each format with a few rows.
fn seeds() -> Vec<(&'static str, &'static str, Vec<u8>)> {
    let samples = drawn(3);
    let picture = base64(&png(&samples[0].images[0]).unwrap());
    let row = json!({ "question": "q", "answer": "a", "image": picture, "choices": ["a", "b"] });
    let lines = format!("{row}\n{row}");
    let talk = json!([{ "image": picture, "conversations": [
        { "from": "human", "value": "q" }, { "from": "gpt", "value": "a" }] }]);
    let table =
        format!("index\tquestion\tanswer\tA\timage\n1\tq\ta\tb\t{picture}\n2\tq\ta\tb\t1\n");
    vec![
        ("jsonl", "rows.jsonl", lines.into_bytes()),
        ("llava", "rows.json", talk.to_string().into_bytes()),
        ("tsv", "rows.tsv", table.into_bytes()),
        ("parquet", "rows.parquet", table::encode(&samples).unwrap()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn no_bytes_break_a_loader(
        places in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 0..12),
        cut in proptest::option::of(any::<proptest::sample::Index>()),
    ) {
        let folder = tempfile::tempdir().unwrap();
        for (format, name, mut bytes) in seeds() {
            for (place, byte) in &places {
                let at = place.index(bytes.len());
                bytes[at] = *byte;
            }
            if let Some(cut) = cut {
                bytes.truncate(cut.index(bytes.len()));
            }
            let file = folder.path().join(name);
            fs::write(&file, bytes).unwrap();
            let all = read(&format!("{format}:{}", file.display()), &Columns::default());
            for sample in all.unwrap_or_default().into_iter().flatten() {
                sample.decode().ok();
            }
        }
    }
}

#[test]
fn some_files_of_a_folder_are_named_by_a_pattern() {
    let folder = tempfile::tempdir().unwrap();
    let row = |answer| format!("question\tanswer\timage\nq\t{answer}\tx.png\n");
    for (name, answer) in [("test-0", "a"), ("testmini-1", "c"), ("testmini-0", "b")] {
        fs::write(folder.path().join(format!("{name}.tsv")), row(answer)).unwrap();
    }
    let source = |name: &str| format!("tsv:{}", folder.path().join(name).display());
    let found = read(&source("testmini-*.tsv"), &Columns::default()).unwrap();
    assert_eq!(found.len(), 2);
    let none = read(&source("train-*.tsv"), &Columns::default()).unwrap_err();
    assert!(none.to_string().ends_with("train-*.tsv` fits no file"), "{none}");
}

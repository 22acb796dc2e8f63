//! The generator: from (seed, stream, index) to a sample and to everything else that is known of it.

use super::{
    draw::Draw,
    paint::{self, PatchLabel},
    question::{Problem, Step},
    scene::{Category, Scene},
    stream::Stream,
};
use crate::{
    base::Seed,
    data::{HiddenAnswer, Reference, Sample},
};

/// Share of one-operation questions among prompts, validation and test.
pub const POOL_ONE_OPERATION: f64 = 0.2;

/// Share of one-operation questions among the demonstrations of the shipped base model.
pub const DEMONSTRATION_ONE_OPERATION: f64 = 0.3;

/// What a caption answers.
pub const CAPTION_QUESTION: &str = "object ?";

/// The task under one data seed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MiniVista {
    seed: Seed,
    one_operation: f64,
}

impl MiniVista {
    /// The task with the given share of one-operation questions, 0 to 1; the others have two.
    pub fn new(data_seed: Seed, one_operation: f64) -> Self {
        Self { seed: data_seed.named("mini-vista"), one_operation }
    }

    /// The `index`-th example of a stream; `index` is below 2^40.
    pub fn example(&self, stream: Stream, index: u64) -> Example {
        let seed = self.seed.named(stream.name()).nth(index);
        let mut draw = Draw::new(seed);
        let category = draw.pick(&Category::ALL);
        let two = !draw.chance(self.one_operation);
        let scene = Scene::of(category, &mut draw);
        let problem = Problem::of(category, &scene, two, &mut draw);
        let id = (u64::from(stream.code()) << 40) | index;
        Example { id, stream, seed, category, scene, problem }
    }

    /// The `index`-th sample of a stream; `index` is below 2^40.
    pub fn sample(&self, stream: Stream, index: u64) -> Sample {
        self.example(stream, index).sample()
    }
}

/// One drawn example; its picture is painted when asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Example {
    id: u64,
    stream: Stream,
    seed: Seed,
    category: Category,
    scene: Scene,
    problem: Problem,
}

impl Example {
    /// The answer alone, without painting the picture.
    pub fn hidden(&self) -> HiddenAnswer {
        HiddenAnswer { prompt: self.id, answer: self.problem.answer.to_string() }
    }

    /// Question, picture and answer.
    pub fn sample(&self) -> Sample {
        Sample {
            id: self.id,
            category: self.category.name().to_owned(),
            question: self.problem.question.clone(),
            prompt: None,
            answer: Some(self.problem.answer.to_string()),
            images: vec![paint::paint(&self.scene, self.seed.named("noise"), self.stream)],
        }
    }

    /// The right reasoning; see [`Reference`] for who may read it.
    pub fn reference(&self) -> Reference {
        let text = |steps: &Vec<Step>| steps.iter().map(Step::to_string).collect::<Vec<_>>();
        Reference {
            id: self.id,
            variants: self.problem.accepted().iter().map(text).collect(),
            gold: self.problem.gold.iter().map(text).collect(),
        }
    }

    /// A response with one of the two gold lists of steps, drawn for each visit (epoch) anew. It is
    /// for the training of a base model; no stage of a recipe calls it.
    pub fn demonstration(&self, visit: u64) -> String {
        let mut draw = Draw::new(self.seed.named("demonstration").nth(visit));
        let steps = &self.problem.gold[draw.below(2) as usize];
        let steps: String = steps.iter().map(|step| format!("{step} ; ")).collect();
        format!("{steps}answer {}", self.problem.answer)
    }

    /// Everything that can be read off the picture, in an order drawn for each visit anew: the
    /// response to [`CAPTION_QUESTION`].
    pub fn caption(&self, visit: u64) -> String {
        let mut entities = self.scene.entities.clone();
        Draw::new(self.seed.named("caption").nth(visit)).shuffle(&mut entities);
        let parts: Vec<String> =
            entities.iter().map(|entity| format!("{} {} ;", entity.name, entity.value)).collect();
        parts.join(" ")
    }

    /// What each 8 x 8 patch of the picture shows, row by row.
    pub fn patches(&self) -> [PatchLabel; 16] {
        paint::labels(&self.scene)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        base::Digest,
        data::mini_vista::{PATCH_COLOURS, PATCH_KINDS, judge, words},
    };
    use std::collections::{BTreeMap, BTreeSet};

    fn task() -> MiniVista {
        MiniVista::new(Seed(42), POOL_ONE_OPERATION)
    }

    fn examples(stream: Stream, count: u64) -> impl Iterator<Item = Example> {
        (0..count).map(move |index| task().example(stream, index))
    }

    #[test]
    fn samples_keep_their_values() {
        let mut bytes = Vec::new();
        for stream in Stream::ALL {
            for example in examples(stream, 40) {
                let sample = example.sample();
                bytes.extend_from_slice(sample.images[0].as_raw());
                bytes.extend_from_slice(&sample.id.to_le_bytes());
                let texts = format!(
                    "{} {} {} {:?} {} {} {:?}",
                    sample.category,
                    sample.question,
                    example.problem.answer,
                    example.reference(),
                    example.demonstration(1),
                    example.caption(0),
                    example.patches(),
                );
                bytes.extend_from_slice(texts.as_bytes());
            }
        }
        // A change of this digest changes every published number of the task: do not.
        assert_eq!(
            Digest::of(&bytes).to_string(),
            "193d173c22c58cc789e111a6c293463a0c6c250f30f58df9825a66acf87b24df"
        );
    }

    #[test]
    fn no_picture_is_in_two_streams() {
        let mut seen = BTreeMap::new();
        for stream in Stream::ALL {
            for example in examples(stream, 300) {
                let sample = example.sample();
                let sum: u32 = sample.images[0].as_raw().iter().map(|&byte| u32::from(byte)).sum();
                assert_eq!(sum % Stream::CODES, stream.code());
                let bytes = [sample.images[0].as_raw(), sample.question.as_bytes()].concat();
                assert_eq!(seen.insert(Digest::of(&bytes), sample.id), None);
            }
        }
    }

    #[test]
    fn every_word_and_length_fits_the_model() {
        let known: BTreeSet<String> = words().into_iter().collect();
        let mut longest = (0, 0);
        for example in examples(Stream::Train, 3000) {
            let response = example.demonstration(0);
            let caption = example.caption(0);
            let question = &example.problem.question;
            for word in [question, &response, &caption].iter().flat_map(|text| text.split(' ')) {
                assert!(known.contains(word), "{word}");
            }
            assert!(example.problem.answer <= 199);
            longest.0 = longest.0.max(question.split(' ').count());
            // One more for the token that ends the response.
            longest.1 = longest.1.max(response.split(' ').count() + 1);
        }
        assert_eq!(longest.0, 9);
        assert!((20..=28).contains(&longest.1), "{longest:?}");
    }

    #[test]
    fn categories_operations_and_answers_are_spread() {
        let mut categories = BTreeMap::<_, u32>::new();
        let mut answers = BTreeMap::<_, u32>::new();
        let mut two = 0;
        for example in examples(Stream::Train, 4000) {
            *categories.entry(example.category.name()).or_default() += 1;
            *answers.entry(example.problem.answer).or_default() += 1;
            let question = &example.problem.question;
            two += u32::from(question.contains("then") || question.contains("and"));
        }
        assert_eq!(categories.len(), 5);
        assert!(categories.values().all(|count| (700..900).contains(count)), "{categories:?}");
        assert!((3100..3300).contains(&two), "{two}");
        let most = answers.values().max().copied().unwrap_or(0);
        assert!(answers.len() > 90, "{}", answers.len());
        assert!(most < 320, "one answer is right for {most} of 4000 questions");
    }

    /// The moments of the reference generator that the published curves were measured on.
    #[test]
    fn moments_are_those_of_the_reference_generator() {
        let count = 1500;
        let (mut pixels, mut answers, mut tokens) = (0.0, 0.0, 0.0);
        for example in examples(Stream::Validation, count) {
            let image = example.sample().images.remove(0).into_raw();
            pixels += image.iter().map(|&byte| f64::from(byte)).sum::<f64>() / image.len() as f64;
            answers += f64::from(example.problem.answer);
            tokens += example.demonstration(0).split(' ').count() as f64 + 1.0;
        }
        let mean = |sum: f64| sum / count as f64;
        assert!((mean(pixels) - 50.5).abs() < 2.0, "{}", mean(pixels));
        assert!((mean(answers) - 20.0).abs() < 1.5, "{}", mean(answers));
        assert!((mean(tokens) - 20.7).abs() < 0.4, "{}", mean(tokens));
    }

    #[test]
    fn demonstrations_pass_the_checker_and_vary() {
        let mut varied = 0;
        for example in examples(Stream::Demonstrations, 500) {
            let (reference, sample) = (example.reference(), example.sample());
            let answer = example.problem.answer.to_string();
            for visit in 0..3 {
                let text = example.demonstration(visit);
                let verdict = judge(&reference, &answer, &text);
                assert!(verdict.all, "{} | {text} | {reference:?}", sample.question);
            }
            varied +=
                u32::from((1..4).any(|v| example.demonstration(v) != example.demonstration(0)));
            assert_eq!(reference.gold.len(), 2);
            assert!(reference.gold.iter().all(|gold| reference.variants.contains(gold)));
        }
        assert!(varied > 350, "{varied}");
    }

    /// Evaluates what a demonstration says, without the generator's own arithmetic.
    #[test]
    fn arithmetic_of_demonstrations_is_right() {
        for example in examples(Stream::Test, 1000) {
            let text = example.demonstration(0);
            let mut last = 0;
            for step in text.split(" ; ") {
                let parts: Vec<&str> = step.split(' ').collect();
                let number = |at: usize| parts[at].parse::<i64>().unwrap();
                if let [_, operation, _, "=", _] = parts[..] {
                    last = match operation {
                        "+" => number(0) + number(2),
                        "x" => number(0) * number(2),
                        _ => number(0) - number(2),
                    };
                    assert_eq!(last, number(4), "{text}");
                } else if parts[0] == "answer" {
                    assert_eq!(last, number(1), "{text}");
                }
            }
        }
    }

    #[test]
    fn patch_labels_agree_with_the_entities() {
        for example in examples(Stream::Captions, 1000) {
            let patches = example.patches();
            let count = |kind: &str, colour: &str| {
                let matches = |label: &&PatchLabel| {
                    (kind.is_empty() || PATCH_KINDS[usize::from(label.kind)] == kind)
                        && (colour.is_empty() || PATCH_COLOURS[usize::from(label.colour)] == colour)
                };
                patches.iter().filter(matches).count() as u32
            };
            for entity in &example.scene.entities {
                let (name, value) = (entity.name, entity.value);
                match example.category {
                    Category::Vqa | Category::Mwp if PATCH_COLOURS.contains(&name) => {
                        assert_eq!(count("", name), value);
                    }
                    Category::Vqa | Category::Mwp => assert_eq!(count(name, ""), value),
                    Category::Tqa => assert_eq!(count(&value.to_string(), name), 1),
                    Category::Fqa => {
                        let rows: u32 = patches
                            .iter()
                            .filter(|label| PATCH_COLOURS[usize::from(label.colour)] == name)
                            .map(|label| u32::from(label.rows))
                            .sum();
                        assert_eq!(rows, 4 * value);
                    }
                    Category::Gps => assert!(count("rectangle", "") > 0),
                }
            }
        }
    }

    #[test]
    fn pictures_show_what_the_labels_say() {
        // The middle of every square has the colour that its label names.
        for example in examples(Stream::Captions, 200) {
            let image = example.sample().images.remove(0);
            for (patch, label) in (0..).zip(example.patches()) {
                if PATCH_KINDS[usize::from(label.kind)] != "square" {
                    continue;
                }
                let (left, top) = (8 * (patch % 4) + 3, 8 * (patch / 4) + 3);
                let [red, green, blue] = [0, 1, 2].map(|channel| {
                    let places = (0..9).map(|at| (left + at % 3, top + at / 3));
                    let sum: u32 =
                        places.map(|(x, y)| u32::from(image.get_pixel(x, y).0[channel])).sum();
                    sum > 9 * 140
                });
                let seen = match (red, green, blue) {
                    (true, false, false) => "red",
                    (false, true, false) => "green",
                    (false, false, true) => "blue",
                    (true, true, false) => "yellow",
                    other => panic!("{other:?} in patch {patch}"),
                };
                assert_eq!(seen, PATCH_COLOURS[usize::from(label.colour)]);
            }
        }
    }
}

//! What people read of each kind of stage: what it does, reads, writes and takes. All of it but the
//! files comes from the documentation of the types, so that there is one text of each.

use super::{Port, Stage};
use schemars::schema_for;
use serde_json::Value;

/// A kind of stage for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StageDoc {
    /// Such as `explore`.
    pub kind: String,
    /// What it does, in a sentence.
    pub does: String,
    /// Its ports, each with what it brings.
    pub reads: Vec<(&'static str, String)>,
    /// The files that it may write, each with what it holds.
    pub writes: Vec<(&'static str, &'static str)>,
    /// Its options, each with what it means.
    pub options: Vec<(String, String)>,
}

/// Every kind of stage, in the order of [`Stage`].
pub fn stage_docs() -> Vec<StageDoc> {
    let schema = schema_for!(Stage).to_value();
    let ports = schema_for!(Port).to_value();
    let variants = schema["oneOf"].as_array().into_iter().flatten();
    variants.filter_map(|variant| doc(variant, &schema, &ports)).collect()
}

fn doc(variant: &Value, schema: &Value, ports: &Value) -> Option<StageDoc> {
    let (kind, reference) = variant["properties"].as_object()?.iter().next()?;
    let target = reference["$ref"].as_str()?.strip_prefix('#')?;
    let options = schema.pointer(target)?["properties"].as_object()?.iter();
    let meaning = |port: &Port| (port.name(), port_meaning(*port, ports));
    Some(StageDoc {
        kind: kind.clone(),
        does: words(variant),
        reads: reads(kind).iter().map(meaning).collect(),
        writes: writes(kind).iter().copied().chain([METRICS]).collect(),
        options: options.map(|(name, option)| (name.clone(), words(option))).collect(),
    })
}

/// What the documentation says, on one line.
fn words(value: &Value) -> String {
    let text = value["description"].as_str().unwrap_or_default();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn port_meaning(port: Port, ports: &Value) -> String {
    let all = ports["oneOf"].as_array().into_iter().flatten();
    all.into_iter().find(|it| it["const"] == port.name()).map_or_else(String::new, words)
}

/// Ports that some stage of the kind may read, but for those of the script, of features and of an
/// early stop, which any may that calls one, looks at pictures or comes later.
pub(in crate::plan) fn reads(kind: &str) -> &'static [Port] {
    use Port::{
        After, Evaluated, Hidden, Labels, Monitored, Optimizer, Policy, Prompts, RewardModel,
        Rollouts, Scores, Search, Selected, StepsOf, Temperature,
    };
    match kind {
        "pretrain" => &[Policy],
        "features" => &[Policy, Prompts],
        "explore" => &[Policy, Prompts, Temperature, Search, Rollouts],
        "label" => &[Policy, Prompts, Rollouts],
        "train-reward" => &[Policy, Prompts, Rollouts, Labels],
        "score" => &[RewardModel, Prompts, Rollouts],
        "select" => &[Rollouts, Prompts, Scores, Hidden, Temperature],
        "agreement" => &[Selected, Hidden],
        "train" => &[Policy, Prompts, Selected, Optimizer, StepsOf, After],
        "evaluate" => &[Policy, Prompts],
        "monitor" => &[Policy, Prompts, RewardModel],
        "balance" => &[Search, Temperature, Evaluated],
        "stop" => &[Evaluated, Monitored, Rollouts, Selected],
        _ => &[],
    }
}

type File = (&'static str, &'static str);

const METRICS: File = ("metrics.json", "what it measured, for reports");
const WEIGHTS: File = ("model.safetensors", "weights, as transformers reads them");
const CONFIG: File = ("config.json", "the architecture");
const TOKENIZER: File = ("tokenizer.json", "the words");
const COMPANIONS: File =
    ("*.json, *.jinja, *.txt, *.model", "whatever else a checkpoint has, byte for byte");
const STEPS: File =
    ("trainer.json", "optimizer steps of the policy, of all iterations, of the stage");
const OPTIMIZER: File = ("optimizer.safetensors", "state of the optimizer, to go on from");
const ROLLOUTS: File = ("rollouts.parquet", "responses with their answers");
const SCORES: File = ("scores.parquet", "the score of each response, and of each of its steps");

/// Files that a stage of the kind may write beside its metrics.
fn writes(kind: &str) -> &'static [File] {
    match kind {
        "import" => &[WEIGHTS, CONFIG, TOKENIZER, COMPANIONS],
        "hooks" => &[("script.rhai", "the script")],
        "pretrain" => &[WEIGHTS, CONFIG, TOKENIZER, COMPANIONS, STEPS],
        "prepare" => &[
            ("train.parquet", "training prompts with their pictures"),
            ("validation.parquet", "validation prompts"),
            ("test.parquet", "test prompts"),
            ("demonstrations.parquet", "worked examples, where a control asks for them"),
            (
                "train-references.parquet",
                "right steps of the training prompts, where they are known",
            ),
            ("validation-references.parquet", "those of the validation prompts"),
            ("test-references.parquet", "those of the test prompts"),
            ("demonstrations-references.parquet", "those of the worked examples"),
        ],
        "hide" => &[("hidden.parquet", "answers of unlabelled prompts")],
        "features" => &[
            ("features-*.safetensors", "for each picture what the vision tower makes of it"),
            ("features.json", "which pictures are where, and of which tower"),
        ],
        "explore" | "evaluate" => &[ROLLOUTS],
        "label" => &[("labels.parquet", "for each step the share of completions that are right")],
        "train-reward" => &[
            WEIGHTS,
            CONFIG,
            TOKENIZER,
            COMPANIONS,
            ("reward_head.safetensors", "the scalar head"),
            ("reward.json", "whether it scores outcomes or steps"),
        ],
        "score" => &[SCORES],
        "select" => &[
            ("selected.parquet", "the responses to train on"),
            ("choices.parquet", "what became of each response, and why"),
            ("pseudo-answers.parquet", "answers of unlabelled prompts, where there are any"),
        ],
        "train" => &[WEIGHTS, CONFIG, TOKENIZER, COMPANIONS, STEPS, OPTIMIZER],
        "monitor" => &[
            ROLLOUTS,
            ("tallies.parquet", "for each prompt and draw how many are right, and what scores do"),
            SCORES,
        ],
        "balance" => &[("temperature.json", "what was chosen")],
        "stop" => &[(
            "stop.json",
            "what was measured of each policy, and after which iteration the evolution ended",
        )],
        _ => &[],
    }
}

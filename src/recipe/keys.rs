//! Every key of a recipe: its type, meaning, unit, range and default. A flat table.
//!
//! These types are the one source of the JSON Schema, of the checks that carry spans, of the
//! reference in the book and of what `show --resolved` prints. Enums are externally tagged (the
//! only form of union that keeps spans) and every table refuses unknown keys. What is not tagged as
//! printed in the paper is a default that a recipe may change, never a constant in code.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A recipe: one point in the design space of self-evolving training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Recipe {
    /// Version of the recipe language; always 1.
    #[schemars(range(min = 1, max = 1))]
    pub format: u32,
    /// What people call the recipe. Names never enter a key: a renamed recipe recomputes nothing.
    pub name: String,
    /// What the recipe is for, in a sentence. Never enters a key.
    pub description: String,
    /// Seed of everything that is drawn, except the data (see `data.seed`).
    pub seed: u64,
    /// The model that evolves.
    pub policy: Policy,
    /// Prompts, answers and splits.
    pub data: Data,
    /// Training of the base model itself; only for `builtin:` models started from random weights.
    pub pretraining: Option<Pretraining>,
    /// The round before the first iteration that turns the base model into the warmed-up policy.
    pub warmup: Warmup,
    /// Axis 1: how the policy is trained on what it found.
    pub training: Training,
    /// How rollouts are drawn.
    pub exploration: Exploration,
    /// Axis 2: what tells a good response from a bad one, and which responses are kept.
    pub reward: Reward,
    /// Axis 3: which prompts take part.
    pub prompts: Prompts,
    /// Axis 4: the temperature of exploration.
    pub temperature: Temperature,
    /// What is measured after each iteration.
    pub evaluation: Evaluation,
    /// Branches that tell evolution from mere optimisation.
    pub control: Control,
    /// Custom logic in Rhai.
    pub hooks: Hooks,
    /// How stages are carried out. Nothing here enters a key.
    pub run: Run,
}

/// The model that evolves.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Policy {
    /// `builtin:mini-vlm` (shipped, trained), `builtin:mini-vlm/random` (to be pre-trained), the folder
    /// of a checkpoint, taken from the folder of the file that names it, or a hub id.
    pub model: String,
    /// Of a model from the hub, the branch, tag or commit.
    pub revision: String,
    /// Pixels of a picture at most: larger ones are shrunk, or cut into fewer tiles, as the model's
    /// processor does it. 0 for as many as the checkpoint's own files say. The embedded model's
    /// pictures have one size.
    #[schemars(range(max = 268435456))]
    pub image_pixels: u64,
    /// Type of the weights during training and generation. Optimizer state is always `fp32`.
    pub dtype: Dtype,
    /// The parts whose weights are trained; the others stay frozen.
    #[schemars(length(min = 1))]
    pub train: Vec<Part>,
    /// Train low-rank adapters in place of the weights themselves. They are weights of the policy: what
    /// goes on from a policy goes on from its adapters.
    pub lora: Option<Lora>,
    /// Whether what a frozen vision tower makes of pictures is kept. The tower then looks at every
    /// picture once, for all iterations, explorations and reward models that share it.
    pub features: Features,
}

/// Where the features of pictures come from: what the vision tower makes of them, before the projector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Features {
    /// The vision tower makes them whenever a picture is seen.
    Computed,
    /// A stage of its own makes them once and keeps them in the store.
    Stored,
}

/// Type of the weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Dtype {
    /// 32-bit floats.
    Fp32,
    /// bfloat16 weights; optimizer state and master copy stay in 32 bit.
    Bf16,
}

/// A part of a vision-language model.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// The vision tower.
    Vision,
    /// What maps image features to token embeddings.
    Projector,
    /// The language model.
    Language,
}

/// Low-rank adapters.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Lora {
    /// Rank of the update.
    #[schemars(range(min = 1, max = 1024))]
    pub rank: u32,
    /// Scale of the update: it is multiplied by `alpha / rank`.
    #[schemars(range(min = 0.0))]
    pub alpha: f64,
    /// Share of the adapter's inputs dropped in training.
    #[schemars(range(min = 0.0, max = 0.95))]
    pub dropout: f64,
    /// Names of the linear layers that get an adapter, or ends of them such as `q_proj`; empty for all
    /// of the language model.
    pub targets: Vec<String>,
}

/// Prompts, answers and splits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Data {
    /// `builtin:mini-vista`, or files as `FORMAT:PATH`: `jsonl`, `llava`, `parquet`, `tsv`, `images`
    /// (a folder with `metadata.jsonl`), `mathv360k`, `mathvista`, `m3cot`, `mmstar`, `mmbench` or
    /// `ai2d`. The path is taken from the folder of the file that names it. Without a path, those
    /// from `mathv360k` on are brought from the hub.
    pub source: String,
    /// Columns of the files, where they are called otherwise than usual; `a.b` is `b` inside `a`.
    pub columns: DataColumns,
    /// What becomes of rows of the files that are no samples: a column or an image is missing, broken,
    /// huge or animated.
    pub on_bad_sample: OnBadSample,
    /// Seed of generated data and of the split. Apart from the recipe's seed, so that several seeds
    /// of one recipe are measured on the same prompts.
    pub seed: u64,
    /// Training prompts to take; 0 for all that the source has.
    #[schemars(range(max = 1000000000))]
    pub prompts: u64,
    /// Share of the training prompts whose answers may be seen: the first ones.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub labelled: f64,
    /// Validation prompts, disjoint from training and test. Choices are made on these.
    #[schemars(range(max = 1000000000))]
    pub validation: u64,
    /// Test prompts. Read, never chosen on.
    #[schemars(range(max = 1000000000))]
    pub test: u64,
    /// Benchmarks to evaluate on besides, such as `mathvista/testmini`; the hub has their files. Where
    /// they lie elsewhere, it is said behind a colon: `mathvista/testmini:FOLDER`.
    pub benchmarks: Vec<String>,
}

/// Columns of data files; empty for the usual ones.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DataColumns {
    /// The question; usually `question`, `query` or `text`.
    pub question: String,
    /// The answer; usually `answer` or `label`.
    pub answer: String,
    /// The image, or a list of images; usually `image`, `images` or `image_path`.
    pub image: String,
    /// What accuracies are broken down by; usually `category`.
    pub category: String,
    /// A list of choices, which are asked with the question; usually `choices`, `options`, or columns
    /// `A`, `B` and so on.
    pub choices: String,
}

/// What becomes of a row that is no sample.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OnBadSample {
    /// Nothing is loaded, and the first such row is told.
    #[default]
    Fail,
    /// It is left out and counted, and another row takes its place.
    Skip,
}

/// Training of the base model from random weights, for the embedded task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Pretraining {
    /// First: the patch stem learns what a patch shows.
    pub perception: PretrainingPhase,
    /// Then: captions, with the loss on number tokens only, so that what is read is right.
    pub captions: PretrainingPhase,
    /// Last: few worked examples, many epochs.
    pub reasoning: PretrainingPhase,
    /// Share of caption samples mixed into the reasoning phase, which keeps reading from fading.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub caption_share: f64,
    /// Share of one-operation questions among the worked examples.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub easy_share: f64,
    /// Weight of the units and tens directions when embeddings of the numbers above 9 are made from
    /// those of the digits; 0 leaves them as they are.
    #[schemars(range(min = 0.0, max = 4.0))]
    pub number_factor: f64,
}

/// One phase of pre-training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PretrainingPhase {
    /// Distinct samples that are generated for the phase.
    #[schemars(range(max = 1000000000))]
    pub samples: u64,
    /// Passes over them.
    pub epochs: u32,
    /// Samples in an optimizer step.
    #[schemars(range(min = 1, max = 65536))]
    pub batch_size: u32,
    /// AdamW's learning rate at its highest.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub learning_rate: f64,
    /// Muon's learning rate at its highest, for matrices inside blocks; 0 for AdamW alone.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub muon_learning_rate: f64,
    /// Steps over which the learning rate rises from zero.
    #[schemars(range(max = 1000000000000u64))]
    pub warmup_steps: u64,
    /// Share of the phase after which the learning rate begins to fall linearly.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub decay_from: f64,
    /// Where the fall ends, as a share of the highest learning rate.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub decay_to: f64,
}

/// The round before the first iteration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Warmup {
    /// Without a warm-up the base model is the policy that the first iteration starts from.
    pub enabled: bool,
    /// Learn from what the data set gives, in place of sampled responses: for a base model that
    /// cannot yet answer in the form that is asked for, or cannot see.
    pub supervision: Option<Supervision>,
    /// Labelled prompts to sample, or to learn from; 0 for all.
    #[schemars(range(max = 1000000000))]
    pub prompts: u64,
    /// Responses drawn for each.
    #[schemars(range(min = 1, max = 1024))]
    pub samples: u32,
    /// Temperature of the draw.
    #[schemars(range(min = 0.0, max = 4.0))]
    pub temperature: f64,
    /// Whether the gold answer is shown as a hint while sampling (the paper's warm-up does).
    pub hint: bool,
    /// Correct responses kept in all, drawn at random; 0 for all.
    #[schemars(range(max = 1000000000))]
    pub keep: u64,
    /// Correct responses kept for each prompt, drawn at random; 0 for all.
    pub keep_per_prompt: u32,
    /// Passes over what is kept.
    #[schemars(range(min = 1, max = 1000))]
    pub epochs: u32,
}

/// Axis 1: how the policy is trained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Training {
    /// What is carried from one iteration to the next.
    pub method: Method,
    /// What `sft` learns: the data set's bare answers, or its worked solutions where it has them.
    pub supervision: Supervision,
    /// Share of the labelled prompts explored in an iteration, and of the unlabelled ones once they
    /// have joined. Slices are fixed, follow each other, and are visited in a cycle.
    #[schemars(range(min = 0.0001, max = 1.0))]
    pub interval: f64,
    /// Iterations, known before the run, so that the whole graph is.
    #[schemars(range(max = 10000))]
    pub iterations: u32,
    /// Cap on the optimizer steps of all iterations together; what comes after it is skipped and
    /// said. `rest-em` does not start over for a part of an iteration's steps. 0 for none.
    #[schemars(range(max = 1000000000000u64))]
    pub steps: u64,
    /// When the evolution ends before its last iteration.
    pub stop: EarlyStop,
    /// Repeat or cut what an iteration selected to exactly so many optimizer steps; 0 for one
    /// pass (times `epochs`).
    #[schemars(range(max = 1000000000000u64))]
    pub steps_per_iteration: u64,
    /// Whether the evolution goes on when a round selects nothing: the policy then stays as it is.
    /// Otherwise training fails and says how many were sampled, right and kept.
    pub allow_empty: bool,
    /// Passes over what an iteration selected.
    #[schemars(range(min = 1, max = 1000))]
    pub epochs: u32,
    /// Samples in an optimizer step.
    #[schemars(range(min = 1, max = 65536))]
    pub batch_size: u32,
    /// Samples computed at once, in the training of a reward model as well; a batch is accumulated from
    /// several. 0 for the whole batch.
    pub micro_batch_size: u32,
    /// Compute the activations of each decoder layer a second time on the way back instead of keeping
    /// them: less memory for a third more arithmetic, and the same gradients.
    pub gradient_checkpointing: bool,
    /// AdamW's learning rate at its highest.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub learning_rate: f64,
    /// Learning rates of parts that have one of their own.
    pub rates: Rates,
    /// How steps are made from gradients.
    pub optimizer: Optimizer,
    /// How the learning rate moves.
    pub schedule: Schedule,
    /// Longest sequence in tokens, image included; longer samples are left out and counted.
    #[schemars(range(min = 16, max = 1048576))]
    pub max_length: u32,
}

/// AdamW's learning rates of the parts of the policy, at their highest; a part that is not named has
/// `training.learning_rate`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Rates {
    /// Of the vision tower.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub vision: Option<f64>,
    /// Of what maps image features to token embeddings.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub projector: Option<f64>,
    /// Of the language model.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub language: Option<f64>,
}

/// Early stopping, decided on the validation prompts. What comes after it is skipped and said.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EarlyStop {
    /// Evaluations in a row without a gain after which it stops; 0 for never. The policy that the
    /// evolution starts from is the first to be gained over.
    #[schemars(range(max = 10000))]
    pub patience: u32,
    /// A gain counts when it is larger than this.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub min_delta: f64,
    /// What has to get better.
    pub metric: StopMetric,
}

/// What early stopping looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum StopMetric {
    /// Greedy accuracy.
    Accuracy,
    /// Pass@K, with the K of `evaluation.pass_samples`.
    Pass,
}

/// Training method: what is carried over (paper, Section 3.1 and Table 1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// One supervised run from the base model on given answers; no exploration.
    Sft,
    /// Weights go on; optimizer and schedule are new in each iteration.
    IterativeRft,
    /// Each iteration starts again from the warmed-up policy, with a new optimizer.
    RestEm,
    /// Weights, optimizer state and schedule position go on.
    Continuous,
}

/// What supervised fine-tuning learns from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Supervision {
    /// The bare answer, as visual question answering data sets give it.
    Answer,
    /// The worked solution, where the data set has one.
    Solution,
}

/// How steps are made from gradients.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Optimizer {
    /// The update rule.
    pub kind: OptimizerKind,
    /// Muon's learning rate at its highest, when `kind = "muon"`.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub muon_learning_rate: f64,
    /// Decoupled weight decay on matrices; vectors are not decayed.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub weight_decay: f64,
    /// Decay of AdamW's first moment.
    #[schemars(range(min = 0.0, max = 0.9999))]
    pub beta1: f64,
    /// Decay of AdamW's second moment.
    #[schemars(range(min = 0.0, max = 0.99999))]
    pub beta2: f64,
    /// Largest norm of the gradient over all parameters; longer ones are scaled down. 0 for none.
    #[schemars(range(min = 0.0))]
    pub clip: f64,
}

/// The update rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OptimizerKind {
    /// AdamW on everything.
    Adamw,
    /// Muon on the matrices inside blocks, AdamW on the rest.
    Muon,
}

/// How the learning rate moves.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Schedule {
    /// The curve.
    pub kind: ScheduleKind,
    /// Steps over which the learning rate rises from zero.
    #[schemars(range(max = 1000000000000u64))]
    pub warmup_steps: u64,
    /// Where the curve ends, as a share of the highest learning rate.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub to: f64,
    /// Steps over which the curve runs; it stays at its end afterwards. 0 for the length of one
    /// training stage, which `continuous` refuses: its one schedule runs over all iterations, and
    /// how long those are is not known before.
    #[schemars(range(max = 1000000000000u64))]
    pub over: u64,
}

/// The curve of the learning rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ScheduleKind {
    /// Level.
    Constant,
    /// A straight line.
    Linear,
    /// Half a cosine.
    Cosine,
}

/// How rollouts are drawn.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Exploration {
    /// Responses drawn for each prompt.
    #[schemars(range(min = 1, max = 1024))]
    pub samples: u32,
    /// Longest response in tokens; a response also ends where the model's positions do.
    #[schemars(range(min = 1, max = 131072))]
    pub max_new_tokens: u32,
    /// Draw from the smallest set of tokens whose probability reaches this; 1 for all.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub top_p: f64,
    /// Draw from this many most probable tokens; 0 for all.
    pub top_k: u32,
    /// Draw from tokens at least this share as probable as the most probable; 0 for all.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub min_p: f64,
    /// Draw again, with the gold answer as a hint, for prompts none of whose responses was right
    /// (rationalisation, as in STaR). What is kept of that is trained on without the hint.
    pub rationalise: bool,
}

/// Axis 2: rewards and selection.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Reward {
    /// What gives the score. The answer filter always comes first.
    pub model: RewardModel,
    /// Which of the correct responses are kept.
    pub select: Select,
    /// How a response is cut into steps.
    pub steps: Steps,
    /// How scores of steps become the score of a response.
    pub aggregate: Aggregate,
    /// Responses kept for each prompt at most, after `select`; 0 for no cap.
    pub keep_per_prompt: u32,
    /// Drop exact duplicates of a response to the same prompt.
    pub distinct: bool,
    /// How a reward model is trained.
    pub training: RewardTraining,
}

/// What gives the score.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RewardModel {
    /// The answer match alone.
    Answer,
    /// A reward model that scores the whole response.
    Outcome,
    /// A reward model that scores every step.
    Process,
    /// A function in the hooks.
    Hook,
}

/// How a response is cut into steps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Steps {
    /// At blank lines, as in the paper.
    BlankLine,
    /// At the end of each line.
    Line,
    /// At the function `steps` in the hooks.
    Hook,
    /// After each of these words.
    Separator(#[schemars(length(min = 1))] String),
}

/// Which of the correct responses to a prompt are kept.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Select {
    /// All of them.
    All,
    /// The K with the highest scores.
    Top(#[schemars(range(min = 1, max = 1024))] u32),
    /// K at random.
    Random(#[schemars(range(min = 1, max = 1024))] u32),
    /// Those with a score above the threshold.
    Above(f64),
}

/// How scores of steps become the score of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Aggregate {
    /// The weakest step.
    Min,
    /// The average step.
    Mean,
    /// All steps together.
    Product,
    /// The last step.
    Last,
}

/// How a reward model is labelled and trained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RewardTraining {
    /// Rollouts of the warmed-up policy whose steps are labelled; 0 for all that its exploration
    /// drew.
    #[schemars(range(max = 1000000000))]
    pub labels: u64,
    /// Labelled prompts that are explored for them; 0 for all.
    #[schemars(range(max = 1000000000))]
    pub prompts: u64,
    /// Responses drawn for each of those prompts.
    #[schemars(range(min = 1, max = 1024))]
    pub samples: u32,
    /// Completions drawn from the end of each step.
    #[schemars(range(min = 1, max = 1024))]
    pub completions: u32,
    /// Temperature of rollouts and completions.
    #[schemars(range(min = 0.0, max = 4.0))]
    pub temperature: f64,
    /// What a step is trained towards.
    pub targets: RewardTargets,
    /// Weigh the two classes so that they count alike.
    pub balance: bool,
    /// Share of the prompts that are kept apart, for the area under the curve and calibration.
    #[schemars(range(min = 0.01, max = 0.9))]
    pub held_out: f64,
    /// The model that the reward model starts from.
    pub from: RewardStart,
    /// The parts whose weights are trained, beside the scalar head.
    pub train: Vec<Part>,
    /// Passes over the labels.
    #[schemars(range(min = 1, max = 1000))]
    pub epochs: u32,
    /// Responses in an optimizer step.
    #[schemars(range(min = 1, max = 65536))]
    pub batch_size: u32,
    /// AdamW's learning rate at its highest; it falls to zero along a line.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub learning_rate: f64,
    /// Iterations after which rollouts of the current policy are labelled and the reward model is
    /// trained again; 0 for once.
    #[schemars(range(max = 10000))]
    pub refresh_every: u32,
}

/// What a step is trained towards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RewardTargets {
    /// The share of its completions that reach the answer.
    Soft,
    /// Whether any of them does.
    Hard,
}

/// The model that a reward model starts from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RewardStart {
    /// The base model.
    Base,
    /// The warmed-up policy.
    WarmUp,
}

/// Axis 3: which prompts take part.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Prompts {
    /// Labelled prompts only, or unlabelled ones too.
    pub variation: Variation,
    /// Share of the iterations after which unlabelled prompts join and stay; from the first one on if
    /// it is left out.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub mix_at: Option<f64>,
    /// Where the answer to an unlabelled prompt comes from. Of equal votes the answer that more
    /// responses give wins, and of equally many the one given first.
    pub pseudo_answer: Option<PseudoAnswer>,
}

/// Labelled prompts only, or unlabelled ones too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Variation {
    /// Labelled prompts only.
    Labelled,
    /// Unlabelled ones too.
    Mixed,
}

/// Where the answer to an unlabelled prompt comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PseudoAnswer {
    /// The answer with the highest sum of scores.
    WeightedVote,
    /// The answer given most often.
    MajorityVote,
    /// A function in the hooks.
    Hook,
    /// The hidden answer: a skyline, never a method.
    Oracle,
}

/// Axis 4: the temperature of exploration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Temperature {
    /// Who decides.
    pub mode: TemperatureMode,
    /// The temperature, when `mode = "fixed"`.
    #[schemars(range(min = 0.0, max = 4.0))]
    pub value: f64,
    /// The temperature of each iteration, when `mode = "schedule"`; the last one stays.
    #[schemars(inner(range(min = 0.0, max = 4.0)))]
    pub points: Vec<f64>,
    /// What the balance maximises, when `mode = "balanced"`.
    pub maximise: Option<Maximise>,
    /// The temperatures to choose among, when `mode = "balanced"`.
    pub candidates: Candidates,
    /// Iterations between two searches.
    #[schemars(range(min = 1, max = 1000))]
    pub every: u32,
    /// Responses drawn for each prompt at each candidate.
    #[schemars(range(min = 1, max = 1024))]
    pub samples: u32,
    /// Prompts that are searched on, the first of them; 0 for all.
    #[schemars(range(max = 1000000000))]
    pub prompts: u64,
    /// The prompts that a search asks.
    pub search_on: SearchOn,
    /// What is searched together with the temperature, when `mode = "balanced"`.
    pub also: Also,
}

/// The prompts that a search asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SearchOn {
    /// The validation prompts, which nothing is trained on.
    Validation,
    /// The labelled prompts that the iteration explores next. The exploration takes over what the
    /// search drew as it would draw itself.
    Training,
}

/// Other knobs of exploration and selection that are balanced. Every combination of their values
/// with a temperature is a candidate; what is not named stays as the recipe has it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Also {
    /// Values for `exploration.top_p`; each is drawn anew.
    #[schemars(inner(range(min = 0.0, max = 1.0)))]
    pub top_p: Vec<f64>,
    /// Values for `exploration.top_k`; each is drawn anew.
    pub top_k: Vec<u32>,
    /// Values for `exploration.min_p`; each is drawn anew.
    #[schemars(inner(range(min = 0.0, max = 1.0)))]
    pub min_p: Vec<f64>,
    /// Values for `exploration.samples`: the first so many of the responses that a search draws.
    #[schemars(inner(range(min = 1, max = 1024)))]
    pub samples: Vec<u32>,
    /// Thresholds for `reward.select = { above = X }`, on the same responses.
    pub threshold: Option<Thresholds>,
}

/// A range of thresholds, ends included.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Thresholds {
    /// The lowest.
    #[schemars(range(min = -1000.0, max = 1000.0))]
    pub from: f64,
    /// The highest.
    #[schemars(range(min = -1000.0, max = 1000.0))]
    pub to: f64,
    /// The distance between two.
    #[schemars(range(min = 0.0001, max = 1000.0))]
    pub step: f64,
}

/// Who decides the temperature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TemperatureMode {
    /// The recipe, once.
    Fixed,
    /// The recipe, for each iteration.
    Schedule,
    /// A search on the validation prompts.
    Balanced,
}

/// What the balance maximises.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Maximise {
    /// A correct response among the K best by the reward model.
    RewardPass(#[schemars(range(min = 1, max = 1024))] u32),
    /// A correct response among K.
    Pass(#[schemars(range(min = 1, max = 1024))] u32),
    /// B-STaR's balance score: with n responses selected of a prompt, n' of them correct, the mean of
    /// `min(n' / K, 1) * n' / n`.
    Balance(#[schemars(range(min = 1, max = 1024))] u32),
    /// Nothing: the function `temperature` in the hooks chooses among the candidates.
    Hook,
}

/// A range of temperatures, ends included.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Candidates {
    /// The lowest.
    #[schemars(range(min = 0.0, max = 4.0))]
    pub from: f64,
    /// The highest.
    #[schemars(range(min = 0.0, max = 4.0))]
    pub to: f64,
    /// The distance between two.
    #[schemars(range(min = 0.01, max = 4.0))]
    pub step: f64,
}

/// What is measured after each iteration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Evaluation {
    /// Iterations between two evaluations; the warm-up and the last one are always evaluated.
    #[schemars(range(min = 1, max = 1000))]
    pub every: u32,
    /// Samples for each validation prompt, K of Pass@K; 0 measures greedy accuracy alone.
    #[schemars(range(min = 0, max = 1024))]
    pub pass_samples: u32,
    /// Temperature of those samples.
    #[schemars(range(min = 0.0, max = 4.0))]
    pub pass_temperature: f64,
    /// More temperatures at which the same is measured, for the figures of dynamics.
    #[schemars(inner(range(min = 0.0, max = 4.0)))]
    pub temperatures: Vec<f64>,
    /// Whether the same samples also say how well the reward verifies: the best of N by score, the
    /// majority vote and the vote weighted by scores.
    pub verifiers: bool,
    /// The policy that tables and headlines are about.
    pub quote: Quote,
}

/// The policy that the results of a recipe are read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Quote {
    /// That of the last iteration.
    Last,
    /// That of the iteration with the highest greedy accuracy on the validation prompts, of equal
    /// ones the earliest. The test split is never chosen on.
    Best,
}

/// Branches that tell evolution from mere optimisation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Control {
    /// Beside the evolution, train the warmed-up policy for the same number of optimizer steps
    /// without exploration, on `data`.
    pub equal_steps: bool,
    /// What the control trains on.
    pub data: ControlData,
}

/// What the control trains on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ControlData {
    /// The responses selected in the warm-up.
    Warmup,
    /// The worked examples that the base model was trained on, where the source has them.
    Demonstrations,
}

/// Custom logic in Rhai.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Hooks {
    /// A script in the folder of the recipe, with functions named after the moments they serve.
    pub script: Option<String>,
}

/// How stages are carried out. Nothing here enters a key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Run {
    /// How often a stage is tried again after its worker died. A stage that fails by itself, or
    /// takes longer than `timeout_secs`, is not: it would do so again.
    #[schemars(range(min = 0, max = 100))]
    pub retries: u32,
    /// Whether a run goes on with what does not depend on a failed stage. Otherwise nothing new
    /// begins after the first failure; what is under way is brought to its end.
    pub keep_going: bool,
    /// Seconds that a stage may take in one run. Then it fails and its worker is ended; the next run
    /// goes on from its checkpoint or its shards. 0 for no limit.
    #[schemars(range(min = 0.0, max = 31536000.0))]
    pub timeout_secs: f64,
    /// Seconds between two checkpoints of a training stage.
    #[schemars(range(min = 0.0, max = 86400.0))]
    pub checkpoint_every_secs: f64,
}

impl Default for Recipe {
    fn default() -> Self {
        Self {
            format: 1,
            name: String::new(),
            description: String::new(),
            seed: 0,
            policy: Policy::default(),
            data: Data::default(),
            pretraining: None,
            warmup: Warmup::default(),
            training: Training::default(),
            exploration: Exploration::default(),
            reward: Reward::default(),
            prompts: Prompts::default(),
            temperature: Temperature::default(),
            evaluation: Evaluation::default(),
            control: Control::default(),
            hooks: Hooks::default(),
            run: Run::default(),
        }
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            model: "builtin:mini-vlm".into(),
            revision: "main".into(),
            image_pixels: 0,
            dtype: Dtype::Fp32,
            train: vec![Part::Vision, Part::Projector, Part::Language],
            lora: None,
            features: Features::Computed,
        }
    }
}

impl Default for Lora {
    fn default() -> Self {
        Self { rank: 16, alpha: 32.0, dropout: 0.0, targets: Vec::new() }
    }
}

impl Default for Data {
    fn default() -> Self {
        Self {
            source: "builtin:mini-vista".into(),
            columns: DataColumns::default(),
            on_bad_sample: OnBadSample::Fail,
            seed: 0,
            prompts: 0,
            labelled: 1.0,
            validation: 250,
            test: 750,
            benchmarks: Vec::new(),
        }
    }
}

impl Default for Pretraining {
    fn default() -> Self {
        Self {
            perception: PretrainingPhase::default(),
            captions: PretrainingPhase::default(),
            reasoning: PretrainingPhase::default(),
            caption_share: 0.2,
            easy_share: 0.3,
            number_factor: 0.7,
        }
    }
}

impl Default for PretrainingPhase {
    fn default() -> Self {
        Self {
            samples: 1024,
            epochs: 1,
            batch_size: 32,
            learning_rate: 2e-3,
            muon_learning_rate: 0.0,
            warmup_steps: 50,
            decay_from: 0.5,
            decay_to: 0.1,
        }
    }
}

impl Default for Warmup {
    fn default() -> Self {
        Self {
            enabled: true,
            supervision: None,
            prompts: 0,
            samples: 16,
            temperature: 1.0,
            hint: false,
            keep: 100_000,
            keep_per_prompt: 0,
            epochs: 1,
        }
    }
}

impl Default for Training {
    fn default() -> Self {
        Self {
            method: Method::Continuous,
            supervision: Supervision::Answer,
            interval: 0.25,
            iterations: 22,
            steps: 0,
            stop: EarlyStop::default(),
            steps_per_iteration: 0,
            allow_empty: false,
            epochs: 1,
            batch_size: 128,
            micro_batch_size: 0,
            gradient_checkpointing: false,
            learning_rate: 1e-6,
            rates: Rates::default(),
            optimizer: Optimizer::default(),
            schedule: Schedule::default(),
            max_length: 2048,
        }
    }
}

impl Default for EarlyStop {
    fn default() -> Self {
        Self { patience: 0, min_delta: 0.0, metric: StopMetric::Accuracy }
    }
}

impl Default for Optimizer {
    fn default() -> Self {
        Self {
            kind: OptimizerKind::Adamw,
            muon_learning_rate: 0.0,
            weight_decay: 0.1,
            beta1: 0.9,
            beta2: 0.95,
            clip: 1.0,
        }
    }
}

impl Default for Schedule {
    fn default() -> Self {
        Self { kind: ScheduleKind::Constant, warmup_steps: 0, to: 0.0, over: 0 }
    }
}

impl Default for Exploration {
    fn default() -> Self {
        Self {
            samples: 16,
            max_new_tokens: 1024,
            top_p: 1.0,
            top_k: 0,
            min_p: 0.0,
            rationalise: false,
        }
    }
}

impl Default for Reward {
    fn default() -> Self {
        Self {
            model: RewardModel::Answer,
            select: Select::All,
            steps: Steps::BlankLine,
            aggregate: Aggregate::Min,
            keep_per_prompt: 0,
            distinct: true,
            training: RewardTraining::default(),
        }
    }
}

impl Default for RewardTraining {
    fn default() -> Self {
        Self {
            labels: 50_000,
            prompts: 0,
            samples: 4,
            completions: 8,
            temperature: 1.0,
            targets: RewardTargets::Soft,
            balance: false,
            held_out: 0.1,
            from: RewardStart::Base,
            train: vec![Part::Projector, Part::Language],
            epochs: 1,
            batch_size: 32,
            learning_rate: 1e-6,
            refresh_every: 0,
        }
    }
}

impl Default for Prompts {
    fn default() -> Self {
        Self { variation: Variation::Labelled, mix_at: None, pseudo_answer: None }
    }
}

impl Default for Temperature {
    fn default() -> Self {
        Self {
            mode: TemperatureMode::Fixed,
            value: 1.0,
            points: Vec::new(),
            maximise: None,
            candidates: Candidates::default(),
            every: 2,
            samples: 16,
            prompts: 0,
            search_on: SearchOn::Validation,
            also: Also::default(),
        }
    }
}

impl Default for Thresholds {
    fn default() -> Self {
        Self { from: 0.1, to: 0.9, step: 0.1 }
    }
}

impl Default for Candidates {
    fn default() -> Self {
        Self { from: 0.3, to: 1.6, step: 0.1 }
    }
}

impl Default for Evaluation {
    fn default() -> Self {
        Self {
            every: 1,
            pass_samples: 16,
            pass_temperature: 1.0,
            temperatures: Vec::new(),
            verifiers: false,
            quote: Quote::Last,
        }
    }
}

impl Default for Control {
    fn default() -> Self {
        Self { equal_steps: false, data: ControlData::Warmup }
    }
}

impl Default for Run {
    fn default() -> Self {
        Self { retries: 0, keep_going: true, timeout_secs: 0.0, checkpoint_every_secs: 30.0 }
    }
}

//! The page: one file that asks nothing of the network, readable without its script.

use super::chart::escape;
use super::figures::{self, Figure};
use super::model::{Member, State, Study};
use super::numbers::{count, counted, instant};
use super::pivot::Pivot;
use super::sections::{
    Headline, Table, by_category, by_iteration, by_member, device, devices, ending, headline,
};
use super::sheet::Sheet;
use super::{axes, lines, timeline};
use crate::base::Digest;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use image::ImageFormat;
use minijinja::{AutoEscape, Environment, Value, value::Serde};
use serde::Serialize;

/// Rows of the table of members.
const MEMBERS_LISTED: usize = 400;
/// Longest side of an embedded image in pixels; larger ones are made smaller.
const LARGEST_IMAGE: u32 = 384;
/// Bytes of images before the rest is left out, so that the page stays light.
const IMAGE_BYTES: usize = 1 << 20;

/// The style sheet of the page, for pages that show parts of it.
pub const STYLE: &str = include_str!("page.css");

/// What the page shows that the log does not know.
#[derive(Clone, Debug, Default)]
pub struct Extras {
    /// Some right, some wrong, some right with wrong steps, from the last evaluation.
    pub samples: Vec<SampleView>,
    /// The resolved recipe, key by key.
    pub recipe: Vec<RecipeLine>,
    /// Commands that reproduce the run; when empty, `mstar run` on the recipe.
    pub commands: Vec<String>,
    /// A drawing of the graph, trusted as markup: only from our own planner.
    pub graph_svg: Option<String>,
    /// How several members are laid out; when absent, as the log alone allows.
    pub table: Option<Pivot>,
}

/// A key of the resolved recipe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RecipeLine {
    /// With dots, such as `training.method`.
    pub key: String,
    /// As TOML writes it.
    pub value: String,
    /// Where the value came from; what begins with `default` is folded away.
    pub origin: String,
}

/// A prompt with what the policy answered.
#[derive(Clone, Debug)]
pub struct SampleView {
    /// The iteration whose policy answered.
    pub iteration: u32,
    /// The split that the prompt is from.
    pub split: String,
    /// The prompt's name in its data set.
    pub id: String,
    /// Its category; may be empty.
    pub category: String,
    /// The question.
    pub question: String,
    /// The picture as PNG; empty when there is none.
    pub image: Vec<u8>,
    /// The gold answer.
    pub gold: String,
    /// What the policy answered.
    pub answer: Answer,
    /// What the policy before the evolution answered.
    pub before: Option<Answer>,
    /// Whether a selection kept the answer to train on, and how to say so; `None` where none looked.
    pub choice: Option<(bool, String)>,
}

/// A response and what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Answer {
    /// The whole response.
    pub response: String,
    /// The answer found in it.
    pub predicted: Option<String>,
    /// Whether it is right.
    pub correct: bool,
    /// What the step checker says; `None` where there is none.
    pub steps_right: Option<bool>,
}

/// Everything that the template sees.
#[derive(Serialize)]
struct Page<'a> {
    nonce: &'a str,
    style: &'static str,
    script: String,
    run: &'a str,
    name: &'a str,
    started: String,
    ending: String,
    devices: String,
    many: bool,
    member_count: String,
    members: Vec<MemberView>,
    member_table: Table,
    members_left_out: usize,
    sheet: Option<Sheet>,
    grid_figures: Vec<Figure>,
    problems: Vec<Problem>,
    stage_count: usize,
    notes: Vec<(Option<&'a str>, &'a str)>,
    time: Option<Figure>,
    graph: Option<&'a str>,
    samples: Vec<Cards<'a>>,
    written: Vec<&'a RecipeLine>,
    defaults: Vec<&'a RecipeLine>,
    versions: Vec<(&'static str, String)>,
    commands: Vec<String>,
}

/// A member as the template sees it.
#[derive(Serialize)]
struct MemberView {
    name: String,
    headline: Vec<Headline>,
    facts: Vec<String>,
    by_iteration: Table,
    by_category: Table,
    figures: Vec<Figure>,
}

/// A sample as the template sees it.
#[derive(Serialize)]
struct Card<'a> {
    sample: String,
    category: &'a str,
    question: &'a str,
    /// A data URI.
    image: Option<String>,
    /// Whether the picture is so small that its pixels are to be seen.
    pixelated: bool,
    gold: &'a str,
    /// Words that filters ask for, such as `right kept`.
    words: String,
    /// Whether it was trained on and why not.
    choice: Option<&'a str>,
    answers: Vec<(String, &'static str, &'a Answer)>,
}

/// Samples of one verdict.
#[derive(Serialize)]
struct Cards<'a> {
    title: &'static str,
    cards: Vec<Card<'a>>,
}

/// A stage without a result, as the template sees it.
#[derive(Serialize)]
struct Problem {
    name: String,
    state: &'static str,
    why: String,
    hint: Option<String>,
}

/// The page of a study.
pub fn page(study: &Study, extras: &Extras) -> String {
    let shown = study.shown();
    let table = (study.members.len() > 1)
        .then(|| extras.table.clone().unwrap_or_else(|| Pivot::plain(study)));
    let members: Vec<MemberView> = shown
        .iter()
        .enumerate()
        .map(|(index, member)| {
            let suffix = if index == 0 { String::new() } else { format!("-{}", index + 1) };
            view(member, &suffix)
        })
        .collect();
    let said = |line: &&RecipeLine| !line.origin.starts_with("default");
    let (written, defaults): (Vec<_>, Vec<_>) = extras.recipe.iter().partition(said);
    let commands = if extras.commands.is_empty() {
        vec![format!("mstar run {}", study.recipe_file)]
    } else {
        extras.commands.clone()
    };
    // A nonce that nobody can know before the page is written: what a response smuggles in past
    // the escaping would still not run.
    let nonce = nonce(study, extras);

    let mut environment = Environment::new();
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    environment.add_filter("code", |text: &str| Value::from_safe_string(code(text)));
    let template = environment
        .template_from_str(include_str!("page.html"))
        .expect("the template is compiled in and tested");
    let view = Page {
        nonce: &nonce[..24],
        style: STYLE,
        script: script(study.members.len() > 1),
        run: &study.run,
        name: &study.name,
        started: instant(study.started_ms),
        ending: ending(study),
        devices: devices(study),
        many: study.members.len() > 1,
        member_count: count(study.members.len() as u64),
        members,
        member_table: by_member(study.members.iter().take(MEMBERS_LISTED)),
        members_left_out: study.members.len().saturating_sub(MEMBERS_LISTED),
        sheet: table.as_ref().map(Sheet::of),
        grid_figures: table.as_ref().map_or_else(Vec::new, |table| {
            let drawn = [lines::figure, axes::heat, axes::parallel].map(|draw| draw(study, table));
            drawn.into_iter().flatten().collect()
        }),
        problems: problems(study),
        stage_count: study.stages.len(),
        notes: study.notes.iter().map(|it| (it.stage.as_deref(), it.message.as_str())).collect(),
        time: timeline::figure(study),
        graph: extras.graph_svg.as_deref(),
        samples: samples(study.leader().unwrap_or(&Member::default()), &extras.samples),
        written,
        defaults,
        versions: versions(study),
        commands,
    };
    let rendered = template.render(Value::from(Serde(&view)));
    rendered.expect("the template names only what it is given")
}

/// Text as markup, with what stands in backticks as code.
fn code(text: &str) -> String {
    let parts = text.split('`').enumerate().map(|(index, part)| {
        let part = escape(part);
        if index % 2 == 1 { format!("<code>{part}</code>") } else { part }
    });
    parts.collect()
}

/// The script; what belongs to several members is left out of the page of one.
fn script(many: bool) -> String {
    let members = if many { include_str!("members.js") } else { "" };
    [include_str!("page.js"), members].concat()
}

/// A digest of everything in the page that is not ours.
fn nonce(study: &Study, extras: &Extras) -> String {
    let states = study.stages.iter().map(|row| (row.summary.key, &row.state));
    let told = (&study.run, study.started_ms, &study.notes, states.collect::<Vec<_>>());
    Digest::of(format!("{told:?}{:?}{:?}", extras.samples, extras.recipe).as_bytes()).to_string()
}

fn view(member: &Member, suffix: &str) -> MemberView {
    let mut facts = Vec::new();
    if let Some(parameters) = member.parameters {
        facts.push(counted(parameters, "parameter"));
    }
    if let Some(prompts) = &member.prompts {
        for (number, split) in
            [(prompts.train, "train"), (prompts.validation, "validation"), (prompts.test, "test")]
        {
            facts.push(counted(number, &format!("{split} prompt")));
        }
    }
    let sampled: u64 = member.explorations.iter().map(|it| it.value.samples).sum();
    let tokens: u64 = member.explorations.iter().map(|it| it.value.tokens).sum();
    if sampled > 0 {
        let (responses, tokens) = (counted(sampled, "response"), counted(tokens, "token"));
        facts.push(format!("{responses} ({tokens}) explored"));
    }
    MemberView {
        name: member.name.clone(),
        headline: headline(member),
        facts,
        by_iteration: by_iteration(member),
        by_category: by_category(member),
        figures: figures::of_member(member, suffix),
    }
}

fn problems(study: &Study) -> Vec<Problem> {
    let problem = |row: &super::model::StageRow| {
        let (why, hint) = match &row.state {
            State::Failed { reason, hint } => (reason.clone(), hint.clone()),
            State::Skipped { because } => (because.clone(), None),
            _ => (String::new(), None),
        };
        Problem { name: row.summary.name.clone(), state: row.state.word(), why, hint }
    };
    let mut problems: Vec<Problem> = study.unfinished().map(problem).collect();
    // Failures first: the rest follows from them.
    problems.sort_by_key(|problem| problem.state != "failed");
    problems
}

fn versions(study: &Study) -> Vec<(&'static str, String)> {
    let versions = &study.versions;
    let mut rows = vec![("mstar", versions.mstar.clone())];
    if let Some(libtorch) = &versions.libtorch {
        rows.push(("libtorch", libtorch.clone()));
    }
    rows.push(("platform", versions.platform.clone()));
    rows.push(("cores", versions.cores.to_string()));
    for (number, worker) in &study.workers {
        let died = worker.died.as_ref().map_or_else(String::new, |why| format!(" ({why})"));
        rows.push(("worker", format!("{number}: {}{died}", device(worker))));
    }
    rows
}

/// Samples grouped by verdict, in the order of interest.
fn samples<'a>(member: &Member, samples: &'a [SampleView]) -> Vec<Cards<'a>> {
    let mut groups = [
        Cards { title: "Right, with right steps", cards: Vec::new() },
        Cards { title: "Right answer, wrong steps", cards: Vec::new() },
        Cards { title: "Wrong", cards: Vec::new() },
    ];
    let mut left = IMAGE_BYTES;
    for sample in samples {
        let group = match (sample.answer.correct, sample.answer.steps_right) {
            (true, Some(false)) => 1,
            (true, _) => 0,
            (false, _) => 2,
        };
        let image = embed(&sample.image, left);
        left -= image.as_ref().map_or(0, |(uri, _)| uri.len());
        let mut answers = Vec::new();
        if let Some(before) = &sample.before {
            answers.push((member.start().to_owned(), verdict(before), before));
        }
        let name = member.after(sample.iteration);
        answers.push((name, verdict(&sample.answer), &sample.answer));
        groups[group].cards.push(Card {
            sample: format!("{} {}", sample.split, sample.id),
            category: &sample.category,
            question: &sample.question,
            pixelated: image.as_ref().is_some_and(|(_, side)| *side <= 128),
            image: image.map(|(uri, _)| uri),
            gold: &sample.gold,
            words: words(sample),
            choice: sample.choice.as_ref().map(|(_, choice)| choice.as_str()),
            answers,
        });
    }
    groups.into_iter().filter(|group| !group.cards.is_empty()).collect()
}

/// What the filters of the page know a sample by.
fn words(sample: &SampleView) -> String {
    let verdict = if sample.answer.correct { "right" } else { "wrong" };
    match sample.choice {
        Some((true, _)) => format!("{verdict} kept"),
        Some((false, _)) => format!("{verdict} dropped"),
        None => verdict.to_owned(),
    }
}

fn verdict(answer: &Answer) -> &'static str {
    match (answer.correct, answer.steps_right) {
        (true, Some(false)) => "right answer, wrong steps",
        (true, _) => "right",
        (false, _) => "wrong",
    }
}

/// A picture as a data URI no longer than `most`, with its longest side in pixels; `None` for what
/// is no PNG or does not fit.
fn embed(png: &[u8], most: usize) -> Option<(String, u32)> {
    let picture = image::load_from_memory_with_format(png, ImageFormat::Png).ok()?;
    let side = picture.width().max(picture.height());
    let text = if side > LARGEST_IMAGE {
        let mut smaller = std::io::Cursor::new(Vec::new());
        let thumbnail = picture.thumbnail(LARGEST_IMAGE, LARGEST_IMAGE);
        thumbnail.write_to(&mut smaller, ImageFormat::Png).ok()?;
        STANDARD.encode(smaller.into_inner())
    } else {
        STANDARD.encode(png)
    };
    let uri = format!("data:image/png;base64,{text}");
    (uri.len() <= most).then_some((uri, side.min(LARGEST_IMAGE)))
}

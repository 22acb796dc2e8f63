//! A prompt on a screen, and a walk as JSON.

use super::{Prompt, Response, Step, Walk, half_blocks, is_cut};
use crate::base::printable;
use crate::data::preview::side_by_side;
use serde_json::{Value, json};
use std::fmt::Write as _;

/// A prompt with its responses.
pub(crate) struct Screen {
    /// What stands above the text and holds colours, where the terminal can show its picture.
    pub(crate) drawing: String,
    /// Everything else, as it was given.
    pub(crate) text: String,
}

/// The screen of a prompt; its picture too where the terminal can show it.
pub(crate) fn screen(walk: &Walk, at: usize, with_picture: bool) -> Screen {
    let Prompt { sample, responses } = &walk.prompts[at];
    let head = format!(
        "prompt {} · {} · {} · {} · {} of {}",
        sample.id,
        sample.category,
        walk.split,
        walk.stage,
        at + 1,
        walk.prompts.len()
    );
    let (drawing, mut lines) = match side_by_side(&sample.images).filter(|_| with_picture) {
        Some(picture) => {
            let picture = half_blocks(&picture).join("\n");
            (format!("{}\n{picture}\n", printable(&head)), Vec::new())
        }
        None => {
            let sizes = sample.images.iter().map(|image| image.dimensions());
            let sizes = sizes
                .map(|(width, height)| format!("picture   {width} x {height} pixels, not shown"));
            (String::new(), std::iter::once(head).chain(sizes).collect())
        }
    };
    lines.push(format!("question  {}", one_line(&sample.question)));
    lines.push(format!("gold      {}", one_line(sample.answer.as_deref().unwrap_or("hidden"))));
    for response in responses {
        lines.extend(response_lines(response));
    }
    Screen { drawing, text: lines.join("\n") + "\n" }
}

fn response_lines(response: &Response) -> Vec<String> {
    let rollout = &response.rollout;
    let mut head = format!("response {}: ", rollout.sample);
    head.push_str(match (rollout.correct, &rollout.gold) {
        (true, _) => "right",
        (false, Some(_)) => "wrong",
        (false, None) => "not judged",
    });
    if rollout.correct && response.steps_right == Some(false) {
        head.push_str(" with a wrong step");
    }
    match &rollout.extracted {
        Some(answer) => write!(head, ", answers {}", one_line(answer)),
        None => write!(head, ", answers nothing"),
    }
    .expect("text takes everything");
    if is_cut(rollout) {
        head.push_str(", cut at the longest length");
    }
    if let Some(choice) = &response.choice {
        head.push_str("; ");
        head.push_str(&in_words(choice));
    }
    let mut lines = vec![head];
    lines.extend(response.steps.iter().map(step_line));
    lines.push(format!("         {}", one_line(&response.end)));
    lines
}

fn step_line(step: &Step) -> String {
    let verdict = match step.right {
        Some(true) => "right",
        Some(false) => "wrong",
        None => "     ",
    };
    let score = step.score.map_or(String::new(), |score| format!("  {score:.3}"));
    format!("  {verdict}  {}{score}", one_line(&step.text))
}

/// Why something was or was not kept, as people say it.
pub(crate) fn in_words(choice: &str) -> String {
    match choice {
        "kept" => "kept".to_owned(),
        "wrong-answer" => "not kept: wrong answer".to_owned(),
        "no-pseudo-answer" => "not kept: no answer was found for its prompt".to_owned(),
        "duplicate" => "not kept: an equal response was".to_owned(),
        "not-drawn" => "not kept: others were drawn".to_owned(),
        "low-score" => "not kept: its score is too low".to_owned(),
        "hook" => "not kept: the hook `keep` left it".to_owned(),
        "over-prompt-cap" => "not kept: over the cap of its prompt".to_owned(),
        "over-cap" => "not kept: over the cap in all".to_owned(),
        other => format!("not kept: {}", one_line(other)),
    }
}

/// A text on one line.
fn one_line(text: &str) -> String {
    text.lines().collect::<Vec<_>>().join(" ")
}

/// The walk for programs; `file` names a picture of a prompt by its number, where it was written.
pub(crate) fn to_json(walk: &Walk, file: &dyn Fn(&Prompt, usize) -> Option<String>) -> Value {
    let prompts: Vec<Value> = walk
        .prompts
        .iter()
        .map(|prompt| {
            let sample = &prompt.sample;
            let images = sample.images.iter().enumerate().map(|(number, image)| {
                let (width, height) = image.dimensions();
                json!({ "width": width, "height": height, "file": file(prompt, number) })
            });
            let images: Vec<Value> = images.collect();
            let responses: Vec<Value> = prompt.responses.iter().map(response_json).collect();
            json!({
                "id": sample.id, "category": sample.category, "question": sample.question,
                "gold": sample.answer, "image": images.first(), "images": images,
                "responses": responses,
            })
        })
        .collect();
    json!({
        "format": 1, "run": walk.run, "member": walk.member, "stage": walk.stage,
        "kind": walk.kind, "split": walk.split, "iteration": walk.iteration,
        "prompt_count": walk.prompt_count, "response_count": walk.response_count,
        "prompts": prompts,
    })
}

fn response_json(response: &Response) -> Value {
    let rollout = &response.rollout;
    let steps: Vec<Value> = response
        .steps
        .iter()
        .map(|step| json!({ "text": step.text, "right": step.right, "score": step.score }))
        .collect();
    json!({
        "sample": rollout.sample, "response": rollout.response, "extracted": rollout.extracted,
        "correct": rollout.correct, "finish": rollout.finish,
        "temperature": rollout.temperature, "steps": steps, "steps_right": response.steps_right,
        "kept": response.choice.as_ref().map(|choice| choice == "kept"),
        "why": response.choice,
    })
}

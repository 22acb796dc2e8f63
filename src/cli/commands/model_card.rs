//! The `README.md` of an exported policy: what it is, what it scored, and how it is made again.

use super::list::shown;
use crate::stages::Exported;
use crate::store::IndexedMetric;
use std::fmt::Write as _;

/// What a card tells.
pub(crate) struct Card<'a> {
    /// The run.
    pub(crate) run: &'a str,
    /// The member of the run.
    pub(crate) member: &'a str,
    /// The stage that made the policy.
    pub(crate) stage: &'a str,
    /// Whether the metrics are of this policy.
    pub(crate) is_last: bool,
    /// What the evolution began with.
    pub(crate) base: &'a str,
    /// Whether only mstar opens it.
    pub(crate) is_ours: bool,
    /// Whether it is adapters alone.
    pub(crate) adapters: bool,
    /// The files.
    pub(crate) written: &'a Exported,
    /// What was measured.
    pub(crate) metrics: &'a [IndexedMetric],
    /// The recipe as it was written.
    pub(crate) recipe: &'a str,
    /// Every value of it.
    pub(crate) resolved: &'a str,
    /// What pins the result.
    pub(crate) lock: &'a str,
}

/// The card.
pub(crate) fn text(card: &Card<'_>) -> String {
    let mut out = String::from("---\n");
    let library = match (card.is_ours, card.adapters) {
        (true, _) => "mstar",
        (false, true) => "peft",
        (false, false) => "transformers",
    };
    push(&mut out, format_args!("library_name: {library}\npipeline_tag: image-text-to-text\n"));
    if is_hub_id(card.base) {
        push(&mut out, format_args!("base_model: {}\n", card.base));
    }
    push(&mut out, format_args!("tags:\n- mstar\n- self-evolving-training\n---\n\n"));
    push(&mut out, format_args!("# {}\n\n", card.member));
    let what = if card.adapters { "Low-rank adapters for" } else { "A vision-language model from" };
    push(
        &mut out,
        format_args!(
            "{what} `{}`, trained by self-evolution: stage `{}` of the run `{}` of mstar.\n\n",
            card.base, card.stage, card.run
        ),
    );
    let Exported { kind, parameters, merged, .. } = card.written;
    push(&mut out, format_args!("* architecture: `{kind}`\n* parameters: {parameters}\n"));
    if *merged {
        out.push_str("* low-rank adapters are merged into the weights\n");
    }
    if card.is_ours {
        out.push_str("* only mstar opens this architecture\n");
    }
    out.push_str("\n## Results\n\n");
    match card.metrics {
        [] => out.push_str("Nothing was measured.\n"),
        metrics => {
            if !card.is_last {
                out.push_str("Of the policy that the run ended with, not of this one:\n\n");
            }
            out.push_str("| metric | value | 95 % interval | of |\n|---|---|---|---|\n");
            metrics.iter().for_each(|metric| out.push_str(&row(metric)));
        }
    }
    for (title, note, text) in [
        (
            "Recipe",
            "`mstar run recipe.toml` with this as `recipe.toml` makes it again.",
            card.recipe,
        ),
        (
            "Every value",
            "What the recipe resolved to, with the origin of each value.",
            card.resolved,
        ),
        (
            "Lock",
            "What pins the result: versions, digests of model and data, keys of stages.",
            card.lock,
        ),
    ] {
        push(
            &mut out,
            format_args!("\n## {title}\n\n{note}\n\n```toml\n{}\n```\n", text.trim_end()),
        );
    }
    out
}

fn push(out: &mut String, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("a text takes any text");
}

fn row(metric: &IndexedMetric) -> String {
    let interval = metric.interval.map(|[low, high]| format!("{} to {}", shown(low), shown(high)));
    let count = metric.count.map(|count| count.to_string());
    let (interval, count) = (interval.unwrap_or_default(), count.unwrap_or_default());
    format!("| {} | {} | {interval} | {count} |\n", metric.name, shown(metric.value))
}

/// Whether a name is one that a hub could know, and no path of this machine.
fn is_hub_id(name: &str) -> bool {
    let fits = |part: &str| {
        !part.is_empty()
            && !part.starts_with('.')
            && part.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
    };
    name.split_once('/').is_some_and(|(owner, model)| fits(owner) && fits(model))
}

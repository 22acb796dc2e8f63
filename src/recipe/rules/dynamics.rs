//! What must hold between the keys of monitoring, balancing, stopping and quoting.

use super::Checker;
use crate::recipe::{
    Also, Maximise, Quote, RewardModel, SearchOn, Select, StopMetric, TemperatureMode,
};

/// Settings that a search may choose among at most.
const MOST_CANDIDATES: f64 = 10_000.0;

pub(super) fn balance_is_complete(check: &mut Checker<'_>) {
    let recipe = check.recipe;
    if recipe.temperature.mode != TemperatureMode::Balanced {
        return;
    }
    match recipe.temperature.maximise {
        None => {
            let message = "`temperature.mode = \"balanced\"` does not say what to maximise";
            let hint = "write `temperature.maximise = { pass = 16 }`, or `{ reward_pass = 2 }`";
            let keys = ["temperature.mode"];
            check.fault("balance-of-nothing", &keys, message.to_owned(), hint.to_owned());
        }
        Some(Maximise::RewardPass(_)) if recipe.reward.model == RewardModel::Answer => {
            let message = "Reward-Pass ranks validation responses by their scores, and \
                           `reward.model = \"answer\"` gives none";
            let hint = "write `reward.model = \"process\"`, or maximise `{ pass = 16 }`";
            let keys = ["temperature.maximise"];
            check.fault("balance-without-scores", &keys, message.to_owned(), hint.to_owned());
        }
        Some(_) => {}
    }
    if recipe.data.validation == 0 && recipe.temperature.search_on == SearchOn::Validation {
        let message =
            "the balanced temperature is searched on validation prompts, and there are none";
        let hint = "keep some with `data.validation = 250`".to_owned();
        let keys = ["data.validation"];
        check.fault("balance-without-validation", &keys, message.to_owned(), hint);
    }
}

pub(super) fn balance_fits_its_search(check: &mut Checker<'_>) {
    let (temperature, validation) = (&check.recipe.temperature, check.recipe.data.validation);
    if temperature.mode != TemperatureMode::Balanced {
        return;
    }
    // Reward-Pass@K ranks as many as a candidate takes.
    let fewest = temperature.also.samples.iter().copied().min().unwrap_or(u32::MAX);
    let samples = match temperature.maximise {
        Some(Maximise::RewardPass(_)) => temperature.samples.min(fewest),
        _ => temperature.samples,
    };
    let what = match temperature.maximise {
        Some(Maximise::Pass(k)) if k > samples => Some(format!("Pass@{k}")),
        Some(Maximise::RewardPass(k)) if k > samples => Some(format!("Reward-Pass@{k}")),
        Some(Maximise::Balance(wanted)) if wanted > samples => {
            Some(format!("a balance score that wants {wanted} right responses"))
        }
        _ => None,
    };
    if let Some(what) = what {
        let message = format!("{what} cannot be measured with {samples} samples of a prompt");
        let hint = "lower the K of `temperature.maximise`, or raise `temperature.samples`";
        let keys = ["temperature.maximise", "temperature.samples"];
        check.fault("balance-beyond-samples", &keys, message, hint.to_owned());
    }
    let on_validation = temperature.search_on == SearchOn::Validation && validation > 0;
    if on_validation && temperature.prompts > validation {
        let message =
            format!("the search wants {} validation prompts of {validation}", temperature.prompts);
        let hint = "leave `temperature.prompts` out to search on all, or raise `data.validation`";
        let keys = ["temperature.prompts", "data.validation"];
        check.fault("search-beyond-validation", &keys, message, hint.to_owned());
    }
}

pub(super) fn temperatures_are_measured_once(check: &mut Checker<'_>) {
    let evaluation = &check.recipe.evaluation;
    let mut seen = vec![evaluation.pass_temperature];
    let twice = evaluation.temperatures.iter().copied().find(|temperature| {
        let is_known = seen.contains(temperature);
        seen.push(*temperature);
        is_known
    });
    if let Some(twice) = twice {
        let message = format!("the temperature {twice:?} is measured twice");
        let hint = "name each once: `evaluation.pass_temperature` is measured anyway".to_owned();
        check.fault("repeated-temperature", &["evaluation.temperatures"], message, hint);
    }
}

pub(super) fn ranges_are_not_empty(check: &mut Checker<'_>) {
    let temperature = &check.recipe.temperature;
    let candidates = &temperature.candidates;
    let thresholds = temperature.also.threshold.as_ref();
    let ranges = [("temperature.candidates", Some((candidates.from, candidates.to)))];
    let thresholds = ("temperature.also.threshold", thresholds.map(|it| (it.from, it.to)));
    for (key, range) in ranges.into_iter().chain([thresholds]) {
        let Some((from, to)) = range.filter(|(from, to)| from > to) else { continue };
        let message = format!("`{key}` goes from {from} down to {to}");
        let hint = "write the lower end in `from`".to_owned();
        let (from, to) = (format!("{key}.from"), format!("{key}.to"));
        check.fault("empty-range", &[&from, &to], message, hint);
    }
}

pub(super) fn knobs_have_something_to_move(check: &mut Checker<'_>) {
    let recipe = check.recipe;
    let (temperature, also) = (&recipe.temperature, &recipe.temperature.also);
    let written = knobs(also);
    if temperature.mode != TemperatureMode::Balanced || written.is_empty() {
        return;
    }
    let maximise = temperature.maximise;
    if maximise == Some(Maximise::Hook) {
        let message = "the function `temperature` chooses a temperature and nothing beside it";
        let hint = "leave `temperature.also` out, or maximise `{ balance = 8 }`".to_owned();
        check.fault("knobs-beside-a-hook", &written, message.to_owned(), hint);
        return;
    }
    // What would be selected is seen by the balance score alone; Pass@K does not depend on how many
    // samples it is estimated from.
    let sees_samples = !matches!(maximise, Some(Maximise::Pass(_)));
    let sees_selection = matches!(maximise, None | Some(Maximise::Balance(_)));
    let blind = [
        ("threshold", also.threshold.is_some() && !sees_selection),
        ("samples", !also.samples.is_empty() && !sees_samples),
    ];
    if let Some((what, _)) = blind.into_iter().find(|(_, is_blind)| *is_blind) {
        let objective = if sees_samples { "Reward-Pass@K" } else { "Pass@K" };
        let message = format!("{objective} does not tell one `{what}` from another");
        let hint = "maximise `{ balance = 8 }`, which sees what would be selected".to_owned();
        let key = format!("temperature.also.{what}");
        check.fault("knob-without-effect", &[&format!("{key}.from"), &key], message, hint);
    } else if also.threshold.is_some() && !matches!(recipe.reward.select, Select::Above(_)) {
        let message = "a threshold is balanced, and `reward.select` has none".to_owned();
        let hint = "write `reward.select = { above = 0.5 }`: it holds until a search moves it";
        let keys = ["temperature.also.threshold.from", "reward.select"];
        check.fault("threshold-without-selection", &keys, message, hint.to_owned());
    } else if also.threshold.is_some() && recipe.reward.model == RewardModel::Hook {
        let message = "a search scores responses by a trained model, not by a hook".to_owned();
        let hint = "write `reward.model = \"process\"`, or leave the threshold out".to_owned();
        let keys = ["temperature.also.threshold.from", "reward.model"];
        check.fault("threshold-without-model", &keys, message, hint);
    }
}

/// The keys of what is balanced beside the temperature.
fn knobs(also: &Also) -> Vec<&'static str> {
    let knobs = [
        ("temperature.also.top_p", !also.top_p.is_empty()),
        ("temperature.also.top_k", !also.top_k.is_empty()),
        ("temperature.also.min_p", !also.min_p.is_empty()),
        ("temperature.also.samples", !also.samples.is_empty()),
        ("temperature.also.threshold.from", also.threshold.is_some()),
    ];
    knobs.into_iter().filter(|(_, is_searched)| *is_searched).map(|(key, _)| key).collect()
}

pub(super) fn knobs_are_candidates(check: &mut Checker<'_>) {
    let temperature = &check.recipe.temperature;
    let also = &temperature.also;
    if temperature.mode != TemperatureMode::Balanced {
        return;
    }
    let wide = |values: &[u32]| values.iter().map(|it| f64::from(*it)).collect::<Vec<f64>>();
    for (key, values) in [
        ("temperature.also.top_p", also.top_p.clone()),
        ("temperature.also.top_k", wide(&also.top_k)),
        ("temperature.also.min_p", also.min_p.clone()),
        ("temperature.also.samples", wide(&also.samples)),
    ] {
        let twice = values.iter().enumerate().find(|(at, value)| values[..*at].contains(value));
        if let Some((_, twice)) = twice {
            let message = format!("`{key}` names {twice} twice");
            check.fault("repeated-candidate", &[key], message, "name each once".to_owned());
        }
    }
    let most = also.samples.iter().copied().max().unwrap_or(0);
    if most > temperature.samples {
        let drawn = temperature.samples;
        let message = format!("{most} samples are a candidate, and a search draws {drawn}");
        let hint = format!("raise `temperature.samples` to {most}, or balance fewer");
        let keys = ["temperature.also.samples", "temperature.samples"];
        check.fault("knob-beyond-samples", &keys, message, hint);
    }
    let steps = |from: f64, to: f64, step: f64| ((to - from) / step).max(0.0).floor() + 1.0;
    let range = &temperature.candidates;
    let lists = [also.top_p.len(), also.top_k.len(), also.min_p.len(), also.samples.len()];
    let lists = lists.into_iter().map(|count| count.max(1) as f64).product::<f64>();
    let thresholds = also.threshold.as_ref().map_or(1.0, |it| steps(it.from, it.to, it.step));
    let all = steps(range.from, range.to, range.step) * lists * thresholds;
    if all > MOST_CANDIDATES {
        let message = format!("a search would choose among {all} settings");
        let hint = format!("leave at most {MOST_CANDIDATES}: fewer values, or wider steps");
        let keys = ["temperature.also.threshold.step", "temperature.also.top_p"];
        check.fault("too-many-candidates", &keys, message, hint);
    }
}

pub(super) fn stop_has_measurements(check: &mut Checker<'_>) {
    let recipe = check.recipe;
    if recipe.training.stop.patience == 0 {
        return;
    }
    let keys = ["training.stop.metric", "training.stop.patience"];
    if recipe.data.validation == 0 {
        let message = "early stopping is decided on validation prompts, and there are none";
        let hint = "keep some with `data.validation = 250`".to_owned();
        let keys = ["data.validation", "training.stop.patience"];
        check.fault("stop-without-validation", &keys, message.to_owned(), hint);
    } else if recipe.training.stop.metric == StopMetric::Pass && recipe.evaluation.pass_samples == 0
    {
        let message = "`training.stop.metric = \"pass\"`, and Pass@K is not measured".to_owned();
        let hint = "draw samples with `evaluation.pass_samples = 16`".to_owned();
        check.fault("stop-without-samples", &keys, message, hint);
    }
}

pub(super) fn verifiers_have_scores(check: &mut Checker<'_>) {
    let recipe = check.recipe;
    if !recipe.evaluation.verifiers {
        return;
    }
    let keys = ["evaluation.verifiers"];
    if recipe.reward.model == RewardModel::Answer {
        let message = "`evaluation.verifiers` goes by score, and `reward.model = \"answer\"` gives \
                       none";
        let hint = "write `reward.model = \"process\"`, or leave it out".to_owned();
        check.fault("verifiers-without-scores", &keys, message.to_owned(), hint);
    } else if recipe.data.validation == 0 {
        let message = "verifiers are measured on validation prompts, and there are none";
        let hint = "keep some with `data.validation = 250`".to_owned();
        check.fault("verifiers-without-validation", &keys, message.to_owned(), hint);
    }
}

pub(super) fn quote_has_validation(check: &mut Checker<'_>) {
    let recipe = check.recipe;
    if recipe.evaluation.quote == Quote::Best && recipe.data.validation == 0 {
        let message = "the best iteration is chosen on validation prompts, and there are none";
        let hint = "keep some with `data.validation = 250`, or quote the last".to_owned();
        let keys = ["evaluation.quote"];
        check.fault("quote-without-validation", &keys, message.to_owned(), hint);
    }
}

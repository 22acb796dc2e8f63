//! What must hold between keys: a flat list of small rules, each of which points at the key to
//! change.

mod dynamics;
mod features;
mod prompts;
mod trials;

pub use trials::{builtin_sample, check_trials, is_file, sample_of_files};

use crate::{
    base::{Fault, did_you_mean},
    recipe::{
        ControlData, Method, OptimizerKind, Origin, Recipe, Resolved, RewardModel, ScheduleKind,
        Select, Supervision, TemperatureMode, check::quoted, hooks::needed, schema::listed,
        without_effect,
    },
};
use std::collections::BTreeSet;

/// Models that come with the program: trained, and to be trained.
const TRAINED_MODEL: &str = "builtin:mini-vlm";
const RANDOM_MODEL: &str = "builtin:mini-vlm/random";
/// The data set that comes with the program, the only one with worked solutions.
const EMBEDDED_SOURCE: &str = "builtin:mini-vista";

/// Every rule that is broken.
pub(super) fn check(resolved: &Resolved) -> Vec<Fault> {
    let mut checker = Checker { resolved, recipe: &resolved.recipe, faults: Vec::new() };
    for rule in RULES {
        rule(&mut checker);
    }
    checker.faults
}

const RULES: &[fn(&mut Checker<'_>)] = &[
    name_is_given,
    builtin_names_are_known,
    parts_are_named_once,
    features::tower_is_frozen,
    features::adapters_leave_the_tower_alone,
    pretraining_fits_the_model,
    some_prompts_are_labelled,
    slices_hold_a_prompt,
    solutions_exist,
    no_key_is_without_effect,
    greedy_draws_are_single,
    selection_fits_what_is_drawn,
    selection_has_scores,
    hook_has_a_script,
    script_is_inside,
    prompts::mixing_has_prompts_and_answers,
    prompts::mixing_happens,
    prompts::hints_have_answers,
    prompts::vote_has_scores,
    dynamics::balance_is_complete,
    dynamics::balance_fits_its_search,
    dynamics::ranges_are_not_empty,
    dynamics::knobs_have_something_to_move,
    dynamics::knobs_are_candidates,
    dynamics::temperatures_are_measured_once,
    dynamics::stop_has_measurements,
    dynamics::verifiers_have_scores,
    dynamics::quote_has_validation,
    points_are_given,
    micro_batch_fits_the_batch,
    muon_has_a_rate,
    cap_leaves_an_iteration,
    schedule_has_a_horizon,
    schedule_outlasts_its_warmup,
    control_has_something_to_compare,
];

struct Checker<'a> {
    resolved: &'a Resolved,
    recipe: &'a Recipe,
    faults: Vec<Fault>,
}

impl Checker<'_> {
    /// Points at the first of `keys` that is written, or at the beginning of the file.
    fn fault(&mut self, code: &'static str, keys: &[&str], message: String, hint: String) {
        let written = keys.iter().find_map(|key| self.resolved.place(key));
        let place = written.unwrap_or_else(|| self.resolved.file().place(0..0));
        self.faults.push(Fault { code, message, hint: Some(hint), place: Some(place) });
    }

    /// The value of a leaf as it would be written.
    fn shown(&self, key: &str) -> String {
        match self.resolved.leaves.get(key) {
            Some(serde_json::Value::String(text)) => format!("`{key} = \"{}\"`", quoted(text)),
            Some(value) => format!("`{key} = {value}`"),
            None => format!("`{key}`"),
        }
    }

    /// Whether `key` was written no lower than `other`, so that it speaks of it.
    fn is_written_beside(&self, key: &str, other: &str) -> bool {
        let layer = |key| self.resolved.origins.get(key).map(Origin::layer);
        self.resolved.is_written(key) && layer(key) >= layer(other)
    }
}

fn name_is_given(check: &mut Checker<'_>) {
    let name = &check.recipe.name;
    if !check.resolved.is_written("name") {
        let hint = "write `name = \"…\"` at the top: lowercase letters, digits, `.` and `-`";
        check.fault("missing-name", &[], "missing `name`".to_owned(), hint.to_owned());
        return;
    }
    if let Some((message, hint)) = name_fault(name) {
        check.fault("bad-name", &["name"], message, hint);
    }
}

/// What is wrong with the name of a recipe, and the way out; `None` for a good one.
pub fn name_fault(name: &str) -> Option<(String, String)> {
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '.' || c == '-';
    let is_good = !name.is_empty()
        && name.len() <= 100
        && !name.starts_with(['.', '-'])
        && name.chars().all(is_plain);
    if is_good {
        return None;
    }
    let plain: String = name
        .to_lowercase()
        .chars()
        .map(|c| if is_plain(c) { c } else { '-' })
        .skip_while(|c| !c.is_ascii_alphanumeric())
        .take(100)
        .collect();
    let example = if plain.is_empty() { "my-recipe" } else { &plain };
    let hint = format!(
        "use up to 100 lowercase letters, digits, `.` and `-`, the first a letter or a digit, such as \
         `{example}`"
    );
    Some((format!("`{}` is no name", quoted(name)), hint))
}

fn builtin_names_are_known(check: &mut Checker<'_>) {
    let recipe = check.recipe;
    for (key, written, known) in [
        ("policy.model", &recipe.policy.model, &[TRAINED_MODEL, RANDOM_MODEL][..]),
        ("data.source", &recipe.data.source, &[EMBEDDED_SOURCE][..]),
    ] {
        if written.starts_with("builtin:") && !known.contains(&written.as_str()) {
            let hint = match did_you_mean(written, known.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => {
                    let names = known.iter().map(|name| format!("`{name}`"));
                    format!("what comes with `mstar` is {}", listed(names, "and"))
                }
            };
            let message = format!("`{key}` names nothing that is built in: `{}`", quoted(written));
            check.fault("unknown-builtin", &[key], message, hint);
        }
    }
}

fn parts_are_named_once(check: &mut Checker<'_>) {
    let parts = &check.recipe.policy.train;
    if parts.iter().collect::<BTreeSet<_>>().len() < parts.len() {
        let message = "`policy.train` names a part twice".to_owned();
        check.fault("repeated-part", &["policy.train"], message, "name each part once".to_owned());
    }
}

fn pretraining_fits_the_model(check: &mut Checker<'_>) {
    let recipe = check.recipe;
    let is_random = recipe.policy.model == RANDOM_MODEL;
    if recipe.pretraining.is_some() && !is_random {
        let message = format!("{} is not pre-trained here", check.shown("policy.model"));
        let hint =
            format!("leave `[pretraining]` out, or write `policy.model = \"{RANDOM_MODEL}\"`");
        check.fault("pretraining-of-trained", &["pretraining", "policy.model"], message, hint);
    }
    if recipe.pretraining.is_none() && is_random {
        let message = format!("`{RANDOM_MODEL}` has random weights and no `[pretraining]`");
        let hint = format!("add `[pretraining]`, or write `policy.model = \"{TRAINED_MODEL}\"`");
        check.fault("random-without-pretraining", &["policy.model"], message, hint);
    }
}

fn some_prompts_are_labelled(check: &mut Checker<'_>) {
    if check.recipe.data.labelled == 0.0 {
        let message = "`data.labelled = 0` leaves no answer to learn from".to_owned();
        let hint = "write the share of prompts whose answers may be seen, such as `0.5`".to_owned();
        check.fault("nothing-labelled", &["data.labelled"], message, hint);
    }
}

fn slices_hold_a_prompt(check: &mut Checker<'_>) {
    let (data, training) = (&check.recipe.data, &check.recipe.training);
    let labelled = data.prompts as f64 * data.labelled;
    let explores = training.method != Method::Sft && training.iterations > 0;
    if data.prompts > 0 && data.labelled > 0.0 && explores && labelled * training.interval < 1.0 {
        let message = format!(
            "an iteration explores less than one prompt: {} of {labelled} labelled ones",
            check.shown("training.interval"),
        );
        let hint = if labelled >= 1.0 {
            let least = (1.0 / labelled * 1e4).ceil() / 1e4;
            format!("write an interval of at least `{least}`, or take more prompts")
        } else {
            "take more prompts with `data.prompts`, or label more with `data.labelled`".to_owned()
        };
        check.fault("empty-slice", &["training.interval", "data.prompts"], message, hint);
    }
}

fn solutions_exist(check: &mut Checker<'_>) {
    let recipe = check.recipe;
    if recipe.data.source == EMBEDDED_SOURCE {
        return;
    }
    let source = check.shown("data.source");
    if recipe.training.method == Method::Sft && recipe.training.supervision == Supervision::Solution
    {
        let message = format!("{source} has no worked solutions");
        let hint = "write `training.supervision = \"answer\"`".to_owned();
        check.fault("no-solutions", &["training.supervision"], message, hint);
    }
    if recipe.control.equal_steps && recipe.control.data == ControlData::Demonstrations {
        let message = format!("{source} has no demonstrations to control with");
        let hint = "write `control.data = \"warmup\"`".to_owned();
        check.fault("no-demonstrations", &["control.data"], message, hint);
    }
}

fn no_key_is_without_effect(check: &mut Checker<'_>) {
    for finding in without_effect::find(check.resolved) {
        // An axis need not mean something in each member; that it does in one is asked elsewhere.
        let is_axis = matches!(check.resolved.origins.get(finding.key), Some(Origin::Axis(_)));
        if !is_axis && check.is_written_beside(finding.key, finding.decider) {
            let decider = check.shown(finding.decider);
            let message = format!("`{}` has no effect while {decider}", finding.key);
            check.fault("no-effect", &[finding.key], message, finding.hint.to_owned());
        }
    }
}

fn greedy_draws_are_single(check: &mut Checker<'_>) {
    let recipe = check.recipe;
    let explores = recipe.training.method != Method::Sft && recipe.training.iterations > 0;
    let searches = recipe.temperature.mode == TemperatureMode::Balanced;
    let coldest_of = |points: &[f64]| points.iter().copied().fold(f64::INFINITY, f64::min);
    let coldest = match recipe.temperature.mode {
        TemperatureMode::Fixed => recipe.temperature.value,
        TemperatureMode::Schedule => coldest_of(&recipe.temperature.points),
        TemperatureMode::Balanced => {
            recipe.temperature.candidates.from.min(recipe.temperature.value)
        }
    };
    let warms_up = recipe.warmup.enabled
        && recipe.warmup.supervision.is_none()
        && recipe.training.method != Method::Sft;
    let where_fixed: &[&str] = match recipe.temperature.mode {
        TemperatureMode::Fixed => &["temperature.value", "exploration.samples"],
        TemperatureMode::Schedule => &["temperature.points", "exploration.samples"],
        TemperatureMode::Balanced if recipe.temperature.value == 0.0 => {
            &["temperature.value", "exploration.samples"]
        }
        TemperatureMode::Balanced => &["temperature.candidates.from", "exploration.samples"],
    };
    for (applies, temperature, samples, keys) in [
        (explores, coldest, recipe.exploration.samples, where_fixed),
        (
            explores && searches && recipe.exploration.samples == 1,
            recipe.temperature.candidates.from,
            recipe.temperature.samples,
            &["temperature.candidates.from", "temperature.samples"],
        ),
        (
            warms_up,
            recipe.warmup.temperature,
            recipe.warmup.samples,
            &["warmup.temperature", "warmup.samples"],
        ),
        (
            true,
            recipe.evaluation.pass_temperature,
            recipe.evaluation.pass_samples,
            &["evaluation.pass_temperature", "evaluation.pass_samples"],
        ),
        (
            true,
            coldest_of(&recipe.evaluation.temperatures),
            recipe.evaluation.pass_samples,
            &["evaluation.temperatures", "evaluation.pass_samples"],
        ),
    ] {
        if applies && temperature == 0.0 && samples > 1 {
            let message =
                format!("a `{}` of 0 makes all {samples} samples of a prompt the same", keys[0]);
            let hint = format!("raise the temperature, or write `{} = 1`", keys[1]);
            check.fault("greedy-copies", keys, message, hint);
        }
    }
}

fn selection_fits_what_is_drawn(check: &mut Checker<'_>) {
    let recipe = check.recipe;
    let selected = match recipe.reward.select {
        Select::Top(count) | Select::Random(count) => count,
        Select::All | Select::Above(_) => 0,
    };
    let drawn = recipe.exploration.samples;
    for (key, kept, samples_key, samples) in [
        ("reward.select", selected, "exploration.samples", drawn),
        ("reward.keep_per_prompt", recipe.reward.keep_per_prompt, "exploration.samples", drawn),
        (
            "warmup.keep_per_prompt",
            recipe.warmup.keep_per_prompt,
            "warmup.samples",
            recipe.warmup.samples,
        ),
    ] {
        if kept > samples && check.is_written_beside(key, samples_key) {
            let message = format!(
                "`{key}` keeps {kept} responses to a prompt of the {samples} that are drawn"
            );
            let hint = format!("keep fewer, or draw more with `{samples_key}`");
            check.fault("keeps-more-than-drawn", &[key], message, hint);
        }
    }
}

fn selection_has_scores(check: &mut Checker<'_>) {
    let reward = &check.recipe.reward;
    let ranks = matches!(reward.select, Select::Top(_) | Select::Above(_));
    if ranks && reward.model == RewardModel::Answer {
        let message = "`reward.select` goes by score, and `reward.model = \"answer\"` gives none";
        let hint = "write `reward.model = \"process\"`, or select `{ random = K }`";
        check.fault("selection-without-scores", &["reward.select"], message.into(), hint.into());
    }
}

fn hook_has_a_script(check: &mut Checker<'_>) {
    if check.recipe.hooks.script.is_some() {
        return;
    }
    for (key, moment) in needed(check.recipe) {
        let message = format!("`{key} = \"hook\"` without a script that has the function");
        let hint =
            format!("name one with a function `{}`: `hooks.script = \"s.rhai\"`", moment.name());
        check.fault("hook-without-script", &[key], message, hint);
    }
}

fn script_is_inside(check: &mut Checker<'_>) {
    let Some(script) = &check.recipe.hooks.script else { return };
    if leaves(script) {
        let message =
            format!("`hooks.script` leaves the folder of the recipe: `{}`", quoted(script));
        let hint = "keep the script beside the recipe, and name it without `..`".to_owned();
        check.fault("script-outside", &["hooks.script"], message, hint);
    }
}

/// Whether a path is anything but one of a file below the folder that it is taken from.
fn leaves(path: &str) -> bool {
    path.is_empty()
        || path.starts_with('/')
        || path.contains(['\\', ':', '\0'])
        || path.split('/').any(|segment| segment == "..")
}

fn points_are_given(check: &mut Checker<'_>) {
    let temperature = &check.recipe.temperature;
    if temperature.mode == TemperatureMode::Schedule && temperature.points.is_empty() {
        let message = "`temperature.mode = \"schedule\"` has no points";
        let hint = "write a temperature for each iteration: `temperature.points = [1.2, 1.0, 0.8]`";
        let keys = ["temperature.points", "temperature.mode"];
        check.fault("schedule-without-points", &keys, message.to_owned(), hint.to_owned());
    }
}

fn micro_batch_fits_the_batch(check: &mut Checker<'_>) {
    let training = &check.recipe.training;
    if training.micro_batch_size > training.batch_size {
        let message = format!(
            "`training.micro_batch_size = {}` is larger than the batch of {}",
            training.micro_batch_size, training.batch_size
        );
        let hint = format!("write at most `{}`, or 0 for the whole batch", training.batch_size);
        let keys = ["training.micro_batch_size", "training.batch_size"];
        check.fault("micro-batch-too-large", &keys, message, hint);
    }
}

fn muon_has_a_rate(check: &mut Checker<'_>) {
    let optimizer = &check.recipe.training.optimizer;
    if optimizer.kind == OptimizerKind::Muon && optimizer.muon_learning_rate == 0.0 {
        let message = "`training.optimizer.kind = \"muon\"` has no learning rate of its own";
        let hint = "write `training.optimizer.muon_learning_rate = 0.02`, or what suits your model";
        let keys = ["training.optimizer.muon_learning_rate", "training.optimizer.kind"];
        check.fault("muon-without-rate", &keys, message.to_owned(), hint.to_owned());
    }
}

fn cap_leaves_an_iteration(check: &mut Checker<'_>) {
    let training = &check.recipe.training;
    if training.steps > 0 && training.steps < training.steps_per_iteration {
        let message = format!(
            "`training.steps = {}` ends the run inside the first iteration of {} steps",
            training.steps, training.steps_per_iteration
        );
        let hint = "the cap is over all iterations together: raise it, or leave it out".to_owned();
        let keys = ["training.steps", "training.steps_per_iteration"];
        check.fault("cap-inside-iteration", &keys, message, hint);
    }
}

fn schedule_has_a_horizon(check: &mut Checker<'_>) {
    let training = &check.recipe.training;
    let falls = training.schedule.kind != ScheduleKind::Constant;
    if training.method == Method::Continuous && falls && training.schedule.over == 0 {
        let message = format!(
            "{} under `continuous` runs over all iterations, whose length is not known before",
            check.shown("training.schedule.kind")
        );
        let hint =
            match (training.steps_per_iteration * u64::from(training.iterations), training.steps) {
                (0, 0) => {
                    "name its horizon in steps, such as `training.schedule.over = 2000`".to_owned()
                }
                (0, steps) | (steps, _) => {
                    format!("name its horizon in steps: `training.schedule.over = {steps}`")
                }
            };
        let keys = ["training.schedule.over", "training.schedule.kind"];
        check.fault("schedule-without-horizon", &keys, message, hint);
    }
}

fn schedule_outlasts_its_warmup(check: &mut Checker<'_>) {
    let schedule = &check.recipe.training.schedule;
    if schedule.over > 0 && schedule.over < schedule.warmup_steps {
        let message = format!(
            "the schedule is over after {} steps, before its warm-up of {} ends",
            schedule.over, schedule.warmup_steps
        );
        let hint = "raise `training.schedule.over`, or lower `training.schedule.warmup_steps`";
        let keys = ["training.schedule.over", "training.schedule.warmup_steps"];
        check.fault("schedule-shorter-than-warmup", &keys, message, hint.to_owned());
    }
}

fn control_has_something_to_compare(check: &mut Checker<'_>) {
    let recipe = check.recipe;
    if !recipe.control.equal_steps {
        return;
    }
    if recipe.training.method == Method::Sft || recipe.training.iterations == 0 {
        let decider = if recipe.training.method == Method::Sft {
            check.shown("training.method")
        } else {
            check.shown("training.iterations")
        };
        let message = format!("`control.equal_steps` has no evolution beside it: {decider}");
        let hint = "leave the control out".to_owned();
        check.fault("control-of-nothing", &["control.equal_steps"], message, hint);
    } else if recipe.control.data == ControlData::Warmup && !recipe.warmup.enabled {
        let message = "the control trains on the warm-up's responses, and there is no warm-up";
        let hint = "write `warmup.enabled = true`, or `control.data = \"demonstrations\"`";
        let keys = ["control.data", "control.equal_steps"];
        check.fault("control-without-warmup", &keys, message.to_owned(), hint.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        base::Source,
        recipe::{Layers, Stack},
    };

    /// The codes of the broken rules.
    fn broken(text: &str) -> Vec<&'static str> {
        let file =
            Source { name: "recipe.toml".into(), text: format!("name = 'a'\n{text}").into() };
        let layers = Layers { file, environment: Vec::new(), set: Vec::new() };
        let stack = Stack::read(&layers, &mut |_, _| panic!("nothing is extended")).unwrap();
        super::check(&stack.merge().unwrap()).into_iter().map(|fault| fault.code).collect()
    }

    #[test]
    fn rules_of_values_that_need_others_hold() {
        let mixed = "prompts.variation = 'mixed'\n";
        let balanced = "temperature.mode = 'balanced'\n";
        for (text, codes) in [
            ("reward.select = { top = 2 }", &["selection-without-scores"][..]),
            ("reward.select = { above = 0.5 }", &["selection-without-scores"]),
            ("reward = { select = { top = 2 }, model = 'process' }", &[]),
            ("reward.model = 'hook'", &["hook-without-script"]),
            ("hooks.script = 'keep.rhai'", &[]),
            ("hooks.script = '/etc/keep.rhai'", &["script-outside"]),
            ("hooks.script = 'a/../../keep.rhai'", &["script-outside"]),
            (&format!("{mixed}prompts.pseudo_answer = 'majority-vote'"), &["nothing-unlabelled"]),
            (&format!("{mixed}data.labelled = 0.5"), &["mixed-without-answers"]),
            (
                &format!(
                    "{mixed}data.labelled = 0.5\nprompts.pseudo_answer = 'majority-vote'\n\
                     exploration.rationalise = true"
                ),
                &["hint-without-answer"],
            ),
            (
                &format!("{mixed}data.labelled = 0.5\nprompts.pseudo_answer = 'weighted-vote'"),
                &["vote-without-scores"],
            ),
            (balanced, &["balance-of-nothing"]),
            (
                &format!("{balanced}temperature.maximise = {{ balance = 17 }}"),
                &["balance-beyond-samples"],
            ),
            (&format!("{balanced}temperature.maximise = {{ pass = 8 }}"), &[]),
            (
                &format!("{balanced}temperature.maximise = {{ reward_pass = 2 }}"),
                &["balance-without-scores"],
            ),
            (
                &format!("{balanced}temperature.maximise = {{ pass = 2 }}\ndata.validation = 0"),
                &["balance-without-validation"],
            ),
            (
                &format!(
                    "{balanced}temperature.maximise = {{ pass = 2 }}\n\
                     temperature.candidates = {{ from = 1.0, to = 0.5 }}"
                ),
                &["empty-range"],
            ),
            (
                "data.source = 'mathv360k'\ncontrol = { equal_steps = true, data = 'demonstrations' }",
                &["no-demonstrations"],
            ),
            (
                "data.source = 'mathv360k'\ntraining = { method = 'sft', supervision = 'solution' }",
                &["no-solutions"],
            ),
        ] {
            assert_eq!(broken(text), codes, "{text}");
        }
    }

    #[test]
    fn sound_combinations_pass() {
        for text in [
            "",
            "training.iterations = 0",
            "training.method = 'sft'",
            "training = { method = 'sft', iterations = 1, supervision = 'solution' }",
            "policy.model = 'builtin:mini-vlm/random'\n[pretraining]",
            "temperature = { mode = 'schedule', points = [1.2, 1] }",
            "training.schedule = { kind = 'cosine', over = 100, warmup_steps = 10 }",
            "training = { method = 'rest-em', schedule = { kind = 'linear', to = 0.1 } }",
            "exploration.samples = 1\ntemperature.value = 0",
        ] {
            assert_eq!(broken(text), [""; 0], "{text}");
        }
    }
}

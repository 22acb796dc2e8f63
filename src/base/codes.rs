//! A flat table of every kind of fault: what it means, and what to do.
//!
//! `mstar explain` shows an entry, and the book all of them.

/// A kind of fault, by the code that [`crate::base::Fault`] carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FaultCode {
    /// The code.
    pub code: &'static str,
    /// What is wrong, in one sentence.
    pub means: &'static str,
    /// The way out, in general; a fault has one of its own too.
    pub way_out: &'static str,
}

impl FaultCode {
    /// What is known of a code.
    pub fn named(code: &str) -> Option<&'static Self> {
        FAULT_CODES.iter().find(|known| known.code == code)
    }
}

const fn code(code: &'static str, means: &'static str, way_out: &'static str) -> FaultCode {
    FaultCode { code, means, way_out }
}

/// Every code, in the order of the alphabet.
pub const FAULT_CODES: &[FaultCode] = &[
    code(
        "axis-is-set",
        "An axis of an experiment is also set from outside.",
        "Leave out the `--set` or the variable, or take the key out of `[axis]`.",
    ),
    code(
        "bad-data",
        "A file of data cannot be read as its format promises.",
        "Mend the file, the row and the field that the fault names, or name the columns in \
         `data.columns`.",
    ),
    code(
        "bad-environment",
        "A variable of the environment looks like a key of a recipe and is none.",
        "Write `MSTAR_`, the key in capitals, and a double underscore for each dot.",
    ),
    code(
        "bad-finding",
        "A finding of an experiment lacks a part or compares a row with itself.",
        "Give it `says`, `metric`, `higher` and `than`, with two different rows.",
    ),
    code(
        "bad-hook",
        "A script is no script, or a function in it has other parameters than its moment.",
        "Mend the place that is named; `mstar hook FILE` compiles the script by itself.",
    ),
    code(
        "bad-model",
        "The folder that is named as the model is no checkpoint that can be read.",
        "Give a folder with `config.json`, `model.safetensors` (or several with their index), the \
         tokenizer's and the processor's files; a name of the form `OWNER/NAME` is looked for on the \
         hub.",
    ),
    code(
        "bad-name",
        "A name holds characters that files and tables cannot bear.",
        "Use lowercase letters, digits, `.` and `-`, the first a letter or a digit.",
    ),
    code(
        "bad-set",
        "What `--set` is given is no assignment.",
        "Write a dotted key, `=` and a value: `--set training.interval=0.5`.",
    ),
    code(
        "bad-skip",
        "The condition of a `[[skip]]` cannot be read or computed.",
        "Write an expression over dotted keys that is true or false.",
    ),
    code(
        "balance-beyond-samples",
        "A balanced temperature maximises over more samples than a search draws.",
        "Raise `temperature.samples`, or ask for fewer.",
    ),
    code(
        "balance-of-nothing",
        "A balanced temperature does not say what it maximises.",
        "Write `temperature.maximise = { pass = 16 }`, or another of its forms.",
    ),
    code(
        "balance-without-scores",
        "A temperature is balanced by scores, and the recipe has no reward model.",
        "Choose a reward model, or maximise `{ pass = K }`.",
    ),
    code(
        "balance-without-validation",
        "A temperature is balanced on validation prompts, and there are none.",
        "Take some with `data.validation`, or write `temperature.search_on`.",
    ),
    code(
        "base-is-experiment",
        "The base of an experiment is an experiment itself.",
        "Name a recipe as the base.",
    ),
    code(
        "benchmark-twice",
        "A recipe names two splits of one benchmark.",
        "Evaluate on the other one in a recipe of its own.",
    ),
    code("cannot-vary", "An axis is a key that never changes a result.", "Leave the axis out."),
    code(
        "cap-inside-iteration",
        "`training.steps` ends the run inside its first iteration.",
        "Raise the cap, which is over all iterations together, or leave it out.",
    ),
    code(
        "contradictory-test",
        "A test says the same thing in two ways, or expects what cannot be.",
        "Keep one of the two, or mend what is expected.",
    ),
    code(
        "control-of-nothing",
        "A control is asked for beside a recipe that does not evolve.",
        "Leave the control out.",
    ),
    code(
        "control-without-warmup",
        "A control repeats the warm-up's data, and the warm-up is off.",
        "Turn the warm-up on, or write `control.data = \"demonstrations\"`.",
    ),
    code(
        "empty-range",
        "A range of candidates holds none.",
        "Let it end after it begins, with a step above 0.",
    ),
    code(
        "empty-slice",
        "An iteration would explore no prompt.",
        "Raise `training.interval`, or take more prompts.",
    ),
    code(
        "extends-twice",
        "A recipe that is extended extends another.",
        "Extend the lowest one directly, or write its values here.",
    ),
    code(
        "features-of-a-trained-tower",
        "Features of the vision tower are stored, and something trains it.",
        "Leave `vision` out of the parts that are trained, or write `policy.features = \"computed\"`.",
    ),
    code(
        "features-of-an-adapted-tower",
        "Features of the vision tower are stored, and adapters may be the tower's.",
        "Leave `policy.lora.targets` out, or write `policy.features = \"computed\"`.",
    ),
    code(
        "file-outside",
        "A file that a test names lies outside the folder of the recipe.",
        "Keep it beside the recipe, and name it without `..`.",
    ),
    code(
        "greedy-copies",
        "Several samples are drawn at temperature 0, where all are the same.",
        "Raise the temperature, or draw one.",
    ),
    code(
        "hint-without-answer",
        "Rationalisation shows gold answers, and some prompts have none.",
        "Leave `exploration.rationalise` out, or use labelled prompts only.",
    ),
    code(
        "hook-without-script",
        "A key asks for a function, and the recipe names no script.",
        "Write `hooks.script`, or choose another value.",
    ),
    code(
        "incomplete-test",
        "A test expects nothing, or expects something of what it does not give.",
        "Give the sample, the response, the right answer or the candidates that the message names.",
    ),
    code(
        "keeps-more-than-drawn",
        "More responses to a prompt are kept than are drawn.",
        "Keep fewer, or draw more.",
    ),
    code(
        "key-twice",
        "An experiment gives one key twice.",
        "Make it an axis, or zip it, or set it: once.",
    ),
    code(
        "knob-beyond-samples",
        "More samples are a candidate of a search than it draws.",
        "Raise `temperature.samples`, or balance fewer.",
    ),
    code(
        "knob-without-effect",
        "What is balanced beside the temperature changes nothing that is maximised.",
        "Maximise `{ balance = K }`, which sees what would be selected.",
    ),
    code(
        "knobs-beside-a-hook",
        "A function chooses the temperature, and something else is balanced besides.",
        "Leave `temperature.also` out, or maximise something else.",
    ),
    code(
        "micro-batch-too-large",
        "A micro-batch is larger than the batch.",
        "Write at most the batch size, or 0.",
    ),
    code(
        "misplaced-extends",
        "`extends` is set from outside a file.",
        "Write it at the top of the recipe.",
    ),
    code("misplaced-test", "A test is set from outside a file.", "Write `[[test]]` in the recipe."),
    code(
        "missing-base",
        "An experiment names no base recipe.",
        "Write `base = \"recipe.toml\"`, or give `--base FILE`.",
    ),
    code(
        "missing-hook",
        "A key asks for a function that the script does not have.",
        "Write the function that is named.",
    ),
    code(
        "missing-name",
        "A recipe, an experiment or a member has no name.",
        "Write `name = \"…\"`.",
    ),
    code(
        "mixed-too-late",
        "Unlabelled prompts would join after the last iteration.",
        "Lower `prompts.mix_at`, or run more iterations.",
    ),
    code(
        "mixed-without-answers",
        "Unlabelled prompts take part, and nothing gives them answers.",
        "Write `prompts.pseudo_answer`.",
    ),
    code("muon-without-rate", "Muon has a learning rate of 0.", "Write `muon_learning_rate`."),
    code("no-axis", "A table names a key that does not vary.", "Name an axis of the experiment."),
    code(
        "no-demonstrations",
        "The data has no worked examples to control with.",
        "Write `control.data = \"warmup\"`.",
    ),
    code(
        "no-effect",
        "Something is written that changes nothing beside what else is written.",
        "Leave it out, or change the key that the message names. Whoever wrote it expected something of it.",
    ),
    code(
        "no-metric",
        "A table or a finding names a metric that no member will have.",
        "Name one that is measured: the message lists them.",
    ),
    code(
        "no-solutions",
        "The data has no worked solutions to train on.",
        "Write `training.supervision = \"answer\"`.",
    ),
    code("no-value", "A key is given no value.", "Write one; `\"\"` is the empty string."),
    code(
        "not-fetched",
        "A model or data of the hub are not in the cache, so that a plan does not know them.",
        "`mstar run` brings them first, and so does `mstar fetch NAME`. It is no fault.",
    ),
    code("not-finite", "A number is infinite or none.", "Write a finite number."),
    code("not-utf-8", "A file holds bytes that belong to no character.", "Save it as UTF-8."),
    code("nothing-labelled", "No prompt has an answer that may be seen.", "Raise `data.labelled`."),
    code(
        "nothing-unlabelled",
        "Unlabelled prompts are to take part, and there are none.",
        "Lower `data.labelled`.",
    ),
    code(
        "out-of-range",
        "A number lies outside the range of its key.",
        "Write one inside it: `mstar explain KEY` says which.",
    ),
    code(
        "pretraining-of-trained",
        "A model that is trained already is to be pre-trained.",
        "Leave `[pretraining]` out, or start from `builtin:mini-vlm/random`.",
    ),
    code(
        "quote-without-validation",
        "The best iteration is chosen on validation prompts, and there are none.",
        "Take some, or write `evaluation.quote = \"last\"`.",
    ),
    code(
        "random-without-pretraining",
        "A model with random weights is never trained to speak.",
        "Write `[pretraining]`, or start from `builtin:mini-vlm`.",
    ),
    code("repeated-candidate", "A search has one temperature twice.", "Make the step larger."),
    code("repeated-part", "A part of the model is named twice.", "Name each once."),
    code("repeated-temperature", "A temperature is measured twice.", "Name each once."),
    code("repeated-test", "Two tests of a recipe have one name.", "Give each its own."),
    code(
        "same-members",
        "Two members of an experiment would do exactly the same.",
        "Leave one out with a `[[skip]]`.",
    ),
    code(
        "schedule-shorter-than-warmup",
        "A learning rate falls to its end before it has risen.",
        "Raise `over`, or shorten the warm-up of the schedule.",
    ),
    code(
        "schedule-without-horizon",
        "A falling learning rate has no end, and none is known.",
        "Write `over` in the schedule, or `training.steps_per_iteration`.",
    ),
    code(
        "schedule-without-points",
        "A scheduled temperature has no points.",
        "Write `temperature.points`, one for each iteration.",
    ),
    code(
        "script-outside",
        "A script lies outside the folder of the recipe.",
        "Keep it beside the recipe, and name it without `..`.",
    ),
    code(
        "search-beyond-validation",
        "A search wants more validation prompts than there are.",
        "Leave `temperature.prompts` out, or raise `data.validation`.",
    ),
    code(
        "selection-without-scores",
        "Responses are ranked, and nothing scores them.",
        "Choose a reward model, or `reward.select = \"all\"`.",
    ),
    code(
        "skips-all",
        "The conditions of an experiment leave no member.",
        "Leave a `[[skip]]` out.",
    ),
    code(
        "skips-nothing",
        "The condition of a `[[skip]]` fits no member.",
        "Leave it out, or look at its values.",
    ),
    code(
        "stop-without-samples",
        "Early stopping looks at Pass@K, which nothing measures.",
        "Raise `evaluation.pass_samples`, or stop by accuracy.",
    ),
    code(
        "stop-without-validation",
        "Early stopping looks at validation prompts, and there are none.",
        "Take some with `data.validation`.",
    ),
    code(
        "syntax",
        "The text is no TOML.",
        "Mend the place that is named: a recipe is `key = value` lines below `[table]` headers.",
    ),
    code(
        "threshold-without-model",
        "A threshold is balanced, and no trained model scores.",
        "Choose a reward model, or leave the threshold out.",
    ),
    code(
        "threshold-without-selection",
        "A threshold is balanced, and the selection has none.",
        "Write `reward.select = { above = 0.5 }`.",
    ),
    code(
        "too-few",
        "A list holds fewer values than its key needs.",
        "Write as many as the message asks for.",
    ),
    code(
        "too-few-samples",
        "Files of data have fewer samples than are asked for, or leave none to train on.",
        "Lower `data.prompts`, `data.validation` or `data.test`, or give more rows.",
    ),
    code(
        "too-many-candidates",
        "A search has more candidates than anybody would wait for.",
        "Make the step larger, or the range shorter.",
    ),
    code(
        "too-many-members",
        "An experiment has more members than can be planned.",
        "Leave axes or values out.",
    ),
    code(
        "torn-zip",
        "A member sets some of the keys that move together, and not the others.",
        "Set all of them, or none.",
    ),
    code(
        "unequal-zip",
        "Lists that move together are not equally long.",
        "Give each key one value for each point.",
    ),
    code(
        "unknown-builtin",
        "A name that begins with `builtin:` is none that the program has.",
        "Write one of those that the message lists.",
    ),
    code(
        "unknown-candidate",
        "A test expects a candidate that it does not have.",
        "Candidates are numbered from 0, in the order in which they are written.",
    ),
    code(
        "unknown-choice",
        "A key has no such choice.",
        "Write one of those that the message lists.",
    ),
    code(
        "unknown-form",
        "A choice with a value has no such name.",
        "Write one of the forms that the message lists.",
    ),
    code(
        "unknown-key",
        "No key is called so, or not in this table.",
        "Look at the hint; `mstar explain` lists all keys.",
    ),
    code(
        "unknown-sample",
        "A test names a sample that its recipe does not have.",
        "Name one as `builtin:mini-vista/train/0`, or a JSON file, or write `question` and `gold`.",
    ),
    code(
        "unknown-source",
        "No data source or benchmark is called so.",
        "Write one of those that the message names.",
    ),
    code(
        "unread-variable",
        "A variable of the environment is nearly a key, and nobody reads it.",
        "Write it as the hint says, or unset it.",
    ),
    code(
        "unreadable",
        "A recipe passed its checks and cannot be put together.",
        "That is a defect of mstar: please report it with the recipe.",
    ),
    code(
        "unreadable-file",
        "A file is not there, or cannot be read.",
        "Look at its path, kind, size and permissions, as the message says.",
    ),
    code(
        "untestable",
        "A test expects what is not known without a trained model, or what the recipe never does.",
        "Expect something else, or write what the model might say: the `score` of a candidate.",
    ),
    code(
        "verifiers-without-scores",
        "Verifiers are compared, and no reward model scores.",
        "Choose a reward model, or leave `evaluation.verifiers` out.",
    ),
    code(
        "verifiers-without-validation",
        "Verifiers are compared on validation prompts, and there are none.",
        "Take some with `data.validation`.",
    ),
    code(
        "vote-without-scores",
        "A weighted vote has no scores to add up.",
        "Choose a reward model, or write `prompts.pseudo_answer = \"majority-vote\"`.",
    ),
    code(
        "wrong-form",
        "A choice is written with a value where it has none, or without one where it has.",
        "Write it as the message shows.",
    ),
    code(
        "wrong-type",
        "A value is of another type than its key takes.",
        "Write it as the hint says: quotes around text, none around numbers.",
    ),
];

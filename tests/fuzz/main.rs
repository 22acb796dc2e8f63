//! No file can provoke a panic: every reader is given its kept corpus, then changed inputs for as
//! many seconds as `MSTAR_FUZZ_SECONDS` says, or one.
//!
//! ```text
//! MSTAR_FUZZ_SECONDS=600 cargo test --test fuzz -- --nocapture picture
//! ```
//!
//! A panic, arithmetic that overflows, more than 1 GiB of memory and a hang are faults. The smallest
//! input that was found for each lies in `target/tmp/fuzz/TARGET/`; once it is mended, it belongs to
//! `tests/fuzz/corpora/TARGET/`. `MSTAR_FUZZ_SEED` makes other inputs, and
//! `MSTAR_FUZZ_CORPORA` names another folder of corpora.

#![expect(clippy::unwrap_used, reason = "a test fails by a panic, helpers of tests included")]
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a campaign says what it did")]

mod campaign;
mod memory;
mod mutate;
mod targets;

use targets::{checkpoint, data, recipes, records};

#[global_allocator]
static COUNTED: memory::Counted = memory::Counted;

macro_rules! targets {
    ($($name:ident: $target:path,)*) => {
        $(
            #[test]
            fn $name() {
                campaign::run(stringify!($name), $target);
            }
        )*
    };
}

targets! {
    benchmark: data::benchmark,
    bundle: records::bundle,
    dialect: checkpoint::dialect,
    events: records::events,
    experiment: recipes::experiment,
    expression: recipes::expression,
    hub: records::hub,
    jsonl: data::jsonl,
    llava: data::llava,
    lock: records::lock,
    parquet: data::parquet,
    picture: data::picture,
    preprocessor: checkpoint::preprocessor,
    recipe: recipes::recipe,
    script: recipes::script,
    sentencepiece: checkpoint::sentencepiece,
    table: records::table,
    template: checkpoint::template,
    tokenizer: checkpoint::tokenizer,
    tsv: data::tsv,
}

#[cfg(feature = "torch")]
targets! {
    adapter: targets::weights::adapter,
    adapter_weights: targets::weights::adapter_weights,
    config: targets::weights::config,
    index: targets::weights::index,
    safetensors: targets::weights::safetensors,
}

//! `import`: puts a shipped checkpoint into the store, after its digest was compared.

use super::failure::{failed, failure};
use super::policy::{Policy, precision, write_metrics};
use crate::data::checkpoint;
use crate::engine::{Device, Weights};
use crate::plan::Import;
use crate::recipe::Dtype;
use crate::run::{Context, Stop};
use serde_json::json;

pub(super) fn run(options: &Import, device: Device, context: &Context<'_>) -> Result<(), Stop> {
    let Some(shipped) = checkpoint::shipped(&options.model) else {
        let hint = "use `builtin:mini-vlm`";
        return Err(failure(format!("no loader for the model `{}`", options.model), hint));
    };
    if shipped.digest() != options.digest {
        let hint = "plan again with this version of mstar";
        return Err(failure(format!("`{}` is not what was planned", options.model), hint));
    }
    let weights =
        Weights::from_bytes(shipped.weights, &options.model, precision(Dtype::Fp32), device)
            .map_err(failed)?;
    let policy = Policy::of_parts(weights, shipped.config, shipped.tokenizer.to_vec())?;
    let results = context.results();
    results.write("model.safetensors", shipped.weights)?;
    results.write("config.json", shipped.config.as_bytes())?;
    results.write("tokenizer.json", shipped.tokenizer)?;
    write_metrics(context, &json!({ "parameters": policy.model.parameters().count() }))
}

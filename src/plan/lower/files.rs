//! Data that lie in files: what the stages that read them are told.

use super::Lowering;
use crate::plan::Loading;

impl Lowering<'_> {
    /// The loader of the recipe's data; of files only their format, for where they lie is in no key.
    pub(super) fn source(&self) -> String {
        let source = &self.member.recipe.data.source;
        self.facts.files.get(source).map_or_else(|| source.clone(), |files| files.format.clone())
    }

    /// The files of the recipe's data, if it lies in any.
    pub(super) fn loading(&self) -> Option<Loading> {
        let data = &self.member.recipe.data;
        let files = self.facts.files.get(&data.source)?;
        Some(Loading {
            path: files.path.clone(),
            digest: files.digest,
            columns: data.columns.clone(),
            on_bad_sample: data.on_bad_sample,
        })
    }

    /// Prompts that files are cut into before the training prompts.
    pub(super) fn held_out(&self) -> u64 {
        let data = &self.member.recipe.data;
        if self.facts.files.contains_key(&data.source) { data.validation + data.test } else { 0 }
    }
}

//! Where the files of a recipe lie: in a bundle by names that are the same everywhere, and where it
//! is run again by paths of that machine. No key of a stage depends on them.

use super::packing::{free, script_paths};
use crate::base::{Digest, Fault, Faults, Hint as _};
use crate::bundle::{check_name, safe_name};
use crate::cli::data_files;
use crate::cli::exit::Trouble;
use crate::cli::frozen::FrozenRecipes;
use crate::cli::model_files;
use crate::cli::planning::PlannedGraph;
use crate::hub::Inside;
use crate::plan::{EarlierStage, FilesFacts, Import, Member, Stage};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

/// New places of scripts, of sources of data and of checkpoints, by the old ones.
#[derive(Default)]
struct Places {
    scripts: BTreeMap<String, String>,
    sources: BTreeMap<String, String>,
    models: BTreeMap<String, String>,
}

impl PlannedGraph {
    /// The same plan as a bundle holds it: whatever it names lies beside its recipe.
    pub(super) fn shared(&self) -> Result<Self, String> {
        let file = Path::new(&self.file).file_name().unwrap_or_default();
        self.moved(file.display().to_string(), &self.places())
    }

    /// What stands in a bundle in place of paths of the machine that the run was made on.
    fn places(&self) -> Places {
        let mut taken = BTreeSet::new();
        let mut name = |path: &str| match in_any_cache(path) {
            Some(name) => name,
            None => free(&beside(path, &self.file), &mut taken),
        };
        let sources = self.files.iter().map(|(source, files)| {
            (source.clone(), format!("{}:{}", files.format, name(&files.path)))
        });
        let sources = sources.collect();
        let models = self.models().into_keys().map(|path| {
            let name = name(&path);
            (path, name)
        });
        Places { sources, models: models.collect(), scripts: script_paths(self) }
    }

    /// The checkpoints in folders that the members name, with their digests.
    pub(super) fn models(&self) -> BTreeMap<String, Digest> {
        let imports = self.graph.nodes().filter_map(|node| match &node.stage {
            Stage::Import(Import { model, digest, .. }) => Some((model.clone(), *digest)),
            _ => None,
        });
        imports.filter(|(model, _)| !model.starts_with("builtin:")).collect()
    }

    /// A text of the run without the folders of the machine that it was made on.
    pub(super) fn without_folders(&self, text: &str) -> String {
        let Places { scripts, sources, models } = self.places();
        let folder = Path::new(&self.file).parent().map(|it| format!("{}/", it.display()));
        let folder = folder.map(|folder| (folder, String::new()));
        let all = sources.into_iter().chain(scripts).chain(models).chain(folder);
        let is_absolute = |(old, _): &(String, String)| {
            let path = old.split_once(':').map_or(old.as_str(), |(_, path)| path);
            Path::new(path).is_absolute() && path.len() > 1
        };
        all.filter(is_absolute).fold(text.to_owned(), |text, (old, new)| text.replace(&old, &new))
    }

    /// Names of data and checkpoints that somebody who runs it again must have; what the hub has is
    /// brought.
    pub(crate) fn needed(&self) -> BTreeSet<String> {
        let files = self.files.values().map(|files| files.path.clone());
        let all = files.chain(self.models().into_keys());
        all.filter(|path| in_any_cache(path).is_none()).collect()
    }

    fn moved(&self, file: String, places: &Places) -> Result<Self, String> {
        let recipes = self.recipes.recipes().map_err(|error| error.to_string())?;
        let names = self.members.iter().map(|member| member.name.clone());
        let members = names.zip(recipes).map(|(name, mut recipe)| {
            replace(&mut recipe.data.source, &places.sources);
            recipe.data.benchmarks.iter_mut().for_each(|it| replace(it, &places.sources));
            replace(&mut recipe.policy.model, &places.models);
            if let Some(script) = &mut recipe.hooks.script {
                replace(script, &places.scripts);
            }
            Member { name, recipe }
        });
        let members: Vec<Member> = members.collect();
        let mut moved = Self { file, recipes: FrozenRecipes::of(&members), ..self.clone() };
        for value in moved.members.iter_mut().flat_map(|member| member.values.values_mut()) {
            let texts = match value {
                Value::Array(several) => several.as_mut_slice(),
                one => std::slice::from_mut(one),
            };
            for text in texts {
                if let Value::String(text) = text {
                    replace(text, &places.sources);
                    replace(text, &places.scripts);
                    replace(text, &places.models);
                }
            }
        }
        let scripts = self.scripts.iter().map(|(path, text)| (path.clone(), text.clone()));
        moved.scripts = scripts.map(|(path, text)| (new(path, &places.scripts), text)).collect();
        let files = self.files.iter().map(|(source, files)| {
            let source = new(source.clone(), &places.sources);
            let path = source.split_once(':').map_or(&*source, |(_, path)| path).to_owned();
            (source, FilesFacts { path, ..files.clone() })
        });
        moved.files = files.collect();
        let models = self.models().into_iter();
        let models = models.map(|(path, digest)| (new(path, &places.models), digest));
        moved.graph = moved.lowered(models.collect())?;
        moved.stages = moved.graph.nodes().map(EarlierStage::from).collect();
        let keys = |planned: &Self| planned.graph.nodes().map(|it| it.key).collect::<BTreeSet<_>>();
        match keys(&moved) == keys(self) {
            true => Ok(moved),
            false => Err("planned with its files elsewhere, it has other stages".to_owned()),
        }
    }

    /// The plan of a bundle with its data where they lie on this machine: where somebody says, or
    /// beside the bundle.
    ///
    /// # Errors
    /// Everything that is not there, cannot be read, or is not what was bundled.
    pub(super) fn placed(&self, said: &[String], bundle: &Path) -> Result<Self, Trouble> {
        let said = said_places(said, &self.needed())?;
        let beside = bundle.parent().unwrap_or(Path::new(""));
        let place = |name: &str| said.get(name).cloned().unwrap_or_else(|| beside.join(name));
        let mut places = Places::default();
        for (source, files) in &self.files {
            let path = place(&files.path);
            places.sources.insert(source.clone(), format!("{}:{}", files.format, path.display()));
        }
        for name in self.models().into_keys() {
            places.models.insert(name.clone(), place(&name).display().to_string());
        }
        let altered =
            |reason: String| Trouble::wrong(reason, "the bundle was altered: fetch it again");
        let recipes = self.recipes.recipes().map_err(|error| altered(error.to_string()))?;
        let members = recipes.into_iter().map(|mut recipe| {
            replace(&mut recipe.data.source, &places.sources);
            recipe.data.benchmarks.iter_mut().for_each(|it| replace(it, &places.sources));
            Member { name: String::new(), recipe }
        });
        let found = data_files::read(&mut members.collect::<Vec<_>>(), Path::new(""), &|_, _| None);
        let (found, mut faults) = match found {
            Ok(found) => (found, Vec::new()),
            Err(Faults(faults)) => (BTreeMap::new(), faults),
        };
        for (source, files) in &self.files {
            if let Some(here) = found.get(&places.sources[source]) {
                faults.extend(other(&here.path, here.digest, (&files.path, files.digest)));
            }
        }
        for (name, wanted) in self.models() {
            let path = &places.models[&name];
            match model_files::digest(Path::new(path)) {
                Ok(digest) => faults.extend(other(path, digest, (&name, wanted))),
                Err(error) => faults.push(Fault {
                    code: "bad-model",
                    message: error.to_string(),
                    hint: error.hint(),
                    place: None,
                }),
            }
        }
        if !faults.is_empty() {
            let names = self.needed().into_iter().map(|name| format!("`--data {name}=PATH`"));
            let names: Vec<String> = names.collect();
            let hint = match names.is_empty() {
                true => {
                    "the cache of the hub was altered: take this away there, and it is brought \
                         again"
                        .to_owned()
                }
                false => format!("say where it lies: {}", names.join(", ")),
            };
            let told = faults.into_iter().map(|it| Fault { hint: Some(hint.clone()), ..it });
            return Err(Faults(told.collect()).into());
        }
        self.moved(self.file.clone(), &places).map_err(altered)
    }
}

/// The fault of what is there and is not what was wanted.
fn other(path: &str, found: Digest, (name, wanted): (&str, Digest)) -> Option<Fault> {
    let message = format!(
        "`{path}` is not what the run read as `{name}`: its digest is {found}, not {wanted}"
    );
    (found != wanted).then_some(Fault { code: "bad-data", message, hint: None, place: None })
}

/// Where somebody says that data lie, by the name in the bundle.
fn said_places(
    said: &[String],
    names: &BTreeSet<String>,
) -> Result<BTreeMap<String, PathBuf>, Trouble> {
    let place = |text: &String| {
        let hint = || match names.is_empty() {
            true => "the bundle needs none: leave `--data` out".to_owned(),
            false => {
                let names: Vec<&str> = names.iter().map(String::as_str).collect();
                format!("write `--data NAME=PATH`; the bundle names `{}`", names.join("`, `"))
            }
        };
        match text.split_once('=').filter(|(name, _)| names.contains(*name)) {
            Some((name, path)) => Ok((name.to_owned(), PathBuf::from(path))),
            None => Err(Trouble::wrong(format!("`{text}` names no data of the bundle"), hint())),
        }
    };
    said.iter().map(place).collect()
}

/// A path inside a cache of the hub without the folder of the cache.
fn in_any_cache(path: &str) -> Option<String> {
    let Inside { folder, rest, .. } = Inside::of(path)?;
    let at = folder.rfind("models--").or(folder.rfind("datasets--"))?;
    let rest = if rest.is_empty() { String::new() } else { format!("/{rest}") };
    Some(format!("/{}{rest}", &folder[at..]))
}

/// A path as it lies beside the recipe; else its last name alone.
pub(super) fn beside(path: &str, recipe: &str) -> String {
    below(path, recipe).unwrap_or_else(|| {
        safe_name(&Path::new(path).file_name().unwrap_or_default().to_string_lossy())
    })
}

/// A path from the folder of the recipe, if it lies there: the same from wherever the recipe is named.
pub(super) fn below(path: &str, recipe: &str) -> Option<String> {
    let folder = whole(Path::new(recipe).parent().unwrap_or(Path::new("")))?;
    let path = whole(Path::new(path))?;
    let written = path.strip_prefix(folder).ok()?.display().to_string();
    check_name(&written).is_ok().then_some(written)
}

/// A path from the root on, without steps up.
fn whole(path: &Path) -> Option<PathBuf> {
    let mut whole = PathBuf::new();
    for part in std::path::absolute(Path::new(".").join(path)).ok()?.components() {
        match part {
            Component::ParentDir => drop(whole.pop()),
            part => whole.push(part),
        }
    }
    Some(whole)
}

fn replace(text: &mut String, places: &BTreeMap<String, String>) {
    if let Some(new) = places.get(text) {
        text.clone_from(new);
    }
}

fn new(mut text: String, places: &BTreeMap<String, String>) -> String {
    replace(&mut text, places);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_beside_a_recipe_is_the_same_from_wherever_both_are_named() {
        let here = std::env::current_dir().unwrap().display().to_string();
        for recipe in ["p/a.toml", "./p/a.toml", "q/../p/a.toml", &format!("{here}/p/a.toml")] {
            let below = |path: &str| below(path, recipe);
            for path in ["p/models/m", "p/./models/m", &format!("{here}/p/models/m")] {
                assert_eq!(below(path).as_deref(), Some("models/m"), "{path} beside {recipe}");
            }
            for path in ["models/m", "p/../models/m", "/models/m", "p"] {
                assert_eq!(below(path), None, "{path} beside {recipe}");
            }
            assert_eq!(beside("/models/m", recipe), "m");
        }
        assert_eq!(below("models/m", "a.toml").as_deref(), Some("models/m"));
        assert_eq!(below(&format!("{here}/m"), "a.toml").as_deref(), Some("m"));
    }
}

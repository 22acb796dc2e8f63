//! A lock: everything that decides the result of a recipe, in a text that people can read.

use super::{Error, manifest};
use crate::base::{Digest, Key};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

/// Version of the format.
const FORMAT: u32 = 1;
/// What it is called where something is wrong with it.
pub(super) const WHAT: &str = "lock";
/// Disagreements that are told of one kind; of many the first say it all.
const TOLD: usize = 6;

/// What decides a result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lock {
    /// Version of the format.
    pub format: u32,
    /// The recipe or experiment.
    pub name: String,
    /// What computes it.
    pub made_by: MadeBy,
    /// The values of the recipe, by dotted key; of an experiment those that all members share.
    pub values: BTreeMap<String, Value>,
    /// Digests of scripts of hooks, by path.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub hooks: BTreeMap<String, Digest>,
    /// Models that are not trained by the recipe itself.
    #[serde(default, rename = "model", skip_serializing_if = "Vec::is_empty")]
    pub models: Vec<LockedModel>,
    /// Sources of data with their seeds and sizes. The key stands for the revision too.
    #[serde(default, rename = "data", skip_serializing_if = "Vec::is_empty")]
    pub data: Vec<LockedStage>,
    /// Members of an experiment.
    #[serde(default, rename = "member", skip_serializing_if = "Vec::is_empty")]
    pub members: Vec<LockedMember>,
    /// Every stage.
    #[serde(rename = "stage")]
    pub stages: Vec<LockedStage>,
}

/// What computes a result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MadeBy {
    /// Version of this program.
    pub mstar: String,
    /// Version of libtorch; none in a build without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub libtorch: Option<String>,
    /// Operating system and architecture.
    pub platform: String,
    /// `cpu` or `cuda`.
    pub device: String,
}

/// A model that is read, not made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockedModel {
    /// As recipes name it.
    pub name: String,
    /// Digest of its files.
    pub digest: Digest,
    /// The commit of one from the hub.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
}

/// A member of an experiment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockedMember {
    /// Its name.
    pub name: String,
    /// Values that not all members share, by dotted key.
    pub values: BTreeMap<String, Value>,
}

/// A stage.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockedStage {
    /// What people call it.
    pub name: String,
    /// Its key, which stands for everything that decides its result.
    pub key: Key,
    /// Options, where they are worth reading.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub options: Map<String, Value>,
}

impl Lock {
    /// Of these parts.
    pub fn new(name: String, made_by: MadeBy, stages: Vec<LockedStage>) -> Self {
        Self {
            format: FORMAT,
            name,
            made_by,
            values: BTreeMap::new(),
            hooks: BTreeMap::new(),
            models: Vec::new(),
            data: Vec::new(),
            members: Vec::new(),
            stages,
        }
    }

    /// Reads a lock.
    ///
    /// # Errors
    /// When it is no lock, or one of a later format.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let reason = |error: toml::de::Error| error.message().to_owned();
        manifest::check_format(WHAT, FORMAT, || {
            toml::from_str::<manifest::About>(text).map(|it| it.format).map_err(reason)
        })?;
        toml::from_str(text)
            .map_err(|error| Error::Unreadable { what: WHAT, reason: reason(error) })
    }

    /// The text.
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("a lock holds only texts, numbers, lists and tables")
    }

    /// What another lock says otherwise, one sentence each. Empty when both pin the same.
    pub fn disagreements(&self, now: &Self) -> Vec<String> {
        let mut told = Vec::new();
        let by = |made_by: &MadeBy| {
            let libtorch = made_by.libtorch.clone().unwrap_or_else(|| "none".to_owned());
            let MadeBy { mstar, platform, device, .. } = made_by.clone();
            [("mstar", mstar), ("libtorch", libtorch), ("platform", platform), ("device", device)]
        };
        for ((what, locked), (_, found)) in by(&self.made_by).into_iter().zip(by(&now.made_by)) {
            if locked != found {
                told.push(format!("{what}: locked `{locked}`, now `{found}`"));
            }
        }
        told.extend(differences("", &self.values, &now.values));
        let members = |lock: &Self| -> BTreeMap<String, BTreeMap<String, Value>> {
            lock.members.iter().map(|it| (it.name.clone(), it.values.clone())).collect()
        };
        let (locked, found) = (members(self), members(now));
        for name in locked.keys().filter(|name| !found.contains_key(*name)) {
            told.push(format!("member `{name}`: locked, now gone"));
        }
        for (name, values) in &found {
            match locked.get(name) {
                Some(before) => {
                    told.extend(differences(&format!("`{name}`: "), before, values));
                }
                None => told.push(format!("member `{name}`: not locked")),
            }
        }
        let hooks = |lock: &Self| texts(lock.hooks.iter());
        told.extend(differences("script ", &hooks(self), &hooks(now)));
        let models = |lock: &Self| texts(lock.models.iter().map(|it| (&it.name, &it.digest)));
        told.extend(differences("model ", &models(self), &models(now)));
        let commits = |lock: &Self| -> BTreeMap<String, Value> {
            let of = |it: &LockedModel| Some((it.name.clone(), it.commit.clone()?.into()));
            lock.models.iter().filter_map(of).collect()
        };
        told.extend(differences("commit of ", &commits(self), &commits(now)));
        let keys = |lock: &Self| lock.stages.iter().map(|it| it.key).collect::<BTreeSet<_>>();
        let (locked, found) = (keys(self), keys(now));
        if locked != found {
            told.push(format!(
                "stages: {} locked are gone, {} are not locked, {} agree",
                locked.difference(&found).count(),
                found.difference(&locked).count(),
                locked.intersection(&found).count(),
            ));
        }
        told
    }
}

fn texts<'a>(pairs: impl Iterator<Item = (&'a String, &'a Digest)>) -> BTreeMap<String, Value> {
    pairs.map(|(name, digest)| (name.clone(), digest.to_string()[..12].into())).collect()
}

fn differences(
    what: &str,
    locked: &BTreeMap<String, Value>,
    now: &BTreeMap<String, Value>,
) -> Vec<String> {
    let keys: BTreeSet<&String> = locked.keys().chain(now.keys()).collect();
    let is_other = |key: &&String| locked.get(*key) != now.get(*key);
    let word = |value: Option<&Value>| match value {
        Some(Value::String(text)) => format!("`{text}`"),
        Some(value) => format!("`{value}`"),
        None => "nothing".to_owned(),
    };
    let different: Vec<&String> = keys.into_iter().filter(is_other).collect();
    let told = different.iter().take(TOLD).map(|key| {
        format!("{what}`{key}`: locked {}, now {}", word(locked.get(*key)), word(now.get(*key)))
    });
    let mut told: Vec<String> = told.collect();
    if different.len() > TOLD {
        told.push(format!("{what}and {} more", different.len() - TOLD));
    }
    told
}

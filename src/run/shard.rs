//! Marks of finished shards. A mark holds the digests of the files that its shard wrote, so that a
//! torn file is a shard that was never done.

use crate::{
    base::Digest,
    store::{Error, Folder},
};
use std::collections::{BTreeMap, BTreeSet};

/// Marks a shard as done, with all that was written through this handle of the folder.
pub(super) fn mark(work: &Folder, shard: u64) -> Result<(), Error> {
    let files: BTreeMap<String, Digest> = work.written()?.into_iter().collect();
    let text = serde_json::to_vec(&files).expect("digests are plain data");
    work.write(&name(shard), &text)
}

/// The shards that an earlier run left done and whole.
pub(super) fn done(work: &Folder, shards: u64) -> Result<BTreeSet<u64>, Error> {
    let mut done = BTreeSet::new();
    for shard in 0..shards {
        if is_done(work, shard)? {
            done.insert(shard);
        }
    }
    Ok(done)
}

fn is_done(work: &Folder, shard: u64) -> Result<bool, Error> {
    let Some(text) = work.read(&name(shard))? else { return Ok(false) };
    let Ok(files) = serde_json::from_slice::<BTreeMap<String, Digest>>(&text) else {
        return Ok(false);
    };
    for (file, digest) in files {
        if work.digest(&file)? != Some(digest) {
            return Ok(false);
        }
    }
    Ok(true)
}

fn name(shard: u64) -> String {
    format!("shard-{shard:06}.done")
}

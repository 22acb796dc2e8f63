//! What is brought from the hub, and how far it is: a bar on a terminal, plain lines elsewhere.

use super::exit::{Exit, Trouble};
use super::printer::Printer;
use super::progress::{REDRAWS, style_of};
use crate::base::{Bytes, Digest, Duration};
use crate::benchmarks::Benchmark;
use crate::data::loaders::Format;
use crate::data::source::{OnHub, SOURCES, Source};
use crate::hub::{self, HubError, Inside, Kind, Progress, Repo, Settings, Snapshot};
use crate::plan::Member;
use crate::recipe::Policy;
use crate::run::Clock;
use indicatif::{ProgressBar, ProgressDrawTarget};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// Plain lines are at least this far apart.
const PLAIN_EVERY_SECS: f64 = 10.0;

/// How the hub is reached from here.
pub(crate) fn settings() -> Settings {
    Settings::of_environment(&|name| std::env::var_os(name))
}

/// What a name stands for: a source of data, a model, or a data set.
pub(crate) fn repo_of(name: &str, revision: &str) -> Result<Repo, HubError> {
    match SOURCES.iter().find(|source| source.name == name).and_then(|source| source.hub) {
        Some(on_hub) => {
            let files: Vec<&str> = std::iter::once(on_hub.rows).chain(on_hub.beside).collect();
            Ok(Repo::data(on_hub.id, revision)?.with_files(&files))
        }
        None => Repo::parse(name, revision),
    }
}

/// The folder in which a model of a recipe lies, if it is on the hub and in the cache.
///
/// # Errors
/// When the hub can have no such revision.
pub(crate) fn model_in_cache(policy: &Policy) -> Result<Option<PathBuf>, HubError> {
    if !Repo::is_id(&policy.model) {
        return Ok(None);
    }
    let repo = Repo::model(&policy.model, &policy.revision)?;
    Ok(hub::cached(&repo, &settings()).map(|found| found.folder))
}

/// A source of data by its name as `FORMAT:PATH`, if its files are in the cache as they are read.
pub(crate) fn data_in_cache(name: &str) -> Option<String> {
    let repo = readable(name)?;
    let snapshot = hub::cached(&repo, &settings())?;
    let on_hub = Source::named(name).ok()?.hub?;
    if on_hub.beside.is_some_and(|archive| !hub::is_unpacked(&snapshot, archive)) {
        return None;
    }
    Some(format!("{name}:{}", snapshot.folder.join(on_hub.rows).display()))
}

/// The files of a benchmark, if the cache has them.
pub(crate) fn benchmark_in_cache(benchmark: &Benchmark) -> Option<PathBuf> {
    let folder = hub::cached(&repo_of_benchmark(benchmark)?, &settings())?.folder;
    Some(folder.join(benchmark.source().1))
}

/// The files of a benchmark in the cache, into which they are brought if they are not there.
///
/// # Errors
/// When the hub has none, or they cannot be brought.
pub(crate) fn benchmark_here(benchmark: &Benchmark, printer: Printer) -> Result<PathBuf, Trouble> {
    if let Some(path) = benchmark_in_cache(benchmark) {
        return Ok(path);
    }
    let repo = repo_of_benchmark(benchmark).ok_or_else(|| {
        let message = format!("nobody knows where the hub has `{benchmark}`");
        Trouble::wrong(message, "say where its files lie: `--data FOLDER`")
    })?;
    Ok(bring(&repo, &settings(), printer)?.folder.join(benchmark.source().1))
}

/// Where the files of a benchmark's split are.
fn repo_of_benchmark(benchmark: &Benchmark) -> Option<Repo> {
    let (name, files) = benchmark.source();
    let on_hub = Source::named(name).ok()?.hub?;
    Some(Repo::data(on_hub.id, Repo::MAIN).ok()?.with_files(&[&files]))
}

/// Whether `FORMAT:PATH` is what the name alone stands for, in this or another cache.
pub(crate) fn is_named(format: Format, source: &str) -> bool {
    let on_hub = Source::named(&format.to_string()).ok().and_then(|source| source.hub);
    let inside = Inside::of(source);
    on_hub.zip(inside).is_some_and(|(hub, it)| hub.id == it.repo.id() && hub.rows == it.rest)
}

/// Where a source of data is on the hub.
fn readable(name: &str) -> Option<Repo> {
    Source::named(name).ok()?.hub?;
    repo_of(name, Repo::MAIN).ok()
}

/// What recipes name that must be brought before they run, each once, with the key and the member
/// that name it. `models` are those that lie in folders.
pub(crate) fn missing(
    members: &[Member],
    models: &BTreeMap<String, Digest>,
) -> Vec<(&'static str, String, Repo)> {
    let mut found: Vec<(&str, String, Repo)> = Vec::new();
    for Member { name, recipe } in members {
        let Policy { model, revision, .. } = &recipe.policy;
        let is_on_hub = Repo::is_id(model) && !models.contains_key(model);
        let model = is_on_hub.then(|| Repo::model(model, revision).ok()).flatten();
        let wanted = [("policy.model", model), ("data.source", readable(&recipe.data.source))];
        let benchmarks = recipe.data.benchmarks.iter().map(|written| {
            let repo = Benchmark::named(written).ok().filter(|_| !written.contains(':'));
            ("data.benchmarks", repo.and_then(|it| repo_of_benchmark(&it)))
        });
        for (key, repo) in wanted.into_iter().chain(benchmarks) {
            let repo = repo.filter(|repo| found.iter().all(|(_, _, known)| known != repo));
            found.extend(repo.map(|repo| (key, name.clone(), repo)));
        }
    }
    found
}

/// The command that brings a repository.
pub(crate) fn command(repo: &Repo) -> String {
    let is_it = |source: &&Source| readable(source.name).is_some_and(|known| known == *repo);
    match (SOURCES.iter().find(is_it), repo.revision()) {
        (Some(source), _) => format!("mstar fetch {}", source.name),
        (None, Repo::MAIN) => format!("mstar fetch {repo}"),
        (None, revision) => format!("mstar fetch {repo} --revision {revision}"),
    }
}

/// The archive of pictures among the files of a repository, if it is a source that has one.
fn archive_of(repo: &Repo) -> Option<&'static str> {
    let mut archives = sources_in(repo).filter_map(|it| it.beside);
    archives.find(|archive| repo.files().iter().any(|file| file == archive))
}

/// Only the files of a repository that fit one of these patterns; all where there is none. With rows
/// comes the archive of their pictures.
pub(crate) fn with_pictures(repo: Repo, patterns: &BTreeSet<String>) -> Repo {
    let with_rows = sources_in(&repo).filter(|it| patterns.contains(it.rows));
    let archives: Vec<&str> = with_rows.filter_map(|it| it.beside).collect();
    let files: Vec<&str> = patterns.iter().map(String::as_str).chain(archives).collect();
    repo.with_files(&files)
}

/// What the sources that lie in a repository have there.
fn sources_in(repo: &Repo) -> impl Iterator<Item = OnHub> {
    let on_hub = SOURCES.iter().filter_map(|source| source.hub);
    on_hub.filter(|it| repo.kind() == Kind::Data && it.id == repo.id())
}

/// Brings a repository, unpacks its pictures where they come in an archive, and shows how far it is.
pub(crate) fn bring(
    repo: &Repo,
    settings: &Settings,
    printer: Printer,
) -> Result<Snapshot, Trouble> {
    let mut shown = Shown::new(&repo.to_string(), printer);
    let snapshot = hub::snapshot(repo, settings, &mut |told| shown.see(told));
    shown.bar.finish_and_clear();
    let snapshot = snapshot.map_err(|error| of_hub(&error))?;
    if let Some(archive) = archive_of(repo) {
        let mut shown = Shown::new(archive, printer);
        let unpacked =
            hub::unpack((repo, &snapshot), archive, settings, &mut |told| shown.see(told));
        shown.bar.finish_and_clear();
        unpacked.map_err(|error| of_hub(&error))?;
    }
    Ok(snapshot)
}

/// An error of the hub.
pub(crate) fn of_hub(error: &HubError) -> Trouble {
    let exit = if error.is_of_what_was_named() { Exit::Wrong } else { Exit::StageFailed };
    Trouble::from_hint(error, exit)
}

/// What is shown of a download.
struct Shown {
    printer: Printer,
    /// The repository, or the archive that is unpacked.
    name: String,
    bar: ProgressBar,
    clock: Clock,
    told_secs: f64,
    file: String,
    arrived: u64,
    /// Bytes that were there before, which say nothing of how fast it goes.
    known: u64,
    total: u64,
}

impl Shown {
    fn new(name: &str, printer: Printer) -> Self {
        Self {
            printer,
            name: name.to_owned(),
            bar: ProgressBar::hidden(),
            clock: Clock::start(),
            told_secs: 0.0,
            file: String::new(),
            arrived: 0,
            known: 0,
            total: 0,
        }
    }

    fn see(&mut self, told: Progress<'_>) {
        match told {
            Progress::Found { files: 0, .. } => {}
            Progress::Found { files, bytes } => {
                let plural = if files == 1 { "" } else { "s" };
                let name = &self.name;
                self.printer.talk(&format!("{name}: {files} file{plural}, {}", Bytes(bytes)));
                self.total = bytes;
                if self.printer.redraws() {
                    let style = "  {prefix} {wide_bar:.cyan/dim} {bytes}/{total_bytes}, \
                                 {bytes_per_sec}, {eta} to go";
                    let target = ProgressDrawTarget::stderr_with_hz(REDRAWS);
                    self.bar = ProgressBar::with_draw_target(Some(bytes), target)
                        .with_style(style_of(style));
                }
            }
            Progress::File { name, .. } => {
                self.file = name.to_owned();
                self.bar.set_prefix(self.file.clone());
            }
            Progress::Arrived(bytes) => {
                self.arrived += bytes;
                self.bar.set_position(self.arrived);
                self.tell_plainly();
            }
            Progress::Kept(bytes) => {
                self.arrived += bytes;
                self.known += bytes;
                self.bar.set_position(self.arrived);
                // What was there says nothing of how fast it goes.
                self.bar.reset_eta();
            }
            Progress::Lost(bytes) => {
                self.arrived = self.arrived.saturating_sub(bytes);
                self.bar.set_position(self.arrived);
            }
            Progress::Waiting { seconds, reason } => {
                let line = format!("{}: {reason}: waits {}", self.name, Duration(seconds));
                self.bar.suspend(|| self.printer.talk(&line));
            }
        }
    }

    fn tell_plainly(&mut self) {
        let now = self.clock.seconds();
        if self.printer.redraws() || now - self.told_secs < PLAIN_EVERY_SECS {
            return;
        }
        self.told_secs = now;
        let rate = self.arrived.saturating_sub(self.known) as f64 / now;
        let left = self.total.saturating_sub(self.arrived) as f64 / rate;
        let (arrived, total) = (Bytes(self.arrived), Bytes(self.total));
        let rate = Bytes(rate as u64);
        let text = format!("{}: {arrived} of {total}, {rate}/s", self.file);
        self.printer.talk(&format!("  {text}, {} to go", Duration(left)));
    }
}

//! Arguments, printer, progress, diagnostics, exit codes: what a person meets.
//!
//! May import: base, benchmarks, bundle, event, store, recipe, plan, hooks, data, hub, judging, trial, run, stages, report, live, track.
//! Owns: standard output and standard error, and the exit code. Never: computes a result; whatever
//! it shows was decided in another room.

mod arguments;
mod asked;
mod commands;
mod comparison;
mod conditions;
mod data_files;
mod digests;
mod exit;
mod fetching;
mod files;
mod frozen;
mod live;
mod model_files;
mod outcomes;
mod outputs;
mod planning;
mod printer;
mod progress;
mod recorded;
mod records;
mod rollouts;
mod samples;
mod scripts;
mod sharing;
mod sources;
mod trackers;
mod trials;

use arguments::{Arguments, Command};
use clap::{CommandFactory as _, FromArgMatches as _};
use exit::{Exit, Trouble};
use printer::Printer;
use std::process::ExitCode;

/// Reads the arguments, does what they say and returns the exit code: 0 done, 1 a stage failed, 2
/// the recipe or the command is wrong, 3 mstar itself broke, 130 interrupted.
pub fn main() -> ExitCode {
    start(dispatch)
}

/// The same for `mstar-worker`, the program beside it that is linked with libtorch.
#[cfg(feature = "torch")]
pub fn worker_main() -> ExitCode {
    start(|arguments, printer| match &arguments.command {
        Command::Worker(worker) => commands::worker(worker, &arguments.store),
        Command::Sample(sample) => commands::sample(sample, &arguments.store, printer),
        Command::Eval(eval) => commands::eval_model(eval, &arguments.store, printer),
        Command::Export(export) => commands::export(export, &arguments.store, printer),
        Command::CudaDevices => commands::count_cuda_devices(printer),
        _ => Err(Trouble::wrong("this program only works for `mstar`", "call `mstar`")),
    })
}

/// The arguments. An environment that gives the store no name says nothing of it.
fn parse() -> Result<Arguments, clap::Error> {
    let mut command = Arguments::command();
    if std::env::var_os(arguments::STORE).is_some_and(|it| it.is_empty()) {
        command = command.mut_arg("store", |store| store.env(None::<&'static str>));
    }
    let mut matches = command.try_get_matches_from_mut(std::env::args_os())?;
    Arguments::from_arg_matches_mut(&mut matches).map_err(|error| error.format(&mut command))
}

fn start(carry_out: fn(&Arguments, Printer) -> Result<Exit, Trouble>) -> ExitCode {
    let arguments = match parse() {
        Ok(arguments) => arguments,
        Err(error) => return exit::of_clap(&error),
    };
    let printer = Printer::new(arguments.quiet);
    let broke = std::panic::catch_unwind(|| carry_out(&arguments, printer));
    match broke {
        Ok(Ok(exit)) => exit.into(),
        Ok(Err(trouble)) => {
            printer.complain(&trouble.to_string());
            trouble.exit().into()
        }
        Err(_) => {
            printer.complain("mstar itself broke; the message above says where. Please report it");
            Exit::Broke.into()
        }
    }
}

fn dispatch(arguments: &Arguments, printer: Printer) -> Result<Exit, Trouble> {
    let store = &arguments.store;
    match &arguments.command {
        Command::Check(check) => commands::check(check, printer),
        Command::Plan(plan) => commands::plan(plan, store, printer),
        Command::Run(run) => commands::run(run, store, printer),
        Command::Show(show) => commands::show(show, store, printer),
        Command::List(list) => commands::list(list, store, printer),
        Command::Diff(diff) => commands::diff(diff, store, printer),
        Command::Rollouts(rollouts) => commands::rollouts(rollouts, store, printer),
        Command::Index(index) => commands::index(index, store, printer),
        Command::Watch(watch) => commands::watch(watch, store, printer),
        Command::Track(track) => commands::track(track, store, printer),
        Command::Report(report) => commands::report(report, store, printer),
        Command::Bundle(bundle) => commands::bundle(bundle, store, printer),
        Command::Verify(verify) => commands::verify(verify, printer),
        Command::Reproduce(reproduce) => commands::reproduce(reproduce, store, printer),
        Command::Lock(lock) => commands::lock(lock, printer),
        Command::Eval(eval) => match &eval.responses {
            Some(responses) => commands::eval(eval, responses, printer),
            None => commands::hand_over(),
        },
        Command::Data(data) => commands::data(data, printer),
        Command::Gc(gc) => commands::gc(gc, store, printer),
        Command::Schema(schema) => commands::schema(schema, printer),
        Command::Explain(explain) => commands::explain(explain, printer),
        Command::Init(init) => commands::init(init, printer),
        Command::Completions(completions) => commands::completions(completions, printer),
        Command::Man(man) => commands::man(man, printer),
        Command::Hook(hook) => commands::hook(hook, printer),
        Command::Test(test) => commands::test(test, printer),
        Command::Fetch(fetch) => commands::fetch(fetch, printer),
        Command::Doctor => commands::doctor(store, printer),
        Command::Sample(_) | Command::Export(_) | Command::Worker(_) | Command::CudaDevices => {
            commands::hand_over()
        }
    }
}

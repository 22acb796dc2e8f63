//! What can be typed to watch a run and to tell others of it.

use clap::Args;

/// How a run shows itself while it goes.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Shown {
    /// Serve a page on this machine that follows the run; its address is told.
    #[arg(long)]
    pub(crate) ui: bool,
    /// The port of the page (default: a free one).
    #[arg(long, value_name = "N", requires = "ui", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) port: Option<u16>,
}

/// Arguments of `track`.
#[derive(Args, Debug)]
pub(crate) struct Track {
    /// The run (default: the latest).
    pub(crate) run: Option<String>,
    /// A tracker: `tensorboard=DIR` or `mlflow=URL`; `mlflow` alone is that of
    /// `MLFLOW_TRACKING_URI`.
    #[arg(long = "to", value_name = "TRACKER", required = true)]
    pub(crate) to: Vec<String>,
}

/// Arguments of `watch`.
#[derive(Args, Debug)]
pub(crate) struct Watch {
    /// The run (default: the latest).
    pub(crate) run: Option<String>,
    /// Show how far it is and end.
    #[arg(long, conflicts_with_all = ["ui", "port"])]
    pub(crate) once: bool,
    #[command(flatten)]
    pub(crate) shown: Shown,
}

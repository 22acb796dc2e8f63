//! Arguments of the command that brings what is on the hub.

use super::TextOrJson;
use clap::Args;

/// Arguments of `fetch`.
#[derive(Args, Debug)]
pub(crate) struct Fetch {
    /// A model `ORG/NAME`, a data set `datasets/ORG/NAME`, or the name of a data source such as
    /// `mathvista`.
    #[arg(value_name = "MODEL|DATASET")]
    pub(crate) name: String,
    /// The branch, tag or commit.
    #[arg(long, value_name = "REVISION", default_value = "main")]
    pub(crate) revision: String,
    /// In which form.
    #[arg(long, value_enum, default_value_t = TextOrJson::Text)]
    pub(crate) format: TextOrJson,
}

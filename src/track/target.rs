//! Trackers as they are named: `tensorboard=DIR`, `mlflow=URL`.

use crate::base::{Digest, Hint};
use std::path::PathBuf;
use thiserror::Error;

/// A tracker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Event files in a folder.
    TensorBoard(PathBuf),
    /// A server; its address without a slash at the end.
    Mlflow(String),
}

/// What a server wants to know of who tells it.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Credentials {
    /// The value of the header `Authorization`.
    pub(super) authorization: Option<String>,
    /// The address where none is named.
    uri: Option<String>,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Credentials(…)")
    }
}

/// Why a name is that of no tracker.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum TargetError {
    /// Of no kind that is known.
    #[error("`{text}` names no tracker")]
    Unknown {
        /// As it was written.
        text: String,
    },
    /// TensorBoard without a folder.
    #[error("`tensorboard` has no folder")]
    NoFolder,
    /// MLflow without an address.
    #[error("`mlflow` has no address")]
    NoAddress,
    /// An address of another kind.
    #[error("`{url}` is no address of an MLflow server")]
    Address {
        /// As it was written.
        url: String,
    },
    /// An address with a password in it, which would be told and kept.
    #[error("the address of the MLflow server holds a name or a password")]
    Secret,
}

impl Hint for TargetError {
    fn hint(&self) -> Option<String> {
        Some(
            match self {
                Self::Unknown { .. } => "write `tensorboard=DIR` or `mlflow=URL`",
                Self::NoFolder => "write `tensorboard=DIR`",
                Self::NoAddress => "write `mlflow=URL`, or set `MLFLOW_TRACKING_URI`",
                Self::Address { .. } => {
                    "it begins with `http://` or `https://`; start one: `mlflow server`"
                }
                Self::Secret => {
                    "set `MLFLOW_TRACKING_TOKEN`, or `MLFLOW_TRACKING_USERNAME` and \
                     `MLFLOW_TRACKING_PASSWORD`"
                }
            }
            .to_owned(),
        )
    }
}

impl Credentials {
    /// What the environment says, in the variables that MLflow's own client reads.
    pub fn of(environment: &[(String, String)]) -> Self {
        let get = |wanted: &str| {
            let found = environment.iter().find(|(name, _)| name == wanted);
            found.map(|(_, value)| value.trim()).filter(|value| !value.is_empty())
        };
        let basic = || {
            use base64::{Engine as _, engine::general_purpose::STANDARD};
            let name = get("MLFLOW_TRACKING_USERNAME")?;
            let password = get("MLFLOW_TRACKING_PASSWORD").unwrap_or_default();
            Some(format!("Basic {}", STANDARD.encode(format!("{name}:{password}"))))
        };
        let bearer = get("MLFLOW_TRACKING_TOKEN").map(|token| format!("Bearer {token}"));
        let uri = get("MLFLOW_TRACKING_URI").map(str::to_owned);
        Self { authorization: bearer.or_else(basic), uri }
    }
}

impl Target {
    /// Reads a name; `mlflow` alone is the server that the environment names.
    ///
    /// # Errors
    /// When it is the name of no tracker.
    pub fn parse(text: &str, credentials: &Credentials) -> Result<Self, TargetError> {
        let (kind, place) = text.split_once('=').unwrap_or((text, ""));
        match kind {
            "tensorboard" if place.is_empty() => Err(TargetError::NoFolder),
            "tensorboard" => Ok(Self::TensorBoard(place.into())),
            "mlflow" => {
                let place = if place.is_empty() { credentials.uri.as_deref() } else { Some(place) };
                Self::of_url(place.ok_or(TargetError::NoAddress)?)
            }
            _ => Err(TargetError::Unknown { text: text.to_owned() }),
        }
    }

    fn of_url(url: &str) -> Result<Self, TargetError> {
        let rest = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
        let host = rest.and_then(|rest| rest.split('/').next()).unwrap_or_default();
        if host.contains('@') {
            return Err(TargetError::Secret);
        }
        let is_plain = |c: char| c.is_ascii_graphic() && !matches!(c, '?' | '#' | '"' | '\\');
        if host.is_empty() || !url.chars().all(is_plain) {
            return Err(TargetError::Address { url: url.to_owned() });
        }
        Ok(Self::Mlflow(url.trim_end_matches('/').to_owned()))
    }

    /// Its name.
    pub fn name(&self) -> String {
        match self {
            Self::TensorBoard(folder) => format!("tensorboard={}", folder.display()),
            Self::Mlflow(url) => format!("mlflow={url}"),
        }
    }

    /// A name for files, the same wherever the program is called from.
    pub(super) fn slug(&self) -> String {
        let whole = match self {
            Self::TensorBoard(folder) => {
                let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.clone());
                format!("tensorboard={}", folder.display())
            }
            Self::Mlflow(_) => self.name(),
        };
        Digest::of(whole.as_bytes()).to_string()[..16].to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trackers_are_named_by_kind_and_place() {
        let environment = [("MLFLOW_TRACKING_URI", "https://tracker.example/sub/")];
        let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let (none, some) = (Credentials::default(), Credentials::of(&environment));
        let parse = |text| Target::parse(text, &none);
        assert_eq!(parse("tensorboard=a=b"), Ok(Target::TensorBoard("a=b".into())));
        assert_eq!(
            parse("mlflow=http://[::1]:5000/"),
            Ok(Target::Mlflow("http://[::1]:5000".into()))
        );
        assert_eq!(parse("mlflow"), Err(TargetError::NoAddress));
        let named = Target::Mlflow("https://tracker.example/sub".into());
        assert_eq!(Target::parse("mlflow", &some), Ok(named));
        assert_eq!(parse("tensorboard"), Err(TargetError::NoFolder));
        assert_eq!(parse("mlflow=http://me:secret@host"), Err(TargetError::Secret));
        for text in
            ["mlflow=file:///tmp", "mlflow=http://", "mlflow=http://a b", "mlflow=http:///x"]
        {
            assert!(matches!(parse(text), Err(TargetError::Address { .. })), "{text}");
        }
        assert!(matches!(parse("wandb=x"), Err(TargetError::Unknown { .. })));
    }

    #[test]
    fn a_token_goes_before_a_password_and_neither_is_shown() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let mut environment =
            vec![pair("MLFLOW_TRACKING_USERNAME", "me"), pair("MLFLOW_TRACKING_PASSWORD", "pw")];
        let basic = Credentials::of(&environment);
        assert_eq!(basic.authorization.as_deref(), Some("Basic bWU6cHc="));
        environment.push(pair("MLFLOW_TRACKING_TOKEN", "abc"));
        let bearer = Credentials::of(&environment);
        assert_eq!(bearer.authorization.as_deref(), Some("Bearer abc"));
        assert!(!format!("{bearer:?}").contains("abc"));
    }
}

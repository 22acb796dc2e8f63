//! An MLflow server: one experiment for each recipe, one run for each member, told over its REST
//! interface. Every number has the time at which the log has it, so that a server with a database
//! keeps one that is told twice, after an answer was lost, once.

use super::error::TrackError;
use super::item::{Item, Parameters, Reader, What};
use super::sink::Cursor;
use super::target::Credentials;
use crate::base::Digest;
use crate::event::Outcome;
use serde_json::{Value, json};
use std::time::Duration;
use ureq::Agent;

/// How long a server may take to be found, and to answer.
const TO_CONNECT: Duration = Duration::from_secs(5);
const TO_ANSWER: Duration = Duration::from_secs(15);
/// Bytes of the longest answer that is read.
const LONGEST_ANSWER: u64 = 1 << 20;
/// Numbers and parameters that a server takes at a time.
const NUMBERS: usize = 1000;
const PARAMETERS: usize = 100;
/// Characters of a parameter's name and value that every server takes.
const LONGEST_KEY: usize = 250;
const LONGEST_VALUE: usize = 500;

/// A server.
pub(super) struct Mlflow {
    agent: Agent,
    url: String,
    authorization: Option<String>,
    parameters: Parameters,
    experiment: Option<String>,
}

impl Mlflow {
    pub(super) fn new(url: &str, credentials: &Credentials, parameters: Parameters) -> Self {
        let is_here = ["http://127.0.0.1", "http://localhost", "http://[::1]"].iter().any(|here| {
            url.strip_prefix(here).is_some_and(|it| it.is_empty() || it.starts_with([':', '/']))
        });
        let mut config = Agent::config_builder()
            .http_status_as_error(false)
            // A token is for the server that was named and no other.
            .max_redirects(0)
            .timeout_connect(Some(TO_CONNECT))
            .timeout_global(Some(TO_ANSWER))
            .user_agent(concat!("mstar/", env!("CARGO_PKG_VERSION")));
        if is_here {
            config = config.proxy(None);
        }
        Self {
            agent: config.build().new_agent(),
            url: url.to_owned(),
            authorization: credentials.authorization.clone(),
            parameters,
            experiment: None,
        }
    }

    pub(super) fn tell(
        &mut self,
        items: &[Item],
        reader: &Reader,
        cursor: &mut Cursor,
    ) -> Result<usize, TrackError> {
        let first = &items[0];
        let run = match cursor.runs.get(&*first.member) {
            Some(run) => run.clone(),
            None => {
                let run = self.run(&first.member, reader)?;
                cursor.runs.insert(first.member.to_string(), run.clone());
                run
            }
        };
        if let What::Ended(outcome) = first.what {
            let status = match outcome {
                Outcome::Done | Outcome::Stored => "FINISHED",
                Outcome::Failed => "FAILED",
                Outcome::Interrupted => "KILLED",
            };
            let ended = json!({"run_id": run, "status": status, "end_time": first.time_ms});
            self.post("runs/update", &ended)?;
            return Ok(1);
        }
        let number = |item: &Item| match &item.what {
            What::Value { tag, step, value } if item.member == first.member => Some(json!({
                "key": &**tag, "value": value, "timestamp": item.time_ms, "step": step,
            })),
            _ => None,
        };
        let numbers: Vec<Value> = items.iter().map_while(number).take(NUMBERS).collect();
        let taken = numbers.len();
        self.post("runs/log-batch", &json!({"run_id": run, "metrics": numbers}))?;
        Ok(taken)
    }

    /// The server's run for a member: the one that was made before, or a new one.
    fn run(&mut self, member: &str, reader: &Reader) -> Result<String, TrackError> {
        let experiment = match &self.experiment {
            Some(experiment) => experiment.clone(),
            None => self.experiment(&reader.name)?,
        };
        self.experiment = Some(experiment.clone());
        // Names of runs begin anew in each store, and so the moment of its beginning is added.
        let whole = format!("{}\n{}\n{member}", reader.run, reader.started_ms);
        let id = Digest::of(whole.as_bytes()).to_string()[..32].to_owned();
        let wanted = json!({
            "experiment_ids": [experiment],
            "filter": format!("tags.`mstar.id` = '{id}'"),
            "max_results": 1,
        });
        let found = self.post("runs/search", &wanted)?;
        if let Some(run) = found["runs"][0]["info"]["run_id"].as_str() {
            return Ok(run.to_owned());
        }
        let name = match reader.members.len() {
            0 | 1 => reader.run.clone(),
            _ => format!("{}/{member}", reader.run),
        };
        let tag = |key: &str, value: &str| json!({"key": key, "value": value});
        let created = self.post(
            "runs/create",
            &json!({
                "experiment_id": experiment,
                "run_name": name,
                "start_time": reader.started_ms,
                "tags": [
                    tag("mstar.id", &id),
                    tag("mstar.run", &reader.run),
                    tag("mstar.member", member),
                ],
            }),
        )?;
        let run = self.text(&created, "runs/create", &["run", "info", "run_id"])?;
        for some in self.parameters.get(member).map_or(&[][..], Vec::as_slice).chunks(PARAMETERS) {
            let parameter = |(key, value): &(String, String)| {
                let cut = |text: &str, most| text.chars().take(most).collect::<String>();
                json!({"key": cut(key, LONGEST_KEY), "value": cut(value, LONGEST_VALUE)})
            };
            let some: Vec<Value> = some.iter().map(parameter).collect();
            self.post("runs/log-batch", &json!({"run_id": run, "params": some}))?;
        }
        Ok(run)
    }

    /// The experiment of that name, made where there is none.
    fn experiment(&self, name: &str) -> Result<String, TrackError> {
        let found = || {
            let what = "experiments/get-by-name";
            let request = self.agent.get(self.address(what)).query("experiment_name", name);
            let request = match &self.authorization {
                Some(value) => request.header("Authorization", value),
                None => request,
            };
            let answer = self.read(what, request.call())?;
            self.text(&answer, what, &["experiment", "experiment_id"])
        };
        match found() {
            Err(TrackError::Refused { status: 404, .. }) => {}
            other => return other,
        }
        let what = "experiments/create";
        match self.post(what, &json!({ "name": name })) {
            Ok(answer) => self.text(&answer, what, &["experiment_id"]),
            // Somebody else made it meanwhile.
            Err(TrackError::Refused { status: 400, .. }) => found(),
            Err(error) => Err(error),
        }
    }

    fn address(&self, what: &str) -> String {
        format!("{}/api/2.0/mlflow/{what}", self.url)
    }

    fn post(&self, what: &str, body: &Value) -> Result<Value, TrackError> {
        let mut request = self.agent.post(self.address(what));
        if let Some(value) = &self.authorization {
            request = request.header("Authorization", value);
        }
        self.read(what, request.send_json(body))
    }

    fn read(
        &self,
        what: &str,
        answered: Result<ureq::http::Response<ureq::Body>, ureq::Error>,
    ) -> Result<Value, TrackError> {
        let url = self.address(what);
        let down = |error: ureq::Error| TrackError::Down {
            url: url.clone(),
            reason: match error {
                ureq::Error::Timeout(_) => format!("no answer in {} s", TO_ANSWER.as_secs()),
                other => other.to_string(),
            },
        };
        let mut answer = answered.map_err(down)?;
        let status = answer.status().as_u16();
        let text = answer.body_mut().with_config().limit(LONGEST_ANSWER).lossy_utf8(true);
        let text = text.read_to_string().map_err(|error| match error {
            ureq::Error::BodyExceedsLimit(_) => {
                TrackError::Nonsense { url: url.clone(), reason: "it is too long".to_owned() }
            }
            other => down(other),
        })?;
        let value: Result<Value, _> = serde_json::from_str(&text);
        if !(200..300).contains(&status) {
            let said = value.ok().and_then(|value| Some(value["message"].as_str()?.to_owned()));
            let message = said.unwrap_or_else(|| text.trim().to_owned());
            // What a stranger says goes before somebody's eyes.
            let message: String = message.chars().filter(|it| !it.is_control()).take(200).collect();
            return Err(TrackError::Refused { url, status, message });
        }
        match value {
            Ok(value @ Value::Object(_)) => Ok(value),
            Ok(_) => Err(TrackError::Nonsense { url, reason: "it is no object".to_owned() }),
            Err(error) => Err(TrackError::Nonsense { url, reason: error.to_string() }),
        }
    }

    /// A text inside an answer.
    fn text(&self, answer: &Value, what: &str, path: &[&str]) -> Result<String, TrackError> {
        let found = path.iter().fold(answer, |value, name| &value[*name]);
        let text = found.as_str().filter(|text| !text.is_empty() && text.len() <= LONGEST_KEY);
        text.map(str::to_owned).ok_or_else(|| TrackError::Nonsense {
            url: self.address(what),
            reason: format!("`{}` is missing", path.join(".")),
        })
    }
}

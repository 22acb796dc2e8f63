//! A browser that is asked questions: chromium, spoken to through its debugging pipe.

use serde_json::{Value, json};
use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

/// A page that is open in a headless chromium; closed when dropped.
pub(crate) struct Browser {
    child: Child,
    to: File,
    from: BufReader<File>,
    asked: u64,
    session: Option<String>,
    /// What the page complained of.
    pub(crate) errors: Vec<String>,
    _folder: TempDir,
}

impl Browser {
    /// Opens a page; `None` when there is no chromium, which is an error where `CI` is set.
    pub(crate) fn open(url: &str) -> Option<Self> {
        let program = std::env::var("MSTAR_TEST_BROWSER").unwrap_or_else(|_| "chromium".to_owned());
        let is_there =
            Command::new(&program).arg("--version").stdout(Stdio::null()).status().is_ok();
        assert!(is_there || std::env::var_os("CI").is_none(), "chromium is not installed");
        if !is_there {
            return None;
        }
        let folder = tempfile::tempdir().expect("there is a folder for temporary files");
        let [to, from] = ["to", "from"].map(|name| folder.path().join(name));
        let made = Command::new("mkfifo").args([&to, &from]).status().expect("mkfifo is there");
        assert!(made.success());
        // Only a shell can give a child descriptors beyond the three.
        let child = Command::new("sh")
            .args(["-c", "to=$1; from=$2; shift 2; exec \"$@\" 3<\"$to\" 4>\"$from\"", "sh"])
            .args([&to, &from])
            .args([&program, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"])
            .args(["--disable-quic", "--disable-sync", "--disable-background-networking"])
            .args(["--disable-component-update", "--remote-debugging-pipe"])
            .args(["--window-size=1000,1600"])
            .arg(format!("--user-data-dir={}", folder.path().join("profile").display()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("there is a shell");
        let to = File::options().write(true).open(to).expect("the shell opens the other end");
        let from = BufReader::new(File::open(from).expect("the shell opens the other end"));
        let (errors, session) = (Vec::new(), None);
        let mut browser = Self { child, to, from, asked: 0, session, errors, _folder: folder };
        let target = browser.call("Target.createTarget", &json!({"url": "about:blank"}));
        let target = json!({"targetId": target["targetId"], "flatten": true});
        let attached = browser.call("Target.attachToTarget", &target);
        browser.session = attached["sessionId"].as_str().map(str::to_owned);
        for domain in ["Runtime.enable", "Log.enable", "Page.enable"] {
            browser.call(domain, &json!({}));
        }
        browser.call("Page.navigate", &json!({ "url": url }));
        Some(browser)
    }

    /// What an expression gives; a promise is waited for.
    pub(crate) fn ask(&mut self, expression: &str) -> Value {
        let parameters =
            json!({"expression": expression, "awaitPromise": true, "returnByValue": true});
        let answer = self.call("Runtime.evaluate", &parameters);
        assert!(answer["exceptionDetails"].is_null(), "{expression}: {answer}");
        answer["result"]["value"].clone()
    }

    /// Waits until an expression is true, at most a minute or so. A page that is not there yet is
    /// waited for as well.
    #[track_caller]
    pub(crate) fn wait_for(&mut self, expression: &str) {
        let asked = json!({"expression": expression, "returnByValue": true});
        for _ in 0..600 {
            let answer = self.send("Runtime.evaluate", &asked).unwrap_or_default();
            if answer["result"]["value"] == true {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
        let text = self.ask("document.body.innerText");
        panic!("never true: {expression}\n{}\n{:?}", text.as_str().unwrap_or(""), self.errors);
    }

    /// Calls a method of the debugging protocol.
    #[track_caller]
    pub(crate) fn call(&mut self, method: &str, parameters: &Value) -> Value {
        self.send(method, parameters).unwrap_or_else(|error| panic!("{method}: {error}"))
    }

    fn send(&mut self, method: &str, parameters: &Value) -> Result<Value, Value> {
        self.asked += 1;
        let mut message = json!({"id": self.asked, "method": method, "params": parameters});
        if let Some(session) = &self.session {
            message["sessionId"] = session.clone().into();
        }
        self.to.write_all(format!("{message}\0").as_bytes()).expect("the browser listens");
        loop {
            let mut bytes = Vec::new();
            self.from.read_until(0, &mut bytes).expect("the browser answers");
            assert_eq!(bytes.pop(), Some(0), "the browser ended");
            let said: Value = serde_json::from_slice(&bytes).expect("the browser speaks JSON");
            if said["id"] == self.asked {
                return match &said["error"] {
                    Value::Null => Ok(said["result"].clone()),
                    error => Err(error.clone()),
                };
            }
            let is_error = said["method"] == "Runtime.exceptionThrown"
                || (said["method"] == "Log.entryAdded"
                    && said["params"]["entry"]["level"] == "error");
            if is_error {
                self.errors.push(said["params"].to_string());
            }
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The shell was replaced by the browser, so that this ends the browser.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

//! A browser in which a test goes from step to step, and what it looks like after each.
//!
//! Not here: how it is driven, and what a step may be (`tests/node/browser.mjs`).

use std::{fmt, net::SocketAddr, path::Path};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::node::NodeProcess;

/// A running browser with a profile of its own.
pub struct Browser {
    driver: NodeProcess,
    profile: TempDir,
}

impl Browser {
    /// One that finds `localhost` there.
    pub fn of_localhost(gateway: SocketAddr) -> Self {
        let rule = format!("--host-resolver-rules=MAP localhost {}", gateway.ip());
        Self::with(&[&rule], &json!({}))
    }

    /// One that finds these names at these addresses, on the port of HTTPS.
    pub fn knowing(names: &[(&str, SocketAddr)], args: &[&str], preferences: &Value) -> Self {
        let rules: Vec<String> = names
            .iter()
            .map(|(name, addr)| format!("MAP {name}:443 {addr}"))
            .collect();
        let rules = format!("--host-resolver-rules={}", rules.join(","));
        let args: Vec<&str> = [rules.as_str()].into_iter().chain(args.iter().copied()).collect();
        Self::with(&args, preferences)
    }

    /// With these switches, and what its settings page would have written.
    pub fn with(args: &[&str], preferences: &Value) -> Self {
        let profile = tempfile::tempdir().unwrap();
        let setup = json!({"profile": profile.path(), "args": args, "preferences": preferences});
        Self {
            driver: NodeProcess::start("browser.mjs", &setup, &[]),
            profile,
        }
    }

    /// One step; one that fails fails the test.
    #[track_caller]
    pub fn step(&mut self, step: Value) -> impl Future<Output = Snapshot> {
        let caller = std::panic::Location::caller();
        async move {
            self.driver.say(&step).await;
            let snapshot = Snapshot(self.driver.next_line().await);
            let error = &snapshot.0["error"];
            assert!(error.is_null(), "{caller}: {step}: {error} in {snapshot}");
            snapshot
        }
    }

    /// All of these, in their order.
    pub async fn steps(&mut self, steps: Value) -> Vec<Snapshot> {
        let mut snapshots = Vec::new();
        for step in steps.as_array().unwrap() {
            snapshots.push(self.step(step.clone()).await);
        }
        snapshots
    }

    /// Closes it. The profile is left on the disk for as long as it is held.
    pub async fn close(mut self) -> TempDir {
        self.driver.hang_up();
        self.driver.next_line().await;
        self.driver.finish().await;
        self.profile
    }
}

/// What it looks like after a step.
pub struct Snapshot(pub Value);

impl fmt::Display for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#}", self.0)
    }
}

impl Snapshot {
    /// The address bar.
    pub fn url(&self) -> &str {
        text(&self.0, "url")
    }

    pub fn title(&self) -> &str {
        text(&self.0, "title")
    }

    /// What is to be read in the page.
    pub fn text(&self) -> &str {
        text(&self.0, "text")
    }

    /// What its scripts see of cookies.
    pub fn cookie(&self) -> &str {
        text(&self.0, "cookie")
    }

    /// What the step's script gave.
    pub fn value(&self) -> &Value {
        &self.0["value"]
    }

    /// The first frame in the page.
    pub fn frame(&self) -> &Value {
        &self.0["frames"][1]
    }

    /// All that was asked for during the step.
    pub fn requests(&self) -> &[Value] {
        self.0["requests"].as_array().unwrap()
    }

    /// The answer to the last request for the document at this address.
    #[track_caller]
    pub fn answer(&self, url: &str) -> &Value {
        let mut found = self.requests().iter().rev();
        found
            .find(|request| request["url"] == url)
            .unwrap_or_else(|| panic!("{url} was not asked for: {self}"))
    }

    /// The whole jar: path and value of each token in it, in order.
    pub fn jar(&self) -> Vec<(&str, &str)> {
        let cookies = self.0["cookies"].as_array().unwrap().iter();
        let mut found: Vec<_> = cookies
            .filter(|cookie| {
                cookie["name"] != "__Secure-pnm_session" && cookie["name"] != "__Host-pnm_session"
            })
            .map(|cookie| (text(cookie, "path"), text(cookie, "value")))
            .collect();
        found.sort_unstable();
        found
    }

    /// What the page, and the browser about it, said on the console.
    pub fn console(&self) -> &[Value] {
        self.0["console"].as_array().unwrap()
    }
}

/// A text in a report.
#[track_caller]
pub fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name]
        .as_str()
        .unwrap_or_else(|| panic!("no {name} in {value:#}"))
}

/// Where a token may be: in the cookies of requests and answers, in the calls of the client's own that carry it, and in
/// the address of as many links as were opened. Nowhere else: no other address, no `Referer`, no entry of the history, no
/// storage, no word on the console.
#[track_caller]
pub fn assert_no_leak(snapshots: &[&Snapshot], token: &str, links: usize) {
    let mut with_token = 0;
    for request in snapshots.iter().flat_map(|snapshot| snapshot.requests()) {
        with_token += usize::from(text(request, "url").contains(token));
        for (name, value) in request["headers"].as_object().unwrap() {
            let said = value.as_str().unwrap();
            // `:path` is the address itself, which is counted above.
            let own = name == "cookie" || name == "authorization" || name.starts_with(':');
            assert!(own || !said.contains(token), "{name}: {request:#}");
            assert!(name != "referer" || !said.contains("access_token"), "{request:#}");
        }
        for (name, value) in request["responseHeaders"].as_object().into_iter().flatten() {
            let said = value.as_str().unwrap();
            assert!(
                name == "set-cookie" || !said.contains(token),
                "{name}: {request:#}"
            );
        }
        let sets_token = request["responseHeaders"]["set-cookie"]
            .as_str()
            .is_some_and(|set| set.contains(token));
        let cache = request["responseHeaders"]["cache-control"].as_str();
        assert!(!sets_token || cache == Some("no-store"), "{request:#}");
    }
    assert_eq!(with_token, links, "addresses with the token");
    for snapshot in snapshots {
        let mut said = snapshot.0.clone();
        let kept = said.as_object_mut().unwrap();
        for allowed in ["requests", "cookie", "cookies", "value"] {
            kept.remove(allowed);
        }
        for frame in said["frames"].as_array_mut().unwrap() {
            let kept = frame.as_object_mut().unwrap();
            kept.remove("cookie");
            // A page elsewhere that has the link has also loaded it.
            if kept["url"]
                .as_str()
                .is_some_and(|url| url.starts_with("https://lms.test/"))
            {
                kept.remove("performance");
            }
        }
        assert!(!said.to_string().contains(token), "{said:#}");
    }
}

/// Is this text in a file below a folder?
pub fn is_in_files(folder: &Path, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let path = entry.path();
            if entry.file_type().unwrap().is_dir() {
                folders.push(path);
            } else if let Ok(content) = std::fs::read(&path)
                && memchr::memmem::find(&content, text.as_bytes()).is_some()
            {
                found.push(path.display().to_string());
            }
        }
    }
    found
}

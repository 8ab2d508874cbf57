//! The program itself, as an operator starts it: a working directory, arguments, variables.
//!
//! Nothing of the test's own environment that is the gateway's gets through.

use std::{
    path::Path,
    process::{Output, Stdio},
    time::Duration,
};

use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader, Lines},
    process::{Child, ChildStderr, ChildStdout, Command},
    time::timeout,
};

use super::addr::own;

/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(90);

/// On addresses of its own, with a log that a test can read.
pub fn anywhere() -> [(&'static str, &'static str); 4] {
    [
        ("LISTEN__HTTPS", own().leak()),
        ("LISTEN__HTTP", own().leak()),
        ("LISTEN__ADMIN", own().leak()),
        ("LOG__FORMAT", "json"),
    ]
}

/// The program in this directory; variables without their `PNM_GATEWAY__`.
pub fn program(directory: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Command {
    prepared(Command::new(PROGRAM), directory, arguments, variables)
}

pub const PROGRAM: &str = env!("CARGO_BIN_EXE_plugnmeet-gateway");

/// Puts this program at a path, in one step, in the place of another that lies there.
pub fn link(program: &Path, path: &Path) {
    let beside = path.with_extension("new");
    // Of a link to the same file, which the step leaves where it is.
    std::fs::remove_file(&beside).ok();
    if std::fs::hard_link(program, &beside).is_err() {
        std::fs::copy(program, &beside).unwrap();
    }
    std::fs::rename(&beside, path).unwrap();
}

fn prepared(
    mut command: Command,
    directory: &Path,
    arguments: &[&str],
    variables: &[(&str, &str)],
) -> Command {
    command.args(arguments).current_dir(directory);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("PNM_GATEWAY") {
            command.env_remove(name);
        }
    }
    for (name, value) in variables {
        command.env(format!("PNM_GATEWAY__{name}"), value);
    }
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

/// Runs a command that ends by itself.
pub async fn run(directory: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    timeout(PATIENCE, program(directory, arguments, variables).output())
        .await
        .expect("the command does not end")
        .unwrap()
}

/// A gateway that runs as a program of its own.
pub struct Serving {
    child: Child,
    stdout: Lines<BufReader<ChildStdout>>,
    stderr: ChildStderr,
    /// What it said on standard output so far, as it said it.
    pub said: String,
    /// Where it serves HTTPS.
    pub https: std::net::SocketAddr,
}

impl Serving {
    /// Started with `log.format = "json"`, and announced.
    pub async fn start(directory: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        Self::announced(program(directory, arguments, variables)).await
    }

    /// As `start`, with no more descriptors than these.
    pub async fn with_open_files(
        files: u32,
        directory: &Path,
        arguments: &[&str],
        variables: &[(&str, &str)],
    ) -> Self {
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("ulimit -n {files} && exec \"$0\" \"$@\""), PROGRAM]);
        Self::announced(prepared(shell, directory, arguments, variables)).await
    }

    /// As `start`, as the program that lies at this path: `link` has put it there.
    pub async fn of(
        program: &Path,
        directory: &Path,
        arguments: &[&str],
        variables: &[(&str, &str)],
    ) -> Self {
        Self::announced(prepared(Command::new(program), directory, arguments, variables)).await
    }

    /// As `start`, by a command of its own.
    pub async fn by(command: Command, directory: &Path, arguments: &[&str]) -> Self {
        Self::announced(prepared(command, directory, arguments, &[])).await
    }

    async fn announced(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let mut serving = Self {
            stdout: BufReader::new(child.stdout.take().unwrap()).lines(),
            stderr: child.stderr.take().unwrap(),
            child,
            said: String::new(),
            https: ([127, 0, 0, 1], 0).into(),
        };
        let announced = serving.says("HTTPS on ").await;
        let addr = announced.strip_prefix("HTTPS on ").unwrap();
        serving.https = addr.split(',').next().unwrap().parse().unwrap();
        serving.says("Try next").await;
        serving
    }

    /// What the system knows it by.
    pub fn pid(&self) -> u32 {
        self.child.id().unwrap()
    }

    /// Waits for a message that begins like this, and gives it whole.
    pub async fn says(&mut self, beginning: &str) -> String {
        loop {
            let line = timeout(PATIENCE, self.stdout.next_line()).await;
            let Ok(Ok(Some(line))) = line else {
                self.child.kill().await.ok();
                let mut words = String::new();
                // Whoever it has started may hold that open.
                let reading = self.stderr.read_to_string(&mut words);
                timeout(Duration::from_secs(1), reading).await.ok();
                panic!("never said {beginning:?}; said\n{}\n{words}", self.said);
            };
            self.said.push_str(&line);
            self.said.push('\n');
            let line: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
            let message = line["message"].as_str().unwrap_or_default();
            if message.starts_with(beginning) {
                return message.to_owned();
            }
        }
    }

    /// Reads one more line into what it said, however long that takes.
    pub async fn line(&mut self) {
        if let Ok(Some(line)) = self.stdout.next_line().await {
            self.said.push_str(&line);
            self.said.push('\n');
        }
    }

    /// Sends a signal by its name.
    pub async fn signal(&self, name: &str) {
        let pid = self.pid().to_string();
        let sent = Command::new("kill").args(["-s", name, &pid]).status().await;
        assert!(sent.unwrap().success());
    }

    /// Waits for its end: the exit status, and everything it ever wrote.
    pub async fn end(mut self) -> (Option<i32>, String) {
        while let Ok(Some(line)) = timeout(PATIENCE, self.stdout.next_line())
            .await
            .expect("the gateway does not end")
        {
            self.said.push_str(&line);
            self.said.push('\n');
        }
        self.stderr.read_to_string(&mut self.said).await.unwrap();
        let status = timeout(PATIENCE, self.child.wait()).await.unwrap().unwrap();
        (status.code(), self.said)
    }

    /// Waits for its end, while nobody reads what it writes to standard output; the exit status, and standard error.
    pub async fn end_unread(mut self) -> (Option<i32>, String) {
        let ended = timeout(PATIENCE, self.child.wait()).await;
        let status = ended.expect("the gateway does not end").unwrap();
        let mut words = String::new();
        self.stderr.read_to_string(&mut words).await.unwrap();
        (status.code(), words)
    }
}

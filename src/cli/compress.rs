//! `compress`: the process that compresses the client's files for a running gateway (`crate::webapp`). It is hidden, as
//! nobody else knows what to say to it.

use std::{
    env,
    ffi::OsString,
    fs, io,
    path::{Path, PathBuf},
    process::{self, ExitCode},
    sync::mpsc,
    thread,
};

use rustix::process::{Resource, Rlimit, setrlimit};

use crate::webapp::{CompressJob, Compressor, compress_jobs};

/// Of a core, and far more than a whole release takes; the system ends what has lost its way.
const CPU_SECONDS: u64 = 1800;

/// This very program, whatever lies at its path by the time it is started.
const SELF: &str = "/proc/self/exe";

/// What `serve` starts, if this program can be found.
pub(super) fn command() -> Option<Compressor> {
    let program = if Path::new(SELF).exists() {
        PathBuf::from(SELF)
    } else {
        env::current_exe().ok()?
    };
    Some(Compressor {
        program,
        arguments: vec![OsString::from("compress")],
    })
}

/// Compresses what comes until nothing more can come.
pub(super) fn run() -> ExitCode {
    be_modest();
    let (jobs, next) = mpsc::sync_channel(0);
    let reading = move || {
        let mut input = io::stdin();
        loop {
            let job = CompressJob::read(&mut input).transpose();
            // Whoever wanted what is being made is gone.
            let Some(job) = job else { process::exit(0) };
            if jobs.send(job).is_err() {
                return;
            }
        }
    };
    if thread::Builder::new().spawn(reading).is_err() {
        return ExitCode::FAILURE;
    }
    match compress_jobs(|| next.recv().ok().transpose(), io::stdout()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// Its priority is that of the thread that started it, the lowest there is. Of what can't be had, nothing is needed.
fn be_modest() {
    let limit = Rlimit {
        current: Some(CPU_SECONDS),
        maximum: Some(CPU_SECONDS),
    };
    setrlimit(Resource::Cpu, limit).ok();
    // Where memory runs out, the gateway is the last to go.
    fs::write("/proc/self/oom_score_adj", "1000").ok();
}

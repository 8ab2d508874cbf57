//! `compress`: the process that compresses the client's files for a running gateway (`crate::webapp`). The command is
//! hidden, because only the gateway knows what to send to it.

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

/// The most CPU time of this process, in seconds: far more than a whole release takes. The system ends a process that
/// exceeds it.
const CPU_SECONDS: u64 = 1800;

/// The path of this very program, even if another program lies at its old path by now.
const SELF: &str = "/proc/self/exe";

/// The command that `serve` starts to compress files; `None` if this program can't be found.
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

/// Compresses the files that come on standard input, until it is closed.
pub(super) fn run() -> ExitCode {
    be_modest();
    let (jobs, next) = mpsc::sync_channel(0);
    let reading = move || {
        let mut input = io::stdin();
        loop {
            let job = CompressJob::read(&mut input).transpose();
            // Standard input is closed: nobody waits for the file that is being compressed.
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

/// Limits the CPU time, and makes this process the first to be ended when memory runs out. The lowest priority comes
/// from the thread that started it. A limit that can't be set is no error.
fn be_modest() {
    let limit = Rlimit {
        current: Some(CPU_SECONDS),
        maximum: Some(CPU_SECONDS),
    };
    setrlimit(Resource::Cpu, limit).ok();
    // When memory runs out, the system ends this process before the gateway.
    fs::write("/proc/self/oom_score_adj", "1000").ok();
}

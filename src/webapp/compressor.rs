//! Compressing in processes of their own. A process gives all its memory back when it ends; within the gateway the
//! allocator would keep most of it.
//!
//! The process gets jobs and returns compressed forms over a socket, which is its standard input and output. It needs
//! no configuration, no secret and no folder. It ends when the gateway's end of the socket closes, so no process
//! outlives its gateway, however the gateway ends.
//!
//! `crate::cli` says which program is started. Without one, and where no such process works, the gateway's own process
//! compresses.
//!
//! Not here: what is to be compressed, and when (`making`).

use std::{
    collections::HashMap,
    ffi::OsString,
    io::{self, Read, Write},
    net::Shutdown,
    os::{
        fd::OwnedFd,
        unix::{net::UnixStream, process::CommandExt},
    },
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{
        Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tracing::warn;

use super::coding::Coding;

/// The time for one coding of one file. The largest takes some 15 s on a free core, and this process has the lowest
/// priority.
const JOB_PATIENCE: Duration = Duration::from_secs(600);

/// The wait before a process that ended early is replaced. A service manager often signals it before the gateway, which
/// then ends too.
const BEFORE_TRYING_AGAIN: Duration = Duration::from_secs(1);

/// The number of processes that may die of one job before the job is given up.
const TRIES: usize = 2;

/// How to start a process that compresses.
#[derive(Clone, Debug)]
pub struct Compressor {
    /// The path of the gateway's own program: no other program speaks the protocol on the socket.
    pub program: PathBuf,
    /// The arguments with which the program runs `compress_jobs`.
    pub arguments: Vec<OsString>,
}

/// The processes that compress one release. They end when this is dropped.
pub(super) struct Outside {
    compressor: Compressor,
    running: Mutex<Running>,
    ends: Condvar,
    told: AtomicBool,
}

#[derive(Default)]
struct Running {
    /// The socket to each worker's process, by the worker's number.
    talks: HashMap<usize, UnixStream>,
    ended: bool,
}

/// The means by which one worker compresses: a process of its own, or the gateway's process.
pub(super) struct Encoder<'a> {
    outside: Option<&'a Outside>,
    worker: usize,
    process: Option<Process>,
    has_answered: bool,
}

struct Process {
    child: Child,
    talk: UnixStream,
}

impl Outside {
    pub(super) fn by(compressor: Compressor) -> Self {
        Self {
            compressor,
            running: Mutex::default(),
            ends: Condvar::new(),
            told: AtomicBool::new(false),
        }
    }

    /// Ends all processes and starts no new ones.
    pub(super) fn end(&self) {
        let mut running = self.lock();
        running.ended = true;
        for (_, talk) in running.talks.drain() {
            talk.shutdown(Shutdown::Both).ok();
        }
        self.ends.notify_all();
    }

    fn start(&self, worker: usize) -> io::Result<Process> {
        let process = Process::start(&self.compressor)?;
        let mut running = self.lock();
        if running.ended {
            return Err(io::ErrorKind::Interrupted.into());
        }
        running.talks.insert(worker, process.talk.try_clone()?);
        Ok(process)
    }

    fn forget(&self, worker: usize) {
        self.lock().talks.remove(&worker);
    }

    /// Waits for `BEFORE_TRYING_AGAIN` or until `end` is called. Returns whether `end` was called.
    fn is_ending(&self) -> bool {
        let goes_on = |running: &mut Running| !running.ended;
        let waited = self
            .ends
            .wait_timeout_while(self.lock(), BEFORE_TRYING_AGAIN, goes_on);
        waited.unwrap_or_else(PoisonError::into_inner).0.ended
    }

    fn lock(&self) -> MutexGuard<'_, Running> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<'a> Encoder<'a> {
    pub(super) fn new(outside: Option<&'a Outside>, worker: usize) -> Self {
        Self {
            outside,
            worker,
            process: None,
            has_answered: false,
        }
    }

    /// Compresses these bytes. An error means that there is no memory for it, or that `end` was called.
    pub(super) fn encode(&mut self, coding: Coding, plain: &[u8]) -> io::Result<Vec<u8>> {
        let mut lost = None;
        for _ in 0..TRIES {
            let Some(outside) = self.outside else { break };
            match self.ask(outside, coding, plain) {
                Ok(coded) => {
                    self.has_answered = true;
                    return Ok(coded);
                }
                Err(error) => {
                    self.process = None;
                    if outside.is_ending() {
                        return Err(error);
                    }
                    self.failed(outside, &error);
                    lost = Some(error);
                }
            }
        }
        match lost {
            // What has cost a process its life, for want of memory perhaps, is no work for the gateway itself.
            Some(error) if self.outside.is_some() => Err(error),
            Some(_) | None => coding.encode(plain),
        }
    }

    fn ask(&mut self, outside: &Outside, coding: Coding, plain: &[u8]) -> io::Result<Vec<u8>> {
        let process = match &mut self.process {
            Some(process) => process,
            none => none.insert(outside.start(self.worker)?),
        };
        write_job(&mut process.talk, coding, plain)?;
        read_bytes(
            &mut process.talk,
            plain.len().saturating_mul(2).saturating_add(1024),
        )
    }

    /// Decides what follows a process' failure. A process that has answered before may have been ended from outside and
    /// is replaced; one that has never answered is not.
    fn failed(&mut self, outside: &Outside, error: &io::Error) {
        let tell = !outside.told.swap(true, Ordering::Relaxed);
        if self.has_answered {
            if tell {
                warn!(%error, "A process that compresses the client's files ended early, another takes its place");
            }
            return;
        }
        self.outside = None;
        if tell {
            warn!(
                %error,
                "The client's files can't be compressed by a process of their own: the gateway does it, and keeps some of \
                 the memory"
            );
        }
    }
}

impl Drop for Encoder<'_> {
    fn drop(&mut self) {
        if let Some(outside) = self.outside {
            outside.forget(self.worker);
        }
    }
}

impl Process {
    /// Starts a process. SECURITY: it gets nothing of the gateway's environment, which may hold secrets.
    fn start(compressor: &Compressor) -> io::Result<Self> {
        let (talk, theirs) = UnixStream::pair()?;
        talk.set_read_timeout(Some(JOB_PATIENCE))?;
        talk.set_write_timeout(Some(JOB_PATIENCE))?;
        let input = OwnedFd::from(theirs.try_clone()?);
        let child = Command::new(&compressor.program)
            .args(&compressor.arguments)
            .arg0("plugnmeet-gateway")
            .env_clear()
            // A terminal's Ctrl-C is for the gateway.
            .process_group(0)
            .stdin(input)
            .stdout(OwnedFd::from(theirs))
            .stderr(Stdio::null())
            .spawn()?;
        Ok(Self { child, talk })
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Runs in the process that compresses: does jobs until there are no more. An error means that the input is no job.
pub fn compress_jobs(
    mut next: impl FnMut() -> io::Result<Option<CompressJob>>,
    mut output: impl Write,
) -> io::Result<()> {
    while let Some(CompressJob { coding, plain }) = next()? {
        let coded = coding.encode(&plain)?;
        drop(plain);
        output.write_all(&(coded.len() as u64).to_le_bytes())?;
        output.write_all(&coded)?;
        output.flush()?;
    }
    Ok(())
}

/// One job: bytes, and the coding in which they are wanted.
#[derive(Debug)]
pub struct CompressJob {
    coding: Coding,
    plain: Vec<u8>,
}

impl CompressJob {
    /// Reads the next job; none at the end of the input.
    pub fn read(input: &mut impl Read) -> io::Result<Option<Self>> {
        let mut index = [0];
        if input.read(&mut index)? == 0 {
            return Ok(None);
        }
        let coding = Coding::ALL
            .into_iter()
            .find(|coding| index == [index_of(*coding)])
            .ok_or(io::ErrorKind::InvalidData)?;
        let plain = read_bytes(input, usize::MAX)?;
        Ok(Some(Self { coding, plain }))
    }
}

fn write_job(output: &mut impl Write, coding: Coding, plain: &[u8]) -> io::Result<()> {
    output.write_all(&[index_of(coding)])?;
    output.write_all(&(plain.len() as u64).to_le_bytes())?;
    output.write_all(plain)
}

fn index_of(coding: Coding) -> u8 {
    u8::try_from(coding.index()).unwrap_or(u8::MAX)
}

fn read_bytes(input: &mut impl Read, at_most: usize) -> io::Result<Vec<u8>> {
    let mut length = [0; 8];
    input.read_exact(&mut length)?;
    let length = u64::from_le_bytes(length);
    let expected = usize::try_from(length).ok().filter(|length| *length <= at_most);
    let expected = expected.ok_or(io::ErrorKind::InvalidData)?;
    let mut bytes = Vec::new();
    bytes
        .try_reserve_exact(expected)
        .map_err(|_| io::ErrorKind::OutOfMemory)?;
    input.take(length).read_to_end(&mut bytes)?;
    if bytes.len() < expected {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::thread;

    use tempfile::TempDir;

    use super::*;

    fn by(program: &str, arguments: &[&str]) -> Outside {
        Outside::by(Compressor {
            program: program.into(),
            arguments: arguments.iter().map(OsString::from).collect(),
        })
    }

    /// Does this with each job of eleven bytes, and answers `abc`.
    fn answering(first: &str) -> Outside {
        let script = format!("head -c 20 >/dev/null; {first}; printf '\\003\\0\\0\\0\\0\\0\\0\\0abc'");
        by("/bin/sh", &["-c", &script])
    }

    const PLAIN: &[u8] = b"hello hello";

    fn is_gzip_of_plain(coded: &[u8]) -> bool {
        Coding::Gzip.decodes_to(coded, PLAIN)
    }

    #[test]
    fn jobs_go_through_a_socket_and_forms_come_back() {
        let (mut ours, theirs) = UnixStream::pair().unwrap();
        let (mut input, output) = (theirs.try_clone().unwrap(), theirs);
        let process = thread::spawn(move || compress_jobs(|| CompressJob::read(&mut input), output));
        for coding in Coding::ALL {
            for plain in [PLAIN, b""] {
                write_job(&mut ours, coding, plain).unwrap();
                let coded = read_bytes(&mut ours, 1024).unwrap();
                assert!(coding.decodes_to(&coded, plain), "{coding:?}");
            }
        }
        ours.shutdown(Shutdown::Write).unwrap();
        assert!(process.join().unwrap().is_ok());
    }

    #[test]
    fn what_is_no_job_ends_the_process() {
        let job = |bytes: &[u8]| CompressJob::read(&mut &*bytes).map(|job| job.is_some());
        assert!(!job(b"").unwrap());
        for odd in [
            &b"\x03\0\0\0\0\0\0\0\0"[..],
            b"GET / HTTP/1.1\r\n\r\n",
            b"\x01\x05\0\0\0\0\0\0\0four",
        ] {
            assert!(job(odd).is_err(), "{odd:?}");
        }
        // A form that is larger than its file is none.
        assert!(read_bytes(&mut &b"\x05\0\0\0\0\0\0\0abcde"[..], 4).is_err());
    }

    #[test]
    fn without_a_process_that_works_it_is_done_here() {
        for outside in [by("/nowhere/at/all", &[]), by("/bin/sh", &["-c", "exit 2"])] {
            let mut encoder = Encoder::new(Some(&outside), 0);
            assert!(is_gzip_of_plain(&encoder.encode(Coding::Gzip, PLAIN).unwrap()));
            assert!(encoder.outside.is_none());
        }
    }

    #[test]
    fn another_takes_the_place_of_one_that_ended() {
        let outside = answering("true");
        let mut encoder = Encoder::new(Some(&outside), 0);
        for _ in 0..2 {
            // Each answers once.
            assert_eq!(encoder.encode(Coding::Gzip, PLAIN).unwrap(), b"abc");
        }
        assert_eq!(outside.lock().talks.len(), 1);
        drop(encoder);
        assert_eq!(outside.lock().talks.len(), 0);
    }

    #[test]
    fn what_two_have_died_of_is_left_alone() {
        let folder = TempDir::new().unwrap();
        let mark = folder.path().join("mark");
        let mark = mark.display();
        let outside = answering(&format!("test -e '{mark}' && exit; : >'{mark}'"));
        let mut encoder = Encoder::new(Some(&outside), 0);
        assert_eq!(encoder.encode(Coding::Gzip, PLAIN).unwrap(), b"abc");
        assert!(encoder.encode(Coding::Gzip, PLAIN).is_err());
    }

    #[test]
    fn at_the_end_nothing_is_waited_for_and_nothing_begun() {
        let outside = by("/bin/sh", &["-c", "sleep 600"]);
        thread::scope(|scope| {
            let waiting = scope.spawn(|| Encoder::new(Some(&outside), 0).encode(Coding::Gzip, PLAIN));
            while outside.lock().talks.is_empty() {
                thread::yield_now();
            }
            outside.end();
            assert!(waiting.join().unwrap().is_err());
        });
        let mut late = Encoder::new(Some(&outside), 1);
        assert!(late.encode(Coding::Gzip, PLAIN).is_err());
        assert!(outside.lock().talks.is_empty());
    }
}

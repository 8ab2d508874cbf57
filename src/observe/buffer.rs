//! The buffer before standard output: lines are collected in it, and one thread writes them.
//!
//! To write each line by itself would cost more than the rest of a request's record, and its lock would make workers
//! wait for each other. Standard output may also accept nothing for a while. Then only the writing thread waits, and
//! lines for which the buffer has no space are counted, and the count is logged.
//!
//! `tracing-appender` has a writer like this, which allocates each line, sends it through a channel, writes it by
//! itself, and keeps what it lost to itself.

use std::{
    io::{self, ErrorKind, Write},
    mem,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        mpsc::{self, Receiver, RecvTimeoutError},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

/// The longest time that a line waits for others to be written with it.
const MOST_DELAY: Duration = Duration::from_millis(100);

/// The number of bytes that are written at once, before the time is over.
const ENOUGH_BYTES: usize = 64 << 10;

/// The largest number of bytes that wait; further lines are lost. As many may be on their way to the output at the same
/// time.
const MOST_BYTES: usize = 8 << 20;

/// The time that the process waits at its end for the last lines to be written.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// The buffer in which lines wait to be written.
#[derive(Default)]
pub struct Buffer {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Default)]
struct Waiting {
    lines: Vec<u8>,
    /// The number of lines that were lost since the last line that waits.
    lost: u64,
    /// Must one of the lines be written at once?
    urgent: bool,
    /// Will no further lines come?
    closing: bool,
}

impl Buffer {
    /// Adds the line that `write` writes, with its end; soon, or now if it is urgent, it goes out.
    pub fn append(&self, urgent: bool, write: impl FnOnce(&mut Vec<u8>)) {
        let mut waiting = self.lock();
        let before = waiting.lines.len();
        if before >= MOST_BYTES || waiting.lost > 0 {
            waiting.lost += 1;
            return;
        }
        write(&mut waiting.lines);
        let enough = before < ENOUGH_BYTES && waiting.lines.len() >= ENOUGH_BYTES;
        // Waking costs a call of the system, so that it is not done for each line.
        let wake = before == 0 || enough || (urgent && !waiting.urgent);
        waiting.urgent |= urgent;
        drop(waiting);
        if wake {
            self.changed.notify_one();
        }
    }

    /// Waits until it is time to write, and takes all that waits and the number of lines lost; false: no more will come.
    fn take(&self, lines: &mut Vec<u8>, lost: &mut u64) -> bool {
        let waiting = self
            .changed
            .wait_while(self.lock(), |waiting| {
                waiting.lines.is_empty() && !waiting.closing
            })
            .unwrap_or_else(PoisonError::into_inner);
        let (mut waiting, _) = self
            .changed
            .wait_timeout_while(waiting, MOST_DELAY, |waiting| {
                waiting.lines.len() < ENOUGH_BYTES && !waiting.urgent && !waiting.closing
            })
            .unwrap_or_else(PoisonError::into_inner);
        mem::swap(&mut waiting.lines, lines);
        *lost += mem::take(&mut waiting.lost);
        waiting.urgent = false;
        !lines.is_empty()
    }

    /// Writes whatever comes, until there is no more. `tell` says in the log how many lines are lost.
    fn write_to(&self, mut out: impl Write, tell: impl Fn(u64)) {
        let (mut lines, mut lost, mut failing) = (Vec::new(), 0, false);
        while self.take(&mut lines, &mut lost) {
            // Where nothing can be written, telling would be lost as well, and told, and lost.
            if lost > 0 && !failing {
                tell(mem::take(&mut lost));
            }
            match write_all(&mut out, &lines) {
                Ok(()) => failing = false,
                Err((error, unwritten)) => {
                    lost += ends_of_lines(unwritten);
                    if !mem::replace(&mut failing, true) {
                        writeln!(io::stderr(), "the log can't be written: {error}").ok();
                    }
                }
            }
            lines.clear();
            // A burst need not be remembered.
            lines.shrink_to(2 * ENOUGH_BYTES);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes all lines, as `Write::write_all` does, also to an output that does not block. An error comes with the lines
/// that were not written.
fn write_all<'l>(out: &mut impl Write, mut lines: &'l [u8]) -> Result<(), (io::Error, &'l [u8])> {
    while !lines.is_empty() {
        match out.write(lines) {
            Ok(0) => return Err((ErrorKind::WriteZero.into(), lines)),
            Ok(written) => lines = lines.get(written..).unwrap_or_default(),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => thread::park_timeout(MOST_DELAY),
            Err(error) => return Err((error, lines)),
        }
    }
    Ok(())
}

fn ends_of_lines(lines: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', lines).count() as u64
}

/// The thread that writes. Dropped, it writes what waits, as long as somebody takes it.
pub struct Flusher {
    buffer: Arc<Buffer>,
    /// A channel that closes when the writing thread has ended.
    ended: Receiver<()>,
    thread: Arc<JoinHandle<()>>,
}

impl Flusher {
    /// Writes to `out` what comes into the buffer; `tell` says in the log how many lines are lost.
    pub fn start(
        out: impl Write + Send + 'static,
        tell: impl Fn(u64) + Send + 'static,
    ) -> io::Result<(Arc<Buffer>, Self)> {
        let buffer = Arc::new(Buffer::default());
        let (through, ended) = mpsc::channel();
        let own = Arc::clone(&buffer);
        let thread = thread::Builder::new().name("log".into()).spawn(move || {
            own.write_to(out, tell);
            drop(through);
        })?;
        let flusher = Self {
            buffer: Arc::clone(&buffer),
            ended,
            thread: Arc::new(thread),
        };
        Ok((buffer, flusher))
    }

    /// Has the thread ended, so that nothing more is written? To be asked at any time.
    pub fn has_ended(&self) -> impl Fn() -> bool + Send + Sync + use<> {
        let thread = Arc::clone(&self.thread);
        move || thread.is_finished()
    }
}

impl Drop for Flusher {
    fn drop(&mut self) {
        self.buffer.lock().closing = true;
        self.buffer.changed.notify_one();
        if self.ended.recv_timeout(LAST_WORDS) == Err(RecvTimeoutError::Timeout) {
            writeln!(io::stderr(), "the end of the log is lost: nobody takes it").ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::Sender;

    use super::*;

    /// Longer than anything here takes on a busy machine.
    const PATIENCE: Duration = Duration::from_secs(20);

    /// Tells of each write, and takes it when it is let.
    struct Gate {
        written: Sender<Vec<u8>>,
        open: Receiver<io::Result<()>>,
    }

    impl Write for Gate {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.written.send(bytes.to_vec()).ok();
            // Whoever is gone has opened it for good.
            self.open.recv().unwrap_or(Ok(()))?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    struct Stage {
        buffer: Arc<Buffer>,
        written: Receiver<Vec<u8>>,
        open: Sender<io::Result<()>>,
        flusher: Flusher,
        told: Receiver<u64>,
    }

    fn says(buffer: &Buffer, line: &str, urgent: bool) {
        buffer.append(urgent, |lines| lines.extend_from_slice(line.as_bytes()));
    }

    impl Stage {
        fn new() -> Self {
            let ((seen, written), (open, opened), (tell, told)) =
                (mpsc::channel(), mpsc::channel(), mpsc::channel());
            let gate = Gate {
                written: seen,
                open: opened,
            };
            let (buffer, flusher) = Flusher::start(gate, move |lost| tell.send(lost).unwrap()).unwrap();
            Self {
                buffer,
                written,
                open,
                flusher,
                told,
            }
        }

        fn says(&self, line: &str, urgent: bool) {
            says(&self.buffer, line, urgent);
        }

        fn next(&self) -> String {
            String::from_utf8(self.written.recv_timeout(PATIENCE).unwrap()).unwrap()
        }
    }

    #[test]
    fn lines_go_out_together_in_a_moment_and_an_urgent_one_takes_those_before_it_along() {
        let stage = Stage::new();
        stage.says("one\n", false);
        assert_eq!(stage.next(), "one\n");
        // While that is being written.
        stage.says("two\n", false);
        stage.says("three\n", false);
        stage.open.send(Ok(())).unwrap();
        assert_eq!(stage.next(), "two\nthree\n");
        stage.says("four\n", false);
        stage.says("five\n", true);
        stage.open.send(Ok(())).unwrap();
        assert_eq!(stage.next(), "four\nfive\n");
    }

    #[test]
    fn what_there_is_no_room_for_is_counted_and_told() {
        let stage = Stage::new();
        stage.says("first\n", true);
        assert_eq!(stage.next(), "first\n");
        let line = format!("{}\n", "x".repeat(1023));
        let room = MOST_BYTES / line.len();
        for _ in 0..room + 7 {
            stage.says(&line, false);
        }
        assert!(stage.told.try_recv().is_err());
        stage.open.send(Ok(())).unwrap();
        assert_eq!(stage.next().lines().count(), room);
        assert_eq!(stage.told.recv_timeout(PATIENCE).unwrap(), 7);
        stage.open.send(Ok(())).unwrap();
        stage.says("room again\n", true);
        assert_eq!(stage.next(), "room again\n");
    }

    #[test]
    fn what_could_not_be_written_is_told_when_something_can_be_again() {
        let stage = Stage::new();
        let broken = || Err(ErrorKind::BrokenPipe.into());
        for (line, outcome) in [
            ("one\ntwo\n", broken()),
            ("three\n", broken()),
            ("four\n", Ok(())),
        ] {
            stage.says(line, true);
            assert_eq!(stage.next(), line);
            assert!(stage.told.try_recv().is_err());
            stage.open.send(outcome).unwrap();
        }
        stage.says("five\n", true);
        assert_eq!(stage.next(), "five\n");
        assert_eq!(stage.told.recv_timeout(PATIENCE).unwrap(), 3);
    }

    #[test]
    fn what_there_is_no_room_for_yet_is_tried_again() {
        let stage = Stage::new();
        stage.says("one\n", true);
        stage.open.send(Err(ErrorKind::WouldBlock.into())).unwrap();
        assert_eq!([stage.next(), stage.next()], ["one\n", "one\n"]);
    }

    #[test]
    fn nothing_is_lost_at_the_end_and_no_line_is_torn_apart() {
        let stage = Stage::new();
        let (threads, lines) = (8, 500);
        thread::scope(|scope| {
            for thread in 0..threads {
                let buffer = &stage.buffer;
                let word = char::from(b'a' + thread).to_string();
                scope.spawn(move || {
                    for length in 1..=lines {
                        says(buffer, &format!("{}\n", word.repeat(length)), false);
                    }
                });
            }
        });
        drop(stage.open);
        drop(stage.flusher);
        let written: Vec<u8> = stage.written.try_iter().flatten().collect();
        let written = String::from_utf8(written).unwrap();
        let mut longest = vec![0; usize::from(threads)];
        for line in written.lines() {
            let word = line.as_bytes()[0];
            assert!(line.bytes().all(|byte| byte == word), "{line}");
            let longest = &mut longest[usize::from(word - b'a')];
            assert_eq!(line.len(), *longest + 1, "each thread's lines in order");
            *longest = line.len();
        }
        assert_eq!(longest, vec![lines; usize::from(threads)]);
    }
}

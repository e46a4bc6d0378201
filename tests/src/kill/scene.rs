//! One process that writes until it dies, and a look at what it left.
//!
//! ## Invariants
//! * The pipe is read to its end before anything is judged.
//! * The killed process is waited for: its locks and its writes in flight are
//!   gone when the directory is opened again.

use std::collections::BTreeMap;
use std::io::{self, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use cs_base::mutants::Mutant;
use cs_io::RealRuntime;
use cs_kv::Store;
use oorandom::Rand64;

use super::disks::open_disk;
use super::documents;
use super::frames::Frame;
use super::oracle::{Oracle, check};
use super::plan::{Kind, options};
use crate::Failure;

/// Each so many cycles one dies soon after its start: in creation or recovery.
const EARLY_EVERY: u64 = 5;
/// An early death comes within this time.
const EARLY_US: u64 = 12_000;
/// A late one after at most so many frames, and so much time more.
const MOST_FRAMES: u64 = 80;
const LATE_US: u64 = 3_000;
/// A process that says nothing for so long hangs.
const SILENCE_LIMIT: Duration = Duration::from_secs(30);

/// A process to be, and where it writes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scene<'a> {
    /// `cs-torture`.
    pub(crate) program: &'a Path,
    pub(crate) place: &'a Path,
    pub(crate) seed: u64,
    pub(crate) cycle: u64,
    pub(crate) mutant: Option<Mutant>,
}

/// What ends everything before the process is killed, if anything does.
pub(crate) type Cut<'a> = Option<&'a mut dyn FnMut() -> Result<(), Failure>>;

/// When to kill.
#[derive(Clone, Copy, Debug)]
struct Death {
    /// After the start, or after the last of these frames.
    frames: Option<u64>,
    then: Duration,
}

impl Death {
    fn draw(seed: u64, cycle: u64) -> Self {
        let mut rng = Rand64::new(u128::from(seed) << 64 | u128::from(cycle) | 1 << 41);
        let mut up_to = |us: u64| Duration::from_micros(rng.rand_range(0..us));
        if cycle % EARLY_EVERY == EARLY_EVERY - 1 {
            return Self {
                frames: None,
                then: up_to(EARLY_US),
            };
        }
        let then = up_to(LATE_US);
        Self {
            frames: Some(rng.rand_range(0..MOST_FRAMES)),
            then,
        }
    }
}

/// What a process said before it died.
#[derive(Debug, Default)]
pub(crate) struct Said {
    is_ready: bool,
    /// Highest durable number by writer.
    done: BTreeMap<u8, u64>,
    count: u64,
    broken: Option<String>,
}

impl Said {
    fn note(&mut self, frame: Frame) {
        self.count += 1;
        match frame {
            Frame::Ready => self.is_ready = true,
            Frame::Done { writer, number } => {
                let highest = self.done.entry(writer).or_default();
                *highest = number.max(*highest);
            }
            Frame::Seen { .. } => {}
            Frame::Broken(text) => self.broken = Some(text),
        }
    }
}

fn failed(what: &'static str) -> impl FnOnce(io::Error) -> Failure {
    move |error| Failure(format!("{what}: {error}"))
}

impl Scene<'_> {
    /// Starts the process, lets it write for its time, cuts and kills.
    ///
    /// # Errors
    /// It hangs, or says that something is not as promised.
    pub(crate) fn write_and_die(&self, oracle: &Oracle, cut: Cut<'_>) -> Result<Said, Failure> {
        let reached: Vec<String> = oracle.reached().iter().map(u64::to_string).collect();
        let mut command = Command::new(self.program);
        command
            .args(["kill", "--seed", &self.seed.to_string()])
            .args(["--child", &self.cycle.to_string()])
            .args(["--kind", &oracle.kind().name()])
            .args(["--reached", &reached.join(",")])
            .arg("--dir")
            .arg(self.place)
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        if let Some(mutant) = self.mutant {
            command.args(["--mutant", &format!("{mutant:?}")]);
        }
        let mut child = command.spawn().map_err(failed("starting the writer"))?;
        let said = listen_and_kill(&mut child, Death::draw(self.seed, self.cycle), cut);
        // Whatever happened, nobody is left behind.
        let _ = child.kill();
        child.wait().map_err(failed("waiting for the writer"))?;
        let said = said?;
        match said.broken {
            Some(text) => Err(Failure(format!("the writer says: {text}"))),
            None => Ok(said),
        }
    }

    /// Reopens what it left, by another way than it was written, and compares.
    ///
    /// # Errors
    /// A sentence that says what is not as promised.
    pub(crate) fn judge(&self, oracle: &mut Oracle, said: &Said) -> Result<(), Failure> {
        let disk = open_disk(self.place, self.cycle + 2).map_err(failed("the directory"))?;
        if said.is_ready {
            oracle.note_created();
        }
        // Left closed now and then, else as a second death would.
        let closes = matches!(self.cycle % 5, 1 | 3);
        if oracle.kind() == Kind::Documents {
            let other = |error: &dyn std::fmt::Display| Failure(format!("reopening: {error}"));
            let database = documents::open(disk, self.cycle + 1).map_err(|error| other(&error))?;
            let found = documents::contents(&database).map_err(|error| other(&error))?;
            oracle.judge_documents(found, &said.done)?;
            check(database.store())?;
            return if closes {
                database.close().map_err(|error| other(&error))
            } else {
                Ok(())
            };
        }
        let doing = |error: cs_kv::Error| Failure(format!("reopening: {error}"));
        let store = Store::open(
            disk,
            RealRuntime::new(),
            options(oracle.kind(), self.cycle + 1),
        )
        .map_err(doing)?;
        oracle.judge(&store, &said.done)?;
        if closes {
            store.close().map_err(doing)
        } else {
            Ok(())
        }
    }
}

fn listen_and_kill(child: &mut Child, death: Death, cut: Cut<'_>) -> Result<Said, Failure> {
    let Some(pipe) = child.stdout.take() else {
        return Err(Failure("the writer has no pipe".to_owned()));
    };
    let (sender, receiver) = channel();
    let reader = std::thread::spawn(move || {
        let mut pipe = BufReader::new(pipe);
        loop {
            match Frame::receive(&mut pipe) {
                Ok(Some(frame)) => drop(sender.send(frame)),
                Ok(None) => return Ok(()),
                Err(error) => return Err(Failure(format!("reading the pipe: {error}"))),
            }
        }
    });
    let mut said = Said::default();
    let silent = wait_for_death(&receiver, death, &mut said);
    let (is_cut, cut) = match cut {
        Some(cut) => (true, cut()),
        None => (false, Ok(())),
    };
    let killed = child.kill();
    // To the end: what is in the pipe was acknowledged. That nothing can be
    // written after a cut is no news.
    let broken = said.broken.clone();
    receiver.iter().for_each(|frame| said.note(frame));
    if is_cut {
        said.broken = broken;
    }
    reader
        .join()
        .map_err(|_| Failure("the reader panicked".to_owned()))??;
    killed.map_err(failed("killing the writer"))?;
    silent?;
    cut?;
    Ok(said)
}

/// Takes frames until the moment has come.
fn wait_for_death(
    receiver: &Receiver<Frame>,
    death: Death,
    said: &mut Said,
) -> Result<(), Failure> {
    let mut moment = death.frames.is_none().then(|| Instant::now() + death.then);
    loop {
        let left = moment.map_or(SILENCE_LIMIT, |at| {
            at.saturating_duration_since(Instant::now())
        });
        match receiver.recv_timeout(left) {
            Ok(frame) => said.note(frame),
            Err(RecvTimeoutError::Timeout) if moment.is_some() => return Ok(()),
            Err(RecvTimeoutError::Timeout) => {
                let count = said.count;
                return Err(Failure(format!("the writer hangs after {count} frames")));
            }
            // It ended by itself: what it said tells why.
            Err(RecvTimeoutError::Disconnected) if said.broken.is_some() => return Ok(()),
            Err(RecvTimeoutError::Disconnected) => {
                return Err(Failure("the writer ended without a word".to_owned()));
            }
        }
        if moment.is_none() && death.frames.is_some_and(|least| said.count > least) {
            moment = Some(Instant::now() + death.then);
        }
    }
}

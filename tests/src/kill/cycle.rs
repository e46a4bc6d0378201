//! Start a process that writes, kill it, reopen what it left.
//!
//! ## Invariants
//! * The pipe is read to its end before anything is judged.
//! * The killed process is waited for: its locks and its writes in flight are
//!   gone when the directory is opened again.
//! * Most cycles go on with one directory; the others begin with none, since
//!   creation is the least tested window of all.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use cs_io::sys::DirectIo;
use cs_io::uring::{IoChoice, open_best};
use cs_io::{Disk, RealRuntime};
use cs_kv::Store;
use oorandom::Rand64;

use super::Args;
use super::frames::Frame;
use super::oracle::Oracle;
use super::plan::options;
use crate::progress::Progress;
use crate::{Failure, Outcome, panics};

/// Each so many cycles one begins with an empty directory.
const FRESH_EVERY: u64 = 8;
/// Each so many cycles one dies soon after its start: in creation or recovery.
const EARLY_EVERY: u64 = 4;
/// An early death comes within this time.
const EARLY_US: u64 = 12_000;
/// A late one after at most so many acknowledgements, and so much time more.
const MOST_ACKNOWLEDGED: u64 = 80;
const LATE_US: u64 = 3_000;
/// So many directories of failed cycles are kept to be looked at.
const MOST_KEPT: u64 = 3;
/// A process that says nothing for so long hangs.
const SILENCE_LIMIT: Duration = Duration::from_secs(30);

/// Opens a directory in a way that depends on the cycle: the ways must agree.
pub(super) fn open_disk(directory: &Path, seed: u64, turn: u64) -> io::Result<Arc<dyn Disk>> {
    let mut rng = Rand64::new(u128::from(seed) << 64 | u128::from(turn) | 1 << 40);
    let direct = if rng.rand_range(0..4) == 0 {
        DirectIo::Off
    } else {
        DirectIo::Auto
    };
    let choice = match rng.rand_range(0..3) {
        0 => IoChoice::Auto,
        1 => IoChoice::Syscalls,
        _ => IoChoice::Uring,
    };
    open_best(directory, true, choice, direct).or_else(|error| match choice {
        // Where the system refuses it, the others are left.
        IoChoice::Uring => open_best(directory, true, IoChoice::Auto, direct),
        _ => Err(error),
    })
}

/// When to kill.
#[derive(Clone, Copy, Debug)]
struct Death {
    /// After the start, or after the last of these acknowledgements.
    acknowledgements: Option<u64>,
    then: Duration,
}

impl Death {
    fn draw(seed: u64, cycle: u64) -> Self {
        let mut rng = Rand64::new(u128::from(seed) << 64 | u128::from(cycle) | 1 << 41);
        let mut up_to = |us: u64| Duration::from_micros(rng.rand_range(0..us));
        if cycle % EARLY_EVERY == EARLY_EVERY - 1 {
            return Self {
                acknowledgements: None,
                then: up_to(EARLY_US),
            };
        }
        let then = up_to(LATE_US);
        Self {
            acknowledgements: Some(rng.rand_range(0..MOST_ACKNOWLEDGED)),
            then,
        }
    }
}

/// What a process said before it died.
#[derive(Debug, Default)]
struct Said {
    is_ready: bool,
    /// Highest number by writer.
    done: BTreeMap<u8, u64>,
    count: u64,
    broken: Option<String>,
}

/// All cycles.
pub(super) fn run(program: &Path, directory: &Path, args: &Args) -> Outcome {
    let progress = Progress::new("kill", args.cycles);
    let mut outcome = Outcome::default();
    let mut long = Oracle::new(args.seed);
    let mut transactions = 0;
    for cycle in 0..args.cycles {
        let is_fresh = cycle % FRESH_EVERY == FRESH_EVERY - 1;
        let mut fresh = Oracle::new(args.seed);
        let oracle = if is_fresh { &mut fresh } else { &mut long };
        let name = if is_fresh {
            format!("fresh-{cycle}")
        } else {
            "long".to_owned()
        };
        let place = directory.join(name);
        let before = oracle.transactions();
        let result = panics::catch(|| one(program, &place, args, cycle, oracle));
        transactions += oracle.transactions() - before;
        progress.count(result.is_ok());
        outcome.count(result.is_ok());
        match result {
            Ok(()) if is_fresh => drop(fs::remove_dir_all(&place)),
            Ok(()) => {}
            Err(failure) => {
                progress.say(&format!("kill: cycle {cycle}: {failure}"));
                let seed = args.seed;
                let again = format!("cs-torture kill --seed {seed} --cycles {}", cycle + 1);
                let keep = args.mutant.is_none() && outcome.failed <= MOST_KEPT;
                let kept = set_aside(&place, cycle, keep);
                progress.say(&format!("  again: {again}{kept}"));
                // The base is lost: the next cycle begins anew.
                long = Oracle::new(args.seed);
            }
        }
    }
    progress.finish();
    eprintln!(
        "kill: {transactions} transactions survived, {:.1} s",
        progress.seconds()
    );
    outcome
}

/// Takes what a failed cycle left out of the way of the next one; says where
/// it is, if it is kept.
fn set_aside(place: &Path, cycle: u64, keep: bool) -> String {
    let beside = format!("cs-kill-{}-{cycle}", std::process::id());
    let kept = std::env::temp_dir().join(beside);
    if keep && fs::rename(place, &kept).is_ok() {
        return format!("; what it left: {}", kept.display());
    }
    let _ = fs::remove_dir_all(place);
    String::new()
}

fn one(
    program: &Path,
    place: &Path,
    args: &Args,
    cycle: u64,
    oracle: &mut Oracle,
) -> Result<(), Failure> {
    let failed = |what: &'static str| move |error: io::Error| Failure(format!("{what}: {error}"));
    // 1. Write and die.
    let mut command = Command::new(program);
    command.args([
        "kill",
        "--seed",
        &args.seed.to_string(),
        "--child",
        &cycle.to_string(),
    ]);
    command
        .arg("--dir")
        .arg(place)
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    if let Some(mutant) = args.mutant {
        command.args(["--mutant", &format!("{mutant:?}")]);
    }
    let mut child = command.spawn().map_err(failed("starting the writer"))?;
    let said = listen_and_kill(&mut child, Death::draw(args.seed, cycle));
    // Whatever happened, nobody is left behind.
    let _ = child.kill();
    child.wait().map_err(failed("waiting for the writer"))?;
    let said = said?;
    if let Some(text) = said.broken {
        return Err(Failure(format!("the writer says: {text}")));
    }
    // 2. Reopen and compare.
    let doing = |error: cs_kv::Error| Failure(format!("reopening: {error}"));
    let disk = open_disk(place, args.seed, cycle + args.cycles).map_err(failed("the directory"))?;
    let store = Store::open(disk, RealRuntime::new(), options()).map_err(doing)?;
    if said.is_ready {
        oracle.note_created();
    }
    oracle.judge(&store, &said.done)?;
    // 3. Leave it closed now and then, else as a second death would.
    if cycle.is_multiple_of(3) {
        store.close().map_err(doing)
    } else {
        Ok(())
    }
}

fn listen_and_kill(child: &mut Child, death: Death) -> Result<Said, Failure> {
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
    let killed = child.kill();
    // To the end: what is in the pipe was acknowledged.
    receiver.iter().for_each(|frame| said.note(frame));
    reader
        .join()
        .map_err(|_| Failure("the reader panicked".to_owned()))??;
    killed.map_err(|error| Failure(format!("killing the writer: {error}")))?;
    silent?;
    Ok(said)
}

/// Takes frames until the moment has come.
fn wait_for_death(
    receiver: &Receiver<Frame>,
    death: Death,
    said: &mut Said,
) -> Result<(), Failure> {
    let mut moment = death
        .acknowledgements
        .is_none()
        .then(|| Instant::now() + death.then);
    loop {
        let left = moment.map_or(SILENCE_LIMIT, |at| {
            at.saturating_duration_since(Instant::now())
        });
        match receiver.recv_timeout(left) {
            Ok(frame) => said.note(frame),
            Err(RecvTimeoutError::Timeout) if moment.is_some() => return Ok(()),
            Err(RecvTimeoutError::Timeout) => {
                return Err(Failure(format!(
                    "the writer hangs after {} frames",
                    said.count
                )));
            }
            // It ended by itself: what it said tells why.
            Err(RecvTimeoutError::Disconnected) if said.broken.is_some() => return Ok(()),
            Err(RecvTimeoutError::Disconnected) => {
                return Err(Failure("the writer ended without a word".to_owned()));
            }
        }
        if moment.is_none()
            && death
                .acknowledgements
                .is_some_and(|least| said.count > least)
        {
            moment = Some(Instant::now() + death.then);
        }
    }
}

impl Said {
    fn note(&mut self, frame: Frame) {
        match frame {
            Frame::Ready => {
                self.is_ready = true;
                self.count += 1;
            }
            Frame::Done { writer, number } => {
                self.done.insert(writer, number);
                self.count += 1;
            }
            Frame::Broken(text) => self.broken = Some(text),
        }
    }
}

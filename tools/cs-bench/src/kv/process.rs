//! An engine in a process of its own: what is said between it and the process
//! that started it, one JSON object a line.
//!
//! Invariants:
//! * Each request has one reply. After a failure the process ends.
//! * It ends with its input, so nobody who dies leaves one behind; and whoever
//!   started it kills it rather than leave it.

use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::engine::{self, Engine, EngineName, Settings};
use crate::error::BenchError;
use crate::machine::cgroup::Cgroup;
use crate::machine::quiet;
use crate::machine::watch::Watch;

use super::bench::{Bench, batch_of};
use super::measured::{Measured, Unit};
use super::pairs::{Live, Pairs};
use super::reads::first_get;
use super::workload::Workload;

/// Keeps the C library's allocator from holding on to what was given back: left to
/// itself it keeps some 10 MiB for each of several threads, whoever asked for them.
const THRIFTY_ALLOCATOR: [(&str, &str); 3] = [
    ("MALLOC_ARENA_MAX", "2"),
    ("MALLOC_MMAP_THRESHOLD_", "131072"),
    ("MALLOC_TRIM_THRESHOLD_", "131072"),
];

/// What to open, and what is in it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Job {
    pub(super) engine: EngineName,
    pub(super) directory: PathBuf,
    pub(super) settings: Settings,
    pub(super) seed: u64,
    pub(super) live: Live,
    /// Wait before each step until the machine is quiet.
    pub(super) quiet: bool,
}

/// What to do next.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Request {
    /// Opens the engine: the first request, and only the first.
    Open(Job),
    /// Loads so many pairs.
    Load(u64),
    /// Runs a workload.
    Work {
        workload: String,
        threads: u64,
        seconds: f64,
    },
    /// Writes so many pairs in durable commits of 100.
    Log(u64),
    /// Fills an empty database by durable puts of 64 threads.
    Soak(u64),
    /// Checks that what was acknowledged is there.
    Verify,
    /// Closes the engine and ends.
    Close,
}

#[derive(Debug, Serialize, Deserialize)]
enum Reply {
    Done { rows: Vec<Measured>, live: Live },
    Failed { message: String, exit_code: u8 },
}

/// The process in which the engine is: answers requests until there are no more.
pub(crate) fn main() -> Result<(), BenchError> {
    let mut lines = io::stdin().lock().lines();
    let mut host: Option<Host> = None;
    while let Some(line) = lines.next().transpose().map_err(lost)? {
        let request: Request = serde_json::from_str(&line).map_err(|error| lost(error.into()))?;
        let is_last = matches!(request, Request::Close);
        let result = answer(&mut host, request);
        let failed = result.is_err();
        let reply = match result {
            Ok(rows) => Reply::Done {
                rows,
                live: host.as_ref().map_or_else(Live::default, |host| host.live),
            },
            Err(error) => Reply::Failed {
                message: error.to_string(),
                exit_code: error.exit_code(),
            },
        };
        let mut text = serde_json::to_string(&reply).map_err(|error| lost(error.into()))?;
        text.push('\n');
        let mut output = io::stdout().lock();
        output.write_all(text.as_bytes()).map_err(lost)?;
        output.flush().map_err(lost)?;
        if is_last || failed {
            break;
        }
    }
    Ok(())
}

fn lost(source: io::Error) -> BenchError {
    BenchError::Io {
        what: "talk between the process of an engine and its starter".to_owned(),
        source,
    }
}

/// An open engine and what is in it.
struct Host {
    engine: Box<dyn Engine>,
    directory: PathBuf,
    pairs: Pairs,
    live: Live,
    quiet: bool,
    batch: u64,
    watch: Option<Watch>,
}

fn answer(host: &mut Option<Host>, request: Request) -> Result<Vec<Measured>, BenchError> {
    match (request, host) {
        (Request::Open(job), host @ None) => {
            let (opened, rows) = Host::open(job)?;
            *host = Some(opened);
            Ok(rows)
        }
        (Request::Close, host) => {
            // Its data are told once more, in the reply: only the engine goes.
            let Some(taken) = host.take() else {
                return Ok(Vec::new());
            };
            let start = Instant::now();
            taken.engine.close()?;
            let seconds = start.elapsed().as_secs_f64();
            Ok(vec![Measured::new("close", 1, Unit::S, seconds)])
        }
        (request, Some(host)) => host.step(request),
        (request, None) => Err(BenchError::WrongAnswer(format!(
            "expected to open an engine before {request:?}"
        ))),
    }
}

impl Host {
    fn open(job: Job) -> Result<(Self, Vec<Measured>), BenchError> {
        let pairs = Pairs::new(job.seed, job.settings.value_bytes);
        let waited = job.quiet.then(quiet::wait).flatten();
        let watch = job.settings.memory_limit.and_then(|_| Watch::begin());
        let batch = batch_of(&job.settings, pairs.bytes());
        let start = Instant::now();
        let engine = engine::open(job.engine, &job.directory, &job.settings)?;
        first_get(engine.as_ref(), &pairs, &job.live)?;
        let seconds = start.elapsed().as_secs_f64();
        let host = Self {
            engine,
            directory: job.directory,
            pairs,
            live: job.live,
            quiet: job.quiet,
            batch,
            watch,
        };
        let opened = Measured::new("open", 1, Unit::S, seconds);
        Ok((host, vec![with_wait(opened, waited)]))
    }

    fn step(&mut self, request: Request) -> Result<Vec<Measured>, BenchError> {
        let waited = self.quiet.then(quiet::wait).flatten();
        let keys = self.live.pairs;
        let mut bench = Bench {
            engine: self.engine.as_ref(),
            directory: &self.directory,
            pairs: &self.pairs,
            live: &mut self.live,
            time: Duration::ZERO,
            batch: self.batch,
            watch: self.watch.as_ref(),
        };
        let rows = match request {
            Request::Load(keys) => bench.load(keys)?,
            Request::Work {
                workload,
                threads,
                seconds,
            } => {
                bench.time = Duration::from_secs_f64(seconds);
                bench.work(named(&workload)?, threads)?
            }
            Request::Log(records) => {
                bench.log(records)?;
                Vec::new()
            }
            Request::Soak(keys) => bench.soak(keys)?,
            Request::Verify => {
                bench.verify()?;
                Vec::new()
            }
            Request::Open(_) | Request::Close => {
                return Err(BenchError::WrongAnswer("an engine is open".to_owned()));
            }
        };
        let rows = rows.into_iter().map(|mut row| {
            row.details.insert("pairs_before".to_owned(), keys as f64);
            with_wait(row, waited)
        });
        Ok(rows.collect())
    }
}

fn with_wait(row: Measured, waited: Option<quiet::Quiet>) -> Measured {
    match waited {
        Some(quiet) => row
            .with("waited_for_quiet_s", quiet.waited_s)
            .with("not_quiet", (!quiet.reached).then_some(1.0)),
        None => row,
    }
}

fn named(workload: &str) -> Result<Workload, BenchError> {
    clap::ValueEnum::from_str(workload, false).map_err(BenchError::WrongAnswer)
}

/// The process of an engine, from outside. Killed when it is dropped.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    /// What is in the database, as far as it was acknowledged.
    pub(super) live: Live,
    name: String,
    /// Removed after the process has ended.
    cgroup: Option<Cgroup>,
}

impl Process {
    /// Starts one and opens its engine; its rows tell how long that took.
    pub(super) fn start(program: &Path, job: &Job) -> Result<(Self, Vec<Measured>), BenchError> {
        let limit = job.settings.memory_limit;
        let cgroup = limit.map(Cgroup::with_limit).transpose()?;
        let mut command = Command::new(program);
        if limit.is_some() {
            command.envs(THRIFTY_ALLOCATOR);
        }
        let mut child = command
            .arg("engine-process")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(BenchError::at("start", program))?;
        let input = child.stdin.take();
        let Some(output) = child.stdout.take() else {
            return Err(lost(io::ErrorKind::BrokenPipe.into()));
        };
        let mut process = Self {
            child,
            input,
            output: BufReader::new(output),
            live: job.live,
            name: job.engine.to_string(),
            cgroup,
        };
        if let Some(cgroup) = &process.cgroup {
            // Nothing is open yet: it waits to be told what.
            cgroup.add(process.child.id())?;
        }
        let rows = process.ask(&Request::Open(job.clone()))?;
        Ok((process, rows))
    }

    /// Asks for one thing and waits until it is done.
    pub(super) fn ask(&mut self, request: &Request) -> Result<Vec<Measured>, BenchError> {
        let mut text = serde_json::to_string(request).map_err(|error| lost(error.into()))?;
        text.push('\n');
        let input = self.input.as_mut();
        let input = input.ok_or_else(|| lost(io::ErrorKind::BrokenPipe.into()))?;
        // One that has died is told of below, with the way it ended.
        let _ = input
            .write_all(text.as_bytes())
            .and_then(|()| input.flush());
        let mut line = String::new();
        if self.output.read_line(&mut line).map_err(lost)? == 0 {
            return Err(self.ended());
        }
        match serde_json::from_str(&line).map_err(|error| lost(error.into()))? {
            Reply::Done { mut rows, live } => {
                let peak = self.cgroup.as_ref().and_then(Cgroup::peak);
                for row in rows.iter_mut().filter(|row| row.unit == Unit::Bytes) {
                    let peak = peak.map(|peak| peak as f64);
                    row.details
                        .extend(peak.map(|peak| ("group_peak".to_owned(), peak)));
                }
                if !matches!(request, Request::Close) {
                    self.live = live;
                }
                Ok(rows)
            }
            Reply::Failed { message, exit_code } => Err(BenchError::Engine {
                engine: self.name.clone(),
                message,
                exit_code,
            }),
        }
    }

    fn ended(&mut self) -> BenchError {
        let status = self.child.wait();
        BenchError::Engine {
            engine: self.name.clone(),
            message: match status {
                Ok(status) => format!("its process ended before it answered: {status}"),
                Err(error) => format!("its process cannot be waited for: {error}"),
            },
            exit_code: 1,
        }
    }

    /// Closes the engine and waits for the end of its process.
    pub(super) fn close(mut self) -> Result<(Live, Vec<Measured>), BenchError> {
        let rows = self.ask(&Request::Close)?;
        self.input = None;
        self.child.wait().map_err(lost)?;
        Ok((self.live, rows))
    }

    /// Kills it where it stands (SIGKILL).
    pub(super) fn kill(mut self) -> Result<Live, BenchError> {
        self.child.kill().map_err(lost)?;
        self.child.wait().map_err(lost)?;
        Ok(self.live)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // One that has ended is not there to be killed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

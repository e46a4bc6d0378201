//! One turn of one entrant: the processes that a round needs, and their figures.

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::BenchError;
use crate::machine;
use crate::run::place::Place;

use super::measured::{Measured, Subject};
use super::pairs::Live;
use super::plan::{Entrant, Plan, Round, Task};
use super::process::{Job, Process, Request};
use super::workload::Workload;

/// Pairs in the log when the process is killed, in `reopen`.
const LOGGED: u64 = 1000;

/// A turn.
pub(super) struct Session<'a> {
    pub(super) program: &'a Path,
    pub(super) plan: &'a Plan,
    pub(super) entrant: &'a Entrant,
    pub(super) place: &'a Place,
    /// Which turn, from 0.
    pub(super) turn: u64,
    /// Leave the databases.
    pub(super) keep: bool,
    /// Told before each step.
    pub(super) show: &'a mut dyn FnMut(&str),
}

/// How many steps [`Session::run`] will show.
pub(super) fn steps(entrant: &Entrant, round: &Round) -> u64 {
    let tasks = || round.tasks.iter().filter(|task| takes_part(entrant, task));
    let of_task = |task: &Task| match task.workload {
        // The load, which is a step in any case.
        Workload::BulkLoad => 0,
        Workload::Recover => 2,
        _ => task.threads.len() as u64,
    };
    let loads = tasks().any(|task| !is_apart(task));
    u64::from(loads) + tasks().map(of_task).sum::<u64>()
}

fn takes_part(entrant: &Entrant, task: &Task) -> bool {
    !entrant.only_reads || task.workload.only_reads()
}

/// Whether it has a database of its own.
fn is_apart(task: &Task) -> bool {
    matches!(task.workload, Workload::Soak | Workload::Recover)
}

impl Session<'_> {
    /// Runs the tasks of a round that are for this entrant; their figures.
    pub(super) fn run(&mut self, round: &Round) -> Result<Vec<Measured>, BenchError> {
        let mut rows = Vec::new();
        let (apart, together): (Vec<&Task>, Vec<&Task>) = round
            .tasks
            .iter()
            .filter(|task| takes_part(self.entrant, task))
            .partition(|task| is_apart(task));
        if !together.is_empty() {
            self.on_one_database(round.keys, &together, &mut rows)?;
        }
        for task in apart {
            if task.workload == Workload::Soak {
                self.soak(round.keys, &mut rows)?;
            } else {
                for records in [round.keys / 10, round.keys * 3 / 10] {
                    self.recover(records, &mut rows)?;
                }
            }
        }
        Ok(rows)
    }

    fn on_one_database(
        &mut self,
        keys: u64,
        tasks: &[&Task],
        rows: &mut Vec<Measured>,
    ) -> Result<(), BenchError> {
        let mut job = self.job("load", keys)?;
        let (mut process, _) = Process::start(self.program, &job)?;
        (self.show)("bulk-load");
        let loaded = process.ask(&Request::Load(keys))?;
        for task in tasks {
            match task.workload {
                Workload::BulkLoad => rows.extend(labelled(loaded.clone(), keys, false)),
                Workload::Reopen => {
                    (self.show)("reopen");
                    let (reopened, figures) = self.reopen(&mut job, process)?;
                    process = reopened;
                    rows.extend(labelled(figures, keys, false));
                }
                workload => {
                    for threads in &task.threads {
                        (self.show)(&format!("{workload} × {threads}"));
                        let figures = process.ask(&Request::Work {
                            workload: workload.to_string(),
                            threads: *threads,
                            seconds: task.seconds,
                        })?;
                        rows.extend(labelled(figures, keys, task.grows));
                    }
                }
            }
        }
        process.close()?;
        self.remove(&job.directory)
    }

    /// Closes, opens, logs a little, kills and opens again.
    fn reopen(
        &self,
        job: &mut Job,
        process: Process,
    ) -> Result<(Process, Vec<Measured>), BenchError> {
        let mut figures = Vec::new();
        let mut take = |rows: Vec<Measured>, name: &str| {
            figures.extend(rows.into_iter().map(|mut row| {
                row.subject.workload = name.to_owned();
                row
            }));
        };
        let (live, closed) = process.close()?;
        take(closed, "close");
        job.live = live;
        let (mut process, opened) = Process::start(self.program, job)?;
        take(opened, "reopen");
        process.ask(&Request::Log(LOGGED))?;
        job.live = process.kill()?;
        let (mut process, opened) = Process::start(self.program, job)?;
        take(opened, "reopen-killed");
        process.ask(&Request::Verify)?;
        Ok((process, figures))
    }

    fn recover(&mut self, records: u64, rows: &mut Vec<Measured>) -> Result<(), BenchError> {
        (self.show)(&format!("recover {records}"));
        let mut job = self.job("recover", records)?;
        job.settings.long_log = true;
        let (mut process, _) = Process::start(self.program, &job)?;
        process.ask(&Request::Log(records))?;
        job.live = process.kill()?;
        let bytes = machine::directory_bytes(&job.directory)
            .map_err(BenchError::at("measure the files in", &job.directory))?;
        let (mut process, opened) = Process::start(self.program, &job)?;
        process.ask(&Request::Verify)?;
        for mut row in opened {
            row.subject = Subject {
                workload: "recover".to_owned(),
                threads: 1,
                keys: records,
            };
            rows.push(row.with("bytes", bytes as f64));
        }
        process.close()?;
        self.remove(&job.directory)
    }

    fn soak(&mut self, keys: u64, rows: &mut Vec<Measured>) -> Result<(), BenchError> {
        (self.show)(&format!("soak {keys}"));
        let job = self.job("soak", keys)?;
        let (mut process, _) = Process::start(self.program, &job)?;
        rows.extend(labelled(process.ask(&Request::Soak(keys))?, keys, false));
        process.close()?;
        self.remove(&job.directory)
    }

    /// A job in a new directory of its own.
    fn job(&self, what: &str, keys: u64) -> Result<Job, BenchError> {
        let label = self.entrant.label();
        let name = format!("{label}-{what}-{keys}-{}", self.turn + 1);
        let directory = self.place.path().join(name);
        fs::create_dir(&directory).map_err(BenchError::at("make directory", &directory))?;
        Ok(Job {
            engine: self.entrant.engine,
            directory,
            settings: self.plan.settings(self.entrant, keys),
            seed: self.plan.seed,
            live: Live::default(),
            quiet: self.plan.quiet,
        })
    }

    fn remove(&self, directory: &PathBuf) -> Result<(), BenchError> {
        if self.keep {
            return Ok(());
        }
        fs::remove_dir_all(directory).map_err(BenchError::at("remove", directory))
    }
}

/// Rows with the number of keys that they are of, and that they are of `growth`.
fn labelled(rows: Vec<Measured>, keys: u64, grows: bool) -> impl Iterator<Item = Measured> {
    rows.into_iter().map(move |mut row| {
        row.subject.keys = keys;
        if grows {
            row.subject.workload = format!("growth-{}", row.subject.workload);
        }
        row
    })
}

//! Scenarios that a person can read: each script of this folder is run, and what it shows is
//! compared with what is written in it.
//!
//! `UPDATE_SCENARIOS=1` writes what is shown into the scripts; the `expect` lines must hold all the
//! same. `SCENARIO=election/first` runs those whose name contains it; with
//! `SCENARIO_LOUD=1 … -- --nocapture` quiet commands speak, too. See `../README.md`.
#![allow(clippy::unwrap_used, reason = "a failed test panics")]

mod checks;
mod cluster;
mod commands;
mod disk;
mod driver;
mod expect;
#[cfg(feature = "mutants")]
mod mutants;
mod network;
mod script;
mod setup;
mod words;

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use cluster::Cluster;
use script::Script;

/// Fewer scripts than this were not found rather than written.
const FEWEST_SCRIPTS: usize = 60;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios")
}

/// Every script by name, in order.
fn scripts() -> Vec<(String, PathBuf)> {
    let mut found = Vec::new();
    let folders = fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().path());
    for folder in folders.filter(|path| path.is_dir()) {
        for path in fs::read_dir(&folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
        {
            let name = |path: &Path| path.file_stem().unwrap().to_string_lossy().into_owned();
            if path
                .extension()
                .is_some_and(|extension| extension == "script")
            {
                found.push((format!("{}/{}", name(&folder), name(&path)), path));
            }
        }
    }
    found.sort();
    found
}

/// A planted bug is planted in the whole process: nothing else runs beside a hunt.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What running a script came to.
#[derive(Debug)]
pub(crate) struct Run {
    /// It, with what it shows now.
    script: Script,
    /// An expectation or a rule was broken: where, and how.
    broken: Option<String>,
}

/// Runs a script up to its end, or to what breaks it.
pub(crate) fn run(mut script: Script) -> Run {
    let mut cluster = Cluster::default();
    for step in &mut script.steps {
        cluster.trace.clear();
        let done = catch_unwind(AssertUnwindSafe(|| {
            commands::run(&mut cluster, &step.command)
        }));
        let done = done.unwrap_or_else(|panic| Err(message(panic.as_ref())));
        if !step.command.starts_with("expect") {
            cluster.last_shown = cluster.trace.clone();
        }
        if std::env::var_os("SCENARIO_LOUD").is_some() {
            println!("{}\n    {}", step.command, cluster.trace.join("\n    "));
        }
        let quiet = ["quietly", "lead", "expect", "cluster"];
        let is_quiet = quiet.contains(&step.command.split(' ').next().unwrap_or_default());
        step.shown = if is_quiet {
            Vec::new()
        } else {
            cluster.trace.clone()
        };
        if let Err(error) = done {
            let broken = Some(format!("line {}: {}: {error}", step.line, step.command));
            return Run { script, broken };
        }
    }
    Run {
        script,
        broken: None,
    }
}

fn message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
    format!("panic: {}", text.unwrap_or_default())
}

fn first_difference(expected: &str, found: &str) -> String {
    let mut lines = expected.lines().zip(found.lines()).enumerate();
    let other = lines.find(|(_, (expected, found))| expected != found);
    match other {
        Some((line, (expected, found))) => {
            format!("line {}: expected {expected:?}, found {found:?}", line + 1)
        }
        None => "one is longer than the other".to_owned(),
    }
}

#[test]
fn every_script_shows_what_is_written_in_it() {
    let _alone = alone();
    let update = std::env::var_os("UPDATE_SCENARIOS").is_some();
    let wanted = std::env::var("SCENARIO").unwrap_or_default();
    let scripts = scripts();
    assert!(
        scripts.len() >= FEWEST_SCRIPTS,
        "only {} scripts were found",
        scripts.len()
    );
    let mut failures = Vec::new();
    for (name, path) in scripts.iter().filter(|(name, _)| name.contains(&wanted)) {
        let text = fs::read_to_string(path).unwrap();
        let run = match Script::parse(&text) {
            Ok(script) => run(script),
            Err(error) => {
                failures.push(format!("{name}: {error}"));
                continue;
            }
        };
        let found = run.script.text();
        if let Some(broken) = run.broken {
            failures.push(format!("{name}: {broken}"));
        } else if !text.lines().any(|line| line.starts_with("expect ")) {
            failures.push(format!("{name}: expects nothing"));
        } else if found != text && !update {
            failures.push(format!("{name}: {}", first_difference(&text, &found)));
        }
        if update && found != text {
            fs::write(path, found).unwrap();
        }
    }
    let count = failures.len();
    assert!(
        failures.is_empty(),
        "{count} scripts failed:\n{}",
        failures.join("\n")
    );
}

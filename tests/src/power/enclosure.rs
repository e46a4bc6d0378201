//! The harness runs once more, in a mount namespace of its own.
//!
//! ## Invariants
//! * Every mount is made inside, so it is gone with the last process there,
//!   however that ended; so is the loop device, which clears itself.
//! * The process outside holds the temporary directory and a pipe to the one
//!   inside. If it ends, by Ctrl-C or otherwise, the one inside finds the end of
//!   the pipe, takes the directory away and ends too.

use std::fs;
use std::io::{self, Read};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio, exit};
use std::sync::{Arc, Mutex, PoisonError};

use clap::ValueEnum;

use super::{Args, SKIPPED_CODE, Skipped};
use crate::Outcome;

/// Runs the harness inside, and brings its outcome out.
pub(super) fn run(program: &Path, args: &Args) -> Result<Outcome, Skipped> {
    let skip = |what: &str, error: &dyn std::fmt::Display| Skipped(format!("{what}: {error}"));
    let made = match &args.dir {
        Some(directory) => tempfile::tempdir_in(directory),
        None => tempfile::tempdir(),
    };
    let directory = made.map_err(|error| skip("no directory for the file system", &error))?;
    let mut command = Command::new("unshare");
    command
        .args(["--mount", "--propagation", "private", "--"])
        .arg(program)
        .args(["power", "--inside"])
        .args(["--cuts", &args.cuts.to_string()])
        .args(["--seed", &args.seed.to_string()]);
    if let Some(fs) = args.fs.to_possible_value() {
        command.args(["--fs", fs.get_name()]);
    }
    if let Some(mutant) = args.mutant {
        command.args(["--mutant", &format!("{mutant:?}")]);
    }
    if args.mutants {
        command.arg("--mutants");
    }
    // In a process group of its own: Ctrl-C reaches it as the end of the pipe,
    // when it can still tidy up.
    let child = command
        .arg("--dir")
        .arg(directory.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .process_group(0)
        .spawn();
    let mut child = child.map_err(|error| skip("no mount namespace: unshare", &error))?;
    let pipe = child.stdin.take();
    let mut said = String::new();
    if let Some(output) = &mut child.stdout {
        let read = output.read_to_string(&mut said);
        read.map_err(|error| skip("the process inside", &error))?;
    }
    let status = child.wait();
    drop(pipe);
    let status = status.map_err(|error| skip("the process inside", &error))?;
    let said = said.trim();
    if let Some(outcome) = parse(said) {
        return Ok(outcome);
    }
    if status.code() == Some(i32::from(SKIPPED_CODE)) || status.code() == Some(1) {
        // What `unshare` has to say is on standard error.
        let why = said
            .strip_prefix("skipped: ")
            .unwrap_or("unshare refused a mount namespace");
        return Err(Skipped(why.to_owned()));
    }
    eprintln!("power: the process inside ended with {status}: {said}");
    Ok(Outcome {
        passed: 0,
        failed: 1,
    })
}

/// What a harness ends with.
fn parse(said: &str) -> Option<Outcome> {
    let line = said.lines().last()?;
    let (passed, rest) = line.split_once(" passed, ")?;
    let failed = rest.strip_suffix(" failed")?;
    Some(Outcome {
        passed: passed.parse().ok()?,
        failed: failed.parse().ok()?,
    })
}

/// Holds off the end while something is mounted or unmounted.
pub(super) type Busy = Arc<Mutex<()>>;

/// Inside: waits for the end of the process outside.
pub(super) fn watch_outside(directory: PathBuf, mounted: PathBuf) -> Busy {
    let busy = Busy::default();
    let held = Arc::clone(&busy);
    std::thread::spawn(move || {
        let _ = io::copy(&mut io::stdin(), &mut io::sink());
        // Never given back: nothing is mounted any more.
        let _busy = held.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = Command::new("umount").arg("-l").arg(mounted).output();
        let _ = fs::remove_dir_all(directory);
        exit(130)
    });
    busy
}

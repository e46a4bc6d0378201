//! One cut after the other.
//!
//! ## Invariants
//! * The kinds of database take turns, each in a directory of its own that goes
//!   on from cut to cut; some begin anew.
//! * Every way to a directory takes its turn with every kind.
//! * After a failure the file system is made anew: nothing of it is believed.

use std::fs;
use std::path::Path;

use cs_base::mutants::Mutant;

use super::enclosure::{Busy, watch_outside};
use super::volume::{Journal, Volume};
use super::{Args, Skipped};
use crate::kill::cycle::Going;
use crate::kill::scene::Scene;
use crate::progress::Progress;
use crate::{Failure, Outcome, panics};

/// Bugs that a real power cut must show: a sync that is missing, an
/// acknowledgement that does not wait for it, a page that was never written.
const VISIBLE: [Mutant; 3] = [
    Mutant::SkipSync,
    Mutant::AcknowledgeBeforeSync,
    Mutant::LoseCheckpointWrite,
];
/// So many file systems of failed cuts are kept to be looked at.
const MOST_KEPT: u64 = 2;

struct Harness<'a> {
    program: &'a Path,
    args: &'a Args,
    directory: &'a Path,
    busy: Busy,
}

/// Inside the mount namespace: all cuts.
pub(super) fn run(program: &Path, args: &Args) -> Result<Outcome, Skipped> {
    let Some(directory) = &args.dir else {
        return Err(Skipped("no directory for the file system".to_owned()));
    };
    let mounted = directory.join("mounted");
    let harness = Harness {
        program,
        args,
        directory,
        busy: watch_outside(directory.clone(), mounted),
    };
    if !args.mutants {
        eprintln!("power: seed {}", args.seed);
        return harness.cut_all();
    }
    let mut outcome = Outcome::default();
    for mutant in VISIBLE {
        let mut args = args.clone();
        args.mutant = Some(mutant);
        let hunt = Harness {
            args: &args,
            busy: Busy::clone(&harness.busy),
            ..harness
        };
        let hunted = hunt.cut_all()?;
        let verdict = if hunted.failed > 0 {
            format!("caught at cut {}", hunted.passed + hunted.failed)
        } else {
            format!("NOT caught within {} cuts", hunted.passed)
        };
        eprintln!("{mutant:?}: {verdict}");
        outcome.count(hunted.failed > 0);
    }
    Ok(outcome)
}

impl Harness<'_> {
    fn volume(&self) -> Result<Volume, Skipped> {
        let mounted = self.directory.join("mounted");
        Volume::new(
            self.args.fs,
            self.directory,
            &mounted,
            Busy::clone(&self.busy),
        )
    }

    /// With a planted bug it is enough to have seen it once.
    fn cut_all(&self) -> Result<Outcome, Skipped> {
        let args = self.args;
        let progress = Progress::new("power", args.cuts);
        let mut outcome = Outcome::default();
        let mut volume = self.volume()?;
        let mut going = Going::new(args.seed);
        for cycle in 0..args.cuts {
            let result = panics::catch(|| self.cut(&mut volume, &mut going, cycle));
            progress.count(result.is_ok());
            outcome.count(result.is_ok());
            let Err(failure) = result else { continue };
            progress.say(&format!("power: cut {cycle}: {failure}"));
            if args.mutant.is_some() {
                break;
            }
            let fs = format!("{:?}", args.fs).to_lowercase();
            let again = format!(
                "cs-torture power --fs {fs} --seed {} --cuts {}",
                args.seed,
                cycle + 1
            );
            let kept = if outcome.failed <= MOST_KEPT {
                self.keep(&volume, cycle)
            } else {
                String::new()
            };
            progress.say(&format!("  again: {again}{kept}"));
            drop(volume);
            volume = self.volume()?;
            going = Going::new(args.seed);
        }
        progress.finish();
        eprintln!("power: {:.1} s", progress.seconds());
        Ok(outcome)
    }

    fn cut(&self, volume: &mut Volume, going: &mut Going, cycle: u64) -> Result<(), Failure> {
        let mut fresh = None;
        let chosen = going.choose(cycle, &mut fresh);
        let place = volume.path().join(&chosen.name);
        let scene = Scene {
            program: self.program,
            place: &place,
            seed: self.args.seed,
            cycle,
            mutant: self.args.mutant,
        };
        let journal = if (cycle + cycle / 6).is_multiple_of(2) {
            Journal::Flushed
        } else {
            Journal::Lost
        };
        let mut cut = || volume.cut(journal).map_err(Failure);
        let said = scene.write_and_die(chosen.oracle, Some(&mut cut))?;
        volume.restart()?;
        scene.judge(chosen.oracle, &said)?;
        if chosen.is_fresh {
            let _ = fs::remove_dir_all(&place);
        }
        Ok(())
    }

    /// Copies the file system of a failed cut away; says where it is.
    fn keep(&self, volume: &Volume, cycle: u64) -> String {
        let name = format!("cs-power-{}-{cycle}.image", std::process::id());
        let kept = std::env::temp_dir().join(name);
        match fs::copy(volume.image(), &kept) {
            Ok(_) => format!("; the file system: {}", kept.display()),
            Err(_) => String::new(),
        }
    }
}

//! The log alone under waiting writers: no tree, no pages, one record of 200
//! bytes in flight per writer. Shapes of a durable write, numbers of groups in
//! flight, with and without the log thread, each beside the ceiling: the
//! simplest group commit there is, which nobody could ever read back.
//!
//! ```text
//! cargo bench -p cs-wal --bench waiting_writers -- [--seconds S] [--rounds N]
//!     [--writers 1,16,64] [--only WORD[,WORD…]] [--dir DIR] [--take median|best]
//! ```
//!
//! Rounds are interleaved: every variant once, then every variant again. The
//! figure is the median of the rounds, the ratio that of the medians. On a
//! machine that is never quiet the best of many short rounds says more.

#![allow(clippy::unwrap_used, reason = "a bench that fails shows where")]

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

mod ceiling;
mod variants;
mod writers;

use variants::{Variant, variants};

/// What was asked for.
struct Arguments {
    seconds: Duration,
    rounds: usize,
    writers: Vec<usize>,
    only: Vec<String>,
    dir: PathBuf,
    best: bool,
}

fn arguments() -> Arguments {
    let mut arguments = Arguments {
        seconds: Duration::from_millis(500),
        rounds: 5,
        writers: vec![1, 4, 16, 64, 256],
        only: Vec::new(),
        dir: std::env::temp_dir(),
        best: false,
    };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        if word == "--bench" {
            continue;
        }
        let value = words.next().unwrap_or_else(|| panic!("{word}: no value"));
        let list = || value.split(',').map(str::to_owned);
        match word.as_str() {
            "--seconds" => arguments.seconds = Duration::from_secs_f64(value.parse().unwrap()),
            "--rounds" => arguments.rounds = value.parse().unwrap(),
            "--writers" => arguments.writers = list().map(|n| n.parse().unwrap()).collect(),
            "--only" => arguments.only = list().collect(),
            "--take" => arguments.best = value == "best",
            "--dir" => arguments.dir = value.into(),
            _ => panic!("{word}: unknown"),
        }
    }
    arguments
}

/// The median, or the one at the good end.
fn figure(figures: &mut [f64], best: Option<fn(f64, f64) -> f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    match best {
        Some(better) => figures.iter().copied().fold(f64::NAN, better),
        None => figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN),
    }
}

/// Waits until the processors have been idle for a moment, or it takes too
/// long: then the figures are what they are.
fn wait_for_quiet() {
    // Idle and all time of all processors, in hundredths of a second.
    let times = || {
        let text = std::fs::read_to_string("/proc/stat").unwrap();
        let line = text.lines().next().unwrap_or_default();
        let fields: Vec<f64> = line.split(' ').filter_map(|n| n.parse().ok()).collect();
        (fields[3], fields.iter().sum::<f64>())
    };
    for _ in 0..20 {
        let before = times();
        std::thread::sleep(Duration::from_millis(60));
        let after = times();
        if after.0 - before.0 >= 0.8 * (after.1 - before.1) {
            return;
        }
    }
}

fn main() {
    let arguments = arguments();
    let chosen: Vec<Variant> = variants()
        .into_iter()
        .filter(|variant| {
            let wanted = |word: &String| variant.name.contains(word.as_str());
            variant.name == ceiling::NAME
                || arguments.only.is_empty()
                || arguments.only.iter().any(wanted)
        })
        .collect();
    let columns = arguments.writers.len();
    let mut figures = vec![vec![Vec::new(); columns]; chosen.len()];
    let mut cpu = figures.clone();
    let mut notes = vec![vec![String::new(); columns]; chosen.len()];
    for _ in 0..arguments.rounds {
        for (column, &writers) in arguments.writers.iter().enumerate() {
            for (row, variant) in chosen.iter().enumerate() {
                wait_for_quiet();
                let directory = tempfile::tempdir_in(&arguments.dir).unwrap();
                match variant.run(directory.path(), writers, arguments.seconds) {
                    Ok(measured) => {
                        figures[row][column].push(measured.per_s);
                        cpu[row][column].push(measured.cpu_us_per_record);
                        notes[row][column] = format!("{:.1}", measured.records_per_group);
                    }
                    Err(error) => notes[row][column] = error.to_string(),
                }
            }
        }
    }
    let taken = |figures: &mut Vec<Vec<Vec<f64>>>, better: fn(f64, f64) -> f64| {
        let better = arguments.best.then_some(better);
        let row = |row: &mut Vec<Vec<f64>>| -> Vec<f64> {
            row.iter_mut().map(|cell| figure(cell, better)).collect()
        };
        figures.iter_mut().map(row).collect::<Vec<_>>()
    };
    let (rates, cpu) = (taken(&mut figures, f64::max), taken(&mut cpu, f64::min));
    let mut text = format!("{:<44}", "records/s (of ceiling; per group; cpu)");
    for writers in &arguments.writers {
        let _ = write!(text, "{:>32}", format!("{writers} writers"));
    }
    println!("{text}");
    for (row, variant) in chosen.iter().enumerate() {
        let mut text = format!("{:<44}", variant.name);
        for column in 0..columns {
            let (figure, ceiling) = (rates[row][column], rates[0][column]);
            let (note, cpu) = (&notes[row][column], cpu[row][column]);
            let share = format!("{:.2}; {note}; {cpu:.1} us", figure / ceiling);
            let _ = write!(text, "{:>32}", format!("{figure:.0} ({share})"));
        }
        println!("{text}");
    }
}

//! The log alone under waiting writers: no tree, no pages, one record of 200
//! bytes in flight per writer. Shapes of a durable write, numbers of groups in
//! flight, with and without the log thread, each beside the ceiling: the
//! simplest group commit there is, which nobody could ever read back.
//!
//! ```text
//! cargo bench -p cs-wal --bench waiting_writers -- [--seconds S] [--rounds N]
//!     [--writers 1,16,64] [--only WORD[,WORD…]] [--dir DIR]
//! ```
//!
//! Rounds are interleaved: every variant once, then every variant again. The
//! figure is the median of the rounds, the ratio that of the medians.

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
}

fn arguments() -> Arguments {
    let mut arguments = Arguments {
        seconds: Duration::from_millis(500),
        rounds: 5,
        writers: vec![1, 4, 16, 64, 256],
        only: Vec::new(),
        dir: std::env::temp_dir(),
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
            "--dir" => arguments.dir = value.into(),
            _ => panic!("{word}: unknown"),
        }
    }
    arguments
}

fn median(figures: &mut [f64]) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
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
    let mut notes = vec![vec![String::new(); columns]; chosen.len()];
    for _ in 0..arguments.rounds {
        for (column, &writers) in arguments.writers.iter().enumerate() {
            for (row, variant) in chosen.iter().enumerate() {
                let directory = tempfile::tempdir_in(&arguments.dir).unwrap();
                match variant.run(directory.path(), writers, arguments.seconds) {
                    Ok(measured) => {
                        figures[row][column].push(measured.per_s);
                        notes[row][column] = format!("{:.1}", measured.records_per_group);
                    }
                    Err(error) => notes[row][column] = error.to_string(),
                }
            }
        }
    }
    let medians: Vec<Vec<f64>> = figures
        .iter_mut()
        .map(|row| {
            let figure = |figures: &mut Vec<f64>| match figures.is_empty() {
                true => f64::NAN,
                false => median(figures),
            };
            row.iter_mut().map(figure).collect()
        })
        .collect();
    let mut text = format!("{:<44}", "records/s (of the ceiling; per group)");
    for writers in &arguments.writers {
        let _ = write!(text, "{:>22}", format!("{writers} writers"));
    }
    println!("{text}");
    for (row, variant) in chosen.iter().enumerate() {
        let mut text = format!("{:<44}", variant.name);
        for column in 0..columns {
            let (figure, ceiling) = (medians[row][column], medians[0][column]);
            let share = format!("{:.2}; {}", figure / ceiling, notes[row][column]);
            let _ = write!(text, "{:>22}", format!("{figure:.0} ({share})"));
        }
        println!("{text}");
    }
}

//! Planted bugs, each shown by a script: an expectation breaks, or a rule of `checks.rs`, or the
//! core's own assertions. That the text differs is not enough.

use std::collections::BTreeMap;
use std::{fs, panic};

use cs_raft::mutants::{Mutant, plant};

use crate::script::Script;
use crate::{alone, run, scripts};

/// The scripts that break.
fn broken() -> Vec<String> {
    let mut broken = Vec::new();
    for (name, path) in scripts() {
        let script = Script::parse(&fs::read_to_string(path).unwrap()).unwrap();
        if let Some(how) = run(script).broken {
            broken.push(format!("{name}: {how}"));
        }
    }
    broken
}

/// The scripts that each planted bug breaks.
fn hunt() -> BTreeMap<Mutant, Vec<String>> {
    let without = broken();
    assert!(
        without.is_empty(),
        "broken without a planted bug: {without:?}"
    );
    let told = panic::take_hook();
    // Panics are findings here, told by the table.
    panic::set_hook(Box::new(|_| {}));
    let mut found = BTreeMap::new();
    for &mutant in Mutant::ALL {
        plant(Some(mutant));
        found.insert(mutant, broken());
        plant(None);
    }
    panic::set_hook(told);
    found
}

/// `cargo test -p cs-raft --features mutants --test scenarios -- --nocapture planted` prints them.
#[test]
fn each_planted_bug_breaks_a_script() {
    let _alone = alone();
    let broken = hunt();
    let mut unseen = Vec::new();
    for (mutant, scripts) in &broken {
        println!("{mutant:?}");
        scripts.iter().for_each(|script| println!("    {script}"));
        if scripts.is_empty() {
            unseen.push(*mutant);
        }
    }
    assert!(unseen.is_empty(), "no script shows {unseen:?}");
}

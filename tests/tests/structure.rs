//! The shape of the repository, held: who may import whom, where unsafe code
//! lives, what libraries never do, how long files get, and that planted bugs
//! are in the test programs and nowhere else.

#![allow(clippy::unwrap_used, reason = "a failed test panics")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// Who may import whom: the table of the design, by package. `None`: whatever
/// it needs.
const IMPORTS: [(&str, Option<&[&str]>); 16] = [
    ("cs-base", Some(&[])),
    ("cs-io", Some(&["cs-base"])),
    ("cs-pager", Some(&["cs-base", "cs-io"])),
    ("cs-wal", Some(&["cs-base", "cs-io"])),
    ("cs-kv", Some(&["cs-base", "cs-io", "cs-pager", "cs-wal"])),
    (
        "collection-store",
        Some(&["cs-kv", "collection-store-derive"]),
    ),
    ("collection-store-derive", Some(&[])),
    ("cs-capi", Some(&["collection-store"])),
    ("cs-raft", Some(&[])),
    ("cs-raft-quic", Some(&["cs-raft"])),
    (
        "cs-replica",
        Some(&[
            "collection-store",
            "cs-kv",
            "cs-wal",
            "cs-raft",
            "cs-raft-quic",
        ]),
    ),
    ("cs-bench", None),
    ("cs-inspect", None),
    ("cs-server", None),
    ("cs-benches", None),
    ("cs-tests", None),
];

/// Folders with code of ours.
const FOLDERS: [&str; 7] = [
    "pager", "wal", "raft", "engine", "tools", "benches", "tests",
];
/// Folders of libraries, which print nothing and leave time and threads to the runtime.
const LIBRARIES: [&str; 4] = ["pager", "wal", "raft", "engine"];
/// Where unsafe code may be: the outside world, the frames of the pager, the C
/// ABI, the benches that open another store through its unsafe call, and the
/// allocator of a test that counts.
const UNSAFE_PLACES: [&str; 6] = [
    "pager/io/src/",
    "pager/src/frames.rs",
    "engine/capi/src/",
    "benches/benches/",
    "tools/cs-bench/src/engine/lmdb.rs",
    "engine/kv/tests/heap/counting.rs",
];
/// Crates that cannot forbid unsafe code as a whole, since they have some
/// (`cs-bench` with its peers only; without them it forbids it).
const WITH_UNSAFE: [&str; 4] = ["cs-io", "cs-pager", "cs-capi", "cs-bench"];
/// Where time and threads may be asked for: the runtime, and the lock file,
/// which tells people since when it is held.
const CLOCK_PLACES: [&str; 2] = ["pager/io/src/runtime.rs", "pager/io/src/sys/lock.rs"];
/// Longest file.
const MAX_LINES: usize = 800;
/// In every program with planted bugs.
const MARK: &[u8] = b"cs-planted-bugs-compiled";

fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent()
        .expect("the test crate lies in the repository")
        .to_owned()
}

/// What users run.
const PROGRAMS: [&str; 3] = ["cs-inspect", "cs-bench", "cs-server"];

fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    command
}

fn output_of(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

fn packages() -> Vec<Value> {
    let metadata = output_of(cargo().args(["metadata", "--no-deps", "--format-version", "1"]));
    let metadata: Value = serde_json::from_str(&metadata).unwrap();
    metadata["packages"].as_array().unwrap().clone()
}

/// A source file: its path from the root, its text.
struct Source {
    path: String,
    text: String,
}

fn sources(folders: &[&str]) -> Vec<Source> {
    let root = root();
    let mut found = Vec::new();
    for folder in folders {
        walk(&root.join(folder), &mut found);
    }
    assert!(found.len() > 20, "the sources were found");
    found.sort();
    let source = |path: PathBuf| Source {
        text: fs::read_to_string(&path).unwrap(),
        path: path
            .strip_prefix(&root)
            .unwrap()
            .to_string_lossy()
            .into_owned(),
    };
    found.into_iter().map(source).collect()
}

fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            // Somebody's own build directory inside a crate is none of ours.
            if !path.join("CACHEDIR.TAG").exists() {
                walk(&path, found);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

impl Source {
    /// Whether it is compiled for tests, examples or benches only.
    fn is_test(&self) -> bool {
        let parts = [
            "/tests/",
            "/examples/",
            "/benches/",
            "/tests.rs",
            "/conformance.rs",
        ];
        parts.iter().any(|part| self.path.contains(part))
    }

    /// Lines of code without comments, and without an inline module of tests.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines: Vec<&str> = self.text.lines().collect();
        let inline = lines.windows(2).position(|pair| {
            pair[0].trim() == "#[cfg(test)]"
                && pair[1].trim_start().starts_with("mod ")
                && pair[1].trim_end().ends_with('{')
        });
        let len = inline.unwrap_or(lines.len());
        lines.into_iter().take(len).enumerate().map(|(at, line)| {
            let comment = line.find("//").unwrap_or(line.len());
            (at + 1, &line[..comment])
        })
    }

    fn lines_with(&self, is_found: impl Fn(&str) -> bool) -> Vec<String> {
        let found = self.code().filter(|(_, line)| is_found(line));
        found
            .map(|(at, line)| format!("{}:{at}: {}", self.path, line.trim()))
            .collect()
    }
}

fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split(|letter: char| !letter.is_alphanumeric() && letter != '_')
}

fn assert_none(found: &[String], what: &str) {
    assert!(found.is_empty(), "{what}:\n{}", found.join("\n"));
}

#[test]
fn crates_import_only_whom_the_design_lets_them() {
    let allowed: BTreeMap<&str, _> = IMPORTS.into_iter().collect();
    let mut wrong = Vec::new();
    for package in packages() {
        let name = package["name"].as_str().unwrap();
        let Some(imports) = allowed.get(name) else {
            wrong.push(format!("{name} is not in the table"));
            continue;
        };
        for dependency in package["dependencies"].as_array().unwrap() {
            let other = dependency["name"].as_str().unwrap();
            let is_ours = !dependency["path"].is_null();
            if is_ours && imports.is_some_and(|imports| !imports.contains(&other)) {
                wrong.push(format!("{name} imports {other}"));
            }
        }
    }
    assert_none(&wrong, "edges that the design does not know");
}

/// Lines with unsafe code, or that let it in. A string that talks of it is none.
fn unsafe_lines(source: &Source) -> Vec<String> {
    source.lines_with(|line| {
        let opens_a_door = ["allow(unsafe_code", "expect(unsafe_code"];
        let is_code = words(line).any(|word| word == "unsafe") && !line.contains('"');
        is_code || opens_a_door.iter().any(|door| line.contains(door))
    })
}

/// Lines that print.
fn printing_lines(source: &Source) -> Vec<String> {
    let prints = ["println", "eprintln", "print", "eprint", "dbg"];
    source.lines_with(|line| {
        let calls = |name: &&str| line.contains(&format!("{name}!("));
        words(line).any(|word| prints.contains(&word)) && prints.iter().any(calls)
    })
}

/// Lines that start threads, sleep, or ask for the time.
fn clock_lines(source: &Source) -> Vec<String> {
    let calls = [
        "thread::spawn",
        "thread::sleep",
        "thread::Builder",
        "thread::scope",
        "Instant::now",
        "SystemTime::now",
    ];
    source.lines_with(|line| calls.iter().any(|call| line.contains(call)))
}

#[test]
fn the_scanner_finds_what_it_looks_for_and_nothing_in_comments_and_tests() {
    let source = Source {
        path: "pager/src/made_up.rs".to_owned(),
        text: "//! println!(\"in a comment\"), unsafe { }\n\
               #![allow(unsafe_code, reason = \"a door\")]\n\
               fn a() { unsafe { b() } } // unsafe\n\
               fn c() { println!(\"x\"); let t = Instant::now(); }\n\
               #[cfg(test)]\n\
               mod tests {\n\
               fn d() { std::thread::spawn(|| println!(\"in a test\")); }\n\
               }\n"
        .to_owned(),
    };
    assert_eq!(unsafe_lines(&source).len(), 2);
    assert_eq!(printing_lines(&source).len(), 1);
    assert_eq!(clock_lines(&source).len(), 1);
    assert!(!source.is_test());
}

#[test]
fn unsafe_code_lives_on_its_islands_only() {
    let is_allowed = |path: &str| UNSAFE_PLACES.iter().any(|place| path.starts_with(place));
    let sources = sources(&FOLDERS);
    let others = sources.iter().filter(|source| !is_allowed(&source.path));
    // This file talks of it.
    let others = others.filter(|source| source.path != "tests/tests/structure.rs");
    assert_none(
        &others.flat_map(unsafe_lines).collect::<Vec<_>>(),
        "unsafe code elsewhere",
    );
}

#[test]
fn every_other_crate_forbids_unsafe_code() {
    let mut wrong = Vec::new();
    for package in packages() {
        let name = package["name"].as_str().unwrap();
        if WITH_UNSAFE.contains(&name) {
            continue;
        }
        for target in package["targets"].as_array().unwrap() {
            let path = Path::new(target["src_path"].as_str().unwrap());
            let is_root = ["lib.rs", "main.rs"]
                .iter()
                .any(|root| path.ends_with(Path::new("src").join(root)));
            if is_root
                && !fs::read_to_string(path)
                    .unwrap()
                    .contains("#![forbid(unsafe_code)]")
            {
                wrong.push(format!("{name}: {}", path.display()));
            }
        }
    }
    assert_none(&wrong, "crate roots without forbid(unsafe_code)");
}

#[test]
fn no_file_is_longer_than_anybody_reads() {
    let long = sources(&FOLDERS).into_iter().filter_map(|source| {
        let lines = source.text.lines().count();
        (lines > MAX_LINES).then(|| format!("{}: {lines} lines", source.path))
    });
    assert_none(&long.collect::<Vec<_>>(), "files over the limit");
}

#[test]
fn libraries_print_nothing() {
    let sources = sources(&LIBRARIES);
    let libraries = sources.iter().filter(|source| !source.is_test());
    assert_none(
        &libraries.flat_map(printing_lines).collect::<Vec<_>>(),
        "printing in a library",
    );
}

#[test]
fn libraries_take_threads_and_time_from_the_runtime() {
    let sources = sources(&LIBRARIES);
    let libraries = sources
        .iter()
        .filter(|source| !source.is_test() && !CLOCK_PLACES.contains(&source.path.as_str()));
    assert_none(
        &libraries.flat_map(clock_lines).collect::<Vec<_>>(),
        "past the runtime",
    );
}

fn has_mark(program: &Path) -> bool {
    let bytes = fs::read(program).unwrap_or_else(|error| panic!("{}: {error}", program.display()));
    bytes.windows(MARK.len()).any(|window| window == MARK)
}

#[test]
fn the_test_program_has_planted_bugs() {
    assert!(has_mark(Path::new(env!("CARGO_BIN_EXE_cs-torture"))));
}

#[test]
fn nothing_switches_planted_bugs_on_in_other_programs() {
    for program in PROGRAMS {
        let tree = output_of(cargo().args(["tree", "-p", program, "-e", "normal,build,features"]));
        assert!(tree.contains("cs-base"), "{tree}");
        assert!(
            !tree.contains("mutants"),
            "{program} has planted bugs:\n{tree}"
        );
    }
}

/// Builds them without this crate; so it is asked for by name.
#[test]
#[ignore = "builds three programs: a minute or two"]
fn other_programs_have_no_planted_bugs() {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let mut build = cargo();
    build
        .args(["build", "--profile", "ci", "--target-dir"])
        .arg(target);
    for program in PROGRAMS {
        build.args(["-p", program]);
    }
    output_of(&mut build);
    for program in PROGRAMS {
        assert!(
            !has_mark(&target.join("ci").join(program)),
            "{program} has planted bugs"
        );
    }
}

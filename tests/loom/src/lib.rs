//! The protocols between writer, leader, checkpoint and readers, under loom: in every order
//! of their steps that the memory model allows, within a bound of preemptions.
//!
//! Where a protocol is a file or a function of the engine, `build.rs` takes that text, so what
//! is checked is what runs; only what it stands on (the disk, the trees, the futex) is a model,
//! in `kv`, `wal`, `background` and `pins`, and says there what it follows.
//!
//! | protocol | code under test | invariant |
//! |---|---|---|
//! | sleeping and waking | `pager/io/src/signal.rs` | nothing that was said is slept through |
//! | commit queue | `engine/kv/src/commit_queue.rs`, `core/guard.rs` | a batch that was left is carried out exactly once; its owner hears of it when it is durable |
//! | group commit | `wal/src/lead.rs`, `landings.rs`; modelled: `group.rs`, cut and finish | who waits is answered, and not before the log is durable up to there, without a gap |
//! | visible root | `publish` of `core/roots.rs`, `evict` and `drop` of `pinned.rs`, `pager/src/register.rs` | a page that a snapshot reads is not reused; where it was evicted, it has been told |
//! | background thread | `after_append`, `run_background`, `rest` of `background.rs` | what was committed is flushed, without anybody committing again |
#![forbid(unsafe_code)]
#![allow(
    private_interfaces,
    reason = "the text of other crates says pub where we model less"
)]

pub mod background;
pub mod futex;
pub mod kv;
mod locks;
pub mod pins;
pub mod plant;
pub mod wal;

/// `pager/io/src/signal.rs`.
#[allow(missing_docs, reason = "the text of another crate")]
pub mod signal {
    include!(concat!(env!("OUT_DIR"), "/signal.rs"));
}

/// Runs `body` in all orders with at most so many preemptions. `LOOM_MAX_PREEMPTIONS`
/// raises the number, `LOOM_MAX_DURATION` ends it after so many seconds.
pub fn check(preemptions: usize, plant: Option<plant::Plant>, body: fn()) {
    let mut builder = loom::model::Builder::new();
    let asked = builder.preemption_bound.unwrap_or_default();
    builder.preemption_bound = Some(asked.max(preemptions));
    plant::with(plant, || builder.check(body));
}

/// Runs the test that calls it once more, in a process of its own, with a planted reordering;
/// the model must end there with `symptom`. (A panic amid a model unwinds through destructors
/// that ask loom again, which ends the process.)
///
/// # Panics
/// If the planted reordering is not found.
pub fn assert_found(preemptions: usize, plant: plant::Plant, symptom: &str, body: fn()) {
    const CHILD: &str = "CS_LOOM_PLANTED";
    if std::env::var_os(CHILD).is_some() {
        check(preemptions, Some(plant), body);
        return;
    }
    let thread = std::thread::current();
    let test = thread.name().expect("a test has a thread of its name");
    let program = std::env::current_exe().expect("a program knows where it is");
    let mut child = std::process::Command::new(program);
    let child = child.args(["--exact", test, "--nocapture"]).env(CHILD, "");
    let output = child.output().expect("a second process");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{plant:?} was not found");
    assert!(
        said.contains(symptom),
        "{plant:?}: expected {symptom:?}, found {said}"
    );
}

/// What loom says where nobody can go on.
pub const HANGS: &str = "deadlock";

//! Takes the code under test out of the sources of the engine, as it stands there, and puts
//! loom's atomics, the model of the futex and the planted reorderings in its place.
//!
//! Invariants
//! * Each edit finds its place exactly once: a source that has changed is looked at again
//!   by whoever changed it, since this crate does not build until then.
//! * What is not edited is compiled word for word.

use std::path::Path;
use std::{env, fs};

/// What replaces what.
type Edit = (&'static str, &'static str);

/// The futex: a word that loom knows, and those who sleep on it.
const SIGNAL_HEAD: &str = "use std::fmt;
use std::time::Duration;
use loom::sync::atomic::{Ordering, fence};
use crate::futex::{AtomicU32, futex_wait, futex_wake};
use crate::plant::{Plant, planted};
";

const SIGNAL: &[Edit] = &[
    ("pub const fn new() -> Self {", "pub fn new() -> Self {"),
    (
        "fence(Ordering::SeqCst);\n        Listener {",
        "if !planted(Plant::ListenWithoutFence) { fence(Ordering::SeqCst); }\n        Listener {",
    ),
    (
        "fence(Ordering::SeqCst);\n        self.listeners.load",
        "if !planted(Plant::NotifyWithoutFence) { fence(Ordering::SeqCst); }\n        self.listeners.load",
    ),
    (
        "if self.state.swap(UP, Ordering::AcqRel) == AWAITED {",
        "let before = if planted(Plant::RaiseInTwoSteps) {
            let before = self.state.load(Ordering::Acquire);
            self.state.store(UP, Ordering::Release);
            before
        } else {
            self.state.swap(UP, Ordering::AcqRel)
        };
        if before == AWAITED {",
    ),
];

const LANDINGS: &[Edit] = &[
    ("use std::sync::atomic::", "use loom::sync::atomic::"),
    ("use cs_io::EventCount;", "use crate::signal::EventCount;"),
];

const LEAD: &[Edit] = &[
    ("use std::sync::atomic::", "use loom::sync::atomic::"),
    (
        "use parking_lot::Mutex;",
        "use crate::plant::{Plant, planted};\nuse crate::locks::Mutex;",
    ),
    ("mod thread;\n", ""),
    (
        "    fn release(&self) {",
        "    pub(in crate::wal) fn release(&self) {",
    ),
    ("use crate::callback;", "use crate::wal::callback;"),
    ("use crate::error::", "use crate::wal::error::"),
    ("use crate::group::", "use crate::wal::group::"),
    ("use crate::log::", "use crate::wal::log::"),
    ("use crate::tickets::", "use crate::wal::tickets::"),
    (
        "#[derive(Debug, Default)]\npub(crate) struct Lead",
        "#[derive(Default)]\npub(crate) struct Lead",
    ),
    (
        "            self.lead.role.set(Role::Free);
        }
        self.wake_successor();",
        "            if planted(Plant::WakeBeforeLayingDown) {
                self.wake_successor();
                self.lead.role.set(Role::Free);
                return;
            }
            self.lead.role.set(Role::Free);
        }
        self.wake_successor();",
    ),
    (
        "        let listener = event.listen();
        if stays() {",
        "        let early = planted(Plant::LookBeforeListening).then(&stays);
        let listener = event.listen();
        if early.unwrap_or_else(&stays) {",
    ),
];

const THREAD: &[Edit] = &[
    ("use std::sync::atomic::", "use loom::sync::atomic::"),
    ("use std::thread::ThreadId;", "use loom::thread::ThreadId;"),
    (
        "Some(&std::thread::current().id())",
        "Some(&loom::thread::current().id())",
    ),
    (
        "set(std::thread::current().id())",
        "set(loom::thread::current().id())",
    ),
    (
        "use cs_io::{Signal, Task};\nuse parking_lot::Mutex;",
        "use crate::locks::Mutex;\nuse crate::plant::{Plant, planted};\nuse crate::signal::Signal;\nuse crate::wal::log::Task;",
    ),
    (
        "use super::{Lead, Role};",
        "use crate::wal::lead::{Lead, Role};",
    ),
    ("use crate::group::", "use crate::wal::group::"),
    ("use crate::log::", "use crate::wal::log::"),
    (
        "            self.lead.role.set(role);
            // Looked at after that: whoever came before it saw a leader.
            if self.work_remains() {",
        "            let early = planted(Plant::LookBeforeParking).then(|| self.work_remains());
            self.lead.role.set(role);
            if early.unwrap_or_else(|| self.work_remains()) {",
    ),
    (
        "            self.wake_all();
            return;
        }
        self.lead.role.set(Role::Free);",
        "            if !planted(Plant::LookBeforeParking) {
                self.wake_all();
            }
            return;
        }
        self.lead.role.set(Role::Free);",
    ),
];

const QUEUE: &[Edit] = &[
    (
        "        fence(Ordering::SeqCst);
        self.len.load",
        "        if !planted(Plant::QueueWithoutFence) { fence(Ordering::SeqCst); }
        self.len.load",
    ),
    ("use std::sync::atomic::", "use loom::sync::atomic::"),
    ("use cs_io::EventCount;", "use crate::signal::EventCount;"),
    (
        "use parking_lot::Mutex;",
        "use crate::plant::{Plant, planted};\nuse crate::locks::Mutex;",
    ),
    ("use crate::batch::", "use crate::kv::batch::"),
    ("use crate::commit::", "use crate::kv::commit::"),
    ("use crate::core::", "use crate::kv::core::"),
    ("use crate::error::", "use crate::kv::error::"),
    ("use crate::options::", "use crate::kv::options::"),
    ("use crate::packing::", "use crate::kv::packing::"),
    ("use crate::ticket::", "use crate::kv::ticket::"),
    (
        "                    if let Some(writer) = self.try_lock_writer() {
                        let needs = self.serve(writer);
                        self.wait_durable(needs)?;",
        "                    let tries = !planted(Plant::SleepWithoutTrying);
                    if let Some(writer) = tries.then(|| self.try_lock_writer()).flatten() {
                        let needs = self.serve(writer);
                        self.wait_durable(needs)?;",
    ),
    (
        "            let listener = round.event.listen();
            match slot.look() {",
        "            let early = planted(Plant::LookBeforeListening).then(|| slot.look());
            let listener = round.event.listen();
            match early.unwrap_or_else(|| slot.look()) {",
    ),
    (
        "            *slot.state.lock() = match outcome {",
        "            if planted(Plant::TellBeforeDone) {
                round.event.notify_all();
            }
            *slot.state.lock() = match outcome {",
    ),
    (
        "    fn tell(&self, served: Served) {
        let Served {",
        "    fn tell(&self, served: Served) {
        if planted(Plant::TellBeforeDone) {
            return;
        }
        let Served {",
    ),
];

const GUARD: &[Edit] = &[
    ("use parking_lot::MutexGuard;", "use crate::plant::{Plant, planted};\nuse crate::locks::MutexGuard;"),
    ("use crate::error::", "use crate::kv::error::"),
    ("use crate::writer::", "use crate::kv::writer::"),
    (
        "    fn drop(&mut self) {
        if !self.is_leader",
        "    fn drop(&mut self) {
        if planted(Plant::LookBeforeUnlocking) {
            return;
        }
        if !self.is_leader",
    ),
    (
        "        if std::thread::panicking() {
            self.writer.broken",
        "        if planted(Plant::LookBeforeUnlocking) && !self.after.is_leader && !self.core.queue.is_empty() {
            self.core.queue.wake_one();
        }
        if planted(Plant::LookBeforeUnlocking) {
            // Loom changes threads before a step of its own only, and unlocking is none.
            loom::thread::yield_now();
        }
        if std::thread::panicking() {
            self.writer.broken",
    ),
];

const BACKGROUND: &[Edit] = &[
    (
        "        // Either we see that the thread has gone to rest, or it sees our commit.
        fence(Ordering::SeqCst);",
        "        if !planted(Plant::CommitWithoutFence) { fence(Ordering::SeqCst); }",
    ),
    (
        "        self.background.armed.store(false, Ordering::Release);
        fence(Ordering::SeqCst);
        // Also flushes whatever was appended before we said that we rest.
        let _ = self.seal_log();",
        "        if planted(Plant::FlushBeforeResting) {
            let _ = self.seal_log();
            self.background.armed.store(false, Ordering::Release);
            return before == self.counters.commits.load(Ordering::Acquire);
        }
        self.background.armed.store(false, Ordering::Release);
        if !planted(Plant::RestWithoutFence) { fence(Ordering::SeqCst); }
        let _ = self.seal_log();",
    ),
];

const PUBLISH: &[Edit] = &[(
    "            let before = self.published.swap(newest);",
    "            if planted(Plant::UnpinBeforeSwap) {
                self.unpin_early();
                self.pager.set_visible(version);
                self.reclaim();
            }
            let before = self.published.swap(newest);",
)];

const PINNED: &[Edit] = &[
    (
        "        if !self.evicted.swap(true, Ordering::AcqRel) {",
        "        if planted(Plant::UnpinBeforeFlag) {
            self.pager.unpin(self.root.record.version);
            self.pager.reclaim();
            self.evicted.store(true, Ordering::Release);
            return;
        }
        if !self.evicted.swap(true, Ordering::AcqRel) {",
    ),
    ("        self.live.roots.lock().remove(&self.key());\n", ""),
];

fn main() {
    let signal = read("../../pager/io/src/signal.rs");
    let signal = format!("{SIGNAL_HEAD}{}", from(&signal, "const DOWN: u32 = 0;"));
    write("signal.rs", &edited(&signal, SIGNAL));
    let whole: [(&str, &str, &[Edit]); 6] = [
        ("landings.rs", "../../wal/src/landings.rs", LANDINGS),
        ("lead.rs", "../../wal/src/lead.rs", LEAD),
        ("thread.rs", "../../wal/src/lead/thread.rs", THREAD),
        (
            "commit_queue.rs",
            "../../engine/kv/src/commit_queue.rs",
            QUEUE,
        ),
        ("guard.rs", "../../engine/kv/src/core/guard.rs", GUARD),
        ("register.rs", "../../pager/src/register.rs", &[]),
    ];
    for (name, path, edits) in whole {
        write(name, &edited(&read(path), edits));
    }

    let source = read("../../engine/kv/src/background.rs");
    let parts = [
        item(&source, "struct Watch {"),
        item(&source, "impl Watch {"),
        "impl Core {\n".to_owned(),
        item(&source, "    pub(crate) fn after_append(&self) {"),
        item(&source, "    fn run_background(self: &Arc<Self>) {"),
        item(&source, "    fn rest(&self) -> bool {"),
        "}\n".to_owned(),
    ];
    write("background.rs", &edited(&parts.concat(), BACKGROUND));

    let source = read("../../engine/kv/src/core/roots.rs");
    let publish = item(&source, "    pub(crate) fn publish(&self,");
    let publish = format!("impl Core {{\n{publish}}}\n");
    write("publish.rs", &edited(&publish, PUBLISH));
    let source = read("../../engine/kv/src/pinned.rs");
    let evict = item(&source, "    fn evict(&self) {");
    let drop = item(&source, "impl Drop for Pinned {");
    let pinned = format!("impl Pinned {{\n{evict}}}\n{drop}");
    write("pinned.rs", &edited(&pinned, PINNED));
}

/// A source without its documentation, inner attributes and tests.
fn read(path: &str) -> String {
    println!("cargo:rerun-if-changed={path}");
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let text = text.split("#[cfg(test)]").next().unwrap_or_default();
    let left_out = ["//!", "#![", "///"];
    let is_kept = |line: &&str| {
        !left_out
            .iter()
            .any(|mark| line.trim_start().starts_with(mark))
    };
    let kept = text.lines().filter(is_kept);
    kept.flat_map(|line| [line, "\n"]).collect()
}

fn from(text: &str, mark: &str) -> String {
    let at = text
        .find(mark)
        .unwrap_or_else(|| panic!("nothing begins with {mark:?}"));
    text[at..].to_owned()
}

/// A function, type or block from its first line to the brace that ends it, which is as
/// deep in the text as its beginning.
fn item(text: &str, head: &str) -> String {
    let text = from(text, &format!("\n{head}"));
    let depth = head.len() - head.trim_start().len();
    let end = format!("\n{}}}\n", " ".repeat(depth));
    let at = text
        .find(&end)
        .unwrap_or_else(|| panic!("no end of {head:?}"));
    text[1..at + end.len()].to_owned()
}

fn edited(text: &str, edits: &[Edit]) -> String {
    let mut text = text.to_owned();
    for (find, replace) in edits {
        let found = text.matches(find).count();
        assert_eq!(
            found, 1,
            "an edit that expects one place finds {found}: {find}"
        );
        text = text.replace(find, replace);
    }
    text
}

fn write(name: &str, text: &str) {
    let out = env::var_os("OUT_DIR").expect("cargo says where generated code goes");
    let path = Path::new(&out).join(name);
    fs::write(&path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}

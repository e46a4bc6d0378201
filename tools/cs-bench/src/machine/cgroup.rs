//! A limit of memory for one process and what it starts: a control group of its
//! own, of version 1 or 2, whichever the system has for memory.
//!
//! Everything counts for it that the process touches first: its own memory, and
//! the pages of files that the system keeps for it. So whoever has no cache of
//! its own but the system's is held to the same limit as who has one.
//!
//! Invariant: the group is removed when this is dropped, which must come after
//! the end of the process.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::BenchError;

/// Where the system shows version 1's memory controller, unless it says otherwise.
const V1: &str = "/sys/fs/cgroup/memory";
/// Where it shows version 2.
const V2: &str = "/sys/fs/cgroup";

/// The names of the files in a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Names {
    limit: &'static str,
    peak: &'static str,
    /// Set to nothing, where there is one: memory that was swapped out is none saved.
    swap: Option<&'static str>,
}

const V1_NAMES: Names = Names {
    limit: "memory.limit_in_bytes",
    peak: "memory.max_usage_in_bytes",
    swap: None,
};
const V2_NAMES: Names = Names {
    limit: "memory.max",
    peak: "memory.peak",
    swap: Some("memory.swap.max"),
};

/// See the module's text.
#[derive(Debug)]
pub(crate) struct Cgroup {
    path: PathBuf,
    names: Names,
}

impl Cgroup {
    /// A new group with this limit, in bytes.
    pub(crate) fn with_limit(bytes: u64) -> Result<Self, BenchError> {
        Self::below(Path::new(V1), Path::new(V2), bytes).map_err(|source| BenchError::Io {
            what: format!(
                "--memory-limit: make a control group of {bytes} bytes (needs root, and the memory \
                 controller at {V1} or in {V2})"
            ),
            source,
        })
    }

    fn below(v1: &Path, v2: &Path, bytes: u64) -> io::Result<Self> {
        let (parent, names) = if v1.join(V1_NAMES.limit).exists() {
            (v1, V1_NAMES)
        } else {
            // At its root a controller may be handed on although processes are there.
            let handed_on = v2.join("cgroup.subtree_control");
            let enabled = fs::read_to_string(&handed_on)?;
            if !enabled
                .split_ascii_whitespace()
                .any(|name| name == "memory")
            {
                fs::write(&handed_on, "+memory")?;
            }
            (v2, V2_NAMES)
        };
        /// Two processes of engines are never there at once, but tests are.
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = parent.join(format!("cs-bench-{}-{number}", std::process::id()));
        fs::create_dir(&path)?;
        let group = Self { path, names };
        fs::write(group.path.join(names.limit), bytes.to_string())?;
        if let Some(swap) = names.swap {
            // Without swap there is no such file.
            let _ = fs::write(group.path.join(swap), "0");
        }
        Ok(group)
    }

    /// Puts a process into it; what that had before stays where it was counted.
    pub(crate) fn add(&self, process: u32) -> Result<(), BenchError> {
        let file = self.path.join("cgroup.procs");
        fs::write(&file, process.to_string())
            .map_err(BenchError::at("put the process of an engine into", &file))
    }

    /// The most that ever counted, in bytes; it is often the limit, since files
    /// take what is left.
    pub(crate) fn peak(&self) -> Option<u64> {
        let text = fs::read_to_string(self.path.join(self.names.peak)).ok()?;
        text.trim().parse().ok()
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        // A group that cannot be removed yet is empty, and harms nobody.
        let _ = fs::remove_dir(&self.path);
    }
}

#[cfg(test)]
mod tests;

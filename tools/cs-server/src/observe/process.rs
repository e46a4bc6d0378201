//! What the system knows of the process.

/// Memory of the process, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProcessMemory {
    /// In memory.
    pub resident: u64,
    /// Mapped.
    pub mapped: u64,
}

/// The memory of this process; none where the system does not tell.
#[must_use]
pub fn process_memory() -> Option<ProcessMemory> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    let of = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
        kibibytes.checked_mul(1024)
    };
    Some(ProcessMemory {
        resident: of("VmRSS:")?,
        mapped: of("VmSize:")?,
    })
}

//! What goes wrong, and when.

/// One fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// Any operation fails with EIO. Of a failed write all or nothing is
    /// visible, by chance, and nothing durable.
    Eio,
    /// A creation, write, allocation or extension fails for lack of space.
    NoSpace,
    /// Half the bytes of a write arrive, and it fails with `WriteZero`.
    ShortWrite,
    /// A sync of a file or of the directory fails with EIO: for good.
    SyncFails,
    /// A read fails with EIO.
    ReadEio,
    /// A write succeeds and nothing arrives.
    LostWrite,
    /// A write succeeds and arrives at another block of its file.
    MisdirectedWrite,
}

impl Fault {
    /// Every fault.
    pub const ALL: [Self; 7] = [
        Self::Eio,
        Self::NoSpace,
        Self::ShortWrite,
        Self::SyncFails,
        Self::ReadEio,
        Self::LostWrite,
        Self::MisdirectedWrite,
    ];

    /// Whether it can befall an operation of this kind.
    pub(super) fn applies_to(self, kind: OperationKind) -> bool {
        use OperationKind as Kind;
        match self {
            Self::Eio => true,
            Self::NoSpace => matches!(kind, Kind::Create | Kind::Write | Kind::Grow),
            Self::ShortWrite | Self::LostWrite | Self::MisdirectedWrite => kind == Kind::Write,
            Self::SyncFails => kind == Kind::Sync,
            Self::ReadEio => kind == Kind::Read,
        }
    }
}

/// A fault that befalls the first operation numbered `at_operation` or later
/// that it can befall, once.
///
/// To hit every operation in turn: plan for 0, run, ask
/// [`SimDisk::fault_fired`](super::SimDisk::fault_fired) for the number `n`
/// that was hit, plan for `n + 1`, and so on until none was hit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FaultPlan {
    /// Number of the operation, counted from 0 as in
    /// [`SimDisk::operations`](super::SimDisk::operations).
    pub at_operation: u64,
    /// What goes wrong.
    pub fault: Fault,
}

/// What an operation does, as far as faults ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OperationKind {
    Create,
    Read,
    Write,
    /// Allocation or a longer length.
    Grow,
    Sync,
    /// Opening, listing, renaming, removing, cutting.
    Other,
}

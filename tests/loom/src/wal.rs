//! A log of which leadership, and who waits where, are real; what a leader does in a step is
//! a model of `wal/src/group.rs`, in `log`.

pub mod log;

/// `wal/src/landings.rs`.
#[allow(missing_docs, dead_code, reason = "the text of another crate")]
mod landings {
    include!(concat!(env!("OUT_DIR"), "/landings.rs"));
}

/// `wal/src/lead.rs`.
#[allow(missing_docs, dead_code, reason = "the text of another crate")]
mod lead {
    include!(concat!(env!("OUT_DIR"), "/lead.rs"));

    /// `wal/src/lead/thread.rs`.
    mod thread {
        include!(concat!(env!("OUT_DIR"), "/thread.rs"));
    }
}

/// Nobody waits in a callback.
pub(crate) mod callback {
    pub(crate) fn is_running() -> bool {
        false
    }
}

/// What can go wrong.
pub(crate) mod error {
    #[derive(Clone, Debug)]
    pub(crate) enum LogError {
        Poisoned,
        Stalled,
        WaitInCallback,
    }

    pub(crate) type Result<T> = std::result::Result<T, LogError>;
}

/// What `lead` knows of groups.
pub(crate) mod group {
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(crate) enum Patience {
        None,
        Own,
        Oldest,
    }

    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(crate) enum Drive {
        Idle,
        Busy,
        Progress,
    }

    /// Holds the lock under which it appends.
    pub(crate) trait LogOwner: Send + Sync {
        fn seal_and_cut(&self, cut: &mut dyn FnMut());
    }
}

/// Waiters of other queues: none here.
pub(crate) mod tickets {
    use std::sync::Arc;

    use super::error::Result;
    use crate::signal::Signal;

    #[derive(Debug)]
    pub(crate) struct WaiterState {
        pub(crate) signal: Signal,
    }

    #[derive(Debug)]
    pub(crate) struct Waiter(Arc<WaiterState>);

    impl Waiter {
        pub(crate) fn poll(&self) -> Option<Result<()>> {
            None
        }

        pub(crate) fn is_complete(&self) -> bool {
            false
        }

        pub(crate) fn state(&self) -> &Arc<WaiterState> {
            &self.0
        }
    }
}

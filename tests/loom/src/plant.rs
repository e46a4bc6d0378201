//! Reorderings that are planted into the code under test, one at a time.
//!
//! Loom runs the threads of a model as coroutines of the thread that asked for it, so a
//! planted one is known to that test and to no other.

use std::cell::Cell;

/// A step that is left out, or comes too early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plant {
    /// `EventCount::listen`: no fence between saying so and looking.
    ListenWithoutFence,
    /// `EventCount::notify_*`: no fence between what was done and looking who listens.
    NotifyWithoutFence,
    /// `Signal::raise`: looks whether somebody sleeps, then raises.
    RaiseInTwoSteps,
    /// Whoever sleeps has looked before he began to listen.
    LookBeforeListening,
    /// A follower leaves its batch and sleeps, without trying the lock once more.
    SleepWithoutTrying,
    /// The writer's lock is given back after the look into the queue.
    LookBeforeUnlocking,
    /// Whoever gave the writer's lock back looks into the queue without a fence before.
    QueueWithoutFence,
    /// Followers are woken before their commits are durable, and not again.
    TellBeforeDone,
    /// Whoever leads the log wakes a successor, then lays leadership down.
    WakeBeforeLayingDown,
    /// The log thread looks for work, then says that it parks, and wakes nobody.
    LookBeforeParking,
    /// A group counts as cut before the leader can find its flight.
    CutBeforeFlight,
    /// Groups are finished in any order.
    SecondGroupWithoutFirst,
    /// The old root's pin goes before readers can find the new root.
    UnpinBeforeSwap,
    /// A reader pins the root that it has loaded, instead of loading one that is pinned.
    PinAfterLoad,
    /// An evicted snapshot's pages go before it is told.
    UnpinBeforeFlag,
    /// A commit looks whether the thread rests without a fence before.
    CommitWithoutFence,
    /// The thread looks for commits without a fence after it said that it rests.
    RestWithoutFence,
    /// The thread flushes, then says that it rests.
    FlushBeforeResting,
}

thread_local! {
    static PLANTED: Cell<Option<Plant>> = const { Cell::new(None) };
}

/// Whether this is the one.
#[must_use]
pub fn planted(plant: Plant) -> bool {
    PLANTED.get() == Some(plant)
}

/// Has it planted while `work` runs, also where that panics.
pub fn with<R>(plant: Option<Plant>, work: impl FnOnce() -> R) -> R {
    struct Restore;
    impl Drop for Restore {
        fn drop(&mut self) {
            PLANTED.set(None);
        }
    }
    PLANTED.set(plant);
    let _restore = Restore;
    work()
}

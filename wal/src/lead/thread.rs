//! The log thread: serves a crowd, and nobody else.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::thread::ThreadId;

use cs_io::{Signal, Task};
use parking_lot::Mutex;

use super::{Lead, Role};
use crate::group::{Drive, LogOwner, Patience};
use crate::log::Log;

/// For the log thread: both ends, kept alive by others.
pub(super) struct Attached {
    log: Weak<Log>,
    owner: Weak<dyn LogOwner>,
}

impl fmt::Debug for Attached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Attached")
    }
}

#[derive(Debug)]
pub(super) struct Thread {
    pub(super) control: Arc<Control>,
    task: Mutex<Option<Task>>,
}

#[derive(Debug, Default)]
pub(super) struct Control {
    pub(super) signal: Signal,
    stop: AtomicBool,
    id: OnceLock<ThreadId>,
}

impl Control {
    pub(super) fn has_to_stop(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }
}

impl Lead {
    pub(super) fn thread(&self) -> Option<&Thread> {
        self.thread.get().and_then(Option::as_ref)
    }
}

impl Log {
    /// Makes the owner known, so that a crowd can be served by a thread of the
    /// log's own. Without it waiters lead one after the other.
    pub fn attach(self: &Arc<Self>, owner: Weak<dyn LogOwner>) {
        let _ = self.lead.owner.set(Attached {
            log: Arc::downgrade(self),
            owner,
        });
    }

    /// Ends the log thread, if there is one, and waits for it; none is started
    /// from now on. From the thread itself: it ends soon after.
    pub fn shutdown(&self) {
        // Waits for a thread that is being started just now.
        let Some(thread) = self.lead.thread.get_or_init(|| None) else {
            return;
        };
        thread.control.stop.store(true, Ordering::SeqCst);
        thread.control.signal.raise();
        // The thread may have been left with the last reference to the owner,
        // which then closes the log from within it. It leads until it has
        // ended, and lays that down itself.
        if thread.control.id.get() == Some(&std::thread::current().id()) {
            return;
        }
        // Held while joining: a second caller must not think that it has ended.
        let mut task = thread.task.lock();
        if let Some(task) = task.take() {
            task.join();
        }
        drop(task);
        self.lay_down_for_thread(&[Role::Idle, Role::Given, Role::Thread]);
    }

    /// The log thread has ended, or is about to and leads no more: others may.
    fn lay_down_for_thread(&self, held: &[Role]) {
        // Each is tried: it may just have been given, or woken.
        let mut laid_down = false;
        for &role in held {
            laid_down |= self.lead.role.change(role, Role::Free);
        }
        if laid_down {
            self.wake_successor();
        }
    }

    /// The log thread, started at the first call; `None` where there is no
    /// owner to attach to, or no thread to be had.
    pub(super) fn log_thread(&self) -> Option<&Thread> {
        let attached = self.lead.owner.get()?;
        let thread = self.lead.thread.get_or_init(|| {
            let control = Arc::new(Control::default());
            let (log, owner) = (attached.log.clone(), attached.owner.clone());
            let shared = control.clone();
            let work = Box::new(move || serve(&shared, &log, &owner));
            let task = self.runtime.spawn("cs-log", work).ok().flatten()?;
            Some(Thread {
                control,
                task: Mutex::new(Some(task)),
            })
        });
        thread
            .as_ref()
            .filter(|thread| !thread.control.has_to_stop())
    }

    /// As log thread: works until there is nothing to do, or it has to stop.
    /// Stays leader, parked, while the crowd lasts.
    fn lead_as_thread(&self, owner: &dyn LogOwner, control: &Control) {
        while !control.has_to_stop() {
            match self.lead_step(owner, Patience::Own) {
                Drive::Progress => continue,
                Drive::Busy => {
                    self.lead_step(owner, Patience::Oldest);
                    continue;
                }
                Drive::Idle => {}
            }
            let stays = self.lead.is_crowded() && !self.is_poisoned();
            let role = if stays { Role::Idle } else { Role::Free };
            self.lead.role.set(role);
            // Looked at after that: whoever came before it saw a leader.
            if self.work_remains() {
                if self.lead.role.change(role, Role::Thread) {
                    continue;
                }
                // Somebody else saw it too, and leads or has woken us.
                return;
            }
            self.wake_all();
            return;
        }
        self.lead.role.set(Role::Free);
        self.wake_successor();
    }
}

/// The log thread: sleeps until it is given leadership.
fn serve(control: &Control, log: &Weak<Log>, owner: &Weak<dyn LogOwner>) {
    let _ = control.id.set(std::thread::current().id());
    while !control.has_to_stop() {
        control.signal.wait();
        if control.has_to_stop() {
            break;
        }
        let (Some(log), Some(owner)) = (log.upgrade(), owner.upgrade()) else {
            // Nobody may hand over to us any more.
            control.stop.store(true, Ordering::SeqCst);
            break;
        };
        // Taken by us, or by nobody: whoever gave it may take it back.
        if log.lead.role.change(Role::Given, Role::Thread) {
            log.lead_as_thread(owner.as_ref(), control);
        }
    }
    // Stopped with leadership in hand: others can lead.
    if let Some(log) = log.upgrade() {
        log.lay_down_for_thread(&[Role::Idle, Role::Given]);
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        // The thread holds no strong reference while it sleeps; it ends by
        // itself. Not joined: the last reference may be the thread's own.
        if let Some(thread) = self.lead.thread() {
            thread.control.stop.store(true, Ordering::SeqCst);
            thread.control.signal.raise();
        }
    }
}

//! What a life with a fault left: crashed in every manner and opened again,
//! now without a fault.

use std::sync::Arc;

use cs_io::SimRuntime;
use cs_io::sim::{CrashKind, Event, Rng, SimDisk, SimOptions};
use cs_kv::Store;

use super::Kind;
use super::life::Lived;
use crate::model::{Expected, History, check, check_sessions};
use crate::verdict::ensure;
use crate::{Failure, Verdict};

/// Crashes of the machine tried, each with luck of its own.
const MACHINE_CRASHES: u64 = 3;

/// Looks at what a life left.
pub(super) fn judge(seed: u64, kind: Kind, lived: Lived) -> Verdict {
    let Lived {
        disk,
        options,
        mut history,
        acknowledged,
        maybe,
        poisoned,
    } = lived;
    if let Some(reason) = &poisoned {
        ensure(kind != Kind::NoSpace || a_write_failed(&disk), || {
            format!("a refused allocation poisons: {reason}")
        })?;
    }
    history.extend(maybe.map(Arc::new));
    let mut rng = Rng::new(seed);
    let crashes =
        std::iter::once(CrashKind::Process).chain((0..MACHINE_CRASHES).map(|_| CrashKind::Machine));
    for crash in crashes {
        let image = disk.crash(&mut rng, crash);
        let after = SimDisk::from_image(&image, rng.draw(), SimOptions::default());
        look(&after, &options, &history, acknowledged)
            .map_err(|failure| failure.during(format_args!("after a {crash:?} crash")))?;
    }
    // What is in flight when a store is dropped ends before its lock is given up.
    while disk.end_some() {}
    look(&disk, &options, &history, acknowledged).map_err(|failure| failure.during("opened again"))
}

fn look(
    disk: &Arc<SimDisk>,
    options: &cs_kv::StoreOptions,
    history: &History,
    at_least: u64,
) -> Verdict {
    disk.plan_fault(None);
    let store = Store::open(disk.clone(), SimRuntime::new(1), options.clone())
        .map_err(|error| Failure(format!("the store does not open: {error}")))?;
    let index = Expected { history, at_least }.verify(&store)?;
    check_sessions(&store, &history[index as usize])?;
    check(&store)
}

/// Whether a write that had its space already was told that there is none: no
/// refused allocation, but a failed write.
fn a_write_failed(disk: &SimDisk) -> bool {
    let failed = |event: &Event| matches!(event, Event::WriteEnd { ok: false, .. });
    disk.journal().events().iter().any(failed)
}

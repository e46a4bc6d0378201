//! Opening: the newest durable state, then the log, then everything durable.
//!
//! 1. Lock the directory; make the files if there are none.
//! 2. Open the data file at its newest valid meta.
//! 3. Read the log from there; refuse if it does not reach back.
//! 4. Apply its records with the function that commits use, many at a time (`replay`).
//! 5. Make durable what was read, and cut a torn tail.

use std::sync::Arc;

use cs_base::{FileId, Incarnation};
use cs_io::overlay::OverlayDisk;
use cs_io::{Disk, LockError, OpenMode, Runtime};
use cs_pager::format::DATA_FILE;
use cs_pager::{PageKind, PagerOptions};
use cs_wal::{Log, LogError, RecordKind, StartPoint};

use crate::commit::{FIRST_PART, HAS_PARTS};
use crate::core::{Core, Parts};
use crate::error::{Error, Result};
use crate::limits::MAX_TRANSACTION;
use crate::named;
use crate::node::{Branch, Leaf};
use crate::options::{Durability, StoreOptions};
use crate::root::Root;
use crate::shares;
use crate::writer::Writer;

mod replay;

use replay::Replay;

/// What opening found and did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecoveryReport {
    /// The database was made just now.
    pub created: bool,
    /// Transactions of the log that were applied.
    pub records: u64,
    /// Their bytes.
    pub bytes: u64,
    /// A torn tail of so many bytes was cut off.
    pub torn_bytes: u64,
    /// The newest meta was not valid; the older one and the log served.
    pub used_older_meta: bool,
}

/// Looks at a page of a tree when it enters memory.
pub(crate) fn verify_node(kind: PageKind, bytes: &[u8]) -> Result<(), String> {
    match kind {
        PageKind::Leaf => Leaf::validate(bytes).map_err(|error| error.to_string()),
        PageKind::Branch => Branch::validate(bytes).map_err(|error| error.to_string()),
        _ => Ok(()),
    }
}

/// See the module's text.
pub(crate) fn open(
    mut disk: Arc<dyn Disk>,
    runtime: Arc<dyn Runtime>,
    mut options: StoreOptions,
) -> Result<(Arc<Core>, RecoveryReport)> {
    options.check()?;
    if options.read_only {
        // Whatever recovery has to write stays in memory.
        disk = OverlayDisk::new(disk);
    }
    // 1.
    let lock = disk.lock().map_err(|error| match error {
        LockError::Held(whom) => Error::Locked(whom),
        LockError::Io(source) => Error::Directory(source),
    })?;
    crate::bulk::remove_leftovers(&*disk)?;
    let mut report = RecoveryReport::default();
    if !cs_pager::exists(&*disk)? {
        if options.read_only || !options.create {
            return Err(Error::InvalidOption(
                "there is no database in this directory".into(),
            ));
        }
        create(&disk, &runtime, &options)?;
        report.created = true;
    }
    // 2.
    let pager_options = PagerOptions {
        cache_bytes: shares::for_pages(options.cache_bytes),
        read_path: options.read_path,
        verify: verify_node,
    };
    let opened = cs_pager::open(&*disk, pager_options, OpenMode::ReadWrite)?;
    let newest = *opened.metas.newest();
    report.used_older_meta = opened.metas.older().is_none();
    if !newest.membership.is_standalone() && !options.read_only {
        return Err(Error::InvalidOption(format!(
            "the directory belongs to node {} of cluster {}; only its server may write to it",
            newest.membership.node, newest.membership.cluster
        )));
    }
    let has_log = newest.root.log_incarnation > Incarnation(0);
    let made_for = if has_log {
        Durability::Sync
    } else {
        Durability::Memory
    };
    let wanted = options.durability.filter(|_| !options.read_only);
    let durability = wanted.unwrap_or(made_for);
    if has_log != (durability != Durability::Memory) {
        return Err(Error::InvalidOption(format!(
            "durability: the database was made {} a log; memory can be chosen only when one is made",
            if has_log { "with" } else { "without" }
        )));
    }
    options.durability = Some(durability);
    let root = Arc::new(Root::decode(&newest.root)?);
    let mut writer = Writer::new(opened.shadow, &root);
    writer.fill_percent = usize::from(options.fill_percent);
    let kept = named::keep(&opened.pager, &mut writer, &root)?;
    let base = root.record.version;
    let mut recovery = Recovery {
        replay: Replay::new(&opened.pager, writer, options.cache_bytes),
        options: &options,
    };
    // 3. to 5.
    let log = if !has_log {
        None
    } else {
        Some(recovery.run(&disk, &runtime, newest.file, &root, &mut report)?)
    };
    let mut writer = recovery.replay.writer;
    let root = writer.seal(&opened.pager)?;
    opened.pager.set_visible(root.record.version);
    writer.shadow.reclaim(&opened.pager);
    let core = Core::new(Parts {
        options,
        disk,
        runtime,
        pager: opened.pager,
        log,
        writer,
        metas: opened.metas,
        root,
        lock,
    });
    core.adopt_named(&kept, base)?;
    Ok((core, report))
}

/// Makes the log first and the data file last: a database exists when its data
/// file does, so a crash in between leaves nothing that looks like one.
fn create(disk: &Arc<dyn Disk>, runtime: &Arc<dyn Runtime>, options: &StoreOptions) -> Result<()> {
    let file = FileId(runtime.random().max(1));
    let mut incarnation = Incarnation(0);
    if options.durability != Some(Durability::Memory) {
        let log = Log::create(
            Arc::clone(disk),
            Arc::clone(runtime),
            file,
            shares::for_log(options.cache_bytes, &options.log),
        );
        let log = log.map_err(|error| match error {
            LogError::AlreadyExists { name } => Error::Damaged(format!(
                "the data file {DATA_FILE} is missing, though the log has records in {name}"
            )),
            other => other.into(),
        })?;
        incarnation = log.incarnation();
    }
    cs_pager::create(&**disk, file, options.page_size, incarnation)?;
    Ok(())
}

struct Recovery<'a> {
    replay: Replay<'a>,
    options: &'a StoreOptions,
}

impl Recovery<'_> {
    fn run(
        &mut self,
        disk: &Arc<dyn Disk>,
        runtime: &Arc<dyn Runtime>,
        file: FileId,
        root: &Root,
        report: &mut RecoveryReport,
    ) -> Result<Arc<Log>> {
        let start = StartPoint {
            lsn: root.record.lsn,
            chain: root.record.chain,
            index: root.record.index,
            incarnation: root.record.log_incarnation,
        };
        let recovered = Log::recover(
            Arc::clone(disk),
            Arc::clone(runtime),
            file,
            shares::for_log(self.options.cache_bytes, &self.options.log),
            start,
        )?;
        let mut parts: Vec<u8> = Vec::new();
        recovered.for_each(|record| {
            match record.head.kind {
                RecordKind::Part => {
                    // A run whose commit a crash took away is dropped.
                    if record.head.flags & FIRST_PART != 0 {
                        parts.clear();
                    }
                    if parts.len() + record.payload.len() > MAX_TRANSACTION {
                        return Err(Error::Damaged(format!(
                            "the parts of the transaction before LSN {} are over the limit",
                            record.lsn
                        )));
                    }
                    parts.extend_from_slice(record.payload);
                }
                RecordKind::Transaction if record.head.flags & HAS_PARTS != 0 => {
                    parts.extend_from_slice(record.payload);
                    let payload = std::mem::take(&mut parts);
                    self.replay.take(&payload, report)?;
                }
                RecordKind::Transaction => {
                    // A run without its commit is dropped.
                    parts.clear();
                    self.replay.take(record.payload, report)?;
                }
                RecordKind::Seal | RecordKind::Vote | RecordKind::NoOp | RecordKind::Membership => {}
                other => {
                    return Err(Error::Damaged(format!(
                        "the log has a record of kind {other:?} at LSN {}, which this program does not write",
                        record.lsn
                    )));
                }
            }
            let position = &mut self.replay.writer.position;
            position.lsn = record.end;
            position.chain = record.chain;
            if record.head.index > position.index {
                position.index = record.head.index;
                position.term = record.head.term;
                position.time = record.head.time;
            }
            Ok(())
        })?;
        self.replay.finish()?;
        report.torn_bytes = recovered.torn().map_or(0, |torn| torn.bytes);
        let log = recovered.finish()?;
        let end = log.last_appended();
        let position = &mut self.replay.writer.position;
        (position.lsn, position.chain, position.incarnation) =
            (end.lsn, end.chain, end.incarnation);
        Ok(Arc::new(log))
    }
}

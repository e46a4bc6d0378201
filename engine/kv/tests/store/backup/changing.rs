//! Sources and destinations that do not do what was asked of them.

use std::io::{Read, Seek, SeekFrom};
use std::sync::Mutex;

use cs_kv::VerifiedBackup;

use super::*;

/// A file that somebody else has open too.
#[derive(Clone, Debug)]
struct Shared {
    bytes: Arc<Mutex<Vec<u8>>>,
    at: u64,
}

impl Read for Shared {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = self.bytes.lock().unwrap();
        let rest = bytes.get(self.at as usize..).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        self.at += count as u64;
        Ok(count)
    }
}

impl Seek for Shared {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.at = match to {
            SeekFrom::Start(at) => at,
            SeekFrom::Current(by) => self.at.saturating_add_signed(by),
            SeekFrom::End(_) => return Err(io::ErrorKind::Unsupported.into()),
        };
        Ok(self.at)
    }
}

#[test]
fn a_backup_that_changes_after_it_was_verified_is_not_restored() {
    let (store, _) = filled(&any_disk(), 300);
    let (sound, _) = to_bytes(&store, &options());
    // A block with entries: the first of the largest.
    let blocks = boundaries(&sound);
    let sizes = blocks.windows(2).map(|pair| (pair[1] - pair[0], pair[0]));
    let (_, at) = sizes
        .max_by_key(|&(size, at)| (size, usize::MAX - at))
        .unwrap();
    type Change = fn(&mut Vec<u8>, usize);
    let flipped: Change = |bytes, at| bytes[at + 100] ^= 1;
    let endless: Change = |bytes, at| bytes[at + 36..at + 40].fill(0xff);
    let cut: Change = |bytes, at| bytes.truncate(at + 70);
    for change in [flipped, endless, cut] {
        let bytes = Arc::new(Mutex::new(sound.clone()));
        let source = Shared {
            bytes: Arc::clone(&bytes),
            at: 0,
        };
        let verified = VerifiedBackup::verify(source, &mut go_on).unwrap();
        assert!(verified.summary().entries > 300);
        change(&mut bytes.lock().unwrap(), at);
        let disk = memory();
        let restored =
            verified.restore(&disk, RealRuntime::new(), &restore_options(), &mut |told| {
                go_on(told)
            });
        let error = restored.unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("the block has changed since it was verified"),
            "{text}"
        );
        assert!(disk.list().unwrap().is_empty(), "nothing was made");
    }
}

/// Takes so many bytes, then says what it is told to say, once; then goes on.
#[derive(Debug)]
struct Fickle {
    taken: Vec<u8>,
    until: usize,
    answer: Option<io::Result<usize>>,
}

impl Write for Fickle {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = self.until.saturating_sub(self.taken.len());
        if room == 0
            && let Some(answer) = self.answer.take()
        {
            return answer;
        }
        let count = match room {
            0 => bytes.len(),
            room => bytes.len().min(room),
        };
        self.taken.extend_from_slice(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_destination_that_is_interrupted_is_asked_again_and_one_that_takes_nothing_is_an_error() {
    let (store, _) = filled(&any_disk(), 300);
    let (whole, _) = to_bytes(&store, &options());
    for until in [0, 1, 64, whole.len() / 2] {
        let fickle = |answer| Fickle {
            taken: Vec::new(),
            until,
            answer: Some(answer),
        };
        let interrupted = fickle(Err(io::ErrorKind::Interrupted.into()));
        let mut backup = store.backup(interrupted, &options()).unwrap();
        backup.run(&mut |progress| go_on(progress)).unwrap();
        let sink = backup.into_sink();
        assert_eq!(sink.taken.len(), whole.len(), "{until}");
        verify(&sink.taken).unwrap();

        let mut backup = store.backup(fickle(Ok(0)), &options()).unwrap();
        let error = backup.run(&mut |progress| go_on(progress)).unwrap_err();
        assert!(
            matches!(&error, Error::Backup(BackupError::Destination(source))
                if source.kind() == io::ErrorKind::WriteZero),
            "{error}"
        );
        // Where it was, it goes on.
        backup.run(&mut |progress| go_on(progress)).unwrap();
        verify(&backup.into_sink().taken).unwrap();
    }
}

#[test]
fn a_backup_shows_its_position_and_nothing_that_is_stored() {
    let (store, _) = filled(&any_disk(), 300);
    let snapshot = store.snapshot().unwrap();
    let backup = store.backup(Vec::new(), &options()).unwrap();
    let index = backup.position().index;
    assert_eq!(index, snapshot.index());
    let shown = format!("{backup:?}");
    assert!(shown.contains(&format!("{index:?}")), "{shown}");
    assert!(shown.len() < 1_000, "{shown}");
}

#[test]
fn a_restored_database_is_checked_unless_told_otherwise() {
    let (store, tree) = filled(&any_disk(), 300);
    let (bytes, _) = to_bytes(&store, &options());
    assert!(RestoreOptions::default().check);
    let disk = memory();
    let mut options = restore_options();
    options.check = false;
    let mut steps = 0;
    let report = restore(
        Bytes::new(&bytes),
        &disk,
        RealRuntime::new(),
        &options,
        &mut |told| {
            steps += u32::from(told.entries > 0);
            go_on(told)
        },
    );
    let position = report.unwrap().summary.position;
    assert_eq!(position.index, store.snapshot().unwrap().index());
    assert!(steps > 0);
    let store = Store::open(disk, RealRuntime::new(), options.store).unwrap();
    let stats = store.snapshot().unwrap().tree_stats(tree).unwrap();
    assert!(stats.is_some_and(|stats| stats.count >= 300));
    assert_sound(&store);
}

#[test]
fn who_ends_a_restore_gets_no_database() {
    let (store, _) = filled(&any_disk(), 300);
    let (bytes, _) = to_bytes(&store, &options());
    // In the verification, then at the first entries.
    for at in [0, 1] {
        let disk = memory();
        let restored = restore(
            Bytes::new(&bytes),
            &disk,
            RealRuntime::new(),
            &restore_options(),
            &mut |told| {
                if told.entries >= at {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                }
            },
        );
        assert!(matches!(restored, Err(Error::Cancelled)), "{restored:?}");
        assert!(disk.list().unwrap().is_empty());
        let streamed = restore_stream(
            bytes.as_slice(),
            &disk,
            RealRuntime::new(),
            &restore_options(),
            &mut |_| ControlFlow::Break(()),
        );
        assert!(matches!(streamed, Err(Error::Cancelled)), "{streamed:?}");
        assert!(disk.list().unwrap().is_empty());
    }
}

#[test]
fn a_reader_of_a_file_goes_to_any_place_in_it_and_to_none_before_it() {
    let disk = memory();
    write(&*disk, "file", b"0123456789");
    let mut reader = BackupReader::open(&*disk, "file").unwrap();
    let mut read = |to: SeekFrom| {
        let mut byte = [0; 1];
        let at = reader.seek(to)?;
        let count = reader.read(&mut byte)?;
        Ok::<_, io::Error>((at, byte[..count].to_vec()))
    };
    assert_eq!(read(SeekFrom::Start(4)).unwrap(), (4, b"4".to_vec()));
    assert_eq!(read(SeekFrom::Current(2)).unwrap(), (7, b"7".to_vec()));
    assert_eq!(read(SeekFrom::Current(-8)).unwrap(), (0, b"0".to_vec()));
    assert_eq!(read(SeekFrom::End(-1)).unwrap(), (9, b"9".to_vec()));
    assert_eq!(read(SeekFrom::End(5)).unwrap(), (15, vec![]));
    for before in [SeekFrom::Current(-16), SeekFrom::End(-11)] {
        let error = read(before).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    }
    assert_eq!(read(SeekFrom::Current(0)).unwrap().0, 15, "where it was");
    let text = BackupReader::open(&*disk, "none").unwrap_err().to_string();
    assert!(!text.is_empty());
}

//! Damaged, cut, lengthened and foreign files.

use super::*;

#[test]
fn every_flipped_byte_is_damage_and_a_damaged_backup_changes_nothing() {
    let (store, _) = filled(&any_disk(), 300);
    let (mut bytes, _) = to_bytes(&store, &options());
    let blocks = boundaries(&bytes);
    let near = |at: usize| blocks.iter().any(|&block| at.wrapping_sub(block) < 64);
    let mut tried = 0;
    for at in (0..bytes.len()).filter(|at| near(*at) || at % 29 == 0) {
        let bit = 1 << (at % 8);
        bytes[at] ^= bit;
        let error = verify(&bytes).unwrap_err();
        assert!(error.is_corruption(), "byte {at}: {error}");
        if tried % 37 == 0 {
            let disk = memory();
            assert!(restored(&bytes, &disk).is_err(), "byte {at}");
            assert!(disk.list().unwrap().is_empty(), "byte {at}");
            let options = restore_options();
            let streamed = restore_stream(
                bytes.as_slice(),
                &disk,
                RealRuntime::new(),
                &options,
                &mut |told| go_on(told),
            );
            assert!(streamed.is_err(), "byte {at}");
            assert!(disk.list().unwrap().is_empty(), "byte {at}");
        }
        bytes[at] ^= bit;
        tried += 1;
    }
    assert!(tried > 1000);
    verify(&bytes).unwrap();
}

#[test]
fn cut_lengthened_and_foreign_files_are_refused_by_what_they_are() {
    let (store, _) = filled(&any_disk(), 300);
    let (bytes, _) = to_bytes(&store, &options());
    let blocks = boundaries(&bytes);
    let lengths = (0..bytes.len()).filter(|len| len % 997 == 0 || blocks.contains(len));
    for len in lengths {
        let error = verify(&bytes[..len]).unwrap_err();
        assert!(
            matches!(error, Error::Backup(BackupError::Incomplete { .. })),
            "{len}: {error}"
        );
    }
    let mut longer = bytes.clone();
    longer.push(0);
    let error = verify(&longer).unwrap_err().to_string();
    assert!(error.contains("nothing behind the end"), "{error}");
    let twice = [bytes.clone(), bytes.clone()].concat();
    assert!(verify(&twice).unwrap_err().is_corruption());
    let error = verify(b"a picture, or whatever else it may be that lies there, not a backup");
    assert!(
        matches!(error, Err(Error::Backup(BackupError::NotABackup { .. }))),
        "{error:?}"
    );
    // A head that another version has written, with a good checksum.
    for (at, value) in [(8, 2), (32, 1)] {
        let mut other = bytes.clone();
        other[at] = value;
        other[12..16].fill(0);
        let checksum = crc32c(&other[..64]);
        other[12..16].copy_from_slice(&checksum.to_le_bytes());
        let error = verify(&other).unwrap_err();
        assert!(error.is_unsupported() && !error.is_corruption(), "{error}");
        assert!(restored(&other, &memory()).is_err());
    }
}

/// CRC32C bit by bit: what the format says, without the library that writes it.
fn crc32c(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| (crc >> 1) ^ (0x82F6_3B78 & 0_u32.wrapping_sub(crc & 1));
    !bytes.iter().fold(u32::MAX, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), step)
    })
}

//! Damaged metas: the newest cannot be read, or the disk shows older ones than
//! it had said were written.
//!
//! Nothing that a crash does leaves such a disk, so the store may refuse it;
//! but it must say so, and never show what no commit left.

use cs_base::BLOCK_SIZE;
use cs_io::sim::{Event, Rng, SimImage};
use cs_kv::Durability;
use cs_pager::format::{DATA_FILE, META_OFFSETS, Meta};

use super::examine::open;
use super::life::Phase;
use super::named::check_named_after_rot;
use crate::model::{Expected, check};
use crate::{Failure, Verdict};

type Block = [u8; BLOCK_SIZE];

/// Damages the image and opens the store on it.
pub(super) fn examine(
    phase: &Phase,
    image: &mut SimImage,
    expected: Expected<'_>,
    rng: &mut Rng,
) -> Verdict {
    let Some(mut file) = image.read(DATA_FILE) else {
        return Ok(());
    };
    let Some(slots) = slots(&file) else {
        return Ok(());
    };
    let sequences = slots.map(|slot| Meta::decode(&slot).ok().map(|meta| meta.sequence));
    let newest = usize::from(sequences[1] > sequences[0]);
    let both_valid = sequences.iter().all(Option::is_some);
    let lost = rng.percent(50);
    if lost {
        // The newest meta never arrived, and the one before it rotted since:
        // the log may no longer reach back to what is left.
        let Some(before) =
            sequences[newest].and_then(|newest| meta_written(phase, newest.checked_sub(2)?))
        else {
            return Ok(());
        };
        put(&mut file, newest, &before);
        flip(&mut file, 1 - newest, rng);
    } else {
        flip(&mut file, newest, rng);
    }
    image.put(DATA_FILE, &file);
    let what = if lost {
        "newest meta lost, older one damaged"
    } else {
        "newest meta damaged"
    };
    let opened = open(phase, image, rng);
    let store = match opened {
        Ok((_, store)) => store,
        // The older meta and the log that is kept for it are there for this very case.
        Err(error) if both_valid && !lost => {
            return Err(Failure(format!("the store does not open: {error}")).during(what));
        }
        Err(_) => return Ok(()),
    };
    // Without a log nobody can tell a meta that rotted from one that a crash
    // tore: the older one is all there is, and shows what it saved.
    let at_least = match phase.options.durability {
        Some(Durability::Memory) => 0,
        _ => expected.at_least,
    };
    let expected = Expected {
        at_least,
        ..expected
    };
    let looked = expected.verify(&store).and_then(|index| {
        check_named_after_rot(&store, expected.history, index)?;
        check(&store)
    });
    match looked {
        // Pages that only a lost meta still needed may be gone: said, not hidden.
        Err(failure) if !(lost && says_damage(&failure)) => Err(failure.during(what)),
        _ => Ok(()),
    }
}

/// Whether reading was refused, instead of showing something wrong.
fn says_damage(failure: &Failure) -> bool {
    let text = &failure.0;
    (text.contains("unexpected error") && (text.contains("page") || text.contains("damaged")))
        || text.contains("unreadable")
}

fn slots(file: &[u8]) -> Option<[Block; 2]> {
    let slot = |at: u64| -> Option<Block> {
        let at = at as usize;
        file.get(at..at + BLOCK_SIZE)?.try_into().ok()
    };
    Some([slot(META_OFFSETS[0])?, slot(META_OFFSETS[1])?])
}

fn put(file: &mut [u8], slot: usize, block: &Block) {
    let at = META_OFFSETS[slot] as usize;
    file[at..at + BLOCK_SIZE].copy_from_slice(block);
}

/// Changes a bit of the part that says something.
fn flip(file: &mut [u8], slot: usize, rng: &mut Rng) {
    let at = META_OFFSETS[slot] as usize + rng.below(264) as usize;
    file[at] ^= 1 << rng.below(8);
}

/// The meta with this sequence number, if this phase wrote it.
fn meta_written(phase: &Phase, sequence: u64) -> Option<Block> {
    phase.journal.events().iter().find_map(|event| {
        let Event::WriteStart { offset, bytes, .. } = event else {
            return None;
        };
        let block: &Block = bytes.as_ref().try_into().ok()?;
        let is_meta = META_OFFSETS.contains(offset);
        (is_meta && Meta::decode(block).is_ok_and(|meta| meta.sequence == sequence))
            .then_some(*block)
    })
}

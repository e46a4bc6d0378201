//! The state a Raft node must not forget, as bytes.

use cs_base::{Index, Term};
use zerocopy::little_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::error::{LogError, Result};

/// Longest membership that fits into a segment's header.
pub const MAX_MEMBERSHIP_BYTES: usize = 2048;

/// Term, vote, membership and commit hint. A record of kind
/// [`Vote`](super::RecordKind::Vote), and repeated in every segment's header,
/// so that recycling never drops it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HardState {
    /// Current term.
    pub term: Term,
    /// Node that got the vote in that term; 0 is nobody.
    pub voted_for: u64,
    /// A commit index known to be committed; a hint, never ahead of the truth.
    pub commit: Index,
    /// Membership, opaque here; at most [`MAX_MEMBERSHIP_BYTES`].
    pub membership: Vec<u8>,
}

/// Payload of a vote record, before the membership bytes.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(super) struct RawHardState {
    pub(super) term: U64,
    pub(super) voted_for: U64,
    pub(super) commit: U64,
    pub(super) membership_len: U32,
    pub(super) reserved: U32,
}

const _: () = assert!(size_of::<RawHardState>() == 32);

impl HardState {
    /// Refuses what would not fit into a header.
    pub(crate) fn check(&self) -> Result<()> {
        let found = self.membership.len();
        if found > MAX_MEMBERSHIP_BYTES {
            return Err(LogError::MembershipTooLarge {
                found,
                limit: MAX_MEMBERSHIP_BYTES,
            });
        }
        Ok(())
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let raw = RawHardState {
            term: self.term.0.into(),
            voted_for: self.voted_for.into(),
            commit: self.commit.0.into(),
            membership_len: (self.membership.len() as u32).into(),
            reserved: 0.into(),
        };
        let mut bytes = raw.as_bytes().to_vec();
        bytes.extend_from_slice(&self.membership);
        bytes
    }

    /// The state in the payload of a vote record, or what is wrong with it.
    pub(crate) fn decode(payload: &[u8]) -> std::result::Result<Self, String> {
        let (raw, membership) = RawHardState::ref_from_prefix(payload)
            .map_err(|_| format!("hard state of {} bytes", payload.len()))?;
        let len = raw.membership_len.get() as usize;
        if len != membership.len() || len > MAX_MEMBERSHIP_BYTES || raw.reserved.get() != 0 {
            return Err(format!(
                "membership length {len} in {} bytes",
                membership.len()
            ));
        }
        Ok(Self {
            term: Term(raw.term.get()),
            voted_for: raw.voted_for.get(),
            commit: Index(raw.commit.get()),
            membership: membership.to_vec(),
        })
    }
}

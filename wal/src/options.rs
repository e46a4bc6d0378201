//! What the owner may choose.

use cs_base::{BLOCK_SIZE, Incarnation, Index, Lsn};

/// Sizes and depths of a log. The defaults are those of the product.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogOptions {
    /// Capacity of the first segment, in bytes. Small, so that an empty
    /// database stays below 1 MiB.
    pub segment_bytes_min: u64,
    /// Capacity up to which segments double. A larger record still gets a
    /// segment of its own size.
    pub segment_bytes_max: u64,
    /// How many groups may be on their way to the disk at once.
    pub groups_in_flight: usize,
    /// Size of one gather buffer; a record that exceeds it gets a buffer of
    /// its own.
    pub group_bytes_max: usize,
    /// How many recycled segments are kept for reuse.
    pub spare_segments: usize,
    /// Bytes that may be appended and not yet durable before
    /// [`Log::wait_for_room`](crate::Log::wait_for_room) waits. The memory that
    /// gathered records take is bounded by it.
    pub undurable_bytes_max: u64,
}

impl Default for LogOptions {
    fn default() -> Self {
        Self {
            segment_bytes_min: 256 << 10,
            segment_bytes_max: 64 << 20,
            groups_in_flight: 2,
            group_bytes_max: 1 << 20,
            spare_segments: 4,
            undurable_bytes_max: 16 << 20,
        }
    }
}

impl LogOptions {
    /// The same with every size a whole number of blocks and every count at
    /// least one, so that no arithmetic below has to ask again.
    pub(crate) fn normalised(mut self) -> Self {
        let block = BLOCK_SIZE as u64;
        let whole = |bytes: u64| cs_base::round_up(bytes.clamp(4 * block, 1 << 40), block);
        self.segment_bytes_min = whole(self.segment_bytes_min);
        self.segment_bytes_max = whole(self.segment_bytes_max).max(self.segment_bytes_min);
        // More than a device queues is no use, and each has its own buffers.
        self.groups_in_flight = self.groups_in_flight.clamp(1, 64);
        self.group_bytes_max = cs_base::round_up(
            self.group_bytes_max.clamp(BLOCK_SIZE, 1 << 30) as u64,
            block,
        ) as usize;
        self
    }
}

/// A place between two records: the end of one, and what the next must
/// continue. Checkpoints store it; recovery starts from it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StartPoint {
    /// End of the last record that is below; everything below is applied.
    /// Exactly an [`Appended::end`](crate::Appended::end), or 0.
    pub lsn: Lsn,
    /// Checksum of that record, 0 at the start of the log.
    pub chain: u32,
    /// Index of the last record below that took one, 0 if there is none.
    pub index: Index,
    /// Incarnation of the log in which the place was current.
    pub incarnation: Incarnation,
}

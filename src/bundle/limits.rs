//! How much of a bundle is read.

/// Bounds on what somebody else's bundle may make this program do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Members, the list not counted.
    pub members: u64,
    /// Bytes of the list.
    pub manifest_bytes: u64,
    /// Bytes of all members but weights, which are kept in memory.
    pub kept_bytes: u64,
    /// Bytes of all members.
    pub total_bytes: u64,
    /// Logarithm of the memory that the decompression may take.
    pub window_log: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            members: 10_000,
            manifest_bytes: 4 << 20,
            kept_bytes: 512 << 20,
            total_bytes: 256 << 30,
            window_log: 23,
        }
    }
}

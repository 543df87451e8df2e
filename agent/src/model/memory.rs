//! [`Memory`]: what a model takes as computed, and what the process takes as measured.

use std::fs;

use serde::Serialize;

/// Bytes of memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Memory {
    /// Weights, once.
    pub weights: usize,
    /// Keys and values that the engine may hold.
    pub kv: usize,
    /// The process with the model ready and every batch run, where Linux tells it.
    pub resident: Option<u64>,
    /// The same at its largest, loading included.
    pub peak_resident: Option<u64>,
}

impl Memory {
    /// What was computed, beside what the process has taken up to now.
    pub(super) fn measure(weights: usize, kv: usize) -> Self {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        Self { weights, kv, resident: field(&status, "VmRSS:"), peak_resident: field(&status, "VmHWM:") }
    }
}

/// Bytes that the machine can still give, where Linux tells it.
pub(crate) fn available() -> Option<u64> {
    field(&fs::read_to_string("/proc/meminfo").ok()?, "MemAvailable:")
}

fn field(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kilobytes.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_where_they_stand() {
        let status = "Name:\tx\nVmHWM:\t    1234 kB\nVmRSS:\t 9 kB\n";
        assert_eq!(field(status, "VmHWM:"), Some(1234 * 1024));
        assert_eq!(field(status, "VmRSS:"), Some(9 * 1024));
        assert_eq!(field("VmHWM:\t many kB\n", "VmHWM:"), None);
        assert_eq!(field("", "VmRSS:"), None);
    }
}

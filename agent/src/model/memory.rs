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
    /// The process at its largest, as Linux tells it.
    pub peak_resident: Option<u64>,
}

impl Memory {
    /// What was computed, beside what the process has taken up to now.
    pub(super) fn measure(weights: usize, kv: usize) -> Self {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        Self { weights, kv, peak_resident: peak(&status) }
    }
}

fn peak(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kilobytes.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peak_is_read_where_it_stands() {
        assert_eq!(peak("Name:\tx\nVmHWM:\t    1234 kB\nVmRSS:\t 9 kB\n"), Some(1234 * 1024));
        assert_eq!(peak("VmHWM:\t many kB\n"), None);
        assert_eq!(peak(""), None);
    }
}

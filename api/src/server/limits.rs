//! How often: a token bucket for each key, and failed attempts counted by address.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

const MINUTE: f64 = 60.0;
/// Addresses remembered at once.
const MOST_ADDRESSES: usize = 4_096;

/// What may be taken so many times a minute, and all of a minute's at once.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bucket {
    left: f64,
    at: Instant,
}

impl Bucket {
    /// A full one.
    pub(super) fn full(a_minute: u32, now: Instant) -> Self {
        Self { left: f64::from(a_minute), at: now }
    }

    /// Takes one.
    ///
    /// # Errors
    /// How long to wait for the next, when none is left.
    pub(super) fn take(&mut self, a_minute: u32, now: Instant) -> Result<(), Duration> {
        self.take_several(1, a_minute, now)
    }

    /// Takes so many, or none.
    ///
    /// # Errors
    /// How long to wait until there will be so many, when there are fewer.
    pub(super) fn take_several(&mut self, times: u32, a_minute: u32, now: Instant) -> Result<(), Duration> {
        self.refill(a_minute, now);
        let wanted = f64::from(times);
        if self.left >= wanted {
            self.left -= wanted;
            return Ok(());
        }
        Err(Duration::from_secs_f64((wanted - self.left) * MINUTE / f64::from(a_minute.max(1))))
    }

    fn refill(&mut self, a_minute: u32, now: Instant) {
        let most = f64::from(a_minute);
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.left = (self.left + passed * most / MINUTE).min(most);
        self.at = now;
    }

    fn is_full(&self, a_minute: u32, now: Instant) -> bool {
        let mut then = *self;
        then.refill(a_minute, now);
        then.left >= f64::from(a_minute)
    }
}

/// Failed attempts by address: who guesses is soon told to wait.
#[derive(Debug)]
pub(super) struct Failures {
    a_minute: u32,
    addresses: HashMap<IpAddr, Bucket>,
}

impl Failures {
    /// None yet; `a_minute` are allowed to each address.
    pub(super) fn new(a_minute: u32) -> Self {
        Self { a_minute, addresses: HashMap::new() }
    }

    /// Counts a wrong key from `address`.
    ///
    /// # Errors
    /// How long to wait, when there were too many.
    pub(super) fn wrong(&mut self, address: IpAddr, now: Instant) -> Result<(), Duration> {
        let a_minute = self.a_minute;
        self.bucket(address, now).take(a_minute, now)
    }

    fn bucket(&mut self, address: IpAddr, now: Instant) -> &mut Bucket {
        let (address, a_minute) = (network(address), self.a_minute);
        if self.addresses.len() >= MOST_ADDRESSES && !self.addresses.contains_key(&address) {
            self.addresses.retain(|_, bucket| !bucket.is_full(a_minute, now));
            // all of them guess: the one that guessed longest ago is forgotten
            let oldest = self.addresses.iter().min_by_key(|(_, bucket)| bucket.at).map(|(address, _)| *address);
            if let Some(oldest) = oldest.filter(|_| self.addresses.len() >= MOST_ADDRESSES) {
                self.addresses.remove(&oldest);
            }
        }
        self.addresses.entry(address).or_insert_with(|| Bucket::full(a_minute, now))
    }
}

/// What one client can choose its addresses from: in version 6 a network of 64 bits.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let bits = address.to_bits() & !u128::from(u64::MAX);
            Ipv6Addr::from_bits(bits).into()
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(start: Instant, seconds: f64) -> Instant {
        start + Duration::from_secs_f64(seconds)
    }

    #[test]
    fn a_bucket_empties_and_fills_again() {
        let start = Instant::now();
        let mut bucket = Bucket::full(3, start);
        for _ in 0..3 {
            assert_eq!(bucket.take(3, start), Ok(()));
        }
        let wait = bucket.take(3, start).unwrap_err();
        assert!((wait.as_secs_f64() - 20.0).abs() < 1e-6, "{wait:?}");
        assert!(bucket.take(3, after(start, 19.0)).is_err());
        assert!(bucket.take(3, after(start, 20.5)).is_ok());
        assert!(bucket.take(3, after(start, 21.0)).is_err());
        let later = after(start, 10_000.0);
        let wait = bucket.take_several(4, 3, later).unwrap_err();
        assert!((wait.as_secs_f64() - 20.0).abs() < 1e-6, "{wait:?}");
        assert_eq!((bucket.take_several(2, 3, later), bucket.take_several(2, 3, later).is_err()), (Ok(()), true));
        let later = after(start, 20_000.0);
        assert_eq!((0..10).filter(|_| bucket.take(3, later).is_ok()).count(), 3, "it never holds more than a minute's");
    }

    #[test]
    fn guesses_are_counted_by_address() {
        let start = Instant::now();
        let mut failures = Failures::new(2);
        let [here, there] = ["192.0.2.1", "192.0.2.2"].map(|address| address.parse::<IpAddr>().unwrap());
        for _ in 0..2 {
            assert!(failures.wrong(here, start).is_ok());
        }
        let wait = failures.wrong(here, start).unwrap_err();
        assert!((wait.as_secs_f64() - 30.0).abs() < 1e-6, "{wait:?}");
        assert!(failures.wrong(there, start).is_ok());
        assert!(failures.wrong(here, after(start, 31.0)).is_ok());
        assert!(failures.wrong(here, after(start, 31.0)).is_err());
    }

    #[test]
    fn a_network_of_version_6_is_one_address_and_memory_is_bounded() {
        let start = Instant::now();
        let mut failures = Failures::new(1);
        assert!(failures.wrong("2001:db8::1".parse().unwrap(), start).is_ok());
        assert!(failures.wrong("2001:db8::2".parse().unwrap(), start).is_err());
        assert!(failures.wrong("2001:db8:0:1::1".parse().unwrap(), start).is_ok());
        for n in 0..2 * MOST_ADDRESSES as u32 {
            let _ = failures.wrong(std::net::Ipv4Addr::from_bits(n).into(), start);
        }
        assert!(failures.addresses.len() <= MOST_ADDRESSES);
    }
}

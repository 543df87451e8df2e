//! How often: a token bucket for each key, and failed attempts counted by address.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

use crate::keys::KeyHash;

const MINUTE: f64 = 60.0;
/// Addresses remembered at once.
const MOST_ADDRESSES: usize = 4_096;
/// Keys remembered of one address.
const MOST_KEYS: usize = 64;

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

/// Failed attempts by address. Who guesses is soon not even heard; keys that were right from that address
/// before are, so that one misled client does not lock out all that share its address.
#[derive(Debug)]
pub(super) struct Failures {
    a_minute: u32,
    addresses: HashMap<IpAddr, Address>,
}

#[derive(Debug)]
struct Address {
    bucket: Bucket,
    known: Vec<KeyHash>,
}

impl Failures {
    /// None yet; `a_minute` are allowed to each address.
    pub(super) fn new(a_minute: u32) -> Self {
        Self { a_minute, addresses: HashMap::new() }
    }

    /// Whether a key from `address` is looked at.
    ///
    /// # Errors
    /// How long to wait, when it is not.
    pub(super) fn hear(&mut self, address: IpAddr, key: KeyHash, now: Instant) -> Result<(), Duration> {
        let a_minute = self.a_minute;
        let Some(entry) = self.addresses.get(&network(address)) else { return Ok(()) };
        if entry.known.contains(&key) {
            return Ok(());
        }
        let mut then = entry.bucket;
        then.take(a_minute, now)
    }

    /// Counts a wrong key.
    pub(super) fn wrong(&mut self, address: IpAddr, key: KeyHash, now: Instant) {
        let a_minute = self.a_minute;
        let entry = self.entry(address, now);
        entry.known.retain(|known| *known != key);
        // a bucket that is empty already has nothing to say
        let _ = entry.bucket.take(a_minute, now);
    }

    /// Remembers a right key.
    pub(super) fn right(&mut self, address: IpAddr, key: KeyHash, now: Instant) {
        let entry = self.entry(address, now);
        if !entry.known.contains(&key) {
            if entry.known.len() >= MOST_KEYS {
                entry.known.remove(0);
            }
            entry.known.push(key);
        }
    }

    fn entry(&mut self, address: IpAddr, now: Instant) -> &mut Address {
        let address = network(address);
        if self.addresses.len() >= MOST_ADDRESSES && !self.addresses.contains_key(&address) {
            let a_minute = self.a_minute;
            self.addresses.retain(|_, entry| !entry.bucket.is_full(a_minute, now));
            // all of them guess: the one that guessed longest ago is forgotten
            let oldest = self.addresses.iter().min_by_key(|(_, entry)| entry.bucket.at).map(|(address, _)| *address);
            if let Some(oldest) = oldest.filter(|_| self.addresses.len() >= MOST_ADDRESSES) {
                self.addresses.remove(&oldest);
            }
        }
        let bucket = Bucket::full(self.a_minute, now);
        self.addresses.entry(address).or_insert_with(|| Address { bucket, known: Vec::new() })
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
    fn guesses_are_not_heard_and_known_keys_are() {
        let start = Instant::now();
        let mut failures = Failures::new(2);
        let [here, there] = ["192.0.2.1", "192.0.2.2"].map(|address| address.parse::<IpAddr>().unwrap());
        let [known, wrong, new] = ["a", "b", "c"].map(KeyHash::of);
        failures.right(here, known, start);
        for _ in 0..2 {
            assert!(failures.hear(here, wrong, start).is_ok());
            failures.wrong(here, wrong, start);
        }
        assert!(failures.hear(here, wrong, start).is_err());
        assert!(failures.hear(here, new, start).is_err(), "nobody hears whether a guess was right");
        assert!(failures.hear(here, known, start).is_ok());
        assert!(failures.hear(there, wrong, start).is_ok());
        assert!(failures.hear(here, new, after(start, 31.0)).is_ok());
        failures.wrong(here, known, after(start, 31.0));
        assert!(failures.hear(here, known, after(start, 31.0)).is_err(), "a revoked key is a guess");
    }

    #[test]
    fn a_network_of_version_6_is_one_address_and_memory_is_bounded() {
        let start = Instant::now();
        let mut failures = Failures::new(1);
        let key = KeyHash::of("a");
        failures.wrong("2001:db8::1".parse().unwrap(), key, start);
        assert!(failures.hear("2001:db8::2".parse().unwrap(), key, start).is_err());
        assert!(failures.hear("2001:db8:0:1::1".parse().unwrap(), key, start).is_ok());
        for n in 0..2 * MOST_ADDRESSES as u32 {
            failures.wrong(std::net::Ipv4Addr::from_bits(n).into(), key, start);
        }
        assert!(failures.addresses.len() <= MOST_ADDRESSES);
    }
}

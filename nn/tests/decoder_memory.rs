//! Decoding allocates nothing once it is warm, counted by the allocator itself.
#![expect(unsafe_code, reason = "a counting allocator")]

mod decoders;

use std::alloc::{GlobalAlloc, Layout, System};
use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};

use decoders::{FAMILIES, fixture};
use nn::{Adapter, Batch, BlockId, Decoder, Device, KvCache, Pass, Target, Wanted};

struct Counting;

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

// SAFETY: hands every request to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(memory, layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.realloc(memory, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The one test of this file: another at the same time would be counted with it.
#[test]
fn a_warm_decoding_step_allocates_nothing() {
    for (family, is_adapted) in FAMILIES.into_iter().flat_map(|family| [(family, false), (family, true)]) {
        let device = Device::Cpu { threads: NonZero::new(2).unwrap() };
        let mut decoder = Decoder::load(&fixture(family), device).unwrap();
        let adapter = Adapter::new(decoder.config(), 3, 1.0, &[Target::Value, Target::Up, Target::Down], 0).unwrap();
        decoder.set_adapter(is_adapted.then_some(adapter)).unwrap();
        let mut cache = KvCache::new(&decoder, 12).unwrap();
        let mut batch = Batch::default();
        let mut step = |ids: &[u32], past: usize| {
            batch.clear();
            for sequence in 0..3 {
                let blocks: [BlockId; 4] = std::array::from_fn(|block| (sequence * 4 + block) as BlockId);
                batch.push(ids, past, &blocks, Wanted::Last);
            }
            decoder.forward(&batch, Pass::Infer(&mut cache)).unwrap().host().unwrap()[0]
        };
        step(&[7; 40], 0);
        // The longest context comes first, so that scratch memory has its size.
        step(&[7], 120);
        // A worker makes its scratch memory when it first takes a job, which may be some steps later.
        let is_free = (0..20).any(|_| {
            let before = ALLOCATIONS.load(Ordering::Relaxed);
            assert!((40..120).all(|past| step(&[past as u32], past).is_finite()));
            ALLOCATIONS.load(Ordering::Relaxed) == before
        });
        assert!(is_free, "{family}: each of twenty rounds of decoding allocated something");
    }
}

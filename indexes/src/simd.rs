//! Inner products of floats and of 8-bit codes. The fastest kernel that the processor has is chosen
//! at run time; integer kernels agree exactly, float kernels within rounding. With the mapping of
//! files this is the only unsafe code here.

/// Code rows and queries are padded with zeros to a multiple of this many bytes.
pub(crate) const CODE_BLOCK: usize = 64;

/// Which instructions the processor has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kernel {
    /// Whatever the compiler makes of plain loops.
    Portable,
    /// AVX2 and FMA.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// AVX-512 with the byte products of VNNI.
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

impl Kernel {
    /// The best one here.
    pub(crate) fn detect() -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            use std::arch::is_x86_feature_detected as has;
            if has!("avx512f") && has!("avx512bw") && has!("avx512vnni") {
                return Self::Avx512;
            }
            if has!("avx2") && has!("fma") {
                return Self::Avx2;
            }
        }
        Self::Portable
    }

    /// Inner product of two rows; of the shorter length if they differ.
    #[inline]
    pub(crate) fn dot(self, a: &[f32], b: &[f32]) -> f32 {
        match self {
            Self::Portable => dot_portable(a, b),
            #[cfg(target_arch = "x86_64")]
            #[expect(unsafe_code, reason = "calls a kernel whose instructions have been detected")]
            // SAFETY: this variant exists only where `detect` found the instructions.
            Self::Avx2 => unsafe { x86::dot_avx2(a, b) },
            #[cfg(target_arch = "x86_64")]
            #[expect(unsafe_code, reason = "calls a kernel whose instructions have been detected")]
            // SAFETY: as above.
            Self::Avx512 => unsafe { x86::dot_avx512(a, b) },
        }
    }

    /// How many of `numbers` are above `least`.
    #[inline]
    pub(crate) fn count_above(self, numbers: &[f32], least: f32) -> usize {
        match self {
            #[cfg(target_arch = "x86_64")]
            #[expect(unsafe_code, reason = "calls a kernel whose instructions have been detected")]
            // SAFETY: this variant exists only where `detect` found the instructions.
            Self::Avx512 => unsafe { x86::count_above_avx512(numbers, least) },
            _ => count_above_portable(numbers, least),
        }
    }

    /// Puts the places of the numbers above `least` into `places`, ascending.
    #[inline]
    pub(crate) fn above(self, numbers: &[f32], least: f32, places: &mut Vec<u32>) {
        places.clear();
        match self {
            #[cfg(target_arch = "x86_64")]
            #[expect(unsafe_code, reason = "calls a kernel whose instructions have been detected")]
            // SAFETY: as above.
            Self::Avx512 => unsafe { x86::above_avx512(numbers, least, places) },
            _ => above_portable(numbers, least, 0, places),
        }
    }

    /// Inner products of `query` with the code at the head of each of `nodes`' records, where record
    /// `n` is `records[n * stride..][..stride]`; one product per node is put into `out`. Records to
    /// come are fetched ahead. Lengths are multiples of [`CODE_BLOCK`].
    #[inline]
    pub(crate) fn dots(self, query: &[u8], records: &[u8], stride: usize, nodes: &[u32], out: &mut Vec<i32>) {
        debug_assert!(query.len().is_multiple_of(CODE_BLOCK) && query.len() <= stride);
        out.clear();
        match self {
            Self::Portable => out.extend(
                nodes.iter().map(|&node| code_portable(query, &records[node as usize * stride..][..query.len()])),
            ),
            #[cfg(target_arch = "x86_64")]
            #[expect(unsafe_code, reason = "calls a kernel whose instructions have been detected")]
            // SAFETY: as above.
            Self::Avx2 => unsafe { x86::dots_avx2(query, records, stride, nodes, out) },
            #[cfg(target_arch = "x86_64")]
            #[expect(unsafe_code, reason = "calls a kernel whose instructions have been detected")]
            // SAFETY: as above.
            Self::Avx512 => unsafe { x86::dots_avx512(query, records, stride, nodes, out) },
        }
    }
}

fn count_above_portable(numbers: &[f32], least: f32) -> usize {
    numbers.iter().map(|&number| u32::from(number > least)).sum::<u32>() as usize
}

/// Where `numbers`, of which the first stands at `from`, are above `least`.
fn above_portable(numbers: &[f32], least: f32, from: u32, places: &mut Vec<u32>) {
    places.extend((from..).zip(numbers).filter(|&(_, &number)| number > least).map(|(place, _)| place));
}

/// Asks for a record to be brought near while other work is done; does nothing where it cannot.
#[inline]
pub(crate) fn prefetch(bytes: &[u8]) {
    #[cfg(target_arch = "x86_64")]
    x86::prefetch(bytes);
    #[cfg(not(target_arch = "x86_64"))]
    let _ = bytes;
}

/// Sixteen running sums, so that the loop has no chain of dependent additions.
fn dot_portable(a: &[f32], b: &[f32]) -> f32 {
    let (blocks_a, rest_a) = a[..a.len().min(b.len())].as_chunks::<16>();
    let (blocks_b, rest_b) = b[..a.len().min(b.len())].as_chunks::<16>();
    let mut sums = [0.0_f32; 16];
    for (a, b) in blocks_a.iter().zip(blocks_b) {
        for lane in 0..16 {
            sums[lane] += a[lane] * b[lane];
        }
    }
    sums.iter().sum::<f32>() + rest_a.iter().zip(rest_b).map(|(a, b)| a * b).sum::<f32>()
}

/// Products of unsigned query bytes and signed code bytes.
fn code_portable(query: &[u8], code: &[u8]) -> i32 {
    query.iter().zip(code).map(|(&query, &code)| i32::from(query) * i32::from(code as i8)).sum()
}

#[cfg(target_arch = "x86_64")]
#[expect(unsafe_code, reason = "vector loads take raw pointers; each is inside a block taken from a slice")]
mod x86 {
    #[cfg_attr(not(test), expect(clippy::wildcard_imports, reason = "intrinsics are many"))]
    use std::arch::x86_64::*;

    use super::CODE_BLOCK;

    #[inline]
    pub(super) fn prefetch(bytes: &[u8]) {
        for line in bytes.chunks(64) {
            // SAFETY: a prefetch reads nothing, and the address lies in a slice.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().cast()) };
        }
    }

    #[target_feature(enable = "avx2,fma")]
    pub(super) fn dot_avx2(a: &[f32], b: &[f32]) -> f32 {
        let (blocks_a, rest_a) = a[..a.len().min(b.len())].as_chunks::<32>();
        let (blocks_b, rest_b) = b[..a.len().min(b.len())].as_chunks::<32>();
        let mut sums = [_mm256_setzero_ps(); 4];
        for (a, b) in blocks_a.iter().zip(blocks_b) {
            for (lane, sum) in sums.iter_mut().enumerate() {
                // SAFETY: eight floats from `8 * lane`, at most 24, of an array of 32.
                let (a, b) =
                    unsafe { (_mm256_loadu_ps(a[8 * lane..].as_ptr()), _mm256_loadu_ps(b[8 * lane..].as_ptr())) };
                *sum = _mm256_fmadd_ps(a, b, *sum);
            }
        }
        let sum = _mm256_add_ps(_mm256_add_ps(sums[0], sums[1]), _mm256_add_ps(sums[2], sums[3]));
        let half = _mm_add_ps(_mm256_castps256_ps128(sum), _mm256_extractf128_ps::<1>(sum));
        let quarter = _mm_add_ps(half, _mm_movehl_ps(half, half));
        let one = _mm_add_ss(quarter, _mm_movehdup_ps(quarter));
        _mm_cvtss_f32(one) + super::dot_portable(rest_a, rest_b)
    }

    #[target_feature(enable = "avx512f")]
    pub(super) fn dot_avx512(a: &[f32], b: &[f32]) -> f32 {
        let (blocks_a, rest_a) = a[..a.len().min(b.len())].as_chunks::<64>();
        let (blocks_b, rest_b) = b[..a.len().min(b.len())].as_chunks::<64>();
        let mut sums = [_mm512_setzero_ps(); 4];
        for (a, b) in blocks_a.iter().zip(blocks_b) {
            for (lane, sum) in sums.iter_mut().enumerate() {
                // SAFETY: sixteen floats from `16 * lane`, at most 48, of an array of 64.
                let (a, b) =
                    unsafe { (_mm512_loadu_ps(a[16 * lane..].as_ptr()), _mm512_loadu_ps(b[16 * lane..].as_ptr())) };
                *sum = _mm512_fmadd_ps(a, b, *sum);
            }
        }
        let sum = _mm512_add_ps(_mm512_add_ps(sums[0], sums[1]), _mm512_add_ps(sums[2], sums[3]));
        _mm512_reduce_add_ps(sum) + super::dot_portable(rest_a, rest_b)
    }

    #[target_feature(enable = "avx512f")]
    pub(super) fn count_above_avx512(numbers: &[f32], least: f32) -> usize {
        super::count_above_portable(numbers, least)
    }

    #[target_feature(enable = "avx512f")]
    pub(super) fn above_avx512(numbers: &[f32], least: f32, places: &mut Vec<u32>) {
        let (blocks, rest) = numbers.as_chunks::<16>();
        places.resize(numbers.len() + 16, 0);
        let bound = _mm512_set1_ps(least);
        let mut lanes = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
        let mut found = 0;
        for block in blocks {
            // SAFETY: sixteen floats of an array of sixteen.
            let above = unsafe { _mm512_cmp_ps_mask::<_CMP_GT_OQ>(_mm512_loadu_ps(block.as_ptr()), bound) };
            let room = &mut places[found..found + 16];
            // SAFETY: sixteen numbers into a slice of sixteen.
            unsafe { _mm512_storeu_si512(room.as_mut_ptr().cast(), _mm512_maskz_compress_epi32(above, lanes)) };
            found += above.count_ones() as usize;
            lanes = _mm512_add_epi32(lanes, _mm512_set1_epi32(16));
        }
        places.truncate(found);
        super::above_portable(rest, least, (numbers.len() - rest.len()) as u32, places);
    }

    /// How many records ahead of the one in work are fetched.
    const AHEAD: usize = 4;

    #[target_feature(enable = "avx2")]
    pub(super) fn dots_avx2(query: &[u8], records: &[u8], stride: usize, nodes: &[u32], out: &mut Vec<i32>) {
        let code = |node: u32| &records[node as usize * stride..][..query.len()];
        nodes.iter().take(AHEAD).for_each(|&node| prefetch(code(node)));
        for (at, &node) in nodes.iter().enumerate() {
            if let Some(&next) = nodes.get(at + AHEAD) {
                prefetch(code(next));
            }
            let mut sum = _mm256_setzero_si256();
            for (query, code) in query.as_chunks::<16>().0.iter().zip(code(node).as_chunks::<16>().0) {
                // SAFETY: sixteen bytes of arrays of sixteen.
                let (query, code) =
                    unsafe { (_mm_loadu_si128(query.as_ptr().cast()), _mm_loadu_si128(code.as_ptr().cast())) };
                sum = _mm256_add_epi32(sum, _mm256_madd_epi16(_mm256_cvtepu8_epi16(query), _mm256_cvtepi8_epi16(code)));
            }
            let half = _mm_add_epi32(_mm256_castsi256_si128(sum), _mm256_extracti128_si256::<1>(sum));
            let quarter = _mm_add_epi32(half, _mm_shuffle_epi32::<0b01_00_11_10>(half));
            out.push(_mm_cvtsi128_si32(_mm_add_epi32(quarter, _mm_shuffle_epi32::<0b10_11_00_01>(quarter))));
        }
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
    pub(super) fn dots_avx512(query: &[u8], records: &[u8], stride: usize, nodes: &[u32], out: &mut Vec<i32>) {
        let code = |node: u32| &records[node as usize * stride..][..query.len()];
        nodes.iter().take(AHEAD).for_each(|&node| prefetch(code(node)));
        for (at, &node) in nodes.iter().enumerate() {
            if let Some(&next) = nodes.get(at + AHEAD) {
                prefetch(code(next));
            }
            let mut sums = [_mm512_setzero_si512(); 2];
            for (block, (query, code)) in
                query.as_chunks::<CODE_BLOCK>().0.iter().zip(code(node).as_chunks::<CODE_BLOCK>().0).enumerate()
            {
                // SAFETY: sixty-four bytes of arrays of sixty-four.
                let (query, code) =
                    unsafe { (_mm512_loadu_si512(query.as_ptr().cast()), _mm512_loadu_si512(code.as_ptr().cast())) };
                sums[block % 2] = _mm512_dpbusd_epi32(sums[block % 2], query, code);
            }
            out.push(_mm512_reduce_add_epi32(_mm512_add_epi32(sums[0], sums[1])));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn kernels() -> Vec<Kernel> {
        let mut kernels = vec![Kernel::Portable, Kernel::detect()];
        #[cfg(target_arch = "x86_64")]
        if Kernel::detect() == Kernel::Avx512 {
            kernels.push(Kernel::Avx2);
        }
        kernels
    }

    proptest! {
        #[test]
        fn floats_agree_with_a_plain_loop(rows in prop::collection::vec((-1.0_f32..1.0, -1.0_f32..1.0), 0..200)) {
            let (a, b): (Vec<f32>, Vec<f32>) = rows.iter().copied().unzip();
            let plain: f64 = rows.iter().map(|&(a, b)| f64::from(a) * f64::from(b)).sum();
            for kernel in kernels() {
                prop_assert!((f64::from(kernel.dot(&a, &b)) - plain).abs() < 1e-4, "{kernel:?}");
            }
        }

        #[test]
        fn what_is_above_agrees_with_a_plain_loop(numbers in prop::collection::vec(-2_i8..3, 0..100), least in -2_i8..3) {
            let numbers: Vec<f32> = numbers.iter().map(|&number| if number == -2 { f32::NEG_INFINITY } else { number.into() }).collect();
            let least = f32::from(least);
            let plain: Vec<u32> = (0..numbers.len()).filter(|&at| numbers[at] > least).map(|at| at as u32).collect();
            for kernel in kernels() {
                let mut places = vec![7];
                kernel.above(&numbers, least, &mut places);
                prop_assert_eq!(&places, &plain, "{:?}", kernel);
                prop_assert_eq!(kernel.count_above(&numbers, least), plain.len(), "{:?}", kernel);
            }
        }

        #[test]
        fn codes_agree_exactly(blocks in 1_usize..5, seed: u64) {
            let mut state = seed;
            let mut byte = || { state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407); (state >> 56) as u8 };
            let width = blocks * CODE_BLOCK;
            let (stride, count) = (width + CODE_BLOCK, 7);
            let query: Vec<u8> = (0..width).map(|_| byte()).collect();
            let records: Vec<u8> = (0..count * stride).map(|_| byte()).collect();
            let nodes = [6, 0, 3, 3, 1];
            let plain: Vec<i32> = nodes.iter().map(|&node: &u32| code_portable(&query, &records[node as usize * stride..][..width])).collect();
            for kernel in kernels() {
                let mut out = vec![1];
                kernel.dots(&query, &records, stride, &nodes, &mut out);
                prop_assert_eq!(&out, &plain, "{:?}", kernel);
            }
        }
    }
}

//! [`Isa`]: which instructions this processor has, and functions compiled once for each.

/// An instruction set. A value can only be had by detection, so holding one proves that the
/// processor has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Isa(Level);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Level {
    /// Whatever the compiler targets.
    Portable,
    /// 256-bit vectors with fused multiply-add.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// 512-bit vectors.
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

impl Isa {
    /// The widest set that this processor has.
    pub(crate) fn detect() -> Self {
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            let wide = is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512dq");
            return Self(if wide { Level::Avx512 } else { Level::Avx2 });
        }
        Self(Level::Portable)
    }

    /// Every set that this processor has.
    #[cfg(test)]
    pub(crate) fn all() -> Vec<Self> {
        match Self::detect().0 {
            Level::Portable => vec![Self(Level::Portable)],
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => vec![Self(Level::Portable), Self(Level::Avx2)],
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => vec![Self(Level::Portable), Self(Level::Avx2), Self(Level::Avx512)],
        }
    }

    pub(super) fn level(self) -> Level {
        self.0
    }
}

/// Compiles `$body::<FMA>` once for each instruction set and calls the one that `$isa` proves.
/// The body must be `#[inline(always)]`; it is plain code that the compiler vectorises.
macro_rules! for_each_isa {
    ($(#[$meta:meta])* $vis:vis fn $name:ident($($argument:ident: $type:ty),* $(,)?) $(-> $result:ty)? = $body:ident) => {
        $(#[$meta])*
        $vis fn $name(isa: $crate::ops::isa::Isa, $($argument: $type),*) $(-> $result)? {
            use $crate::ops::isa::Level;

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma")]
            fn avx2($($argument: $type),*) $(-> $result)? {
                $body::<true>($($argument),*)
            }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx512dq,avx2,fma")]
            fn avx512($($argument: $type),*) $(-> $result)? {
                $body::<true>($($argument),*)
            }
            match isa.level() {
                Level::Portable => $body::<false>($($argument),*),
                #[cfg(target_arch = "x86_64")]
                #[expect(unsafe_code, reason = "a function for instructions that not every processor has")]
                // SAFETY: an `Isa` of this level exists only where these instructions were detected.
                Level::Avx2 => unsafe { avx2($($argument),*) },
                #[cfg(target_arch = "x86_64")]
                #[expect(unsafe_code, reason = "a function for instructions that not every processor has")]
                // SAFETY: an `Isa` of this level exists only where these instructions were detected.
                Level::Avx512 => unsafe { avx512($($argument),*) },
            }
        }
    };
}
pub(crate) use for_each_isa;

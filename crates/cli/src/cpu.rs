//! Refuses to run on a processor that lacks what this binary was compiled for, instead of dying of an illegal
//! instruction in the middle of something.
//!
//! A build for a newer processor may use its instructions anywhere, so this runs before everything else. It asks the
//! processor itself: `is_x86_feature_detected!` is folded to `true` by the compiler for exactly the features in
//! question. On other architectures there is nothing to check.

/// The names of the features the binary was compiled with and this processor does not have; empty if all is well.
pub(crate) fn missing() -> Vec<&'static str> {
    #[cfg(target_arch = "x86_64")]
    {
        x86::missing_in(&x86::Registers::read())
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        Vec::new()
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::__cpuid_count;

    /// What the processor and the operating system say, as far as the table needs it. Intel's manual, volume 2,
    /// CPUID; volume 1, 13.3 for XCR0.
    #[derive(Clone, Copy, Debug, Default)]
    pub(super) struct Registers {
        leaf1_ecx: u32,
        leaf7_ebx: u32,
        leaf7_ecx: u32,
        leaf7_edx: u32,
        leaf7_1_eax: u32,
        extended1_ecx: u32,
        /// Which register states the operating system saves; 0 without OSXSAVE.
        xcr0: u64,
    }

    /// The register states a feature needs the operating system to save.
    const NONE: u64 = 0;
    const YMM: u64 = 0b110;
    const ZMM: u64 = 0b1110_0110;

    /// Name, whether the binary was compiled with it, where its bit stands, what must be saved.
    type Feature = (&'static str, bool, fn(&Registers) -> u32, u32, u64);

    macro_rules! feature {
        ($name:literal, $register:ident, $bit:literal, $state:ident) => {
            (
                $name,
                cfg!(target_feature = $name),
                |registers| registers.$register,
                $bit,
                $state,
            )
        };
    }

    const FEATURES: &[Feature] = &[
        feature!("sse3", leaf1_ecx, 0, NONE),
        feature!("pclmulqdq", leaf1_ecx, 1, NONE),
        feature!("ssse3", leaf1_ecx, 9, NONE),
        feature!("fma", leaf1_ecx, 12, YMM),
        feature!("cmpxchg16b", leaf1_ecx, 13, NONE),
        feature!("sse4.1", leaf1_ecx, 19, NONE),
        feature!("sse4.2", leaf1_ecx, 20, NONE),
        feature!("movbe", leaf1_ecx, 22, NONE),
        feature!("popcnt", leaf1_ecx, 23, NONE),
        feature!("aes", leaf1_ecx, 25, NONE),
        feature!("avx", leaf1_ecx, 28, YMM),
        feature!("f16c", leaf1_ecx, 29, YMM),
        feature!("rdrand", leaf1_ecx, 30, NONE),
        feature!("lzcnt", extended1_ecx, 5, NONE),
        feature!("bmi1", leaf7_ebx, 3, NONE),
        feature!("avx2", leaf7_ebx, 5, YMM),
        feature!("bmi2", leaf7_ebx, 8, NONE),
        feature!("rdseed", leaf7_ebx, 18, NONE),
        feature!("adx", leaf7_ebx, 19, NONE),
        feature!("sha", leaf7_ebx, 29, NONE),
        feature!("avx512f", leaf7_ebx, 16, ZMM),
        feature!("avx512dq", leaf7_ebx, 17, ZMM),
        feature!("avx512ifma", leaf7_ebx, 21, ZMM),
        feature!("avx512cd", leaf7_ebx, 28, ZMM),
        feature!("avx512bw", leaf7_ebx, 30, ZMM),
        feature!("avx512vl", leaf7_ebx, 31, ZMM),
        feature!("avx512vbmi", leaf7_ecx, 1, ZMM),
        feature!("avx512vbmi2", leaf7_ecx, 6, ZMM),
        feature!("gfni", leaf7_ecx, 8, NONE),
        feature!("vaes", leaf7_ecx, 9, YMM),
        feature!("vpclmulqdq", leaf7_ecx, 10, YMM),
        feature!("avx512vnni", leaf7_ecx, 11, ZMM),
        feature!("avx512bitalg", leaf7_ecx, 12, ZMM),
        feature!("avx512vpopcntdq", leaf7_ecx, 14, ZMM),
        feature!("avx512fp16", leaf7_edx, 23, ZMM),
        feature!("avxvnni", leaf7_1_eax, 4, YMM),
        feature!("avx512bf16", leaf7_1_eax, 5, ZMM),
        feature!("avxifma", leaf7_1_eax, 23, YMM),
    ];

    impl Registers {
        /// Asks the processor.
        pub(super) fn read() -> Self {
            const OSXSAVE: u32 = 1 << 27;
            let highest = cpuid(0, 0).eax;
            let leaf1 = cpuid(1, 0);
            let mut registers = Self {
                leaf1_ecx: leaf1.ecx,
                ..Self::default()
            };
            if highest >= 7 {
                let leaf7 = cpuid(7, 0);
                registers.leaf7_ebx = leaf7.ebx;
                registers.leaf7_ecx = leaf7.ecx;
                registers.leaf7_edx = leaf7.edx;
                if leaf7.eax >= 1 {
                    registers.leaf7_1_eax = cpuid(7, 1).eax;
                }
            }
            if cpuid(0x8000_0000, 0).eax >= 0x8000_0001 {
                registers.extended1_ecx = cpuid(0x8000_0001, 0).ecx;
            }
            if leaf1.ecx & OSXSAVE != 0 {
                registers.xcr0 = xcr0();
            }
            registers
        }
    }

    /// The features that were compiled in and that these registers do not offer.
    pub(super) fn missing_in(registers: &Registers) -> Vec<&'static str> {
        absent(FEATURES, registers)
    }

    fn absent(features: &[Feature], registers: &Registers) -> Vec<&'static str> {
        let lacks = |(_, compiled, register, bit, state): &&Feature| {
            *compiled && (register(registers) & (1 << bit) == 0 || registers.xcr0 & state != *state)
        };
        features.iter().filter(lacks).map(|(name, ..)| *name).collect()
    }

    fn cpuid(leaf: u32, subleaf: u32) -> std::arch::x86_64::CpuidResult {
        __cpuid_count(leaf, subleaf)
    }

    /// Reads XCR0 once CPUID said that the instruction is there.
    #[expect(unsafe_code, reason = "XGETBV has no safe form; the caller checked OSXSAVE")]
    fn xcr0() -> u64 {
        #[target_feature(enable = "xsave")]
        fn read() -> u64 {
            // SAFETY: OSXSAVE is set, so XGETBV is enabled, and XCR0 always exists then (Intel's manual, volume 2,
            // XGETBV).
            unsafe { std::arch::x86_64::_xgetbv(0) }
        }
        // SAFETY: OSXSAVE says both that the processor has the feature and that the system uses it.
        unsafe { read() }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        const BOTH: &[Feature] = &[
            ("avx2", true, |registers| registers.leaf7_ebx, 5, YMM),
            ("avx512f", false, |registers| registers.leaf7_ebx, 16, ZMM),
        ];

        #[test]
        fn a_compiled_feature_needs_its_bit_and_the_systems_help() {
            let bit_only = Registers {
                leaf7_ebx: 1 << 5,
                ..Registers::default()
            };
            let sse_only = Registers {
                xcr0: 0b010,
                ..bit_only
            };
            let whole = Registers {
                xcr0: 0b111,
                ..bit_only
            };
            assert_eq!(absent(BOTH, &Registers::default()), ["avx2"]);
            assert_eq!(
                absent(BOTH, &bit_only),
                ["avx2"],
                "the system does not save the registers"
            );
            assert_eq!(absent(BOTH, &sse_only), ["avx2"]);
            assert_eq!(absent(BOTH, &whole), Vec::<&str>::new());
        }

        #[test]
        fn this_processor_runs_this_test_and_so_lacks_nothing() {
            assert_eq!(missing_in(&Registers::read()), Vec::<&str>::new());
        }

        #[test]
        fn the_processor_is_really_asked() {
            // Every x86-64 processor has SSE3's successor bits only by choice, but all since 2006 have CMPXCHG16B.
            assert_ne!(Registers::read().leaf1_ecx & (1 << 13), 0);
            assert_eq!(
                is_x86_feature_detected!("avx2"),
                absent(&BOTH[..1], &Registers::read()).is_empty()
            );
        }
    }
}

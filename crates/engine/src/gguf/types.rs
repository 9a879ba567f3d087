//! The names of tensor types, as llama.cpp and the names of files spell them.

use candle_core::quantized::GgmlDType;

/// Types that the format knows and candle does not, by the format's number.
const UNKNOWN: &[(u32, &str)] = &[
    (16, "IQ2_XXS"),
    (17, "IQ2_XS"),
    (18, "IQ3_XXS"),
    (19, "IQ1_S"),
    (20, "IQ4_NL"),
    (21, "IQ3_S"),
    (22, "IQ2_S"),
    (23, "IQ4_XS"),
    (24, "I8"),
    (25, "I16"),
    (26, "I32"),
    (27, "I64"),
    (28, "F64"),
    (29, "IQ1_M"),
    (34, "TQ1_0"),
    (35, "TQ2_0"),
    (39, "MXFP4"),
    (40, "NVFP4"),
];

/// What a type is called.
pub(crate) fn name(dtype: GgmlDType) -> String {
    let name = format!("{dtype:?}");
    match name.strip_suffix('K') {
        Some(bits) => format!("{bits}_K"),
        None => name,
    }
}

/// What the type is called that made candle's parser give up with this message, if that is why.
pub(super) fn unknown(message: &str) -> Option<&'static str> {
    let number: u32 = message
        .strip_prefix("unknown dtype for tensor ")?
        .trim()
        .parse()
        .ok()?;
    UNKNOWN
        .iter()
        .find_map(|&(known, name)| (known == number).then_some(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_have_the_names_people_know() {
        for (dtype, expected) in [
            (GgmlDType::Q4K, "Q4_K"),
            (GgmlDType::Q8_0, "Q8_0"),
            (GgmlDType::BF16, "BF16"),
        ] {
            assert_eq!(name(dtype), expected);
        }
        assert_eq!(unknown("unknown dtype for tensor 23"), Some("IQ4_XS"));
        assert_eq!(unknown("unknown dtype for tensor 4000000"), None);
        assert_eq!(unknown("failed to fill whole buffer"), None);
    }
}

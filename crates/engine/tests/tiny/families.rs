//! Tiny models of every kind that the engine knows.

use candle_core::quantized::gguf_file::Value;

use crate::fixture::Family;

/// The families, by name.
pub(crate) fn families() -> Vec<(&'static str, Family)> {
    let text = |text: &str| Value::String(text.into());
    let plain = Family {
        norms: true,
        ..Family::default()
    };
    let qwen_2 = Family {
        architecture: "qwen2",
        biases: true,
        more: vec![("rope.freq_base", Value::F32(1e6))],
        ..plain.clone()
    };
    let mut stretched = qwen_2.clone();
    stretched.more.extend([
        ("rope.scaling.type", text("yarn")),
        ("rope.scaling.factor", Value::F32(4.0)),
        ("rope.scaling.original_context_length", Value::U32(128)),
    ]);
    vec![
        (
            "llama",
            Family {
                untied: true,
                head_width: 32,
                ..plain.clone()
            },
        ),
        (
            "llama-3",
            Family {
                rope_factors: vec![1.0, 1.0, 1.2, 1.9, 3.0, 8.0, 8.0, 8.0],
                more: vec![("rope.freq_base", Value::F32(5e5))],
                ..plain.clone()
            },
        ),
        (
            "llama-linear",
            Family {
                more: vec![
                    ("rope.scaling.type", text("linear")),
                    ("rope.scaling.factor", Value::F32(4.0)),
                ],
                ..plain.clone()
            },
        ),
        ("qwen2", qwen_2),
        ("qwen2-yarn", stretched),
        (
            "qwen3",
            Family {
                architecture: "qwen3",
                head_norms: true,
                untied: true,
                head_width: 32,
                more: vec![("rope.freq_base", Value::F32(1e6))],
                ..plain
            },
        ),
    ]
}

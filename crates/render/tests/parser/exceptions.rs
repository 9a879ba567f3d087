//! Every difference from CommonMark and GFM that the documentation of `parser` lists, beside what pulldown-cmark says.

use crate::oracle::{ours, theirs_anyway};

#[test]
fn each_difference_is_one_and_is_the_documented_one() {
    let long = "b ".repeat(400);
    let heading = "c".repeat(101);
    let depth = "> ".repeat(40);
    for (text, expected) in [
        // Open for longer than a window.
        (format!("*a {long}c*"), format!("[p *a {long}c*]")),
        (format!("`a {long}c`"), format!("[p `a {long}c`]")),
        (format!("[a {long}c](u)"), format!("[p [a {long}c](u)]")),
        ("_ ".repeat(400), format!("[p {}_]", "_ ".repeat(399))),
        // One line, and a short one.
        ("a\nb\n---".into(), "[p a~b][rule ]".into()),
        (format!("{heading}\n---"), format!("[p {heading}][rule ]")),
        // Definitions.
        ("[a]\n\n[a]: /u".into(), "[p [a]]".into()),
        ("[a]:\n/u\n\n[a]".into(), "[p [a]:~/u][p [a]]".into()),
        // A head without a pipe before it.
        (format!("{heading}|b\n-|-"), format!("[p {heading}|b~-|-]")),
        // Limited in number.
        (
            format!("{depth}a"),
            format!(
                "{}[p {}a]{}",
                "[quote ".repeat(32),
                "> ".repeat(8),
                "]".repeat(32)
            ),
        ),
        // As models and people write.
        ("**「a」**的".into(), "[p {b:「a」}的]".into()),
        ("$a*b*$ \\(c\\)".into(), "[p {m:a*b*} {m:c}]".into()),
        ("$$\n*a*\n$$".into(), "[math *a*]".into()),
        ("\\[ a\n\\]".into(), "[math a]".into()),
        (
            "https://a.b。".into(),
            "[p {a0(https://a.b):https://a.b}。]".into(),
        ),
        ("[^1]: /u".into(), "[p [^1]: /u]".into()),
        // No difference on a screen.
        ("    a\n      \n    b".into(), "[code a\n\nb]".into()),
    ] {
        let told = ours(&text);
        assert_eq!(told, expected, "{text:?}");
        assert_ne!(told, theirs_anyway(&text), "{text:?} is no exception");
    }
}

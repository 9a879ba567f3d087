//! Blocks, rule by rule.

use crate::picture::{draw, draw_so_far};

fn check(cases: &[(&str, &str)]) {
    for (text, expected) in cases {
        assert_eq!(draw(text), *expected, "{text:?}");
    }
}

#[test]
fn paragraphs_and_headings() {
    check(&[
        ("a\nb\n\nc", "[p a~b][p+ c]"),
        ("\n\na\r\nb\rc", "[p a~b~c]"),
        ("# a #\n###### b\n####### c", "[h1 a][h6 b][p ####### c]"),
        ("#\n#a", "[h1 ][p #a]"),
        ("a\n=\nb\n---\nc", "[h1 a][h2 b][p c]"),
        ("    a\n\n\n    b\n\nc", "[code a\n\n\nb\n][p+ c]"),
        ("a\n    b", "[p a~b]"),
        ("***\n- - -\n_ _ _ _", "[rule ][rule ][rule ]"),
    ]);
}

#[test]
fn quotes_and_laziness() {
    check(&[
        ("> a\nb\n> c\n\nd", "[quote [p a~b~c]][p+ d]"),
        (">a\n>> b\nc", "[quote [p a][quote [p b~c]]]"),
        ("> a\n---", "[quote [p a]][rule ]"),
        ("> ```\na", "[quote [code() …]][p a]"),
        ("> a\n\n> b", "[quote [p a]][quote+ [p b]]"),
        ("> a\n>\n> b", "[quote [p a][p+ b]]"),
        (">\ta", "[quote [p a]]"),
        (">\t\ta", "[quote [code   a]]"),
    ]);
}

#[test]
fn lists() {
    check(&[
        (
            "- a\n- b\n\n- c\n* d",
            "[ul [li [p a]][li [p b]][li+ [p c]]][ul [li [p d]]]",
        ),
        ("3. a\n\n   b\n4) c", "[ol 3 [li [p a][p+ b]]][ol 4 [li [p c]]]"),
        (
            "- a\n  - b\n    c\n- d",
            "[ul [li [p a][ul [li [p b~c]]]][li [p d]]]",
        ),
        ("a\n2. b\n1. c", "[p a~2. b][ol 1 [li [p c]]]"),
        ("-\n\n  a", "[ul [li ]][p+ a]"),
        ("-\n  a", "[ul [li [p a]]]"),
        ("-     a", "[ul [li [code a]]]"),
        (
            "- [ ] a\n- [x] b\n- [x]\n- [y] c",
            "[ul [li_ [p a]][lix [p b]][lix ][li [p [y] c]]]",
        ),
        (
            "- ```\n  a\n\n  b\n  ```\n  c",
            "[ul [li [code() a\n\nb\n][p c]]]",
        ),
        ("1234567890. a", "[p 1234567890. a]"),
    ]);
}

#[test]
fn fences() {
    check(&[
        ("``` rust&amp;\\* x\na\n  ```` \nb", "[code(rust&* x) a\n][p b]"),
        ("~~~\n```\n~~\n~~~", "[code() ```\n~~\n]"),
        ("```\na", "[code() a…]"),
        ("  ```\n   a\n b\n    ```\n", "[code()  a\nb\n  ```\n…]"),
        ("``` a`b", "[p ``` a`b]"),
    ]);
}

#[test]
fn html_and_math() {
    check(&[
        ("<div>\n*a*\n\nb", "[html <div>\n*a*\n][p+ b]"),
        ("<!-- a\n\nb --> c\nd", "[html <!-- a\n\nb --> c\n][p d]"),
        ("<x>\na", "[html <x>\na]"),
        ("a\n<x>", "[p a~<x>]"),
        ("$$\na\n$$\nb", "[math a\n][p b]"),
        ("a\n$$ b $$\nc", "[p a][math b][p c]"),
        ("\\[ a\n= b \\]\nc", "[math a\n= b][p c]"),
        ("$$ a\n\nb", "[math a\n][p+ b]"),
        ("$$$ a", "[p $$$ a]"),
    ]);
}

#[test]
fn tables() {
    check(&[
        (
            "|a|b|\n|-|:-:|\n|1|\n2|3|4\n\nc",
            "[table[None, Center] /|a|b/|1|/|2|3][p+ c]",
        ),
        ("a|b\n-|-\nc", "[table[None, None] /|a|b/|c|]"),
        ("x\n|a|\n|-|", "[p x][table[None] /|a]"),
        ("x\na|b\n-|-", "[p x~a|b~-|-]"),
        ("|a|b|\n|-|", "[p |a|b|~|-|]"),
        ("|a|\n|-|\n> b", "[table[None] /|a][quote [p b]]"),
        (r"|a\|b|", "[p |a|b|]"),
    ]);
}

#[test]
fn text_is_certain_as_early_as_it_can_be() {
    for (text, certain) in [
        // It may become a heading.
        ("a", ""),
        ("a\n\n", "[p a]"),
        ("a\nb", "[p a~b"),
        ("```\nab", "[code() ab"),
        ("```\nab\n``", "[code() ab\n"),
        ("```\nab\n``x", "[code() ab\n``x"),
        ("- a\n- ", "[ul [li "),
        ("|a|\n|-|\n|b", "[table[None] /|a/|b"),
        ("    a\n\n", "[code a\n"),
        ("# a", "[h1 "),
    ] {
        assert_eq!(draw_so_far(text).0, certain, "{text:?}");
    }
    let long = "a".repeat(101);
    assert_eq!(draw_so_far(&long).0, format!("[p {long}"));
}

#[test]
fn a_preview_shows_what_is_likely_and_hides_what_may_be_a_mark() {
    for (text, shown) in [
        ("a", "[p a]"),
        ("a\n-", "[p a]"),
        ("a\n- b", "[p a][ul [li [p b]]]"),
        ("| a | b", "[table[None, None] /|a|b]"),
        ("x\n| a", "[p x][table[None] /|a]"),
        ("``", ""),
        ("```ru", "[code(ru) ]"),
        ("```rust\na", "[code(rust) a]"),
        ("$$\na $", "[math a]"),
        ("4", "[p 4]"),
        ("# a #", "[h1 a]"),
    ] {
        assert_eq!(draw_so_far(text).1, shown, "{text:?}");
    }
}

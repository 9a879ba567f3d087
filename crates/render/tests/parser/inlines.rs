//! Text within blocks, rule by rule.

use crate::picture::{draw, draw_so_far};

/// Draws a text that is one paragraph.
fn inner(text: &str) -> String {
    let drawn = draw(text);
    let inner = drawn.strip_prefix("[p ").and_then(|rest| rest.strip_suffix(']'));
    inner
        .unwrap_or_else(|| panic!("{text:?} is no paragraph: {drawn}"))
        .to_owned()
}

fn check(cases: &[(&str, &str)]) {
    for (text, expected) in cases {
        assert_eq!(inner(text), *expected, "{text:?}");
    }
}

#[test]
fn emphasis() {
    check(&[
        ("*a* _b_ **c** __d__ ***e***", "{i:a} {i:b} {b:c} {b:d} {bi:e}"),
        ("a*b*c a_b_c", "a{i:b}c a_b_c"),
        ("*a **b** c*", "{i:a }{bi:b}{i: c}"),
        ("**a *b***", "{b:a }{bi:b}"),
        ("*a**b*", "{i:a**b}"),
        ("*a **b*", "*a *{i:b}"),
        ("**a*", "*{i:a}"),
        ("a * b * c", "a * b * c"),
        ("*a\nb*", "{i:a}~{i:b}"),
        ("2*3*4", "2{i:3}4"),
        ("\\*a\\*", "*a*"),
        ("*(*a*)*", "{i:(a)}"),
        ("foo******bar*********baz", "foo{b:bar}***baz"),
    ]);
}

#[test]
fn strikethrough() {
    check(&[
        ("~~a~~ ~b~ ~~~c~~~", "{s:a} {s:b} ~~~c~~~"),
        ("~~a~", "~~a~"),
        ("**~~a~~**", "{bs:a}"),
    ]);
}

#[test]
fn emphasis_beside_cjk_is_what_people_mean() {
    check(&[
        ("**「重要」**的", "{b:「重要」}的"),
        ("这是**重点，**然后", "这是{b:重点，}然后"),
        ("**この文。**次の文", "{b:この文。}次の文"),
        ("我可以强调**这个`code`**吗", "我可以强调{b:这个}{bc:code}吗"),
        ("**이 용어(This term)**를", "{b:이 용어(This term)}를"),
        ("他说**“你好”**吗", "他说{b:“你好”}吗"),
        ("~~「旧」~~新", "{s:「旧」}新"),
        ("重要_性_强", "重要_性_强"),
        ("a**\"b\"**c", "a**\"b\"**c"),
    ]);
}

#[test]
fn code() {
    check(&[
        ("`a` ``b`c`` `` ` ``", "{c:a} {c:b`c} {c:`}"),
        ("` a ` `  `", "{c:a} {c:  }"),
        ("`a\nb`", "{c:a b}"),
        ("`*a*` *`b*`", "{c:*a*} *{c:b*}"),
        ("`a", "`a"),
        ("``a`", "``a`"),
        ("`a\\`b", "{c:a\\}b"),
        ("`` ` a", "`` ` a"),
    ]);
}

#[test]
fn links_and_images() {
    check(&[
        ("[a](/u \"t\") [b](<c d>)", "{a0(/u):a} {a1(c d):b}"),
        ("[*a* b](u)", "{ia0(u):a}{a0(u): b}"),
        ("*[a*](u)", "*{a0(u):a*}"),
        ("*a [b* c](u)", "*a {a0(u):b* c}"),
        ("*a [b* c]", "{i:a [b} c]"),
        ("![a](u)", "{!a0(u):a}"),
        ("[![a](i)](u)", "{!a1(i):a}"),
        ("[a [b](u)](v)", "[a {a0(u):b}](v)"),
        ("[a](u", "[a](u"),
        ("[a](b c)", "[a](b c)"),
        ("[a](b(c)d) [e]()", "{a0(b(c)d):a} {a1():e}"),
        ("[a][b] [c]", "[a][b] [c]"),
        ("a[^1] b", "a[^1] b"),
        ("[^1]: note", "[^1]: note"),
        ("!a", "!a"),
        ("[a](/x&amp;y\\*z)", "{a0(/x&y*z):a}"),
        ("[`]`](u)", "{ca0(u):]}"),
    ]);
}

#[test]
fn references_lead_back_only() {
    for (text, drawn) in [
        (
            "[A b]: /u 't'\n\n[a  B] [x][a b] [a b][]",
            "[p {a0(/u):a  B} {a1(/u):x} {a2(/u):a b}]",
        ),
        ("[a]\n\n[a]: /u", "[p [a]]"),
        ("[a]: /u\n[a]: /v\n[a]", "[p {a0(/u):a}]"),
        ("[a]: /u x", "[p [a]: /u x]"),
        ("[a]: <>\n\n[a]", "[p {a0():a}]"),
        ("[a]: /u\n\n[a][b] [a](c d)", "[p [a][b] {a0(/u):a}(c d)]"),
        ("[a]: /u\n\n![a] ![x][a]", "[p {!a0(/u):a} {!a1(/u):x}]"),
        ("[ẞ]: /u\n\n[SS]", "[p {a0(/u):SS}]"),
    ] {
        assert_eq!(draw(text), drawn, "{text:?}");
    }
}

#[test]
fn addresses() {
    check(&[
        (
            "<https://a.b> <c@d.e>",
            "{a0(https://a.b):https://a.b} {a1(mailto:c@d.e):c@d.e}",
        ),
        (
            "see https://a.b/c_d_e.",
            "see {a0(https://a.b/c_d_e):https://a.b/c_d_e}.",
        ),
        ("(www.a.b)", "({a0(http://www.a.b):www.a.b})"),
        ("**https://a.b**", "{ba0(https://a.b):https://a.b}"),
        ("请看https://a.b。好", "请看{a0(https://a.b):https://a.b}。好"),
        ("[https://a.b](u)", "{a0(u):https://a.b}"),
        ("xhttps://a.b the who", "xhttps://a.b the who"),
    ]);
}

#[test]
fn breaks_entities_and_html() {
    check(&[
        ("a  \nb\\\nc \nd", "a¬b¬c~d"),
        ("a<br>b<br/>\nc", "a¬b¬c"),
        ("a\\", "a\\"),
        ("&lt;*&amp;* &copy; &x;", "<{i:&} © &x;"),
        ("<b>*a*</b>", "<b>{i:a}</b>"),
        ("<a href=\"*x*\">*", "<a href=\"*x*\">*"),
        ("a < b > c <3", "a < b > c <3"),
        ("&#10;a", " a"),
    ]);
}

#[test]
fn math_and_prices() {
    check(&[
        ("$a_1*b*$ and \\(x^2\\)", "{m:a_1*b*} and {m:x^2}"),
        ("$$a$$ b", "{m:a} b"),
        ("it costs $5 or $10, not $5-$10", "it costs $5 or $10, not $5-$10"),
        ("US$5 and US$6", "US$5 and US$6"),
        ("$ a$ $a $", "$ a$ $a $"),
        ("\\$a$ \\(a", "$a$ (a"),
        ("$HOME and $PATH", "$HOME and $PATH"),
        (
            "$HOME and $PATH, or ($PATH:$HOME), $USER/$HOME",
            "$HOME and $PATH, or ($PATH:$HOME), $USER/$HOME",
        ),
        ("$FOO$BAR=\"$BAZ\" $A-$B $x.$y", "$FOO$BAR=\"$BAZ\" $A-$B $x.$y"),
        ("$dir/${name}", "$dir/${name}"),
        ("ions $Na^+$ and $f'(x)$", "ions {m:Na^+} and {m:f'(x)}"),
        ("$a\\$b$", "{m:a\\$b}"),
        ("the $n$th", "the {m:n}th"),
        ("设$x$为", "设{m:x}为"),
    ]);
}

#[test]
fn what_has_not_closed_holds_back_itself_and_no_more_than_a_window() {
    let long = "b".repeat(101);
    for (text, certain) in [
        ("%*a", "[p %"),
        ("%*a* c", "[p %{i:a} c"),
        ("%*a* c ", "[p %{i:a} c"),
        ("%`a", "[p %"),
        ("%[a", "[p %"),
        ("%[a] ", "[p %[a]"),
        ("%a\\", "[p %a"),
        ("%a & b &am", "[p %a & b "),
        ("%5 * 3", "[p %5 * 3"),
    ] {
        let (text, certain) = (text.replace('%', &long), certain.replace('%', &long));
        let told = draw_so_far(&text).0;
        assert_eq!(told.trim_end(), certain.trim_end(), "{text:?}");
    }
    for mark in [
        "*", "**", "_", "~~", "`", "``", "[", "![", "<a ", "<!--", "$", "\\(", "[a](", "&", "https://",
        "(www.",
    ] {
        let mut text = format!("{long} {mark}a");
        text += &" b".repeat(1_000);
        let held = text.len().saturating_sub(draw_so_far(&text).0.len());
        assert!(held < 16, "{mark} holds {held}");
    }
}

#[test]
fn previews_show_what_is_open_as_if_it_closed() {
    for (text, shown) in [
        ("a **bo", "a {b:bo}"),
        ("a **bold*", "a {b:bold}"),
        ("a **", "a "),
        ("a `co", "a {c:co}"),
        ("a ``", "a "),
        ("a [te", "a te"),
        ("a [text](http://x", "a text"),
        ("a [text]", "a text"),
        ("a ![alt", "a {!:alt}"),
        ("a ***x", "a {bi:x}"),
        ("a ~~x", "a {s:x}"),
        ("a $x^2", "a {m:x^2}"),
        ("a $5", "a $5"),
        ("a $HOME and", "a $HOME and"),
        ("a \\(x", "a {m:x}"),
        ("a \\", "a "),
        ("a https://b.c/d_e_f", "a https://b.c/d_e_f"),
        ("a &am", "a &am"),
        ("a <b", "a <b"),
        ("a * b", "a * b"),
        ("**a *b", "{b:a }{bi:b}"),
        ("[a **b", "a {b:b}"),
    ] {
        assert_eq!(draw_so_far(text).1, format!("[p {shown}]"), "{text:?}");
    }
}

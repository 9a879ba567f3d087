//! The screen and the scrollback that a text leaves, however it comes.

use proptest::prelude::*;

use super::*;

/// Rows of a terminal, and where its cursor stands.
#[derive(Debug, PartialEq)]
struct Seen {
    rows: Vec<(String, bool)>,
    column: u16,
}

struct Desk {
    terminal: vt100::Parser,
    renderer: Renderer,
    bytes: usize,
}

impl Desk {
    fn new(columns: u16, rows: u16) -> Self {
        let size = |n: u16| n.try_into().unwrap();
        let options = Options {
            columns: columns.into(),
            rows: rows.into(),
            ..Options::default()
        };
        Self {
            terminal: vt100::Parser::new(size(rows), size(columns), 100_000),
            renderer: Renderer::new(options),
            bytes: 0,
        }
    }

    fn write(&mut self, step: impl FnOnce(&mut Renderer, &mut String)) {
        let mut out = String::new();
        step(&mut self.renderer, &mut out);
        self.bytes += out.len();
        self.terminal.process(out.as_bytes());
    }

    fn seen(&mut self, formatted: bool) -> Seen {
        let mut rows = Vec::new();
        let (height, columns) = self.terminal.screen().size();
        let (height, columns) = (height.get(), columns.get());
        let row = |screen: &vt100::Screen, n: u16| {
            let wrapped = screen.row_wrapped(n);
            if formatted {
                (screen.rows_formatted(0, columns).nth(n.into()).unwrap(), wrapped)
            } else {
                (screen.rows(0, columns).nth(n.into()).unwrap(), wrapped)
            }
        };
        self.terminal.screen_mut().set_scrollback(usize::MAX);
        for back in (1..=self.terminal.screen().scrollback()).rev() {
            self.terminal.screen_mut().set_scrollback(back);
            rows.push(row(self.terminal.screen(), 0));
        }
        self.terminal.screen_mut().set_scrollback(0);
        rows.extend((0..height).map(|n| row(self.terminal.screen(), n)));
        while rows.last().is_some_and(|(row, _)| row.is_empty()) {
            rows.pop();
        }
        let column = self.terminal.screen().cursor_position().1;
        Seen { rows, column }
    }
}

fn once(text: &str, columns: u16, rows: u16) -> Seen {
    let mut desk = Desk::new(columns, rows);
    desk.renderer.push(text);
    desk.write(Renderer::finish);
    desk.seen(true)
}

fn text() -> impl Strategy<Value = String> {
    let inline = "[a-z]{1,9}[ ,.]|[日本語、。「」]{1,6}|\\*\\*[a-z]{1,5}\\*\\*|`[a-z -]{1,9}`|\\*|_|`|\\[[a-z]{1,4}\\]\\(http://[a-z]{1,9}\\)|!\\[|<|\\$|[0-9]|\\\\|✅|e\u{301}|~~|\u{1b}\\[2J|https://[a-z./]{3,30} |&amp;|\\|";
    let line = prop_oneof![
        6 => proptest::collection::vec(inline, 0..12).prop_map(|parts| parts.concat()),
        1 => "(#{1,6} |> |- |\\* |1\\. |    |- \\[x\\] |  - |> > ){1,3}[a-z ]{0,30}",
        1 => "```(rust|py|)?|~~~|---|===|\\$\\$",
        1 => "\\| ?[a-z日]{0,12} ?\\|[a-z ]{0,20}\\|",
        1 => Just("|a|b|\n|---|:-:|".to_owned()),
        1 => "(let|fn|//|\"|x|[a-z(){};\t]){0,90}",
        // Rows that are full and alike, joined or not.
        1 => (1_usize..80).prop_map(|length| "0".repeat(length)),
        1 => (1_usize..6, prop_oneof![Just(8_usize), Just(20)]).prop_map(|(rows, columns)| "0".repeat(rows * columns - 2)),
        1 => Just(String::new()),
    ];
    proptest::collection::vec(line, 0..14).prop_map(|lines| lines.join("\n"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// However a text is cut and whenever there is a frame, the end is the same.
    #[test]
    fn any_cut_and_any_frames_give_the_same(
        text in text(),
        cuts in proptest::collection::vec((0_usize..600, 0_u8..6), 0..60),
        columns in prop_oneof![Just(8_u16), Just(9), Just(20), Just(33), Just(80)],
        rows in prop_oneof![Just(3_u16), Just(8), Just(24)],
    ) {
        let mut cuts: Vec<(usize, u8)> = cuts.into_iter().map(|(cut, what)| (text.floor_char_boundary(cut), what)).collect();
        cuts.push((text.len(), 1));
        cuts.sort_unstable();
        let mut desk = Desk::new(columns, rows);
        let mut told = 0;
        for (cut, what) in cuts {
            desk.renderer.push(&text[told..cut]);
            told = cut;
            match what {
                0 => {}
                1 => desk.write(Renderer::interrupt),
                _ => desk.write(Renderer::frame),
            }
        }
        desk.write(Renderer::finish);
        prop_assert_eq!(desk.seen(true), once(&text, columns, rows));
    }
}

/// Draws after each piece, then ends.
fn live<'a>(pieces: impl IntoIterator<Item = &'a str>, columns: u16, rows: u16) -> Seen {
    let mut desk = Desk::new(columns, rows);
    for piece in pieces {
        desk.renderer.push(piece);
        desk.write(Renderer::frame);
    }
    desk.write(Renderer::finish);
    desk.seen(true)
}

#[test]
fn a_full_row_that_begins_to_go_on_in_the_next_loses_nothing() {
    for zeros in [78, 80, 158, 1118, 1200] {
        let first = format!("```\n{}", "0".repeat(zeros));
        let pieces = [first.as_str(), "END\n```\nafter\n"];
        assert_eq!(live(pieces, 80, 24), once(&pieces.concat(), 80, 24), "{zeros}");
    }
}

#[test]
fn text_behind_a_marker_that_has_a_row_of_its_own_fits_the_screen() {
    let text = "#  a  aaa a a\n|a|a aa |\n|| aaa  a a aa|\n✅aaaa.[a](http://a)a \n- a \n  - 1. - [x] aaa aa   aaaaaaa aa";
    let mut desk = Desk::new(8, 3);
    desk.renderer.push(&text[..85]);
    desk.write(Renderer::frame);
    desk.renderer.push(&text[85..]);
    desk.write(Renderer::interrupt);
    desk.write(Renderer::finish);
    assert_eq!(desk.seen(true), once(text, 8, 3));
}

/// Draws after every few characters, then ends.
fn slowly(text: &str, step: usize, columns: u16, rows: u16) -> Desk {
    let mut desk = Desk::new(columns, rows);
    let mut rest = text;
    while let Some(c) = rest.chars().nth(step - 1).or(rest.chars().last()) {
        let end = rest
            .char_indices()
            .nth(step - 1)
            .map_or(rest.len(), |(at, _)| at + c.len_utf8());
        let (piece, later) = rest.split_at(end);
        rest = later;
        desk.renderer.push(piece);
        desk.write(Renderer::frame);
    }
    desk.write(Renderer::finish);
    desk
}

#[test]
fn on_very_narrow_terminals_nothing_is_lost_or_doubled() {
    let text = "# A head\n\nSome words **in bold**, 日本語.\n\n- an item\n  1. within\n\n```rust\nlet number = 1234567890;\n\
                ```\n|a|b|\n|-|-|\n|1|two words|\n\nThe end.\n";
    for columns in [2, 3, 5, 7] {
        for rows in [1, 4, 24] {
            let seen = slowly(text, 3, columns, rows).seen(true);
            assert_eq!(seen, once(text, columns, rows), "{columns}x{rows}");
        }
    }
}

#[test]
fn clusters_wider_than_the_screen_take_the_rows_that_they_take() {
    for text in ["\u{1100}".repeat(300), "👩\u{200d}".repeat(120)] {
        for text in [
            text.clone(),
            format!("```\n{text}\n```\n"),
            format!("|a|\n|-|\n|{text}|\n"),
        ] {
            for columns in [9, 20, 80] {
                let seen = slowly(&text, 7, columns, 24).seen(true);
                assert_eq!(seen, once(&text, columns, 24), "{columns}");
            }
        }
    }
}

#[test]
fn what_waits_within_a_line_is_bounded() {
    let cell = "some words of a cell ".repeat(400);
    for text in [
        format!("|a|b|\n|-|-:|\n|x|{cell}|\n|y|z|\n"),
        format!("|a|b|\n|-|-:|\n|x|{}|\n|y|z|\n", "0".repeat(9000)),
        format!("```js\nlet a = [{}];\n```\n", "\"word\", 12, ".repeat(600)),
    ] {
        for columns in [20, 80] {
            let mut desk = slowly(&text, 97, columns, 24);
            assert_eq!(desk.seen(true), once(&text, columns, 24), "{columns}");
            assert!(desk.bytes < 9 * text.len(), "{} bytes", desk.bytes);
        }
    }
    let seen = once(&format!("|a|b|\n|-|-:|\n|x|{cell}|\n|y|z|\n"), 80, 24);
    let words: String = seen.rows.iter().map(|(row, _)| format!("{row} ")).collect();
    assert_eq!(words.matches("cell").count(), 400);
}

#[test]
fn a_window_of_another_width_shares_its_columns_anew() {
    let mut desk = Desk::new(60, 24);
    let row = |n: usize| format!("|row {n}|{}|\n", "a word ".repeat(5));
    desk.renderer.push("|name|text|\n|---|---|\n");
    (0..30).for_each(|n| desk.renderer.push(&row(n)));
    desk.write(Renderer::frame);
    desk.terminal
        .screen_mut()
        .set_size(24.try_into().unwrap(), 30.try_into().unwrap());
    desk.write(|renderer, out| renderer.resize(30, 24, out));
    (30..60).for_each(|n| desk.renderer.push(&row(n)));
    desk.write(Renderer::finish);
    let seen = desk.seen(false);
    assert!(seen.rows.iter().all(|(_, wrapped)| !wrapped), "{seen:?}");
    assert!(
        seen.rows.iter().any(|(row, _)| row.starts_with("59    │")),
        "{seen:?}"
    );
}

#[cfg(feature = "highlight")]
#[test]
fn after_the_end_comes_another_text() {
    let (mut renderer, mut out) = (Renderer::code("rust", Options::default()), String::new());
    for _ in 0..2 {
        out.clear();
        renderer.push("let x;\n");
        renderer.finish(&mut out);
        assert_eq!(out, "\u{1b}[35mlet\u{1b}[m x;\r\n");
    }
    let mut renderer = Renderer::new(Options::default());
    for _ in 0..2 {
        out.clear();
        renderer.push("```\nx\n```\n");
        renderer.finish(&mut out);
        assert_eq!(out, "  x\r\n");
    }
}

/// A screen of this width after the sample, each row with what makes it look as it does.
#[cfg(feature = "highlight")]
fn shown(columns: u16) -> String {
    let seen = once(include_str!("sample.md"), columns, 24);
    let rows = seen.rows.iter().map(|(row, joined)| {
        let row = row.replace('\u{1b}', "\\e");
        format!("{row}{}\n", if *joined { " …" } else { "" })
    });
    rows.collect()
}

#[cfg(feature = "highlight")]
#[test]
fn the_sample_looks_right_on_narrow_usual_and_wide_terminals() {
    for (columns, expected) in [
        (20, include_str!("sample-20.txt")),
        (80, include_str!("sample-80.txt")),
        (200, include_str!("sample-200.txt")),
    ] {
        let shown = shown(columns);
        if std::env::var_os("AURORA_BLESS").is_some() {
            let path = format!("{}/src/renderer/sample-{columns}.txt", env!("CARGO_MANIFEST_DIR"));
            std::fs::write(path, &shown).unwrap();
        } else {
            assert_eq!(shown, expected, "{columns} columns");
        }
    }
}

#[test]
fn nothing_of_the_model_reaches_the_terminal_as_an_escape_sequence() {
    let attack = "\u{1b}[2J\u{9b}2J\u{7}\u{202e}\r\u{8}";
    let text = format!(
        "# {attack}\n\n{attack} **{attack}** `{attack}` [{attack}](http://a.b/{attack}) ![{attack}]({attack})\n\n\
         > {attack}\n\n- {attack}\n\n|{attack}|\n|---|\n|{attack}|\n\n```{attack}\n{attack}\n```\n\n$$\n{attack}\n$$\n\n<{attack}>"
    );
    let (mut renderer, mut out) = (Renderer::new(Options::default()), String::new());
    renderer.push(&text);
    renderer.finish(&mut out);
    let ours = ["\u{1b}[", "\u{1b}]8;", "\u{1b}\\"];
    let mut rest = out.as_str();
    while let Some(at) = rest.find('\u{1b}') {
        let sequence = &rest[at..];
        assert!(
            ours.iter().any(|start| sequence.starts_with(start)),
            "{sequence:?}"
        );
        assert!(!sequence.starts_with("\u{1b}[2J"), "{sequence:?}");
        rest = &sequence[2..];
    }
    assert!(!out.contains(['\u{9b}', '\u{7}', '\u{202e}']), "{out:?}");
    assert_eq!(out.matches('\r').count(), out.matches("\r\n").count());
}

#[test]
fn a_delta_costs_the_same_whatever_came_before() {
    let frames = |before: &str| {
        let (mut renderer, mut out) = (Renderer::new(Options::default()), String::new());
        renderer.push(before);
        renderer.frame(&mut out);
        let mut bytes = Vec::new();
        for delta in ["\n\nSome", " more", " **words", "** and", " the end."] {
            out.clear();
            renderer.push(delta);
            renderer.frame(&mut out);
            bytes.push(out.clone());
        }
        bytes
    };
    let long = format!(
        "{}\n\n",
        "a paragraph of some words, and more of them. ".repeat(20)
    )
    .repeat(50);
    assert_eq!(frames("Short.\n\n"), frames(&long));
}

#[test]
fn a_table_goes_on_once_its_columns_are_settled() {
    let mut desk = Desk::new(40, 24);
    let mut text = "|n|word|\n|-:|---|\n".to_owned();
    text.extend((0..40).map(|n| format!("|{n}|{}|\n", "x".repeat(n % 9))));
    for piece in text.split_inclusive('|') {
        desk.renderer.push(piece);
        desk.write(Renderer::frame);
    }
    desk.write(Renderer::finish);
    let seen = desk.seen(true);
    assert_eq!(seen, once(&text, 40, 24));
    assert_eq!(seen.rows.len(), 42);
    assert!(desk.bytes < 8 * text.len(), "{} bytes", desk.bytes);
}

#[test]
fn without_colour_or_hyperlinks_nothing_is_lost() {
    let options = Options {
        color: false,
        hyperlinks: false,
        ..Options::default()
    };
    let (mut renderer, mut out) = (Renderer::new(options), String::new());
    renderer.push("[text](http://a.b) and http://c.d, `code`\n\n```rust\nfn main() {}\n```\n");
    renderer.finish(&mut out);
    let expected =
        "\u{1b}[4mtext\u{1b}[m (http://a.b) and \u{1b}[4mhttp://c.d\u{1b}[m, code\r\n\r\n  fn main() {}\r\n";
    assert_eq!(out, expected);
}

#[test]
fn a_link_that_names_another_host_shows_its_address() {
    for (link, shows) in [
        ("[paypal.com](https://evil.example/x)", true),
        ("[HTTPS://bank.com](https://evil.example)", true),
        ("[ https://bank.com ](https://evil.example)", true),
        ("[www.bank.com: log in](https://evil.example)", true),
        ("[bank.com](https://bank.com@evil.example)", true),
        ("[https://bank.com/a](https://www.bank.com/a?b=c)", false),
        ("[bank.com](https://bank.com:443/path)", false),
        ("[a bank](https://bank.com)", false),
        ("[Node.js](https://nodejs.org)", false),
        ("[version 1.2](https://bank.com)", false),
    ] {
        let (mut renderer, mut out) = (Renderer::new(Options::default()), String::new());
        renderer.push(link);
        renderer.finish(&mut out);
        assert_eq!(out.contains(" (https://"), shows, "{link}: {out:?}");
    }
}

#[cfg(feature = "highlight")]
#[test]
fn code_alone_stands_at_the_margin() {
    let (mut renderer, mut out) = (Renderer::code("rust", Options::default()), String::new());
    for piece in ["# not a head", "ing\nlet", " x;\n"] {
        renderer.push(piece);
        renderer.frame(&mut out);
    }
    renderer.finish(&mut out);
    assert!(out.starts_with("# not a heading\r\n"), "{out:?}");
    assert!(out.contains("\u{1b}[35mlet\u{1b}[m x;"), "{out:?}");
}

#[test]
fn the_last_rows_of_what_is_not_final_are_shown() {
    let mut desk = Desk::new(20, 8);
    desk.renderer.push("|a|\n|-|\n|1|\n|2|\n");
    desk.write(Renderer::frame);
    assert!(desk.seen(false).rows.len() <= 6);
}

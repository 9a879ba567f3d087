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
        columns in prop_oneof![Just(8_u16), Just(20), Just(33), Just(80)],
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

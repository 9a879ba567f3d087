//! The picture in the README: what the binary really shows, as an SVG. The test fails where it no longer does;
//! `ci/picture` makes it anew.

use std::fmt::Write as _;
use std::fs;
use std::io::Read as _;
use std::path::Path;
use std::process::Stdio;

use aurora_testkit::{Reply, Upstream, fixtures};

use crate::support::Home;
use crate::terminal::terminal_of;

const ROWS: u16 = 26;
const COLUMNS: u16 = 76;

/// The size of a cell and of the margin, in pixels.
const CELL: (usize, usize) = (9, 19);
const MARGIN: usize = 14;

const BACKGROUND: &str = "#1c1f26";
const TEXT: &str = "#d7dce4";
const DIM: &str = "#828b99";

/// The eight colours of the terminal.
const COLORS: [&str; 8] = [
    "#3b4252", "#f07178", "#9ece6a", "#e0af68", "#7aa2f7", "#c099ff", "#65bcc7", "#d7dce4",
];

#[test]
fn the_picture_in_the_readme_is_what_a_terminal_shows() {
    let answer: Vec<char> = include_str!("picture.md").chars().collect();
    let deltas: Vec<String> = answer.chunks(4).map(|delta| delta.iter().collect()).collect();
    let deltas: Vec<&str> = deltas.iter().map(String::as_str).collect();
    let upstream = Upstream::start(Reply::sse(fixtures::sse_answer(&deltas)));
    let (home, url) = (Home::new(), upstream.url());
    let (mut screen, program) = terminal_of(ROWS, COLUMNS);
    let mut command = home.command(&["-e", &url, "-m", "m", "How do I read a stream?"]);
    command.env("TERM", "xterm-256color");
    // What is told on stderr has times in it, which no two runs share.
    let mut child = command.stdout(program).stderr(Stdio::null()).spawn().unwrap();
    drop(command);
    let mut bytes = Vec::new();
    // A terminal that all programs have left is an error on Linux, after everything was read.
    let _ = screen.read_to_end(&mut bytes);
    assert!(child.wait().unwrap().success());
    let mut parser = vt100::Parser::new(ROWS.try_into().unwrap(), COLUMNS.try_into().unwrap(), 0);
    parser.process(&bytes);
    let shown = svg(parser.screen());

    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/terminal.svg");
    if std::env::var_os("AURORA_BLESS").is_some() {
        fs::write(file, shown).unwrap();
    } else {
        let kept = fs::read_to_string(file).unwrap();
        assert!(
            kept == shown,
            "docs/terminal.svg is not what is shown; ci/picture makes it anew"
        );
    }
}

fn svg(screen: &vt100::Screen) -> String {
    let used = (0..ROWS)
        .rev()
        .find(|row| (0..COLUMNS).any(|column| has_text(screen, *row, column)));
    let rows = usize::from(used.unwrap()) + 1;
    let (width, height) = (
        usize::from(COLUMNS) * CELL.0 + 2 * MARGIN,
        rows * CELL.1 + 2 * MARGIN,
    );
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\">\n\
         <rect width=\"100%\" height=\"100%\" rx=\"8\" fill=\"{BACKGROUND}\"/>\n\
         <g font-family=\"ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace\" font-size=\"15\" fill=\"{TEXT}\" \
         xml:space=\"preserve\">\n"
    );
    for row in 0..u16::try_from(rows).unwrap() {
        let mut column = 0;
        while column < COLUMNS {
            column = run(screen, row, column, &mut svg);
        }
    }
    svg + "</g>\n</svg>\n"
}

/// Writes the cells from this one on that look the same; returns where the next ones begin.
fn run(screen: &vt100::Screen, row: u16, from: u16, svg: &mut String) -> u16 {
    let look = look(screen.cell(row, from).unwrap());
    let (mut text, mut end) = (String::new(), from);
    while end < COLUMNS {
        let cell = screen.cell(row, end).unwrap();
        // A wide character is a run of its own, since fonts do not agree about its width.
        if self::look(cell) != look || end > from && (cell.is_wide() || text.chars().any(|c| c > '\u{2e80}'))
        {
            break;
        }
        text.push_str(if cell.has_contents() { cell.contents() } else { " " });
        end += if cell.is_wide() { 2 } else { 1 };
    }
    if !text.trim().is_empty() {
        let spaces = text.len() - text.trim_start().len();
        let left = usize::from(from) + spaces;
        let length = usize::from(end) - left - (text.len() - text.trim_end().len());
        let text = text
            .trim()
            .replace('&', "&amp;")
            .replace('<', "&lt;")
            .replace('>', "&gt;");
        let _ = writeln!(
            svg,
            "<text x=\"{}\" y=\"{}\" textLength=\"{}\"{look}>{text}</text>",
            MARGIN + left * CELL.0,
            MARGIN + usize::from(row) * CELL.1 + 14,
            length * CELL.0,
        );
    }
    end
}

fn has_text(screen: &vt100::Screen, row: u16, column: u16) -> bool {
    screen.cell(row, column).is_some_and(vt100::Cell::has_contents)
}

/// The attributes of a cell's text.
fn look(cell: &vt100::Cell) -> String {
    let mut look = String::new();
    match cell.fgcolor() {
        vt100::Color::Idx(color) if color < 8 => {
            let _ = write!(look, " fill=\"{}\"", COLORS[usize::from(color)]);
        }
        _ if cell.dim() => {
            let _ = write!(look, " fill=\"{DIM}\"");
        }
        _ => {}
    }
    for (is_set, attribute) in [
        (cell.bold(), " font-weight=\"bold\""),
        (cell.italic(), " font-style=\"italic\""),
        (cell.underline(), " text-decoration=\"underline\""),
    ] {
        if is_set {
            look.push_str(attribute);
        }
    }
    look
}

//! From events to rows.
//!
//! A row is told as soon as nothing that follows can change it. What waits is little: a row of running text, a line of
//! code, a table's first rows. It is shown by a copy of the layout that is told how the text might go on and is then
//! ended, so that what is shown for now has no way to change what is final.

use crate::event::{Block, Event};
use crate::flow::Flow;
use crate::highlight::Highlighter;
use crate::measure::Widths;
use crate::row::{Line, Row};
use crate::style::{Attrs, Color, Style};

mod code;
mod inline;
mod page;
mod table;

use code::Code;
use inline::Inlines;
use page::Page;
use table::Table;

/// Code at the margin is set off by this, so that it can be told from text without colours; within a list it stands
/// apart anyway.
const INDENT: &str = "  ";

/// The longest thematic break.
const RULE: usize = 40;

/// What rows depend on besides the text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setting {
    /// The columns of the terminal.
    pub(crate) columns: usize,
    pub(crate) widths: Widths,
    /// Whether the terminal shows hyperlinks.
    pub(crate) hyperlinks: bool,
    /// Whether code is highlighted.
    pub(crate) highlight: bool,
    /// How many rows of a table's body wait for its end.
    pub(crate) patience: usize,
}

/// A text that is being set.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    setting: Setting,
    page: Page,
    body: Body,
    /// A code block or a table ended last, which text keeps its distance from.
    apart: bool,
    /// What comes is how the text might go on.
    pauses: bool,
}

#[derive(Clone, Debug)]
enum Body {
    None,
    Text(Flow, Inlines),
    Code(Code),
    Table(Table),
}

impl Layout {
    pub(crate) fn new(setting: Setting) -> Self {
        Self {
            setting,
            page: Page::new(setting.columns, setting.widths),
            body: Body::None,
            apart: false,
            pauses: false,
        }
    }

    /// A copy for what the text might go on with.
    pub(crate) fn pause(&self) -> Self {
        Self {
            pauses: true,
            ..self.clone()
        }
    }

    /// All that comes is code, at the margin.
    pub(crate) fn open_code(&mut self, language: &str) {
        let highlighter = Some(language)
            .filter(|_| self.setting.highlight)
            .and_then(Highlighter::new);
        self.body = Body::Code(Code::new("", Style::default(), highlighter));
    }

    /// The terminal has this many columns now, and a table this patience. Rows that were told stay as they are.
    pub(crate) fn resize(&mut self, columns: usize, patience: usize) {
        (self.setting.columns, self.setting.patience) = (columns, patience);
        self.page.resize(columns);
        match &mut self.body {
            Body::Text(flow, _) => flow.resize(),
            Body::Table(table) => table.resize(patience),
            Body::None | Body::Code(_) => {}
        }
    }

    /// The next event; appends the rows that are final by it.
    pub(crate) fn event(&mut self, event: Event<'_>, rows: &mut Vec<Row>) {
        match event {
            Event::Enter { container, gap } => {
                self.part(gap);
                self.page.enter(container);
            }
            Event::Leave => {
                self.page.leave(rows);
                self.apart &= self.page.depth() == 0;
            }
            Event::Begin { block, gap } => {
                let apart = matches!(block, Block::Heading { .. })
                    || self.page.depth() == 0 && matches!(block, Block::Code { .. } | Block::Table { .. });
                self.part(gap || apart);
                self.begin(block, rows);
            }
            Event::End { .. } => self.end(rows),
            Event::Row => {
                if let Body::Table(table) = &mut self.body {
                    table.row(&mut self.page, rows);
                }
            }
            Event::Cell => {
                if let Body::Table(table) = &mut self.body {
                    table.cell();
                }
            }
            Event::Text {
                text,
                attributes,
                link,
            } => match &mut self.body {
                Body::Text(flow, inlines) => {
                    let page = &mut self.page;
                    inlines.text(text, attributes, link, &mut |text, style| {
                        put(flow, text, style, page, rows)
                    });
                }
                Body::Table(table) => table.text(text, attributes, link, &mut self.page, rows),
                Body::None | Body::Code(_) => {}
            },
            Event::SoftBreak => match &mut self.body {
                Body::Text(_, inlines) => inlines.soft_break(),
                Body::Table(table) => table.soft_break(),
                Body::None | Body::Code(_) => {}
            },
            Event::HardBreak => match &mut self.body {
                Body::Text(flow, inlines) => {
                    let page = &mut self.page;
                    inlines.close(&mut |text, style| put(flow, text, style, page, rows));
                    inlines.hard_break();
                    end_line(flow, page, rows);
                }
                Body::Table(table) => table.hard_break(),
                Body::None | Body::Code(_) => {}
            },
            Event::Verbatim(text) => {
                if let Body::Code(code) = &mut self.body {
                    code.push(text, &mut self.page, rows);
                }
            }
        }
    }

    /// Ends everything that is open.
    pub(crate) fn finish(&mut self, rows: &mut Vec<Row>) {
        self.end(rows);
        while self.page.depth() > 0 {
            self.page.leave(rows);
        }
    }

    fn part(&mut self, gap: bool) {
        if gap || std::mem::take(&mut self.apart) && self.page.depth() == 0 {
            self.page.part();
        }
        self.apart = false;
    }

    fn begin(&mut self, block: Block<'_>, rows: &mut Vec<Row>) {
        let indent = if self.page.depth() == 0 { INDENT } else { "" };
        let Setting {
            hyperlinks,
            highlight,
            patience,
            ..
        } = self.setting;
        self.body = match block {
            Block::Paragraph => Body::Text(Flow::default(), Inlines::new(Style::default(), hyperlinks)),
            Block::Heading { level } => {
                // The marks stay: they tell the level without colours, and copy as what they were.
                let style = Style::colored(Color::Magenta, Attrs::BOLD);
                let marks = format!("{} ", "#".repeat(usize::from(level)));
                let mut flow = Flow::default();
                put(&mut flow, &marks, &style, &mut self.page, rows);
                Body::Text(flow, Inlines::new(style, hyperlinks))
            }
            Block::Code { info } => {
                let highlighter = info.filter(|_| highlight).and_then(Highlighter::new);
                Body::Code(Code::new(indent, Style::default(), highlighter))
            }
            Block::Math => Body::Code(Code::new(indent, Style::of(Attrs::ITALIC), None)),
            Block::Html => Body::Code(Code::new("", Style::default(), None)),
            Block::Table { columns } => Body::Table(Table::new(columns, patience, hyperlinks)),
            Block::Rule => {
                let dash = self.setting.widths.of("─").max(1);
                let rule = "─".repeat(self.page.room().min(RULE) / dash);
                self.page.put(&Line::of(&rule, &Style::of(Attrs::DIM)), rows);
                Body::None
            }
        };
    }

    fn end(&mut self, rows: &mut Vec<Row>) {
        let page = &mut self.page;
        match std::mem::replace(&mut self.body, Body::None) {
            Body::None => {}
            Body::Text(mut flow, mut inlines) => {
                inlines.close(&mut |text, style| put(&mut flow, text, style, page, rows));
                end_line(&mut flow, page, rows);
            }
            Body::Code(mut code) => {
                code.end(page, rows);
                self.apart = page.depth() == 0;
            }
            Body::Table(mut table) => {
                table.end(self.pauses, page, rows);
                self.apart = page.depth() == 0;
            }
        }
    }
}

fn put(flow: &mut Flow, text: &str, style: &Style, page: &mut Page, rows: &mut Vec<Row>) {
    let widths = page.widths();
    flow.push(text, style, widths, |row| write(row, page, rows));
}

fn end_line(flow: &mut Flow, page: &mut Page, rows: &mut Vec<Row>) {
    let widths = page.widths();
    flow.end(widths, |row| write(row, page, rows));
}

/// Writes a row of running text if there is one; returns the room for the next one.
fn write(row: Option<Line>, page: &mut Page, rows: &mut Vec<Row>) -> usize {
    if let Some(row) = row {
        page.put(&row, rows);
    }
    page.room()
}

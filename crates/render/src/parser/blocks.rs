//! The blocks of a text: what each line does to those that are open, and what is told of it.

use crate::event::{Alignment, Block, Container, Event};

use super::Sink;
use super::container::{Kind, Open};
use super::entity::resolve;
use super::leaf::{Html, Leaf, Paragraph, Table};
use super::limits::Limits;
use super::marker::ListKind;
use super::math::MathStart;
use super::scan::{Edge, More};
use super::start::{Context, Decision, New, What, decide};
use super::text::Text;

#[derive(Clone, Debug)]
pub(super) struct Blocks {
    pub(super) limits: Limits,
    containers: Vec<Open>,
    /// Something stands in the text itself.
    filled: bool,
    /// The last line was blank, and so many containers went on with it.
    blank: Option<usize>,
    pub(super) leaf: Leaf,
    /// The rest of the line is text of the leaf.
    pub(super) flows: bool,
    /// The text of the leaf.
    pub(super) text: Text,
}

impl Blocks {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            containers: Vec::new(),
            filled: false,
            blank: None,
            leaf: Leaf::None,
            flows: false,
            text: Text::new(limits.window),
        }
    }

    /// Reads the beginning of a line.
    pub(super) fn decide<'a>(&self, line: &'a str, edge: Edge) -> Result<Decision<'a>, More> {
        let current = self.leaf.current();
        decide(
            line,
            edge,
            Context {
                limits: &self.limits,
                containers: &self.containers,
                current,
            },
        )
    }

    /// Does what the beginning of a line says.
    pub(super) fn start(&mut self, decision: Decision<'_>, sink: Sink<'_>) {
        let Decision {
            matched,
            opened,
            what,
            spare,
            ..
        } = decision;
        self.flows = true;
        match what {
            What::Continued => self.continue_paragraph(sink),
            What::Verbatim => self.continue_verbatim(spare, sink),
            What::Row => sink(Event::Row),
            What::Underline(level) => self.become_heading(level, sink),
            What::Delimiters(columns) => self.become_table(columns, sink),
            What::Closing => {
                self.flows = false;
                self.leaf = Leaf::None;
                sink(Event::End { closed: true });
            }
            What::Blank if opened.is_empty() => return self.pass_blank(matched, sink),
            what => {
                self.enter(matched, &opened, sink);
                self.begin(what, spare, sink);
            }
        }
        self.blank = None;
    }

    /// A blank line, which so many containers go on with.
    fn pass_blank(&mut self, matched: usize, sink: Sink<'_>) {
        self.flows = false;
        match &mut self.leaf {
            Leaf::Indented { blanks } if matched == self.containers.len() => *blanks += 1,
            _ => {
                self.close_to(matched, None, sink);
            }
        }
        for open in &mut self.containers {
            if let Kind::Item { over, .. } = &mut open.kind {
                *over |= !open.filled;
            }
        }
        self.blank = Some(matched);
    }

    /// Ends what does not go on, and enters the containers that begin.
    fn enter(&mut self, matched: usize, opened: &[New], sink: Sink<'_>) {
        let list = opened.first().and_then(|new| match new {
            New::Item { list, .. } => Some(*list),
            New::Quote => None,
        });
        let mut in_list = self.close_to(matched, list, sink);
        for new in opened {
            match *new {
                New::Quote => {
                    let gap = self.fill();
                    sink(Event::Enter {
                        container: Container::Quote,
                        gap,
                    });
                    self.containers.push(Open::quote());
                }
                New::Item {
                    list,
                    number,
                    indent,
                    task,
                } => {
                    let gap = self.fill();
                    if !in_list {
                        let start = matches!(list, ListKind::Ordered(_)).then_some(number);
                        sink(Event::Enter {
                            container: Container::List { start },
                            gap,
                        });
                    }
                    sink(Event::Enter {
                        container: Container::Item { task },
                        gap: gap && in_list,
                    });
                    self.containers.push(Open::item(list, indent));
                }
            }
            in_list = false;
        }
    }

    /// Ends the leaf and all containers but so many. If the outermost of these is an item of such a list, the list goes on.
    fn close_to(&mut self, level: usize, list: Option<ListKind>, sink: Sink<'_>) -> bool {
        self.close_leaf(sink);
        let mut in_list = false;
        while self.containers.len() > level {
            let Some(open) = self.containers.pop() else { break };
            sink(Event::Leave);
            if let Kind::Item { list: kind, .. } = open.kind {
                in_list = self.containers.len() == level && list == Some(kind);
                if !in_list {
                    sink(Event::Leave);
                }
            }
        }
        in_list
    }

    /// Notes that something begins in the innermost container, and says whether a blank line stands before it.
    fn fill(&mut self) -> bool {
        let level = self.containers.len();
        let filled = self
            .containers
            .last_mut()
            .map_or(&mut self.filled, |open| &mut open.filled);
        let gap = *filled && self.blank.is_some_and(|matched| matched >= level);
        *filled = true;
        gap
    }

    /// Begins a leaf.
    fn begin(&mut self, what: What<'_>, spare: usize, sink: Sink<'_>) {
        if let What::Definition(definition) = what {
            self.flows = false;
            // It is not shown, but an item has it.
            if let Some(open) = self.containers.last_mut() {
                open.filled = true;
            }
            return self.text.definitions.add(definition, self.limits.definitions);
        }
        if matches!(what, What::Blank) {
            self.flows = false;
            return;
        }
        let gap = self.fill();
        match what {
            What::Text => self.leaf = Leaf::Paragraph(Paragraph::new(gap)),
            What::Heading(level) => {
                sink(Event::Begin {
                    block: Block::Heading { level },
                    gap,
                });
                self.leaf = Leaf::Heading {
                    held: String::new(),
                    long: false,
                };
            }
            What::Rule => {
                self.flows = false;
                sink(Event::Begin {
                    block: Block::Rule,
                    gap,
                });
                sink(Event::End { closed: true });
            }
            What::Fence(fence, info) => {
                self.flows = false;
                sink(Event::Begin {
                    block: Block::Code {
                        info: Some(&resolve(info)),
                    },
                    gap,
                });
                self.leaf = Leaf::Fenced(fence);
            }
            What::IndentedCode => {
                sink(Event::Begin {
                    block: Block::Code { info: None },
                    gap,
                });
                self.leaf = Leaf::Indented { blanks: 0 };
                indent(spare, sink);
            }
            What::Html(end) => {
                sink(Event::Begin {
                    block: Block::Html,
                    gap,
                });
                self.leaf = Leaf::Html(Html::new(end));
                indent(spare, sink);
            }
            What::Math(MathStart { text, close }) => {
                self.flows = false;
                sink(Event::Begin {
                    block: Block::Math,
                    gap,
                });
                verbatim(text, sink);
                match close {
                    Some(close) => {
                        if !text.is_empty() {
                            verbatim("\n", sink);
                        }
                        self.leaf = Leaf::Math {
                            close,
                            line: String::new(),
                        };
                    }
                    None => sink(Event::End { closed: true }),
                }
            }
            What::Blank
            | What::Definition(_)
            | What::Continued
            | What::Underline(_)
            | What::Delimiters(_)
            | What::Row
            | What::Verbatim
            | What::Closing => {}
        }
    }

    /// A line of the open code, HTML or math, with so many spaces before it.
    fn continue_verbatim(&mut self, spare: usize, sink: Sink<'_>) {
        if let Leaf::Indented { blanks } = &mut self.leaf {
            for _ in 0..std::mem::take(blanks) {
                sink(Event::Verbatim("\n"));
            }
        }
        indent(spare, sink);
    }

    /// Another line of the open paragraph.
    fn continue_paragraph(&mut self, sink: Sink<'_>) {
        self.commit(sink);
        if let Leaf::Paragraph(paragraph) = &mut self.leaf {
            paragraph.holding = true;
        }
    }

    /// What is held of the paragraph is text of a paragraph.
    pub(super) fn commit(&mut self, sink: Sink<'_>) {
        let Leaf::Paragraph(paragraph) = &mut self.leaf else {
            return;
        };
        if !std::mem::take(&mut paragraph.holding) {
            return;
        }
        if std::mem::replace(&mut paragraph.begun, true) {
            self.text.push("\n", sink);
        } else {
            sink(Event::Begin {
                block: Block::Paragraph,
                gap: paragraph.gap,
            });
        }
        self.text.push(&paragraph.held, sink);
        paragraph.held.clear();
    }

    /// The open paragraph, of which nothing is told, is a heading.
    fn become_heading(&mut self, level: u8, sink: Sink<'_>) {
        self.flows = false;
        if let Leaf::Paragraph(Paragraph { gap, held, .. }) = std::mem::take(&mut self.leaf) {
            sink(Event::Begin {
                block: Block::Heading { level },
                gap,
            });
            self.text.push(&held, sink);
            self.text.finish(sink);
            sink(Event::End { closed: true });
        }
    }

    /// The last line of the open paragraph is the head of a table.
    pub(super) fn become_table(&mut self, columns: Vec<Alignment>, sink: Sink<'_>) {
        self.flows = false;
        if let Leaf::Paragraph(Paragraph { gap, begun, held, .. }) = std::mem::take(&mut self.leaf) {
            if begun {
                self.text.finish(sink);
                sink(Event::End { closed: true });
            }
            sink(Event::Begin {
                block: Block::Table { columns: &columns },
                gap: gap && !begun,
            });
            sink(Event::Row);
            self.leaf = Leaf::Table(Table::new(columns));
            self.flow(&held, sink);
            self.end_row(sink);
        }
    }

    /// Ends everything that is open.
    pub(super) fn close(&mut self, sink: Sink<'_>) {
        self.close_to(0, None, sink);
    }
}

/// Spaces that are left of a tab.
fn indent(spaces: usize, sink: Sink<'_>) {
    verbatim(&"    "[..spaces.min(4)], sink);
}

/// Text of a verbatim block, if there is any.
pub(super) fn verbatim(text: &str, sink: Sink<'_>) {
    if !text.is_empty() {
        sink(Event::Verbatim(text));
    }
}

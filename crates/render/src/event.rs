//! What a markdown text is made of, told in the order of the text.
//!
//! Events nest: every [`Event::Enter`] has its [`Event::Leave`], every [`Event::Begin`] its [`Event::End`]. Containers
//! hold containers and blocks, blocks hold text. Text comes in pieces of any length; joining neighbours of equal style
//! changes nothing.

/// One step through a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// A container begins; what follows is in it until its [`Event::Leave`].
    Enter {
        /// Its kind.
        container: Container,
        /// Whether a blank line stands before it in the source, within what it is in.
        gap: bool,
    },
    /// The container entered last ends.
    Leave,
    /// A block begins.
    Begin {
        /// Its kind.
        block: Block<'a>,
        /// Whether a blank line stands before it in the source, within what it is in.
        gap: bool,
    },
    /// The block ends.
    End {
        /// False for a fence that was never closed; true for every other block.
        closed: bool,
    },
    /// A row of the table begins; the first one is the head. It ends with the next row, or with the table.
    Row,
    /// A cell of the row begins; it ends with the next cell, the next row, or the table.
    Cell,
    /// Text of a paragraph, a heading or a cell: entities and escapes resolved, no line breaks, never empty.
    Text {
        /// The text, as the model wrote it: control characters included.
        text: &'a str,
        /// How it is set.
        attributes: Attributes,
        /// Where it leads to.
        link: Option<Link<'a>>,
    },
    /// The source's line ends here, within a paragraph; it is set as a space, or as nothing between two characters of
    /// a script that has no spaces.
    SoftBreak,
    /// The line ends here.
    HardBreak,
    /// A piece of a code, math or HTML block, line feeds included and the indentation of what it stands in removed.
    Verbatim(&'a str),
}

/// What holds other blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Container {
    /// A block quote.
    Quote,
    /// A list; it holds items only.
    List {
        /// The number of the first item; `None` for bullets.
        start: Option<u64>,
    },
    /// An item of a list.
    Item {
        /// Whether its box is ticked; `None` for an item without one.
        task: Option<bool>,
    },
}

/// What holds text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Block<'a> {
    /// A paragraph.
    Paragraph,
    /// A heading.
    Heading {
        /// From 1 to 6.
        level: u8,
    },
    /// Code, in [`Event::Verbatim`] pieces.
    Code {
        /// What stands after the opening fence, entities and escapes resolved; `None` for indented code.
        info: Option<&'a str>,
    },
    /// Math set apart (`$$ … $$`, `\[ … \]`), in [`Event::Verbatim`] pieces without its delimiters.
    Math,
    /// HTML, which is shown as the text it is, in [`Event::Verbatim`] pieces.
    Html,
    /// A table: rows of cells, the first row being its head.
    Table {
        /// How each column is aligned; every row has as many cells.
        columns: &'a [Alignment],
    },
    /// A thematic break, which holds nothing.
    Rule,
}

/// How the cells of a column are aligned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Alignment {
    /// As text begins, since nothing is said.
    #[default]
    None,
    /// Left.
    Left,
    /// In the middle.
    Center,
    /// Right.
    Right,
}

/// How a piece of text is set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    /// `**strong**`
    pub strong: bool,
    /// `*emphasis*`
    pub emphasis: bool,
    /// `~~struck through~~`
    pub strike: bool,
    /// `` `code` ``, verbatim.
    pub code: bool,
    /// `$math$`, verbatim and without its delimiters.
    pub math: bool,
    /// The description of an image, whose address is the link.
    pub image: bool,
}

/// Where a piece of text leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link<'a> {
    /// The address, entities and escapes resolved.
    pub url: &'a str,
    /// Counts the links of the text from 0: pieces of one link share the number, two links never do.
    pub number: u64,
}

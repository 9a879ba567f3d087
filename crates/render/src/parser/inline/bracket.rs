//! Links and images: what a closing bracket closes (CommonMark 6.3 and 6.4, and the appendix, "look for link or image").

use crate::parser::definition::eat_label;
use crate::parser::destination::{self, eat_title};
use crate::parser::entity::resolve;
use crate::parser::scan::{Edge, More, Scan, UNKNOWN};

use super::node::Kind;
use super::{Inline, Outside};

/// A bracket that may begin a link or an image.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bracket {
    pub(super) node: usize,
    pub(super) at: usize,
    pub(super) image: bool,
    /// False for `[` once a link has begun behind it, since links do not stand in links: it takes a `]` and means nothing.
    pub(super) active: bool,
    /// Another bracket has begun behind it, so what it encloses is no label.
    nested: bool,
}

impl Inline {
    /// Adds an opening bracket, `[` or `![`.
    pub(super) fn open_bracket(&mut self, image: bool) {
        let at = self.at;
        self.at += 1 + usize::from(image);
        let node = self.add(at, self.at, Kind::Bracket);
        if let Some(bracket) = self.brackets.back_mut() {
            bracket.nested = true;
        }
        self.brackets.push_back(Bracket {
            node,
            at,
            image,
            active: true,
            nested: false,
        });
    }

    /// Reads a closing bracket. Says where it ends if it is text.
    pub(super) fn close_bracket(&mut self, edge: Edge, outside: Outside<'_>) -> Result<Option<usize>, More> {
        let at = self.at;
        let Some(&bracket) = self.brackets.back() else {
            return Ok(Some(at + 1));
        };
        let link = if bracket.active {
            self.link(bracket, edge, outside)?
        } else {
            None
        };
        self.brackets.pop_back();
        let Some((url, end)) = link else {
            if bracket.active {
                self.close_waiting(outside);
            }
            return Ok(Some(at + 1));
        };
        self.close_within(bracket.node, outside);
        if let Some(node) = self.node(bracket.node) {
            node.kind = Kind::Open {
                url,
                image: bracket.image,
            };
        }
        self.add(at, at, Kind::Close);
        self.at = end;
        if !bracket.image {
            for outer in self.brackets.iter_mut().filter(|outer| !outer.image) {
                outer.active = false;
            }
        }
        self.close_waiting(outside);
        Ok(None)
    }

    /// The link or image that the bracket at hand closes: its address, and where it ends.
    fn link(
        &self,
        bracket: Bracket,
        edge: Edge,
        outside: Outside<'_>,
    ) -> Result<Option<(String, usize)>, More> {
        let from = self.at + 1;
        let window = (bracket.at + outside.window).saturating_sub(from);
        let mut scan = Scan::within(self.text(from, self.end()), edge, window);
        if scan.peek()? == Some(b'(') {
            let mut ahead = scan;
            if let Some(url) = eat_target(&mut ahead)? {
                return Ok(Some((resolve(url).into_owned(), from + ahead.at())));
            }
        }
        if outside.definitions.is_empty() {
            return Ok(None);
        }
        let label = self.text(bracket.at + 1 + usize::from(bracket.image), self.at);
        if scan.peek()? == Some(b'[') {
            let mut ahead = scan;
            if ahead.eat_str("[]")? {
                scan = ahead;
            } else if let Some(named) = eat_label(&mut scan)? {
                let url = outside.definitions.url(named);
                return Ok(url.map(|url| (url.to_owned(), from + scan.at())));
            } else {
                scan = Scan::new("", Edge::End);
            }
        }
        if bracket.nested {
            return Ok(None);
        }
        let url = outside.definitions.url(label);
        Ok(url.map(|url| (url.to_owned(), from + scan.at())))
    }
}

/// Steps over `(destination "title")` and gives the destination, which may be missing.
fn eat_target<'a>(scan: &mut Scan<'a>) -> Result<Option<&'a str>, More> {
    scan.bump();
    eat_space(scan)?;
    if scan.eat(b')')? {
        return Ok(Some(""));
    }
    let Some(url) = destination::eat(scan)? else {
        return Ok(None);
    };
    if eat_space(scan)? > 0 && !matches!(scan.peek()?, Some(b')' | UNKNOWN)) && !eat_title(scan)? {
        return Ok(None);
    }
    eat_space(scan)?;
    Ok(scan.eat(b')')?.then_some(url))
}

fn eat_space(scan: &mut Scan<'_>) -> Result<usize, More> {
    scan.eat_while(usize::MAX, |byte| matches!(byte, b' ' | b'\t' | b'\n'))
}

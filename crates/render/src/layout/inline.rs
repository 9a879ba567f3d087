//! Text within a block: its styles, links and images, and what a line end of the source becomes.

use std::sync::Arc;

use unicode_width::UnicodeWidthChar as _;

use crate::event::{Attributes, Link};
use crate::style::{Attrs, Color, MAX_URL, Style, Target};
use crate::visible;

/// Tells styled pieces of the text of one block.
#[derive(Clone, Debug, Default)]
pub(super) struct Inlines {
    hyperlinks: bool,
    base: Style,
    /// A line of the source ended after the last piece.
    soft: bool,
    /// What the last piece ended with.
    last: Option<char>,
    link: Option<Open>,
}

/// The link or image that is not over.
#[derive(Clone, Debug)]
struct Open {
    number: u64,
    image: bool,
    url: String,
    target: Option<Arc<Target>>,
    /// What its text is so far, unless it is longer than any address.
    shown: String,
}

impl Inlines {
    /// A block whose text looks like this where nothing else is said. `hyperlinks` is whether the terminal knows them.
    pub(super) fn new(base: Style, hyperlinks: bool) -> Self {
        Self {
            hyperlinks,
            base,
            ..Self::default()
        }
    }

    /// The source's line ends here.
    pub(super) fn soft_break(&mut self) {
        self.soft = true;
    }

    /// The line ends here.
    pub(super) fn hard_break(&mut self) {
        (self.soft, self.last) = (false, None);
    }

    /// The next piece of text.
    pub(super) fn text(
        &mut self,
        text: &str,
        attributes: Attributes,
        link: Option<Link<'_>>,
        put: &mut impl FnMut(&str, &Style),
    ) {
        let same = match (&self.link, &link) {
            (Some(open), Some(link)) => open.number == link.number && open.image == attributes.image,
            (None, None) => true,
            _ => false,
        };
        if !same {
            self.close(put);
        }
        if std::mem::take(&mut self.soft) && !self.joins(text.chars().next()) {
            let style = if same {
                self.style(attributes)
            } else {
                self.base.clone()
            };
            self.put(" ", &style, put);
        }
        if let (false, Some(link)) = (same, link) {
            self.open(link, attributes, put);
        }
        let mut harmless = String::with_capacity(text.len());
        visible::within_line(text, &mut harmless);
        if let Some(open) = &mut self.link
            && open.shown.len() <= MAX_URL
        {
            open.shown.push_str(&harmless);
        }
        let style = self.style(attributes);
        self.put(&harmless, &style, put);
    }

    /// Ends what is open; the block ends here.
    pub(super) fn close(&mut self, put: &mut impl FnMut(&str, &Style)) {
        let Some(open) = self.link.take() else { return };
        let style = Style {
            link: open.target.clone(),
            ..self.base.clone()
        };
        if open.image {
            self.put("]", &style, put);
        }
        if open.target.is_none() && !open.shows_url() || open.misleads() {
            let mut url = String::new();
            visible::within_line(&open.url, &mut url);
            let style = Style {
                link: None,
                ..self.base.clone()
            };
            self.put(" (", &style, put);
            self.put(&url, &style, put);
            self.put(")", &style, put);
        }
    }

    fn open(&mut self, link: Link<'_>, attributes: Attributes, put: &mut impl FnMut(&str, &Style)) {
        let target = if self.hyperlinks {
            Target::new(link.url, link.number)
        } else {
            None
        };
        self.link = Some(Open {
            number: link.number,
            image: attributes.image,
            url: link.url.to_owned(),
            target,
            shown: String::new(),
        });
        if attributes.image {
            let style = self.style(attributes);
            self.put("[image: ", &style, put);
        }
    }

    fn put(&mut self, text: &str, style: &Style, put: &mut impl FnMut(&str, &Style)) {
        self.last = text.chars().next_back().or(self.last);
        put(text, style);
    }

    /// Whether a line that ends and one that begins like this are set without a space: between two characters of a
    /// script that has none (CSS Text 3, section 4.1.3; Korean has spaces).
    fn joins(&self, next: Option<char>) -> bool {
        let unspaced = |c: Option<char>| {
            c.is_some_and(|c| {
                let hangul =
                    matches!(c, '\u{1100}'..='\u{11ff}' | '\u{3130}'..='\u{318f}' | '\u{ac00}'..='\u{d7a3}');
                let emoji = matches!(c, '\u{1f000}'..='\u{1faff}');
                c.width() == Some(2) && !hangul && !emoji && c >= '\u{2e80}'
            })
        };
        self.last.is_none() || unspaced(self.last) && unspaced(next)
    }

    fn style(&self, attributes: Attributes) -> Style {
        let mut style = self.base.clone();
        let linked = self.link.as_ref().is_some_and(|open| !open.image);
        for (wanted, attr) in [
            (attributes.strong, Attrs::BOLD),
            (attributes.emphasis || attributes.math, Attrs::ITALIC),
            (attributes.strike, Attrs::STRIKE),
            (attributes.code || attributes.math, Attrs::SOLID),
            (linked, Attrs::UNDERLINE),
        ] {
            if wanted {
                style.attrs = style.attrs.and(attr);
            }
        }
        if attributes.code || attributes.math {
            style.color = Some(Color::Cyan);
        }
        style.link = self.link.as_ref().and_then(|open| open.target.clone());
        style
    }
}

impl Open {
    /// Whether the text is the address.
    fn shows_url(&self) -> bool {
        let bare = |url: &str| {
            let url = url.strip_prefix("mailto:").unwrap_or(url);
            let url = url
                .strip_prefix("https://")
                .or(url.strip_prefix("http://"))
                .unwrap_or(url);
            url.strip_suffix('/').unwrap_or(url).to_owned()
        };
        self.url.is_empty() || bare(&self.shown) == bare(&self.url)
    }

    /// Whether the text looks like an address, but of another host.
    fn misleads(&self) -> bool {
        let shown = self.shown.trim();
        let claimed = host(shown).filter(|host| is_host(host) || shown.contains("://"));
        claimed.is_some() && claimed != host(&self.url) && !self.shows_url()
    }
}

/// The host that an address names, without `www.`, in lower case; or all of the first word of something else.
fn host(address: &str) -> Option<String> {
    let address = address.trim().to_ascii_lowercase();
    let rest = address.split_once("://").map_or(&*address, |(_, rest)| rest);
    let rest = rest.strip_prefix("mailto:").unwrap_or(rest);
    let authority = rest.split(['/', '?', '#', ' ', '\\']).next()?;
    let host = authority.rsplit('@').next()?.split(':').next()?;
    let host = host.strip_prefix("www.").unwrap_or(host).trim_end_matches('.');
    (!host.is_empty()).then(|| host.to_owned())
}

/// Whether a word looks like the name of a host: labels with dots between, the last one of letters, but no domain that does
/// not exist and that names of things end with. The address follows the names of some other files too (`main.rs`).
fn is_host(word: &str) -> bool {
    let label = |label: &str| !label.is_empty() && label.chars().all(|c| c.is_alphanumeric() || c == '-');
    let things = ["js", "ts", "json", "html", "css", "txt", "toml", "yaml"];
    let is_top =
        |top: &str| top.chars().count() > 1 && top.chars().all(char::is_alphabetic) && !things.contains(&top);
    word.split('.').all(label) && word.rsplit_once('.').is_some_and(|(_, top)| is_top(top))
}

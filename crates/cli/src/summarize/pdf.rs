//! The text of a PDF: its glyphs as characters, put together into lines and paragraphs by where they stand.
//!
//! The file, its fonts and what is drawn are hayro's business; here are the glyphs, in the order in which a page draws them.
//! That is the order of reading in nearly all files, columns included. Larger type makes headings. Page numbers, and lines
//! that stand on top or at the foot of pages near each other, are left out.
//!
//! It runs in a process of its own ([`super::outside`]).

use hayro_interpret::font::{Glyph, GlyphRun};
use hayro_interpret::hayro_cmap::{BfString, WritingMode};
use hayro_interpret::hayro_syntax::{LoadPdfError, Pdf};
use hayro_interpret::kurbo::{Affine, BezPath, Point, Rect};
use hayro_interpret::{
    BlendMode, ClipPath, Context, Device, DrawMode, DrawProps, Image, ImageDrawProps, InterpreterCache,
    InterpreterSettings, SoftMask, interpret_page,
};

use super::outside::MAX_TEXT;

mod layout;
mod line;

use layout::Layout;
use line::Placed;

/// The most pages that are read.
const MAX_PAGES: usize = 50_000;

/// The most glyphs of which no character is known, one in so many.
const UNKNOWN: usize = 4;

/// A page that is covered by pictures for the most part and has fewer glyphs is a picture of a page: a scan with a stamp or a number.
const FEW_GLYPHS: usize = 100;

/// What fonts say of glyphs of which they know no character.
const NO_CHARACTER: [char; 2] = ['\u{fffd}', '\u{ffff}'];

/// The text of a file, and what of the file is not in it.
///
/// # Errors
/// What is wrong with it, for a person: it is encrypted, damaged, has no text or too much of it.
pub(super) fn text(file: Vec<u8>) -> Result<(String, Option<String>), String> {
    let pdf = Pdf::new(file).map_err(|error| match error {
        LoadPdfError::Decryption(_) => {
            "an encrypted PDF, which takes a password (qpdf --decrypt makes one without)".to_owned()
        }
        LoadPdfError::Invalid => "a PDF that is damaged beyond reading".to_owned(),
    })?;
    let pages = pdf.pages();
    if pages.len() > MAX_PAGES {
        return Err(format!("a PDF of more than {MAX_PAGES} pages"));
    }
    let cache = InterpreterCache::new();
    let mut page = Page::default();
    let mut layout = Layout::default();
    let mut pictures = 0;
    for content in pages.iter() {
        let mut context = Context::new(
            Affine::IDENTITY,
            Rect::new(0.0, 0.0, 1.0, 1.0),
            &cache,
            pdf.xref(),
            InterpreterSettings::default(),
        );
        interpret_page(content, &mut context, &mut page);
        let (width, height) = content.render_dimensions();
        let is_covered = page.covered * 2.0 > f64::from(width) * f64::from(height);
        pictures += usize::from(is_covered && page.glyphs.len() < FEW_GLYPHS);
        page.covered = 0.0;
        layout.page(&std::mem::take(&mut page.glyphs));
        page.last_run.clear();
        if layout.bytes() > MAX_TEXT {
            return Err(format!("a PDF with more than {} MiB of text", MAX_TEXT >> 20));
        }
    }
    let text = layout.finish();
    if page.unknown * UNKNOWN > page.known + page.unknown {
        return Err("a PDF whose fonts do not say what characters they show; reading it as a picture (ocrmypdf --force-ocr) makes one that does".to_owned());
    }
    if text.trim().is_empty() {
        return Err(match page.images {
            0 => "a PDF without text".to_owned(),
            _ => "a PDF that has pictures of pages and no text; reading them (ocrmypdf) makes one that does"
                .to_owned(),
        });
    }
    let all = pages.len();
    let remark = (pictures > 0).then(|| {
        let are = if pictures == 1 {
            "is a picture, which is"
        } else {
            "are pictures, which are"
        };
        format!(
            "of its {all} pages {pictures} {are} not read (ocrmypdf --skip-text makes a PDF with their text)"
        )
    });
    Ok((text, remark))
}

/// Collects the glyphs of a page.
#[derive(Default)]
struct Page {
    glyphs: Vec<Placed>,
    /// The last run: type that is outlined, or to look bold, is drawn twice.
    last_run: Vec<Placed>,
    known: usize,
    unknown: usize,
    images: usize,
    /// The area of this page's pictures.
    covered: f64,
}

impl Device<'_> for Page {
    fn draw_path(&mut self, _: &BezPath, _: DrawProps<'_>, _: &DrawMode) {}

    fn push_clip_path(&mut self, _: &ClipPath) {}

    fn push_transparency_group(&mut self, _: f32, _: Option<SoftMask<'_>>, _: BlendMode) {}

    fn draw_glyph_run(&mut self, run: &GlyphRun<'_, '_>, props: DrawProps<'_>, _: &DrawMode) {
        let is_vertical = matches!(run.writing_mode(), WritingMode::Vertical);
        let mut placed = Vec::with_capacity(run.glyphs().len());
        for glyph in run.glyphs() {
            let text = match glyph.as_unicode() {
                Some(BfString::Char(c)) => c.to_string(),
                Some(BfString::String(text)) => text,
                None => String::new(),
            };
            if text.is_empty() || text.contains(NO_CHARACTER) {
                self.unknown += 1;
                continue;
            }
            self.known += 1;
            let advance = match &**glyph {
                Glyph::Outline(outline) => outline.advance_width(),
                Glyph::Type3(type3) => type3.advance_width(),
            };
            let to_page = props.transform * glyph.transform();
            placed.extend(place(
                text,
                f64::from(advance.unwrap_or(500.0)),
                to_page,
                is_vertical,
            ));
        }
        let is_over = |(one, other): (&Placed, &Placed)| one.is_over(other);
        if placed.len() != self.last_run.len() || !placed.iter().zip(&self.last_run).all(is_over) {
            self.glyphs.extend(placed.iter().cloned());
        }
        self.last_run = placed;
    }

    fn draw_image(&mut self, image: Image<'_, '_>, props: ImageDrawProps<'_>) {
        self.images += 1;
        // From pixels to the page.
        let pixels = f64::from(image.width()) * f64::from(image.height());
        self.covered += pixels * props.transform.determinant().abs();
    }

    fn pop_clip(&mut self) {}

    fn pop_transparency_group(&mut self) {}
}

/// Where a glyph stands, seen along its own line; `None` where that is nowhere.
fn place(text: String, advance: f64, to_page: Affine, is_vertical: bool) -> Option<Placed> {
    let [a, b, c, d, ..] = to_page.as_coeffs();
    let origin = to_page * Point::ZERO;
    let (along, up, em) = (a.hypot(b), c.hypot(d), 1000.0);
    let (x, y) = (a / along, b / along);
    let placed = if is_vertical {
        // Lines go down, and each stands to the left of the one before.
        Placed {
            at: -origin.y,
            line: origin.x,
            width: up * em,
            size: up * em,
            text,
        }
    } else {
        Placed {
            at: origin.x * x + origin.y * y,
            line: origin.y * x - origin.x * y,
            width: advance * along,
            size: up * em,
            text,
        }
    };
    let numbers = [placed.at, placed.line, placed.width, placed.size];
    (numbers.iter().all(|number| number.is_finite()) && placed.size > 0.0).then_some(placed)
}

#[cfg(test)]
mod tests;

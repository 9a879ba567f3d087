//! The markdown parser on hostile text in hostile pieces: it never panics, no cut changes what it tells, what is certain stays
//! true, events nest, and a preview changes nothing.
//!
//! The input's first byte is the number of sizes of pieces that follow it, its next byte chooses the limits; the rest is the text.

#![no_main]

mod cut;
#[path = "../../crates/render/tests/parser/picture.rs"]
mod picture;

use aurora_render::{Event, Limits, Parser};
use cut::cut;
use libfuzzer_sys::fuzz_target;
use picture::{Picture, draw_pieces};

fuzz_target!(|input: &[u8]| {
    let [sizes, limit, rest @ ..] = input else { return };
    let (sizes, text) = rest.split_at(usize::from(sizes % 8).min(rest.len()));
    let text = String::from_utf8_lossy(text);
    let small = Limits { window: 64, heading: 8, depth: 3, columns: 3, definitions: 2 };
    let limits = if limit % 2 == 0 { Limits::default() } else { small };
    let whole = draw_pieces([&*text], limits);

    let mut parser = Parser::new(limits);
    let mut told = Picture::default();
    let mut depth = 0_usize;
    let mut bytes = 0;
    for piece in cut(text.as_bytes(), sizes) {
        // Pieces end where characters do.
        let from = text.ceil_char_boundary(bytes);
        bytes += piece.len();
        parser.push(&text[from..text.ceil_char_boundary(bytes)], |event| {
            nest(&mut depth, event);
            told.add(event);
        });
        let so_far = told.clone().finish();
        assert!(whole.starts_with(so_far.strip_suffix('}').unwrap_or(&so_far)));
        let mut inner = depth;
        parser.preview(|event| nest(&mut inner, event));
        assert_eq!(inner, 0);
    }
    parser.finish(|event| {
        nest(&mut depth, event);
        told.add(event);
    });
    assert_eq!(depth, 0);
    assert_eq!(told.finish(), whole);
});

/// Follows how deep an event is in what has begun; one end too many overflows.
fn nest(depth: &mut usize, event: Event<'_>) {
    match event {
        Event::Enter { .. } | Event::Begin { .. } => *depth += 1,
        Event::Leave | Event::End { .. } => *depth -= 1,
        _ => assert!(*depth > 0),
    }
}

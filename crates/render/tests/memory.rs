//! How much the parser holds, seen by an allocator that counts.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use aurora_render::Parser;

thread_local! {
    /// The bytes that this thread holds. Tests run side by side; each counts its own.
    static HELD: Cell<isize> = const { Cell::new(0) };
}

struct Counting;

#[global_allocator]
static COUNTING: Counting = Counting;

fn note(bytes: isize) {
    // A thread that is ending has no counter any more, and nothing to count.
    let _ = HELD.try_with(|held| held.set(held.get() + bytes));
}

#[expect(unsafe_code, reason = "an allocator can not be written without")]
// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(layout.size().cast_signed());
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        note(-layout.size().cast_signed());
        // SAFETY: the caller keeps the contract of `dealloc`.
        unsafe { System.dealloc(memory, layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note(size.cast_signed() - layout.size().cast_signed());
        // SAFETY: the caller keeps the contract of `realloc`.
        unsafe { System.realloc(memory, layout, size) }
    }
}

/// The most that a parser of this text has held between two pushes.
fn most(text: &str, size: usize) -> isize {
    let before = HELD.get();
    let mut parser = Parser::default();
    let mut most = 0;
    let mut rest = text;
    while !rest.is_empty() {
        let (piece, after) = rest.split_at(rest.ceil_char_boundary(size));
        parser.push(piece, |_| ());
        most = most.max(HELD.get() - before);
        rest = after;
    }
    most
}

#[test]
fn hostile_texts_are_not_kept() {
    let many = |unit: &str| unit.repeat(150_000 / unit.len());
    let mut texts: Vec<String> = [
        "[",
        "![",
        "*a ",
        "a* ",
        "*a _b ",
        "**a *b** c* ",
        "> ",
        "- ",
        "`",
        "` ``a",
        "x <!--",
        "<a b ",
        "$a ",
        "\\(a ",
        "[a](",
        "![[](",
        "&a",
        " https://",
        "https://a.b/((",
        " ",
        "a  ",
        "\t",
        "|",
        "|cell ",
        "a|b",
        "#",
        "# ",
        "=",
        "-",
        "word ",
        "\n",
        "a\n",
        "a\n\n",
        "> a\n",
        "- a\n\n  b\n",
        "```\na\n",
        "$$\n",
        "$$ a",
        "~",
        "字",
        "**「字」",
        "    a\n\n",
        "1. a\n",
        "|a|\n|-|\n",
        "<div>",
        "<!-- a",
        "\\",
        "\r",
        "]",
    ]
    .map(many)
    .into();
    texts.push(format!("|a|b|\n|-|-|\n{}", many("|cell ")));
    texts.push(format!("# {}", many("a ")));
    texts.push(format!("$$\n{}", many("a ")));
    texts.push(format!("<!-- {}", many("a ")));
    texts.push(format!("```\n{}", many("a ")));
    texts.push(
        (0..1_000)
            .map(|depth| "  ".repeat(depth.min(100)) + "- a\n")
            .collect(),
    );
    texts.push((0..10_000).map(|number| format!("[{number}]: /u\n")).collect());
    for text in &texts {
        for size in [7, text.len()] {
            let most = most(text, size);
            let start: String = text.chars().take(20).collect();
            assert!(most < 128 * 1024, "{start:?} in pieces of {size}: {most} bytes");
        }
    }
}

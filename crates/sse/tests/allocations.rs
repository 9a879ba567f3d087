//! How often the decoder and the encoder ask for memory, seen by an allocator that counts.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use aurora_sse::{Decoder, Frame};

thread_local! {
    /// Requests of this thread, and the bytes it holds. Tests run side by side; each counts its own.
    static REQUESTS: Cell<usize> = const { Cell::new(0) };
    static HELD: Cell<isize> = const { Cell::new(0) };
}

struct Counting;

#[global_allocator]
static COUNTING: Counting = Counting;

fn note(requests: usize, bytes: isize) {
    // A thread that is ending has no counters any more, and nothing to count.
    let _ = REQUESTS.try_with(|count| count.set(count.get() + requests));
    let _ = HELD.try_with(|held| held.set(held.get() + bytes));
}

#[expect(unsafe_code, reason = "an allocator can not be written without")]
// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(1, layout.size().cast_signed());
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        note(0, -layout.size().cast_signed());
        // SAFETY: the caller keeps the contract of `dealloc`.
        unsafe { System.dealloc(memory, layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note(1, size.cast_signed() - layout.size().cast_signed());
        // SAFETY: the caller keeps the contract of `realloc`.
        unsafe { System.realloc(memory, layout, size) }
    }
}

fn requests(work: impl FnOnce()) -> usize {
    let before = REQUESTS.get();
    work();
    REQUESTS.get() - before
}

fn feed(decoder: &mut Decoder, stream: &[u8], size: usize) -> usize {
    let mut events = 0;
    for mut input in stream.chunks(size) {
        while decoder.next_item(&mut input).expect("within the limit").is_some() {
            events += 1;
        }
    }
    events
}

#[test]
fn no_event_allocates_in_steady_state() {
    let mut stream = Vec::new();
    for number in 0..200 {
        let (id, data) = (
            format!("stream.{:04}", number % 7),
            "{\"content\":\"für €\"}".repeat(number % 20),
        );
        let event = if number % 3 == 0 {
            ""
        } else {
            "content_block_delta"
        };
        Frame {
            event,
            id: (number % 2 == 0).then_some(&id),
            retry: None,
            data: &data,
        }
        .encode_into(&mut stream)
        .unwrap();
        stream.extend_from_slice(
            b": keepalive\ndata: two\r\ndata: lines\r\n\r\n{\"stray\":true}\ndata: \xFF\xE2\x82\n\n",
        );
    }
    for size in [1, 7, 100, 1000, stream.len()] {
        let mut decoder = Decoder::new().with_stray_lines();
        feed(&mut decoder, &stream, size);
        let mut events = 0;
        let count = requests(|| events = feed(&mut decoder, &stream, size));
        assert_eq!((events, count), (800, 0), "reads of {size}");
    }
}

#[test]
fn an_event_in_one_read_is_borrowed() {
    let mut decoder = Decoder::new();
    let stream = b"data: one\n\nevent: x\r\ndata: two\r\n\r\n: c\ndata: three\n\n".repeat(100);
    let mut events = 0;
    assert_eq!(
        requests(|| events = feed(&mut decoder, &stream, stream.len())),
        0,
        "not even the first"
    );
    assert_eq!(events, 300);
}

#[test]
fn a_huge_event_leaves_no_huge_buffer() {
    let before = HELD.get();
    let mut decoder = Decoder::new();
    let huge = [b"data: ".to_vec(), b"x\xFF".repeat(1 << 20), b"\n\n".to_vec()].concat();
    let input = HELD.get();
    let (most, last) = huge.split_at(huge.len() - 1);
    assert_eq!(feed(&mut decoder, most, 1000), 0);
    assert!(HELD.get() - input > 2 << 20, "the event is kept");
    assert_eq!(feed(&mut decoder, last, 1), 1);
    drop(huge);
    let held = HELD.get() - before;
    assert!(held <= 4 << 16, "{held} bytes");
}

#[test]
fn comments_and_failures_hold_nothing() {
    let mut decoder = Decoder::new().with_limit(1 << 20);
    let before = HELD.get();
    let chunk = [b'x'; 4096];
    assert_eq!(decoder.next_event(&mut &b": "[..]), Ok(None));
    for _ in 0..1000 {
        assert_eq!(decoder.next_event(&mut &chunk[..]), Ok(None));
    }
    assert_eq!(HELD.get(), before, "an endless comment");
    assert_eq!(decoder.next_event(&mut &b"\n"[..]), Ok(None));
    while decoder.next_event(&mut &chunk[..]).is_ok() {}
    assert!(
        HELD.get() - before <= 1 << 16,
        "an endless line, once it has failed"
    );
}

#[test]
fn frames_are_written_in_place() {
    let mut out = Vec::with_capacity(1 << 16);
    let frame = Frame {
        event: "delta",
        id: Some("stream.17"),
        retry: None,
        data: "{\"a\":1}\n{\"b\":2}",
    };
    let count = requests(|| {
        for _ in 0..100 {
            frame.encode_into(&mut out).unwrap();
        }
    });
    assert_eq!(count, 0);
}

//! What a process holds: bytes its allocator has given out, and open files. Exact figures, not what the system rounds
//! them to.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    sync::atomic::{AtomicUsize, Ordering},
};

use rustix::process::{Resource, getrlimit, setrlimit};

static HELD: AtomicUsize = AtomicUsize::new(0);

struct Counting;

#[global_allocator]
static COUNTING: Counting = Counting;

#[expect(unsafe_code, reason = "an allocator can not be written without")]
// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        HELD.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of `dealloc`.
        unsafe { System.dealloc(memory, layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        HELD.fetch_add(size, Ordering::Relaxed);
        HELD.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of `realloc`.
        unsafe { System.realloc(memory, layout, size) }
    }
}

/// What the process holds at a moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Held {
    pub(crate) bytes: usize,
    pub(crate) files: usize,
}

impl Held {
    pub(crate) fn now() -> Self {
        let files = std::fs::read_dir("/proc/self/fd").expect("Linux tells a process its files");
        Self {
            bytes: HELD.load(Ordering::Relaxed),
            files: files.count(),
        }
    }
}

/// Lets the process have this many open files.
///
/// # Panics
///
/// If the system does not allow as many.
pub(crate) fn allow_files(needed: u64) {
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current.is_some_and(|current| current < needed) {
        let most = limit.maximum.unwrap_or(needed);
        assert!(
            most >= needed,
            "this needs {needed} open files and may have {most}: raise the hard limit (ulimit -Hn), or lower AURORA_SOAK"
        );
        limit.current = Some(needed);
        setrlimit(Resource::Nofile, limit).expect("a soft limit up to the hard one");
    }
}

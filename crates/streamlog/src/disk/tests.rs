//! The suite of all stores, under every promise.

mod recovery;

use super::*;
use crate::conformance;

/// A folder that goes with the test.
pub(super) struct Folder(std::path::PathBuf);

impl Folder {
    pub(super) fn new() -> Self {
        let name = format!("aurora-streamlog-{}", StreamId::random().unwrap());
        Self(std::env::temp_dir().join(name))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

async fn conforms(fsync: Fsync, cache_bytes: usize) {
    let folders = Mutex::new(Vec::new());
    conformance::run(async |limits| {
        let folder = Folder::new();
        let options = Options {
            keep: limits.keep,
            max_bytes: limits.max_bytes,
            max_stream_bytes: limits.max_stream_bytes,
            fsync,
            cache_bytes,
            segment_bytes: 1 << 20,
            ..Options::default()
        };
        let store = Disk::open(folder.path(), options).unwrap();
        lock(&folders).push(folder);
        Arc::new(store) as Arc<dyn Store>
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_conforms_when_the_system_has_it() {
    conforms(Fsync::None, 64 << 20).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_conforms_when_readers_read_from_the_disk() {
    conforms(Fsync::None, 0).await;
}

#[tokio::test]
async fn it_conforms_on_one_thread_with_intervals() {
    conforms(Fsync::Interval(Duration::from_millis(5)), 1 << 20).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_conforms_when_the_disk_has_it() {
    conforms(Fsync::Group, 64 << 20).await;
}

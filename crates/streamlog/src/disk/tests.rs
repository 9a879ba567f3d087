//! The suite of all stores, under every promise.

mod crash;
mod faults;
mod keeping;
mod model;
mod recovery;
mod stalls;
mod untold;

use super::*;
use crate::{Batch, conformance};

const OWNER: Owner = Owner::from_bytes([3; 16]);

fn options() -> Options {
    Options {
        fsync: Fsync::None,
        ..Options::default()
    }
}

fn new_stream() -> NewStream {
    NewStream {
        id: StreamId::random().unwrap(),
        owner: OWNER,
        created: SystemTime::now(),
        header: b"header"[..].into(),
    }
}

async fn write(writer: &mut dyn Writer, records: impl IntoIterator<Item = String>) {
    for record in records {
        writer.append(record.as_bytes()).unwrap();
    }
    writer.flush().await.unwrap();
}

/// What can be read without waiting.
async fn read(log: &dyn Log, from: u64) -> Result<Vec<String>, Error> {
    let (mut reader, mut batch, mut records) = (log.read(from), Batch::new(), Vec::new());
    while reader.next_seq() < log.next_seq() {
        assert!(reader.next_batch(&mut batch).await?);
        records.extend(
            batch
                .iter()
                .map(|record| String::from_utf8(record.to_vec()).unwrap()),
        );
    }
    Ok(records)
}

async fn open(store: &Disk, id: StreamId) -> Arc<dyn Log> {
    store.open(&id, &OWNER).await.unwrap()
}

fn record(n: usize) -> String {
    format!("{{\"choices\":[{{\"delta\":{{\"content\":\" word {n}\"}}}}]}}")
}

/// A folder that goes with the test.
struct Folder(std::path::PathBuf);

impl Folder {
    fn new() -> Self {
        let name = format!("aurora-streamlog-{}", StreamId::random().unwrap());
        Self(std::env::temp_dir().join(name))
    }

    fn path(&self) -> &Path {
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

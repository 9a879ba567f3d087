//! What it costs to log the events of answers and to read them again, in memory and on disk, next to a `Vec` of `Bytes`
//! that is the least anybody could do and survives nothing.
//!
//! Wall time, since the disk is part of it: read the orders of magnitude.

use std::{path::Path, sync::Arc, time::Instant, time::SystemTime};

use aurora_streamlog::{
    Batch, Disk, DiskOptions, Fsync, Memory, MemoryOptions, NewStream, Owner, Store, StreamId, Writer,
};
use bytes::Bytes;

/// Events of one answer.
const EVENTS: usize = 1000;

/// Answers that are written at the same time.
const STREAMS: usize = 64;

/// How often all of it is done; the median counts.
const ROUNDS: usize = 7;

#[tokio::main]
async fn main() {
    let chunks: Vec<Vec<u8>> = (0..EVENTS).map(chunk).collect();
    println!(
        "{STREAMS} answers of {EVENTS} events, {} bytes each; flushed after each event\n",
        chunks[0].len()
    );
    println!("| | append, ns an event | replay, million events/s | bytes an event |");
    println!("|---|---:|---:|---:|");
    row(
        "a Vec of Bytes",
        (0..ROUNDS).map(|_| vec_of_bytes(&chunks)).collect(),
    );

    let mut rows = Vec::new();
    for _ in 0..ROUNDS {
        let options = MemoryOptions {
            max_bytes: 4 << 30,
            ..MemoryOptions::default()
        };
        rows.push(round(Arc::new(Memory::new(options)), &chunks).await);
    }
    row("memory", rows);

    for (name, fsync, cache_bytes) in [
        ("disk, `none`", Fsync::None, 64 << 20),
        ("disk, `none`, read from the disk", Fsync::None, 0),
        ("disk, `group`", Fsync::Group, 64 << 20),
    ] {
        let mut rows = Vec::new();
        for round_number in 0..ROUNDS {
            let folder =
                std::env::temp_dir().join(format!("aurora-bench-{}-{round_number}", std::process::id()));
            let options = DiskOptions {
                fsync,
                cache_bytes,
                max_bytes: 4 << 30,
                ..DiskOptions::default()
            };
            rows.push(on_disk(&folder, options, &chunks).await);
        }
        row(name, rows);
    }
}

async fn on_disk(folder: &Path, options: DiskOptions, chunks: &[Vec<u8>]) -> [f64; 3] {
    let store = Arc::new(Disk::open(folder, options).expect("a folder to write to"));
    let result = round(store.clone(), chunks).await;
    store.close().await.expect("a disk with room");
    drop(store);
    std::fs::remove_dir_all(folder).expect("the folder is ours");
    result
}

/// Writes all streams side by side, and reads each of them from the start. Gives the figures of a row.
async fn round(store: Arc<dyn Store>, chunks: &[Vec<u8>]) -> [f64; 3] {
    let mut writers = Vec::new();
    for _ in 0..STREAMS {
        let new = NewStream {
            id: StreamId::random().expect("random numbers"),
            owner: Owner::ANYONE,
            created: SystemTime::now(),
            header: Bytes::new(),
        };
        writers.push(store.create(new).await.expect("room"));
    }
    let logs: Vec<_> = writers.iter().map(|writer| writer.log()).collect();
    let events = (STREAMS * EVENTS) as f64;

    let begun = Instant::now();
    for chunk in chunks {
        for writer in &mut writers {
            append(&mut **writer, chunk).await;
        }
    }
    let ends: Vec<_> = writers.into_iter().map(|writer| writer.finish(b"")).collect();
    for end in ends {
        end.await.expect("a store that can write");
    }
    let append = begun.elapsed().as_nanos() as f64 / events;
    let bytes = store.usage().bytes as f64 / events;

    let begun = Instant::now();
    let mut batch = Batch::new();
    for log in &logs {
        let (mut reader, mut read) = (log.read(0), 0);
        while reader.next_batch(&mut batch).await.expect("an intact stream") {
            read += batch.iter().filter(|record| !record.is_empty()).count();
        }
        assert_eq!(read, EVENTS);
    }
    [append, events / begun.elapsed().as_secs_f64() / 1e6, bytes]
}

async fn append(writer: &mut dyn Writer, chunk: &[u8]) {
    writer.append(chunk).expect("a short record");
    writer.flush().await.expect("a store that can write");
}

fn vec_of_bytes(chunks: &[Vec<u8>]) -> [f64; 3] {
    let mut streams = vec![Vec::new(); STREAMS];
    let events = (STREAMS * EVENTS) as f64;
    let begun = Instant::now();
    for chunk in chunks {
        for stream in &mut streams {
            stream.push(Bytes::copy_from_slice(chunk));
        }
    }
    let append = begun.elapsed().as_nanos() as f64 / events;
    let begun = Instant::now();
    let mut copy = Vec::new();
    for stream in &streams {
        for part in stream.chunks(100) {
            copy.clear();
            part.iter().for_each(|record| copy.extend_from_slice(record));
            std::hint::black_box(&copy);
        }
    }
    let replay = events / begun.elapsed().as_secs_f64() / 1e6;
    [append, replay, (chunks[0].len() + size_of::<Bytes>()) as f64]
}

/// Prints the median of each figure.
fn row(name: &str, rounds: Vec<[f64; 3]>) {
    let median = |figure: usize| {
        let mut all: Vec<_> = rounds.iter().map(|round| round[figure]).collect();
        all.sort_by(f64::total_cmp);
        all[all.len() / 2]
    };
    println!(
        "| {name} | {:.0} | {:.1} | {:.0} |",
        median(0),
        median(1),
        median(2)
    );
}

/// A chunk as an API sends it.
fn chunk(index: usize) -> Vec<u8> {
    let words = ["the", " light", "house", " keeper", " saw", " a", " ship", "."];
    format!(
        r#"{{"id":"chatcmpl-9QyMXKsMbHfAFzpOGYYJhWTPrjtVW","object":"chat.completion.chunk","created":1715000000,"model":"gpt-4o-2024-08-06","service_tier":"default","system_fingerprint":"fp_3b956da36b","choices":[{{"index":0,"delta":{{"content":"{}"}},"logprobs":null,"finish_reason":null}}],"usage":null}}"#,
        words[index % words.len()]
    )
    .into_bytes()
}

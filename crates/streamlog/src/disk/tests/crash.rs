//! The process is killed, again and again, at any moment of its work. Whatever a reader was shown is there afterwards, byte
//! for byte, and what was finished is finished.

use std::{
    collections::HashMap,
    io::{BufRead, BufReader, Write},
    process::{Command, Stdio},
};

use super::*;
use crate::Batch;

/// How often it is killed.
const ROUNDS: u64 = 20;

/// Names the folder for the process that is to be killed.
const FOLDER: &str = "AURORA_STREAMLOG_CRASH_FOLDER";

/// The process that is killed: writes streams side by side, and prints what readers were shown.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "it runs until it is killed; the other test starts it"]
async fn child() {
    let folder = std::env::var_os(FOLDER).expect("a folder to work in");
    let options = Options {
        fsync: Fsync::Group,
        segment_bytes: 64 << 10,
        ..Options::default()
    };
    let store = Disk::open(folder, options).unwrap();
    let orphans = store.orphans().await.unwrap();
    for orphan in orphans {
        store.adopt(&orphan).await.unwrap().finish(b"").await.unwrap();
        say(&format!("finished {orphan}"));
    }
    loop {
        let streams = (0..8).map(|_| tokio::spawn(one_stream(store.clone())));
        for stream in streams.collect::<Vec<_>>() {
            stream.await.unwrap();
        }
    }
}

async fn one_stream(store: Disk) {
    let mut writer = store.create(new_stream()).await.unwrap();
    let (id, mut reader, mut batch) = (writer.id(), writer.log().read(0), Batch::new());
    let reads = tokio::spawn(async move {
        while reader.next_batch(&mut batch).await.unwrap() {
            say(&format!("shown {id} {}", reader.next_seq()));
        }
    });
    for n in 0..100 {
        write(&mut *writer, [record(n)]).await;
        tokio::task::yield_now().await;
    }
    writer.finish(b"").await.unwrap();
    say(&format!("finished {id}"));
    reads.await.unwrap();
}

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    // In one write, so that the end of the process leaves no part of a line that looks like one.
    out.write_all(format!("\n{line} .\n").as_bytes()).unwrap();
    out.flush().unwrap();
}

#[tokio::test]
async fn nothing_that_was_shown_is_lost() {
    let folder = Folder::new();
    let mut shown: HashMap<StreamId, u64> = HashMap::new();
    let mut finished: Vec<StreamId> = Vec::new();
    for round in 0..ROUNDS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "disk::tests::crash::child", "--ignored", "--nocapture"])
            .env(FOLDER, folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        // Killed after so many words of its own, so that the moment does not depend on how busy the machine is.
        let patience = 1 + round * round * 7 % 997;
        let mut said = 0;
        while let Some(Ok(line)) = lines.next() {
            let words: Vec<_> = line.split(' ').collect();
            match words[..] {
                ["shown", id, next_seq, "."] => {
                    let most = shown.entry(id.parse().unwrap()).or_default();
                    *most = (*most).max(next_seq.parse().unwrap());
                }
                ["finished", id, "."] => finished.push(id.parse().unwrap()),
                _ => continue,
            }
            said += 1;
            if said == patience {
                child.kill().unwrap();
            }
        }
        child.wait().unwrap();
        assert!(
            said >= patience,
            "the child ended by itself after {said} lines, in round {round}"
        );

        let store = Disk::open(folder.path(), Options::default()).unwrap();
        for (id, next_seq) in &shown {
            let log = open(&store, *id).await;
            let records = read(&*log, 0).await.unwrap();
            assert!(
                records.len() as u64 >= *next_seq,
                "{} of {next_seq} records",
                records.len()
            );
            assert_eq!(records, (0..records.len()).map(record).collect::<Vec<_>>());
        }
        for id in &finished {
            assert!(matches!(open(&store, *id).await.state(), State::Finished { .. }));
        }
    }
    assert!(
        shown.len() > 20 && finished.len() > 5,
        "{} streams, {} finished",
        shown.len(),
        finished.len()
    );
}

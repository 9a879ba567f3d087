//! Any order of doing things, with restarts in between, against a model that is a map of vectors.

use proptest::prelude::*;

use super::*;

/// One thing done, to the stream chosen by the number.
#[derive(Clone, Debug)]
enum Step {
    Create,
    Append(usize, Vec<String>),
    Finish(usize),
    Abandon(usize),
    Adopt(usize),
    Remove(usize),
    Reopen,
}

/// A stream as it should be.
struct Model {
    id: StreamId,
    records: Vec<String>,
    is_finished: bool,
    writer: Option<Box<dyn Writer>>,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let records = || prop::collection::vec("[ab]{0,30}", 0..80);
    let step = prop_oneof![
        3 => Just(Step::Create),
        10 => (0..9_usize, records()).prop_map(|(at, records)| Step::Append(at, records)),
        2 => (0..9_usize).prop_map(Step::Finish),
        2 => (0..9_usize).prop_map(Step::Abandon),
        3 => (0..9_usize).prop_map(Step::Adopt),
        1 => (0..9_usize).prop_map(Step::Remove),
        1 => Just(Step::Reopen),
    ];
    prop::collection::vec(step, 0..60)
}

async fn run(steps: Vec<Step>) {
    let folder = Folder::new();
    let options = Options {
        segment_bytes: 64 << 10,
        cache_bytes: 4096,
        ..options()
    };
    let mut store = Disk::open(folder.path(), options).unwrap();
    let mut streams: Vec<Model> = Vec::new();
    for step in steps.into_iter().chain([Step::Reopen]) {
        let count = streams.len().max(1);
        match step {
            Step::Create => {
                let writer = store.create(new_stream()).await.unwrap();
                streams.push(Model {
                    id: writer.id(),
                    records: Vec::new(),
                    is_finished: false,
                    writer: Some(writer),
                });
            }
            Step::Append(at, records) => {
                if let Some(Model {
                    records: all,
                    writer: Some(writer),
                    ..
                }) = streams.get_mut(at % count)
                {
                    write(&mut **writer, records.iter().cloned()).await;
                    all.extend(records);
                }
            }
            Step::Finish(at) => {
                if let Some(stream) = streams.get_mut(at % count)
                    && let Some(writer) = stream.writer.take()
                {
                    writer
                        .finish(stream.records.len().to_string().as_bytes())
                        .await
                        .unwrap();
                    stream.is_finished = true;
                }
            }
            Step::Abandon(at) => {
                if let Some(stream) = streams.get_mut(at % count) {
                    stream.writer = None;
                }
            }
            Step::Adopt(at) => {
                if let Some(stream) = streams.get_mut(at % count) {
                    match store.adopt(&stream.id).await {
                        Ok(writer) => {
                            assert!(stream.writer.is_none() && !stream.is_finished);
                            assert_eq!(writer.next_seq(), stream.records.len() as u64);
                            stream.writer = Some(writer);
                        }
                        Err(error) => {
                            assert!(matches!(error, Error::NotOrphaned));
                            assert!(stream.writer.is_some() || stream.is_finished);
                        }
                    }
                }
            }
            Step::Remove(at) => {
                if !streams.is_empty() {
                    let stream = streams.swap_remove(at % count);
                    store.remove(&stream.id, &OWNER).await.unwrap();
                    assert!(matches!(
                        store.open(&stream.id, &OWNER).await,
                        Err(Error::Unknown)
                    ));
                }
            }
            Step::Reopen => {
                for stream in &mut streams {
                    stream.writer = None;
                }
                drop(store);
                store = Disk::open(folder.path(), options).unwrap();
                assert_eq!(store.usage().live + store.usage().finished, streams.len());
                for stream in &streams {
                    check(&store, stream).await;
                }
            }
        }
    }
}

async fn check(store: &Disk, stream: &Model) {
    let log = open(store, stream.id).await;
    let middle = stream.records.len() / 2;
    assert_eq!(read(&*log, 0).await.unwrap(), stream.records);
    assert_eq!(
        read(&*log, middle as u64).await.unwrap(),
        stream.records[middle..]
    );
    match log.state() {
        State::Open => assert!(!stream.is_finished),
        State::Finished { footer, .. } => assert_eq!(footer, stream.records.len().to_string()),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn it_does_what_the_model_does(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(run(steps));
    }
}

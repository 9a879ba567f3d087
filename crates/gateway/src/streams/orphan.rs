//! The end of a stream that its server left open: killed, or unable to write.
//!
//! What was said last is looked at first. A server may die between the last record of an answer and the end of its
//! stream, and an answer that has its `[DONE]`, or its error, has been told as that: it gets no other end. A response that is
//! not to be stored goes instead: whoever read it is gone with the server.

use aurora_chat::dialect::openai::Reader as Dialect;
use aurora_chat::{End, Ending};
use aurora_streamlog::{Batch, Error, Log, Writer};

use super::footer::Footer;
use super::records::{Put, Records};
use super::relay::interrupted;
use super::title::Title;

/// Ends it, and says how; `None` if it was removed.
pub(crate) async fn end(mut writer: Box<dyn Writer>) -> Result<Option<End>, Error> {
    let log = writer.log();
    let title = Title::read(&log.header().await?);
    if title.response.as_ref().is_some_and(|settings| !settings.store) {
        writer.discard().await?;
        return Ok(None);
    }
    let told = told(&*log, writer.next_seq()).await?;
    let model = told.model.unwrap_or_else(|| title.model.clone());
    let end = match told.end {
        Some(end) => end,
        None => {
            let end =
                interrupted("the server that produced the answer went away; the answer is not complete");
            let mut sink = Sink(&mut *writer, Ok(0));
            Records::new(title).end(&end, &mut sink);
            sink.1?;
            writer.flush().await?;
            end
        }
    };
    writer.finish(&Footer::of(&end, &model).to_bytes()).await?;
    Ok(Some(end))
}

/// What the records say.
struct Told {
    /// The end, if one of them is it.
    end: Option<End>,
    model: Option<String>,
}

/// Reads the records before the one numbered `until`, which are all there are.
async fn told(log: &dyn Log, until: u64) -> Result<Told, Error> {
    let mut reader = log.read(0);
    let mut batch = Batch::new();
    let mut dialect = Dialect::new();
    let mut deltas = Vec::new();
    let mut failure = None;
    while reader.next_seq() < until && reader.next_batch(&mut batch).await? {
        for record in batch.iter() {
            if let Err(reported) = dialect.read("", &String::from_utf8_lossy(record), &mut deltas) {
                failure = Some(reported);
            }
            deltas.clear();
        }
    }
    let end = match failure {
        Some(failure) => Some(End::of_failure(failure)),
        None => dialect.is_done().then(|| dialect.end(Ending::Eof).end),
    };
    Ok(Told {
        end,
        model: dialect.model().map(str::to_owned),
    })
}

struct Sink<'a>(&'a mut dyn Writer, Result<u64, Error>);

impl Put for Sink<'_> {
    fn put(&mut self, record: &[u8]) {
        if self.1.is_ok() {
            self.1 = self.0.append(record);
        }
    }

    fn put_last(&mut self, record: &[u8]) {
        if self.1.is_ok() {
            self.1 = self.0.append_last(record);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use aurora_chat::dialect::responses::Settings;
    use aurora_streamlog::{Memory, NewStream, Owner, State, Store, StreamId};

    use super::*;

    const CHUNK: &str = r#"{"model":"m","choices":[{"delta":{"content":"a"}}]}"#;
    const FINISH: &str = r#"{"model":"m","choices":[{"delta":{},"finish_reason":"length"}]}"#;
    const CANCELLED: &str = r#"{"error":{"message":"cancelled","type":"cancelled"}}"#;

    /// A store with a stream of this title that was left with these records.
    async fn left(title: &Title, records: &[&str]) -> (Memory, StreamId) {
        let store = Memory::default();
        let id = StreamId::random().expect("random numbers");
        let new = NewStream {
            id,
            owner: Owner::ANYONE,
            created: SystemTime::now(),
            header: title.header().into(),
        };
        let mut writer = store.create(new).await.expect("room");
        for record in records {
            writer.append(record.as_bytes()).expect("room");
        }
        writer.flush().await.expect("room");
        drop(writer);
        (store, id)
    }

    /// What a stream is that was left with these records, and then ended.
    async fn ended(records: &[&str]) -> (Vec<String>, Footer) {
        let (store, id) = left(&Title::default(), records).await;
        end(store.adopt(&id).await.expect("an orphan"))
            .await
            .expect("an end");

        let log = store.open(&id, &Owner::ANYONE).await.expect("the stream");
        let (mut reader, mut batch, mut all) = (log.read(0), Batch::new(), Vec::new());
        while reader.next_batch(&mut batch).await.expect("records") {
            all.extend(
                batch
                    .iter()
                    .map(|record| String::from_utf8_lossy(record).into_owned()),
            );
        }
        let State::Finished { footer, .. } = log.state() else {
            panic!("the stream is open")
        };
        (all, Footer::read(&footer).expect("a footer"))
    }

    #[tokio::test]
    async fn an_end_that_was_told_stays_the_end() {
        for (last, verdict) in [("[DONE]", "length"), (CANCELLED, "cancelled")] {
            let records = [CHUNK, FINISH, last];
            let (all, footer) = ended(&records).await;
            assert_eq!(all, records);
            assert_eq!((footer.verdict.as_str(), footer.model.as_str()), (verdict, "m"));
        }
    }

    #[tokio::test]
    async fn a_response_that_is_not_to_be_stored_goes_and_one_that_is_stays() {
        for stored in [false, true] {
            let title = Title {
                response: Some(Settings {
                    store: stored,
                    ..Settings::default()
                }),
                ..Title::default()
            };
            let (store, id) = left(&title, &[CHUNK]).await;
            let end = end(store.adopt(&id).await.expect("an orphan")).await;
            assert_eq!(end.expect("room").is_some(), stored);
            assert_eq!(store.open(&id, &Owner::ANYONE).await.is_ok(), stored);
            assert_eq!(store.orphans().await.expect("ids"), []);
        }
    }

    #[tokio::test]
    async fn without_an_end_a_stream_is_interrupted() {
        for records in [&[][..], &[CHUNK], &[CHUNK, FINISH]] {
            let (all, footer) = ended(records).await;
            assert_eq!(all.len(), records.len() + 1);
            let last = all.last().expect("an error");
            assert!(last.contains(r#""type":"stream_interrupted""#), "{last}");
            assert_eq!(footer.verdict, "interrupted");
        }
    }
}

//! A client that believes nothing: it follows a stream and checks every event against those before it.

use serde_json::Value;

use super::Kept;

/// What a client knows of an answer.
#[derive(Debug, Default)]
pub(super) struct Client {
    pub(super) items: Vec<Item>,
    /// The response object of the last event that had one.
    pub(super) response: Value,
    pub(super) ends: Vec<&'static str>,
    next: u64,
}

#[derive(Debug, Default)]
pub(super) struct Item {
    pub(super) id: String,
    /// Text by part, with the part's type; for a call, its arguments.
    pub(super) texts: Vec<(String, String)>,
    open_part: bool,
    /// The item as the event that ended it has it.
    pub(super) done: Option<Value>,
}

impl Client {
    pub(super) fn of(events: &[Kept]) -> Self {
        let mut client = Self::default();
        for event in events {
            client.read(event);
        }
        client
    }

    fn read(&mut self, event: &Kept) {
        let data: Value = serde_json::from_str(&event.data).unwrap();
        assert_eq!(event.sequence_number, self.next, "numbers are dense");
        assert_eq!(
            self.ends.as_slice(),
            if event.kind == "error" && !self.ends.is_empty() {
                &["response.failed"][..]
            } else {
                &[]
            },
            "nothing follows an end but the error of a failed response"
        );
        self.next += 1;
        match event.kind {
            "response.created" => assert_eq!(event.sequence_number, 0),
            "response.queued" => assert_eq!(event.sequence_number, 1),
            "response.completed" | "response.incomplete" | "response.failed" | "error" => {
                self.ends.push(event.kind);
            }
            _ => {}
        }
        if let Some(response) = data.get("response") {
            self.response = response.clone();
            return;
        }
        if event.kind == "error" {
            return;
        }
        let place = usize::try_from(data["output_index"].as_u64().unwrap()).unwrap();
        if event.kind == "response.output_item.added" {
            assert_eq!(place, self.items.len(), "items are added in order");
            self.items.push(Item::added(&data["item"]));
            return;
        }
        self.items[place].read(event.kind, &data);
    }
}

impl Item {
    fn added(item: &Value) -> Self {
        assert_eq!(item["status"], "in_progress");
        let call = item["type"] == "function_call";
        if call {
            assert_eq!(item["arguments"], "");
        } else {
            assert_eq!(item["content"], Value::Array(Vec::new()));
        }
        Self {
            id: item["id"].as_str().unwrap().to_owned(),
            texts: call
                .then(|| ("arguments".to_owned(), String::new()))
                .into_iter()
                .collect(),
            ..Self::default()
        }
    }

    fn read(&mut self, kind: &str, data: &Value) {
        assert!(self.done.is_none(), "nothing is added to an item that is done");
        if kind == "response.output_item.done" {
            assert!(!self.open_part);
            assert_eq!(data["item"]["id"], self.id.as_str());
            self.done = Some(data["item"].clone());
            return;
        }
        assert_eq!(data["item_id"], self.id.as_str());
        if kind == "response.content_part.added" {
            assert!(!self.open_part, "one part at a time");
            self.open_part = true;
            let part = data["part"]["type"].as_str().unwrap();
            self.texts.push((part.to_owned(), String::new()));
        }
        if let Some(index) = data.get("content_index") {
            assert_eq!(index, self.texts.len() - 1);
            assert!(self.open_part);
        }
        let (part, text) = self.texts.last_mut().unwrap();
        let word = match part.as_str() {
            "refusal" => "refusal",
            "arguments" => "arguments",
            _ => "text",
        };
        match kind.rsplit('.').next().unwrap() {
            "delta" => text.push_str(data["delta"].as_str().unwrap()),
            "done" if kind == "response.content_part.done" => {
                assert_eq!(data["part"]["type"], part.as_str());
                assert_eq!(data["part"][word], text.as_str());
                self.open_part = false;
            }
            "done" => assert_eq!(data[word], text.as_str(), "{kind}"),
            _ => {}
        }
    }
}

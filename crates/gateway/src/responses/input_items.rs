//! A page of what a response answers: which one is asked for, and the list that it is.

use std::collections::VecDeque;

use http::Uri;
use serde_json::{Value, json};

use super::id::invalid;
use crate::Refusal;
use crate::query::parameter;

/// How many items a page has unless `limit` says otherwise, and at most.
const LIMIT: usize = 20;
const LIMIT_MAX: usize = 100;

/// What part of a list is asked for. `include` is not looked at: items have all there is of them.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Page {
    /// From 1 to 100.
    limit: usize,
    /// Whether the oldest item comes first.
    ascending: bool,
    /// The id of the item that the page begins after.
    after: Option<String>,
}

impl Page {
    /// Reads `limit` (1 to 100, by default 20), `order` (`asc` or `desc`, the default) and `after` (the id of an item).
    pub(super) fn asked_for(uri: &Uri) -> Result<Self, Refusal> {
        let limit = match parameter(uri, "limit").transpose()? {
            None => LIMIT,
            Some(text) => text
                .parse()
                .ok()
                .filter(|limit| (1..=LIMIT_MAX).contains(limit) && !text.starts_with('+'))
                .ok_or_else(|| {
                    let message = format!("the parameter limit must be a whole number from 1 to {LIMIT_MAX}");
                    invalid("limit", &message)
                })?,
        };
        let ascending = match parameter(uri, "order").transpose()?.as_deref() {
            Some("asc") => true,
            None | Some("desc") => false,
            Some(_) => return Err(invalid("order", "the parameter order must be asc or desc")),
        };
        let after = parameter(uri, "after").transpose()?;
        Ok(Self {
            limit,
            ascending,
            after,
        })
    }

    /// The page of these items, oldest first, as the body of a reply. An `after` that is none of them is refused: what
    /// follows it is not known.
    pub(super) fn of(self, items: Vec<Value>) -> Result<Vec<u8>, Refusal> {
        let mut items: VecDeque<Value> = if self.ascending {
            items.into()
        } else {
            items.into_iter().rev().collect()
        };
        if let Some(after) = self.after {
            let at = items.iter().position(|item| item["id"] == after.as_str());
            let at = at.ok_or_else(|| {
                let after = aurora_chat::redact::printable(&after, 100);
                let message = format!("the response has no input item with the id '{after}'");
                invalid("after", &message)
            })?;
            items.drain(..=at);
        }
        let has_more = items.len() > self.limit;
        items.truncate(self.limit);
        let id = |item: Option<&Value>| item.map_or(Value::Null, |item| item["id"].clone());
        let list = json!({
            "object": "list",
            "first_id": id(items.front()),
            "last_id": id(items.back()),
            "has_more": has_more,
            "data": items,
        });
        Ok(list.to_string().into_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &str) -> Result<Page, Refusal> {
        Page::asked_for(&format!("/x?{query}").parse().expect("a URI"))
    }

    /// The numbers of the items on a page of 150, and whether there are more.
    fn page(query: &str) -> (Vec<u64>, bool) {
        let items = (0..150)
            .map(|n| json!({ "id": format!("i{n}"), "n": n }))
            .collect();
        let body = read(query).and_then(|page| page.of(items)).expect("a page");
        let list: Value = serde_json::from_slice(&body).expect("JSON");
        let data = list["data"].as_array().expect("a list");
        let id = |item: Option<&Value>| item.map_or(Value::Null, |item| item["id"].clone());
        assert_eq!(
            (&list["object"], &list["first_id"], &list["last_id"]),
            (&json!("list"), &id(data.first()), &id(data.last()))
        );
        let numbers = data.iter().map(|item| item["n"].as_u64().expect("a number"));
        (numbers.collect(), list["has_more"] == json!(true))
    }

    #[test]
    fn pages() {
        assert_eq!(page(""), ((130..150).rev().collect(), true));
        assert_eq!(page("limit=2&order=asc"), (vec![0, 1], true));
        assert_eq!(page("limit=2&order=asc&after=i1"), (vec![2, 3], true));
        assert_eq!(page("limit=2&after=i2"), (vec![1, 0], false));
        assert_eq!(page("limit=1&after=i2"), (vec![1], true));
        assert_eq!(page("after=i0"), (vec![], false));
        assert_eq!(
            page("limit=100&order=desc&after=i100"),
            ((0..100).rev().collect(), false)
        );
    }

    #[test]
    fn what_is_no_page_is_refused_by_name() {
        let table = [
            ("limit=0", "limit"),
            ("limit=101", "limit"),
            ("limit=-1", "limit"),
            ("limit=%2B1", "limit"),
            ("limit=1.0", "limit"),
            ("limit=99999999999999999999999", "limit"),
            ("order=ASC", "order"),
            ("order=%ff", "order"),
            ("after=i1", "after"),
        ];
        for (query, param) in table {
            let refusal = read(query)
                .and_then(|page| page.of(vec![json!({ "id": "i0" })]))
                .expect_err(query);
            assert_eq!(
                (refusal.status(), refusal.body().param.as_deref()),
                (400, Some(param)),
                "{query}"
            );
        }
    }
}

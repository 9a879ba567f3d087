//! The resolved settings as `aurora config show` prints them: the configuration file's own form, each value with where
//! it came from. Keys are shown as `***`.

use std::fmt::Write as _;
use std::num::NonZeroU32;

use serde_json::{Value, json};

use super::file::{KeyPlace, StoreKind, show_key};
use super::{Origin, Settings, Sourced, units};

/// One line of the listing.
struct Entry {
    /// The table it stands in; empty for the root.
    table: String,
    key: String,
    value: Value,
    origin: String,
}

/// The listing as the configuration file would say it, with comments.
pub(crate) fn toml(settings: &Settings) -> String {
    let mut out = String::new();
    if let Some(path) = &settings.config_path {
        let state = if settings.config_exists { "" } else { ", not there" };
        let _ = writeln!(out, "# {} ({}{state})", path.value.display(), path.origin);
    }
    if let Some(path) = &settings.data_dir {
        let _ = writeln!(out, "# data in {} ({})", path.value.display(), path.origin);
    }
    let entries = entries(settings);
    let width = entries
        .iter()
        .map(|entry| entry.assignment().chars().count())
        .max()
        .unwrap_or(0)
        .min(60);
    let mut table = "";
    for entry in &entries {
        if entry.table != table {
            table = &entry.table;
            let _ = writeln!(out, "\n[{table}]");
        }
        let assignment = entry.assignment();
        let _ = writeln!(out, "{assignment:width$}  # {}", entry.origin);
    }
    out
}

/// The listing as JSON, one object a line: `key`, `value`, `origin`.
pub(crate) fn json_lines(settings: &Settings) -> String {
    let mut out = String::new();
    let paths = [
        ("config", &settings.config_path),
        ("data_dir", &settings.data_dir),
    ];
    for (key, path) in paths {
        if let Some(path) = path {
            let line =
                json!({"key": key, "value": path.value.to_string_lossy(), "origin": path.origin.to_string()});
            let _ = writeln!(out, "{line}");
        }
    }
    for Entry {
        table,
        key,
        value,
        origin,
    } in entries(settings)
    {
        let key = if table.is_empty() {
            key
        } else {
            format!("{table}.{key}")
        };
        let line = json!({"key": key, "value": value, "origin": origin});
        let _ = writeln!(out, "{line}");
    }
    out
}

fn entries(settings: &Settings) -> Vec<Entry> {
    let mut list = List {
        table: String::new(),
        entries: Vec::new(),
    };
    list.add("default_model", &settings.default_model, |name| json!(name));
    if let Some(model) = &settings.model {
        list.add("default_model", model, |name| json!(name));
        list.entries.remove(0);
    }
    for (name, endpoint) in &settings.endpoints {
        list.table = format!("endpoints.{}", show_key(name));
        list.add(
            "dialect",
            &Sourced {
                value: "openai",
                origin: Origin::Default,
            },
            |dialect| json!(dialect),
        );
        list.add("base_url", &endpoint.base_url, |url| json!(url));
        if let Some(key) = &endpoint.api_key {
            list.add("api_key", key, |_| json!("***"));
            // A command is not shown: it may hold a secret itself.
            let place = match &key.value {
                KeyPlace::Env(name) => format!("api_key_env {name}"),
                KeyPlace::File(path) => format!("api_key_file {}", path.display()),
                KeyPlace::Command(_) => "api_key_command".to_owned(),
            };
            list.remark(&place);
        }
        let deadline = |deadline: &_| json!(units::show_deadline(*deadline));
        list.add("connect_timeout", &endpoint.connect_timeout, deadline);
        list.add("headers_timeout", &endpoint.headers_timeout, deadline);
        list.add("first_event_timeout", &endpoint.first_event_timeout, deadline);
        list.add("idle_timeout", &endpoint.idle_timeout, deadline);
        list.add("total_timeout", &endpoint.total_timeout, deadline);
        list.add("retries", &endpoint.retries, |retries| json!(retries));
        let rate = |limit: &Option<NonZeroU32>| limit.map_or_else(|| json!("off"), |limit| json!(limit));
        list.add("max_concurrent", &endpoint.max_concurrent, rate);
        list.add("requests_per_minute", &endpoint.requests_per_minute, rate);
        list.add("tokens_per_minute", &endpoint.tokens_per_minute, rate);
        list.add("on_drop", &endpoint.on_drop, |on_drop| {
            json!(units::show_on_drop(*on_drop))
        });
    }
    list.table = "aliases".to_owned();
    for (name, target) in &settings.aliases {
        list.add(&show_key(name), target, |target| json!(target));
    }
    if !settings.aliases.contains_key("gpt-3.5-turbo") {
        let target = Sourced {
            value: &settings.default_model.value,
            origin: Origin::Default,
        };
        list.add("\"gpt-3.5-turbo\"", &target, |target| json!(target));
    }
    let server = &settings.server;
    list.table = "server".to_owned();
    list.add("listen", &server.listen, |address| json!(address.to_string()));
    list.add("allowed_hosts", &server.allowed_hosts, |hosts| json!(hosts));
    list.add("drain", &server.drain, |drain| {
        json!(units::show_duration(*drain))
    });
    list.add("max_body", &server.max_body, |bytes| {
        json!(units::show_size(*bytes))
    });
    for key in &server.keys {
        // The hash stays out of sight too: it is all that a guesser of short keys needs.
        list.add("keys", key, |key| json!(key.name));
    }
    list.table = "streams".to_owned();
    let streams = &server.streams;
    let duration = |duration: &_| json!(units::show_duration(*duration));
    list.add("store", &streams.store, |store| json!(store.as_str()));
    if streams.store.value == StoreKind::Disk {
        if let Some(path) = &streams.path {
            list.add("path", path, |path| json!(path.to_string_lossy()));
        }
        list.add("fsync", &streams.fsync, |fsync| json!(fsync.as_str()));
    }
    list.add("grace", &streams.grace, duration);
    list.add("keep", &streams.keep, duration);
    list.add("max_bytes", &streams.max_bytes, |bytes| {
        json!(units::show_size(*bytes))
    });
    list.add("keepalive", &streams.keepalive, duration);
    #[cfg(feature = "engine")]
    list.local(&settings.local);
    list.table = "history".to_owned();
    list.add("keep", &settings.keep_history, |keep| json!(keep));
    list.table = "chat".to_owned();
    list.add("edit_keys", &settings.edit_keys, |keys| {
        json!(units::show_edit_keys(*keys))
    });
    list.entries
}

struct List {
    table: String,
    entries: Vec<Entry>,
}

impl List {
    fn add<T>(&mut self, key: &str, value: &Sourced<T>, show: impl Fn(&T) -> Value) {
        self.entries.push(Entry {
            table: self.table.clone(),
            key: key.to_owned(),
            value: show(&value.value),
            origin: value.origin.to_string(),
        });
    }

    #[cfg(feature = "engine")]
    fn local(&mut self, local: &super::local::Local) {
        self.table = "local".to_owned();
        self.add("backend", &local.backend, |backend| json!(backend.as_str()));
        // What is not set depends on the machine and the model.
        if let Some(threads) = &local.threads {
            self.add("threads", threads, |threads| json!(threads));
        }
        if let Some(bytes) = &local.kv_budget {
            self.add("kv_budget", bytes, |bytes| json!(units::show_size(*bytes)));
        }
        self.add("max_streams", &local.max_streams, |streams| json!(streams));
        self.add("max_queue", &local.max_queue, |queue| json!(queue));
        if let Some(layers) = &local.gpu_layers {
            self.add("gpu_layers", layers, |layers| json!(layers));
        }
    }

    /// Says more about where the last value came from, unless that is said already.
    fn remark(&mut self, what: &str) {
        if let Some(entry) = self
            .entries
            .last_mut()
            .filter(|entry| !what.ends_with(&entry.origin))
        {
            entry.origin = format!("{}: {what}", entry.origin);
        }
    }
}

impl Entry {
    /// JSON's texts, numbers and lists of texts are TOML's as well.
    fn assignment(&self) -> String {
        format!("{} = {}", self.key, self.value)
    }
}

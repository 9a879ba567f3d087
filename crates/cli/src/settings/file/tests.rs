//! Every key, and every way to get one wrong.

use std::path::Path;
use std::time::Duration;

use super::*;

fn mistakes(text: &str) -> Vec<String> {
    parse(Path::new("config.toml"), text).expect_err(text)
}

#[test]
fn an_empty_file_is_fine_and_so_is_every_key() {
    assert_eq!(parse(Path::new("c"), ""), Ok(File::default()));
    let text = r#"
default_model = "openai/gpt-5"
[endpoints.mine]
dialect = "openai"
base_url = "http://127.0.0.1:9000/v1/"
api_key_env = "MINE"
connect_timeout = "500ms"
headers_timeout = 7
first_event_timeout = 1.5
idle_timeout = "off"
total_timeout = "2m"
retries = 0
max_concurrent = 32
requests_per_minute = 60
tokens_per_minute = "off"
on_drop = "continue"
[aliases]
"gpt-3.5-turbo" = "mine/small"
[server]
listen = "localhost:0"
allowed_hosts = ["box.lan"]
drain = "0"
max_body = "1MiB"
[streams]
keepalive = "15s"
"#;
    let file = parse(Path::new("c"), text).unwrap();
    assert_eq!(
        file.default_model,
        Some(At {
            value: "openai/gpt-5".to_owned(),
            line: 2
        })
    );
    let mine = &file.endpoints["mine"];
    assert_eq!(mine.line, 3);
    assert_eq!(
        mine.base_url,
        Some(At {
            value: "http://127.0.0.1:9000/v1".to_owned(),
            line: 5
        })
    );
    assert_eq!(
        mine.api_key,
        Some(At {
            value: KeyPlace::Env("MINE".to_owned()),
            line: 6
        })
    );
    assert_eq!(
        mine.connect_timeout,
        Some(At {
            value: Some(Duration::from_millis(500)),
            line: 7
        })
    );
    assert_eq!(
        mine.headers_timeout,
        Some(At {
            value: Some(Duration::from_secs(7)),
            line: 8
        })
    );
    assert_eq!(
        mine.first_event_timeout,
        Some(At {
            value: Some(Duration::from_millis(1500)),
            line: 9
        })
    );
    assert_eq!(
        mine.idle_timeout,
        Some(At {
            value: None,
            line: 10
        })
    );
    assert_eq!(
        mine.total_timeout,
        Some(At {
            value: Some(Duration::from_secs(120)),
            line: 11
        })
    );
    assert_eq!(mine.retries, Some(At { value: 0, line: 12 }));
    for (found, value, line) in [
        (&mine.max_concurrent, NonZeroU32::new(32), 13),
        (&mine.requests_per_minute, NonZeroU32::new(60), 14),
        (&mine.tokens_per_minute, None, 15),
    ] {
        assert_eq!(found, &Some(At { value, line }));
    }
    assert_eq!(
        mine.on_drop,
        Some(At {
            value: OnDrop::Continue,
            line: 16
        })
    );
    assert_eq!(file.aliases["gpt-3.5-turbo"].value, "mine/small");
    assert_eq!(file.server.listen.unwrap().value, "127.0.0.1:0".parse().unwrap());
    assert_eq!(file.server.drain.unwrap().value, Duration::ZERO);
    assert_eq!(file.server.max_body.unwrap().value, 1 << 20);
    assert_eq!(file.streams.keepalive.unwrap().value, Duration::from_secs(15));
}

#[test]
fn every_mistake_names_file_line_and_key() {
    for (text, beginning) in [
        (
            "colour = 1",
            "config.toml:1: colour: unknown key; known here: default_model",
        ),
        (
            "\n[endpoints.x]\nbase_url = \"http://h\"\nmodle = 1",
            "config.toml:4: endpoints.x.modle: unknown key",
        ),
        (
            "[server]\nlisten = \"here\"",
            "config.toml:2: server.listen: \"here\" is not an address",
        ),
        (
            "[server]\n\n[server.keys]",
            "config.toml:3: server.keys: is a list of tables, written [[server.keys]], not a table",
        ),
        (
            "[[server.keys]]\nname = \"a\"",
            "config.toml:1: server.keys.sha256: is missing",
        ),
        (
            "[[server.keys]]\nname = \"a\"\nsha256 = \"zz\"",
            "config.toml:3: server.keys.sha256: is no SHA-256",
        ),
        (
            "[[server.keys]]\nsha256 = \"2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b\"\nmax_streams = 0",
            "config.toml:3: server.keys.max_streams: is a whole number from 1",
        ),
        (
            "[streams]\nstore = \"redis\"",
            "config.toml:2: streams.store: \"redis\" is not supported by this version; use memory or disk",
        ),
        (
            "[streams]\nfsync = \"always\"",
            "config.toml:2: streams.fsync: \"always\" is no policy",
        ),
        (
            "[streams]\nmax_bytes = \"1KiB\"",
            "config.toml:2: streams.max_bytes: \"1KiB\" is too small",
        ),
        (
            "[streams]\nurl = \"x\"",
            "config.toml:2: streams.url: unknown key; known here: store",
        ),
        (
            "[streams]\nkeepalive = \"1ms\"",
            "config.toml:2: streams.keepalive: \"1ms\" is too short",
        ),
        (
            "default_model = 7",
            "config.toml:1: default_model: is a text in quotes, not a number",
        ),
        ("default_model = \"\"", "config.toml:1: default_model: is empty"),
        ("aliases = 7", "config.toml:1: aliases: is a table, not a number"),
        (
            "[aliases]\na = [\"x/y\"]",
            "config.toml:2: aliases.a: a list of targets (failover) is not supported",
        ),
        (
            "[aliases]\n\"a/b\" = \"x/y\"",
            "config.toml:2: aliases.\"a/b\": a name with a slash",
        ),
        (
            "[endpoints.local]\nbase_url = \"http://h\"",
            "config.toml:1: endpoints.local: this name belongs",
        ),
        (
            "[endpoints.x]\nretries = 1",
            "config.toml:1: endpoints.x.base_url: is missing",
        ),
        (
            "[endpoints.x]\nbase_url = \"h\"",
            "config.toml:2: endpoints.x.base_url: h is not a web address",
        ),
        (
            "[endpoints.openai]\ndialect = \"gemini\"",
            "config.toml:2: endpoints.openai.dialect: unknown dialect \"gemini\"",
        ),
        (
            "[endpoints.openai]\nretries = -1",
            "config.toml:2: endpoints.openai.retries: is a whole number from 0 to 100",
        ),
        (
            "[endpoints.openai]\nmax_concurrent = 0",
            "config.toml:2: endpoints.openai.max_concurrent: is a whole number from 1 to 4294967295, or \"off\"",
        ),
        (
            "[endpoints.openai]\nretries = 1\nrequests_per_minute = 1.5",
            "config.toml:3: endpoints.openai.requests_per_minute: is a whole number from 1",
        ),
        (
            "[endpoints.openai]\non_drop = \"retry\"",
            "config.toml:2: endpoints.openai.on_drop: \"retry\" is neither \"stop\" nor \"continue\"",
        ),
        (
            "[endpoints.openai]\ntokens_per_minute = \"90k\"",
            "config.toml:2: endpoints.openai.tokens_per_minute: is a whole number from 1",
        ),
        (
            "[endpoints.openai]\nidle_timeout = \"soon\"",
            "config.toml:2: endpoints.openai.idle_timeout: \"soon\" is not a duration",
        ),
        (
            "[endpoints.openai]\nidle_timeout = true",
            "config.toml:2: endpoints.openai.idle_timeout: is a text in quotes, not true",
        ),
        (
            "[endpoints.openai]\napi_key_env = \"A\"\napi_key_file = \"b\"",
            "config.toml:3: endpoints.openai.api_key_file: give one of",
        ),
        (
            "[server]\nallowed_hosts = \"a\"",
            "config.toml:2: server.allowed_hosts: is a list of texts, not a text",
        ),
        (
            "[server]\nmax_body = \"big\"",
            "config.toml:2: server.max_body: \"big\" is not a size",
        ),
        ("a = \nb = 2", "config.toml:1: a: "),
        (
            "default_model = \"x\"\ndefault_model = \"y\"",
            "config.toml:2: default_model: duplicate key",
        ),
    ] {
        let found = mistakes(text);
        assert!(found[0].starts_with(beginning), "{text:?} gave {found:?}");
    }
}

#[test]
fn all_mistakes_are_told_at_once() {
    assert_eq!(mistakes("one = 1\ntwo = 2\n[server]\nthree = 3").len(), 3);
}

#[test]
fn the_file_that_init_writes_is_right_when_every_line_is_uncommented() {
    let text = crate::settings::template::TEXT;
    assert_eq!(parse(Path::new("c"), text), Ok(File::default()));
    let uncommented: String = text
        .lines()
        .filter_map(|line| line.strip_prefix("# "))
        .filter(|line| line.starts_with('[') || line.contains(" = "))
        .map(|line| format!("{line}\n"))
        .collect();
    let file = parse(Path::new("c"), &uncommented).unwrap_or_else(|mistakes| panic!("{mistakes:#?}"));
    assert_eq!(file.endpoints.len(), 1);
    assert!(
        file.default_model.is_some() && file.server.max_body.is_some() && file.streams.keepalive.is_some()
    );
}

proptest::proptest! {
    #[test]
    fn no_text_panics(text in "[\\[\\]\"='a-z.#\n0-9{}, ]{0,80}") {
        let _ = parse(Path::new("c"), &text);
    }
}

#[cfg(feature = "engine")]
#[test]
fn local_models_have_a_table_of_their_own() {
    use aurora_local::Backend;

    let text = "[local]\nbackend = \"candle\"\nthreads = 3\nkv_budget = \"64MiB\"\nmax_streams = 192\nmax_queue = 0\ngpu_layers = 20";
    let local = parse(Path::new("c"), text).unwrap().local;
    assert_eq!(
        local.backend,
        Some(At {
            value: Backend::Candle,
            line: 2
        })
    );
    assert_eq!(
        local.kv_budget,
        Some(At {
            value: 64 << 20,
            line: 4
        })
    );
    let numbers = [
        local.threads,
        local.max_streams,
        local.max_queue,
        local.gpu_layers,
    ];
    assert_eq!(
        numbers.map(|number| number.map(|at| (at.value, at.line))),
        [Some((3, 3)), Some((192, 5)), Some((0, 6)), Some((20, 7))]
    );
    let backend = mistakes("[local]\n\nbackend = \"llama-cpp\"\nbackends = 1");
    let expected = if Backend::LlamaCpp.is_compiled() {
        &["config.toml:4: local.backends: unknown key"][..]
    } else {
        &[
            "config.toml:3: local.backend: llama-cpp is not in this build of aurora; put it in with `cargo build --release \
             --features llama-cpp`, or set \"candle\"",
            "config.toml:4: local.backends: unknown key",
        ]
    };
    assert!(
        backend.len() == expected.len() && backend.iter().zip(expected).all(|(a, b)| a.starts_with(b)),
        "{backend:?}"
    );
    for (line, beginning) in [
        ("backend = \"torch\"", "\"torch\" is none of the backends"),
        ("threads = 0", "is a whole number from 1 to 256"),
        ("threads = \"two\"", "is a whole number from 1 to 256"),
        ("kv_budget = \"0\"", "\"0\" is not a size"),
        ("max_streams = 193", "is a whole number from 1 to 192"),
        ("max_queue = -1", "is a whole number from 0"),
        ("gpu_layers = 1.5", "is a whole number from 0"),
    ] {
        let key = line.split(' ').next().unwrap();
        let found = mistakes(&format!("[local]\n{line}"));
        assert!(
            found[0].starts_with(&format!("config.toml:2: local.{key}: {beginning}")),
            "{found:?}"
        );
    }
}

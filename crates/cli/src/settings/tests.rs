//! Which value wins, whose key goes where, and what a model's name means.

use std::path::Path;

use super::target::Target;
use super::*;

const CONFIG: &str = r#"
default_model = "mine/big"
[endpoints.mine]
base_url = "http://127.0.0.1:9000/v1"
idle_timeout = "5s"
[endpoints.openai]
base_url = "http://127.0.0.1:9001/v1"
[aliases]
small = "local/smollm2"
short = "small"
round = "and-round"
and-round = "round"
lost = "nowhere/x"
"#;

fn settings(config: &str, flags: Common, variables: &[(&str, &str)]) -> Result<Settings> {
    let file = parse(Path::new("config.toml"), config)?;
    resolve(&flags, None, Env::of_pairs(variables), file)
}

fn with_model(config: &str, model: &str) -> Result<Settings> {
    settings(
        config,
        Common {
            model: Some(model.to_owned()),
            ..Common::default()
        },
        &[],
    )
}

fn ad_hoc(url: &str, variables: &[(&str, &str)]) -> Option<String> {
    let flags = Common {
        endpoint: Some(url.to_owned()),
        model: Some("m".to_owned()),
        ..Common::default()
    };
    let settings = settings("", flags, variables).unwrap();
    let Target::Upstream(endpoint, _) = settings.target().unwrap() else {
        panic!("not an upstream")
    };
    settings.key(endpoint).unwrap().map(|key| key.expose().to_owned())
}

#[test]
fn flag_before_variable_before_file_before_default() {
    let idle = |flags: Common, variables: &[_]| {
        settings(CONFIG, flags, variables).unwrap().endpoints["mine"].idle_timeout
    };
    let seconds = |seconds, origin| Sourced {
        value: Some(Duration::from_secs(seconds)),
        origin,
    };
    assert_eq!(idle(Common::default(), &[]), seconds(5, Origin::File(5)));
    let variable = [("AURORA_IDLE_TIMEOUT", "6s")];
    assert_eq!(
        idle(Common::default(), &variable),
        seconds(6, Origin::Variable("AURORA_IDLE_TIMEOUT"))
    );
    let flags = Common {
        idle_timeout: Some(Timeout(Some(Duration::from_secs(7)))),
        ..Common::default()
    };
    assert_eq!(idle(flags, &variable), seconds(7, Origin::Flag("--idle-timeout")));
    let plain = settings(CONFIG, Common::default(), &[]).unwrap();
    assert_eq!(
        plain.endpoints["openai"].idle_timeout,
        seconds(60, Origin::Default)
    );
}

#[test]
fn the_first_timeout_covers_the_headers() {
    let flags = Common {
        first_timeout: Some(Timeout(Some(Duration::from_secs(300)))),
        ..Common::default()
    };
    let settings = settings(CONFIG, flags, &[]).unwrap();
    assert_eq!(settings.endpoints["mine"].headers_timeout.value, None);
    assert_eq!(
        settings.endpoints["mine"].first_event_timeout.value,
        Some(Duration::from_secs(300))
    );
}

#[test]
fn the_providers_variables_go_before_the_file_and_make_the_endpoint() {
    let variables = [
        ("OPENAI_BASE_URL", "http://127.0.0.1:9002/v1"),
        ("OPENAI_API_KEY", "sk-one"),
    ];
    for config in [CONFIG, ""] {
        let settings = settings(config, Common::default(), &variables).unwrap();
        let openai = &settings.endpoints["openai"];
        assert_eq!(openai.base_url.value, "http://127.0.0.1:9002/v1");
        assert_eq!(settings.key(openai).unwrap().unwrap().expose(), "sk-one");
    }
    let settings = settings("", Common::default(), &[("OPENAI_API_KEY", "sk-one")]).unwrap();
    assert_eq!(settings.endpoints["openai"].base_url.value, OPENAI_BASE_URL);
    assert_eq!(
        settings.target(),
        Ok(Target::Local("smollm2".to_owned())),
        "a key alone changes no default"
    );
}

#[test]
fn the_key_for_openai_goes_to_openai_only() {
    let both = [
        ("OPENAI_API_KEY", "sk-openai"),
        ("OPENAI_BASE_URL", "http://127.0.0.1:9002/v1"),
    ];
    assert_eq!(ad_hoc("http://127.0.0.1:9000/v1", &both), None);
    assert_eq!(ad_hoc("https://api.openai.com.example/v1", &both), None);
    assert_eq!(ad_hoc("http://api.openai.com/v1", &both), None, "not without TLS");
    assert_eq!(
        ad_hoc("https://api.openai.com/v1", &both).as_deref(),
        Some("sk-openai")
    );
    assert_eq!(
        ad_hoc("http://127.0.0.1:9002/other", &both).as_deref(),
        Some("sk-openai")
    );
    let ours = [("OPENAI_API_KEY", "sk-openai"), ("AURORA_API_KEY", "sk-aurora")];
    assert_eq!(
        ad_hoc("http://127.0.0.1:9000/v1", &ours).as_deref(),
        Some("sk-aurora")
    );
    assert_eq!(
        ad_hoc("https://api.openai.com/v1", &ours).as_deref(),
        Some("sk-aurora")
    );
}

#[test]
fn names_lead_to_targets() {
    let target = |model: &str| with_model(CONFIG, model).unwrap().target_name();
    assert_eq!(target("local/smollm2").as_deref(), Ok("local/smollm2"));
    assert_eq!(target("mine/org/model:tag").as_deref(), Ok("mine/org/model:tag"));
    assert_eq!(
        target("short").as_deref(),
        Ok("local/smollm2"),
        "an alias of an alias"
    );
    assert_eq!(
        target("gpt-3.5-turbo").as_deref(),
        Ok("mine/big"),
        "the default model"
    );
    assert_eq!(
        settings(CONFIG, Common::default(), &[])
            .unwrap()
            .target_name()
            .as_deref(),
        Ok("mine/big")
    );
    assert_eq!(
        settings("", Common::default(), &[])
            .unwrap()
            .target_name()
            .as_deref(),
        Ok("local/smollm2")
    );
}

#[test]
fn names_that_lead_nowhere_say_what_there_is() {
    for (model, part) in [
        ("nowhere/x", "mine/MODEL"),
        ("unknown", "small"),
        ("round", "circle"),
        ("lost", "nowhere/x"),
        ("mine/", "unknown"),
    ] {
        let problem = with_model(CONFIG, model).unwrap().target().unwrap_err();
        assert_eq!(problem.exit_code(), 2, "{model}: it was typed");
        assert!(problem.to_string().contains(part), "{problem}");
    }
    let variable = settings(CONFIG, Common::default(), &[("AURORA_MODEL", "unknown")]).unwrap();
    assert_eq!(variable.target().unwrap_err().exit_code(), 3, "it was set");
    let lost = with_model(CONFIG, "small").unwrap().check().unwrap_err();
    assert_eq!(lost.exit_code(), 3);
}

#[test]
fn an_endpoint_takes_the_models_name_as_it_is_and_needs_one() {
    let at = |endpoint: &str, model: Option<&str>| {
        let flags = Common {
            endpoint: Some(endpoint.to_owned()),
            model: model.map(str::to_owned),
            ..Common::default()
        };
        settings(CONFIG, flags, &[]).and_then(|settings| settings.target_name())
    };
    assert_eq!(at("openai", Some("mine/x")).as_deref(), Ok("openai/mine/x"));
    assert_eq!(
        at("mine", None).as_deref(),
        Ok("mine/big"),
        "the default model is one of this endpoint"
    );
    assert_eq!(at("local", Some("local/smollm2")).as_deref(), Ok("local/smollm2"));
    assert_eq!(at("http://h:1/v1", Some("m")).as_deref(), Ok("h:1/m"));
    for (endpoint, model, part) in [
        ("openai", None, "-m"),
        ("http://h:1/v1", None, "-m"),
        ("other", Some("m"), "known: mine, openai, local"),
        ("ftp://h", Some("m"), "http"),
    ] {
        let problem = at(endpoint, model).unwrap_err();
        assert_eq!(problem.exit_code(), 2, "{endpoint}");
        assert!(problem.to_string().contains(part), "{problem}");
    }
}

#[test]
fn keys_come_from_files_and_commands_too_and_are_checked() {
    let folder = std::env::temp_dir().join(format!("aurora-cli-keys-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("key"), " sk-file\n").unwrap();
    std::fs::write(folder.join("two"), "sk-a\nsk-b\n").unwrap();
    let key = |place: &str| {
        let config = format!("[endpoints.openai]\n{place}\n");
        let mut settings = settings(&config, Common::default(), &[]).unwrap();
        settings.config_path = Some(Sourced {
            value: folder.join("config.toml"),
            origin: Origin::Default,
        });
        settings
            .key(&settings.endpoints["openai"])
            .map(|key| key.map(|key| key.expose().to_owned()))
    };
    assert_eq!(key("").unwrap(), None);
    assert_eq!(key("api_key_file = 'key'").unwrap().as_deref(), Some("sk-file"));
    assert_eq!(
        key("api_key_command = 'echo sk-command'").unwrap().as_deref(),
        Some("sk-command")
    );
    for wrong in [
        "api_key_file = 'none'",
        "api_key_file = 'two'",
        "api_key_env = 'UNSET'",
        "api_key_command = 'exit 3'",
        "api_key_command = 'true'",
    ] {
        let problem = key(wrong).unwrap_err();
        assert_eq!(problem.exit_code(), 3, "{wrong}");
        assert!(!problem.to_string().contains("sk-"), "{problem}");
    }
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn the_listing_shows_origins_and_no_key() {
    let variables = [("OPENAI_API_KEY", "sk-secret")];
    let settings = settings(CONFIG, Common::default(), &variables).unwrap();
    let shown = show::toml(&settings);
    for line in [
        "default_model = \"mine/big\"",
        "# configuration file, line 2",
        "[endpoints.mine]",
        "api_key = \"***\"",
        "# OPENAI_API_KEY",
        "idle_timeout = \"5s\"",
        "total_timeout = \"off\"",
        "listen = \"127.0.0.1:8080\"",
        "max_body = \"16MiB\"",
    ] {
        assert!(shown.contains(line), "no {line} in\n{shown}");
    }
    assert!(!shown.contains("sk-secret"), "{shown}");
    assert!(!format!("{settings:?}").contains("sk-secret"));
    for line in show::json_lines(&settings).lines() {
        let entry: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(entry["key"].is_string() && entry["origin"].is_string(), "{line}");
    }
}

#[test]
fn the_keys_of_a_prompt_are_a_setting() {
    let keys = |config, variables: &[_]| {
        settings(config, Common::default(), variables).map(|settings| settings.edit_keys)
    };
    let sourced = |value, origin| Ok(Sourced { value, origin });
    let file = "[chat]\nedit_keys = \"vi\"\n";
    let variable = ("AURORA_EDIT_KEYS", "emacs");
    assert_eq!(keys("", &[]), sourced(EditKeys::Emacs, Origin::Default));
    assert_eq!(keys(file, &[]), sourced(EditKeys::Vi, Origin::File(2)));
    assert_eq!(
        keys(file, &[variable]),
        sourced(EditKeys::Emacs, Origin::Variable("AURORA_EDIT_KEYS"))
    );
    let wrong = keys("[chat]\nedit_keys = \"ed\"\n", &[]).unwrap_err();
    assert!(wrong.to_string().contains("chat.edit_keys"), "{wrong}");
    assert!(keys("[chat]\nkeys = \"vi\"\n", &[]).is_err());
    assert!(keys("", &[("AURORA_EDIT_KEYS", "ed")]).is_err());
}

#[cfg(feature = "engine")]
#[test]
fn variables_for_local_models_go_before_the_file() {
    let config = "[local]\nthreads = 3\nmax_queue = 5\nkv_budget = \"1MiB\"";
    let variables = [("AURORA_LOCAL_THREADS", "1"), ("AURORA_LOCAL_KV_BUDGET", "2MiB")];
    let local = settings(config, Common::default(), &variables).unwrap().local;
    assert_eq!(
        local.threads.map(|threads| threads.origin),
        Some(Origin::Variable("AURORA_LOCAL_THREADS"))
    );
    let options = local.options("tiny");
    assert_eq!(options.name.as_deref(), Some("tiny"));
    assert_eq!(
        (options.threads, options.max_queue, options.kv_bytes),
        (Some(1), 5, Some(2 << 20))
    );
    let none = settings("", Common::default(), &[])
        .unwrap()
        .local
        .options("tiny");
    let default = aurora_local::Options::named("tiny");
    assert_eq!(
        (none.threads, none.max_queue, none.max_streams, none.kv_bytes),
        (
            default.threads,
            default.max_queue,
            default.max_streams,
            default.kv_bytes
        )
    );
    for (name, value) in [
        ("AURORA_LOCAL_BACKEND", "torch"),
        ("AURORA_LOCAL_THREADS", "0"),
        ("AURORA_LOCAL_MAX_STREAMS", "many"),
    ] {
        let problem = settings("", Common::default(), &[(name, value)]).unwrap_err();
        assert!(problem.to_string().starts_with(&format!("{name}: ")), "{problem}");
    }
}

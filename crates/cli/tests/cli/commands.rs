//! The commands that ask nothing: help, version, config, completions, man, and a server's start and stop.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;

use crate::support::{Home, Run};

#[test]
fn version_and_help_go_to_stdout() {
    let home = Home::new();
    assert_eq!(
        home.run(&["--version"]).out,
        format!("aurora {}\n", env!("CARGO_PKG_VERSION"))
    );
    let help = home.run(&["--help"]);
    assert_eq!((help.code, help.err.as_str()), (Some(0), ""));
    for word in [
        "ask",
        "serve",
        "model",
        "config",
        "chat",
        "code",
        "replay",
        "batch",
        "summarize",
        "completions",
        "man",
        "--idle-timeout",
        "AURORA_CONFIG",
        "Exit codes",
    ] {
        assert!(help.out.contains(word), "no {word}");
    }
    assert!(!help.out.contains("inspect"), "it does not exist yet");
    assert_eq!(home.run(&["help", "serve"]).code, Some(0));
    let wrong = home.run(&["--no-such-flag", "hi"]);
    assert_eq!((wrong.code, wrong.out.as_str()), (Some(2), ""));
}

#[test]
fn a_wrong_configuration_names_file_line_and_key() {
    let home = Home::new();
    let path = home.file(
        "mine.toml",
        "default_model = \"local/smollm2\"\n\n[server]\nlisten_on = 1\n",
    );
    for args in [
        &["--config", "mine.toml", "hi"][..],
        &["config", "show", "--config", "mine.toml"],
        &["config", "check", "mine.toml"],
    ] {
        let run = home.run(args);
        assert_eq!((run.code, run.out.as_str()), (Some(3), ""), "{run:?}");
        assert!(
            run.err.contains("mine.toml:4: server.listen_on: unknown key"),
            "{run:?}"
        );
    }
    let run = Run::of(
        home.command(&["hi"])
            .env("AURORA_CONFIG", &path)
            .output()
            .unwrap(),
    );
    assert_eq!(run.code, Some(3), "{run:?}");
    let run = home.run(&["--config", "missing.toml", "hi"]);
    assert_eq!(run.code, Some(3));
    assert!(run.err.contains("missing.toml"), "{run:?}");
}

#[test]
fn a_servers_key_is_kept_as_its_hash() {
    const HASH: &str = "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b";
    let home = Home::new();
    let piped = home.pipe(b"secret\n", &["config", "hash-key"]);
    let given = home.run(&["config", "hash-key", "secret"]);
    for run in [piped, given] {
        assert_eq!((run.code, run.out.trim_end()), (Some(0), HASH), "{run:?}");
        assert!(!run.err.contains("secret"), "{run:?}");
    }
    assert_eq!(home.pipe(b"\n", &["config", "hash-key"]).code, Some(2));
}

#[test]
fn config_init_path_check_and_show() {
    let home = Home::new();
    let path = home.path().join(".config/aurora/config.toml");
    assert_eq!(home.run(&["config", "path"]).out, format!("{}\n", path.display()));
    assert_eq!(home.run(&["config", "init"]).code, Some(0));
    assert_eq!(
        home.run(&["config", "init"]).code,
        Some(3),
        "a file is not overwritten"
    );
    assert_eq!(home.run(&["config", "init", "--force"]).code, Some(0));
    let check = home.run(&["config", "check"]);
    assert_eq!(
        (check.code, check.out),
        (Some(0), format!("{}: ok\n", path.display()))
    );
    let mut show = home.command(&["config", "show", "-m", "openai/gpt-5"]);
    let show = Run::of(show.env("OPENAI_API_KEY", "sk-secret").output().unwrap());
    assert_eq!(show.code, Some(0), "{show:?}");
    assert!(
        show.out.contains("\"openai/gpt-5\"") && show.out.contains("# --model"),
        "{show:?}"
    );
    assert!(
        show.out.contains("***") && !show.out.contains("sk-secret"),
        "{show:?}"
    );
}

#[test]
fn completions_and_manual_pages() {
    let home = Home::new();
    for shell in ["bash", "zsh", "fish"] {
        let run = home.run(&["completions", shell]);
        assert_eq!(run.code, Some(0));
        assert!(run.out.contains("idle-timeout"), "{shell}");
    }
    assert!(home.run(&["man"]).out.contains(".TH aurora 1"));
    assert!(home.run(&["man", "serve"]).out.contains("listen"));
    assert_eq!(home.run(&["man", "nothing"]).code, Some(2));
}

#[test]
fn a_public_address_without_keys_is_refused() {
    let home = Home::new();
    let config = "default_model = \"openai/x\"\n[endpoints.openai]\nbase_url = \"http://127.0.0.1:1/v1\"\n";
    home.file("c.toml", config);
    let run = home.run(&["serve", "--listen", "0.0.0.0:0", "--config", "c.toml"]);
    assert_eq!(run.code, Some(3), "{run:?}");
    assert!(run.err.contains("key") && run.err.contains("loopback"), "{run:?}");
    assert_eq!(home.run(&["serve", "--listen", "nowhere"]).code, Some(2));
}

#[cfg(unix)]
#[test]
#[cfg(feature = "engine")]
fn a_server_does_not_start_with_a_local_model_that_there_is_not() {
    let home = Home::new();
    home.file("c.toml", "default_model = \"local/nope\"\n");
    let run = home.run(&["serve", "--listen", "127.0.0.1:0", "--config", "c.toml"]);
    assert_eq!(run.code, Some(3), "{run:?}");
    assert!(
        run.err.contains("nope") && run.err.contains("smollm2"),
        "{}",
        run.err
    );
}

#[test]
fn a_server_tells_its_address_answers_and_stops_with_0() {
    let home = Home::new();
    let config = "default_model = \"openai/x\"\n[endpoints.openai]\nbase_url = \"http://127.0.0.1:1/v1\"\n";
    home.file("c.toml", config);
    let mut child =
        home.spawn(&mut home.command(&["serve", "--listen", "127.0.0.1:0", "--config", "c.toml"]));
    let mut err = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    err.read_line(&mut line).unwrap();
    let address = line
        .trim()
        .strip_prefix("aurora: listening on http://")
        .and_then(|rest| rest.strip_suffix("/v1"));
    let mut socket = TcpStream::connect(address.unwrap_or_else(|| panic!("{line:?}"))).unwrap();
    socket
        .write_all(b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        .unwrap();
    let mut reply = String::new();
    socket.read_to_string(&mut reply).unwrap();
    assert!(reply.starts_with("HTTP/1.1 200"), "{reply}");
    let status = std::process::Command::new("kill")
        .args(["-TERM", &child.id().to_string()])
        .status()
        .unwrap();
    assert!(status.success());
    let mut rest = String::new();
    err.read_to_string(&mut rest).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0), "{rest}");
    assert!(rest.contains("openai/x") && rest.contains("curl -N"), "{rest}");
}

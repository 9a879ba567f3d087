//! The configuration file that `aurora config init` writes: every key this version knows, explained and commented out.

/// The text of the file.
pub(crate) const TEXT: &str = r#"# Aurora's configuration. Every line that is commented out shows the default or an example.
# Flags go before AURORA_* variables, they before the provider's own variables, they before this file.
# Durations: "500ms", "10s", "2m", or a number of seconds; for timeouts 0 or "off" is none.
# Check it with `aurora config check`; `aurora config show` tells where each value came from.

# The model that answers where none is named: "local/NAME", "endpoint/MODEL" or an alias.
# default_model = "local/smollm2"

# An upstream API. Its models are called openai/MODEL here.
# [endpoints.openai]
# dialect = "openai"                        # the chat completions API; the only dialect of this version
# base_url = "https://api.openai.com/v1"    # version part included
# api_key_env = "OPENAI_API_KEY"            # or api_key_file = "…", or api_key_command = "pass show openai"
# connect_timeout = "10s"
# headers_timeout = "120s"                  # from sending the request to the response's headers
# first_event_timeout = "120s"              # from sending the request to the first event
# idle_timeout = "60s"                      # silence in mid-stream
# total_timeout = "off"
# retries = 4                               # attempts after the first, only before the answer has begun
# max_concurrent = "off"                    # or how many calls at once; more wait in order (in one aurora process)
# requests_per_minute = "off"               # or how many calls a minute; as many may come at once
# tokens_per_minute = "off"                 # or how many tokens a minute, estimated before a call and counted after it
# on_drop = "stop"                          # or "continue": ask the server to go on from what had come (vLLM, SGLang, llama.cpp)

# Other names of models. "gpt-3.5-turbo" means the default model unless it is set here.
# [aliases]
# small = "local/smollm2"

# `aurora serve`
# [server]
# listen = "127.0.0.1:8080"
# allowed_hosts = []                        # host names to accept besides the listen address and localhost
# drain = "30s"                             # how long streams may finish after SIGTERM
# max_body = "16MiB"                        # the largest request

# Whoever wants something then has to present one of these keys; needed to listen on anything but loopback.
# [[server.keys]]
# name = "team-a"
# sha256 = "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b"   # what `aurora config hash-key` prints
# requests_per_minute = 60                  # and at once, after a minute of quiet
# max_streams = 8                           # answers under way at once

# How it keeps answers, so that a client that lost its connection can come back.
# [streams]
# store = "memory"                          # or "disk": answers then survive the server
# path = "…"                                # the folder of the store on disk; by default in the data folder
# fsync = "group"                           # on disk: before an event is sent, many at once; or "interval", or "none"
# grace = "15s"                             # how long an answer goes on when nobody reads it
# keep = "10m"                              # how long a finished answer is kept; on disk "24h"
# max_bytes = "256MiB"                      # for all answers together; on disk "1GiB"
# keepalive = "15s"                         # a comment line in a silent stream this often

# Models that run on this machine, whoever asks: ask, chat, serve.
# [local]
# backend = "candle"                        # or "llama-cpp", in a build with --features llama-cpp
# threads = 2                               # by default one for each core
# kv_budget = "256MiB"                      # for all prompts and answers; by default a whole context, up to "2GiB"
# max_streams = 8                           # answers generated at once, 1 to 192; more wait
# max_queue = 64                            # that may wait; beyond it a server says 503
# gpu_layers = 99                           # llama-cpp built for a GPU: how many layers go there; by default all

# The conversations that `aurora history` shows, in history.db in the data folder.
# [history]
# keep = true                               # false: what is asked and answered is not written anywhere

# `aurora chat`
# [chat]
# edit_keys = "emacs"                       # the keys at the prompt; or "vi"
"#;

//! `aurora serve`: the HTTP server, with the settings' endpoints, aliases and local models behind it.

use std::error::Error as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use aurora_gateway::{Error, Options, Router, RouterBuilder, Server, Upstream};
use aurora_streamlog::{Disk, DiskOptions, Fsync, Memory, MemoryOptions, Store};

use crate::console;
use crate::problem::{Problem, Result};
use crate::settings::Settings;
use crate::settings::file::{self, StoreKind};
use crate::settings::target::LOCAL;
use crate::{files, signals, source};

/// How much may be lost with the power where `fsync = "interval"`.
const SYNC_INTERVAL: Duration = Duration::from_secs(1);

/// Serves until a signal comes and streams have drained; returns the exit code.
///
/// # Errors
/// A setting, a key or the address is unusable (configuration).
pub(super) fn run(settings: &Settings) -> Result<u8> {
    let (router, names) = router(settings)?;
    let server = &settings.server;
    let options = Options {
        listen: server.listen.value,
        allowed_hosts: server.allowed_hosts.value.clone(),
        drain: server.drain.value,
        max_body: server.max_body.value,
        keepalive: server.streams.keepalive.value,
        keys: server.keys.iter().map(|key| key.value.clone()).collect(),
        grace: server.streams.grace.value,
        ..Options::default()
    };
    files::raise_limit();
    let runtime = super::runtime()?;
    let served = runtime.block_on(async {
        let mut signal = signals::listen()
            .map_err(|error| Problem::internal(format!("cannot listen for signals: {error}")))?;
        let store = store(settings)?;
        let server = Server::bind(options, Arc::new(router), store)
            .await
            .map_err(problem)?;
        announce(server.local_addr(), &names);
        let stop = async move {
            signal.requested().await;
            console::tell("stopping; open streams may finish (a second signal ends them at once)");
        };
        server.run(stop).await.map_err(problem)
    });
    // Waits for no thread that fetches or reads a model: nobody is left to answer.
    runtime.shutdown_background();
    served.map(|()| 0)
}

/// Where answers are kept.
///
/// # Errors
/// The folder of the store on disk is unusable, or another server uses it (configuration).
fn store(settings: &Settings) -> Result<Arc<dyn Store>> {
    let streams = &settings.server.streams;
    let (keep, max_bytes) = (streams.keep.value, streams.max_bytes.value as u64);
    match streams.store.value {
        StoreKind::Memory => Ok(Arc::new(Memory::new(MemoryOptions {
            keep,
            max_bytes,
            ..MemoryOptions::default()
        }))),
        StoreKind::Disk => {
            let path = match &streams.path {
                Some(path) => path.value.clone(),
                None => settings
                    .data_dir
                    .as_ref()
                    .map(|folder| folder.value.join("streams"))
                    .ok_or_else(|| {
                        Problem::config("streams.path: is missing, and there is no data folder")
                    })?,
            };
            let fsync = match streams.fsync.value {
                file::Fsync::None => Fsync::None,
                file::Fsync::Interval => Fsync::Interval(SYNC_INTERVAL),
                file::Fsync::Group => Fsync::Group,
            };
            let options = DiskOptions {
                keep,
                max_bytes,
                fsync,
                ..DiskOptions::default()
            };
            let disk = Disk::open(&path, options)
                .map_err(|error| Problem::config(format!("streams.path: {}: {error}", path.display())))?;
            Ok(Arc::new(disk))
        }
    }
}

/// The router, and the model names to tell, the default first.
fn router(settings: &Settings) -> Result<(Router, Vec<String>)> {
    let asked_for = settings.model.is_some();
    let default = if asked_for {
        settings.target_name()?
    } else {
        settings.default_model.value.clone()
    };
    let mut names = Vec::new();
    let mut builder = Router::builder();
    if !settings.endpoints.is_empty() {
        let client = source::client()?;
        for (name, endpoint) in &settings.endpoints {
            let upstream = Upstream::new(client.clone(), endpoint.to_upstream(settings)?);
            builder = builder.endpoint(name, Arc::new(upstream));
            names.push(format!("{name}/MODEL"));
        }
    }
    builder = locals(builder, settings, &default, &mut names)?;
    for (name, target) in &settings.aliases {
        builder = builder.alias(name, &target.value);
        names.push(name.clone());
    }
    let has_default = cfg!(feature = "engine") || asked_for || !default.starts_with("local/");
    if has_default {
        builder = builder.default_model(&default);
        names.retain(|name| *name != default);
        names.insert(0, default);
    } else if names.is_empty() {
        return Err(Problem::config(
            "nothing to serve: this build of aurora has no engine for local models, and no endpoint is configured",
        ));
    }
    Ok((builder.build().map_err(problem)?, names))
}

/// Adds every local model that is there or named in the settings. The default is read in the background if it takes
/// no download, so that the first answer need not wait for it.
#[cfg(feature = "engine")]
fn locals(
    mut builder: RouterBuilder,
    settings: &Settings,
    default: &str,
    names: &mut Vec<String>,
) -> Result<RouterBuilder> {
    use std::collections::BTreeSet;

    use source::local::Local;

    let prefix = format!("{LOCAL}/");
    let named = settings
        .aliases
        .values()
        .map(|target| target.value.as_str())
        .chain([default, &settings.default_model.value]);
    let mut found: BTreeSet<String> = named
        .filter_map(|name| name.strip_prefix(&prefix))
        .map(str::to_owned)
        .collect();
    found.extend(source::local::names(settings));
    for name in found {
        let local = Local::new(&name, settings)?;
        if !source::local::knows(&name, settings) {
            return Err(Problem::config(local.unknown()));
        }
        let full = format!("{prefix}{name}");
        if full == default && local.is_fetched() {
            let local = local.clone();
            // The thread ends by itself; what went wrong is told to the first request, which tries again.
            std::thread::spawn(move || match local.load() {
                Ok(_) => tracing::info!("the default model is loaded"),
                Err(error) => tracing::warn!(%error, "the default model cannot be loaded"),
            });
        }
        let load = move || local.load().map_err(Into::into);
        builder = builder.model(&full, Arc::new(aurora_gateway::Local::new(load)));
        names.push(full);
    }
    Ok(builder)
}

/// This build has no local models.
#[cfg(not(feature = "engine"))]
fn locals(
    builder: RouterBuilder,
    _settings: &Settings,
    default: &str,
    _names: &mut Vec<String>,
) -> Result<RouterBuilder> {
    if default.starts_with(LOCAL) {
        console::tell("this build of aurora has no engine for local models; only endpoints are served");
    }
    Ok(builder)
}

fn announce(address: SocketAddr, names: &[String]) {
    const SHOWN: usize = 12;
    let more = if names.len() > SHOWN { ", …" } else { "" };
    let listed = names[..names.len().min(SHOWN)].join(", ");
    console::tell(&format!("listening on http://{address}/v1"));
    console::tell(&format!("models: {listed}{more}"));
    let model = names
        .iter()
        .find(|name| !name.ends_with("/MODEL"))
        .map_or("", String::as_str);
    console::tell(&format!(
        "try: curl -N http://{address}/v1/chat/completions -d '{{\"model\":\"{model}\",\"stream\":true,\
         \"messages\":[{{\"role\":\"user\",\"content\":\"hello\"}}]}}'"
    ));
}

fn problem(error: Error) -> Problem {
    match error.source() {
        Some(cause) => Problem::config(format!("{error}: {cause}")),
        None => Problem::config(error.to_string()),
    }
}

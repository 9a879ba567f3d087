//! The upstream: a process of its own that answers without thinking. What it says is made once, but for the times that
//! paced events carry.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Events of an answer that comes at once, `[DONE]` included.
pub const EVENTS: usize = 64;

/// Events of the long answer, `[DONE]` included.
pub const LONG: usize = 20_000;

/// Between two events of a paced stream: 30 a second.
pub const PACE: Duration = Duration::from_nanos(1_000_000_000 / 30);

/// Before the digits of the time that a paced event carries: when it was due, in microseconds since 1970.
pub const DUE: &[u8] = b"\"content\":\"@";

/// A paced or idle stream ends by itself after this long.
const LONGEST: Duration = Duration::from_secs(120);

/// The longest request that is read.
const MAX_REQUEST: usize = 64 << 10;

const HEAD: &[u8] =
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";

/// Serves for ever: `/once`, `/each`, `/long`, `/paced` and `/idle`, each with any path below it.
pub async fn serve(address: SocketAddr) -> io::Result<()> {
    let listener = TcpListener::bind(address).await?;
    let once = leak(answer(EVENTS, true));
    let each = leak(answer(EVENTS, false));
    let long = leak(answer(LONG, false));
    for number in 0.. {
        let (socket, _) = listener.accept().await?;
        socket.set_nodelay(true)?;
        // A connection that breaks is its client's business: the load counts what is missing.
        tokio::spawn(async move { converse(socket, once, each, long, number).await });
    }
    Ok(())
}

fn leak(bytes: Vec<u8>) -> &'static [u8] {
    bytes.leak()
}

async fn converse(
    mut socket: TcpStream,
    once: &'static [u8],
    each: &'static [u8],
    long: &'static [u8],
    number: u64,
) -> io::Result<()> {
    let mut buffer = Vec::with_capacity(2048);
    loop {
        let Some(path) = request(&mut socket, &mut buffer).await? else {
            return Ok(());
        };
        match path.split('/').nth(1) {
            Some("once") => socket.write_all(once).await?,
            Some("each") => socket.write_all(each).await?,
            Some("long") => socket.write_all(long).await?,
            Some("paced") => return paced(socket, number).await,
            Some("idle") => return idle(socket).await,
            _ => return Ok(()),
        }
    }
}

/// Reads a request with its body; gives its path, and `None` at the end of the connection.
async fn request(socket: &mut TcpStream, buffer: &mut Vec<u8>) -> io::Result<Option<String>> {
    buffer.clear();
    loop {
        if let Some(end) = memchr::memmem::find(buffer, b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&buffer[..end]).into_owned();
            let length = head.lines().find_map(|line| {
                let (name, value) = line.split_once(':')?;
                let is_length = name.eq_ignore_ascii_case("content-length");
                is_length.then(|| value.trim().parse::<usize>().ok())?
            });
            if buffer.len() >= end + 4 + length.unwrap_or(0) {
                return Ok(head.split(' ').nth(1).map(str::to_owned));
            }
        }
        if buffer.len() > MAX_REQUEST || socket.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    }
}

/// 30 events a second, each with the time at which it was due. What is late is sent as soon as may be.
async fn paced(mut socket: TcpStream, number: u64) -> io::Result<()> {
    socket.write_all(HEAD).await?;
    // Streams are spread over the interval; otherwise all would be due at once.
    let phase = PACE.mul_f64((number.wrapping_mul(0x9E37_79B9) % 4096) as f64 / 4096.0);
    let start = tokio::time::Instant::now() + phase;
    let wall = SystemTime::now() + phase;
    let mut out = Vec::with_capacity(512);
    for n in 0..(LONGEST.as_nanos() / PACE.as_nanos()) as u32 {
        tokio::time::sleep_until(start + PACE * n).await;
        let due = (wall + PACE * n).duration_since(UNIX_EPOCH).unwrap_or_default();
        out.clear();
        chunk(&event(&format!("@{:016}", due.as_micros())), &mut out);
        socket.write_all(&out).await?;
    }
    Ok(())
}

/// Two events, and then nothing until the client leaves.
async fn idle(mut socket: TcpStream) -> io::Result<()> {
    let mut out = HEAD.to_vec();
    for text in ["Once", " upon"] {
        chunk(&event(text), &mut out);
    }
    socket.write_all(&out).await?;
    let mut nothing = [0; 16];
    let _left = tokio::time::timeout(LONGEST, socket.read(&mut nothing)).await;
    Ok(())
}

/// A whole answer: all of it in one chunk, or one chunk for each event.
fn answer(events: usize, in_one: bool) -> Vec<u8> {
    const WORDS: [&str; 8] = [" the", " answer", " is", " a", " stream", ",", " once", " whole"];
    let mut parts: Vec<Vec<u8>> = (0..events - 2).map(|n| event(WORDS[n % WORDS.len()])).collect();
    parts.push(framed(r#"{}"#, "\"stop\""));
    parts.push(b"data: [DONE]\n\n".to_vec());
    let mut out = HEAD.to_vec();
    if in_one {
        chunk(&parts.concat(), &mut out);
    } else {
        parts.iter().for_each(|part| chunk(part, &mut out));
    }
    out.extend_from_slice(b"0\r\n\r\n");
    out
}

fn event(text: &str) -> Vec<u8> {
    framed(&format!(r#"{{"content":"{text}"}}"#), "null")
}

/// An event in the form and of the size of OpenAI's.
fn framed(delta: &str, finish: &str) -> Vec<u8> {
    format!(
        "data: {{\"id\":\"chatcmpl-Bv2Q0cWzGtmX0123456789abcdef\",\"object\":\"chat.completion.chunk\",\
         \"created\":1752000000,\"model\":\"gpt-4o-2024-08-06\",\"service_tier\":\"default\",\
         \"system_fingerprint\":\"fp_07871e2ad8\",\"choices\":[{{\"index\":0,\"delta\":{delta},\"logprobs\":null,\
         \"finish_reason\":{finish}}}],\"usage\":null}}\n\n"
    )
    .into_bytes()
}

fn chunk(data: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(format!("{:x}\r\n", data.len()).as_bytes());
    out.extend_from_slice(data);
    out.extend_from_slice(b"\r\n");
}

//! What it costs to show an answer while it grows: bytes to the terminal and CPU time, beside other renderers that are
//! fed the same pieces over a pipe. `MDRIVER` and `RICH` name the command lines of peers; those not named are left out.

use std::io::{self, Write as _};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use aurora_render::{Options, Renderer};
use cpu_time::ThreadTime;

/// A delta of most models: a word or a part of one.
const DELTA: usize = 4;

/// Frames of 16 ms get so many deltas from a model that says 250 a second.
const DELTAS_A_FRAME: usize = 4;

/// How far apart a peer gets its pieces, so that it has taken one before the next comes.
const PAUSE: Duration = Duration::from_millis(4);

/// How often the cheap ones are run; the median counts.
const ROUNDS: usize = 15;

/// So much text shows what a text costs, whatever came before.
const LONG: usize = 4_000_000;

fn main() -> io::Result<()> {
    let texts = [("prose", include_str!("prose.md")), ("code", include_str!("code.md"))];
    for (name, text) in texts {
        println!("### {name}\n");
        println!("| | bytes a byte of the text | CPU, µs a delta |");
        println!("|---|---:|---:|");
        for (frames, deltas) in [
            ("a frame for each delta", 1),
            ("four deltas a frame", DELTAS_A_FRAME),
        ] {
            let (bytes, seconds) = aurora(text, deltas);
            row(&format!("aurora-render, {frames}"), text, bytes, seconds);
        }
        for (peer, variable) in [("mdriver", "MDRIVER"), ("rich", "RICH")] {
            if let Ok(line) = std::env::var(variable) {
                let (bytes, seconds) = process(&line, text)?;
                row(&format!("{peer}, four deltas a frame"), text, bytes, seconds);
            }
        }
        println!();
    }
    println!("### speed\n");
    println!("| | MB/s |");
    println!("|---|---:|");
    for (name, text) in texts {
        let long = text.repeat(LONG / text.len());
        for (pieces, size) in [("64 bytes", 64), ("4 KiB", 4096)] {
            let (_, seconds) = once(&cut(&long, size), 1);
            println!("| {name}, frames of {pieces} | {:.1} |", long.len() as f64 / seconds / 1e6);
        }
    }
    Ok(())
}

fn row(name: &str, text: &str, bytes: usize, seconds: f64) {
    let deltas = text.chars().count() as f64 / DELTA as f64;
    println!(
        "| {name} | {:.2} | {:.1} |",
        bytes as f64 / text.len() as f64,
        seconds * 1e6 / deltas
    );
}

/// The text in pieces of so many bytes or a little less.
fn cut(text: &str, size: usize) -> Vec<&str> {
    let (mut pieces, mut rest) = (Vec::new(), text);
    while !rest.is_empty() {
        let (piece, after) = rest.split_at(rest.floor_char_boundary(size.max(4)));
        pieces.push(piece);
        rest = after;
    }
    pieces
}

/// The text as a model says it.
fn deltas(text: &str) -> Vec<&str> {
    let mut ends: Vec<usize> = text.char_indices().step_by(DELTA).map(|(at, _)| at).collect();
    ends.push(text.len());
    ends.windows(2).map(|ends| &text[ends[0]..ends[1]]).collect()
}

/// Bytes and the median of the CPU time.
fn aurora(text: &str, a_frame: usize) -> (usize, f64) {
    let pieces = deltas(text);
    let mut times: Vec<(usize, f64)> = (0..ROUNDS).map(|_| once(&pieces, a_frame)).collect();
    times.sort_by(|a, b| a.1.total_cmp(&b.1));
    times[times.len() / 2]
}

fn once(pieces: &[&str], a_frame: usize) -> (usize, f64) {
    let start = ThreadTime::now();
    let mut renderer = Renderer::new(Options::default());
    let (mut out, mut bytes) = (String::new(), 0);
    for frame in pieces.chunks(a_frame) {
        for piece in frame {
            renderer.push(piece);
        }
        renderer.frame(&mut out);
        bytes += out.len();
        out.clear();
    }
    renderer.finish(&mut out);
    (bytes + out.len(), start.elapsed().as_secs_f64())
}

/// Feeds a process; the bytes it writes, and its CPU time less that of one that gets nothing.
fn process(line: &str, text: &str) -> io::Result<(usize, f64)> {
    let idle = fed(line, &[])?;
    let pieces = deltas(text);
    let frames: Vec<String> = pieces.chunks(DELTAS_A_FRAME).map(<[&str]>::concat).collect();
    let busy = fed(line, &frames)?;
    Ok((busy.0, (busy.1 - idle.1).max(0.0)))
}

fn fed(line: &str, pieces: &[String]) -> io::Result<(usize, f64)> {
    let before = children()?;
    let mut child = Command::new("sh")
        .args(["-c", line])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut input = child.stdin.take().ok_or(io::ErrorKind::BrokenPipe)?;
    let pieces = pieces.to_vec();
    let feeder = thread::spawn(move || -> io::Result<()> {
        for piece in pieces {
            input.write_all(piece.as_bytes())?;
            thread::sleep(PAUSE);
        }
        Ok(())
    });
    let output = child.wait_with_output()?;
    feeder.join().map_err(|_| io::ErrorKind::Other)??;
    Ok((output.stdout.len(), children()? - before))
}

/// The CPU time of children that have ended, in seconds. Linux only: fields 16 and 17 of `/proc/self/stat`, in ticks of
/// 10 ms.
fn children() -> io::Result<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
    let ticks: u32 = fields
        .split_whitespace()
        .skip(13)
        .take(2)
        .filter_map(|field| field.parse::<u32>().ok())
        .sum();
    Ok(f64::from(ticks) / 100.0)
}

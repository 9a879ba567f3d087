//! The server under load beside nginx as a plain proxy, in one run: throughput, CPU time an event, how late paced events
//! come, and what an open stream takes.
//!
//! `cargo build --release`, then `cargo run --release --manifest-path bench/Cargo.toml --bin gateway [CASE [STREAMS]]`, where
//! a case is one of `once`, `each`, `replay`, `idle`, `paced`; the last two take how many streams. Needs Linux and nginx. `AURORA` is the binary, by default
//! `target/release/aurora`; `AURORA_BEFORE`, if set, is another one that is measured beside it. Upstream, servers and
//! clients share the machine, so wall times say little on a small one: read CPU times, and ratios.

mod load;
mod process;
mod upstream;
mod wire;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use load::{Open, Outcome};
use process::Server;

/// How long a contestant is under load at a time, and how often each has its turn.
const TURN: Duration = Duration::from_secs(3);
const ROUNDS: usize = 3;

/// Connections that ask for answers.
const CONNECTIONS: usize = 32;

/// How long paced streams are watched, after a moment to settle.
const WATCH: Duration = Duration::from_secs(8);
const SETTLE: Duration = Duration::from_secs(1);

/// What the upstream can do.
const WAYS: [&str; 5] = ["once", "each", "long", "paced", "idle"];

const MEMORY: &str = "";
/// Enough for all that a run leaves behind, so that nothing is measured but writing.
const DISK: &str = "[streams]\nstore = \"disk\"\nmax_bytes = \"16GiB\"\n";

/// Somebody whose answers are asked for.
struct Contestant {
    name: String,
    /// None is the upstream itself.
    server: Option<Server>,
    is_aurora: bool,
}

struct Bench {
    upstream: Server,
    aurora: PathBuf,
    before: Option<PathBuf>,
}

fn main() -> ExitCode {
    let argument = std::env::args().nth(1);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let result = runtime.and_then(|runtime| match argument.as_deref() {
        Some("upstream") => runtime.block_on(serve_upstream()),
        case => runtime.block_on(run(case)),
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// The other half of this binary: the process that answers.
async fn serve_upstream() -> io::Result<()> {
    let address = std::env::args()
        .nth(2)
        .and_then(|text| text.parse::<SocketAddr>().ok());
    let address = address.ok_or_else(|| io::Error::other("upstream ADDRESS"))?;
    upstream::serve(address).await
}

async fn run(case: Option<&str>) -> io::Result<()> {
    let bench = Bench {
        upstream: Server::upstream()?,
        aurora: std::env::var_os("AURORA").map_or_else(|| "target/release/aurora".into(), PathBuf::from),
        before: std::env::var_os("AURORA_BEFORE").map(PathBuf::from),
    };
    let wanted = |name| case.is_none_or(|case| case == name);
    let size = std::env::args().nth(2).and_then(|text| text.parse().ok());
    let sizes = size.map_or_else(|| vec![1000, 5000], |size| vec![size]);
    if wanted("once") {
        bench.answers("once", "all 64 events in one chunk").await?;
    }
    if wanted("each") {
        bench.answers("each", "one chunk an event").await?;
    }
    if wanted("replay") {
        bench.replay().await?;
    }
    if wanted("idle") {
        for &streams in &sizes {
            bench.idle(streams).await?;
        }
    }
    if wanted("paced") {
        for &streams in &sizes {
            bench.paced(streams).await?;
        }
    }
    Ok(())
}

impl Bench {
    /// Answers as fast as they come: the servers take turns, and the middle turn of each counts.
    async fn answers(&self, way: &str, title: &str) -> io::Result<()> {
        let mut contestants = vec![
            Contestant::direct(),
            self.nginx()?,
            self.aurora("memory", MEMORY)?,
        ];
        for fsync in ["none", "group"] {
            // A binary without this store is measured all the same.
            match self.aurora(
                &format!("disk, fsync {fsync}"),
                &format!("{DISK}fsync = \"{fsync}\"\n"),
            ) {
                Ok(disk) => contestants.push(disk),
                Err(error) => eprintln!("disk, fsync {fsync}: {error}"),
            }
        }
        if self.before.is_some() {
            contestants.push(self.earlier()?);
        }
        let mut turns: Vec<Vec<(Outcome, f64)>> = contestants.iter().map(|_| Vec::new()).collect();
        for _ in 0..ROUNDS {
            for (contestant, turns) in contestants.iter().zip(&mut turns) {
                let (address, request) = self.request(contestant, way);
                let cpu = contestant.cpu();
                let outcome = load::saturate(address, request, CONNECTIONS, TURN, upstream::EVENTS)
                    .await
                    .map_err(|error| io::Error::other(format!("{}: {error}", contestant.name)))?;
                turns.push((outcome, contestant.cpu() - cpu));
            }
        }
        println!(
            "### {CONNECTIONS} connections, answers of {} events, {title}\n",
            upstream::EVENTS
        );
        println!("| | answers/s | p50 / p99, ms | CPU, µs an event | memory, MB |");
        println!("|---|---:|---:|---:|---:|");
        for (contestant, mut turns) in contestants.iter().zip(turns) {
            turns.sort_by(|(a, _), (b, _)| rate(a).total_cmp(&rate(b)));
            let mut cpu: Vec<f64> = turns
                .iter()
                .map(|(outcome, cpu)| cpu / outcome.events as f64 * 1e6)
                .collect();
            cpu.sort_by(f64::total_cmp);
            let (outcome, _) = &turns[ROUNDS / 2];
            println!(
                "| {} | {:.0} | {:.1} / {:.1} | {} | {} |",
                contestant.name,
                rate(outcome),
                outcome.millis(0.5),
                outcome.millis(0.99),
                contestant.of_server(format!("{:.2}", cpu[ROUNDS / 2])),
                contestant.of_server(format!("{:.0}", contestant.memory() as f64 / 1e6)),
            );
        }
        println!();
        Ok(())
    }

    /// A finished answer, read again and again.
    async fn replay(&self) -> io::Result<()> {
        println!(
            "### Reading a finished stream of {} events again\n",
            upstream::LONG
        );
        println!("| | connections | events/s | CPU, µs an event |");
        println!("|---|---:|---:|---:|");
        for (name, streams) in [("memory", MEMORY), ("disk", DISK)] {
            let aurora = match self.aurora(name, streams) {
                Ok(aurora) => aurora,
                Err(error) => {
                    eprintln!("{name}: {error}");
                    continue;
                }
            };
            let (address, request) = self.request(&aurora, "long");
            let mut socket = tokio::net::TcpStream::connect(address).await?;
            let answer = load::ask(&mut socket, &request, &mut vec![0; 64 << 10]).await?;
            let id = answer.header("x-stream-id").unwrap_or_default();
            let again = wire::get(&format!("/v1/streams/{id}"));
            for connections in [1, 8] {
                let cpu = aurora.cpu();
                let outcome =
                    load::saturate(address, again.clone(), connections, TURN, upstream::LONG).await?;
                println!(
                    "| {} | {connections} | {:.0} | {:.2} |",
                    aurora.name,
                    outcome.events as f64 / outcome.seconds,
                    (aurora.cpu() - cpu) / outcome.events as f64 * 1e6,
                );
            }
        }
        println!();
        Ok(())
    }

    /// What streams take that are open and silent: first with nobody there but the relay and its upstream, then with a
    /// reader each.
    async fn idle(&self, streams: usize) -> io::Result<()> {
        println!("### {streams} open streams that are silent: KiB of memory a stream\n");
        println!("| | all | its call upstream and log | its reader |");
        println!("|---|---:|---:|---:|");
        let each = |grown: u64| grown as f64 / streams as f64 / 1024.0;

        let nginx = self.nginx()?;
        let before = nginx.memory();
        let (address, request) = self.request(&nginx, "idle");
        let open = Open::new(address, vec![request; streams]).await?;
        println!("| nginx | {:.1} | | |", each(nginx.memory() - before));
        open.close(Duration::ZERO).await?;
        drop(nginx);

        self.idle_aurora(self.aurora("memory", MEMORY)?, streams).await?;
        if self.before.is_some() {
            self.idle_aurora(self.earlier()?, streams).await?;
        }
        println!();
        Ok(())
    }

    async fn idle_aurora(&self, aurora: Contestant, streams: usize) -> io::Result<()> {
        let each = |grown: u64| grown as f64 / streams as f64 / 1024.0;
        let before = aurora.memory();
        let (address, request) = self.request(&aurora, "idle");
        let request = String::from_utf8(request).expect("a request is text");
        let request = request.replacen("\r\n", "\r\nx-on-disconnect: continue\r\n", 1);
        let mut names = Vec::new();
        // In small parties, so that what the first clients took is there again for those that come after.
        while names.len() < streams {
            let party = 50.min(streams - names.len());
            let open = Open::new(address, vec![request.clone().into_bytes(); party]).await?;
            names.extend(open.close(Duration::ZERO).await?.1);
        }
        tokio::time::sleep(SETTLE).await;
        let alone = aurora.memory();
        let visits = names
            .iter()
            .map(|id| wire::get(&format!("/v1/streams/{id}")))
            .collect();
        let open = Open::new(address, visits).await?;
        let all = aurora.memory();
        println!(
            "| {} | {:.1} | {:.1} | {:.1} |",
            aurora.name,
            each(all - before),
            each(alone.saturating_sub(before)),
            each(all - alone),
        );
        open.close(Duration::ZERO).await?;
        Ok(())
    }

    /// How late events come, of many streams at 30 events a second each.
    async fn paced(&self, streams: usize) -> io::Result<()> {
        println!("### {streams} streams, 30 events a second each\n");
        println!("| | events/s | late p50 / p99, ms | CPU, µs an event | memory, MB |");
        println!("|---|---:|---:|---:|---:|");
        type Start = fn(&Bench) -> io::Result<Contestant>;
        let mut starts: Vec<Start> = vec![
            |_| Ok(Contestant::direct()),
            Self::nginx,
            |bench| bench.aurora("memory", MEMORY),
        ];
        if self.before.is_some() {
            starts.push(Self::earlier);
        }
        for start in starts {
            let contestant = start(self)?;
            let (address, request) = self.request(&contestant, "paced");
            let open = Open::new(address, vec![request; streams]).await?;
            tokio::time::sleep(SETTLE).await;
            let cpu = contestant.cpu();
            open.measure(WATCH).await;
            let cpu = contestant.cpu() - cpu;
            let memory = contestant.memory();
            let (outcome, _) = open.close(WATCH).await?;
            println!(
                "| {} | {:.0} | {:.1} / {:.1} | {} | {} |",
                contestant.name,
                outcome.events as f64 / outcome.seconds,
                outcome.millis(0.5),
                outcome.millis(0.99),
                contestant.of_server(format!("{:.2}", cpu / outcome.events as f64 * 1e6)),
                contestant.of_server(format!("{:.0}", memory as f64 / 1e6)),
            );
        }
        println!();
        Ok(())
    }

    fn nginx(&self) -> io::Result<Contestant> {
        let workers = std::thread::available_parallelism()?.get();
        Ok(Contestant {
            name: "nginx".to_owned(),
            server: Some(Server::nginx(self.upstream.address, workers)?),
            is_aurora: false,
        })
    }

    fn aurora(&self, store: &str, streams: &str) -> io::Result<Contestant> {
        Ok(Contestant {
            name: format!("aurora, {store}"),
            server: Some(Server::aurora(
                &self.aurora,
                self.upstream.address,
                &WAYS,
                streams,
            )?),
            is_aurora: true,
        })
    }

    /// The other binary, where there is one.
    fn earlier(&self) -> io::Result<Contestant> {
        let binary = self.before.as_ref().unwrap_or(&self.aurora);
        Ok(Contestant {
            name: "aurora before".to_owned(),
            server: Some(Server::aurora(binary, self.upstream.address, &WAYS, MEMORY)?),
            is_aurora: true,
        })
    }

    /// Where to ask for this way of the upstream, and how.
    fn request(&self, contestant: &Contestant, way: &str) -> (SocketAddr, Vec<u8>) {
        let address = contestant
            .server
            .as_ref()
            .map_or(self.upstream.address, |server| server.address);
        let path = match contestant.is_aurora {
            true => "/v1/chat/completions".to_owned(),
            false => format!("/{way}/v1/chat/completions"),
        };
        let body = format!(
            r#"{{"model":"{way}/m","stream":true,"messages":[{{"role":"user","content":"Tell me a story."}}]}}"#
        );
        (address, wire::post(&path, &body))
    }
}

impl Contestant {
    fn direct() -> Self {
        Self {
            name: "the upstream itself".to_owned(),
            server: None,
            is_aurora: false,
        }
    }

    fn cpu(&self) -> f64 {
        self.server.as_ref().map_or(0.0, Server::cpu)
    }

    fn memory(&self) -> u64 {
        self.server.as_ref().map_or(0, Server::memory)
    }

    /// What there is to say of a server only.
    fn of_server(&self, text: String) -> String {
        self.server.as_ref().map_or_else(|| "–".to_owned(), |_| text)
    }
}

fn rate(outcome: &Outcome) -> f64 {
    outcome.answers as f64 / outcome.seconds
}

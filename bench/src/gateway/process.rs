//! The processes beside each other: started, asked what they use, and ended. Linux only, for `/proc`.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// How long a server may take until it listens.
const START: Duration = Duration::from_secs(20);

/// Clock ticks a second, as `/proc` counts them on every Linux there is.
const TICKS: f64 = 100.0;

/// A server under load. It is ended when dropped.
#[derive(Debug)]
pub struct Server {
    child: Child,
    pub address: SocketAddr,
    _folder: Folder,
}

/// A folder that is removed when dropped.
#[derive(Debug)]
struct Folder(PathBuf);

impl Server {
    /// The upstream, which is this binary.
    pub fn upstream() -> io::Result<Self> {
        let address = free()?;
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("upstream").arg(address.to_string());
        Self::start(&mut command, address, Folder::new("upstream")?)
    }

    /// nginx, which passes everything on to `upstream` as it comes.
    pub fn nginx(upstream: SocketAddr, workers: usize) -> io::Result<Self> {
        let folder = Folder::new("nginx")?;
        let address = free()?;
        let at = folder.0.display();
        let config = format!(
            "worker_processes {workers}; daemon off; pid {at}/pid; worker_rlimit_nofile 20000;
             error_log {at}/error.log;
             events {{ worker_connections 16384; }}
             http {{
               access_log off; keepalive_requests 1000000000; tcp_nodelay on;
               client_body_temp_path {at}/body; proxy_temp_path {at}/proxy; fastcgi_temp_path {at}/fastcgi;
               uwsgi_temp_path {at}/uwsgi; scgi_temp_path {at}/scgi;
               upstream up {{ server {upstream}; keepalive 512; keepalive_requests 1000000000; }}
               server {{
                 listen {address} backlog=4096;
                 location / {{
                   proxy_pass http://up; proxy_http_version 1.1; proxy_set_header Connection \"\";
                   proxy_buffering off; proxy_read_timeout 300s;
                 }}
               }}
             }}"
        );
        let file = folder.0.join("nginx.conf");
        fs::write(&file, config)?;
        let mut command = Command::new("nginx");
        command
            .arg("-e")
            .arg(folder.0.join("error.log"))
            .arg("-c")
            .arg(&file);
        Self::start(&mut command, address, folder)
    }

    /// `aurora serve` with an endpoint for each way of the upstream, and these settings of `[streams]`.
    pub fn aurora(binary: &Path, upstream: SocketAddr, ways: &[&str], streams: &str) -> io::Result<Self> {
        let folder = Folder::new("aurora")?;
        let address = free()?;
        let mut config = format!("default_model = \"once/m\"\n[server]\nlisten = \"{address}\"\n{streams}\n");
        for way in ways {
            config += &format!(
                "[endpoints.{way}]\nbase_url = \"http://{upstream}/{way}/v1\"\nidle_timeout = \"1h\"\n"
            );
        }
        let file = folder.0.join("config.toml");
        fs::write(&file, config)?;
        let mut command = Command::new(binary);
        command
            .args(["serve", "--config"])
            .arg(&file)
            .env("AURORA_DATA_DIR", folder.0.join("data"));
        Self::start(&mut command, address, folder)
    }

    fn start(command: &mut Command, address: SocketAddr, folder: Folder) -> io::Result<Self> {
        let log = fs::File::create(folder.0.join("log"))?;
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()?;
        let mut server = Self {
            child,
            address,
            _folder: folder,
        };
        let deadline = Instant::now() + START;
        while TcpStream::connect(address).is_err() {
            if Instant::now() > deadline || server.child.try_wait()?.is_some() {
                let log = fs::read_to_string(server._folder.0.join("log"))?;
                return Err(io::Error::other(format!("{command:?} does not listen: {log}")));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(server)
    }

    /// CPU time of the process and its children so far, in seconds.
    pub fn cpu(&self) -> f64 {
        self.pids().into_iter().map(|pid| ticks(pid) as f64 / TICKS).sum()
    }

    /// Resident memory of the process and its children, in bytes. What they share is counted for each.
    pub fn memory(&self) -> u64 {
        self.pids().into_iter().map(resident).sum()
    }

    fn pids(&self) -> Vec<u32> {
        let pid = self.child.id();
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
        let children = children.split_whitespace().filter_map(|pid| pid.parse().ok());
        [pid].into_iter().chain(children).collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        for pid in self.pids() {
            // SIGKILL to each: nothing of these servers is worth an orderly end. A master goes before its workers, which it
            // would start again.
            let _sent = Command::new("kill").args(["-9", &pid.to_string()]).status();
        }
        let _reaped = self.child.wait();
    }
}

impl Folder {
    fn new(name: &str) -> io::Result<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("aurora-bench-{name}-{}-{number}", std::process::id()));
        fs::create_dir_all(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _left = fs::remove_dir_all(&self.0);
    }
}

/// An address that nobody listens at.
fn free() -> io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}

/// `utime` and `stime`, the 14th and 15th field of `stat`; the second one, the name, may have spaces.
fn ticks(pid: u32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let behind = stat.rsplit_once(") ").map_or("", |(_, behind)| behind);
    let field = |n: usize| behind.split(' ').nth(n).and_then(|text| text.parse::<u64>().ok());
    field(11).unwrap_or(0) + field(12).unwrap_or(0)
}

fn resident(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().split(' ').next()?.parse::<u64>().ok());
    kib.unwrap_or(0) << 10
}

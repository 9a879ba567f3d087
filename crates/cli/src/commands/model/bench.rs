//! `aurora model bench`: how fast a local model is on this machine.
//!
//! The figures are the engine's (`aurora_local::measure`); here is how many rounds there are, when it is enough, and what
//! is said of them. The rounds run on a thread of their own, so that neither Ctrl-C nor the end of the time waits for one.

use std::fmt::Write as _;
use std::thread;
use std::time::{Duration, Instant};

use aurora_local::measure::{self, Figure, Plan};
use aurora_local::{Engine, ModelInfo};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::listing;
use crate::args::Common;
use crate::console;
use crate::problem::{Problem, Result};
use crate::settings::Settings;
use crate::settings::target::Target;
use crate::signals::{self, Stop};
use crate::source::local::{self, Local};

/// What the command line asks for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    pub(super) streams: usize,
    pub(super) rounds: usize,
    pub(super) time: Duration,
}

/// A spread between the lowest and the highest from which on the machine was too busy for the figures to mean much.
const NOISY: f64 = 0.25;

/// What the thread that measures tells.
enum Told {
    Figure(Figure, f64),
    Round,
    Failed(String),
}

/// Why it was over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Over {
    Done,
    Time,
    Interrupted,
}

/// Measures and prints; returns the exit code: 0 if a round was complete.
///
/// # Errors
/// There is no such model, or it cannot be loaded (configuration), or it failed (ours).
pub(super) fn run(name: Option<&str>, asked: Asked, flags: &Common, settings: &Settings) -> Result<u8> {
    let name = match name {
        Some(name) => name.strip_prefix("local/").unwrap_or(name).to_owned(),
        None => match settings.target()? {
            Target::Local(name) => name,
            Target::Upstream(..) => {
                return Err(Problem::usage(
                    "which local model? aurora model list names them, and only they are measured",
                ));
            }
        },
    };
    let model = Local::new(&name, settings)?;
    let stop = signals::listen()
        .map_err(|error| Problem::internal(format!("cannot listen for signals: {error}")))?;
    if !model.is_fetched() && local::knows(&name, settings) {
        local::pull(&local::store(settings)?, &name)
            .map_err(|error| Problem::config(local::chain(&error)))?;
    }
    let since = Instant::now();
    let engine = model.load().map_err(Problem::config)?;
    let load = since.elapsed();
    let info = engine.info().clone();
    let plan = Plan::within(info.context, asked.streams);
    let (over, figures, rounds) = super::super::runtime()?.block_on(measure(engine, plan, asked, stop))?;
    let entry = local::store(settings)?
        .list()
        .unwrap_or_default()
        .into_iter()
        .find(|entry| entry.name == name);
    let report = Report {
        info,
        entry,
        plan,
        load,
        peak_memory: measure::peak_memory(),
        rounds,
        figures,
    };
    console::print(&if flags.json {
        format!("{}\n", report.json())
    } else {
        report.table()
    })?;
    match over {
        Over::Interrupted => console::tell("stopped; the figures are of what was measured until then"),
        Over::Time if rounds == 0 => console::tell(&format!(
            "{} s were not enough for a round; --time gives more",
            asked.time.as_secs_f64()
        )),
        Over::Time => console::tell(&format!(
            "{rounds} of {} rounds were complete after {} s; --time gives more",
            asked.rounds,
            asked.time.as_secs_f64()
        )),
        Over::Done => {}
    }
    if report.spread() > NOISY {
        console::tell(&format!(
            "the rounds differ by up to {:.0} %: something else is using this machine, so read the figures as a rough guide",
            report.spread() * 100.0
        ));
    }
    Ok(match over {
        Over::Interrupted => signals::EXIT_CODE,
        Over::Time if rounds == 0 => 6,
        Over::Time | Over::Done => 0,
    })
}

/// The values of a figure, in the order of the rounds.
type Figures = Vec<(Figure, Vec<f64>)>;

async fn measure(engine: Engine, plan: Plan, asked: Asked, mut stop: Stop) -> Result<(Over, Figures, usize)> {
    let (tell, mut told) = mpsc::channel(64);
    let cannot = |error| Problem::internal(format!("cannot start a thread: {error}"));
    // Nobody joins it: the process ends with whatever it is in.
    thread::Builder::new()
        .name("measure".to_owned())
        .spawn(move || {
            for number in 0..asked.rounds {
                let mut say = |figure, value| {
                    // Closed: it is over.
                    let _ = tell.blocking_send(Told::Figure(figure, value));
                };
                let round = measure::round(&engine, &plan, number, &mut say);
                let told = round.map_or_else(Told::Failed, |()| Told::Round);
                if tell.is_closed() || tell.blocking_send(told).is_err() {
                    return;
                }
            }
        })
        .map_err(cannot)?;
    let mut figures: Figures = Figure::ALL.map(|figure| (figure, Vec::new())).into();
    let mut rounds = 0;
    let end = tokio::time::sleep(asked.time);
    tokio::pin!(end);
    let over = loop {
        tokio::select! {
            biased;
            () = stop.requested() => break Over::Interrupted,
            next = told.recv() => match next {
                Some(Told::Figure(figure, value)) => {
                    let values = figures.iter_mut().find(|(of, _)| *of == figure);
                    values.into_iter().for_each(|(_, values)| values.push(value));
                }
                Some(Told::Round) => {
                    rounds += 1;
                    console::tell(&format!("round {rounds} of {}", asked.rounds));
                }
                Some(Told::Failed(why)) => return Err(Problem::internal(format!("the model failed: {why}"))),
                None => break Over::Done,
            },
            () = &mut end => break Over::Time,
        }
    };
    Ok((over, figures, rounds))
}

struct Report {
    info: ModelInfo,
    entry: Option<aurora_local::models::Entry>,
    plan: Plan,
    load: Duration,
    peak_memory: Option<u64>,
    rounds: usize,
    figures: Figures,
}

impl Report {
    fn table(&self) -> String {
        let ModelInfo {
            name,
            context,
            quantisation,
            threads,
            ..
        } = &self.info;
        let mut out = format!("local/{name}: ");
        if let Some(entry) = &self.entry {
            let (architecture, mib) = (&entry.architecture, entry.bytes as f64 / f64::from(1 << 20));
            let parameters = listing::parameters(entry.parameters);
            let _ = write!(out, "{architecture}, {parameters} parameters, {mib:.1} MiB, ");
        }
        let _ = writeln!(out, "{quantisation}, context {context}, {threads} threads\n");
        let _ = writeln!(
            out,
            "{:42} {:>10} {:>10} {:>10}",
            "", "median", "lowest", "highest"
        );
        for (figure, values) in &self.figures {
            let (name, unit) = (self.name(*figure), unit(*figure));
            let Some([median, lowest, highest]) = middle(values) else {
                let _ = writeln!(out, "{name:31} {unit:>10} {:>10}", "-");
                continue;
            };
            let _ = writeln!(
                out,
                "{name:31} {unit:>10} {median:>10.1} {lowest:>10.1} {highest:>10.1}"
            );
        }
        let _ = writeln!(
            out,
            "{:31} {:>10} {:>10.1}",
            "loading the file",
            "ms",
            self.load.as_secs_f64() * 1e3
        );
        if let Some(bytes) = self.peak_memory {
            let mb = bytes as f64 / 1e6;
            let _ = writeln!(out, "{:31} {:>10} {mb:>10.1}", "peak memory", "MB");
        }
        let _ = writeln!(
            out,
            "\n{} rounds; a long prompt is about {} tokens, an answer {}",
            self.rounds, self.plan.prompt, self.plan.answer
        );
        out
    }

    fn json(&self) -> Value {
        let figures = self.figures.iter().map(|(figure, values)| {
            let [median, lowest, highest] = middle(values).map_or([None; 3], |all| all.map(Some));
            json!({
                "figure": key(*figure), "unit": unit(*figure),
                "median": median, "lowest": lowest, "highest": highest, "values": values,
            })
        });
        json!({
            "type": "bench",
            "model": format!("local/{}", self.info.name),
            "architecture": self.entry.as_ref().map(|entry| &entry.architecture),
            "parameters": self.entry.as_ref().map(|entry| entry.parameters),
            "bytes": self.entry.as_ref().map(|entry| entry.bytes),
            "quantisation": self.info.quantisation,
            "context": self.info.context,
            "threads": self.info.threads,
            "prompt_tokens": self.plan.prompt,
            "answer_tokens": self.plan.answer,
            "streams": self.plan.streams,
            "rounds": self.rounds,
            "load_ms": self.load.as_secs_f64() * 1e3,
            "peak_memory_bytes": self.peak_memory,
            "figures": figures.collect::<Vec<_>>(),
        })
    }

    fn name(&self, figure: Figure) -> String {
        match figure {
            Figure::FirstShort => "first token, short question".to_owned(),
            Figure::FirstCold => "first token, long prompt".to_owned(),
            Figure::FirstSame => "first token, same prompt again".to_owned(),
            Figure::FirstWarm => "first token, same start".to_owned(),
            Figure::Prefill => "reading a prompt".to_owned(),
            Figure::Decode => "writing one answer".to_owned(),
            Figure::Streams => format!("writing {} answers at once", self.plan.streams),
        }
    }

    /// How far apart the lowest and the highest of a figure are at most, as a part of the median.
    fn spread(&self) -> f64 {
        let spreads = self.figures.iter().filter_map(|(_, values)| {
            let [median, lowest, highest] = middle(values)?;
            Some((highest - lowest) / median)
        });
        spreads.fold(0.0, f64::max)
    }
}

fn unit(figure: Figure) -> &'static str {
    if figure.is_time() { "ms" } else { "tokens/s" }
}

fn key(figure: Figure) -> &'static str {
    match figure {
        Figure::FirstShort => "first_token_short",
        Figure::FirstCold => "first_token_cold",
        Figure::FirstSame => "first_token_same_prompt",
        Figure::FirstWarm => "first_token_same_start",
        Figure::Prefill => "prefill",
        Figure::Decode => "decode",
        Figure::Streams => "streams",
    }
}

/// The median, the lowest and the highest, if there is any.
fn middle(values: &[f64]) -> Option<[f64; 3]> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let (lowest, highest) = (*sorted.first()?, *sorted.last()?);
    let half = sorted.len() / 2;
    let median = if sorted.len().is_multiple_of(2) {
        f64::midpoint(sorted[half - 1], sorted[half])
    } else {
        sorted[half]
    };
    Some([median, lowest, highest])
}

#[cfg(test)]
mod tests {
    use super::middle;

    #[test]
    fn the_median_is_of_all_rounds() {
        assert_eq!(middle(&[]), None);
        assert_eq!(middle(&[3.0, 1.0, 2.0]), Some([2.0, 1.0, 3.0]));
        assert_eq!(middle(&[4.0, 1.0]), Some([2.5, 1.0, 4.0]));
    }
}

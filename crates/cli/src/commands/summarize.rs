//! `aurora summarize FILE…`: one summary of all texts, or one of each.

use std::io::{self, IsTerminal as _};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use aurora_chat::{ChatRequest, Message, Role, Start, Update, Verdict};
use aurora_client::Prospect;

use super::ask;
use crate::args::{Common, SummarizeArgs};
use crate::console;
use crate::delivery::{self, Console, Delivery};
use crate::history::{Answerer, History};
use crate::output::{Audience, Size, Style};
use crate::problem::{Problem, Result};
use crate::roles;
use crate::settings::{self, Env, Settings};
use crate::source::{Answering, Source};
use crate::summarize::{
    Budget, Cache, Document, Model, Plan, Progress, Purpose, Reader, Run, Text, Told, Wanted, Wish, Work,
    input, start,
};

/// Summarises, prints, and returns the exit code of the verdict.
///
/// # Errors
/// A file cannot be read or says nothing, there is no usable model, or stdout cannot be written.
pub(super) fn run(args: &SummarizeArgs, flags: &Common, env: Env) -> Result<u8> {
    delivery::with_printer(flags, env, |env, delivery, printer| {
        refuse(flags)?;
        let settings = settings::load(flags, None, env.clone())?;
        let target = settings.target()?;
        let source = Source::of(&target, &settings)?;
        let system = roles::system(flags, &env)?;
        let base = base(system.as_deref(), flags)?;
        let Some(documents) = documents(args, delivery)? else {
            return delivery::cancelled(printer);
        };
        let mut conversation = History::of(&settings).begin();
        conversation.set_system(system.as_deref());
        conversation.say(Message::text(Role::User, said(args, &documents)));
        let recorder = conversation.answer(target.answerer());
        let progress = Progress::new(delivery.style(), args.watch);
        let told = progress.told();
        let job = Job {
            args: args.clone(),
            base,
            max_tokens: flags.max_tokens,
            source,
            answerer: target.answerer(),
            cache: cache(args, &settings),
            style: delivery.style(),
            progress,
        };
        let open = async move {
            let asked = Instant::now();
            let run = job.prepare(documents).await?;
            Ok(Answering::made(asked, start(run)).kept(recorder))
        };
        let mut summary = Summary {
            to: printer,
            told: told.clone(),
        };
        let result = delivery.run(target.start(), open, &mut summary);
        if let Some(trouble) = conversation.close() {
            console::tell(&format!("warning: {trouble}"));
        }
        let (is_whole, kept) = (matches!(result, Ok(0 | 8)), told.kept());
        if !is_whole && kept > 0 {
            console::tell(&format!(
                "what came of {kept} part{} is kept: the same command goes on from there",
                if kept == 1 { "" } else { "s" }
            ));
        }
        result
    })
}

/// Flags that mean nothing here.
fn refuse(flags: &Common) -> Result<()> {
    let wrong = |what: &str| Err(Problem::usage(what));
    if !flags.files.is_empty() {
        return wrong("--file adds to a prompt; aurora summarize FILE… names what is summarised");
    }
    if flags.continue_.is_some() {
        return wrong(
            "--continue goes on with a conversation; a summary begins one (aurora -c asks about it afterwards)",
        );
    }
    if flags.record.is_some() {
        return wrong(
            "--record keeps the exchange of one answer (aurora PROMPT), and a summary is made of many",
        );
    }
    Ok(())
}

/// What all requests have in common.
fn base(system: Option<&str>, flags: &Common) -> Result<ChatRequest> {
    let system = system.map(|system| Message::text(Role::System, system));
    let prompt = Message::text(Role::User, "-");
    let mut request = ask::request(system.into_iter().chain([prompt]).collect(), flags)?;
    // It was there to be checked along.
    request.messages.pop();
    request.max_tokens = None;
    Ok(request)
}

/// Reads what is to be summarised; `None` if a signal comes first.
fn documents(args: &SummarizeArgs, delivery: &Delivery) -> Result<Option<Vec<Document>>> {
    let mut paths = args.inputs.clone();
    if paths.is_empty() {
        if io::stdin().is_terminal() {
            return Err(Problem::usage(
                "no text: name files (aurora summarize book.txt), or pipe one in; aurora summarize --help tells more",
            ));
        }
        paths.push(PathBuf::from("-"));
    }
    let encoding = args.encoding;
    let documents = delivery.unless_stopped(move || input::read(&paths, encoding))?;
    for document in documents.iter().flatten() {
        if let Some(remark) = &document.remark {
            console::tell(&format!("{}: {remark}", document.name));
        }
    }
    Ok(documents)
}

/// What stands in the history for the prompt, which nobody has typed.
fn said(args: &SummarizeArgs, documents: &[Document]) -> String {
    const NAMED: usize = 10;
    let names: Vec<&str> = documents
        .iter()
        .take(NAMED)
        .map(|document| document.name.as_str())
        .collect();
    let more = documents.len().saturating_sub(NAMED);
    let more = if more > 0 {
        format!(" and {more} more")
    } else {
        String::new()
    };
    let focus = args
        .focus
        .as_ref()
        .map_or_else(String::new, |focus| format!(" Focus: {focus}."));
    format!("Summarize {}{more}.{focus}", names.join(", "))
}

/// Where notes are kept; nowhere if nothing is to be.
fn cache(args: &SummarizeArgs, settings: &Settings) -> Option<Cache> {
    let keep = !args.no_cache && settings.keep_history.value;
    let folder = settings.data_dir.as_ref().filter(|_| keep)?;
    Some(Cache::new(&folder.value))
}

/// What the work is prepared from.
struct Job {
    args: SummarizeArgs,
    base: ChatRequest,
    /// Of the summary.
    max_tokens: Option<u32>,
    source: Source,
    answerer: Answerer,
    cache: Option<Cache>,
    style: Style,
    progress: Progress,
}

impl Job {
    /// Loads the model where it is local, counts, and plans.
    async fn prepare(self, documents: Vec<Document>) -> Result<Run> {
        let args = self.args;
        let wish = Wish {
            style: args.style,
            words: args.words,
            lang: args.lang,
            focus: args.focus,
        };
        let context = args.context.map(|context| context as usize);
        let reader = Reader::of(&self.source, &self.answerer, context).await?;
        let wanted = Wanted {
            part_tokens: args.part_tokens,
            max_tokens: self.max_tokens,
            words: wish.words(),
        };
        let model = Model {
            context: reader.context,
            overhead: overhead(&reader, &wish, &self.base),
            is_local: reader.is_local,
        };
        let budget = Budget::new(model, wanted).map_err(Problem::usage)?;
        let plan = Plan {
            texts: texts(documents, args.per_file),
            wish,
            budget,
            tokens: reader.tokens,
            base: self.base,
            answerer: reader.answerer,
        };
        let work = tokio::task::spawn_blocking(move || Work::new(plan))
            .await
            .map_err(|_| Problem::internal("the thread that plans the summary ended"))?
            .map_err(|stuck| Problem::usage(stuck.to_string()))?;
        Ok(Run {
            work,
            source: self.source,
            cache: self.cache,
            progress: self.progress,
            jobs: usize::from(args.jobs),
            tells_events: self.style.json,
        })
    }
}

/// The texts of the summaries, with the headings they stand under.
fn texts(documents: Vec<Document>, per_file: bool) -> Vec<(Option<String>, Text)> {
    let is_one = documents.len() == 1;
    if per_file || is_one {
        let heading = |name: String| (!is_one).then_some(name);
        return documents
            .into_iter()
            .map(|document| (heading(document.name), Text::of_file(document.text)))
            .collect();
    }
    let files = documents
        .iter()
        .map(|document| (document.name.as_str(), document.text.as_str()));
    vec![(None, Text::of_files(files))]
}

/// The tokens of the longest prompt without its text.
fn overhead(reader: &Reader, wish: &Wish, base: &ChatRequest) -> usize {
    // Where the text meets the prompt, tokens may fall out differently.
    const SEAMS: usize = 8;
    let purposes = [Purpose::Note { words: 9999 }, Purpose::Summary];
    let prompts = purposes
        .into_iter()
        .flat_map(|purpose| [false, true].map(|from_notes| wish.prompt(purpose, from_notes, "")));
    let longest = prompts.map(|prompt| {
        let mut request = base.clone();
        request.messages.push(Message::text(Role::User, prompt));
        reader.prompt(&request)
    });
    longest.max().unwrap_or(0) + SEAMS
}

/// The printer, with the progress of the work beside it.
struct Summary<'p> {
    to: &'p mut Console,
    told: Told,
}

impl Summary<'_> {
    fn tell(&mut self) {
        for line in self.told.take_lines() {
            self.to.remark(&line);
        }
    }
}

impl Audience for Summary<'_> {
    fn asked(&mut self, start: Start) {
        self.to.asked(start);
    }

    fn resize(&mut self, size: Size) -> Result<()> {
        self.to.resize(size)
    }

    fn quiet(&mut self, _: Duration, _: Option<Prospect>) {
        self.tell();
        if let Some(forms) = self.told.forms() {
            self.to.note(forms);
        }
    }

    fn problem(&mut self, elapsed: Duration, kind: &str, message: &str) -> Result<()> {
        self.to.problem(elapsed, kind, message)
    }

    fn update(&mut self, elapsed: Duration, update: &Update) -> Result<Option<Verdict>> {
        self.tell();
        self.to.update(elapsed, update)
    }
}

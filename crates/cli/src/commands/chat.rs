//! `aurora chat`: a conversation, one prompt after the other.
//!
//! On a terminal prompts are edited ([`input`]); what is typed while an answer streams waits for the next prompt, and
//! Ctrl-C stops the answer and keeps it. What begins with a slash is for us ([`slash`]). No answer, however it ends, ends
//! the chat. Where prompts are piped in, each line is one, and the exit code is that of the last answer that is not whole:
//! nobody was there to see it.

use std::path::PathBuf;

use aurora_chat::{Message, Role};

use super::{ask, continuing};
use crate::args::{Common, EditKeys};
use crate::console;
use crate::delivery::{self, Delivery};
use crate::history::{Conversation, History};
use crate::output::{Style, visible};
use crate::problem::Result;
use crate::prompt;
use crate::roles;
use crate::settings::{self, Env, Origin, Settings, Sourced};
use crate::signals;
use crate::source::Source;
use crate::terminal::Quiet;

mod aside;
mod complete;
mod input;
mod models;
mod slash;
mod turn;

use complete::Words;
use input::{Input, Typed};
use models::Models;
use slash::{Line, Slash};
use turn::Turn;

/// Talks until the person leaves; returns the exit code.
///
/// # Errors
/// There is no usable model, or the terminal or stdout is gone.
pub(super) fn run(words: &[String], keys: Option<EditKeys>, flags: &Common, env: Env) -> Result<u8> {
    delivery::with_printer(flags, env, |env, delivery, _| {
        super::refuse_record(flags)?;
        let dumb = console::is_dumb(&env)?;
        let mut chat = Chat::begin(flags, env, delivery)?;
        let keys = keys.unwrap_or(chat.settings.edit_keys.value);
        let result = chat.run(words.join(" "), keys, dumb);
        if let Some(trouble) = chat.conversation.close() {
            console::tell(&format!("warning: {trouble}"));
        }
        result
    })
}

/// A conversation and all that is needed to go on with it.
struct Chat<'a> {
    flags: &'a Common,
    env: Env,
    delivery: &'a Delivery,
    style: Style,
    settings: Settings,
    source: Source,
    conversation: Conversation,
    /// Files for the next prompt.
    files: Vec<PathBuf>,
    /// A terminal that is kept quiet while the chat has it.
    quiet: Option<Quiet>,
    /// The exit code of the last answer that was not whole.
    code: u8,
}

/// Whether the chat goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    GoOn,
    Leave,
}

impl<'a> Chat<'a> {
    fn begin(flags: &'a Common, env: Env, delivery: &'a Delivery) -> Result<Self> {
        let settings = settings::load(flags, None, env.clone())?;
        let (settings, mut conversation) = match &flags.continue_ {
            Some(id) => continuing::take_up(id, flags, env.clone(), settings)?,
            None => {
                let conversation = History::of(&settings).begin();
                (settings, conversation)
            }
        };
        if let Some(system) = roles::system(flags, &env)? {
            conversation.set_system(Some(&system));
        }
        let source = Source::of(&settings.target()?, &settings)?;
        let style = delivery.style();
        Ok(Self {
            flags,
            env,
            delivery,
            style: Style {
                footer: style.err_is_terminal && !style.plain && !style.usage,
                ..style
            },
            settings,
            source,
            conversation,
            files: flags.files.clone(),
            quiet: None,
            code: 0,
        })
    }

    fn run(&mut self, first: String, keys: EditKeys, dumb: bool) -> Result<u8> {
        let on_terminal = std::io::IsTerminal::is_terminal(&std::io::stdin());
        let edits = on_terminal && self.style.out_is_terminal && self.style.err_is_terminal && !dumb;
        let mut input = if edits {
            self.quiet = Some(Quiet::new());
            let words = Words {
                models: Models::new(&self.settings, self.delivery.runtime()),
            };
            let mut said = self.said_before();
            said.extend(self.said());
            let over = self.delivery.termination();
            Input::editor(keys, words, said.into_iter(), self.style.err_color, over)?
        } else {
            Input::Lines {
                prompted: on_terminal && self.style.err_is_terminal,
            }
        };
        if on_terminal {
            self.greet()?;
        }
        if !first.trim().is_empty() || (!on_terminal && !self.files.is_empty()) {
            self.say(first)?;
        }
        loop {
            if self.delivery.is_terminated() {
                return Ok(signals::EXIT_CODE);
            }
            // Whoever pipes prompts in and presses Ctrl-C means all of them.
            if !on_terminal && self.code == signals::EXIT_CODE {
                return Ok(self.code);
            }
            self.delivery.rearm();
            let next = match input.next(self.delivery)? {
                Typed::Nothing => Next::GoOn,
                Typed::End => Next::Leave,
                Typed::Text(text) => self.typed(&text)?,
            };
            if next == Next::Leave {
                return Ok(match (self.delivery.is_terminated(), on_terminal) {
                    (true, _) => signals::EXIT_CODE,
                    (false, true) => 0,
                    (false, false) => self.code,
                });
            }
        }
    }

    /// What stands above the first prompt.
    fn greet(&self) -> Result<()> {
        if let Some(id) = self.conversation.id().filter(|_| self.flags.continue_.is_some()) {
            let title = self.conversation.title();
            self.remark(&format!("going on with {id}: {title}"));
            let last = self.conversation.entries().last();
            if let Some(remark) = last.and_then(|entry| entry.answer.as_ref()?.remark()) {
                self.remark(&format!("its last answer is not whole ({remark})"));
            }
        }
        let name = self.settings.target_name()?;
        self.remark(&format!("{name} · /help tells the commands, Ctrl-D leaves"));
        Ok(())
    }

    fn typed(&mut self, text: &str) -> Result<Next> {
        match slash::read(text) {
            Line::Empty => {}
            Line::Prompt(prompt) => self.say(prompt)?,
            Line::Mistake(message) => console::tell(&message),
            Line::Command(Slash::Quit) => return Ok(Next::Leave),
            Line::Command(command) => match self.command(command) {
                // What stdout does not take, nobody reads.
                Err(problem) if problem.name().is_none() => return Err(problem),
                Err(problem) => console::tell(&problem.to_string()),
                Ok(()) => {}
            },
        }
        Ok(Next::GoOn)
    }

    fn command(&mut self, command: Slash) -> Result<()> {
        match command {
            Slash::Model(None) => {
                let answers = self.settings.target_name()?;
                self.remark(&format!("{answers} answers; /model NAME lets another one:"));
                let mut models = Models::new(&self.settings, self.delivery.runtime());
                models.names().iter().for_each(|name| self.remark(name));
            }
            Slash::Model(Some(name)) => self.use_model(name)?,
            Slash::System(None) => self.tell_system(),
            Slash::System(Some(text)) => self.set_system(&text)?,
            Slash::File(None) if self.files.is_empty() => self.remark("no files for the next prompt"),
            Slash::File(None) => {
                for file in &self.files {
                    self.remark(&file.display().to_string());
                }
            }
            Slash::File(Some(path)) => {
                // What cannot be read is told now, and not when the prompt is written.
                prompt::with_files("", std::slice::from_ref(&path))?;
                self.remark(&format!("{} goes with the next prompt", path.display()));
                self.files.push(path);
            }
            Slash::Undo => match self.conversation.undo() {
                Some(prompt) => {
                    let text = prompt.plain_text();
                    let line = text.lines().next().unwrap_or_default();
                    self.remark(&format!("taken back: {line}"));
                }
                None => self.remark("there is nothing to take back"),
            },
            Slash::Retry => match self.conversation.undo() {
                Some(prompt) => self.ask(prompt)?,
                None => self.remark("there is no prompt to ask again"),
            },
            Slash::Edit => self.edit()?,
            Slash::Copy => self.copy()?,
            Slash::Save(path) => self.save(&path)?,
            Slash::Clear => self.clear()?,
            Slash::Code(number) => self.code(number)?,
            Slash::Usage => self.tell_usage(),
            Slash::Help => self.help()?,
            Slash::Quit => {}
        }
        Ok(())
    }

    /// Lets another model answer from now on. One that cannot be had changes nothing.
    fn use_model(&mut self, name: String) -> Result<()> {
        let mut settings = self.settings.clone();
        settings.endpoint = None;
        settings.model = Some(Sourced {
            value: name,
            origin: Origin::Flag("/model"),
        });
        let source = Source::of(&settings.target()?, &settings)?;
        let name = settings.target_name()?;
        (self.settings, self.source) = (settings, source);
        self.remark(&format!("{name} answers from now on"));
        Ok(())
    }

    /// Sets the system prompt to a text or a role; `-` takes it away.
    fn set_system(&mut self, text: &str) -> Result<()> {
        if text == "-" {
            self.conversation.set_system(None);
            self.remark("no system prompt from now on");
            return Ok(());
        }
        let flags = Common {
            system: Some(text.to_owned()),
            ..self.flags.clone()
        };
        let system = roles::system(&flags, &self.env)?;
        self.conversation.set_system(system.as_deref());
        self.remark("the system prompt from now on");
        Ok(())
    }

    /// Begins a new conversation with the same system prompt.
    fn clear(&mut self) -> Result<()> {
        let system = self.system();
        let mut conversation = History::of(&self.settings).begin();
        conversation.set_system(system.as_deref());
        let before = std::mem::replace(&mut self.conversation, conversation);
        let told = match before.id().filter(|_| !before.entries().is_empty()) {
            Some(id) => format!("a new conversation; aurora chat -c={id} goes on with the last one"),
            None => "a new conversation".to_owned(),
        };
        if let Some(trouble) = before.close() {
            console::tell(&format!("warning: {trouble}"));
        }
        self.remark(&told);
        Ok(())
    }

    /// Says this, with the files that were added.
    fn say(&mut self, text: String) -> Result<()> {
        match prompt::with_files(&text, &self.files) {
            Ok(None) => Ok(()),
            Ok(Some(prompt)) => {
                self.files.clear();
                self.ask(prompt)
            }
            Err(problem) => {
                console::tell(&problem.to_string());
                Ok(())
            }
        }
    }

    /// Asks, delivers the answer and keeps it, however it ends.
    fn ask(&mut self, prompt: Message) -> Result<()> {
        let target = self.settings.target()?;
        let mut messages = self.conversation.messages();
        messages.push(prompt.clone());
        let request = ask::request(messages, self.flags)?;
        self.conversation.say(prompt);
        let recorder = self.conversation.answer(target.answerer());
        let source = self.source.clone();
        let open = async move { Ok(source.ask(request, None).await?.kept(recorder)) };
        self.delivery.rearm();
        let folds = !self.style.json && !self.style.show_reasoning && self.style.footer;
        let mut printer = self.delivery.printer(self.style);
        if self.flags.json_schema.is_some() {
            printer.set_code("json");
        }
        let mut turn = Turn::new(printer, folds);
        let result = self.delivery.run(target.start(), open, &mut turn);
        self.conversation.settle();
        if let Some(trouble) = self.conversation.trouble() {
            console::tell(&format!("warning: {trouble}"));
        }
        match result {
            Ok(0) => {}
            Ok(code) => self.code = code,
            Err(problem) if problem.name().is_none() => return Err(problem),
            Err(problem) => {
                console::tell(&problem.to_string());
                self.code = problem.exit_code();
            }
        }
        Ok(())
    }

    /// The prompts of the conversation, in their order.
    fn said(&self) -> impl Iterator<Item = String> {
        let entries = self.conversation.entries().iter();
        entries
            .filter(|entry| entry.message.role == Role::User)
            .map(|entry| entry.message.plain_text().into_owned())
    }

    /// The prompts of earlier conversations that can be edited: an editor shows a text as it is, so none that a terminal
    /// might obey.
    fn said_before(&self) -> Vec<String> {
        let id = self.conversation.id().unwrap_or_default();
        let mut said = History::of(&self.settings).prompts(&id, input::REMEMBERED);
        said.retain(|prompt| {
            !prompt
                .chars()
                .any(|c| !matches!(c, '\n' | '\t') && visible::is_control(c))
        });
        said
    }

    /// A line that is no part of any answer.
    fn remark(&self, text: &str) {
        self.delivery.printer(self.style).remark(text);
    }
}

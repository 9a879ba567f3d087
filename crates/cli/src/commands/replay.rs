//! `aurora replay`: a recording of `--record`, played as if its server answered again.
//!
//! The recorded bytes run through the same client and the same printer at the recorded times, so stdout and the exit
//! code are those of the run that was recorded. Nothing is sent, and no configuration is read.

use std::path::Path;

use aurora_chat::Start;

use crate::args::{Common, Speed};
use crate::delivery;
use crate::problem::Result;
use crate::recording;
use crate::settings::Env;
use crate::source::Answering;

/// Plays, prints, and returns the exit code of the verdict.
///
/// # Errors
/// The file is no recording that can be played, or stdout cannot be written.
pub(super) fn run(file: &Path, speed: Speed, flags: &Common, env: Env) -> Result<u8> {
    delivery::with_printer(flags, env, |_, delivery, printer| {
        super::refuse_record(flags)?;
        let file = file.to_owned();
        let Some(recording) = delivery.unless_stopped(move || recording::read(&file))? else {
            return delivery::cancelled(printer);
        };
        let asked = Start {
            model: recording.model().to_owned(),
            endpoint: recording.endpoint().to_owned(),
            stream: None,
        };
        let open = async move { Ok(Answering::Call(recording.play(speed.0))) };
        delivery.run(asked, open, printer)
    })
}

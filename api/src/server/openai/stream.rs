//! [`Parts`]: an episode as OpenAI's clients read a stream of it, in either of its two forms.
//!
//! Sentences come as they are written; annotations and the whole answer come once it is final; an error ends
//! the stream without `[DONE]`. Dropping it, as the server does when the client leaves, cancels the episode.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::response::{IntoResponse, Response, Sse, sse};
use futures_core::Stream;
use serde::Serialize;
use tokio::time::{Sleep, sleep};

use super::refusal::envelope;
use super::transcript::Transcript;
use crate::server::ask::HEARTBEAT;
use crate::server::error::ApiError;
use crate::server::origin::Reached;
use crate::server::wire::openai::{
    Chat, ChatChoice, ChatChunk, ChatDelta, ChunkChoice, Completion, CompletionChoice, Usage,
};
use crate::server::wire::{Answer, Event};
use crate::worker;

/// Which of the two forms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// Messages.
    Chat,
    /// A prompt and a text.
    Completion,
}

/// What all parts of one answer have in common.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    pub(super) form: Form,
    /// What links to this service begin with.
    pub(super) reached: Reached,
    /// Names the request.
    pub(super) id: String,
    /// When it came, in seconds since 1970.
    pub(super) created: i64,
    pub(super) model: String,
    pub(super) question: String,
}

impl Frame {
    /// The whole answer at once.
    pub(super) fn whole(self, answer: Answer) -> Response {
        let Self { form, reached, id, created, model, question } = self;
        let mut transcript = Transcript::default();
        let content = transcript.finish(&answer);
        let usage = Usage::of(&question, &content);
        match form {
            Form::Chat => {
                let annotations = transcript.annotations(&answer, &reached);
                let message = ChatDelta { role: Some("assistant"), content: Some(content), annotations };
                let choices = vec![ChatChoice { index: 0, message, logprobs: (), finish_reason: "stop" }];
                let object = "chat.completion";
                axum::Json(Chat { id, object, created, model, choices, usage, anamnesis: answer }).into_response()
            }
            Form::Completion => {
                let choices = vec![CompletionChoice::new(content, true)];
                let (object, usage, anamnesis) = ("text_completion", Some(usage), Some(answer));
                axum::Json(Completion { id, object, created, model, choices, usage, anamnesis }).into_response()
            }
        }
    }

    /// What comes first.
    fn opening(&self) -> Option<String> {
        let delta = ChatDelta { role: Some("assistant"), content: Some(String::new()), ..ChatDelta::default() };
        (self.form == Form::Chat).then(|| self.chat(Some((delta, false)), None, None))
    }

    /// New text.
    fn text(&self, text: String) -> String {
        match self.form {
            Form::Chat => {
                self.chat(Some((ChatDelta { content: Some(text), ..ChatDelta::default() }, false)), None, None)
            }
            Form::Completion => self.completion(Some((text, false)), None, None),
        }
    }

    /// The end, annotations before it.
    fn end(&self, transcript: &Transcript, answer: Answer) -> Vec<String> {
        if self.form == Form::Completion {
            return vec![self.completion(Some((String::new(), true)), None, Some(answer))];
        }
        let mut parts = Vec::new();
        let annotations = transcript.annotations(&answer, &self.reached);
        if !annotations.is_empty() {
            parts.push(self.chat(Some((ChatDelta { annotations, ..ChatDelta::default() }, false)), None, None));
        }
        parts.push(self.chat(Some((ChatDelta::default(), true)), None, Some(answer)));
        parts
    }

    /// What it cost.
    fn usage(&self, content: &str) -> String {
        let usage = Some(Usage::of(&self.question, content));
        match self.form {
            Form::Chat => self.chat(None, usage, None),
            Form::Completion => self.completion(None, usage, None),
        }
    }

    fn chat(&self, delta: Option<(ChatDelta, bool)>, usage: Option<Usage>, anamnesis: Option<Answer>) -> String {
        let choice = |(delta, is_last): (ChatDelta, bool)| ChunkChoice {
            index: 0,
            delta,
            logprobs: (),
            finish_reason: is_last.then_some("stop"),
        };
        json(&ChatChunk {
            id: self.id.clone(),
            object: "chat.completion.chunk",
            created: self.created,
            model: self.model.clone(),
            choices: delta.map(choice).into_iter().collect(),
            usage,
            anamnesis,
        })
    }

    fn completion(&self, text: Option<(String, bool)>, usage: Option<Usage>, anamnesis: Option<Answer>) -> String {
        json(&Completion {
            id: self.id.clone(),
            object: "text_completion",
            created: self.created,
            model: self.model.clone(),
            choices: text.map(|(text, is_last)| CompletionChoice::new(text, is_last)).into_iter().collect(),
            usage,
            anamnesis,
        })
    }
}

/// The parts of an answer, as they come.
pub(super) struct Parts {
    frame: Frame,
    events: worker::Stream<Result<Event, ApiError>>,
    deadline: Pin<Box<Sleep>>,
    transcript: Transcript,
    /// Written and not yet sent.
    ready: VecDeque<String>,
    wants_usage: bool,
    over: bool,
}

impl Parts {
    /// The parts that `events` make, for at most `limit`.
    pub(super) fn new(
        frame: Frame,
        events: worker::Stream<Result<Event, ApiError>>,
        limit: Duration,
        wants_usage: bool,
    ) -> Self {
        Self {
            ready: frame.opening().into_iter().collect(),
            frame,
            events,
            deadline: Box::pin(sleep(limit)),
            transcript: Transcript::default(),
            wants_usage,
            over: false,
        }
    }

    /// The response that sends them.
    pub(super) fn into_response(self) -> Response {
        Sse::new(self).keep_alive(sse::KeepAlive::new().interval(HEARTBEAT)).into_response()
    }

    fn take(&mut self, event: Event) {
        match event {
            Event::Answer { text, cites } => {
                let new = self.transcript.sentence(&text, &cites);
                self.ready.push_back(self.frame.text(new));
            }
            Event::Final(answer) => {
                let rest = self.transcript.finish(&answer);
                self.ready.push_back(self.frame.text(rest));
                self.ready.extend(self.frame.end(&self.transcript, *answer));
                if self.wants_usage {
                    self.ready.push_back(self.frame.usage(self.transcript.content()));
                }
                self.ready.push_back("[DONE]".to_owned());
                self.over = true;
            }
            _ => {}
        }
    }

    fn fail(&mut self, error: &ApiError) {
        self.ready.push_back(json(&envelope(error).0));
        self.over = true;
    }
}

impl Stream for Parts {
    type Item = Result<sse::Event, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if let Some(data) = self.ready.pop_front() {
                return Poll::Ready(Some(Ok(sse::Event::default().data(data))));
            }
            if self.over {
                return Poll::Ready(None);
            }
            match self.events.poll_next(context) {
                Poll::Ready(Some(Ok(event))) => self.take(event),
                Poll::Ready(Some(Err(error))) => self.fail(&error),
                // the channel closed before the last event
                Poll::Ready(None) => self.fail(&worker::Lost.into()),
                Poll::Pending => {
                    ready!(self.deadline.as_mut().poll(context));
                    self.fail(&ApiError::timeout());
                }
            }
        }
    }
}

fn json(part: &impl Serialize) -> String {
    serde_json::to_string(part).expect("wire types are plain data: their keys are strings")
}

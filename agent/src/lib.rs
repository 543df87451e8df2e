//! The self-ask loop, its protocol, its policies and its traces.
//!
//! On the path: document -> chunk -> index -> hit -> evidence -> *trace* -> reward -> gradient.
//!
//! * [`protocol`]: the grammar of an episode, its parser, its renderer and its profiles;
//! * [`Policy`] and [`Session`]: whoever asks and answers: [`policy::Extractive`] (no model),
//!   [`policy::Local`] (a language model on this machine), [`policy::OpenAi`] (any compatible
//!   endpoint), [`policy::Scripted`] (tests and replays);
//! * [`ask`]: one question to one [`Trace`], under one [`Budget`], telling [`Event`]s as it goes;
//! * [`Answer`]: sentences and the citations that support them, built from the ledger alone;
//! * [`replay`]: an episode again, from its trace;
//! * [`evaluate`]: how often the gold document is among those cited;
//! * [`check`]: what evidence says of a sentence, by rule: its words, its amounts and its direction;
//! * [`review`]: what becomes of an answer before it leaves: examined, mended, marked or struck, and what its reader should know;
//! * [`Judge`]: what evidence says about a claim, by a trained scorer ([`judge`]);
//! * [`engine`]: many generations on one decoder, continuously batched;
//! * [`model`]: language models in folders: found, described, made, tried and measured;
//! * [`phi`]: identifiers of patients in a text, and the text without them;
//! * [`journal`]: what a training run did and measured, line by line;
//! * [`NOTICE`]: the line every surface shows.
//!
//! ```
//! use std::time::Duration;
//! use agent::{Ask, Cancel, ask::ask, policy::Extractive};
//! use retriever::Fixed;
//!
//! let retriever = Fixed::new([("metformin", "Metformin", "Metformin is contraindicated in metabolic acidosis.")]);
//! let task = Ask::new("When is metformin contraindicated?", jiff::Timestamp::UNIX_EPOCH);
//! let trace = ask(&task, &Extractive, &retriever, &|| Duration::ZERO, &Cancel::new(), &mut |_| {})?;
//! assert_eq!(trace.answer.citations[0].document.key(), "metformin");
//! # Ok::<(), agent::Error>(())
//! ```
//!
//! **Invariants.** Only what a policy wrote in its turn is parsed; text of documents and users is data
//! that can open no tag, forge no label, widen no filter and raise no budget. A malformed move is a
//! [`protocol::Fault`], never an error. What is cited is in the ledger. One policy never stands in for
//! another. No clock, no environment variable and no randomness is read here: they are arguments.

mod answer;
pub mod ask;
mod budget;
mod cancel;
pub mod check;
mod earlier;
pub mod engine;
mod error;
pub mod evaluate;
mod event;
pub mod journal;
pub mod judge;
mod matching;
pub mod model;
mod notice;
pub mod phi;
pub mod policy;
pub mod protocol;
pub mod replay;
pub mod review;
mod risk;
mod session;
pub mod trace;

pub use answer::{Answer, Citation, Outcome, Sentence};
pub use ask::Ask;
pub use budget::Budget;
pub use cancel::Cancel;
pub use earlier::Earlier;
pub use error::{Error, Result, Said};
pub use event::Event;
pub use judge::{Judge, Pair, Verdict};
pub use notice::NOTICE;
pub use policy::Policy;
pub use session::{Act, ActLimits, Finish, Found, Observation, Session, Task, Tokens};
pub use trace::{Trace, TraceId};

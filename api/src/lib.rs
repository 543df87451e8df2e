//! The `anamnesis` command and service: everything else, shown to people and programs.
//!
//! * [`run`]: the command line, one file a verb under `cli`;
//! * `home`: what lies where on disk, and how it is opened;
//! * `server`: the axum service; async ends in `worker`, where requests cross to blocking threads;
//! * `output` and `progress`: stdout is data, stderr is progress.
//!
//! **Invariants.** No optimiser is linked here and no tensor is named. Standard output holds results
//! only. Exit status: 0 answered or found, 1 abstained or nothing found, 2 error. Every answer is
//! shown with the line that it informs research and is no medical advice.

mod cli;
mod home;
mod output;
mod policies;
mod privacy;
mod progress;
mod server;
mod worker;

pub use cli::run;
pub use server::openapi;

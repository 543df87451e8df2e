//! The `anamnesis` command and service: everything else, shown to people and programs.
//!
//! * [`run`]: the command line, one file a verb under `cli`;
//! * `home`: what lies where on disk, and how it is opened; `building`: a snapshot of it; `keeping`: traces in it; `runs`: of training;
//! * `server`: the axum service; async ends in `worker`, where requests cross to blocking threads;
//! * `policies` and `review`: who answers and how answers are checked, the same wherever a question is asked;
//! * `privacy`: what becomes of identifiers of patients; `keys`: who may use a service;
//! * `telemetry`: where the time of requests goes, told to a collector;
//! * `output` and `progress`: stdout is data, stderr is progress.
//!
//! **Invariants.** No optimiser is linked here and no tensor is named. Standard output holds results
//! only. Exit status: 0 answered or found, 1 abstained or nothing found, 2 error. Every answer is
//! shown with the line that it informs research and is no medical advice.

mod building;
mod cli;
mod home;
mod keeping;
mod keys;
mod output;
mod policies;
mod privacy;
mod progress;
mod review;
mod runs;
mod server;
mod telemetry;
mod worker;

pub use cli::run;
pub use server::openapi;

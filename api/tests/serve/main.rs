//! The service from outside: the built binary on a home of its own, spoken to over HTTP.

#![expect(clippy::unwrap_used, reason = "a helper that cannot set up its input has failed its test")]

mod audit;
mod client;
mod clients;
mod config;
mod conversation;
mod crowd;
mod curate;
mod deadlines;
mod documents;
mod endpoint;
mod guard;
mod harness;
mod keys;
mod lifecycle;
mod limits;
mod load;
mod local;
mod matrix;
mod mcp;
mod metrics;
mod model;
mod openai;
mod openai_refusals;
mod openapi;
mod overload;
mod privacy;
mod reference;
mod refusals;
mod review;
mod routes;
mod runs;
mod slow;
mod snapshots;
mod stdio;
mod stream;
mod telemetry;
mod tls;
mod traces;
mod writes;

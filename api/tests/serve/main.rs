//! The service from outside: the built binary on a home of its own, spoken to over HTTP.

#![expect(clippy::unwrap_used, reason = "a helper that cannot set up its input has failed its test")]

mod clients;
mod guard;
mod harness;
mod lifecycle;
mod local;
mod mcp;
mod model;
mod openai;
mod openai_refusals;
mod openapi;
mod overload;
mod refusals;
mod review;
mod routes;
mod stdio;
mod stream;

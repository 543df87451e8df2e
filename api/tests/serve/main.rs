//! The service from outside: the built binary on a home of its own, spoken to over HTTP.

#![expect(clippy::unwrap_used, reason = "a helper that cannot set up its input has failed its test")]

mod guard;
mod harness;
mod lifecycle;
mod local;
mod model;
mod openapi;
mod overload;
mod privacy;
mod refusals;
mod routes;
mod stream;

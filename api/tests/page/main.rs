//! The page as people meet it: the built service in a real browser. Where there is no Chromium these tests say so and
//! pass; what needs no browser runs everywhere.

#![expect(clippy::unwrap_used, reason = "a helper that cannot set up its input has failed its test")]

mod answers;
mod ask;
mod assets;
mod audit;
mod browser;
#[path = "../serve/client.rs"]
#[expect(dead_code, reason = "the tests of the service use more of it")]
mod client;
mod functions;
#[path = "../serve/harness.rs"]
#[expect(dead_code, reason = "the tests of the service use more of it")]
mod harness;
mod hostile;
mod long;
mod routes;
mod stubs;
mod surface;
mod verify;
mod views;

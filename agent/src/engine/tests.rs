//! The whole engine on a small decoder.

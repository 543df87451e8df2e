//! Configurations as checkpoints write them.

//! The scheduler against memory that really holds tokens.

//! The one line of medical safety that every surface shows beside an answer.

/// Shown with every answer and every abstention, word for word.
pub const NOTICE: &str =
    "This summarises literature for research; it is no medical advice and replaces no clinical judgement.";

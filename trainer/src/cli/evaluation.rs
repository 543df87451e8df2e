//! How the rows of an evaluation are shown.

use anyhow::Result;
use trainer::evaluation::{Estimate, Evaluation};

use crate::output::{FAINT, Output, STRONG};

/// Shows a column for each row of the evaluation, and in it each measure with its interval.
pub(crate) fn tell(evaluation: &Evaluation, output: &Output) -> Result<()> {
    if output.is_json() {
        return output.json(evaluation);
    }
    let names = evaluation.rows.iter().map(|row| row.label.clone());
    let mut lines = vec![(String::new(), names.collect::<Vec<_>>())];
    lines.push(("questions".to_owned(), evaluation.rows.iter().map(|row| row.questions.to_string()).collect()));
    let Some(all) = evaluation.rows.first() else { return Ok(()) };
    for name in all.measures.keys() {
        let cells = evaluation.rows.iter().map(|row| row.measures.get(name).map_or_else(|| "-".to_owned(), shown));
        lines.push((name.replace('_', " "), cells.collect()));
    }
    table(&lines, output)
}

fn shown(Estimate { value, low, high, .. }: &Estimate) -> String {
    format!("{value:.3} [{low:.3}, {high:.3}]")
}

/// Shows a table: the first line holds the heads of the columns, the first cell of each other one its name.
pub(crate) fn table(lines: &[(String, Vec<String>)], output: &Output) -> Result<()> {
    let widest = lines.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    let columns = lines.first().map_or(0, |(_, cells)| cells.len());
    let width = |at: usize| lines.iter().map(|(_, cells)| cells[at].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    for (number, (name, cells)) in lines.iter().enumerate() {
        let cells = cells.iter().zip(&widths).map(|(cell, width)| format!("  {cell:<width$}"));
        let cells: String = cells.collect();
        let cells = cells.trim_end();
        if number == 0 {
            output.line(format!("{:<widest$}{STRONG}{cells}{STRONG:#}", ""))?;
        } else {
            output.line(format!("{FAINT}{name:<widest$}{FAINT:#}{cells}"))?;
        }
    }
    Ok(())
}

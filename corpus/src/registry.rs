//! Retraction registries: which papers were retracted, corrected or questioned, by others' lists.
//!
//! Three layouts, told by the first line: PubMed ids one a line; a table (tabs, commas or semicolons)
//! with a `pmid` column; the Retraction Watch CSV.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use csv::StringRecord;

use crate::reader::Rejected;
use crate::{Error, Identifiers, Result, Status};

/// The longest first line that is looked at.
const FIRST_LINE_BYTES: u64 = 64 << 10;
/// Larger than any registry; a quote that never closes reads no further.
const MAX_BYTES: u64 = 1 << 30;
/// The longest reason that is kept, in characters.
const REASON_CHARS: usize = 500;

/// What a registry says of one paper.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// The paper's PubMed id, digits only.
    pub pmid: Option<String>,
    /// Its DOI, without resolver. A notice has at least one of the two.
    pub doi: Option<String>,
    /// What became of it; `Ok` if it was reinstated.
    pub status: Status,
    /// Why, as the registry says it: nature, date, reasons; empty for a bare list.
    pub reason: String,
}

/// Which column holds what.
#[derive(Clone, Copy, Debug, Default)]
struct Columns {
    pmid: Option<usize>,
    doi: Option<usize>,
    nature: Option<usize>,
    date: Option<usize>,
    reason: Option<usize>,
}

/// Opens the registry at `path`; rows that name no paper are rejected one by one.
///
/// # Errors
/// If the file cannot be opened, or its first line is neither a PubMed id nor a header with a PubMed
/// id or DOI column.
pub fn read(path: &Path) -> Result<impl Iterator<Item = Result<Notice, Rejected>> + use<>> {
    let failed = |source| Error::File { action: "read", path: path.to_owned(), source };
    let file = File::open(path).map_err(failed)?;
    if file.metadata().map_err(failed)?.len() > MAX_BYTES {
        return Err(Error::Input(format!("{} is no retraction registry: it is larger than 1 GB", path.display())));
    }
    let mut source = BufReader::new(file);
    let mut first = Vec::new();
    (&mut source).take(FIRST_LINE_BYTES).read_until(b'\n', &mut first).map_err(failed)?;
    let head = String::from_utf8_lossy(&first);
    let head = head.trim_start_matches('\u{feff}').trim();
    let is_list = Identifiers::pmid(head).is_some();
    let delimiter = [b'\t', b',', b';'].into_iter().max_by_key(|byte| count(head, *byte)).unwrap_or(b',');
    let columns = if is_list { Columns { pmid: Some(0), ..Columns::default() } } else { columns(head, delimiter) };
    if columns.pmid.is_none() && columns.doi.is_none() {
        return Err(Error::Input(format!(
            "{} is no retraction registry: it needs PubMed ids one a line, or a header with a column `pmid`, \
             `OriginalPaperPubMedID`, `doi` or `OriginalPaperDOI`",
            path.display()
        )));
    }
    let table = csv::ReaderBuilder::new()
        .delimiter(delimiter)
        .has_headers(!is_list)
        .flexible(true)
        .from_reader(std::io::Cursor::new(first).chain(source));
    let name = path.display().to_string();
    // A row that cannot be read is rejected; a file that cannot be read further ends.
    let mut ended = false;
    let rows = table.into_records().take_while(move |row| {
        let go_on = !ended;
        ended = row.as_ref().is_err_and(csv::Error::is_io_error);
        go_on
    });
    Ok(rows.map(move |row| match row {
        Err(error) => {
            let line = error.position().map_or(0, csv::Position::line);
            Err(rejected(&name, line, &error.to_string(), &StringRecord::new()))
        }
        Ok(row) => {
            let line = row.position().map_or(0, csv::Position::line);
            notice(&row, columns).map_err(|reason| rejected(&name, line, &reason, &row))
        }
    }))
}

fn rejected(file: &str, line: u64, reason: &str, row: &StringRecord) -> Rejected {
    let row = row.iter().collect::<Vec<_>>().join(" | ");
    Rejected::new(file, format!("line {line}"), reason, row.as_bytes())
}

fn count(text: &str, byte: u8) -> usize {
    text.bytes().filter(|other| *other == byte).count()
}

fn columns(head: &str, delimiter: u8) -> Columns {
    let names: Vec<_> =
        head.split(delimiter as char).map(|name| name.trim().trim_matches('"').to_ascii_lowercase()).collect();
    let find = |wanted: &[&str]| wanted.iter().find_map(|wanted| names.iter().position(|name| name == wanted));
    Columns {
        pmid: find(&["originalpaperpubmedid", "pmid", "pubmed_id", "pubmedid"]),
        doi: find(&["originalpaperdoi", "doi"]),
        nature: find(&["retractionnature", "nature", "status", "type"]),
        date: find(&["retractiondate", "date", "retraction_year"]),
        reason: find(&["reason", "reasons"]),
    }
}

fn notice(row: &StringRecord, columns: Columns) -> Result<Notice, String> {
    let field = |column: Option<usize>| column.and_then(|at| row.get(at)).map(str::trim).unwrap_or_default();
    let pmid = Identifiers::pmid(field(columns.pmid));
    let doi = Identifiers::doi(field(columns.doi));
    if pmid.is_none() && doi.is_none() {
        return Err("neither a PubMed id nor a DOI".to_owned());
    }
    let nature = field(columns.nature);
    let status = status(nature).ok_or_else(|| format!("`{nature}` is no kind of notice"))?;
    let reasons = field(columns.reason).trim_matches(';').replace(";+", "; ");
    let parts = [nature, field(columns.date), reasons.trim_start_matches('+')];
    let reason = parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", ");
    let reason = crate::text::normalise(&reason).replace('\n', " ").chars().take(REASON_CHARS).collect();
    Ok(Notice { pmid, doi, status, reason })
}

/// What a nature means: Retraction Watch's words, PubMed's link types, our own names. A list that
/// does not say lists retractions.
fn status(nature: &str) -> Option<Status> {
    let nature = nature.to_ascii_lowercase().replace([' ', '-', '_'], "");
    Some(match nature.as_str() {
        "" | "retraction" | "retractionin" | "retracted" | "retractedpublication" | "retractedandrepublishedin" => {
            Status::Retracted
        }
        "expressionofconcern" | "expressionofconcernin" | "concern" | "partialretraction" | "partialretractionin" => {
            Status::Concern
        }
        "correction" | "erratum" | "erratumin" | "corrected" | "correctedandrepublishedin" => Status::Corrected,
        "reinstatement" | "reinstated" | "ok" => Status::Ok,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(name: &str, text: &[u8]) -> Result<Vec<Result<Notice, Rejected>>> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        Ok(read(&path)?.collect())
    }

    fn notice(pmid: Option<&str>, doi: Option<&str>, status: Status, reason: &str) -> Notice {
        Notice { pmid: pmid.map(str::to_owned), doi: doi.map(str::to_owned), status, reason: reason.to_owned() }
    }

    #[test]
    fn reads_bare_lists() {
        let notices = of("pmids.txt", b"123\n0456\nx\n\n0\n").unwrap();
        assert_eq!(notices[0].as_ref().unwrap(), &notice(Some("123"), None, Status::Retracted, ""));
        assert_eq!(notices[1].as_ref().unwrap().pmid.as_deref(), Some("456"));
        let rejected = notices[2].as_ref().unwrap_err();
        assert_eq!((rejected.position.as_str(), rejected.excerpt.as_str()), ("line 3", "x"));
        assert_eq!(notices.len(), 4);
    }

    #[test]
    fn reads_retraction_watch() {
        let text = "Record ID,Title,RetractionDate,RetractionPubMedID,OriginalPaperDOI,OriginalPaperPubMedID,RetractionNature,Reason\n\
            1,\"A, study\",1/2/2020 0:00,99,10.1/a,11,Retraction,+Fake Data;+Error;\n\
            2,B,,0,10.1/b,0,Expression of concern,\n\
            3,C,,0,unavailable,12,Reinstatement,\n\
            4,D,,0,,13,Correction,\n\
            5,E,,0,unavailable,0,Retraction,\n\
            6,F,,0,,14,Blessing,\n";
        let notices = of("rw.csv", text.as_bytes()).unwrap();
        let kept: Vec<_> = notices.iter().flatten().cloned().collect();
        assert_eq!(
            kept,
            [
                notice(Some("11"), Some("10.1/a"), Status::Retracted, "Retraction, 1/2/2020 0:00, Fake Data; Error"),
                notice(None, Some("10.1/b"), Status::Concern, "Expression of concern"),
                notice(Some("12"), None, Status::Ok, "Reinstatement"),
                notice(Some("13"), None, Status::Corrected, "Correction"),
            ]
        );
        assert_eq!(notices.iter().filter(|notice| notice.is_err()).count(), 2);
    }

    #[test]
    fn refuses_what_is_none() {
        assert!(of("a.csv", b"name,age\nx,1\n").is_err());
        assert!(of("empty.csv", b"").is_err());
        assert!(read(Path::new("/nonexistent/registry.csv")).is_err());
        let bad = of("b.tsv", b"pmid\ttype\n\xff\xfe\tRetractionIn\n5\tRetractionIn\n").unwrap();
        assert_eq!((bad.len(), bad[1].as_ref().unwrap().status), (2, Status::Retracted));
        assert!(bad[0].is_err());
    }

    #[test]
    fn reads_the_list_at_hand() {
        let data = std::env::var("ANAMNESIS_DATA")
            .unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data").to_owned());
        let path = Path::new(&data).join("corpora/retracted_pmids_2011.tsv");
        if !path.try_exists().unwrap() {
            println!("skipped: {} is absent", path.display());
            return;
        }
        let notices: Vec<_> = read(&path).unwrap().collect::<Result<_, _>>().unwrap();
        assert_eq!(notices.len(), 2183);
        assert!(notices.iter().all(|notice| notice.pmid.is_some()));
        let with = |status| notices.iter().filter(|notice| notice.status == status).count();
        assert_eq!((with(Status::Retracted), with(Status::Concern)), (2155, 28));
    }
}

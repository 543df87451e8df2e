//! A PubMed file of any size is read in the same memory. Alone in its binary: memory is the process's.

use std::fs::File;
use std::io::{BufWriter, Write};

use corpus::reader::{Options, Record, open};

/// Smaller where the reader itself is not optimised.
const MEGABYTES: usize = if cfg!(debug_assertions) { 60 } else { 200 };

/// Peak resident memory of this process in kilobytes, where the system tells.
fn peak() -> Option<usize> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?.split_whitespace().next()?.parse().ok()
}

#[test]
fn memory_does_not_grow_with_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("large.xml.gz");
    let file = BufWriter::new(File::create(&path).unwrap());
    let mut out = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
    out.write_all(b"<PubmedArticleSet>\n").unwrap();
    let (mut written, mut articles) = (0, 0_usize);
    while written < MEGABYTES << 20 {
        articles += 1;
        let sentence =
            format!("In {articles} patients an eGFR of 60 mL/min/1.73 m<sup>2</sup> was &lt; {}. ", articles * 7919);
        let text = sentence.repeat(1 + articles % 200);
        let article = format!(
            "<PubmedArticle><MedlineCitation><PMID Version=\"1\">{articles}</PMID><Article><ArticleTitle>T</ArticleTitle>\
             <Abstract><AbstractText>{text}</AbstractText></Abstract></Article></MedlineCitation></PubmedArticle>\n"
        );
        written += article.len();
        out.write_all(article.as_bytes()).unwrap();
    }
    out.write_all(b"</PubmedArticleSet>\n").unwrap();
    out.finish().unwrap().flush().unwrap();

    let before = peak();
    let mut read = 0;
    for item in open(&path, &Options::default()).unwrap() {
        let Record::Document(document) = item.unwrap() else { panic!("no document") };
        assert!(document.text.contains("1.73 m² was <"));
        read += 1;
    }
    assert_eq!(read, articles);
    match (before, peak()) {
        (Some(before), Some(after)) => {
            assert!(after - before < 40_000, "grew by {} kB", after - before);
        }
        _ => println!("skipped: this system does not tell a process its peak memory"),
    }
}

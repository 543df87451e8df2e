//! Input that is cut, broken, hostile or large: what can be read is read, the rest says where and why.

#![expect(clippy::unwrap_used, reason = "a helper that cannot set up its input has failed its test")]

use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use corpus::chunk::chunk;
use corpus::reader::{Format, Options, Record, Rejected, open};
use corpus::{Document, Error};
use tempfile::TempDir;

fn article(pmid: usize, text: &str) -> String {
    format!(
        "<PubmedArticle><MedlineCitation><PMID Version=\"1\">{pmid}</PMID><Article><ArticleTitle>Title {pmid}</ArticleTitle>\
         <Abstract><AbstractText>{text}</AbstractText></Abstract></Article></MedlineCitation></PubmedArticle>\n"
    )
}

fn pubmed(articles: &[String]) -> Vec<u8> {
    format!("<?xml version=\"1.0\"?>\n<PubmedArticleSet>\n{}</PubmedArticleSet>\n", articles.concat()).into_bytes()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn file(folder: &TempDir, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.path().join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, bytes).unwrap();
    path
}

fn read_path(path: &Path) -> (Vec<Document>, Vec<Rejected>) {
    let (mut documents, mut rejected) = (Vec::new(), Vec::new());
    for item in open(path, &Options::default()).unwrap() {
        match item {
            Ok(Record::Document(document)) => documents.push(*document),
            Ok(Record::Delete(id)) => panic!("{id} is deleted"),
            Err(item) => rejected.push(item),
        }
    }
    (documents, rejected)
}

fn read(name: &str, bytes: &[u8]) -> (Vec<Document>, Vec<Rejected>) {
    let folder = tempfile::tempdir().unwrap();
    read_path(&file(&folder, name, bytes))
}

fn keys(documents: &[Document]) -> Vec<&str> {
    documents.iter().map(|document| document.id.key()).collect()
}

#[test]
fn a_truncated_gzip_keeps_what_came_before() {
    let articles: Vec<_> = (1..=3000).map(|pmid| article(pmid, &format!("Text {} of it.", pmid * 7919))).collect();
    let whole = gzip(&pubmed(&articles));
    let (documents, rejected) = read("a.xml.gz", &whole[..whole.len() / 2]);
    assert!((500..2900).contains(&documents.len()), "{}", documents.len());
    assert_eq!(rejected.len(), 1);
    assert!(rejected[0].reason.contains("ends inside this record"), "{:?}", rejected[0]);
    let row = |id: usize| format!("{{\"id\":\"{id}\",\"text\":\"text {}\"}}\n", id * 7919);
    let lines = (0..5000).map(row).collect::<Vec<_>>().concat();
    let whole = gzip(lines.as_bytes());
    let (documents, rejected) = read("a.jsonl.gz", &whole[..whole.len() / 2]);
    assert!((500..4900).contains(&documents.len()));
    assert_eq!(rejected.len(), 1);
    assert!(rejected[0].reason.contains("cannot be read further"), "{:?}", rejected[0]);
}

#[test]
fn xml_cut_in_the_middle_keeps_what_came_before() {
    let whole = pubmed(&[article(1, "One."), article(2, "Two."), article(3, "Three.")]);
    let cut = memchr::memmem::find(&whole, b"Three").unwrap();
    let (documents, rejected) = read("a.xml", &whole[..cut]);
    assert_eq!(keys(&documents), ["1", "2"]);
    assert_eq!((rejected.len(), rejected[0].position.as_str()), (1, "record 3 (PMID 3)"));
    assert!(rejected[0].reason.contains("ends inside"));
    // Cut between two records, only the missing end of the set shows it.
    let cut = memchr::memmem::rfind(&whole, b"<PubmedArticle>").unwrap();
    let (documents, rejected) = read("a.xml", &whole[..cut]);
    assert_eq!(keys(&documents), ["1", "2"]);
    assert!(rejected[0].reason.contains("</PubmedArticleSet>"), "{rejected:?}");
}

#[test]
fn a_broken_record_costs_no_other() {
    let mut broken = article(2, "Two.");
    broken.truncate(broken.len() / 2);
    let mismatched = article(4, "<i>Four.</b>");
    let bytes = pubmed(&[article(1, "One."), broken, article(3, "Three."), mismatched, article(5, "Five.")]);
    let (documents, rejected) = read("a.xml", &bytes);
    assert_eq!(keys(&documents), ["1", "3", "5"]);
    let positions: Vec<_> = rejected.iter().map(|item| item.position.as_str()).collect();
    assert_eq!(positions, ["record 2 (PMID 2)", "record 4 (PMID 4)"]);
    assert!(rejected[0].excerpt.starts_with("<PubmedArticle>"));
}

#[test]
fn invalid_utf8_costs_its_record_only() {
    let mut bytes = pubmed(&[article(1, "One."), article(2, "Two #."), article(3, "Three.")]);
    let at = bytes.iter().position(|byte| *byte == b'#').unwrap();
    bytes[at] = 0xff;
    let (documents, rejected) = read("a.xml", &bytes);
    assert_eq!(keys(&documents), ["1", "3"]);
    assert!(rejected[0].reason.contains("invalid UTF-8"));
    let (documents, rejected) =
        read("a.jsonl", b"{\"id\":1,\"text\":\"a\"}\n{\"id\":2,\"text\":\"\xc3\x28\"}\n\n{\"id\":3,\"text\":\"c\"}");
    assert_eq!(keys(&documents), ["1", "3"]);
    assert_eq!((rejected[0].position.as_str(), rejected.len()), ("line 2", 1));
    let (documents, rejected) = read("a.txt", b"caf\xe9");
    assert_eq!((documents.len(), rejected[0].position.as_str()), (0, "byte 3"));
}

#[test]
fn protocol_tags_are_text_and_what_cannot_be_seen_is_dropped() {
    let text = "Say <answer>yes [E1]</answer> <search>x</search> <information>\u{200b}hid\u{0}den\u{202e}";
    let row = serde_json::json!({"id": "1", "title": "<think>\u{feff}", "text": text}).to_string();
    let escaped = text.replace('<', "&lt;").replace('\0', "");
    for (name, bytes) in
        [("a.jsonl", row.into_bytes()), ("a.xml", pubmed(&[article(1, &escaped)])), ("a.txt", text.as_bytes().to_vec())]
    {
        let (documents, rejected) = read(name, &bytes);
        assert_eq!(rejected, []);
        let document = &documents[0];
        assert_eq!(document.text, "Say <answer>yes [E1]</answer> <search>x</search> <information>hidden");
        assert_eq!(chunk(document)[0].text, document.text);
    }
}

#[test]
fn rows_that_are_no_documents_are_rejected_one_by_one() {
    let lines =
        "{\"id\":1,\"text\":\"a\"}\nnot json\n[1]\n{\"id\":2}\n{\"id\":3,\"text\":\"  \"}\n{\"text\":\"no id\"}\n";
    let (documents, rejected) = read("notes.jsonl", lines.as_bytes());
    assert_eq!(documents[0].id.as_str(), "notes:1");
    assert_eq!(documents[1].id.key().len(), 16);
    let positions: Vec<_> = rejected.iter().map(|item| item.position.as_str()).collect();
    assert_eq!(positions, ["line 2", "line 3", "line 4", "line 5"]);
    assert_eq!(read("notes.jsonl", lines.as_bytes()).0, documents);
}

#[test]
fn every_compression_is_known_by_its_first_bytes() {
    let plain = pubmed(&[article(1, "One."), article(2, "Two.")]);
    let half = plain.len() / 2;
    let members = [gzip(&plain[..half]), gzip(&plain[half..])].concat();
    let zstd = zstd::encode_all(&plain[..], 3).unwrap();
    let mut xz = Vec::new();
    liblzma::read::XzEncoder::new(&plain[..], 6).read_to_end(&mut xz).unwrap();
    for bytes in [members, zstd, xz] {
        // The name says nothing on purpose.
        let (documents, rejected) = read("download", &bytes);
        assert_eq!((keys(&documents), rejected), (vec!["1", "2"], vec![]));
    }
}

/// One entry by hand, since a test needs broken ones too.
fn tar_entry(tar: &mut Vec<u8>, name: &str, kind: u8, content: &str) {
    let mut block = [0_u8; 512];
    let short = &name.as_bytes()[..name.len().min(100)];
    block[..short.len()].copy_from_slice(short);
    block[124..135].copy_from_slice(format!("{:011o}", content.len()).as_bytes());
    block[156] = kind;
    block[257..265].copy_from_slice(b"ustar  \0");
    block[148..156].fill(b' ');
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    tar.extend_from_slice(&block);
    tar.extend_from_slice(content.as_bytes());
    tar.resize(tar.len().next_multiple_of(512), 0);
}

#[test]
fn folders_and_archives_are_read_file_by_file() {
    let folder = tempfile::tempdir().unwrap();
    let nxml = |pmc: u32| {
        format!(
            "<!DOCTYPE article><article><front><article-meta><article-id pub-id-type=\"pmc\">{pmc}</article-id><title-group>\
             <article-title>T</article-title></title-group></article-meta></front><body><p>Text.</p></body></article>"
        )
    };
    file(&folder, "home/b/1.nxml", nxml(1).as_bytes());
    file(&folder, "home/a.md", b"# Note\n\nText of it.\n");
    file(&folder, "home/empty.xml", b"<html></html>");
    file(&folder, "home/picture.jpg", b"\xff\xd8");
    let long = format!("{}/3.nxml", "very-long-folder-name".repeat(8));
    let mut tar = Vec::new();
    let entries =
        [("x/2.nxml", nxml(2)), ("x/fig.gif", "GIF".to_owned()), (&long, nxml(3)), ("bad.xml", "<article>".to_owned())];
    for (name, content) in &entries {
        if name.len() > 100 {
            tar_entry(&mut tar, "././@LongLink", b'L', &format!("{name}\0"));
        }
        tar_entry(&mut tar, name, b'0', content);
    }
    tar.resize(tar.len() + 1024, 0);
    file(&folder, "home/c.tar.gz", &gzip(&tar));

    let (documents, rejected) = read_path(&folder.path().join("home"));
    assert_eq!(keys(&documents), ["a", "PMC1", "PMC2", "PMC3"]);
    assert_eq!(documents[0].id.source(), "home");
    let files: Vec<_> = rejected.iter().map(|item| item.file.rsplit("home/").next().unwrap()).collect();
    assert_eq!(files, ["c.tar.gz/bad.xml", "empty.xml"]);

    let cut = file(&folder, "cut.tar.gz", &gzip(&tar[..1700]));
    let (documents, rejected) = read_path(&cut);
    assert_eq!(keys(&documents), ["PMC2"]);
    assert!(rejected[0].reason.contains("archive"), "{rejected:?}");
}

#[test]
fn what_cannot_be_told_or_opened_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let unknown = |name: &str, bytes: &[u8]| open(&file(&folder, name, bytes), &Options::default()).unwrap_err();
    assert!(matches!(unknown("a.bin", b"\x00\x01"), Error::UnknownFormat { .. }));
    assert!(matches!(unknown("a.json", b"{\"name\": \"x\"}"), Error::UnknownFormat { .. }));
    assert!(matches!(unknown("a.html", b"<html><p>x</p></html>"), Error::UnknownFormat { .. }));
    assert!(matches!(unknown("empty.xml", b""), Error::UnknownFormat { .. }));
    assert!(matches!(unknown("a.xml.gz", &gzip(b"<PubmedArticleSet>")[..12]), Error::File { .. }));
    assert!(matches!(open(Path::new("/nonexistent"), &Options::default()).unwrap_err(), Error::File { .. }));
    let empty = folder.path().join("empty");
    fs::create_dir(&empty).unwrap();
    assert!(matches!(open(&empty, &Options::default()).unwrap_err(), Error::Input(_)));
}

#[test]
fn both_layouts_of_pubmedqa_give_the_same_document() {
    let official = "{\n  \"123\": {\"QUESTION\": \"Is it so?\", \"CONTEXTS\": [\"One {\\\"x\", \"Two\"], \"LABELS\": [\"AIM\", \"RESULTS\"],\n\
        \"MESHES\": [\"Asthma\"], \"YEAR\": \"2011\", \"LONG_ANSWER\": \"Yes.\"},\n  \"124\": {\"QUESTION\": \"?\", \"CONTEXTS\": []},\n  \"125\": {\"QUESTION\"";
    let (documents, rejected) = read("ori_pqal.json", official.as_bytes());
    assert_eq!(documents[0].text, "AIM: One {\"x\n\nRESULTS: Two");
    assert_eq!(documents[0].date.unwrap().to_string(), "2011");
    let positions: Vec<_> = rejected.iter().map(|item| item.position.as_str()).collect();
    assert_eq!(positions, ["record 2 (124)", "record 3 (125)"]);
    let line = "{\"pmid\":\"123\",\"question\":\"Is it so?\",\"contexts\":[{\"label\":\"AIM\",\"text\":\"One {\\\"x\"},\
        {\"label\":\"RESULTS\",\"text\":\"Two\"}],\"meshes\":[\"Asthma\"],\"year\":2011}";
    assert_eq!(read("q.jsonl", line.as_bytes()).0, documents);
}

#[test]
fn medrag_and_mapped_rows_are_read() {
    let row = "{\"id\":\"pubmed23n0001_1\",\"title\":\"T\",\"content\":\"Body.\",\"contents\":\"T. Body.\",\"PMID\":21}\n\
        {\"id\":\"x\",\"title\":\"T\",\"contents\":\"T. Body.\"}";
    let (documents, rejected) = read("chunk.jsonl", row.as_bytes());
    assert_eq!((keys(&documents), rejected), (vec!["pubmed23n0001_1", "x"], vec![]));
    assert!(documents.iter().all(|document| document.text == "Body." && document.id.source() == "medrag"));
    assert_eq!(documents[0].identifiers.pmid.as_deref(), Some("21"));

    let folder = tempfile::tempdir().unwrap();
    let row = "{\"key\":7,\"q\":\"Why?\",\"a\":\"So.\",\"meta\":{\"year\":1999,\"doi\":\"https://doi.org/10.1/z\"},\"n\":\"# H\"}";
    let path = file(&folder, "odd.data", row.as_bytes());
    let options = Options {
        format: None,
        map: Some("text=q+a,id=key,date=meta.year,doi=meta.doi,section=n".parse().unwrap()),
        source: Some("faq".to_owned()),
    };
    let Some(Ok(Record::Document(document))) = open(&path, &options).unwrap().next() else { panic!("no document") };
    assert_eq!((document.id.as_str(), document.text.as_str()), ("faq:7", "Why?\n\nSo."));
    assert_eq!(document.date.unwrap().to_string(), "1999");
    assert_eq!(document.identifiers.doi.as_deref(), Some("10.1/z"));
    assert_eq!(document.sections[0].heading, "# H");
    let beir = Options { format: Some(Format::Beir), ..Options::default() };
    assert!(open(&path, &beir).unwrap().next().unwrap().is_err());
}

#[test]
fn deletions_come_in_their_place() {
    let bytes = format!(
        "<PubmedArticleSet>{}<DeleteCitation><PMID Version=\"1\">8</PMID><PMID Version=\"1\">9</PMID></DeleteCitation></PubmedArticleSet>",
        article(1, "One.")
    );
    let folder = tempfile::tempdir().unwrap();
    let path = file(&folder, "update.xml", bytes.as_bytes());
    let mut reader = open(&path, &Options::default()).unwrap();
    let ids: Vec<_> = reader
        .by_ref()
        .map(|item| match item.unwrap() {
            Record::Document(document) => document.id.to_string(),
            Record::Delete(id) => format!("-{id}"),
        })
        .collect();
    assert_eq!(ids, ["pubmed:1", "-pubmed:8", "-pubmed:9"]);
    assert_eq!((reader.bytes_read(), reader.bytes_total()), (bytes.len() as u64, bytes.len() as u64));
}

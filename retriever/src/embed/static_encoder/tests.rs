//! Tests of [`super::StaticEncoder`]: what is written is read, what is damaged is refused.

use proptest::prelude::*;

use super::*;

fn vocabulary() -> Vec<String> {
    ["[UNK]", "heart", "failure", "##s", "β"].map(str::to_owned).to_vec()
}

fn table(rows: &[f32]) -> Result<StaticEncoder> {
    let origin = Origin { teacher: "none".to_owned(), ..Origin::default() };
    StaticEncoder::from_table(&Table { name: "tiny", weight: 0.3, origin: &origin, vocabulary: &vocabulary(), rows })
}

fn tiny() -> StaticEncoder {
    table(&[9.0, 9.0, 9.0, 1.0, 0.0, 0.0, 0.0, 2.0, 0.0, 0.0, 0.0, -0.5, 0.0, 0.0, 0.0]).unwrap()
}

fn embed(encoder: &StaticEncoder, text: &str) -> Vec<f32> {
    encoder.embed(Role::Passage, &[text]).unwrap().remove(0)
}

fn close(a: &[f32], b: &[f32]) -> bool {
    a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-6)
}

#[test]
fn sums_rows_by_weight() {
    let root = 5_f32.sqrt();
    assert!(close(&embed(&tiny(), "Heart failure"), &[1.0 / root, 2.0 / root, 0.0]));
    let root = (5.0 + 0.25_f32).sqrt();
    assert!(
        close(&embed(&tiny(), "failures, heart"), &[1.0 / root, 2.0 / root, -0.5 / root]),
        "unknown words do not count"
    );
}

#[test]
fn any_text_has_a_direction() {
    let equal = [1.0 / 3_f32.sqrt(); 3];
    let long = "zebra ".repeat(20_000);
    for text in ["", " \n", "zebra", "\u{0}", "β", &long] {
        assert!(close(&embed(&tiny(), text), &equal), "{text:.20?}");
    }
}

#[test]
fn the_order_of_texts_is_kept_and_neighbours_do_not_matter() {
    let together = tiny().embed(Role::Query, &["heart", "", "failure"]).unwrap();
    let alone: Vec<_> = ["heart", "", "failure"].iter().map(|text| embed(&tiny(), text)).collect();
    assert_eq!(together, alone);
}

#[test]
fn what_is_saved_opens_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tiny.bin");
    tiny().save(&path).unwrap();
    let read = StaticEncoder::open(&path).unwrap();
    assert_eq!((read.card(), read.origin()), (tiny().card(), tiny().origin()));
    assert_eq!(embed(&read, "heart failure"), embed(&tiny(), "heart failure"));
}

#[test]
fn the_fingerprint_tells_vectors_apart_and_nothing_else() {
    let rows = [0.5; 15];
    let origin = Origin::default();
    let other = Table { name: "other", weight: 0.7, origin: &origin, vocabulary: &vocabulary(), rows: &rows };
    let print = |table: &Table<'_>| StaticEncoder::from_table(table).unwrap().card().fingerprint.clone();
    assert_eq!(print(&other), table(&rows).unwrap().card().fingerprint);
    assert_ne!(print(&other), tiny().card().fingerprint);
    let swapped: Vec<_> = ["[UNK]", "failure", "heart", "##s", "β"].map(str::to_owned).to_vec();
    assert_ne!(print(&Table { vocabulary: &swapped, ..other }), print(&other));
}

#[test]
fn a_damaged_file_is_refused() {
    let whole = tiny().file.into_owned();
    for at in 0..whole.len() {
        let mut flipped = whole.clone();
        flipped[at] ^= 1 << (at % 8);
        let error = StaticEncoder::from_bytes(flipped.into(), Path::new("x.bin")).unwrap_err().to_string();
        assert!(error.starts_with("encoder x.bin: "), "{error}");
        StaticEncoder::from_bytes(whole[..at].to_vec().into(), Path::new("x.bin")).unwrap_err();
    }
    let newer = [&whole[..8], &2_u32.to_le_bytes(), &whole[12..]].concat();
    let error = StaticEncoder::from_bytes(newer.into(), Path::new("x.bin")).unwrap_err().to_string();
    assert!(error.contains("has format 2"), "{error}");
}

#[test]
fn a_table_that_is_none_is_refused() {
    for rows in [&[][..], &[1.0; 4], &[f32::NAN; 5], &[f32::INFINITY; 10]] {
        table(rows).unwrap_err();
    }
}

/// Seals `bytes` anew, so that checks behind the checksum are reached.
fn resealed(mut bytes: Vec<u8>) -> Vec<u8> {
    let end = bytes.len().saturating_sub(SEAL);
    bytes.truncate(end);
    let seal = blake3::hash(&bytes);
    bytes.extend_from_slice(seal.as_bytes());
    bytes
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(at in 0_usize..400, value: u8, length in 0_usize..400) {
        let mut bytes = tiny().file.into_owned();
        bytes.truncate(length.max(60));
        let place = at % bytes.len();
        bytes[place] = value;
        if let Ok(encoder) = StaticEncoder::from_bytes(resealed(bytes).into(), Path::new("x.bin")) {
            prop_assert!(embed(&encoder, "heart failure").iter().all(|x| x.is_finite()));
        }
    }

    #[test]
    fn vectors_have_unit_length(text in "[a-zβ ]{0,40}|(heart|failure|s| |-|β){0,20}") {
        let norm: f32 = embed(&tiny(), &text).iter().map(|x| x * x).sum();
        prop_assert!((norm - 1.0).abs() < 1e-5);
    }
}

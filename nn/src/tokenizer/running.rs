//! Text that stands in the middle of a sequence: read as data, with no special token and no space put
//! in front of it.

use tokenizers::normalizers::{NormalizerWrapper, Sequence as Normalizers};
use tokenizers::pre_tokenizers::PreTokenizerWrapper;
use tokenizers::pre_tokenizers::metaspace::PrependScheme;
use tokenizers::pre_tokenizers::sequence::Sequence as PreTokenizers;

/// Whether `whole` puts a space in front of a text, as SentencePiece does at the beginning of one.
pub(super) fn prefixes(whole: &tokenizers::Tokenizer) -> bool {
    whole.get_normalizer().is_some_and(prepends) || whole.get_pre_tokenizer().is_some_and(leads)
}

/// `whole` for running text: what stands for a special token is letters, and nothing is put in front.
pub(super) fn running(whole: &tokenizers::Tokenizer) -> tokenizers::Result<tokenizers::Tokenizer> {
    let mut inner = whole.clone();
    if let Some(normalizer) = whole.get_normalizer().filter(|normalizer| prepends(normalizer)) {
        inner.with_normalizer(Some(without_prepend(normalizer.clone())))?;
    }
    if let Some(pre_tokenizer) = whole.get_pre_tokenizer().filter(|pre_tokenizer| leads(pre_tokenizer)) {
        inner.with_pre_tokenizer(Some(without_lead(pre_tokenizer.clone())));
    }
    inner.set_encode_special_tokens(true);
    Ok(inner)
}

fn prepends(normalizer: &NormalizerWrapper) -> bool {
    match normalizer {
        NormalizerWrapper::Prepend(_) => true,
        NormalizerWrapper::Sequence(parts) => parts.as_ref().iter().any(prepends),
        _ => false,
    }
}

fn leads(pre_tokenizer: &PreTokenizerWrapper) -> bool {
    match pre_tokenizer {
        PreTokenizerWrapper::Metaspace(metaspace) => metaspace.prepend_scheme != PrependScheme::Never,
        PreTokenizerWrapper::ByteLevel(bytes) => bytes.add_prefix_space,
        PreTokenizerWrapper::Sequence(parts) => parts.as_ref().iter().any(leads),
        _ => false,
    }
}

fn without_prepend(normalizer: NormalizerWrapper) -> NormalizerWrapper {
    let kept = match normalizer {
        NormalizerWrapper::Prepend(_) => Vec::new(),
        NormalizerWrapper::Sequence(parts) => parts
            .into_iter()
            .filter(|part| !matches!(part, NormalizerWrapper::Prepend(_)))
            .map(without_prepend)
            .collect(),
        other => return other,
    };
    NormalizerWrapper::Sequence(Normalizers::new(kept))
}

fn without_lead(pre_tokenizer: PreTokenizerWrapper) -> PreTokenizerWrapper {
    match pre_tokenizer {
        PreTokenizerWrapper::Metaspace(mut metaspace) => {
            metaspace.prepend_scheme = PrependScheme::Never;
            PreTokenizerWrapper::Metaspace(metaspace)
        }
        PreTokenizerWrapper::ByteLevel(mut bytes) => {
            bytes.add_prefix_space = false;
            PreTokenizerWrapper::ByteLevel(bytes)
        }
        PreTokenizerWrapper::Sequence(parts) => {
            PreTokenizerWrapper::Sequence(PreTokenizers::new(parts.into_iter().map(without_lead).collect()))
        }
        other => other,
    }
}

//! [`Caller`]: who asks. The guard puts it into a request's extensions; routes that show documents ask it.

use super::error::{ApiError, Code};
use crate::keys::{Key, LOCAL, Role};

/// No collection is called so: what a filter names when nothing may be found.
const NOTHING: &str = "";

/// Who asks, and what of the corpus is shown to them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Caller {
    /// Whose key it is; `local` where there are no keys.
    pub(crate) name: String,
    /// What the key allows.
    pub(crate) role: Role,
    /// The only collections it may read; all when absent.
    pub(crate) collections: Option<Vec<String>>,
}

impl Caller {
    /// This machine's own user, where no key exists.
    pub(crate) fn local() -> Self {
        Self { name: LOCAL.to_owned(), role: Role::Admin, collections: None }
    }

    /// `filter` within what the caller may read. What it names besides is as if it did not exist.
    pub(crate) fn scope(&self, filter: indexes::Filter) -> indexes::Filter {
        let Some(own) = &self.collections else { return filter };
        let asked = &filter.collections;
        let mut collections = own.clone();
        collections.retain(|name| asked.is_empty() || asked.contains(name));
        if collections.is_empty() {
            // an empty list would ask nothing
            collections.push(NOTHING.to_owned());
        }
        indexes::Filter { collections, ..filter }
    }

    /// Whether the traces of others are shown too.
    pub(crate) fn sees_all(&self) -> bool {
        self.role == Role::Admin && self.collections.is_none()
    }

    /// Refuses a key that is bound to collections, where what is shown or changed is of all.
    ///
    /// # Errors
    /// When it is.
    pub(crate) fn needs_all(&self) -> Result<(), ApiError> {
        match self.collections {
            None => Ok(()),
            Some(_) => {
                Err(ApiError::new(Code::Forbidden, "this key is bound to collections, and this is of all of them"))
            }
        }
    }

    /// Whether a document of these collections may be changed: one that others share too may not.
    pub(crate) fn may_change(&self, of_document: &[String]) -> bool {
        self.collections.as_ref().is_none_or(|own| of_document.iter().all(|name| own.contains(name)))
    }

    /// Leaves of a document's collections those whose names the caller may know.
    pub(crate) fn narrow(&self, of_document: &mut Vec<String>) {
        if let Some(own) = &self.collections {
            of_document.retain(|name| own.contains(name));
        }
    }

    /// Whether a trace of `caller` is shown.
    pub(crate) fn may_see(&self, caller: &str) -> bool {
        self.sees_all() || self.name == caller
    }

    /// Whether a document of these collections may be shown.
    pub(crate) fn may_read(&self, of_document: &[String]) -> bool {
        self.collections.as_ref().is_none_or(|own| of_document.iter().any(|name| own.contains(name)))
    }
}

impl From<&Key> for Caller {
    fn from(key: &Key) -> Self {
        Self { name: key.name.clone(), role: key.role, collections: key.collections.clone() }
    }
}

#[cfg(test)]
mod tests {
    use indexes::Filter;

    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn a_filter_never_leaves_the_scope() {
        let caller = |own: Option<&[&str]>| Caller { collections: own.map(names), ..Caller::local() };
        for (own, asked, expect) in [
            (None, &[][..], &[][..]),
            (None, &["a"], &["a"]),
            (Some(&["a", "b"][..]), &[], &["a", "b"]),
            (Some(&["a", "b"]), &["b", "c"], &["b"]),
            (Some(&["a"]), &["b"], &[NOTHING]),
            (Some(&[]), &[], &[NOTHING]),
        ] {
            let filter = Filter { collections: names(asked), mesh: names(&["Heart"]), ..Filter::default() };
            let scoped = caller(own).scope(filter.clone());
            assert_eq!(scoped, Filter { collections: names(expect), ..filter }, "{own:?} {asked:?}");
        }
    }

    #[test]
    fn one_shared_collection_is_enough_to_read() {
        let caller = Caller { collections: Some(names(&["a", "b"])), ..Caller::local() };
        assert!(caller.may_read(&names(&["c", "b"])));
        assert!(!caller.may_read(&names(&["c"])) && !caller.may_read(&[]));
        assert!(Caller::local().may_read(&[]));
    }
}

//! Who may use which route: one table for all of them. What is not in it is refused.

mod interface;

use axum::http::Method;

use super::error::{ApiError, Code};
use crate::keys::Role;

pub(super) use self::interface::Keyed;

/// Who may use a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Who {
    /// Anybody who reaches the service: it holds nothing of the corpus, nor of anyone.
    Open,
    /// Callers in one of these roles.
    Roles(&'static [Role]),
}

/// Whether a request on a route changes what others see, and goes into the audit log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    Reads,
    Changes,
}

/// A line of the table.
#[derive(Debug)]
pub(super) struct Rule {
    method: Method,
    /// As routes are written; `/*` at its end stands for all below, and parameters may be called anything.
    path: &'static str,
    pub(super) who: Who,
    pub(super) effect: Effect,
}

use Effect::{Changes, Reads};

const OPEN: Who = Who::Open;
const ANYONE: Who = Who::Roles(&[Role::Clinician, Role::Curator, Role::Trainer, Role::Admin]);
const CURATORS: Who = Who::Roles(&[Role::Curator, Role::Admin]);
const TRAINERS: Who = Who::Roles(&[Role::Trainer, Role::Admin]);
const ADMINS: Who = Who::Roles(&[Role::Admin]);

const fn rule(method: Method, path: &'static str, who: Who, effect: Effect) -> Rule {
    Rule { method, path, who, effect }
}

static TABLE: &[Rule] = &[
    rule(Method::GET, "/", OPEN, Reads),
    rule(Method::GET, "/assets/*", OPEN, Reads),
    rule(Method::GET, "/healthz", OPEN, Reads),
    rule(Method::GET, "/readyz", OPEN, Reads),
    rule(Method::GET, "/openapi.json", OPEN, Reads),
    rule(Method::GET, "/reference", OPEN, Reads),
    rule(Method::GET, "/metrics", ADMINS, Reads),
    rule(Method::POST, "/v1/ask", ANYONE, Reads),
    rule(Method::POST, "/v1/retrieve", ANYONE, Reads),
    rule(Method::POST, "/retrieve", ANYONE, Reads),
    rule(Method::POST, "/v1/verify", ANYONE, Reads),
    rule(Method::GET, "/v1/chunks/{id}", ANYONE, Reads),
    rule(Method::GET, "/v1/documents", ANYONE, Reads),
    rule(Method::GET, "/v1/documents/{id}", ANYONE, Reads),
    rule(Method::POST, "/v1/documents", CURATORS, Changes),
    rule(Method::POST, "/v1/documents/tag", CURATORS, Changes),
    rule(Method::POST, "/v1/documents/untag", CURATORS, Changes),
    rule(Method::POST, "/v1/documents/quarantine", CURATORS, Changes),
    rule(Method::POST, "/v1/documents/restore", CURATORS, Changes),
    rule(Method::POST, "/v1/documents/remove", CURATORS, Changes),
    rule(Method::POST, "/v1/documents/retract", CURATORS, Changes),
    rule(Method::POST, "/v1/documents/reinstate", CURATORS, Changes),
    rule(Method::GET, "/v1/collections", ANYONE, Reads),
    rule(Method::GET, "/v1/snapshots", ANYONE, Reads),
    rule(Method::POST, "/v1/snapshots", CURATORS, Changes),
    rule(Method::POST, "/v1/snapshots/{id}/use", CURATORS, Changes),
    rule(Method::GET, "/v1/jobs", CURATORS, Reads),
    rule(Method::GET, "/v1/jobs/{id}", CURATORS, Reads),
    rule(Method::DELETE, "/v1/jobs/{id}", CURATORS, Changes),
    rule(Method::GET, "/v1/audit", CURATORS, Reads),
    rule(Method::GET, "/v1/affected", CURATORS, Reads),
    // whose traces: the routes themselves ask the caller
    rule(Method::GET, "/v1/traces", ANYONE, Reads),
    rule(Method::DELETE, "/v1/traces", ANYONE, Changes),
    rule(Method::GET, "/v1/traces/{id}", ANYONE, Reads),
    rule(Method::DELETE, "/v1/traces/{id}", ANYONE, Changes),
    rule(Method::GET, "/v1/runs", TRAINERS, Reads),
    rule(Method::GET, "/v1/runs/{id}", TRAINERS, Reads),
    rule(Method::GET, "/v1/runs/{id}/episodes", TRAINERS, Reads),
    rule(Method::POST, "/v1/chat/completions", ANYONE, Reads),
    rule(Method::POST, "/v1/completions", ANYONE, Reads),
    rule(Method::POST, "/v1/embeddings", ANYONE, Reads),
    rule(Method::GET, "/v1/models", ANYONE, Reads),
    rule(Method::GET, "/v1/models/{model}", ANYONE, Reads),
    rule(Method::POST, "/mcp", ANYONE, Reads),
];

impl Rule {
    /// Refuses a role that the route is not for.
    ///
    /// # Errors
    /// When it is refused.
    pub(super) fn admit(&self, role: Role) -> Result<(), ApiError> {
        let Who::Roles(roles) = self.who else { return Ok(()) };
        if roles.contains(&role) {
            return Ok(());
        }
        let names: Vec<_> = roles.iter().map(|role| role.name()).collect();
        Err(ApiError::new(
            Code::Forbidden,
            format!("this key is a {}'s: {} {} is for {}", role.name(), self.method, self.path, names.join(", ")),
        ))
    }
}

/// What the table says of a request.
#[derive(Debug)]
pub(super) enum Found {
    Rule(&'static Rule),
    /// The path is known, the method is not: those that are.
    OtherMethods(String),
    Nothing,
}

/// Looks up the route that matched.
pub(super) fn find(method: &Method, path: &str) -> Found {
    let method = if method == Method::HEAD { &Method::GET } else { method };
    let of_path: Vec<_> = TABLE.iter().filter(|rule| matches(rule.path, path)).collect();
    if let Some(rule) = of_path.iter().find(|rule| rule.method == *method) {
        return Found::Rule(rule);
    }
    if of_path.is_empty() {
        return Found::Nothing;
    }
    let mut allowed: Vec<_> = of_path.iter().map(|rule| rule.method.as_str()).collect();
    if allowed.contains(&"GET") {
        allowed.push("HEAD");
    }
    Found::OtherMethods(allowed.join(","))
}

/// Who may use a route, for people.
pub(super) fn described(method: &str, path: &str) -> String {
    let found = Method::from_bytes(method.to_uppercase().as_bytes()).map(|method| find(&method, path));
    match found {
        Ok(Found::Rule(Rule { who: Who::Roles(roles), .. })) => {
            roles.iter().map(|role| role.name()).collect::<Vec<_>>().join(", ")
        }
        Ok(Found::Rule(Rule { who: Who::Open, .. })) => "anybody".to_owned(),
        _ => "nobody".to_owned(),
    }
}

fn matches(rule: &str, path: &str) -> bool {
    if let Some(folder) = rule.strip_suffix('*') {
        return path.starts_with(folder);
    }
    let (mut rule, mut path) = (rule.split('/'), path.split('/'));
    loop {
        match (rule.next(), path.next()) {
            (None, None) => return true,
            (Some(ours), Some(theirs)) if ours == theirs || ours.starts_with('{') && theirs.starts_with('{') => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_of_the_interface_has_its_rule() {
        let document = serde_json::to_value(crate::openapi()).unwrap();
        let mut seen = 0;
        for (path, methods) in document["paths"].as_object().unwrap() {
            for method in methods.as_object().unwrap().keys() {
                let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
                assert!(
                    matches!(find(&method, path), Found::Rule(_)),
                    "{method} {path} has no rule: nobody can use it"
                );
                seen += 1;
            }
        }
        assert!(seen >= 8, "{seen} routes found");
    }

    #[test]
    fn the_interface_says_which_routes_ask_for_a_key() {
        let document = serde_json::to_value(crate::openapi()).unwrap();
        assert_eq!(document["components"]["securitySchemes"]["key"]["scheme"], "bearer");
        let asks = |path: &str, method: &str| document["paths"][path][method]["security"][0]["key"].is_array();
        assert!(asks("/v1/ask", "post") && asks("/v1/chunks/{id}", "get") && asks("/metrics", "get"));
        assert!(!asks("/healthz", "get") && !asks("/", "get"));
        assert!(document["paths"]["/v1/ask"]["post"]["responses"]["401"].is_object());
    }

    #[test]
    fn no_route_has_two_rules() {
        for (at, rule) in TABLE.iter().enumerate() {
            let twin =
                TABLE[at + 1..].iter().find(|other| other.method == rule.method && matches(other.path, rule.path));
            assert!(twin.is_none(), "{} {} and {twin:?}", rule.method, rule.path);
        }
    }

    #[test]
    fn what_is_not_in_the_table_is_refused() {
        let found = |method, path: &str| match find(&method, path) {
            Found::Rule(rule) => rule.path.to_owned(),
            Found::OtherMethods(methods) => methods,
            Found::Nothing => "nothing".to_owned(),
        };
        for (method, path, expect) in [
            (Method::GET, "/v1/chunks/{id}", "/v1/chunks/{id}"),
            (Method::HEAD, "/v1/chunks/{chunk}", "/v1/chunks/{id}"),
            (Method::GET, "/assets/{*file}", "/assets/*"),
            (Method::GET, "/v1/ask", "POST"),
            (Method::PUT, "/v1/jobs/{id}", "GET,DELETE,HEAD"),
            (Method::GET, "/v1/new", "nothing"),
            (Method::GET, "/v1/chunks", "nothing"),
            (Method::GET, "/v1/chunks/{id}/more", "nothing"),
        ] {
            assert_eq!(found(method, path), expect, "{path}");
        }
    }

    #[test]
    fn roles_are_sets_and_admins_may_all() {
        for rule in TABLE {
            assert!(rule.admit(Role::Admin).is_ok(), "{rule:?}");
            if rule.effect == Changes && !rule.path.starts_with("/v1/traces") {
                assert!(rule.admit(Role::Clinician).is_err() && rule.admit(Role::Trainer).is_err(), "{rule:?}");
                assert!(rule.admit(Role::Curator).is_ok(), "{rule:?}");
            }
        }
    }
}

//! The document against the routes, both ways.

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
};

use serde_json::Value;

use super::{DOCUMENT, document::Document, operations::describe};

/// Every route's source: a constant, and above it what it takes and gives.
const ROUTES: &str = include_str!("../../../../api/src/routes.rs");

/// Method and path, and the types that stand with them.
type Operations = BTreeMap<(String, String), Vec<String>>;

/// What the comments of the routes say: "`POST` [`crate::A`]: [`crate::B`]."
fn in_the_routes() -> Operations {
    let mut found = Operations::new();
    let mut comment = String::new();
    for line in ROUTES.lines() {
        if let Some(text) = line.strip_prefix("/// ") {
            comment.push_str(text);
            comment.push(' ');
        } else if let Some((_, path)) = line.split_once(": &str = \"/") {
            let path = format!("/{}", path.trim_end_matches("\";"));
            for method in ["GET", "POST"] {
                let Some((_, text)) = comment.split_once(&format!("`{method}`")) else { continue };
                // Up to the next method of the same path.
                let text = text.split("`GET`").next().unwrap_or_default();
                let text = text.split("`POST`").next().unwrap_or_default();
                let types = text.split("[`crate::").skip(1).filter_map(|rest| rest.split('`').next());
                found.insert((method.to_lowercase(), path.clone()), types.map(str::to_owned).collect());
            }
            comment.clear();
        } else {
            comment.clear();
        }
    }
    found
}

fn in_the_document(document: &Value) -> Operations {
    let mut found = Operations::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let json = "/content/application~1json/schema/$ref";
            let events = "/responses/200/content/text~1event-stream/schema/x-event/$ref";
            let places = [&format!("/requestBody{json}"), &format!("/responses/200{json}"), events];
            let types = places.into_iter().filter_map(|place| operation.pointer(place)?.as_str());
            let types = types.map(|name| name.rsplit('/').next().unwrap().to_owned());
            found.insert((method.clone(), path.clone()), types.collect());
        }
    }
    found
}

#[test]
fn every_route_is_described_and_nothing_else() {
    let (routes, document) = (in_the_routes(), in_the_document(&describe()));
    let keys = |operations: &Operations| operations.keys().cloned().collect::<BTreeSet<_>>();
    assert!(routes.len() > 30, "the routes are read: {routes:?}");
    assert_eq!(
        keys(&routes),
        keys(&document),
        "left: routes.rs, right: openapi/operations.rs, where each route needs a line"
    );
    for (operation, described) in &document {
        // Queries are no schemas, and what the comment says beside is none of ours.
        let said: Vec<_> = routes[operation].iter().filter(|name| !name.ends_with("Query")).collect();
        assert!(
            described.iter().all(|name| said.contains(&name)),
            "{operation:?} has {described:?} here and {said:?} in the comment of its route"
        );
    }
}

/// Written anew with `HERMES_BLESS=1`.
#[test]
fn the_document_that_is_served_is_that_of_these_types() {
    let described = format!("{}\n", describe());
    if env::var_os("HERMES_BLESS").is_some() {
        fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/openapi.json"), &described).unwrap();
    } else {
        assert!(
            DOCUMENT == described,
            "docs/openapi.json is of other types: HERMES_BLESS=1 cargo test --workspace openapi"
        );
    }
}

#[test]
fn the_document_is_whole() {
    let document = describe();
    assert_eq!(Document::missing(&document), BTreeSet::new());
    let mut ids = BTreeSet::new();
    for item in document["paths"].as_object().unwrap().values() {
        for operation in item.as_object().unwrap().values() {
            assert!(ids.insert(operation["operationId"].as_str().unwrap()), "{}", operation["operationId"]);
        }
    }
    let codes = &document["components"]["schemas"]["ErrorCode"];
    assert_eq!(codes["x-exit-codes"]["wait-timed-out"], 8);
    assert_eq!(codes["enum"].as_array().unwrap().len(), hermes_api::ErrorCode::ALL.len());
}

//! How operations and schemas become a document.

use std::collections::BTreeSet;

use hermes_api::{ErrorCode, Failure, limits, routes};
use serde_json::{Map, Value, json};
use utoipa::{IntoParams, ToSchema};

/// A document that grows.
pub(super) struct Document {
    paths: Map<String, Value>,
    schemas: Map<String, Value>,
}

/// Where an operation is found and what it is about.
#[derive(Clone, Copy)]
pub(super) struct At {
    pub(super) path: &'static str,
    /// The operation's name for generated clients.
    pub(super) id: &'static str,
    /// What it does, in a line.
    pub(super) summary: &'static str,
}

impl Document {
    pub(super) fn new() -> Self {
        let mut document = Self { paths: Map::new(), schemas: Map::new() };
        document.reference::<Failure>();
        document.explain_codes();
        document
    }

    /// A `GET` that takes nothing.
    pub(super) fn get<R: ToSchema>(&mut self, at: At) {
        let answer = self.json::<R>();
        self.add("get", at, Vec::new(), None, answer);
    }

    /// A `GET` with a query.
    pub(super) fn find<Q: IntoParams, R: ToSchema>(&mut self, at: At) {
        let answer = self.json::<R>();
        self.add("get", at, query::<Q>(), None, answer);
    }

    /// A `GET` that answers with events.
    pub(super) fn listen<Q: IntoParams, R: ToSchema>(&mut self, at: At) {
        let schema = self.reference::<R>();
        let answer = json!({
            "text/event-stream": {
                "schema": {
                    "type": "string",
                    "description": "Server-sent events: the data of each is one document of x-event.",
                    "x-event": schema,
                },
            },
        });
        let mut parameters = query::<Q>();
        parameters.push(json!({
            "name": "Last-Event-ID", "in": "header", "required": false,
            "description": "Goes on behind this event, whatever the consumer has acknowledged.",
            "schema": { "type": "integer", "format": "int64", "minimum": 0 },
        }));
        self.add("get", at, parameters, None, answer);
    }

    /// A `POST` with a body.
    pub(super) fn post<B: ToSchema, R: ToSchema>(&mut self, at: At) {
        let body = json!({ "required": true, "content": self.json::<B>() });
        let answer = self.json::<R>();
        self.add("post", at, vec![idempotency_key()], Some(body), answer);
    }

    /// A `POST` with a body and a query.
    pub(super) fn post_with<Q: IntoParams, B: ToSchema, R: ToSchema>(&mut self, at: At) {
        let body = json!({ "required": true, "content": self.json::<B>() });
        let answer = self.json::<R>();
        let mut parameters = query::<Q>();
        parameters.push(idempotency_key());
        self.add("post", at, parameters, Some(body), answer);
    }

    /// A `POST` without a body.
    pub(super) fn act<R: ToSchema>(&mut self, at: At) {
        let answer = self.json::<R>();
        self.add("post", at, vec![idempotency_key()], None, answer);
    }

    /// A `POST` that answers with a file.
    pub(super) fn give_file<B: ToSchema>(&mut self, at: At) {
        let body = json!({ "required": true, "content": self.json::<B>() });
        self.add("post", at, vec![idempotency_key()], Some(body), file());
    }

    /// A `POST` of a file.
    pub(super) fn take_file<R: ToSchema>(&mut self, at: At) {
        let body = json!({ "required": true, "content": file() });
        let answer = self.json::<R>();
        self.add("post", at, Vec::new(), Some(body), answer);
    }

    /// A `GET` of any JSON.
    pub(super) fn any(&mut self, at: At) {
        self.add(
            "get",
            at,
            Vec::new(),
            None,
            json!({ "application/json": { "schema": { "type": "object" } } }),
        );
    }

    pub(super) fn finish(self) -> Value {
        let mut document = json!({
            "openapi": "3.1.0",
            "info": {
                "title": "Hermes, the local API",
                "version": env!("CARGO_PKG_VERSION"),
                "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
                "description": "HTTP/1.1 and JSON over the Unix socket of hermesd. Documents only ever grow: pass over \
                                fields and variants that you do not know. docs/api.md has examples.",
            },
            "servers": [{ "url": "/", "description": "the daemon's Unix socket; the host's name does not matter" }],
            "paths": self.paths,
            "components": { "schemas": self.schemas },
        });
        say_what_numbers_are(&mut document);
        document
    }

    fn add(&mut self, method: &str, at: At, mut parameters: Vec<Value>, body: Option<Value>, answer: Value) {
        let in_path = at.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
        parameters.extend(in_path.map(|name| {
            json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string", "minLength": 1 } })
        }));
        let mut operation = json!({
            "operationId": at.id,
            "summary": at.summary,
            "parameters": parameters,
            "responses": {
                "200": { "description": "Done.", "content": answer },
                "default": {
                    "description": "Refused: the code says why, the hint what to do.",
                    "content": self.json::<Failure>(),
                },
            },
        });
        if let (Some(body), Some(operation)) = (body, operation.as_object_mut()) {
            operation.insert("requestBody".to_owned(), body);
        }
        let item = self.paths.entry(at.path).or_insert_with(|| json!({}));
        if let Some(item) = item.as_object_mut() {
            item.insert(method.to_owned(), operation);
        }
    }

    fn json<T: ToSchema>(&mut self) -> Value {
        json!({ "application/json": { "schema": self.reference::<T>() } })
    }

    /// A reference to a schema, which is in the document from then on, with all that it refers to.
    fn reference<T: ToSchema>(&mut self) -> Value {
        let name = T::name().into_owned();
        let mut schemas = vec![(name.clone(), T::schema())];
        T::schemas(&mut schemas);
        for (name, schema) in schemas {
            // Our own types always serialise.
            self.schemas.entry(name).or_insert_with(|| serde_json::to_value(schema).unwrap_or_default());
        }
        json!({ "$ref": format!("#/components/schemas/{name}") })
    }

    /// Says of each error code with which status it comes and with which exit code a program should end.
    fn explain_codes(&mut self) {
        let mut text = String::from(
            "What went wrong. More may come; treat one that you do not know as a failure.\n\n\
             | code | status | exit code |\n|---|---|---|\n",
        );
        for code in ErrorCode::ALL {
            text.push_str(&format!("| `{code}` | {} | {} |\n", code.http_status(), code.exit().code()));
        }
        let codes: Vec<_> = ErrorCode::ALL.iter().map(|code| code.as_str()).collect();
        let exits: Map<String, Value> =
            ErrorCode::ALL.iter().map(|code| (code.as_str().to_owned(), code.exit().code().into())).collect();
        let schema = json!({ "type": "string", "description": text, "enum": codes, "x-exit-codes": exits });
        self.schemas.insert("ErrorCode".to_owned(), schema);
    }

    /// The names of schemas that are referred to and absent.
    #[cfg(test)]
    pub(super) fn missing(document: &Value) -> BTreeSet<String> {
        fn references(value: &Value, found: &mut BTreeSet<String>) {
            match value {
                Value::Object(fields) => {
                    if let Some(Value::String(name)) = fields.get("$ref") {
                        found.insert(name.rsplit('/').next().unwrap_or_default().to_owned());
                    }
                    fields.values().for_each(|value| references(value, found));
                }
                Value::Array(values) => values.iter().for_each(|value| references(value, found)),
                _ => {}
            }
        }
        let mut found = BTreeSet::new();
        references(document, &mut found);
        found.retain(|name| document.pointer(&format!("/components/schemas/{name}")).is_none());
        found
    }
}

/// Numbers of the API are whole and not negative. The library names their formats after signed ones, which end earlier
/// than what is taken.
fn say_what_numbers_are(schema: &mut Value) {
    let most = match (schema["minimum"].as_u64(), schema["format"].as_str()) {
        (Some(0), Some("int32")) => Some(("uint32", u64::from(u32::MAX))),
        (Some(0), Some("int64")) => Some(("uint64", u64::MAX)),
        _ => None,
    };
    match schema {
        Value::Object(fields) => {
            if let Some((format, most)) = most {
                fields.insert("format".to_owned(), format.into());
                fields.entry("maximum").or_insert_with(|| most.into());
            }
            fields.values_mut().for_each(say_what_numbers_are);
        }
        Value::Array(values) => values.iter_mut().for_each(say_what_numbers_are),
        _ => {}
    }
}

fn query<Q: IntoParams>() -> Vec<Value> {
    let parameters = Q::into_params(|| Some(utoipa::openapi::path::ParameterIn::Query));
    parameters.into_iter().map(|parameter| serde_json::to_value(parameter).unwrap_or_default()).collect()
}

fn file() -> Value {
    json!({ "application/octet-stream": {} })
}

fn idempotency_key() -> Value {
    json!({
        "name": routes::IDEMPOTENCY_KEY, "in": "header", "required": false,
        "description": "What is asked for under a key is done once; a repeat within seven days gets the first answer.",
        "schema": { "type": "string", "minLength": 1, "maxLength": limits::IDEMPOTENCY_KEY_BYTES },
    })
}

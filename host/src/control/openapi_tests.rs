//! The API's description says what the API does.

use super::tests::served;
use super::{handlers, openapi};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::path::PathBuf;

fn document() -> Value {
    serde_json::from_str(openapi::document()).expect("JSON")
}

/// The document is in the repository too, so that a change of the API is seen where changes are
/// read. `UPDATE=1` writes it anew.
#[test]
fn the_document_in_the_repository_is_that_of_the_host() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/control/openapi.json");
    let made = openapi::document().to_owned() + "\n";
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &made).expect("written");
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    let why = "the API has changed: run this test with UPDATE=1, and look at the change";
    assert!(kept == made, "{why}");
}

#[test]
fn every_route_is_described() {
    let document = document();
    assert_eq!(document["openapi"], json!("3.1.0"));
    let mut told = BTreeSet::new();
    let mut ids = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().expect("paths") {
        for (method, operation) in methods.as_object().expect("methods") {
            told.insert((method.to_uppercase(), path.clone()));
            let id = operation["operationId"].as_str().expect("an id");
            assert!(ids.insert(id.to_owned()), "{id} twice");
            assert!(operation["summary"].is_string(), "{method} {path}");
            let statuses = operation["responses"].as_object().expect("responses");
            assert!(statuses.contains_key("403"), "{method} {path}");
        }
    }
    let page = [("GET".to_owned(), "/".to_owned())];
    let routes = handlers::routes().into_iter();
    let there = routes.map(|(method, path, _)| (method.to_string(), path.to_owned()));
    assert_eq!(told, there.chain(page).collect());
}

/// Each answer has the fields that its schema says, all of them and no others.
#[test]
fn answers_fit_their_schemas() {
    let document = document();
    let api = served();
    let letters = "/v1/jobs/clicks/dead-letters";
    let retried = br#"{"ids": ["0-1"]}"#;
    let asked: [(&str, &str, String, &str, &[u8]); 16] = [
        ("get", "/v1/jobs", String::new(), "", b""),
        ("get", "/v1/jobs/{job}", "/v1/jobs/clicks".into(), "", b""),
        ("post", "/v1/jobs", String::new(), "wasm", b"two"),
        ("post", "/v1/check", String::new(), "wasm", b"wasm"),
        ("get", "/v1/host", String::new(), "", b""),
        ("get", "/v1/jobs/{job}/history", String::new(), "", b""),
        ("get", "/v1/jobs/{job}/logs", String::new(), "", b""),
        ("get", "/v1/jobs/{job}/graph", String::new(), "", b""),
        ("get", "/v1/jobs/{job}/series", String::new(), "", b""),
        ("get", "/v1/jobs/{job}/batches", String::new(), "", b""),
        ("get", "/v1/jobs/{job}/watermarks", String::new(), "", b""),
        ("get", "/v1/jobs/{job}/stages", String::new(), "", b""),
        ("get", "/v1/jobs/{job}/settings", String::new(), "", b""),
        (
            "get",
            "/v1/jobs/{job}/dead-letters",
            letters.into(),
            "",
            b"",
        ),
        (
            "get",
            "/v1/jobs/{job}/dead-letters/{id}",
            format!("{letters}/0-1"),
            "",
            b"",
        ),
        (
            "post",
            "/v1/jobs/{job}/dead-letters/retry",
            format!("{letters}/retry"),
            "",
            retried,
        ),
    ];
    for (method, route, path, kind, body) in asked {
        let path = match path.is_empty() {
            true => route.replace("{job}", "clicks"),
            false => path,
        };
        let headers = match kind {
            "wasm" => "Content-Type: application/wasm\r\n",
            _ => "",
        };
        let (status, answer) = api.ask(&method.to_uppercase(), &path, headers, body);
        assert_eq!(status, 200, "{method} {path}: {answer}");
        let response = &document["paths"][route][method]["responses"]["200"];
        let schema = &response["content"]["application/json"]["schema"];
        assert!(schema.is_object(), "{method} {route} has no schema");
        fits(&document, schema, &answer, &format!("{method} {route}"));
    }
    let (_, refused) = api.get("/v1/jobs/none");
    let error = &document["components"]["schemas"]["Error"];
    fits(&document, error, &refused, "an error");
}

/// What a schema means, with what it refers to, and with the parts that it is made of as one.
fn resolved(document: &Value, schema: &Value) -> Value {
    if let Some(reference) = schema["$ref"].as_str() {
        let path = reference.strip_prefix('#').expect("of this document");
        return resolved(document, document.pointer(path).expect("it is there"));
    }
    let Some(parts) = schema["allOf"].as_array() else {
        return schema.clone();
    };
    let mut properties = Map::new();
    let mut required = Vec::new();
    for part in parts {
        let part = resolved(document, part);
        properties.extend(part["properties"].as_object().cloned().unwrap_or_default());
        required.extend(part["required"].as_array().cloned().unwrap_or_default());
    }
    json!({"type": "object", "properties": properties, "required": required})
}

fn fits(document: &Value, schema: &Value, value: &Value, at: &str) {
    if let Some(choices) = schema["oneOf"].as_array() {
        let is_null = |choice: &Value| choice["type"] == json!("null");
        let nullable = choices.iter().any(is_null);
        match choices.iter().find(|choice| !is_null(choice)) {
            _ if value.is_null() && nullable => {}
            Some(choice) => fits(document, choice, value, at),
            None => panic!("{at}: {schema}"),
        }
        return;
    }
    let schema = resolved(document, schema);
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let kinds = match &schema["type"] {
        Value::Array(kinds) => kinds.clone(),
        kind => vec![kind.clone()],
    };
    let whole = kind == "integer" && kinds.contains(&json!("number"));
    assert!(
        kinds.contains(&json!(kind)) || whole,
        "{at}: {kind} is none of {kinds:?} in {schema}"
    );
    match value {
        Value::Array(items) => items
            .iter()
            .for_each(|item| fits(document, &schema["items"], item, at)),
        Value::Object(fields) if schema["properties"].is_object() => {
            fields_fit(document, &schema, fields, at);
        }
        Value::String(_) if schema["enum"].is_array() => {
            let among = schema["enum"].as_array().expect("checked");
            assert!(among.contains(value), "{at}: {value}");
        }
        _ => {}
    }
}

fn fields_fit(document: &Value, schema: &Value, fields: &Map<String, Value>, at: &str) {
    let properties = schema["properties"].as_object().expect("an object's");
    for (name, field) in fields {
        let property = properties.get(name);
        let property = property.unwrap_or_else(|| panic!("{at}: nothing is said of {name}"));
        fits(document, property, field, &format!("{at}.{name}"));
    }
    let required = schema["required"].as_array().into_iter().flatten();
    for name in required.filter_map(Value::as_str) {
        assert!(fields.contains_key(name), "{at} lacks {name}");
    }
}

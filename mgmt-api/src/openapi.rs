//! The description of the interface, OpenAPI 3.1, made of the table of routes.
//!
//! Invariant: every route is in it with whom it is for, every status it answers and the codes that
//! come with each; the committed copy is the generated one.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use crate::auth::access::{Access, Encryption};
use crate::config::Limits;
use crate::error::{Code, PROBLEM_JSON};
use crate::routes;
use crate::routes::table::{Route, Shape, Taken, Verb};

/// Where the description is served. Source: requirements #190.
pub const ADDRESS: &str = "/api/documentation/secure/api-docs-secure.json";

/// Names of the identity check's images.
const IMAGES: [&str; 3] = ["imageFace", "imageFront", "imageBack"];

/// The document.
#[must_use]
pub fn document(limits: &Limits) -> Value {
    let (secure, public) = routes::all(limits);
    let mut paths: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    let mut schemas = Map::new();
    for route in secure.iter().chain(&public) {
        collect(route, &mut schemas);
        let verb = route.verb.name().to_lowercase();
        paths.entry(&route.path).or_default().insert(verb, operation(route));
    }
    schemas.insert("Problem".into(), problem_schema());
    schemas.insert("Encrypted".into(), encrypted_schema());
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Pointsman management API",
            "version": env!("CARGO_PKG_VERSION"),
            "description": include_str!("openapi/introduction.md"),
            "license": { "name": "MIT OR Apache-2.0" },
        },
        "tags": TAGS.map(|(name, says)| json!({ "name": name, "description": says })),
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "clientCertificate": { "type": "mutualTLS" },
                "session": { "type": "http", "scheme": "bearer" },
            },
        },
    })
}

const TAGS: [(&str, &str); 6] = [
    ("secure", "Partners with a client certificate."),
    ("lifecycle", "Partners with a client certificate: users."),
    ("sandbox", "Partners with a client certificate, in the sandbox only."),
    ("customers", "Cardholders with a session on a paired device."),
    ("admin", "Operators with a session and a role."),
    ("public", "Anyone."),
];

fn collect(route: &Route, schemas: &mut Map<String, Value>) {
    let taken = match route.doc.body {
        Taken::Nothing | Taken::Report | Taken::File | Taken::Rows => None,
        Taken::Json(shape, _) | Taken::MaybeJson(shape, _) | Taken::Form(shape) => Some(shape),
    };
    let mut found = Vec::new();
    let other = route.doc.or_gives.map(|(_, shape)| shape);
    for shape in taken.into_iter().chain(route.doc.gives.1).chain(other) {
        (shape.collect)(&mut found);
    }
    for (name, schema) in found {
        if let Ok(schema) = serde_json::to_value(schema) {
            schemas.insert(name, schema);
        }
    }
}

#[expect(clippy::indexing_slicing, reason = "naming a member of a JSON object makes it")]
fn operation(route: &Route) -> Value {
    let tag = route.path.split('/').nth(1).filter(|tag| TAGS.iter().any(|(name, _)| name == tag));
    let tag = tag.unwrap_or("public");
    let mut operation = json!({
        "operationId": format!("{tag}_{}", route.doc.name),
        "summary": route.doc.says,
        "description": description(route),
        "tags": [tag],
        "parameters": parameters(route),
        "responses": responses(route),
        "security": security(route.access),
    });
    if let Some(body) = body(route) {
        operation["requestBody"] = body;
    }
    operation
}

fn description(route: &Route) -> String {
    let whom = match route.access {
        Access::Anyone => "For anyone.".to_owned(),
        Access::Partner => "For partners, by client certificate.".to_owned(),
        Access::Lifecycle => "For partners, by client certificate and three headers.".to_owned(),
        Access::Processor => "For networks and acquirers, by client certificate.".to_owned(),
        Access::Customer => "For cardholders, by session.".to_owned(),
        Access::Operator(roles) => {
            format!("For operators: {}.", roles.to_string().replace(',', ", "))
        }
    };
    let encrypted = match route.encryption {
        Encryption::Optional => "",
        Encryption::Answer => " The answer is always encrypted.",
        Encryption::Body => " The body must be encrypted.",
    };
    format!("{whom}{encrypted}")
}

fn security(access: Access) -> Value {
    match access {
        Access::Anyone => json!([]),
        Access::Partner | Access::Lifecycle | Access::Processor => {
            json!([{ "clientCertificate": [] }])
        }
        Access::Customer | Access::Operator(_) => json!([{ "session": [] }]),
    }
}

fn parameters(route: &Route) -> Value {
    let mut list = Vec::new();
    for name in names_in(&route.path) {
        list.push(json!({ "name": name, "in": "path", "required": true,
            "schema": { "type": "string" }, "example": example_of(name) }));
    }
    for (name, says) in route.doc.query {
        let schema = match *name {
            "limit" => json!({ "type": "integer", "minimum": 1, "maximum": 50 }),
            _ => json!({ "type": "string" }),
        };
        list.push(json!({ "name": name, "in": "query", "description": says, "schema": schema }));
    }
    if route.access == Access::Anyone {
        return list.into();
    }
    let mut header = |name: &str, says: &str, schema: Value, required: bool| {
        list.push(json!({ "name": name, "in": "header", "description": says,
            "schema": schema, "required": required }));
    };
    let text = || json!({ "type": "string" });
    let flag = || json!({ "type": "string", "enum": ["true", "false"] });
    if route.access == Access::Lifecycle {
        header("Issuer-Code", "The installation's issuer code.", text(), true);
        header("Application-Id", "The installation's application id.", text(), true);
        header("Collection", "The installation's collection.", text(), true);
    }
    header("Public-Key", "Base64 of the PEM key that the answer is encrypted to.", text(), false);
    header("Encrypted-Request", "Whether the body is encrypted.", flag(), false);
    header("Encrypted-Response", "Whether the answer must be encrypted.", flag(), false);
    let algorithm = json!({ "type": "string", "enum": ["RSA-OAEP-256", "RSA-OAEP"] });
    let says = "How the key of the answer is encrypted; RSA-OAEP-256 where it is left out.";
    header("Encryption-Algorithm", says, algorithm, false);
    if route.verb != Verb::Get && !is_of_session(route) {
        let key = json!({ "type": "string", "minLength": 1, "maxLength": 128 });
        header(
            "X-Idempotency-Key",
            "Makes the request act once, for 72 hours at least.",
            key,
            false,
        );
    }
    if is_versioned_change(route) {
        header("If-Match", "The version that is to be changed, as ETag said it.", text(), false);
    }
    list.into()
}

/// The schema of a form itself, without those that it refers to.
fn own_schema(shape: Shape) -> Value {
    let mut found = Vec::new();
    (shape.collect)(&mut found);
    let own = found.into_iter().find(|(name, _)| *name == (shape.name)());
    own.and_then(|(_, schema)| serde_json::to_value(schema).ok()).unwrap_or_default()
}

/// The names in braces of a path.
fn names_in(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
}

/// Ids as the examples have them.
const fn example_of(name: &str) -> &'static str {
    match name.as_bytes() {
        b"customer" => "100001",
        b"card" => "357001",
        b"partner" => "1",
        b"program" => "0019167900",
        b"image" => "imageFace",
        b"kind" => "mdes-icon",
        b"iban" => "PL61109010140000071219812874",
        _ => "019a0000-0000-7000-8000-000000000001",
    }
}

fn reference(shape: Shape) -> Value {
    json!({ "$ref": format!("#/components/schemas/{}", (shape.name)()) })
}

fn body(route: &Route) -> Option<Value> {
    let (shape, example, required) = match route.doc.body {
        Taken::Nothing => return None,
        Taken::Form(shape) => return Some(form(shape)),
        Taken::Report => return Some(report()),
        Taken::File => return Some(file()),
        Taken::Rows => return Some(rows()),
        Taken::Json(shape, example) => (shape, example, true),
        Taken::MaybeJson(shape, example) => (shape, example, false),
    };
    let example: Value = serde_json::from_str(example).unwrap_or_default();
    let encrypted = json!({ "$ref": "#/components/schemas/Encrypted" });
    let schema = match (route.encryption, route.access) {
        (_, Access::Anyone) => reference(shape),
        (Encryption::Body, _) => encrypted,
        (Encryption::Optional | Encryption::Answer, _) => {
            json!({ "oneOf": [reference(shape), encrypted] })
        }
    };
    Some(json!({
        "required": required,
        "description": format!("A {}, or the same encrypted.", (shape.name)()),
        "content": { "application/json": { "schema": schema, "example": example } },
    }))
}

fn report() -> Value {
    let says = "Lines of orderId,result,trackingNo,reference, where result is PERSONALISED, \
        SHIPPED, DELIVERED or FAILED; the last one is TOTAL, their number, and the SHA-256 of \
        all bytes before it in hexadecimal digits.";
    json!({ "required": true, "description": says,
        "content": { "text/csv": { "schema": { "type": "string" } } } })
}

fn rows() -> Value {
    let says = "CSV with a header, or one JSON object a line: firstName, lastName, phone, email, \
        birthDate, wPIN, state, kyc, or customerId of a user there is; with currency a balance is \
        opened, with configId a virtual card is issued on it or on balanceId.";
    json!({ "required": true, "description": says, "content": {
        "text/csv": { "schema": { "type": "string" } },
        "application/x-ndjson": { "schema": { "type": "string" } } } })
}

fn file() -> Value {
    let kinds = ["image/png", "image/svg+xml", "application/pdf"];
    let content: Map<String, Value> =
        kinds.map(|kind| (kind.to_owned(), json!({}))).into_iter().collect();
    json!({ "required": true, "content": content })
}

fn form(shape: Shape) -> Value {
    let image = json!({ "type": "string", "contentMediaType": "application/octet-stream" });
    let images: Map<String, Value> =
        IMAGES.into_iter().map(|name| (name.to_owned(), image.clone())).collect();
    let mut schema = own_schema(shape);
    if let Some(Value::Object(properties)) = schema.get_mut("properties") {
        properties.extend(images);
    }
    if let Some(Value::Array(required)) = schema.get_mut("required") {
        required.extend(IMAGES.into_iter().take(2).map(Value::from));
    }
    json!({ "required": true, "content": { "multipart/form-data": { "schema": schema } } })
}

#[expect(clippy::indexing_slicing, reason = "naming a member of a JSON object makes it")]
fn responses(route: &Route) -> Value {
    let mut responses = Map::new();
    let (status, shape) = route.doc.gives;
    let content = shape.map(|shape| json_content(route, shape));
    let says = match shape {
        Some(shape) => format!("{}.", (shape.name)()),
        None => "Done.".to_owned(),
    };
    let mut good = json!({ "description": says });
    if route.doc.has_versions && route.verb == Verb::Get {
        let schema = json!({ "type": "string" });
        good["headers"] =
            json!({ "ETag": { "description": "Its version, for If-Match.", "schema": schema } });
    }
    match content {
        Some(content) => good["content"] = content,
        None if status == 200 => good["content"] = json!({ route.doc.media_type: {} }),
        None => {}
    }
    responses.insert(status.to_string(), good);
    if let Some((status, shape)) = route.doc.or_gives {
        let says = format!("{}.", (shape.name)());
        let good = json!({ "description": says, "content": json_content(route, shape) });
        responses.insert(status.to_string(), good);
    }
    for (status, codes) in failures(route) {
        let mut says = codes.iter().map(|code| format!("- `{}`: {}", code.title(), code.detail()));
        let mut bad = json!({ "description": says.by_ref().collect::<Vec<_>>().join("\n") });
        bad["content"] =
            json!({ PROBLEM_JSON: { "schema": { "$ref": "#/components/schemas/Problem" } } });
        responses.insert(status.to_string(), bad);
    }
    if matches!(route.doc.body, Taken::Rows) {
        responses.insert("200".into(), responses.get("202").cloned().unwrap_or_default());
    }
    if route.doc.name == "ready" {
        responses.insert("503".into(), responses.get("200").cloned().unwrap_or_default());
    }
    responses.into()
}

/// An answer of this form, encrypted where the route or its caller wants it.
fn json_content(route: &Route, shape: Shape) -> Value {
    let encrypted = json!({ "$ref": "#/components/schemas/Encrypted" });
    let schema = match (route.encryption, route.access) {
        (_, Access::Anyone) => reference(shape),
        (Encryption::Optional, _) => json!({ "oneOf": [reference(shape), encrypted] }),
        (Encryption::Answer | Encryption::Body, _) => encrypted,
    };
    json!({ "application/json": { "schema": schema } })
}

/// What begins nothing that could be begun twice: ending a session, proving who uses it.
fn is_of_session(route: &Route) -> bool {
    matches!(route.doc.name, "end_session" | "step_up")
}

/// Whether a caller may name the version that it wants to change.
fn is_versioned_change(route: &Route) -> bool {
    route.doc.has_versions && route.verb != Verb::Get
}

/// Every code that a route can fail with, by status.
fn failures(route: &Route) -> BTreeMap<u16, Vec<Code>> {
    let mut codes: Vec<Code> = vec![Code::InvalidRequest, Code::InternalError, Code::Overloaded];
    codes.extend([Code::RequestTimeout, Code::RateLimited]);
    codes.extend(of_access(route.access));
    if route.access != Access::Anyone {
        codes.extend([Code::EncryptionRequired, Code::InvalidPublicKey, Code::SwitchUnavailable]);
    }
    if route.verb != Verb::Get {
        codes.extend([Code::BodyTooLarge, Code::UnsupportedMediaType]);
    }
    if route.verb != Verb::Get && route.access != Access::Anyone {
        codes.extend([Code::InvalidPayload, Code::CantDecryptPayload, Code::CapacityReached]);
        codes.extend([Code::InvalidIdempotencyKey, Code::IdempotencyKeyInUse]);
        codes.extend([Code::IdempotencyKeyReused, Code::TooManyIdempotencyKeys]);
    }
    codes.extend((is_versioned_change(route)).then_some(Code::PreconditionFailed));
    let is_of_customer =
        route.path.contains("{customer}") || route.path.starts_with("/customers/me");
    codes.extend(is_of_customer.then_some(Code::UserNotFound));
    for name in names_in(&route.path) {
        codes.push(match name {
            "customer" => Code::UserNotFound,
            "card" => Code::CardNotFound,
            "partner" => Code::PartnerNotFound,
            "balance" if route.path.contains("partner") => Code::PartnerBalanceNotFound,
            "balance" => Code::BalanceNotFound,
            "order" => Code::OrderNotFound,
            "certificate" => Code::CertificateNotFound,
            "iban" => Code::BankAccountNotFound,
            "import" => Code::ImportNotFound,
            "program" if route.path.contains("art") => Code::ProgramNotFound,
            "kind" => Code::ArtNotFound,
            "verification" | "image" => Code::VerificationNotFound,
            "operation" => Code::OperationNotFound,
            _ => Code::RouteNotFound,
        });
    }
    codes.extend(route.doc.fails);
    let mut known = BTreeSet::new();
    let mut by_status: BTreeMap<u16, Vec<Code>> = BTreeMap::new();
    for code in codes {
        if known.insert(code.title()) {
            by_status.entry(code.status()).or_default().push(code);
        }
    }
    by_status
}

fn of_access(access: Access) -> Vec<Code> {
    let certificate =
        [Code::ClientCertificateRequired, Code::ClientCertificateUnknown, Code::AddressForbidden];
    match access {
        Access::Anyone => Vec::new(),
        Access::Partner => certificate.to_vec(),
        Access::Processor => [&certificate, &[Code::Forbidden][..]].concat(),
        Access::Lifecycle => {
            [certificate.as_slice(), &[Code::MissingHeader, Code::Forbidden]].concat()
        }
        Access::Customer => vec![Code::Unauthorized],
        Access::Operator(_) => vec![Code::Unauthorized, Code::Forbidden],
    }
}

fn problem_schema() -> Value {
    let text = json!({ "type": "string" });
    json!({
        "description": "What went wrong and what to do next. Source: RFC 9457.",
        "type": "object",
        "required": ["type", "title", "status", "detail", "instance", "code", "traceId"],
        "properties": {
            "type": text, "detail": text, "instance": text, "traceId": text,
            "title": { "type": "string", "description": "The code." },
            "code": { "type": "string", "enum": Code::ALL.iter().map(|code| code.title()).collect::<Vec<_>>() },
            "status": { "type": "integer" },
            "errors": { "type": "array", "items": { "type": "object",
                "required": ["field", "message"],
                "properties": { "field": text, "message": text } } },
        },
    })
}

fn encrypted_schema() -> Value {
    json!({
        "description": "A compact JWE: RSA-OAEP-256 or RSA-OAEP with A256GCM.",
        "type": "object",
        "required": ["payload"],
        "additionalProperties": false,
        "properties": { "payload": { "type": "string", "maxLength": 98_304 } },
    })
}

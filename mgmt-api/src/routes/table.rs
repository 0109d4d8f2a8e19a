//! What a route is: address, method, whom it is for, what must be encrypted, and its handler.
//!
//! Invariant: the router, the check of its callers and its description are made of the same rows,
//! so that no handler can be reached without its check and none is left out of a description.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::handler::Handler;
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, delete, get, post, put};

use utoipa::ToSchema;
use utoipa::openapi::{RefOr, Schema};

use super::versions::{self, Versioned};
use crate::app::App;
use crate::audit::Entry;
use crate::auth::access::{Access, Encryption, admit};
use crate::auth::encryption;
use crate::auth::rate::{BURST, Standing};
use crate::auth::role::Roles;
use crate::call::Call;
use crate::error::Code;

/// Methods that routes have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verb {
    /// Reads.
    Get,
    /// Acts.
    Post,
    /// Replaces.
    Put,
    /// Removes.
    Delete,
}

impl Verb {
    /// Its name on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
        }
    }
}

/// One route.
#[derive(Clone)]
pub struct Route {
    /// Its method.
    pub verb: Verb,
    /// Its address, with names in braces.
    pub path: String,
    /// Whom it is for.
    pub access: Access,
    /// What must be encrypted.
    pub encryption: Encryption,
    /// What stands of it in the documentation.
    pub doc: Doc,
    handler: MethodRouter<Arc<App>>,
}

/// What stands of a route in the documentation.
#[derive(Clone, Copy)]
pub struct Doc {
    /// The name of its use case.
    pub name: &'static str,
    /// What it does, in a sentence.
    pub says: &'static str,
    /// The body that it takes.
    pub body: Taken,
    /// Its status when all is well, and the answer's form where it has one.
    pub gives: (u16, Option<Shape>),
    /// Another status that is as good, and its form.
    pub or_gives: Option<(u16, Shape)>,
    /// The answer's media type, where it has one that is not JSON.
    pub media_type: &'static str,
    /// What can be wrong beside what its door, its path and its body say.
    pub fails: &'static [Code],
    /// It reads a card's full data or a person's, which is written down like a change.
    pub is_written_down: bool,
    /// It is about something that is configured: its versions are told apart.
    pub has_versions: bool,
    /// Names and meanings of what its query takes.
    pub query: &'static [(&'static str, &'static str)],
}

/// The body that a route takes.
#[derive(Clone, Copy)]
pub enum Taken {
    /// None.
    Nothing,
    /// JSON of this form, with an example that works.
    Json(Shape, &'static str),
    /// The same, or none.
    MaybeJson(Shape, &'static str),
    /// The identity check's form and images.
    Form(Shape),
    /// A bureau's report, CSV.
    Report,
    /// A file of art.
    File,
    /// A file of rows.
    Rows,
}

/// The form of a JSON value, and of what it consists of.
#[derive(Clone, Copy)]
pub struct Shape {
    /// Its name in the documentation.
    pub name: fn() -> Cow<'static, str>,
    /// Writes its schema and those that it refers to.
    pub collect: fn(&mut Vec<(String, RefOr<Schema>)>),
}

impl Shape {
    /// The form of `T`.
    fn of<T: ToSchema>() -> Self {
        let collect = |schemas: &mut Vec<(String, RefOr<Schema>)>| {
            schemas.push((T::name().into_owned(), T::schema()));
            T::schemas(schemas);
        };
        Self { name: T::name, collect }
    }
}

/// A route about a cardholder, before it is known under which prefixes it stands.
pub(super) struct CustomerRoute {
    route: Route,
    partners: bool,
    customers: bool,
    roles: Roles,
}

/// A handler and the name of what it does.
pub(super) type Named<H> = (&'static str, H);

/// Where partners, cardholders and operators find what belongs to a cardholder.
const PARTNERS: &str = "/secure/customers/{customer}";
const CUSTOMERS: &str = "/customers/me";
const OPERATORS: &str = "/admin/customers/{customer}";

impl Route {
    fn new(verb: Verb, path: &str, name: &'static str, handler: MethodRouter<Arc<App>>) -> Self {
        let (access, encryption) = (Access::Anyone, Encryption::Optional);
        let (gives, body) = ((204, None), Taken::Nothing);
        let doc = Doc {
            name,
            says: "",
            body,
            gives,
            or_gives: None,
            media_type: "",
            fails: &[],
            is_written_down: false,
            has_versions: false,
            query: &[],
        };
        Self { verb, path: path.to_owned(), access, encryption, doc, handler }
    }

    /// Reads something.
    pub(super) fn get<H: Handler<T, Arc<App>>, T: 'static>(path: &str, to: Named<H>) -> Self {
        Self::new(Verb::Get, path, to.0, get(to.1))
    }

    /// Acts.
    pub(super) fn post<H: Handler<T, Arc<App>>, T: 'static>(path: &str, to: Named<H>) -> Self {
        Self::new(Verb::Post, path, to.0, post(to.1))
    }

    /// Replaces something.
    pub(super) fn put<H: Handler<T, Arc<App>>, T: 'static>(path: &str, to: Named<H>) -> Self {
        Self::new(Verb::Put, path, to.0, put(to.1))
    }

    /// Removes something.
    pub(super) fn delete<H: Handler<T, Arc<App>>, T: 'static>(path: &str, to: Named<H>) -> Self {
        Self::new(Verb::Delete, path, to.0, delete(to.1))
    }

    /// What it does, in a sentence.
    pub(super) fn says(mut self, says: &'static str) -> Self {
        self.doc.says = says;
        self
    }

    /// Takes JSON; the example works.
    pub(super) fn takes<T: ToSchema>(mut self, example: &'static str) -> Self {
        self.doc.body = Taken::Json(Shape::of::<T>(), example);
        self
    }

    /// Takes JSON or nothing.
    pub(super) fn may_take<T: ToSchema>(mut self, example: &'static str) -> Self {
        self.doc.body = Taken::MaybeJson(Shape::of::<T>(), example);
        self
    }

    /// Takes the identity check's form.
    pub(super) fn takes_form<T: ToSchema>(mut self) -> Self {
        self.doc.body = Taken::Form(Shape::of::<T>());
        self
    }

    /// Takes a file of rows; one that is only looked at is answered 200.
    pub(super) fn takes_rows(mut self) -> Self {
        self.doc.body = Taken::Rows;
        self
    }

    /// Takes a file of art.
    pub(super) fn takes_file(mut self) -> Self {
        self.doc.body = Taken::File;
        self
    }

    /// Takes a bureau's report.
    pub(super) fn takes_report(mut self) -> Self {
        self.doc.body = Taken::Report;
        self
    }

    /// Answers with JSON.
    pub(super) fn gives<T: ToSchema>(mut self, status: u16) -> Self {
        self.doc.gives = (status, Some(Shape::of::<T>()));
        self
    }

    /// Answers with another form of JSON where the status is this one.
    pub(super) fn or_gives<T: ToSchema>(mut self, status: u16) -> Self {
        self.doc.or_gives = Some((status, Shape::of::<T>()));
        self
    }

    /// Answers with something of another media type.
    pub(super) fn gives_as(mut self, media_type: &'static str) -> Self {
        self.doc.gives = (200, None);
        self.doc.media_type = media_type;
        self
    }

    /// Can fail in these ways of its own.
    pub(super) fn fails(mut self, fails: &'static [Code]) -> Self {
        self.doc.fails = fails;
        self
    }

    /// Shows a card's full data or a person's.
    pub(super) fn written_down(mut self) -> Self {
        self.doc.is_written_down = true;
        self
    }

    /// Shows or changes something that is configured, of which there are versions.
    pub(super) fn versioned(mut self) -> Self {
        self.doc.has_versions = true;
        self
    }

    /// Takes these in its query.
    pub(super) fn asks(mut self, query: &'static [(&'static str, &'static str)]) -> Self {
        self.doc.query = query;
        self
    }

    /// Takes a page's bounds.
    pub(super) fn paged(mut self) -> Self {
        self.doc.query = &[
            ("limit", "Items of the page, 1 to 50."),
            ("after", "Id of the last item of the page before."),
        ];
        self
    }

    /// For these callers only.
    pub(super) fn to(self, access: Access) -> Self {
        Self { access, ..self }
    }

    /// Demands encryption.
    pub(super) fn encrypted(self, encryption: Encryption) -> Self {
        Self { encryption, ..self }
    }

    /// With a layer around its handler alone.
    pub(super) fn around<L>(self, layer: L) -> Self
    where
        L: tower::Layer<axum::routing::Route> + Clone + Send + Sync + 'static,
        L::Service: tower::Service<Request, Error: Into<core::convert::Infallible>>
            + Clone
            + Send
            + Sync
            + 'static,
        <L::Service as tower::Service<Request>>::Response: IntoResponse + 'static,
        <L::Service as tower::Service<Request>>::Future: Send + 'static,
    {
        Self { handler: self.handler.layer(layer), ..self }
    }

    /// Under the prefixes of a cardholder; who sees it comes next.
    pub(super) fn of_customer(self) -> CustomerRoute {
        CustomerRoute { route: self, partners: false, customers: false, roles: Roles::NONE }
    }
}

impl CustomerRoute {
    /// Partners have it, for their cardholders.
    pub(super) fn partners(self) -> Self {
        Self { partners: true, ..self }
    }

    /// Cardholders have it, for themselves.
    pub(super) fn customers(self) -> Self {
        Self { customers: true, ..self }
    }

    /// Operators with one of these roles have it.
    pub(super) fn operators(self, roles: Roles) -> Self {
        Self { roles, ..self }
    }

    /// The routes that it stands for.
    pub(super) fn each(self) -> impl Iterator<Item = Route> {
        let Self { route, partners, customers, roles } = self;
        [
            (partners, PARTNERS, Access::Partner),
            (customers, CUSTOMERS, Access::Customer),
            (roles != Roles::NONE, OPERATORS, Access::Operator(roles)),
        ]
        .into_iter()
        .filter(|(wanted, ..)| *wanted)
        .map(move |(_, prefix, access)| {
            let path = format!("{prefix}{}", route.path);
            Route { path, access, ..route.clone() }
        })
    }
}

/// The router of `routes`, each behind its door.
pub(super) fn router(app: &Arc<App>, routes: Vec<Route>) -> Router<Arc<App>> {
    let shown: BTreeMap<String, MethodRouter<Arc<App>>> = routes
        .iter()
        .filter(|route| route.doc.has_versions && route.verb == Verb::Get)
        .map(|route| (route.path.clone(), route.handler.clone()))
        .collect();
    routes.into_iter().fold(Router::new(), |router, route| {
        let route = match shown.get(&route.path).filter(|_shown_by| route.doc.has_versions) {
            None => route,
            Some(_shown_by) if route.verb == Verb::Get => Route {
                handler: route.handler.layer(middleware::from_fn(versions::tagged)),
                ..route
            },
            Some(shown_by) => {
                let versioned = Versioned { app: Arc::clone(app), shown_by: shown_by.clone() };
                let checked = middleware::from_fn_with_state(versioned, versions::checked);
                Route { handler: route.handler.layer(checked), ..route }
            }
        };
        let audited = (route.verb != Verb::Get || route.doc.is_written_down)
            .then(|| format!("{} {}", route.verb.name(), route.path).into());
        let (app, access, encryption) = (Arc::clone(app), route.access, route.encryption);
        let door = Door { app, access, encryption, audited };
        let handler = route.handler.route_layer(middleware::from_fn_with_state(door, pass));
        router.route(&route.path, handler)
    })
}

#[derive(Clone)]
struct Door {
    app: Arc<App>,
    access: Access,
    encryption: Encryption,
    /// The route's name in the audit log, where it stands in there.
    audited: Option<Arc<str>>,
}

async fn pass(State(door): State<Door>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let admitted = admit(&door.app, door.access, door.encryption, &parts).await;
    let mut response = match admitted.call {
        Err(error) => error.into_response(),
        Ok(call) => enter(&door, call, (parts, body), next).await,
    };
    if let Some(Standing { burst, left, full_in, .. }) = admitted.standing {
        // As draft-ietf-httpapi-ratelimit-headers-10 writes them.
        let said = [
            ("ratelimit-policy", format!("\"caller\";q={burst};w={}", BURST.as_secs())),
            ("ratelimit", format!("\"caller\";r={left};t={full_in}")),
        ];
        for (name, value) in said {
            if let Ok(value) = HeaderValue::from_str(&value) {
                response.headers_mut().insert(HeaderName::from_static(name), value);
            }
        }
    }
    response
}

async fn enter(
    door: &Door,
    call: Option<Call>,
    (mut parts, body): (Parts, Body),
    next: Next,
) -> Response {
    let entry = door.audited.as_ref().map(|route| Entry::asked(route, call.as_ref(), &parts));
    if let Some(entry) = &entry
        && let Err(error) = door.app.audit.write(entry.clone()).await
    {
        return error.into_response();
    }
    let key = call.as_ref().and_then(|call| call.response_key.clone());
    if let Some(call) = call {
        parts.extensions.insert(call);
    }
    let mut response = next.run(Request::from_parts(parts, body)).await;
    if let Some(key) = key {
        response = encryption::answered(&door.app, key, response).await;
    }
    if let Some(entry) = entry {
        door.app.audit.note(entry.answered(response.status().as_u16())).await;
    }
    response
}

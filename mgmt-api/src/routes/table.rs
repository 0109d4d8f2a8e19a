//! What a route is: address, method, whom it is for, what must be encrypted, and its handler.
//!
//! Invariant: the router, the check of its callers and its description are made of the same rows,
//! so that no handler can be reached without its check and none is left out of a description.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::handler::Handler;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, delete, get, post, put};

use crate::app::App;
use crate::auth::access::{Access, Encryption, admit};
use crate::auth::role::Roles;

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
    handler: MethodRouter<Arc<App>>,
}

/// A route about a cardholder, before it is known under which prefixes it stands.
pub(super) struct CustomerRoute {
    route: Route,
    partners: bool,
    customers: bool,
    roles: Roles,
}

/// Where partners, cardholders and operators find what belongs to a cardholder.
const PARTNERS: &str = "/secure/customers/{customer}";
const CUSTOMERS: &str = "/customers/me";
const OPERATORS: &str = "/admin/customers/{customer}";

impl Route {
    fn new(verb: Verb, path: &str, handler: MethodRouter<Arc<App>>) -> Self {
        let (access, encryption) = (Access::Anyone, Encryption::Optional);
        Self { verb, path: path.to_owned(), access, encryption, handler }
    }

    /// Reads something.
    pub(super) fn get<H: Handler<T, Arc<App>>, T: 'static>(path: &str, handler: H) -> Self {
        Self::new(Verb::Get, path, get(handler))
    }

    /// Acts.
    pub(super) fn post<H: Handler<T, Arc<App>>, T: 'static>(path: &str, handler: H) -> Self {
        Self::new(Verb::Post, path, post(handler))
    }

    /// Replaces something.
    pub(super) fn put<H: Handler<T, Arc<App>>, T: 'static>(path: &str, handler: H) -> Self {
        Self::new(Verb::Put, path, put(handler))
    }

    /// Removes something.
    pub(super) fn delete<H: Handler<T, Arc<App>>, T: 'static>(path: &str, handler: H) -> Self {
        Self::new(Verb::Delete, path, delete(handler))
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
    routes.into_iter().fold(Router::new(), |router, route| {
        let door =
            Door { app: Arc::clone(app), access: route.access, encryption: route.encryption };
        let handler = route.handler.route_layer(middleware::from_fn_with_state(door, pass));
        router.route(&route.path, handler)
    })
}

#[derive(Clone)]
struct Door {
    app: Arc<App>,
    access: Access,
    encryption: Encryption,
}

async fn pass(State(door): State<Door>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    match admit(&door.app, door.access, door.encryption, &parts).await {
        Err(error) => return error.into_response(),
        Ok(None) => {}
        Ok(Some(call)) => drop(parts.extensions.insert(call)),
    }
    next.run(Request::from_parts(parts, body)).await
}

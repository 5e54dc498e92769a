//! Routes as data: what answers a method and path, what it is for, and who may. Router, OpenAPI document, metrics and the
//! authorization matrix are made from the same table.

use std::pin::Pin;

use http::Method;

use crate::context::Ctx;
use crate::error::ApiError;
use crate::reply::Reply;

/// What a handler gives.
pub(crate) type Answer = Pin<Box<dyn Future<Output = Result<Reply, ApiError>> + Send>>;

/// Who may use a route, as far as that does not depend on objects. The decision itself is `fb-auth`'s; this says which
/// one is asked for, for documentation and for the matrix that tests it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Everybody.
    Public,
    /// Whoever has a valid token; others are treated as not found.
    LoggedIn,
    /// Class-level permissions of the class in the path, then object-level rules.
    Class(&'static [&'static str]),
    /// Permissions of the bucket in the path, then rules of the file.
    Bucket(&'static [&'static str]),
    /// Administrators of the app.
    Admin,
}

/// A route of the app API.
pub struct Route {
    /// Method.
    pub method: Method,
    /// Template below the API's base: `/db/{bucket}/{oid}`.
    pub path: &'static str,
    /// Unique name, also in metrics and OpenAPI.
    pub name: &'static str,
    /// One line for the documentation.
    pub summary: &'static str,
    /// Who may.
    pub access: Access,
    /// Query parameters: name and description.
    pub query: &'static [(&'static str, &'static str)],
    /// What the body holds; the name of a schema in the OpenAPI document.
    pub body: Option<&'static str>,
    /// Success statuses and what they hold.
    pub answers: &'static [(u16, Option<&'static str>)],
    pub(crate) handler: fn(Ctx) -> Answer,
}

/// Writes one route of a table.
macro_rules! route {
    ($method:ident $path:literal $name:ident, $summary:literal, $access:expr
     $(, query: $query:expr)? $(, body: $body:literal)? , answers: $answers:expr) => {
        $crate::route::Route {
            method: ::http::Method::$method,
            path: $path,
            name: stringify!($name),
            summary: $summary,
            access: $access,
            query: route!(@query $($query)?),
            body: route!(@body $($body)?),
            answers: $answers,
            handler: |ctx| Box::pin($name(ctx)),
        }
    };
    (@query) => { &[] };
    (@query $query:expr) => { $query };
    (@body) => { None };
    (@body $body:literal) => { Some($body) };
}
pub(crate) use route;

/// All routes of the app API, in the order of the documentation.
pub fn table() -> Vec<Route> {
    use crate::routes;
    let mut routes = Vec::new();
    routes.extend(routes::root::routes());
    routes.extend(routes::connect::routes());
    routes.extend(routes::caching::routes());
    routes.extend(routes::config::routes());
    routes.extend(routes::push_keys::routes());
    routes.extend(routes::schema::routes());
    routes.extend(routes::users::routes());
    routes.extend(routes::devices::routes());
    routes.extend(routes::queries::routes());
    routes.extend(routes::events::routes());
    routes.extend(routes::bulk::routes());
    routes.extend(routes::objects::routes());
    routes.extend(routes::indexes::routes());
    routes.extend(routes::files::routes());
    routes.extend(routes::code::routes());
    routes.extend(routes::mail::routes());
    routes.extend(routes::banned::routes());
    routes.extend(routes::triggers::routes());
    routes
}

/// Finds routes by path and method.
pub(crate) struct Router {
    paths: matchit::Router<Methods>,
    pub(crate) routes: Vec<Route>,
}

/// What one path has: the names of its parameters, and the numbers of its routes by method.
struct Methods {
    params: Vec<&'static str>,
    routes: Vec<(Method, usize)>,
}

/// What a path and method lead to.
pub(crate) enum Found<'r, 'p> {
    Route {
        number: usize,
        route: &'r Route,
        names: &'r [&'static str],
        params: matchit::Params<'r, 'p>,
    },
    /// The path exists, the method does not; those that do.
    WrongMethod(String),
    Nothing,
}

impl Router {
    pub(crate) fn new(routes: Vec<Route>) -> Result<Self, matchit::InsertError> {
        let mut by_path: Vec<(&'static str, Methods)> = Vec::new();
        for (number, route) in routes.iter().enumerate() {
            let entry = (route.method.clone(), number);
            match by_path.iter_mut().find(|(path, _)| *path == route.path) {
                Some((_, methods)) => methods.routes.push(entry),
                None => {
                    let params = crate::openapi::path_parameters(route.path).collect();
                    by_path.push((
                        route.path,
                        Methods {
                            params,
                            routes: vec![entry],
                        },
                    ));
                }
            }
        }
        let mut paths = matchit::Router::new();
        for (path, methods) in by_path {
            paths.insert(path, methods)?;
        }
        Ok(Self { paths, routes })
    }

    /// `path` is raw, below the API's base. HEAD is answered like GET.
    pub(crate) fn find<'r, 'p>(&'r self, method: &Method, path: &'p str) -> Found<'r, 'p> {
        let Ok(found) = self.paths.at(path) else {
            return Found::Nothing;
        };
        let wanted = if method == Method::HEAD { &Method::GET } else { method };
        match found.value.routes.iter().find(|(m, _)| m == wanted) {
            Some((_, number)) => Found::Route {
                number: *number,
                route: &self.routes[*number],
                names: &found.value.params,
                params: found.params,
            },
            None => {
                let mut methods: Vec<&str> = found.value.routes.iter().map(|(m, _)| m.as_str()).collect();
                // HEAD is answered wherever GET is, OPTIONS everywhere.
                if methods.contains(&"GET") && !methods.contains(&"HEAD") {
                    methods.push("HEAD");
                }
                methods.push("OPTIONS");
                Found::WrongMethod(methods.join(", "))
            }
        }
    }
}

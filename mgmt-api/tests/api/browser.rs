//! A browser as far as the panel needs one: pages with a session's cookie, forms as they stand in
//! them, links. It has no scripts.

use std::collections::{BTreeMap, BTreeSet};

use mgmt_api::auth::role::Roles;
use mgmt_api::operators;
use reqwest::Client;
use reqwest::redirect::Policy;

use crate::channels::PASSWORD;
use crate::world::{Got, World, send, trusting};

/// An operator's browser.
pub(crate) struct Browser {
    pub(crate) client: Client,
    pub(crate) origin: String,
    pub(crate) cookie: String,
}

/// A form as it stands in a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Form {
    is_post: bool,
    action: String,
    pub(crate) fields: BTreeMap<String, String>,
    button: String,
}

impl Form {
    pub(crate) fn with(mut self, fields: &[(&str, &str)]) -> Self {
        for (name, value) in fields {
            let stands = self.fields.contains_key(*name);
            assert!(stands, "{self:?} has no field {name}");
            self.fields.insert((*name).to_owned(), (*value).to_owned());
        }
        self
    }
}

fn attribute(tag: &str, name: &str) -> Option<String> {
    let (_, rest) = tag.split_once(&format!(" {name}=\""))?;
    let (value, _) = rest.split_once('"')?;
    Some(unescaped(value))
}

fn unescaped(text: &str) -> String {
    text.replace("&quot;", "\"").replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
}

/// The forms of a page: of a choice its first option.
pub(crate) fn forms(page: &str) -> Vec<Form> {
    page.split("<form").skip(1).map(form).collect()
}

fn form(rest: &str) -> Form {
    let body = rest.split("</form>").next().unwrap();
    let head = format!(" {}", body.split('>').next().unwrap());
    let mut fields = BTreeMap::new();
    for input in body.split("<input").skip(1) {
        let input = input.split('>').next().unwrap();
        let name = attribute(input, "name").unwrap();
        fields.insert(name, attribute(input, "value").unwrap_or_default());
    }
    for select in body.split("<select").skip(1) {
        let name = attribute(select.split('>').next().unwrap(), "name").unwrap();
        let first = select.split("<option").nth(1).unwrap_or_default();
        fields.insert(name, attribute(first, "value").unwrap_or_default());
    }
    let button = body.split("<button>").nth(1).and_then(|rest| rest.split('<').next());
    Form {
        is_post: attribute(&head, "method").unwrap() == "post",
        action: attribute(&head, "action").unwrap(),
        fields,
        button: unescaped(button.unwrap_or_default()),
    }
}

pub(crate) fn links(page: &str) -> BTreeSet<String> {
    let anchors = page.split("<a ").skip(1).map(|rest| rest.split('>').next().unwrap());
    let found = anchors.filter_map(|tag| attribute(&format!(" {tag}"), "href"));
    let images = page.split("<img ").skip(1).map(|rest| rest.split('>').next().unwrap());
    found
        .chain(images.filter_map(|tag| attribute(&format!(" {tag}"), "src")))
        .filter(|to| !to.starts_with('#'))
        .map(|to| to.split('#').next().unwrap().to_owned())
        .collect()
}

impl Browser {
    pub(crate) async fn signed_in(
        world: &World,
        name: &str,
        roles: Roles,
        partner: Option<&str>,
    ) -> Self {
        let wish = operators::Wish { name, password: PASSWORD, roles, partner };
        operators::add(&world.config, &wish).await.unwrap();
        let mut browser = Self::new(world);
        let got = browser.sign_in(name, PASSWORD).await;
        assert_eq!((got.status, location(&got)), (303, Some("/panel".to_owned())), "{got:?}");
        browser.cookie = cookie(&got);
        browser
    }

    pub(crate) fn new(world: &World) -> Self {
        let client = trusting(&world.path("pki/ca.pem")).redirect(Policy::none());
        let client = client.build().unwrap();
        Self { client, origin: world.public_url(""), cookie: String::new() }
    }

    pub(crate) async fn get(&self, path: &str) -> Got {
        send(self.client.get(format!("{}{path}", self.origin)).header("Cookie", &self.cookie)).await
    }

    /// A page that is there.
    pub(crate) async fn page(&self, path: &str) -> String {
        let got = self.get(path).await;
        assert_eq!(got.status, 200, "{path}: {}", String::from_utf8_lossy(&got.bytes));
        String::from_utf8(got.bytes).unwrap()
    }

    pub(crate) async fn post(
        &self,
        path: &str,
        origin: Option<&str>,
        fields: &BTreeMap<String, String>,
    ) -> Got {
        let request = self.client.post(format!("{}{path}", self.origin));
        let request = request.header("Cookie", &self.cookie).form(fields);
        send(match origin {
            Some(origin) => request.header("Origin", origin),
            None => request,
        })
        .await
    }

    pub(crate) async fn send(&self, form: &Form) -> Got {
        assert!(form.is_post, "{form:?}");
        self.post(&form.action, Some(&self.origin), &form.fields).await
    }

    /// Sends a form that must do what it asks for.
    pub(crate) async fn done(&self, form: &Form) -> String {
        let got = self.send(form).await;
        let page = String::from_utf8_lossy(&got.bytes);
        let says = page.split("<main").nth(1).unwrap_or_default();
        assert_eq!(got.status, 303, "{form:?}: {says}");
        let to = location(&got).unwrap();
        let page = self.page(&to).await;
        assert!(page.contains("Done."), "{to}");
        page
    }

    pub(crate) async fn sign_in(&self, name: &str, password: &str) -> Got {
        let page = self.page("/panel/sign-in").await;
        let form = form_of(&page, "Sign in").with(&[("name", name), ("password", password)]);
        self.send(&form).await
    }

    pub(crate) async fn form(&self, path: &str, button: &str) -> Form {
        form_of(&self.page(path).await, button)
    }
}

pub(crate) fn form_of(page: &str, button: &str) -> Form {
    let found = forms(page).into_iter().find(|form| form.button == button);
    found.unwrap_or_else(|| panic!("no form {button} in {page}"))
}

pub(crate) fn has_form(page: &str, button: &str) -> bool {
    forms(page).iter().any(|form| form.button == button)
}

pub(crate) fn location(got: &Got) -> Option<String> {
    got.headers.get("location").map(|to| to.to_str().unwrap().to_owned())
}

pub(crate) fn cookie(got: &Got) -> String {
    let set = got.headers.get("set-cookie").unwrap().to_str().unwrap();
    assert!(set.contains("; HttpOnly; SameSite=Strict"), "{set}");
    set.split(';').next().unwrap().to_owned()
}

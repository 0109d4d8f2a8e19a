//! Bodies as the seed prints them, read strictly where a member is required and leniently elsewhere.
//! Source: seed, Transaction object, Link balance; requirements #143, #154.
//!
//! Invariant: what is refused is refused with the name of the member; members that the seed does not
//! know are accepted.

use serde_json::{Map, Value};

use super::bank::{Movement, Status};

/// Ids are no longer.
pub(super) const ID_CHARS_MAX: usize = 256;
/// Minor units; so large that nobody has it, so small that sums of many fit.
const AMOUNT_MAX: i64 = 1_000_000_000_000_000;
/// Texts that must be there and that nothing here depends on.
const REQUIRED_TEXTS: [&str; 4] = ["resourceId", "resource", "type", "date"];
/// The seed's table calls it `descripion`, its example `description`.
const DESCRIPTIONS: [&str; 2] = ["description", "descripion"];

/// What is wrong with a body, beginning with the member's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Invalid(pub(super) String);

type Members = Map<String, Value>;

/// Reads a transaction object.
pub(super) fn movement(body: &[u8]) -> Result<Movement, Invalid> {
    let members = members(body)?;
    for name in REQUIRED_TEXTS {
        text(&members, name)?;
    }
    if !DESCRIPTIONS.iter().any(|name| members.get(*name).is_some_and(Value::is_string)) {
        return Err(invalid("description", "it must be a text"));
    }
    Ok(Movement {
        transaction_id: id(&members, "transactionId")?,
        balance_id: id(&members, "balanceId")?,
        amount: amount(&members, 0)?,
        currency: currency(&members)?,
        status: status(&members)?,
        merchant: merchant(&members)?,
    })
}

/// Reads the id and the currency of a balance to link.
pub(super) fn link(body: &[u8]) -> Result<(String, String), Invalid> {
    let members = members(body)?;
    Ok((id(&members, "balanceId")?, currency(&members)?))
}

/// Reads what a balance is to have.
pub(super) fn grant(body: &[u8]) -> Result<i64, Invalid> {
    amount(&members(body)?, -AMOUNT_MAX)
}

/// An id from an address or a body.
pub(super) fn checked_id(name: &str, id: &str) -> Result<String, Invalid> {
    let length = id.chars().take(ID_CHARS_MAX + 1).count();
    if (1..=ID_CHARS_MAX).contains(&length) {
        Ok(id.to_owned())
    } else {
        Err(invalid(name, "it must have 1 to 256 characters"))
    }
}

fn members(body: &[u8]) -> Result<Members, Invalid> {
    match serde_json::from_slice(body) {
        Ok(Value::Object(members)) => Ok(members),
        Ok(_) => Err(invalid("body", "it must be an object")),
        Err(error) => Err(invalid("body", &format!("it is not JSON: {error}"))),
    }
}

fn id(members: &Members, name: &str) -> Result<String, Invalid> {
    checked_id(name, text(members, name)?)
}

fn text<'a>(members: &'a Members, name: &str) -> Result<&'a str, Invalid> {
    let text = members.get(name).and_then(Value::as_str);
    text.filter(|text| !text.is_empty()).ok_or_else(|| invalid(name, "it must be a text"))
}

fn amount(members: &Members, min: i64) -> Result<i64, Invalid> {
    let amount = members.get("amount").and_then(Value::as_i64);
    amount.filter(|amount| (min..=AMOUNT_MAX).contains(amount)).ok_or_else(|| {
        invalid("amount", &format!("it must be a whole number from {min} to {AMOUNT_MAX}"))
    })
}

fn currency(members: &Members) -> Result<String, Invalid> {
    let code = text(members, "currency")?;
    if code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_uppercase()) {
        Ok(code.to_owned())
    } else {
        Err(invalid("currency", "it must be three capital letters"))
    }
}

fn status(members: &Members) -> Result<Status, Invalid> {
    match text(members, "status")? {
        "AUTHORIZED" => Ok(Status::Authorized),
        "CLEARED" => Ok(Status::Cleared),
        "REVERSED" => Ok(Status::Reversed),
        _ => Err(invalid("status", "it must be AUTHORIZED, CLEARED or REVERSED")),
    }
}

/// The merchant's identifier, cut where it is longer than an id.
fn merchant(members: &Members) -> Result<String, Invalid> {
    match members.get("transactionData") {
        None | Some(Value::Null) => Ok(String::new()),
        Some(Value::Object(data)) => {
            let merchant = data.get("merchantIdentifier").and_then(Value::as_str);
            Ok(merchant.unwrap_or_default().chars().take(ID_CHARS_MAX).collect())
        }
        Some(Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_)) => {
            Err(invalid("transactionData", "it must be an object"))
        }
    }
}

fn invalid(member: &str, why: &str) -> Invalid {
    Invalid(format!("{member}: {why}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The seed's example.
    fn example() -> Value {
        json!({ "balanceId": "b334b384", "resourceId": "9d673932", "resource": "card",
            "transactionId": "ab3d89e4", "referenceTransactionId": "b759931c", "type": "POS",
            "amount": 10000, "currency": "PLN", "originalAmount": 10000, "originalCurrency": "PLN",
            "status": "AUTHORIZED", "description": "transaction description",
            "date": "2020-08-17T18:43:42+00:00", "transactionData": { "mcc": "5942",
            "merchantIdentifier": "003060300000005", "merchantName": "Book store" } })
    }

    fn read(body: &Value) -> Result<Movement, Invalid> {
        movement(body.to_string().as_bytes())
    }

    #[test]
    fn the_seeds_example_is_read_and_so_is_what_nobody_knows_yet() {
        let mut body = example();
        body["novelty"] = json!([1, 2]);
        let read = read(&body).unwrap();
        assert_eq!((read.amount, read.status), (10_000, Status::Authorized));
        assert_eq!(read.merchant, "003060300000005");
        assert_eq!(
            (read.transaction_id.as_str(), read.balance_id.as_str()),
            ("ab3d89e4", "b334b384")
        );
    }

    #[test]
    fn what_is_missing_or_of_another_kind_is_named() {
        let required = [
            "balanceId",
            "resourceId",
            "resource",
            "transactionId",
            "type",
            "amount",
            "currency",
            "status",
            "description",
            "date",
        ];
        for member in required {
            let (mut without, mut other) = (example(), example());
            without.as_object_mut().unwrap().remove(member);
            other[member] = json!({});
            for body in [without, other] {
                let Invalid(why) = read(&body).unwrap_err();
                assert!(why.starts_with(&format!("{member}: ")), "{member}: {why}");
            }
        }
        for member in
            ["referenceTransactionId", "originalAmount", "originalCurrency", "transactionData"]
        {
            let mut body = example();
            body.as_object_mut().unwrap().remove(member);
            assert!(read(&body).is_ok(), "{member}");
        }
        let mut typed = example();
        typed["descripion"] = typed.as_object_mut().unwrap().remove("description").unwrap();
        assert!(read(&typed).is_ok(), "as the seed's table writes it");
    }

    #[test]
    fn values_outside_what_is_allowed_are_refused() {
        for (member, value) in [
            ("amount", json!(-1)),
            ("amount", json!(1.5)),
            ("amount", json!(AMOUNT_MAX + 1)),
            ("currency", json!("pln")),
            ("currency", json!("PLNN")),
            ("status", json!("DONE")),
            ("balanceId", json!("x".repeat(ID_CHARS_MAX + 1))),
            ("transactionData", json!("none")),
        ] {
            let mut body = example();
            body[member] = value.clone();
            assert!(read(&body).is_err(), "{member} {value}");
        }
        assert!(movement(b"[]").is_err());
        assert!(movement(b"{\"amount\"").is_err());
    }
}

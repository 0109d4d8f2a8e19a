//! The event feed: its cursor, a gap, and rows whose answer was lost.

use reqwest::Method;
use serde_json::json;
use shared::command::{Change, Command};
use shared::ids::{CommandId, PartnerId};

use mgmt_api::store::Store;

use crate::peer::Mode;
use crate::world::{World, on_each, send, until};

async fn until_cursor(world: &World, sequence: u64) {
    let store = Store::open(&world.database.url).await.unwrap();
    let sequence = i64::try_from(sequence).unwrap();
    until(async || store.event_cursor().await.unwrap() >= sequence).await;
    store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cursor_follows_the_journal_over_a_restart() {
    on_each(async |world| {
        world.customer().await;
        until_cursor(world, world.peer.last_sequence()).await;
        let subscriptions = world.peer.subscriptions();
        world.stop_server().await;
        for number in 100..150 {
            let change = Change::PutPartner(PartnerId(number));
            world.peer.apply(Command::Manage(CommandId(u128::from(number)), change));
        }
        world.start_server().await;
        until_cursor(world, world.peer.last_sequence()).await;
        // The feed, and the history.
        until(async || world.peer.subscriptions() == subscriptions + 2).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gap_starts_the_feed_again_from_the_cursor() {
    on_each(async |world| {
        until_cursor(world, world.peer.last_sequence()).await;
        let subscriptions = world.peer.subscriptions();
        world.peer.skip_event(world.peer.last_sequence() + 2);
        for number in 100..110 {
            let change = Change::PutPartner(PartnerId(number));
            world.peer.apply(Command::Manage(CommandId(u128::from(number)), change));
        }
        until_cursor(world, world.peer.last_sequence()).await;
        assert_eq!(world.peer.subscriptions(), subscriptions + 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_whose_answer_was_lost_is_confirmed_by_its_event() {
    on_each(async |world| {
        let customer = world.customer().await;
        let path = format!("/secure/customers/{customer}/balances");
        world.peer.set_mode(Mode::Swallow);
        let request = world.secure(Method::POST, &path).json(&json!({ "currency": "EUR" }));
        send(request).await.expect_error(503, "SWITCH_UNAVAILABLE");
        world.peer.set_mode(Mode::Answer);
        until_cursor(world, world.peer.last_sequence()).await;
        let listed = world.get(&path).await.json();
        assert_eq!(listed["items"].as_array().unwrap().len(), 1, "{listed}");
    })
    .await;
}

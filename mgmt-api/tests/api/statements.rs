//! Every statement of the store on both databases, and what each promises when it is repeated.

use mgmt_api::call::Scope;
use mgmt_api::store::{
    AuditRow, BalanceRow, CardKind, CustomerUpdate, Decision, ImportedRow, IssuedCertificate,
    Movement, NewCardRow, NewClient, NewCustomer, NewImportRow, NewInstallation, NewKey,
    NewMovement, NewOperator, NewOrder, NewSession, NewVerification, OrderNews, PartnerBalanceRow,
    PartnerUpdate, RowState, Settled, Store,
};
use shared::command::Collateral;
use uuid::Uuid;

use crate::database;
use crate::database::program;

fn customer(id: i64, claims: &[[u8; 32]]) -> NewCustomer {
    NewCustomer {
        id,
        partner: 1,
        lifecycle_state: "VERIFIED",
        kyc: "NONE",
        profile_sealed: vec![1],
        wpin_hash: None,
        contacts: claims.to_vec(),
        contacts_are_its_own: true,
        created_at_ms: 1,
    }
}

/// What a partner may see.
fn of(partner: i64) -> Scope {
    Scope { partner: Some(partner), customer: None }
}

fn holder(customer: i64) -> Scope {
    Scope { partner: None, customer: Some(customer) }
}

fn update<'a>(lifecycle_state: Option<&'a str>, kyc: Option<&'a str>) -> CustomerUpdate<'a> {
    CustomerUpdate { lifecycle_state, kyc, ..CustomerUpdate::default() }
}

async fn on_each_store(test: impl AsyncFn(&Store)) {
    for database in database::each().await {
        let store = Store::open(&database.url).await.unwrap();
        store.migrate().await.unwrap();
        store.migrate().await.unwrap();
        store.put_partner(1, Some("sandbox")).await.unwrap();
        test(&store).await;
        store.close().await;
    }
}

fn card(balance: Uuid) -> NewCardRow {
    NewCardRow {
        id: 11,
        resource_id: Uuid::from_u128(12),
        balance_id: balance,
        config_id: "0019167984".to_owned(),
        pan_token: [4; 16],
        pan_sealed: vec![1],
        last_four: "1234".to_owned(),
        expiry_yymm: 2911,
        created_at_ms: 1,
    }
}

async fn with_balance(store: &Store) -> BalanceRow {
    store.insert_customer(&customer(7, &[])).await.unwrap();
    store.settle_customer(7, RowState::Confirmed).await.unwrap();
    let (id, opened_for) = (Uuid::now_v7(), Some("0019167984".to_owned()));
    let row = BalanceRow { id, customer_id: 7, currency: 978, entrusted: 0, opened_for };
    store.insert_balance(&row, 1).await.unwrap();
    row
}

#[tokio::test]
async fn partners_and_certificates() {
    on_each_store(async |store| {
        store.ping().await.unwrap();
        store.put_partner(1, None).await.unwrap();
        store.put_partner(2, None).await.unwrap();
        assert!(store.partners().await.unwrap().iter().map(|row| row.id).eq([1, 2]));
        for (name, id) in [("1", Some(1)), ("sandbox", Some(1)), ("2", Some(2)), ("x", None)] {
            assert_eq!(store.partner_named(name).await.unwrap(), id, "{name}");
        }
        let client = |key, response_key_sha256| NewClient {
            spki_sha256: [key; 32],
            partner: 1,
            response_key_sha256,
            networks: String::new(),
            name: "one".to_owned(),
            serial: "1".to_owned(),
            not_after_ms: 50,
        };
        store.set_clients(&[client(1, None), client(2, Some([9; 32]))], 1).await.unwrap();
        let key = async |spki: u8| {
            let row = store.client(&[spki; 32]).await.unwrap();
            row.map(|row| row.response_key_sha256)
        };
        assert_eq!((key(1).await, key(3).await), (Some(None), None));
        assert_eq!(key(2).await, Some(Some(vec![9; 32])));
        store.register_response_key(&[1; 32], &[5; 32]).await.unwrap();
        store.register_response_key(&[1; 32], &[6; 32]).await.unwrap();
        assert_eq!(key(1).await, Some(Some(vec![5; 32])), "the first one stays");
        store.set_clients(&[client(1, None)], 2).await.unwrap();
        assert_eq!((key(1).await, key(2).await), (Some(Some(vec![5; 32])), None));

        let issued = |key, serial: &str| IssuedCertificate {
            spki_sha256: [key; 32],
            partner: 2,
            name: "two".to_owned(),
            email: None,
            serial: serial.to_owned(),
            not_after_ms: 60,
            networks: String::new(),
            created_at_ms: 9,
        };
        assert!(store.insert_certificate(&issued(7, "7")).await.unwrap());
        assert!(store.insert_certificate(&issued(7, "7")).await.unwrap(), "the same again");
        assert!(!store.insert_certificate(&issued(7, "8")).await.unwrap());
        store.set_clients(&[client(1, None)], 3).await.unwrap();
        assert_eq!(key(7).await, Some(None), "not the configuration's");
        assert_eq!(store.certificates(Some(2)).await.unwrap().len(), 1);
        assert_eq!(store.certificates(None).await.unwrap().len(), 3);
        assert_eq!(store.count_ending_certificates(50).await.unwrap(), 0);
        assert_eq!(store.count_ending_certificates(61).await.unwrap(), 2);
        for one in [1, 7] {
            assert!(store.revoke_certificate(&[one; 32], 4).await.unwrap());
        }
        assert!(!store.revoke_certificate(&[8; 32], 4).await.unwrap());
        store.set_clients(&[client(1, None)], 5).await.unwrap();
        assert_eq!((key(1).await, key(7).await), (None, None), "for ever");
        store.set_response_key(&[2; 32], &[8; 32]).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn customers_and_checks() {
    on_each_store(async |store| {
        let first = store.next_number("customer").await.unwrap();
        assert_eq!(store.next_number("customer").await.unwrap(), first + 1);
        assert!(store.insert_customer(&customer(7, &[[1; 32], [2; 32]])).await.unwrap());
        assert!(store.insert_customer(&customer(7, &[[1; 32], [2; 32]])).await.unwrap());
        assert!(!store.insert_customer(&customer(8, &[[3; 32], [2; 32]])).await.unwrap());
        assert!(store.insert_customer(&customer(9, &[[3; 32]])).await.unwrap(), "undone whole");
        assert_eq!(store.customer(of(1), 7).await.unwrap(), None, "pending");
        store.settle_customer(7, RowState::Confirmed).await.unwrap();
        store.settle_customer(7, RowState::Refused).await.unwrap();
        assert_eq!(store.customer(of(2), 7).await.unwrap(), None);
        assert_eq!(store.customer(of(1), 7).await.unwrap().unwrap().kyc, "NONE");

        let check = |kind| NewVerification {
            id: Uuid::from_u128(1),
            customer: 7,
            form_sealed: vec![1],
            images: vec![(kind, "image/png", vec![2])],
            created_at_ms: 1,
        };
        assert_eq!(store.insert_verification(&check("a")).await.unwrap(), "IN_PROGRESS");
        assert_eq!(store.insert_verification(&check("a")).await.unwrap(), "IN_PROGRESS");
        assert_eq!(store.customer(of(1), 7).await.unwrap().unwrap().kyc, "IN_PROGRESS");
        let row = store.update_customer(7, &update(None, Some("SUCCESS"))).await.unwrap().unwrap();
        assert!(row.is_verified());
        let row = store.update_customer(7, &update(Some("NEW"), None)).await.unwrap().unwrap();
        assert!(!row.is_verified() && row.kyc == "SUCCESS");
        let lock = CustomerUpdate { locked: Some(true), ..update(None, None) };
        assert!(store.update_customer(7, &lock).await.unwrap().unwrap().is_locked());
        assert!(store.customer_flags(7).await.unwrap().unwrap().is_locked());
        assert!(store.customer(holder(7), 7).await.unwrap().is_some());
        assert_eq!(store.customer(holder(8), 7).await.unwrap(), None);
        assert!(store.customer(Scope::default(), 7).await.unwrap().is_some());
        assert_eq!(store.update_customer(70, &update(None, None)).await.unwrap(), None);

        let id = Uuid::from_u128(1);
        let row = store.newest_verification(7).await.unwrap().unwrap();
        assert_eq!((row.id, row.status.as_str()), (id, "IN_PROGRESS"));
        assert_eq!(store.verification(of(1), id).await.unwrap(), Some(row.clone()));
        assert_eq!(store.verification(of(2), id).await.unwrap(), None);
        let open = async |partner, after| {
            let part = (Uuid::from_u128(after), 5);
            store.verifications(of(partner), "IN_PROGRESS", part).await.unwrap().len()
        };
        assert_eq!((open(1, 0).await, open(2, 0).await, open(1, 1).await), (1, 0, 0));
        assert_eq!(store.automatic_verifications(5).await.unwrap(), []);
        let automatic = PartnerUpdate { kyc_mode: Some("AUTOMATIC"), ..PartnerUpdate::default() };
        let coded = |code| PartnerUpdate { issuer_code: Some(code), ..PartnerUpdate::default() };
        assert!(store.update_partner(1, &automatic).await.unwrap());
        assert!(!store.update_partner(1, &coded("other")).await.unwrap());
        assert!(!store.update_partner(3, &coded("sandbox")).await.unwrap());
        assert_eq!(store.automatic_verifications(5).await.unwrap().len(), 1);
        store.update_customer(7, &update(None, Some("IN_PROGRESS"))).await.unwrap();
        let decision = |rejected| Decision { rejected, by: "operator:1", at_ms: 9 };
        assert!(store.decide_verification(id, &decision(Some("OTHER"))).await.unwrap());
        assert!(!store.decide_verification(id, &decision(None)).await.unwrap());
        assert_eq!(store.customer_flags(7).await.unwrap().unwrap().kyc, "FAILED");
        let image = store.verification_image(id, "a").await.unwrap().unwrap();
        assert_eq!((image.media_type.as_str(), image.content_sealed), ("image/png", vec![2]));
        assert_eq!(store.drop_images(9).await.unwrap(), 0);
        assert_eq!(store.drop_images(10).await.unwrap(), 1);
        assert_eq!(store.verification_image(id, "a").await.unwrap(), None);
        store.delete_customer(7, 20).await.unwrap();
        store.delete_customer(7, 30).await.unwrap();
        assert_eq!(store.customer(of(1), 7).await.unwrap(), None);
        assert!(store.insert_customer(&customer(10, &[[1; 32]])).await.unwrap(), "free again");
        assert_eq!(store.wipe_customers(20).await.unwrap(), 0);
        assert_eq!(store.wipe_customers(21).await.unwrap(), 2, "the customer and the form");
        assert_eq!(store.sealed_profile(7).await.unwrap(), Some(Vec::new()));
    })
    .await;
}

#[tokio::test]
async fn balances_and_cards() {
    on_each_store(async |store| {
        let row = with_balance(store).await;
        store.insert_balance(&row, 2).await.unwrap();
        assert_eq!(store.balance(7, row.id).await.unwrap(), None, "pending");
        store.settle_balance(row.id, RowState::Confirmed).await.unwrap();
        assert_eq!(store.balance(7, row.id).await.unwrap(), Some(row.clone()));
        assert_eq!(store.balance(8, row.id).await.unwrap(), None);
        assert_eq!(store.balance_in(of(1), row.id).await.unwrap(), Some(row.clone()));
        assert_eq!(store.balance_in(of(2), row.id).await.unwrap(), None);
        assert_eq!(store.balances(7, Uuid::nil(), 5).await.unwrap(), core::slice::from_ref(&row));
        assert_eq!(store.balances(7, row.id, 5).await.unwrap(), []);

        let program = program();
        store.put_program(&program).await.unwrap();
        store.put_program(&program).await.unwrap();
        assert_eq!(store.program(1, "0019167984").await.unwrap(), Some(program));
        assert_eq!(store.program(2, "0019167984").await.unwrap(), None);
        let of_card = store.program_of_card("0019167984").await.unwrap().unwrap();
        assert_eq!(of_card.kind().unwrap(), CardKind::Virtual);
        assert_eq!(store.program_of_card("0").await.unwrap(), None);
        assert_eq!(store.programs(None).await.unwrap(), core::slice::from_ref(&of_card));
        assert_eq!(store.programs(Some(2)).await.unwrap(), []);
        for content in [[1], [2]] {
            store.put_art("0019167984", "mdes-icon", &content, 1).await.unwrap();
        }
        assert_eq!(store.art("0019167984", "mdes-icon").await.unwrap(), Some(vec![2]));
        assert_eq!(store.art("0019167984", "mdes-logo").await.unwrap(), None);
        let told = of_card.shared().unwrap();
        assert_eq!((told.collateral, told.policy.partial_approval), (Collateral::Deposit, true));

        assert!(store.reserve_pan(&[4; 16], 1).await.unwrap());
        assert!(!store.reserve_pan(&[4; 16], 1).await.unwrap());
        let card = card(row.id);
        store.insert_card(&card).await.unwrap();
        store.insert_card(&card).await.unwrap();
        assert_eq!(store.card(holder(7), Some(11), None).await.unwrap(), None, "pending");
        let told = [(11, RowState::Confirmed), (12, RowState::Refused)];
        let settled = Settled { cards: told.into(), movements: Vec::new() };
        store.advance_event_cursor(1, &settled).await.unwrap();
        store.settle_card(11, RowState::Refused).await.unwrap();
        let by_id = store.card(holder(7), Some(11), None).await.unwrap().unwrap();
        let by_resource = store.card(holder(7), None, Some(Uuid::from_u128(12))).await.unwrap();
        assert_eq!(by_resource, Some(by_id.clone()));
        assert_eq!(store.card(holder(8), Some(11), None).await.unwrap(), None);
        assert_eq!(store.card(holder(7), None, None).await.unwrap(), None);
        assert_eq!(store.card(of(1), Some(11), None).await.unwrap(), Some(by_id.clone()));
        assert_eq!(store.card(of(2), Some(11), None).await.unwrap(), None);
        assert_eq!(store.cards(7, 0, 5).await.unwrap(), core::slice::from_ref(&by_id));
        assert_eq!(store.cards(7, 11, 5).await.unwrap(), []);
        assert_eq!(store.cards(8, 0, 5).await.unwrap(), []);
        assert_eq!(store.cards_of_balance(row.id).await.unwrap(), [by_id]);
        assert_eq!(store.sealed_number(11).await.unwrap(), Some(vec![1]));
        assert_eq!(store.sealed_profile(7).await.unwrap(), Some(vec![1]));

        let lock = Uuid::now_v7();
        store.insert_lock_request(lock, 11, Some((7, Some(&[1]))), 1).await.unwrap();
        store.insert_lock_request(lock, 11, Some((7, None)), 1).await.unwrap();
        store.insert_lock_request(Uuid::now_v7(), 11, None, 1).await.unwrap();
        store.settle_lock_request(lock, RowState::Refused).await.unwrap();
        store.close_balance(row.id).await.unwrap();
        assert_eq!(store.balance(7, row.id).await.unwrap(), None, "closed");
    })
    .await;
}

#[tokio::test]
async fn bank_accounts() {
    on_each_store(async |store| {
        let row = with_balance(store).await;
        assert!(store.insert_bank_account("PL1", row.id, 1).await.unwrap());
        assert!(store.insert_bank_account("PL1", row.id, 1).await.unwrap(), "the same again");
        assert!(!store.insert_bank_account("PL2", row.id, 1).await.unwrap());
        assert!(!store.close_bank_account(2, "PL1").await.unwrap());
        assert_eq!(store.bank_account(2, "PL1").await.unwrap(), None);
        assert!(store.close_bank_account(1, "PL1").await.unwrap());
        assert_eq!(store.bank_account(1, "PL1").await.unwrap().unwrap().state, "CLOSED");
        assert!(store.insert_bank_account("PL2", row.id, 2).await.unwrap());
        let accounts = store.bank_accounts(1, row.id).await.unwrap();
        let states: Vec<_> = accounts.iter().map(|row| row.state.as_str()).collect();
        assert_eq!(states, ["CLOSED", "ACTIVE"]);
        assert_eq!(store.bank_accounts(2, row.id).await.unwrap(), []);
    })
    .await;
}

#[tokio::test]
async fn partner_balances_and_fundings() {
    on_each_store(async |store| {
        let wish = |id| PartnerBalanceRow {
            id: Uuid::from_u128(id),
            partner_id: 1,
            kind: "DEPOSIT".to_owned(),
            currency: 978,
            row_state: "PENDING".to_owned(),
        };
        assert_eq!(store.insert_partner_balance(&wish(1), 1).await.unwrap(), wish(1));
        assert_eq!(store.insert_partner_balance(&wish(1), 1).await.unwrap(), wish(1));
        assert_eq!(store.insert_partner_balance(&wish(2), 1).await.unwrap(), wish(1));
        assert_eq!(store.partner_balance(Uuid::from_u128(1)).await.unwrap(), None);
        store.settle_partner_balance(Uuid::from_u128(1), RowState::Refused).await.unwrap();
        assert_eq!(store.insert_partner_balance(&wish(3), 1).await.unwrap(), wish(3));
        store.settle_partner_balance(Uuid::from_u128(3), RowState::Confirmed).await.unwrap();
        let row = store.partner_balance(Uuid::from_u128(3)).await.unwrap().unwrap();
        assert_eq!(row.row_state, "CONFIRMED");
        assert_eq!(store.partner_balances(1).await.unwrap(), core::slice::from_ref(&row));
        assert_eq!(store.partner_balances(2).await.unwrap(), []);

        let balance = with_balance(store).await;
        assert!(store.insert_bank_account("PL1", balance.id, 1).await.unwrap());
        for movement in [
            Movement::TopUp(balance.id),
            Movement::Reload(row.id),
            Movement::Withdrawal(balance.id),
            Movement::Transfer(balance.id, balance.id),
            Movement::CreditTransfer(balance.id, "PL1".to_owned()),
        ] {
            let new = NewMovement {
                id: Uuid::now_v7(),
                movement,
                amount: 5,
                currency: 978,
                external_id: Some("x".to_owned()),
                description_sealed: Some(vec![1]),
                created_at_ms: 1,
            };
            store.insert_movement(&new).await.unwrap();
            store.insert_movement(&new).await.unwrap();
            let settled =
                Settled { movements: vec![(new.id, RowState::Confirmed, 9)], cards: Vec::new() };
            store.advance_event_cursor(1, &settled).await.unwrap();
        }
    })
    .await;
}

#[tokio::test]
async fn idempotency_keys_and_the_cursor() {
    on_each_store(async |store| {
        let new = NewKey {
            scope: &[1; 32],
            caller: "partner:1",
            fingerprint: &[2; 32],
            plan_sealed: &[3],
            created_at_ms: 10,
        };
        assert_eq!(store.idempotency_key(&[1; 32]).await.unwrap(), None);
        assert!(store.insert_idempotency_key(&new).await.unwrap());
        assert!(!store.insert_idempotency_key(&new).await.unwrap());
        assert!(store.store_answer(&[1; 32], &[4]).await.unwrap());
        assert!(!store.store_answer(&[1; 32], &[5]).await.unwrap());
        let row = store.idempotency_key(&[1; 32]).await.unwrap().unwrap();
        assert_eq!((row.plan_sealed, row.answer_sealed), (vec![3], Some(vec![4])));
        assert_eq!(store.count_idempotency_keys("partner:1").await.unwrap(), 1);
        assert_eq!(store.drop_idempotency_keys(10).await.unwrap(), 0);
        assert_eq!(store.drop_idempotency_keys(11).await.unwrap(), 1);
        assert_eq!(store.count_idempotency_keys("partner:1").await.unwrap(), 0);

        assert_eq!(store.event_cursor().await.unwrap(), 0);
        store.advance_event_cursor(5, &Settled::default()).await.unwrap();
        store.advance_event_cursor(3, &Settled::default()).await.unwrap();
        assert_eq!(store.event_cursor().await.unwrap(), 5);
    })
    .await;
}

#[tokio::test]
async fn devices_and_sessions() {
    on_each_store(async |store| {
        store.put_partner(1, None).await.unwrap();
        store.insert_customer(&customer(7, &[])).await.unwrap();
        store.settle_customer(7, RowState::Confirmed).await.unwrap();
        store.put_pairing_code(7, &[1; 32], 50).await.unwrap();
        store.put_pairing_code(7, &[2; 32], 50).await.unwrap();
        assert_eq!(store.try_pairing_code(7, 2, 50).await.unwrap(), None, "too late");
        assert_eq!(store.try_pairing_code(8, 2, 1).await.unwrap(), None);
        for _try in 0..2 {
            assert_eq!(store.try_pairing_code(7, 2, 1).await.unwrap(), Some(vec![2; 32]));
        }
        assert_eq!(store.try_pairing_code(7, 2, 1).await.unwrap(), None, "tried too often");

        let device = |id, hash| NewInstallation {
            id: Uuid::from_u128(id),
            customer: 7,
            device_hash: [hash; 32],
            credential_hash: [3; 32],
            response_key_sha256: None,
            created_at_ms: 1,
        };
        assert!(!store.pair(&[1; 32], &device(1, 1)).await.unwrap(), "not the code");
        assert!(store.pair(&[2; 32], &device(1, 1)).await.unwrap());
        assert!(!store.pair(&[2; 32], &device(2, 1)).await.unwrap(), "taken");
        let session = |hash, installation: Option<u128>, operator| NewSession {
            token_hash: [hash; 32],
            installation: installation.map(Uuid::from_u128),
            operator,
            response_key_sha256: None,
            created_at_ms: 10,
        };
        store.insert_session(&session(1, Some(1), None)).await.unwrap();
        store.touch_session(&[1; 32], 20).await.unwrap();
        store.touch_session(&[1; 32], 15).await.unwrap();
        store.step_up_session(&[1; 32], 30).await.unwrap();
        store.register_session_key(&[1; 32], &[5; 32]).await.unwrap();
        store.register_session_key(&[1; 32], &[6; 32]).await.unwrap();
        let row = store.session(&[1; 32]).await.unwrap().unwrap();
        assert_eq!((row.customer_id, row.operator_id, row.used_at_ms), (Some(7), None, 20));
        assert_eq!((row.stepped_up_until_ms, row.response_key_sha256), (30, Some(vec![5; 32])));

        store.put_pairing_code(7, &[2; 32], 50).await.unwrap();
        assert!(store.pair(&[2; 32], &device(2, 1)).await.unwrap(), "the same device again");
        assert_eq!(store.installation(Uuid::from_u128(1)).await.unwrap(), None);
        assert_eq!(store.session(&[1; 32]).await.unwrap(), None, "ended with its installation");
        assert_eq!(store.installation(Uuid::from_u128(2)).await.unwrap().unwrap().customer_id, 7);
        store.insert_session(&session(2, Some(2), None)).await.unwrap();
        store.insert_session(&session(3, Some(2), None)).await.unwrap();
        store.end_session(&[2; 32]).await.unwrap();
        assert_eq!(store.session(&[2; 32]).await.unwrap(), None);
        assert_eq!(store.drop_sessions(10, 10).await.unwrap(), 0);
        assert_eq!(store.drop_sessions(11, 11).await.unwrap(), 1);

        for _try in 0..2 {
            assert!(store.try_wallet_pin(7, 2).await.unwrap());
        }
        assert!(!store.try_wallet_pin(7, 2).await.unwrap());
        store.clear_wrong_wallet_pins(7).await.unwrap();
        assert!(store.try_wallet_pin(7, 2).await.unwrap());
        let pin = CustomerUpdate { wpin_hash: Some("hash"), ..update(None, None) };
        store.update_customer(7, &pin).await.unwrap();
        let row = store.wallet_pin(7).await.unwrap().unwrap();
        assert_eq!((row.wpin_hash.as_deref(), row.wpin_failures), (Some("hash"), 0));
    })
    .await;
}

#[tokio::test]
async fn operators() {
    on_each_store(async |store| {
        let put = async |name, roles| {
            let new =
                NewOperator { name, password_hash: "hash", roles, partner: None, created_at_ms: 1 };
            store.put_operator(&new).await.unwrap();
        };
        put("ann", "ADMIN").await;
        let ann = store.operator("ann").await.unwrap().unwrap();
        let session = NewSession {
            token_hash: [1; 32],
            installation: None,
            operator: Some(ann.id),
            response_key_sha256: Some(vec![9; 32]),
            created_at_ms: 1,
        };
        store.insert_session(&session).await.unwrap();
        let row = store.session(&[1; 32]).await.unwrap().unwrap();
        assert_eq!((row.operator_id, row.roles.as_deref()), (Some(ann.id), Some("ADMIN")));
        store.count_wrong_password(ann.id, 2, 99).await.unwrap();
        assert_eq!(store.operator("ann").await.unwrap().unwrap().blocked_until_ms, 0);
        store.count_wrong_password(ann.id, 2, 99).await.unwrap();
        assert_eq!(store.operator("ann").await.unwrap().unwrap().blocked_until_ms, 99);
        store.clear_wrong_passwords(ann.id).await.unwrap();
        assert_eq!(store.operator("ann").await.unwrap().unwrap().blocked_until_ms, 0);
        put("ann", "EMPLOYEE").await;
        assert_eq!(store.operator("ann").await.unwrap().unwrap().id, ann.id);
        assert_eq!(store.session(&[1; 32]).await.unwrap(), None, "another password ends it");
        assert!(store.disable_operator("ann").await.unwrap());
        assert!(!store.disable_operator("bob").await.unwrap());
        assert_eq!(store.operator("ann").await.unwrap(), None);
    })
    .await;
}

#[tokio::test]
async fn orders_and_operations() {
    on_each_store(async |store| {
        let balance = with_balance(store).await;
        store.settle_balance(balance.id, RowState::Confirmed).await.unwrap();
        store.put_program(&program()).await.unwrap();
        store.reserve_pan(&[4; 16], 1).await.unwrap();
        store.insert_card(&card(balance.id)).await.unwrap();
        let order = |id, created_at_ms| NewOrder {
            id: Uuid::from_u128(id),
            card: 11,
            kind: "PHYSICAL",
            delivery_sealed: vec![1],
            created_at_ms,
        };
        for (id, at) in [(3, 3), (1, 1), (2, 2), (1, 1)] {
            store.insert_order(&order(id, at)).await.unwrap();
        }
        let one = Uuid::from_u128(1);
        assert_eq!(store.order(of(1), one).await.unwrap().unwrap().state, "ORDERED");
        assert_eq!(store.order(of(2), one).await.unwrap(), None);
        assert_eq!(store.order(holder(8), one).await.unwrap(), None);
        let batch = async |id, limit| {
            let rows = store.orders_of_batch(Uuid::from_u128(id), limit, 9).await.unwrap();
            rows.iter().map(|row| row.id.as_u128()).collect::<Vec<_>>()
        };
        assert_eq!(batch(70, 2).await, [1, 2]);
        assert_eq!(batch(70, 2).await, [1, 2], "the same batch again");
        assert_eq!(batch(71, 2).await, [3]);
        assert_eq!(batch(72, 2).await, [0_u128; 0]);
        let news = |state, tracking_no: Option<&str>| OrderNews {
            id: one,
            state,
            tracking_no: tracking_no.map(str::to_owned),
            reference: None,
        };
        store.advance_order(&news("SHIPPED", Some("T")), 20).await.unwrap();
        store.advance_order(&news("SHIPPED", Some("U")), 21).await.unwrap();
        store.advance_order(&news("DELIVERED", None), 22).await.unwrap();
        let row = store.order(of(1), one).await.unwrap().unwrap();
        assert_eq!((row.state.as_str(), row.tracking_no.as_deref()), ("DELIVERED", Some("T")));
        assert_eq!(row.changed_at_ms, 22);

        for (id, at) in [(5, 5), (4, 4), (4, 4)] {
            store.insert_operation(Uuid::from_u128(id), 7, &[1], at).await.unwrap();
        }
        let pending = store.pending_operations(9).await.unwrap();
        assert_eq!(pending.iter().map(|row| row.id.as_u128()).collect::<Vec<_>>(), [4, 5]);
        store.end_operation(Uuid::from_u128(4), Ok(11), &[]).await.unwrap();
        store.end_operation(Uuid::from_u128(4), Err("LATE"), &[]).await.unwrap();
        store.end_operation(Uuid::from_u128(5), Err("FULL"), &[]).await.unwrap();
        assert_eq!(store.pending_operations(9).await.unwrap(), []);
        let done = store.operation(7, Uuid::from_u128(4)).await.unwrap().unwrap();
        assert_eq!((done.state.as_str(), done.card_id, done.plan_sealed), ("DONE", Some(11), None));
        let failed = store.operation(7, Uuid::from_u128(5)).await.unwrap().unwrap();
        assert_eq!((failed.state.as_str(), failed.error.as_deref()), ("FAILED", Some("FULL")));
        assert_eq!(store.operation(8, Uuid::from_u128(4)).await.unwrap(), None);
    })
    .await;
}

#[tokio::test]
async fn the_audit_log() {
    on_each_store(async |store| {
        let row = |sequence| AuditRow {
            sequence,
            at_ms: 1,
            caller: "partner:1".to_owned(),
            route: "POST /x".to_owned(),
            target: "/x".to_owned(),
            request_id: "r".to_owned(),
            reason: None,
            status: Some(204),
            chain_hash: vec![1],
        };
        assert_eq!(store.last_audit().await.unwrap(), None);
        assert!(store.append_audit(&[row(1), row(2)]).await.unwrap());
        assert!(!store.append_audit(&[row(3), row(2)]).await.unwrap(), "undone whole");
        assert_eq!(store.last_audit().await.unwrap(), Some(row(2)));
        assert_eq!(store.audit(0, 1).await.unwrap(), [row(1)]);
        assert_eq!(store.audit(1, 9).await.unwrap(), [row(2)]);
    })
    .await;
}

#[tokio::test]
async fn imports() {
    on_each_store(async |store| {
        let id = Uuid::from_u128(9);
        let new = |row_no, error| NewImportRow { row_no, content_sealed: Some(vec![1]), error };
        let rows = [new(1, None), new(2, Some(("INVALID_REQUEST", "row"))), new(3, None)];
        store.insert_import((id, 1), &rows, 1).await.unwrap();
        store.insert_import((id, 1), &rows, 2).await.unwrap();
        let waiting: Vec<_> =
            store.pending_rows(9).await.unwrap().iter().map(|row| row.row_no).collect();
        assert_eq!(waiting, [1, 3]);
        let done = ImportedRow {
            row_no: 1,
            state: "DONE".to_owned(),
            customer: Some("7".to_owned()),
            ..ImportedRow::default()
        };
        store.end_row(id, &done).await.unwrap();
        let late = ImportedRow { state: "FAILED".to_owned(), ..done.clone() };
        store.end_row(id, &late).await.unwrap();
        let import = store.import(1, id).await.unwrap().unwrap();
        assert_eq!((import.row_count, import.pending, import.failed), (3, 1, 1));
        assert_eq!(store.import(2, id).await.unwrap(), None);
        assert_eq!(store.import_rows(id, 0, 1).await.unwrap(), [done]);
        assert_eq!(store.import_rows(id, 1, 9).await.unwrap().len(), 2);
    })
    .await;
}

-- Everything that the management API keeps beside the switch's journal. Forward only.
CREATE TABLE partners (
    id INTEGER PRIMARY KEY,
    issuer_code TEXT UNIQUE
) STRICT;
CREATE TABLE client_certificates (
    spki_sha256 BLOB PRIMARY KEY,
    partner_id INTEGER NOT NULL REFERENCES partners (id),
    state TEXT NOT NULL CHECK (state IN ('ACTIVE', 'REVOKED')),
    response_key_sha256 BLOB,
    created_at_ms INTEGER NOT NULL
) STRICT;
CREATE TABLE programs (
    config_id TEXT PRIMARY KEY,
    partner_id INTEGER NOT NULL REFERENCES partners (id),
    currency INTEGER NOT NULL,
    bin TEXT NOT NULL,
    first_state TEXT NOT NULL CHECK (first_state IN ('INACTIVE', 'ACTIVE')),
    months_valid INTEGER NOT NULL
) STRICT;
CREATE TABLE sequences (
    name TEXT PRIMARY KEY,
    next_value INTEGER NOT NULL
) STRICT;
INSERT INTO sequences (name, next_value) VALUES ('customer', 100001), ('card', 357001);
CREATE TABLE customers (
    id INTEGER PRIMARY KEY,
    partner_id INTEGER NOT NULL REFERENCES partners (id),
    lifecycle_state TEXT NOT NULL CHECK (lifecycle_state IN ('NEW', 'VERIFIED')),
    kyc TEXT NOT NULL CHECK (kyc IN ('NONE', 'IN_PROGRESS', 'SUCCESS', 'FAILED')),
    profile_sealed BLOB NOT NULL,
    wpin_hash TEXT,
    row_state TEXT NOT NULL CHECK (row_state IN ('PENDING', 'CONFIRMED', 'REFUSED')),
    created_at_ms INTEGER NOT NULL
) STRICT;
CREATE TABLE contact_claims (
    token BLOB PRIMARY KEY,
    customer_id INTEGER NOT NULL REFERENCES customers (id)
) STRICT;
CREATE TABLE verifications (
    id BLOB PRIMARY KEY,
    customer_id INTEGER NOT NULL REFERENCES customers (id),
    status TEXT NOT NULL CHECK (status IN ('IN_PROGRESS', 'ACCEPTED', 'REJECTED')),
    form_sealed BLOB NOT NULL,
    created_at_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX verifications_by_customer ON verifications (customer_id);
CREATE TABLE verification_images (
    verification_id BLOB NOT NULL REFERENCES verifications (id),
    kind TEXT NOT NULL,
    media_type TEXT NOT NULL,
    content_sealed BLOB NOT NULL,
    PRIMARY KEY (verification_id, kind)
) STRICT;
CREATE TABLE balances (
    id BLOB PRIMARY KEY,
    customer_id INTEGER NOT NULL REFERENCES customers (id),
    currency INTEGER NOT NULL,
    row_state TEXT NOT NULL CHECK (row_state IN ('PENDING', 'CONFIRMED', 'REFUSED', 'CLOSED')),
    created_at_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX balances_by_customer ON balances (customer_id, id);
CREATE TABLE pan_tokens (
    token BLOB PRIMARY KEY,
    reserved_at_ms INTEGER NOT NULL
) STRICT;
CREATE TABLE cards (
    id INTEGER PRIMARY KEY,
    resource_id BLOB NOT NULL UNIQUE,
    balance_id BLOB NOT NULL REFERENCES balances (id),
    config_id TEXT NOT NULL REFERENCES programs (config_id),
    pan_token BLOB NOT NULL UNIQUE REFERENCES pan_tokens (token),
    pan_sealed BLOB NOT NULL,
    last_four TEXT NOT NULL,
    expiry_yymm INTEGER NOT NULL,
    row_state TEXT NOT NULL CHECK (row_state IN ('PENDING', 'CONFIRMED', 'REFUSED')),
    created_at_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX cards_by_balance ON cards (balance_id);
-- A card never moves to another balance (requirements #27).
CREATE TRIGGER cards_keep_their_balance BEFORE UPDATE OF balance_id ON cards
BEGIN
    SELECT RAISE(ABORT, 'a card never moves to another balance');
END;
CREATE TABLE partner_balances (
    id BLOB PRIMARY KEY,
    partner_id INTEGER NOT NULL REFERENCES partners (id),
    kind TEXT NOT NULL CHECK (kind IN ('DEPOSIT', 'CREDIT', 'TECHNICAL')),
    currency INTEGER NOT NULL,
    row_state TEXT NOT NULL CHECK (row_state IN ('PENDING', 'CONFIRMED', 'REFUSED')),
    created_at_ms INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX partner_balances_one_a_kind
    ON partner_balances (partner_id, kind, currency) WHERE row_state <> 'REFUSED';
CREATE TABLE fundings (
    id BLOB PRIMARY KEY,
    balance_id BLOB REFERENCES balances (id),
    partner_balance_id BLOB REFERENCES partner_balances (id),
    amount INTEGER NOT NULL,
    currency INTEGER NOT NULL,
    external_id TEXT,
    description_sealed BLOB,
    row_state TEXT NOT NULL CHECK (row_state IN ('PENDING', 'CONFIRMED', 'REFUSED')),
    booked_at_ms INTEGER,
    created_at_ms INTEGER NOT NULL,
    CHECK ((balance_id IS NULL) <> (partner_balance_id IS NULL))
) STRICT;
CREATE TABLE lock_requests (
    id BLOB PRIMARY KEY,
    card_id INTEGER NOT NULL REFERENCES cards (id),
    reason INTEGER,
    comment_sealed BLOB,
    row_state TEXT NOT NULL CHECK (row_state IN ('PENDING', 'CONFIRMED', 'REFUSED')),
    created_at_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX lock_requests_by_card ON lock_requests (card_id);
CREATE TABLE idempotency_keys (
    scope BLOB PRIMARY KEY,
    caller TEXT NOT NULL,
    fingerprint BLOB NOT NULL,
    plan_sealed BLOB NOT NULL,
    answer_sealed BLOB,
    created_at_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX idempotency_keys_by_age ON idempotency_keys (created_at_ms);
CREATE INDEX idempotency_keys_by_caller ON idempotency_keys (caller);
CREATE TABLE event_cursor (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    sequence INTEGER NOT NULL
) STRICT;
INSERT INTO event_cursor (id, sequence) VALUES (1, 0);

-- Everything that the management API keeps beside the switch's journal. Forward only.
CREATE TABLE partners (
    id BIGINT PRIMARY KEY,
    issuer_code TEXT UNIQUE
);
CREATE TABLE client_certificates (
    spki_sha256 BYTEA PRIMARY KEY,
    partner_id BIGINT NOT NULL REFERENCES partners (id),
    state TEXT NOT NULL CHECK (state IN ('ACTIVE', 'REVOKED')),
    response_key_sha256 BYTEA,
    created_at_ms BIGINT NOT NULL
);
CREATE TABLE programs (
    config_id TEXT PRIMARY KEY,
    partner_id BIGINT NOT NULL REFERENCES partners (id),
    currency BIGINT NOT NULL,
    bin TEXT NOT NULL,
    first_state TEXT NOT NULL CHECK (first_state IN ('INACTIVE', 'ACTIVE')),
    months_valid BIGINT NOT NULL
);
CREATE TABLE sequences (
    name TEXT PRIMARY KEY,
    next_value BIGINT NOT NULL
);
INSERT INTO sequences (name, next_value) VALUES ('customer', 100001), ('card', 357001);
CREATE TABLE customers (
    id BIGINT PRIMARY KEY,
    partner_id BIGINT NOT NULL REFERENCES partners (id),
    lifecycle_state TEXT NOT NULL CHECK (lifecycle_state IN ('NEW', 'VERIFIED')),
    kyc TEXT NOT NULL CHECK (kyc IN ('NONE', 'IN_PROGRESS', 'SUCCESS', 'FAILED')),
    profile_sealed BYTEA NOT NULL,
    wpin_hash TEXT,
    row_state TEXT NOT NULL CHECK (row_state IN ('PENDING', 'CONFIRMED', 'REFUSED')),
    created_at_ms BIGINT NOT NULL
);
CREATE TABLE contact_claims (
    token BYTEA PRIMARY KEY,
    customer_id BIGINT NOT NULL REFERENCES customers (id)
);
CREATE TABLE verifications (
    id UUID PRIMARY KEY,
    customer_id BIGINT NOT NULL REFERENCES customers (id),
    status TEXT NOT NULL CHECK (status IN ('IN_PROGRESS', 'ACCEPTED', 'REJECTED')),
    form_sealed BYTEA NOT NULL,
    created_at_ms BIGINT NOT NULL
);
CREATE INDEX verifications_by_customer ON verifications (customer_id);
CREATE TABLE verification_images (
    verification_id UUID NOT NULL REFERENCES verifications (id),
    kind TEXT NOT NULL,
    media_type TEXT NOT NULL,
    content_sealed BYTEA NOT NULL,
    PRIMARY KEY (verification_id, kind)
);
CREATE TABLE balances (
    id UUID PRIMARY KEY,
    customer_id BIGINT NOT NULL REFERENCES customers (id),
    currency BIGINT NOT NULL,
    row_state TEXT NOT NULL CHECK (row_state IN ('PENDING', 'CONFIRMED', 'REFUSED', 'CLOSED')),
    created_at_ms BIGINT NOT NULL
);
CREATE INDEX balances_by_customer ON balances (customer_id, id);
CREATE TABLE pan_tokens (
    token BYTEA PRIMARY KEY,
    reserved_at_ms BIGINT NOT NULL
);
CREATE TABLE cards (
    id BIGINT PRIMARY KEY,
    resource_id UUID NOT NULL UNIQUE,
    balance_id UUID NOT NULL REFERENCES balances (id),
    config_id TEXT NOT NULL REFERENCES programs (config_id),
    pan_token BYTEA NOT NULL UNIQUE REFERENCES pan_tokens (token),
    pan_sealed BYTEA NOT NULL,
    last_four TEXT NOT NULL,
    expiry_yymm BIGINT NOT NULL,
    row_state TEXT NOT NULL CHECK (row_state IN ('PENDING', 'CONFIRMED', 'REFUSED')),
    created_at_ms BIGINT NOT NULL
);
CREATE INDEX cards_by_balance ON cards (balance_id);
-- A card never moves to another balance (requirements #27).
CREATE FUNCTION refuse_card_move() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a card never moves to another balance';
END $$;
CREATE TRIGGER cards_keep_their_balance BEFORE UPDATE OF balance_id ON cards
    FOR EACH ROW EXECUTE FUNCTION refuse_card_move();
CREATE TABLE partner_balances (
    id UUID PRIMARY KEY,
    partner_id BIGINT NOT NULL REFERENCES partners (id),
    kind TEXT NOT NULL CHECK (kind IN ('DEPOSIT', 'CREDIT', 'TECHNICAL')),
    currency BIGINT NOT NULL,
    row_state TEXT NOT NULL CHECK (row_state IN ('PENDING', 'CONFIRMED', 'REFUSED')),
    created_at_ms BIGINT NOT NULL
);
CREATE UNIQUE INDEX partner_balances_one_a_kind
    ON partner_balances (partner_id, kind, currency) WHERE row_state <> 'REFUSED';
CREATE TABLE fundings (
    id UUID PRIMARY KEY,
    balance_id UUID REFERENCES balances (id),
    partner_balance_id UUID REFERENCES partner_balances (id),
    amount BIGINT NOT NULL,
    currency BIGINT NOT NULL,
    external_id TEXT,
    description_sealed BYTEA,
    row_state TEXT NOT NULL CHECK (row_state IN ('PENDING', 'CONFIRMED', 'REFUSED')),
    booked_at_ms BIGINT,
    created_at_ms BIGINT NOT NULL,
    CHECK ((balance_id IS NULL) <> (partner_balance_id IS NULL))
);
CREATE TABLE lock_requests (
    id UUID PRIMARY KEY,
    card_id BIGINT NOT NULL REFERENCES cards (id),
    reason BIGINT,
    comment_sealed BYTEA,
    row_state TEXT NOT NULL CHECK (row_state IN ('PENDING', 'CONFIRMED', 'REFUSED')),
    created_at_ms BIGINT NOT NULL
);
CREATE INDEX lock_requests_by_card ON lock_requests (card_id);
CREATE TABLE idempotency_keys (
    scope BYTEA PRIMARY KEY,
    caller TEXT NOT NULL,
    fingerprint BYTEA NOT NULL,
    plan_sealed BYTEA NOT NULL,
    answer_sealed BYTEA,
    created_at_ms BIGINT NOT NULL
);
CREATE INDEX idempotency_keys_by_age ON idempotency_keys (created_at_ms);
CREATE INDEX idempotency_keys_by_caller ON idempotency_keys (caller);
CREATE TABLE event_cursor (
    id BIGINT PRIMARY KEY CHECK (id = 1),
    sequence BIGINT NOT NULL
);
INSERT INTO event_cursor (id, sequence) VALUES (1, 0);

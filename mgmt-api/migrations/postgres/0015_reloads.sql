-- Reloads of partner balances that a second operator books or refuses. Source: requirements #87.
CREATE TABLE reload_requests (
    id UUID PRIMARY KEY,
    partner_balance_id UUID NOT NULL REFERENCES partner_balances (id),
    amount BIGINT NOT NULL,
    currency BIGINT NOT NULL,
    external_id TEXT,
    description_sealed BYTEA,
    state TEXT NOT NULL CHECK (state IN ('PENDING', 'CONFIRMED', 'REFUSED')),
    requested_by TEXT NOT NULL,
    decided_by TEXT,
    created_at_ms BIGINT NOT NULL,
    decided_at_ms BIGINT
);
CREATE INDEX reload_requests_pending ON reload_requests (id) WHERE state = 'PENDING';

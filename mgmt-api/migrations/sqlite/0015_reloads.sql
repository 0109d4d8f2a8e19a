-- Reloads of partner balances that a second operator books or refuses. Source: requirements #87.
CREATE TABLE reload_requests (
    id BLOB PRIMARY KEY,
    partner_balance_id BLOB NOT NULL REFERENCES partner_balances (id),
    amount INTEGER NOT NULL,
    currency INTEGER NOT NULL,
    external_id TEXT,
    description_sealed BLOB,
    state TEXT NOT NULL CHECK (state IN ('PENDING', 'CONFIRMED', 'REFUSED')),
    requested_by TEXT NOT NULL,
    decided_by TEXT,
    created_at_ms INTEGER NOT NULL,
    decided_at_ms INTEGER
) STRICT;
CREATE INDEX reload_requests_pending ON reload_requests (id) WHERE state = 'PENDING';

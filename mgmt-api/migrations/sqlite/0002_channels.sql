-- The channels of cardholders and operators: devices, sessions, operators.
CREATE TABLE operators (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    password_hash TEXT NOT NULL,
    roles TEXT NOT NULL,
    partner_id INTEGER REFERENCES partners (id),
    state TEXT NOT NULL CHECK (state IN ('ACTIVE', 'DISABLED')),
    failures INTEGER NOT NULL,
    blocked_until_ms INTEGER NOT NULL,
    created_at_ms INTEGER NOT NULL
) STRICT;
INSERT INTO sequences (name, next_value) VALUES ('operator', 1);
CREATE TABLE pairing_codes (
    customer_id INTEGER PRIMARY KEY REFERENCES customers (id),
    code_hash BLOB NOT NULL,
    attempts INTEGER NOT NULL,
    expires_at_ms INTEGER NOT NULL
) STRICT;
CREATE TABLE installations (
    id BLOB PRIMARY KEY,
    customer_id INTEGER NOT NULL REFERENCES customers (id),
    device_hash BLOB NOT NULL,
    credential_hash BLOB NOT NULL,
    response_key_sha256 BLOB,
    state TEXT NOT NULL CHECK (state IN ('ACTIVE', 'ENDED')),
    created_at_ms INTEGER NOT NULL
) STRICT;
-- One active installation on a device for a customer (requirements #38).
CREATE UNIQUE INDEX installations_one_a_device
    ON installations (customer_id, device_hash) WHERE state = 'ACTIVE';
CREATE TABLE sessions (
    token_hash BLOB PRIMARY KEY,
    installation_id BLOB REFERENCES installations (id),
    operator_id INTEGER REFERENCES operators (id),
    response_key_sha256 BLOB,
    stepped_up_until_ms INTEGER NOT NULL,
    created_at_ms INTEGER NOT NULL,
    used_at_ms INTEGER NOT NULL,
    CHECK ((installation_id IS NULL) <> (operator_id IS NULL))
) STRICT;
CREATE INDEX sessions_by_use ON sessions (used_at_ms);
ALTER TABLE customers ADD COLUMN wpin_failures INTEGER NOT NULL DEFAULT 0;
-- Certificates of the configuration are replaced by it at each start; issued ones live here.
ALTER TABLE client_certificates ADD COLUMN source TEXT NOT NULL DEFAULT 'CONFIGURED'
    CHECK (source IN ('CONFIGURED', 'ISSUED'));
ALTER TABLE client_certificates ADD COLUMN name TEXT NOT NULL DEFAULT '';
ALTER TABLE client_certificates ADD COLUMN email TEXT;
ALTER TABLE client_certificates ADD COLUMN serial TEXT NOT NULL DEFAULT '';
ALTER TABLE client_certificates ADD COLUMN not_after_ms INTEGER NOT NULL DEFAULT 0;
ALTER TABLE client_certificates ADD COLUMN networks TEXT NOT NULL DEFAULT '';
ALTER TABLE customers ADD COLUMN locked INTEGER NOT NULL DEFAULT 0;
ALTER TABLE programs ADD COLUMN card_kind TEXT NOT NULL DEFAULT 'VIRTUAL'
    CHECK (card_kind IN ('VIRTUAL', 'PHYSICAL', 'DIGITAL_FIRST'));

-- Certificates of networks and acquirers that are kept out, whatever the configuration says. Source:
-- requirements #49.
CREATE TABLE revoked_processors (
    spki_sha256 BLOB PRIMARY KEY,
    revoked_at_ms INTEGER NOT NULL
) STRICT;
-- A network may name a card by a token of it. Source: requirements #102.
CREATE INDEX card_tokens_by_reference ON card_tokens (reference) WHERE state = 'ACTIVE';

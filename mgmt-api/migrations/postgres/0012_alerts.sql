-- Partners are told by e-mail when a balance of theirs runs low. Source: requirements #88.
ALTER TABLE partner_balances ADD COLUMN alert_level BIGINT;
ALTER TABLE partner_balances ADD COLUMN alert_email TEXT;
ALTER TABLE partner_balances ADD COLUMN alerted BIGINT NOT NULL DEFAULT 0;
CREATE TABLE mails (
    id BIGINT PRIMARY KEY,
    email TEXT NOT NULL,
    subject TEXT NOT NULL,
    content TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('PENDING', 'SENT', 'FAILED')),
    attempts BIGINT NOT NULL,
    next_at_ms BIGINT NOT NULL,
    created_at_ms BIGINT NOT NULL
);
CREATE INDEX mails_pending ON mails (next_at_ms) WHERE state = 'PENDING';
INSERT INTO sequences (name, next_value) VALUES ('mail', 1);

-- Partners are told by e-mail when a balance of theirs runs low. Source: requirements #88.
ALTER TABLE partner_balances ADD COLUMN alert_level INTEGER;
ALTER TABLE partner_balances ADD COLUMN alert_email TEXT;
ALTER TABLE partner_balances ADD COLUMN alerted INTEGER NOT NULL DEFAULT 0;
CREATE TABLE mails (
    id INTEGER PRIMARY KEY,
    email TEXT NOT NULL,
    subject TEXT NOT NULL,
    content TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('PENDING', 'SENT', 'FAILED')),
    attempts INTEGER NOT NULL,
    next_at_ms INTEGER NOT NULL,
    created_at_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX mails_pending ON mails (next_at_ms) WHERE state = 'PENDING';
INSERT INTO sequences (name, next_value) VALUES ('mail', 1);

-- IBANs of balances, where a program gives them.
ALTER TABLE programs ADD COLUMN iban_prefix TEXT;
CREATE TABLE bank_accounts (
    iban TEXT PRIMARY KEY,
    balance_id BLOB NOT NULL REFERENCES balances (id),
    state TEXT NOT NULL CHECK (state IN ('ACTIVE', 'CLOSED')),
    created_at_ms INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX bank_accounts_one_a_balance
    ON bank_accounts (balance_id) WHERE state = 'ACTIVE';
INSERT INTO sequences (name, next_value) VALUES ('iban', 1);

-- A contact is one customer's at its partner: no partner learns of another's customers. Source:
-- requirements #64.
ALTER TABLE contact_claims RENAME TO contact_claims_of_all;
CREATE TABLE contact_claims (
    partner_id BIGINT NOT NULL,
    token BYTEA NOT NULL,
    customer_id BIGINT NOT NULL REFERENCES customers (id),
    PRIMARY KEY (partner_id, token)
);
INSERT INTO contact_claims (partner_id, token, customer_id)
    SELECT customers.partner_id, claims.token, claims.customer_id
    FROM contact_claims_of_all AS claims JOIN customers ON customers.id = claims.customer_id;
DROP TABLE contact_claims_of_all;
CREATE INDEX contact_claims_by_customer ON contact_claims (customer_id);
-- What a partner is called, and 1 where it has the licence to keep its holders' money; 1 where a
-- program's BIN is the partner's own. Source: requirements #22, #45.
ALTER TABLE partners ADD COLUMN name TEXT NOT NULL DEFAULT '';
ALTER TABLE partners ADD COLUMN licensed BIGINT NOT NULL DEFAULT 0;
UPDATE partners SET licensed = 1
    WHERE id IN (SELECT partner_id FROM programs WHERE answer_ms IS NOT NULL);
ALTER TABLE programs ADD COLUMN own_bin BIGINT NOT NULL DEFAULT 0;
UPDATE programs SET own_bin = 1 WHERE answer_ms IS NOT NULL AND collateral = 'NONE';
-- The program that a balance was opened for: its IBAN begins as that says. Source: requirements #34.
ALTER TABLE balances ADD COLUMN opened_for TEXT;
-- Numbers of removed cards are wiped when their retention ends. Source: requirements #104.
ALTER TABLE cards ADD COLUMN removed_at_ms BIGINT;
CREATE INDEX cards_removed ON cards (removed_at_ms) WHERE removed_at_ms IS NOT NULL;
CREATE INDEX customers_deleted ON customers (deleted_at_ms) WHERE deleted_at_ms IS NOT NULL;

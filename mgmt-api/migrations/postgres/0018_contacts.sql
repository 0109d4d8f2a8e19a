-- Operators find a customer by phone or e-mail: by its keyed hash, which more than one may share.
CREATE TABLE contacts (
    token BYTEA NOT NULL,
    customer_id BIGINT NOT NULL REFERENCES customers (id),
    PRIMARY KEY (token, customer_id)
);
CREATE INDEX contacts_by_customer ON contacts (customer_id);
INSERT INTO contacts (token, customer_id) SELECT token, customer_id FROM contact_claims;
CREATE INDEX customers_by_partner ON customers (partner_id, id);

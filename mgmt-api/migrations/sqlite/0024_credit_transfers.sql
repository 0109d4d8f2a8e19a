-- The IBAN that a bank transfer came to: a top-up that has one. Source: requirements #92.
ALTER TABLE movements ADD COLUMN iban TEXT REFERENCES bank_accounts (iban);

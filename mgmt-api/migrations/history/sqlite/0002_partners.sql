-- Money that is with a partner: which balances, which messages wait for its answer, and what it was
-- told of each transaction. Source: requirements #81.
ALTER TABLE history_balances ADD COLUMN entrusted INTEGER NOT NULL DEFAULT 0;
-- What its partner was asked for, where, when and until when; 0 for nothing.
ALTER TABLE history_slots ADD COLUMN sequence INTEGER NOT NULL DEFAULT 0;
ALTER TABLE history_slots ADD COLUMN asked_at_ms INTEGER NOT NULL DEFAULT 0;
ALTER TABLE history_slots ADD COLUMN asked_until_ms INTEGER NOT NULL DEFAULT 0;
ALTER TABLE history_slots ADD COLUMN asked INTEGER NOT NULL DEFAULT 0;
-- What the partner has of a transaction by what it was told, and in how many calls.
ALTER TABLE transactions ADD COLUMN entrusted INTEGER NOT NULL DEFAULT 0;
ALTER TABLE transactions ADD COLUMN partner_amount INTEGER NOT NULL DEFAULT 0;
ALTER TABLE transactions ADD COLUMN partner_calls INTEGER NOT NULL DEFAULT 0;

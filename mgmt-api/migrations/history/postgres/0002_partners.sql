-- Money that is with a partner: which balances, which messages wait for its answer, and what it was
-- told of each transaction. Source: requirements #81.
ALTER TABLE history_balances ADD COLUMN entrusted BIGINT NOT NULL DEFAULT 0;
-- What its partner was asked for, where, when and until when; 0 for nothing.
ALTER TABLE history_slots ADD COLUMN sequence BIGINT NOT NULL DEFAULT 0;
ALTER TABLE history_slots ADD COLUMN asked_at_ms BIGINT NOT NULL DEFAULT 0;
ALTER TABLE history_slots ADD COLUMN asked_until_ms BIGINT NOT NULL DEFAULT 0;
ALTER TABLE history_slots ADD COLUMN asked BIGINT NOT NULL DEFAULT 0;
-- What the partner has of a transaction by what it was told, and in how many calls.
ALTER TABLE transactions ADD COLUMN entrusted BIGINT NOT NULL DEFAULT 0;
ALTER TABLE transactions ADD COLUMN partner_amount BIGINT NOT NULL DEFAULT 0;
ALTER TABLE transactions ADD COLUMN partner_calls BIGINT NOT NULL DEFAULT 0;

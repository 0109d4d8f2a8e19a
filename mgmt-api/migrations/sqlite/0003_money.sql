-- Money that partners move by hand, in every direction.
ALTER TABLE fundings RENAME TO movements;
ALTER TABLE movements ADD COLUMN kind TEXT NOT NULL DEFAULT 'TOP_UP'
    CHECK (kind IN ('TOP_UP', 'RELOAD', 'WITHDRAWAL', 'TRANSFER'));
UPDATE movements SET kind = 'RELOAD' WHERE partner_balance_id IS NOT NULL;
ALTER TABLE movements ADD COLUMN to_balance_id BLOB REFERENCES balances (id);

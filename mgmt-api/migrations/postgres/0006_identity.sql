-- Identity checks that are decided, users that go, programs and partners as data.
ALTER TABLE verifications ADD COLUMN reason TEXT;
ALTER TABLE verifications ADD COLUMN decided_by TEXT;
ALTER TABLE verifications ADD COLUMN decided_at_ms BIGINT;
CREATE INDEX verifications_open ON verifications (created_at_ms) WHERE status = 'IN_PROGRESS';
ALTER TABLE partners ADD COLUMN kyc_mode TEXT NOT NULL DEFAULT 'MANUAL'
    CHECK (kyc_mode IN ('MANUAL', 'AUTOMATIC', 'EXTERNAL'));
ALTER TABLE customers ADD COLUMN deleted_at_ms BIGINT;
ALTER TABLE programs ADD COLUMN auto_balance BIGINT NOT NULL DEFAULT 0;
ALTER TABLE programs ADD COLUMN collateral TEXT NOT NULL DEFAULT 'NONE'
    CHECK (collateral IN ('NONE', 'DEPOSIT', 'CREDIT', 'TECHNICAL'));
ALTER TABLE programs ADD COLUMN purchase_hold_hours BIGINT NOT NULL DEFAULT 168;
ALTER TABLE programs ADD COLUMN cash_hold_hours BIGINT NOT NULL DEFAULT 72;
ALTER TABLE programs ADD COLUMN credit_hold_hours BIGINT NOT NULL DEFAULT 720;
ALTER TABLE programs ADD COLUMN partial_approval BIGINT NOT NULL DEFAULT 0;
ALTER TABLE programs ADD COLUMN instant_credit_max BIGINT NOT NULL DEFAULT 0;
ALTER TABLE programs ADD COLUMN wrong_entries_max BIGINT NOT NULL DEFAULT 3;

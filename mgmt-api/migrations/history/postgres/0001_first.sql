-- What happened to money, made of the switch's records alone: drop it and it is made again.
-- `slot` is a place in the switch's tables; `id` of a transaction is twice the sequence of the
-- record that began it, and one more for whom a transfer goes to. Source: requirements #83.
CREATE TABLE history_cursor (
    id BIGINT PRIMARY KEY CHECK (id = 1),
    sequence BIGINT NOT NULL,
    at_ms BIGINT NOT NULL,
    next_card BIGINT NOT NULL,
    next_balance BIGINT NOT NULL
);
INSERT INTO history_cursor (id, sequence, at_ms, next_card, next_balance) VALUES (1, 0, 0, 0, 0);
CREATE TABLE history_balances (
    slot BIGINT PRIMARY KEY,
    balance_id UUID NOT NULL UNIQUE,
    customer_id BIGINT NOT NULL,
    currency BIGINT NOT NULL,
    booked BIGINT NOT NULL,
    closed BIGINT NOT NULL
);
CREATE TABLE history_cards (
    slot BIGINT PRIMARY KEY,
    card_id BIGINT NOT NULL,
    balance BIGINT NOT NULL
);
-- Which transaction the message at a place belongs to, and on which balance it posts; 0 is none.
CREATE TABLE history_slots (
    slot BIGINT PRIMARY KEY,
    transaction_id BIGINT NOT NULL,
    balance BIGINT,
    credit BIGINT NOT NULL,
    root BIGINT NOT NULL
);
CREATE TABLE transactions (
    id BIGINT PRIMARY KEY,
    at_ms BIGINT NOT NULL,
    customer_id BIGINT NOT NULL,
    balance BIGINT NOT NULL,
    card_id BIGINT,
    kind TEXT NOT NULL,
    credit BIGINT NOT NULL,
    state TEXT NOT NULL,
    reason BIGINT NOT NULL,
    flagged BIGINT,
    approval BIGINT,
    processing_code BIGINT NOT NULL,
    asked BIGINT NOT NULL,
    currency BIGINT NOT NULL,
    original_amount BIGINT NOT NULL,
    original_currency BIGINT NOT NULL,
    cash_back BIGINT NOT NULL,
    authorised BIGINT NOT NULL,
    released BIGINT NOT NULL,
    captured BIGINT NOT NULL,
    posted BIGINT NOT NULL,
    returned BIGINT NOT NULL,
    fee BIGINT NOT NULL,
    reference_id BIGINT,
    command_id UUID,
    stan BIGINT,
    rrn TEXT,
    life_cycle TEXT,
    terminal TEXT,
    merchant TEXT,
    mcc BIGINT,
    country BIGINT,
    entry TEXT
);
CREATE INDEX transactions_of_customer ON transactions (customer_id, at_ms, id);
CREATE INDEX transactions_of_command ON transactions (command_id) WHERE command_id IS NOT NULL;
-- What became of a transaction, and each posting on a balance with what was booked behind it.
CREATE TABLE history_steps (
    sequence BIGINT NOT NULL,
    place BIGINT NOT NULL,
    transaction_id BIGINT,
    balance BIGINT,
    kind TEXT NOT NULL,
    amount BIGINT NOT NULL,
    booked BIGINT,
    at_ms BIGINT NOT NULL,
    PRIMARY KEY (sequence, place)
);
CREATE INDEX history_steps_of_balance ON history_steps (balance, at_ms, sequence, place)
    WHERE booked IS NOT NULL;
CREATE INDEX history_steps_of_transaction ON history_steps (transaction_id)
    WHERE transaction_id IS NOT NULL;

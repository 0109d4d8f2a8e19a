-- What happened to money, made of the switch's records alone: drop it and it is made again.
-- `slot` is a place in the switch's tables; `id` of a transaction is twice the sequence of the
-- record that began it, and one more for whom a transfer goes to. Source: requirements #83.
CREATE TABLE history_cursor (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    sequence INTEGER NOT NULL,
    at_ms INTEGER NOT NULL,
    next_card INTEGER NOT NULL,
    next_balance INTEGER NOT NULL
) STRICT;
INSERT INTO history_cursor (id, sequence, at_ms, next_card, next_balance) VALUES (1, 0, 0, 0, 0);
CREATE TABLE history_balances (
    slot INTEGER PRIMARY KEY,
    balance_id BLOB NOT NULL UNIQUE,
    customer_id INTEGER NOT NULL,
    currency INTEGER NOT NULL,
    booked INTEGER NOT NULL,
    closed INTEGER NOT NULL
) STRICT;
CREATE TABLE history_cards (
    slot INTEGER PRIMARY KEY,
    card_id INTEGER NOT NULL,
    balance INTEGER NOT NULL
) STRICT;
-- Which transaction the message at a place belongs to, and on which balance it posts; 0 is none.
CREATE TABLE history_slots (
    slot INTEGER PRIMARY KEY,
    transaction_id INTEGER NOT NULL,
    balance INTEGER,
    credit INTEGER NOT NULL,
    root INTEGER NOT NULL
) STRICT;
CREATE TABLE transactions (
    id INTEGER PRIMARY KEY,
    at_ms INTEGER NOT NULL,
    customer_id INTEGER NOT NULL,
    balance INTEGER NOT NULL,
    card_id INTEGER,
    kind TEXT NOT NULL,
    credit INTEGER NOT NULL,
    state TEXT NOT NULL,
    reason INTEGER NOT NULL,
    flagged INTEGER,
    approval INTEGER,
    processing_code INTEGER NOT NULL,
    asked INTEGER NOT NULL,
    currency INTEGER NOT NULL,
    original_amount INTEGER NOT NULL,
    original_currency INTEGER NOT NULL,
    cash_back INTEGER NOT NULL,
    authorised INTEGER NOT NULL,
    released INTEGER NOT NULL,
    captured INTEGER NOT NULL,
    posted INTEGER NOT NULL,
    returned INTEGER NOT NULL,
    fee INTEGER NOT NULL,
    reference_id INTEGER,
    command_id BLOB,
    stan INTEGER,
    rrn TEXT,
    life_cycle TEXT,
    terminal TEXT,
    merchant TEXT,
    mcc INTEGER,
    country INTEGER,
    entry TEXT
) STRICT;
CREATE INDEX transactions_of_customer ON transactions (customer_id, at_ms, id);
CREATE INDEX transactions_of_command ON transactions (command_id) WHERE command_id IS NOT NULL;
-- What became of a transaction, and each posting on a balance with what was booked behind it.
CREATE TABLE history_steps (
    sequence INTEGER NOT NULL,
    place INTEGER NOT NULL,
    transaction_id INTEGER,
    balance INTEGER,
    kind TEXT NOT NULL,
    amount INTEGER NOT NULL,
    booked INTEGER,
    at_ms INTEGER NOT NULL,
    PRIMARY KEY (sequence, place)
) STRICT;
CREATE INDEX history_steps_of_balance ON history_steps (balance, at_ms, sequence, place)
    WHERE booked IS NOT NULL;
CREATE INDEX history_steps_of_transaction ON history_steps (transaction_id)
    WHERE transaction_id IS NOT NULL;

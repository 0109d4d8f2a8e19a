//! Every bound of the core, checked against each other at compile time. A table that reaches its
//! bound refuses; it never grows past it.

/// Cards that may draw on one balance, unless less is set; removed ones leave room for others.
pub const CARDS_A_BALANCE_MAX: u32 = 64;

/// Fees that a balance may owe at once.
pub const OWED_FEES_MAX: usize = 32;

/// Money of one balance or transaction, minor units: what the issuer's own people bring in ends
/// here, and what is forced or taken back beyond still fits.
pub const SUM_MAX: i64 = i64::MAX / 4;

/// Entries of the exception queue at most; the oldest leaves, and stays in the journal.
pub const EXCEPTIONS_MAX: usize = 10_000;
/// Transactions of one card that a message without an exact reference is compared with at most,
/// from the newest on.
pub const COMPARED_ON_CARD_MAX: usize = 4_096;
/// Holds that one command lets expire at most, and answers that it forgets.
pub const EXPIRED_A_COMMAND_MAX: usize = 32;

/// Questions to partners that may be open at once.
pub const ASKED_MAX: usize = 8_192;
/// Those of one program: a partner that is slow takes nothing from others.
pub const ASKED_A_PROGRAM_MAX: u32 = 1_024;

/// Bounds of one ledger. A journal is replayed under the bounds it was written under or larger
/// ones: a bound decides only what is refused or forgotten, and both are in the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Partners.
    pub partners_max: usize,
    /// Card programs.
    pub programs_max: usize,
    /// Cardholders.
    pub customers_max: usize,
    /// User balances.
    pub balances_max: usize,
    /// Partner balances.
    pub partner_balances_max: usize,
    /// Cards.
    pub cards_max: usize,
    /// Rules ever made, removed ones included.
    pub rules_max: usize,
    /// Transactions: open holds, what they became, and answers kept for repeats.
    pub transactions_max: usize,
    /// Of these, answers that moved no money: declines, reversals, advices, tombstones.
    pub answers_max: usize,
    /// How long such an answer is kept. Source: authorization 4 (24 hours).
    pub answer_retention_ms: u64,
    /// Of these, approvals that hold nothing any more: posted, cleared, reversed, expired, and what
    /// was added to a hold.
    pub ended_max: usize,
    /// How long such an approval is kept, so that what takes it back or repeats it finds it.
    pub ended_retention_ms: u64,
    /// Command ids kept with their outcome.
    pub commands_max: usize,
    /// How long a command id is kept. Source: requirements 3 (at least 72 hours).
    pub command_retention_ms: u64,
}

/// What production runs with.
pub const PRODUCTION: Limits = Limits {
    partners_max: 10_000,
    programs_max: 100_000,
    customers_max: 20_000_000,
    balances_max: 20_000_000,
    partner_balances_max: 100_000,
    cards_max: 20_000_000,
    rules_max: 20_000_000,
    transactions_max: 40_000_000,
    answers_max: 10_000_000,
    answer_retention_ms: 24 * 3_600_000,
    ended_max: 20_000_000,
    ended_retention_ms: 30 * 24 * 3_600_000,
    commands_max: 20_000_000,
    command_retention_ms: 96 * 3_600_000,
};

/// Tiny bounds that make rare states common in tests.
pub const TEST: Limits = Limits {
    partners_max: 3,
    programs_max: 7,
    customers_max: 6,
    balances_max: 8,
    partner_balances_max: 6,
    cards_max: 12,
    rules_max: 40,
    transactions_max: 24,
    answers_max: 8,
    answer_retention_ms: 10_000,
    ended_max: 6,
    ended_retention_ms: 3_600_000,
    commands_max: 64,
    command_retention_ms: 60_000,
};

const fn sound(limits: &Limits) -> bool {
    limits.answers_max + limits.ended_max < limits.transactions_max
        && limits.transactions_max < u32::MAX as usize
        && limits.cards_max < u32::MAX as usize
        && limits.rules_max < u32::MAX as usize
        && limits.balances_max < u32::MAX as usize
        && limits.partner_balances_max < u32::MAX as usize
        && limits.programs_max < u32::MAX as usize
        && limits.commands_max > 0
        // Two answers may be remembered by one command.
        && limits.answers_max >= 2
        && limits.ended_max >= 2
}

const _: () = assert!(sound(&PRODUCTION) && sound(&TEST));

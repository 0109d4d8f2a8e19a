//! Where the core was found to do otherwise than the documents say: the model follows the core as
//! long as a line here says `false`, so that histories go on and find the rest.

/// An unknown card number reaches no other card's transaction.
pub(crate) const UNKNOWN_CARD_REACHES_NOTHING: bool = true;
/// An advice about an increment changes that increment.
pub(crate) const INCREMENT_IS_ADVISED: bool = true;
/// A partial reversal is in proportion to what was authorised.
pub(crate) const PART_IS_THE_BASE: bool = true;
/// What was available at once goes back when a pending credit expires.
pub(crate) const INSTANT_CREDIT_EXPIRES: bool = true;
/// What was available at once goes back when an advice declines it.
pub(crate) const INSTANT_CREDIT_IS_DECLINED: bool = true;
/// What adds to an earlier payment is not one more.
pub(crate) const ADDING_IS_NO_PAYMENT: bool = true;
/// A 0200 that is marked incremental is a payment like any other.
pub(crate) const ONLY_AUTHORIZATIONS_ARE_INCREMENTAL: bool = true;
/// What a replaced rule's old counter counted is not given back to the new one.
pub(crate) const NEW_COUNTER_OWES_NOTHING: bool = true;
/// A right PIN in a credit leaves the count.
pub(crate) const CREDIT_LEAVES_PIN_COUNT: bool = true;

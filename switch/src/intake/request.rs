//! Requests and advices of authorizations and financial transactions.

use shared::action_code::Reason;
use shared::command::{
    Acceptance, Advice, Advised, Authorization, Channel, Credentials, EntryMode, MessageClass,
};
use shared::iso8583::mti::{Class, Function, Version};
use shared::iso8583::{FormatError, Message, Rule};
use shared::ledger::Ledger;
use shared::money::Amount;

use super::markers::is_marked;
use super::{AdviceCode, Reading, credentials, fields};

/// Bytes of one amount in DE54.
const ADDITIONAL_AMOUNT: usize = 20;
/// DE54's amount type of cash-back.
const CASH_BACK: &[u8] = b"40";
/// DE3's first two digits of a purchase with cash-back.
const WITH_CASH_BACK: u32 = 9;
/// Merchant category of cash machines.
const MCC_CASH_MACHINE: u16 = 6011;

impl Reading {
    /// Reads 0100, 0101, 0200 and 0201, credentials verified.
    pub(super) fn authorization(
        &self,
        message: &Message<'_>,
        ledger: &Ledger,
    ) -> Result<Authorization, FormatError> {
        let mut request = self.content(message, ledger)?;
        if credentials::are_there(message, &self.markers) {
            let stored = ledger.verified_against(request.token);
            let presented = (request.expiry, request.acceptance.entry);
            let verified = credentials::verify(self, message, presented, &stored)?;
            request.credentials = verified.credentials;
            request.expiry = request.expiry.or(verified.track_expiry);
        }
        Ok(request)
    }

    /// Reads 0120, 0121, 0220 and 0221. Their credentials were verified elsewhere.
    pub(super) fn advice(
        &self,
        message: &Message<'_>,
        ledger: &Ledger,
    ) -> Result<Advice, FormatError> {
        Ok(Advice {
            message: self.content(message, ledger)?,
            advised: self.advised(message),
            more_to_come: is_marked(message, &self.markers.more_clearings),
        })
    }

    /// The card is told of first: its memory comes while the other fields are read.
    fn content(
        &self,
        message: &Message<'_>,
        ledger: &Ledger,
    ) -> Result<Authorization, FormatError> {
        let mti = message.mti();
        let class = match (mti.class, mti.function) {
            (Class::Financial, Function::Advice) => MessageClass::FinancialAdvice,
            (Class::Financial, _) => MessageClass::Financial,
            (_, Function::Advice) => MessageClass::AuthorizationAdvice,
            (_, _) => MessageClass::Authorization,
        };
        let token = self.token_key.token(&fields::pan(message)?);
        ledger.foresee(core::iter::once(token));
        let key = self.key(message, class)?;
        let transaction = fields::money(message, 4, 49)?;
        let transaction = transaction.ok_or_else(|| message.error(4, Rule::Missing))?;
        let processing_code = fields::narrow(message, 3, fields::required(message, 3)?)?;
        let original = match message.has(self.original_field()) {
            true => Some(self.original(message, key)?),
            false => None,
        };
        let verification = transaction.amount == Amount::ZERO
            && is_marked(message, &self.markers.account_verification);
        Ok(Authorization {
            key,
            repeat: mti.is_repeat(),
            token,
            processing_code,
            transaction,
            billing: fields::money(message, 6, 51)?,
            cash_back: cash_back(message, processing_code, transaction.amount)?,
            expiry: fields::expiry(message)?,
            verification,
            incremental: is_marked(message, &self.markers.incremental),
            partial_allowed: is_marked(message, &self.markers.partial_approval),
            credentials: Credentials::default(),
            original,
            references: fields::references(message, self.markers.life_cycle_field),
            acceptance: self.acceptance(message, processing_code)?,
        })
    }

    fn acceptance(
        &self,
        message: &Message<'_>,
        processing_code: u32,
    ) -> Result<Acceptance, FormatError> {
        let mcc_field = match self.edition {
            Version::V1987 => 18,
            Version::V1993 | Version::V2003 => 26,
        };
        let mcc = fields::number_or_zero(message, mcc_field)?;
        let entry = self.entry_mode(message);
        let cash = processing_code / 10_000 == 1 || mcc == MCC_CASH_MACHINE;
        let channel = match entry {
            _ if cash => Channel::Atm,
            EntryMode::Ecommerce | EntryMode::StoredCredential => Channel::Ecommerce,
            EntryMode::Manual | EntryMode::Stripe | EntryMode::Chip | EntryMode::Contactless => {
                Channel::Pos
            }
            EntryMode::Unknown => Channel::Unknown,
        };
        let merchant = message.text_array(42).unwrap_or([b' '; 15]);
        let country = fields::number_or_zero(message, 19)?;
        Ok(Acceptance { channel, entry, mcc, country, merchant })
    }

    /// DE22: two digits of entry mode in 1987; twelve positions later, of which the fifth says
    /// where the holder was and the seventh how the number came.
    fn entry_mode(&self, message: &Message<'_>) -> EntryMode {
        match self.edition {
            Version::V1987 => match message.text_array::<2>(22).as_ref() {
                Some(b"01" | b"79") => EntryMode::Manual,
                Some(b"02" | b"80" | b"90") => EntryMode::Stripe,
                Some(b"05" | b"51" | b"95") => EntryMode::Chip,
                Some(b"06" | b"07" | b"71" | b"91") => EntryMode::Contactless,
                Some(b"09" | b"81" | b"82" | b"89") => EntryMode::Ecommerce,
                Some(b"10") => EntryMode::StoredCredential,
                Some(_) | None => EntryMode::Unknown,
            },
            Version::V1993 | Version::V2003 => match message.text_array::<7>(22) {
                Some([_, _, _, _, b'4', _, _]) => EntryMode::StoredCredential,
                Some([_, _, _, _, b'5', _, _]) => EntryMode::Ecommerce,
                Some([_, _, _, _, _, _, b'1' | b'6']) => EntryMode::Manual,
                Some([_, _, _, _, _, _, b'2']) => EntryMode::Stripe,
                Some([_, _, _, _, _, _, b'5']) => EntryMode::Chip,
                Some([_, _, _, _, _, _, b'7' | b'8']) => EntryMode::Contactless,
                Some(_) | None => EntryMode::Unknown,
            },
        }
    }

    /// Whether the value on a track is the one that was written on it: at a contactless stripe (91)
    /// it is another at each payment, and with 95 the terminal says that it may be unreliable.
    pub(super) fn track_value_counts(&self, message: &Message<'_>) -> bool {
        let mode = message.text_array::<2>(22).filter(|_| self.edition == Version::V1987);
        !matches!(mode.as_ref(), Some(b"91" | b"95"))
    }

    /// What DE39 says of an advice; an advice without it reports an approval.
    fn advised(&self, message: &Message<'_>) -> Advised {
        let mut scratch = [0; 8];
        let code = match (self.advice_code, message.text(39, &mut scratch)) {
            (AdviceCode::Outcome, Some(code)) => code,
            (AdviceCode::Outcome, None) | (AdviceCode::Reason, _) => return Advised::Approved,
        };
        let approved = [Reason::Approved, Reason::ApprovedPartially];
        let is = |reason: &Reason| self.codes.code(*reason).as_bytes() == code;
        if approved.iter().any(is) || approves(code) {
            Advised::Approved
        } else if Reason::ALL.iter().any(is) {
            Advised::Declined
        } else {
            Advised::Unknown
        }
    }
}

/// The standard's other approvals: with identification, VIP, account checked.
fn approves(code: &[u8]) -> bool {
    matches!(code, b"08" | b"11" | b"85" | b"001" | b"003" | b"0001" | b"0003" | b"0085")
}

/// DE54, amount type 40; where a purchase with cash-back does not say how much, all may be cash.
fn cash_back(
    message: &Message<'_>,
    processing_code: u32,
    amount: Amount,
) -> Result<Amount, FormatError> {
    let mut scratch = [0; 6 * ADDITIONAL_AMOUNT];
    let additional = match message.has(54) {
        true => message.text(54, &mut scratch).unwrap_or_default(),
        false => &[],
    };
    let stated =
        additional.chunks_exact(ADDITIONAL_AMOUNT).find(|one| one.get(2..4) == Some(CASH_BACK));
    match stated.and_then(|one| one.get(8..)) {
        Some(value) => {
            Ok(Amount(fields::narrow(message, 54, fields::digits(message, 54, value)?)?))
        }
        None if processing_code / 10_000 == WITH_CASH_BACK => Ok(amount),
        None => Ok(Amount::ZERO),
    }
}

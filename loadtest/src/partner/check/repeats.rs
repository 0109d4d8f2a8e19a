//! The rules about requests that come again under their key, one after the other and at once.

use std::sync::Arc;

use tokio::task::JoinSet;

use super::caller::{Answer, Request};
use super::money::{AMOUNT, Kind};
use super::{Miss, Suite, Verdict};

/// Equal requests at once.
const AT_ONCE: u16 = 20;

impl Suite {
    pub(super) async fn debit_again(&self) -> Verdict {
        let (_, request, first) = self.earlier_debit()?;
        let before = self.amount().await?;
        let again = self.caller.send(request).await?;
        again.expect_same(first)?;
        let seen = self.expect_change(before, 0).await?;
        Ok(format!("{again} again, {seen}"))
    }

    pub(super) async fn debit_at_once(&self) -> Verdict {
        let debit = self.transaction(Kind::Debit, AMOUNT);
        let before = self.funded(AMOUNT.saturating_mul(AT_ONCE.into())).await?;
        let answers = self.send_at_once(&debit.request()).await?;
        for answer in &answers {
            answer.expect(204)?;
        }
        let seen = self.expect_change(before, debit.change()).await?;
        Ok(format!("{} times 204, {seen}", answers.len()))
    }

    pub(super) async fn others_again(&self) -> Verdict {
        let mut seen = Vec::new();
        for kind in [Kind::Credit, Kind::ForceDebit, Kind::ForceCredit] {
            let before = self.funded(AMOUNT.saturating_mul(2)).await?;
            let transaction = self.transaction(kind, AMOUNT);
            let request = transaction.request();
            let first = self.caller.send(&request).await?;
            let named = |miss| named(kind, miss);
            first.expect(204).map_err(named)?;
            self.caller.send(&request).await?.expect_same(&first).map_err(named)?;
            seen.push(self.expect_change(before, transaction.change()).await.map_err(named)?);
        }
        Ok(seen.join(", "))
    }

    async fn send_at_once(&self, request: &Request) -> Result<Vec<Answer>, Miss> {
        let mut sending = JoinSet::new();
        for _each in 0..AT_ONCE {
            let (caller, request) = (Arc::clone(&self.caller), request.clone());
            sending.spawn(async move { caller.send(&request).await });
        }
        sending.join_all().await.into_iter().collect()
    }
}

/// With the name of what it is about.
pub(super) fn named(kind: Kind, miss: Miss) -> Miss {
    match miss {
        Miss::Broken(why) => Miss::Broken(format!("{}: {why}", kind.name())),
        Miss::Blocked(why) => Miss::Blocked(format!("{}: {why}", kind.name())),
    }
}

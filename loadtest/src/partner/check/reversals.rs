//! The rules about reversals: exact, once, never refused, and not lost when they come first.

use super::money::{AMOUNT, Kind};
use super::repeats::named;
use super::{Miss, Suite, Verdict};

impl Suite {
    pub(super) async fn reversal(&mut self) -> Verdict {
        let before = self.funded(AMOUNT).await?;
        let debit = self.transaction(Kind::Debit, AMOUNT);
        self.prepare(&debit).await?;
        self.caller.send(&debit.reversal()).await?.expect(204)?;
        let seen = self.expect_change(before, 0).await?;
        self.reversed = Some(debit);
        Ok(format!("204, {seen} again"))
    }

    pub(super) async fn reversal_twice(&self) -> Verdict {
        let reversed = self.reversed.as_ref();
        let reversed = reversed.ok_or_else(|| Miss::Blocked("nothing is reversed".to_owned()))?;
        let before = self.amount().await?;
        self.caller.send(&reversed.reversal()).await?.expect(204)?;
        let seen = self.expect_change(before, 0).await?;
        Ok(format!("204, {seen}"))
    }

    pub(super) async fn reversal_of_others(&self) -> Verdict {
        for kind in [Kind::Credit, Kind::ForceDebit, Kind::ForceCredit] {
            let before = self.funded(AMOUNT).await?;
            let transaction = self.transaction(kind, AMOUNT);
            self.prepare(&transaction).await?;
            let named = |miss| named(kind, miss);
            let answer = self.caller.send(&transaction.reversal()).await?;
            answer.expect(204).map_err(named)?;
            self.expect_change(before, 0).await.map_err(named)?;
        }
        Ok("204 and the balance as before, three times".to_owned())
    }

    pub(super) async fn reversal_unknown(&self) -> Verdict {
        let before = self.amount().await?;
        let never = self.transaction(Kind::Debit, AMOUNT);
        self.caller.send(&never.reversal()).await?.expect(204)?;
        let seen = self.expect_change(before, 0).await?;
        Ok(format!("204, {seen}"))
    }

    /// The seed lets the debit be refused, answered without effect, or done: then another reversal
    /// comes, as it would from us, and must find it.
    pub(super) async fn reversal_first(&self) -> Verdict {
        let before = self.funded(AMOUNT).await?;
        let debit = self.transaction(Kind::Debit, AMOUNT);
        self.caller.send(&debit.reversal()).await?.expect(204)?;
        let answer = self.caller.send(&debit.request()).await?;
        if answer.status == 204 && self.amount().await? != before {
            self.caller.send(&debit.reversal()).await?.expect(204)?;
            let seen = self.expect_change(before, 0).await?;
            return Ok(format!("the debit was done and reverted by another reversal, {seen}"));
        }
        let seen = self.expect_change(before, 0).await?;
        Ok(format!("the debit was answered with {answer}, {seen}"))
    }
}

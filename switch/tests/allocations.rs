//! The path of an authorization allocates nothing: from the frame to the reply, decision and journal
//! record in between.
//!
//! Counted by an allocator that counts; memory set aside beforehand is what the switch sets aside at
//! start. The messages are of one second: each second of DE7 has a part of the repeat index of its
//! own, which is made once.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test stops at the first surprise")]

use std::hint::black_box;
use std::rc::Rc;

use shared::action_code::{Reason, ResponseCodes};
use shared::card::{CardState, YearMonth};
use shared::command::{Change, Collateral, Command, NewCard, PartnerBalanceKind, Policy, Program};
use shared::credential::software::SoftwareKeys;
use shared::ids::{
    BalanceId, CardId, CommandId, ConfigId, CustomerId, LinkId, PartnerBalanceId, PartnerId,
    Timestamp,
};
use shared::iso8583::{Dialect, Framing, FramingKind, HeaderKind, Layout, Mti, encode, parse};
use shared::journal_record::{Answer, RecordRef};
use shared::key_file::KeyFile;
use shared::ledger::Ledger;
use shared::limits;
use shared::money::{Currency, Money};
use shared::pan::{Pan, TokenKey};
use switch::intake::markers::Markers;
use switch::intake::{AdviceCode, Asked, Reading};
use switch::reply_fields::ReplyFields;

const NOW: Timestamp = Timestamp(1_797_292_800_000);
const EURO: Currency = Currency(978);
const PAN: &[u8] = b"9999991234567890";
const MESSAGES: u32 = 2_000;

/// Everything between two sockets' buffers.
struct Path {
    dialect: &'static Dialect,
    framing: Framing,
    layout: Layout,
    reading: Reading,
    ledger: Ledger,
    effects: Vec<shared::effect::Effect>,
    record: Vec<u8>,
    out: Vec<u8>,
}

impl Path {
    fn new(dialect: &'static Dialect) -> Self {
        let keys = KeyFile::from_bytes(&[7; KeyFile::BYTES]);
        let edition = dialect.version();
        let reading = Reading {
            link: LinkId(1),
            edition,
            token_key: TokenKey::new(&keys.pan_token),
            keys: Rc::new(SoftwareKeys::new(&keys)),
            markers: Markers::of(edition),
            advice_code: AdviceCode::Outcome,
            codes: ResponseCodes::of(edition),
            volatile_time: false,
            lock_outside: false,
        };
        let mut ledger = Ledger::new(limits::PRODUCTION);
        let pan = Pan::parse(PAN).unwrap();
        for (id, change) in (1..).zip(world(reading.token_key.token(&pan))) {
            let (_, answer) =
                ledger.apply(&Command::Manage(CommandId(id), change), NOW, &mut Vec::new());
            assert!(matches!(answer, Answer::Outcome(outcome) if outcome.result.is_ok()));
        }
        ledger.reserve_transactions(1 << 16);
        Self {
            dialect,
            framing: Framing::new(FramingKind::default(), HeaderKind::default(), 4096),
            layout: Layout::new(),
            reading,
            ledger,
            effects: Vec::with_capacity(16),
            record: Vec::with_capacity(4096),
            out: Vec::with_capacity(4096),
        }
    }

    /// Takes one frame to its reply.
    fn take(&mut self, bytes: &[u8]) -> Reason {
        let frame = self.framing.next(bytes).unwrap().unwrap();
        let message = parse(self.dialect, frame.body(bytes), &mut self.layout).unwrap();
        let asked = self.reading.read(&message, &self.ledger).unwrap();
        let Asked::Command(command) = asked else { panic!("a request") };
        let (stamp, answer) = self.ledger.apply(&command, NOW, &mut self.effects);
        let (sequence, at) = (stamp.sequence, stamp.at);
        self.record.clear();
        let effects = &self.effects;
        RecordRef { sequence, at, command: &command, effects, answer }.encode(&mut self.record);
        let Answer::Decision(decision) = answer else { panic!("a decision") };
        let Command::Authorize(request) = command else { panic!("an authorization") };
        self.out.clear();
        let at = self.framing.reserve_header(&mut self.out, Some(frame.header(bytes)));
        let mut fields = ReplyFields::default();
        fields.fill(&decision, Some(&request), self.reading.codes.code(decision.reason));
        let echoed = message.received().only(fields.echo(self.dialect.echo_of(message.mti())));
        let mti = message.mti().response().unwrap();
        let (dialect, out) = (self.dialect, &mut self.out);
        fields
            .with((44, b""), |set| shared::iso8583::reply(dialect, echoed, mti, set, out))
            .unwrap();
        self.framing.put_header(at, &mut self.out).unwrap();
        black_box(&self.out);
        decision.reason
    }

    fn frame(&self, stan: u32) -> Vec<u8> {
        let digits = |text: &'static [u8], field| {
            // A number of the width that the edition has.
            let spec = self.dialect.field(field).unwrap();
            let width = usize::from(spec.length.max());
            let mut value = vec![b'0'; width.saturating_sub(text.len())];
            value.extend_from_slice(text.get(text.len().saturating_sub(width)..).unwrap());
            value
        };
        let width = usize::from(self.dialect.field(11).unwrap().length.max());
        let stan = format!("{stan:0width$}").into_bytes();
        let time = digits(b"20261215120000", 12);
        let fields: [(u8, &[u8]); 12] = [
            (2, PAN),
            (3, b"000000"),
            (4, b"000000000100"),
            (7, b"1215120000"),
            (11, &stan),
            (12, &time),
            (14, b"2912"),
            (32, b"12345"),
            (37, b"123456789012"),
            (41, b"TERM0001"),
            (42, b"MERCHANT0000001"),
            (49, b"978"),
        ];
        let mut out = Vec::new();
        let at = self.framing.reserve_header(&mut out, None);
        let mti = Mti::AUTHORIZATION_REQUEST.in_version(self.dialect.version());
        encode(self.dialect, mti, &fields, &mut out).unwrap();
        self.framing.put_header(at, &mut out).unwrap();
        out
    }
}

fn world(token: shared::pan::PanToken) -> Vec<Change> {
    let (partner, program, balance) = (PartnerId(1), ConfigId(1), BalanceId(1));
    let money = Money::new(1_000_000_000, EURO);
    vec![
        Change::PutPartner(partner),
        Change::PutProgram(Program {
            id: program,
            partner,
            currency: EURO,
            collateral: Collateral::Deposit,
            policy: Policy::default(),
        }),
        Change::OpenPartnerBalance {
            id: PartnerBalanceId(1),
            partner,
            kind: PartnerBalanceKind::Deposit,
            currency: EURO,
        },
        Change::Reload { balance: PartnerBalanceId(1), money },
        Change::PutCustomer { id: CustomerId(1), verified: true, aml_locked: false },
        Change::OpenBalance { id: balance, customer: CustomerId(1), currency: EURO },
        Change::IssueCard(NewCard {
            id: CardId(1),
            token,
            program,
            balance,
            expiry: YearMonth { year: 2029, month: 12 },
            state: CardState::Active,
        }),
        Change::TopUp { balance, money },
    ]
}

#[test]
fn from_frame_to_reply_nothing_is_allocated_in_any_dialect() {
    for name in Dialect::BUILT_IN_NAMES {
        let mut path = Path::new(Dialect::built_in(name).unwrap());
        let frames: Vec<_> = (1..=2 * MESSAGES).map(|stan| path.frame(stan)).collect();
        let (warm, counted) = frames.split_at(MESSAGES as usize);
        // The part of the index grows to its size here, as a second's part does while it runs.
        let reasons = warm.iter().map(|frame| path.take(frame));
        assert!(reasons.collect::<Vec<_>>().iter().all(|reason| *reason == Reason::Approved));
        let repeats = allocation_counter::measure(|| {
            for frame in warm {
                assert_eq!(path.take(frame), Reason::Approved);
            }
        });
        assert_eq!(repeats.count_total, 0, "{name}: repeats");
        let few = &counted[..100];
        let new = allocation_counter::measure(|| {
            for frame in few {
                assert_eq!(path.take(frame), Reason::Approved);
            }
        });
        assert_eq!(new.count_total, 0, "{name}: new messages");
    }
}

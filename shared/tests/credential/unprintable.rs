//! No credential has a way out: no `Debug`, no `Display`, no `Serialize`.

use core::fmt::{Debug, Display};
use core::marker::PhantomData;

use serde::Serialize;
use shared::credential::pin_block::ZoneKeys;
use shared::credential::software::SoftwareKeys;
use shared::credential::track::Track;
use shared::credential::{Cvv, CvvKind, Pin, PinBlock, Pvv, ServiceCode};
use shared::key_file::KeyFile;
use shared::pan::Pan;
use zeroize::ZeroizeOnDrop;

/// A constant of its own is taken before a trait's, where the bound holds.
struct Probe<T>(PhantomData<T>);

trait Otherwise {
    const IS_DEBUG: bool = false;
    const IS_DISPLAY: bool = false;
    const IS_SERIALIZE: bool = false;
    const WIPES_ITSELF: bool = false;
}

impl<T> Otherwise for Probe<T> {}

impl<T: Debug> Probe<T> {
    const IS_DEBUG: bool = true;
}

impl<T: Display> Probe<T> {
    const IS_DISPLAY: bool = true;
}

impl<T: Serialize> Probe<T> {
    const IS_SERIALIZE: bool = true;
}

impl<T: ZeroizeOnDrop> Probe<T> {
    const WIPES_ITSELF: bool = true;
}

macro_rules! ways_out {
    ($type:ty) => {
        [Probe::<$type>::IS_DEBUG, Probe::<$type>::IS_DISPLAY, Probe::<$type>::IS_SERIALIZE]
    };
}

#[test]
fn no_credential_and_no_key_has_a_way_out() {
    assert_eq!(ways_out!(u8), [true; 3], "the probe sees what is there");
    for ways in [
        ways_out!(Pan),
        ways_out!(Cvv),
        ways_out!(Pin),
        ways_out!(PinBlock),
        ways_out!(ServiceCode),
        ways_out!(CvvKind),
        ways_out!(Track),
        ways_out!(KeyFile),
        ways_out!(SoftwareKeys),
        ways_out!(ZoneKeys),
    ] {
        assert_eq!(ways, [false; 3]);
    }
}

#[test]
fn credentials_and_prepared_keys_wipe_themselves() {
    let wiping = [
        Probe::<Pan>::WIPES_ITSELF,
        Probe::<Cvv>::WIPES_ITSELF,
        Probe::<Pin>::WIPES_ITSELF,
        Probe::<PinBlock>::WIPES_ITSELF,
        Probe::<KeyFile>::WIPES_ITSELF,
        Probe::<des::Des>::WIPES_ITSELF,
        Probe::<des::TdesEde2>::WIPES_ITSELF,
        Probe::<aes::Aes128>::WIPES_ITSELF,
    ];
    assert_eq!(wiping, [true; 8]);
    assert_ne!(Probe::<u8>::WIPES_ITSELF, wiping[0], "the probe sees what is not there");
}

#[test]
fn a_stored_pvv_tells_nothing_in_a_log() {
    let some = Pvv::parse(b'1', b"1894").unwrap();
    assert_eq!((format!("{some:?}"), format!("{:?}", Pvv::NONE)), ("Pvv".into(), "Pvv".into()));
}

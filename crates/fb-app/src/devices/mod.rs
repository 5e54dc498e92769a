//! Devices and push messages.
//!
//! A device is an object of class `Device` that says nothing of how it is reached, and records that no client reaches:
//! `device/<key>` holds its [`Registration`], `deviceCookie/<fingerprint>` and `deviceTarget/<fingerprint>` lead to its key.
//! They go with the object.

mod deliver;
mod keys;
mod push;
mod queue;
mod register;
mod registration;
mod remove;

pub(crate) use deliver::Deliveries;
pub use deliver::PushCounts;
pub use keys::ApnsUpload;
pub use register::{DeviceWish, RegisteredDevice};
pub(crate) use registration::{Platform, Registration};

/// Registrations by the key of their device.
const DEVICES: &str = "device";
/// Keys of devices by the fingerprint of their cookie.
const COOKIES: &str = "deviceCookie";
/// Keys of devices by the fingerprint of where their messages go.
const TARGETS: &str = "deviceTarget";

//! What the live queries of one address, and of one app, may cost. What they cost: every write of a class is held against its filters, and
//! windows keep their objects in memory. Both grow with what clients send, so that both are limited where clients cannot choose.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::AppError;

/// Where a client is, and how many such clients there may be: what each of them may cost follows from that.
#[derive(Debug, Clone, Copy)]
pub struct LiveSource {
    /// Its address, as far as limits are concerned.
    pub address: IpAddr,
    /// Most clients from one address.
    pub clients_per_address: usize,
    /// Most clients of one app.
    pub clients_per_app: usize,
}

impl Default for LiveSource {
    fn default() -> Self {
        Self {
            address: IpAddr::V4(Ipv4Addr::LOCALHOST),
            clients_per_address: 2_000,
            clients_per_app: 5_000,
        }
    }
}

/// Numbers of subscriptions, bytes of filters and orders as canonical text, and bytes of objects in windows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cost {
    pub(super) subscriptions: u64,
    pub(super) filter_bytes: u64,
    pub(super) object_bytes: u64,
}

/// What each client of an address may cost, on average.
const OF_ADDRESS: Cost = Cost {
    subscriptions: 10,
    filter_bytes: 512,
    object_bytes: 32 << 10,
};
/// The same for the clients of an app.
const OF_APP: Cost = Cost {
    subscriptions: 200,
    filter_bytes: 8 << 10,
    object_bytes: 128 << 10,
};
/// So much is never too much.
const AT_LEAST: Cost = Cost {
    subscriptions: 200,
    filter_bytes: 128 << 10,
    object_bytes: 16 << 20,
};

impl Cost {
    fn limit(each: Self, clients: usize) -> Self {
        let clients = clients as u64;
        let of = |each: u64, least: u64| each.saturating_mul(clients).max(least);
        Self {
            subscriptions: of(each.subscriptions, AT_LEAST.subscriptions),
            filter_bytes: of(each.filter_bytes, AT_LEAST.filter_bytes),
            object_bytes: of(each.object_bytes, AT_LEAST.object_bytes),
        }
    }
}

/// What is in use.
#[derive(Debug, Default)]
struct Account {
    subscriptions: AtomicU64,
    filter_bytes: AtomicU64,
    object_bytes: AtomicU64,
}

impl Account {
    /// Puts a cost on the account. The error is what there is too much of; nothing was put on it then.
    fn take(&self, cost: Cost, limit: Cost) -> Result<(), String> {
        let rows = [
            (
                &self.subscriptions,
                cost.subscriptions,
                limit.subscriptions,
                "subscriptions",
            ),
            (
                &self.filter_bytes,
                cost.filter_bytes,
                limit.filter_bytes,
                "bytes of filters",
            ),
            (
                &self.object_bytes,
                cost.object_bytes,
                limit.object_bytes,
                "bytes of objects in windows",
            ),
        ];
        for (at, (used, more, limit, what)) in rows.iter().enumerate() {
            let all = used.fetch_add(*more, Ordering::Relaxed).saturating_add(*more);
            if *more > 0 && all > *limit {
                for (used, more, ..) in &rows[..=at] {
                    used.fetch_sub(*more, Ordering::Relaxed);
                }
                return Err(format!("{limit} {what}"));
            }
        }
        Ok(())
    }

    fn give_back(&self, cost: Cost) {
        self.subscriptions.fetch_sub(cost.subscriptions, Ordering::Relaxed);
        self.filter_bytes.fetch_sub(cost.filter_bytes, Ordering::Relaxed);
        self.object_bytes.fetch_sub(cost.object_bytes, Ordering::Relaxed);
    }
}

/// The accounts of one app.
#[derive(Debug, Default)]
pub(super) struct Accounts {
    app: Arc<Account>,
    addresses: Mutex<Addresses>,
}

#[derive(Debug, Default)]
struct Addresses {
    by_address: HashMap<IpAddr, Weak<Account>>,
    /// With so many, those that are not used any more are looked for.
    many: usize,
}

impl Accounts {
    /// What subscriptions from this source are put on.
    pub(super) fn open(&self, source: LiveSource) -> Purse {
        let mut addresses = self.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        let known = addresses.by_address.get(&source.address).and_then(Weak::upgrade);
        let address = known.unwrap_or_else(|| {
            if addresses.by_address.len() >= addresses.many {
                addresses.by_address.retain(|_, account| account.strong_count() > 0);
                addresses.many = 2 * addresses.by_address.len() + 64;
            }
            let new = Arc::default();
            addresses.by_address.insert(source.address, Arc::downgrade(&new));
            new
        });
        Purse {
            address,
            app: self.app.clone(),
            limits: [
                Cost::limit(OF_ADDRESS, source.clients_per_address),
                Cost::limit(OF_APP, source.clients_per_app),
            ],
        }
    }
}

/// The accounts of one client.
#[derive(Debug, Clone)]
pub(super) struct Purse {
    address: Arc<Account>,
    app: Arc<Account>,
    limits: [Cost; 2],
}

/// A cost, given back when it is dropped.
#[derive(Debug)]
pub(super) struct Charge {
    cost: Cost,
    purse: Purse,
}

impl Purse {
    /// Pays for something. Errors: `TooManySubscriptions`.
    pub(super) fn pay(&self, cost: Cost) -> Result<Charge, AppError> {
        let [of_address, of_app] = self.limits;
        let too_much = |what: String, whose: &str| {
            AppError::TooManySubscriptions(format!(
                "live queries of {whose} may have {what} at most: end some of them, or ask for less"
            ))
        };
        self.address
            .take(cost, of_address)
            .map_err(|what| too_much(what, "one address"))?;
        if let Err(what) = self.app.take(cost, of_app) {
            self.address.give_back(cost);
            return Err(too_much(what, "one app"));
        }
        Ok(Charge {
            cost,
            purse: self.clone(),
        })
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.purse.address.give_back(self.cost);
        self.purse.app.give_back(self.cost);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filters(filter_bytes: u64) -> Cost {
        Cost {
            subscriptions: 1,
            filter_bytes,
            object_bytes: 0,
        }
    }

    fn source(last: u8, clients: usize) -> LiveSource {
        LiveSource {
            address: IpAddr::V4(Ipv4Addr::new(192, 0, 2, last)),
            clients_per_address: clients,
            clients_per_app: 1000,
        }
    }

    #[test]
    fn what_one_address_has_too_much_of_others_still_get() {
        let accounts = Accounts::default();
        let one = accounts.open(source(1, 1000));
        let paid = one.pay(filters(500 << 10)).unwrap();
        let error = accounts.open(source(1, 1000)).pay(filters(13 << 10)).unwrap_err();
        assert!(
            error.to_string().contains("one address may have 512000 bytes"),
            "{error}"
        );
        one.pay(filters(0)).unwrap();
        let _other = accounts.open(source(2, 1000)).pay(filters(500 << 10)).unwrap();
        drop(paid);
        one.pay(filters(500 << 10)).unwrap();
        assert_eq!(one.address.filter_bytes.load(Ordering::Relaxed), 0);
        assert_eq!(one.address.subscriptions.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn an_app_has_a_limit_too_and_what_is_refused_costs_nothing() {
        let accounts = Accounts::default();
        let purses: Vec<Purse> = (0..20).map(|last| accounts.open(source(last, 1000))).collect();
        let paid: Vec<_> = purses.iter().map(|purse| purse.pay(filters(512_000))).collect();
        assert_eq!(paid.iter().filter(|paid| paid.is_ok()).count(), 16);
        assert_eq!(purses[19].address.filter_bytes.load(Ordering::Relaxed), 0);
        drop(paid);
        assert_eq!(purses[0].app.filter_bytes.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn addresses_that_have_gone_are_forgotten() {
        let accounts = Accounts::default();
        for i in 0..1000_u32 {
            accounts.open(LiveSource {
                address: IpAddr::V4(i.into()),
                ..LiveSource::default()
            });
        }
        assert!(accounts.addresses.lock().unwrap().by_address.len() < 200);
    }
}

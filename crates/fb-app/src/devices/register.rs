//! Registering devices, and finding them again by their cookie.

use std::sync::Arc;

use fb_auth::{
    AttemptLimit, Errand, Objects, Operation, Principal, Secret, authorize, field_rights, fingerprint, system,
};
use fb_store::{Batch, Effect, Expect, Moment, ObjectWrite, Outcome, Refusal, Write};
use fb_types::schema::{ADMIN_ROLE, DEVICE};
use fb_types::{Acl, Class, Document, FieldsText, ObjectId, ObjectKey, Schema, Stored, Timestamp, Version};
use serde_json::{Map, Value, json};

use super::{COOKIES, DEVICES, Registration, TARGETS};
use crate::accounts::record;
use crate::functions::{Basis, CodeType, Prepared, Subject};
use crate::objects::{Condition, NewAcl, Seen};
use crate::{App, AppError, Profile, Source};

/// How often a registration is tried again because another one came first.
const RETRIES: usize = 10;
/// Largest device in bytes of JSON: strangers may register them.
const MAX_DEVICE: usize = 16 << 10;

/// What a client registers.
#[derive(Debug, Clone)]
pub struct DeviceWish {
    /// `Android`, `IOS` or `WebPush`.
    pub platform: String,
    /// `{"token": …}`, or the JSON form of a browser's subscription.
    pub subscription: Value,
    /// Fields and rules of the device's object, as far as there are any.
    pub fields: Option<Map<String, Value>>,
}

/// A device that was registered.
#[derive(Debug)]
pub struct RegisteredDevice {
    /// The object, as the caller sees it.
    pub device: Seen,
    /// What the client proves itself with from now on. An older cookie of the device is good for nothing any more.
    pub cookie: Secret,
}

impl App {
    /// Registers a device. Whoever registers what messages go to already gets that device: its fields that are given are set
    /// anew, the others stay. A cookie changes nothing about that: any page can make a browser send it along, and could
    /// redirect the messages of the browser's device. The class's rules for inserts decide about who may.
    pub async fn register_device(
        &self,
        source: &Source,
        caller: &Principal,
        wish: &DeviceWish,
    ) -> Result<RegisteredDevice, AppError> {
        authorize(caller, Operation::Insert, self.entity(&self.schema(), DEVICE)?)?;
        // Before keys are looked at, which costs as much as a message.
        if !caller.is_admin() {
            self.count_registration(source)?;
        }
        let registration = Registration::new(&wish.platform, &wish.subscription)?;
        for _ in 0..RETRIES {
            let attempt = || self.try_register(caller, wish, registration.clone());
            match self.despite_schema_changes(attempt).await {
                Err(AppError::Contended | AppError::OutOfDate { .. } | AppError::Exists(_)) => {}
                result => return result,
            }
        }
        Err(AppError::Contended)
    }

    /// Counted apart from logins, so that neither keeps anybody from the other.
    fn count_registration(&self, source: &Source) -> Result<(), AppError> {
        let settings = self.settings();
        let limit = AttemptLimit {
            attempts: settings.rate_limit.requests,
            seconds: settings.rate_limit.seconds,
        };
        let key = format!("{} device {}", self.id(), source.as_str());
        Ok(self.shared().attempts.begin(&key, limit, self.clock().now())?)
    }

    async fn try_register(
        &self,
        caller: &Principal,
        wish: &DeviceWish,
        mut registration: Registration,
    ) -> Result<RegisteredDevice, AppError> {
        let schema = self.schema();
        let class = self.entity(&schema, DEVICE)?;
        let input = wish.fields.clone().unwrap_or_default();
        let named = schema.check_fields(class, &input, None)?;
        let has_value = |name: &str| named.get(name).is_some_and(|value| !value.is_null());
        field_rights(caller, class).authorize_new(Objects::All, has_value)?;
        let acl = Acl::from_json(input.get("acl").unwrap_or(&Value::Null))?.map(Arc::new);

        let target = registration.target();
        let pointer = self.store().record(TARGETS, &target).await?;
        let known = self.known_device(&target).await?;
        let cookie = Self::random_secret()?;
        registration.cookie = fingerprint(cookie.expose());

        let (key, expect, old) = match known {
            Some((key, stored, old)) => (key, Expect::Value(stored), Some(old)),
            None => (
                ObjectKey::from_raw(&uuid::Uuid::new_v4().to_string())?,
                Expect::Absent,
                None,
            ),
        };
        let id = Self::id_of(class, &key);
        let mut draft = Draft {
            schema: schema.clone(),
            class: class.clone(),
            id: id.clone(),
            names: input.keys().cloned().collect(),
            fields: named,
            acl,
            default_acl: self.default_acl(caller),
            platform: registration.platform.as_str(),
            is_new: old.is_none(),
            prepared: None,
        };
        draft.check_size()?;
        self.prepare_device(caller, &mut draft).await?;
        let to_key = || Some(key.as_str().as_bytes());
        let mut writes = vec![
            Write::Object(draft.write()),
            record(DEVICES, key.as_str(), expect, Some(&registration.encode()?)),
            record(COOKIES, &registration.cookie, Expect::Absent, to_key()),
            record(
                TARGETS,
                &target,
                pointer.map_or(Expect::Absent, Expect::Value),
                to_key(),
            ),
        ];
        if let Some(old) = old {
            writes.push(record(COOKIES, &old.cookie, Expect::Anything, None));
        }
        let outcomes = self.commit(Batch { writes }).await;
        let outcomes = outcomes.map_err(|error| AppError::from_commit(error, &id.to_string()))?;
        let object = match outcomes.into_iter().next() {
            Some(Outcome::Written(object)) => Arc::new(object),
            _ => {
                let found = self.fetch_for(Errand::KeepDevices, DEVICE, &key).await?;
                found.ok_or(AppError::Contended)?
            }
        };
        Ok(RegisteredDevice {
            device: Seen::new(&schema, class, &field_rights(caller, class), object)?,
            cookie,
        })
    }

    /// Asks code that has a say in devices, if there is something to write.
    async fn prepare_device(&self, caller: &Principal, draft: &mut Draft) -> Result<(), AppError> {
        let kind = match draft.is_new {
            true => CodeType::Insert,
            false => CodeType::Update,
        };
        if !self.has_code_before(caller, DEVICE, kind) {
            return Ok(());
        }
        let refused = |refusal| AppError::from_refusal(refusal, &draft.id.to_string());
        let stored = self.before_image(DEVICE, draft.id.key()).await?;
        let made = draft.make(stored.as_deref(), self.clock().now()).map_err(refused)?;
        let Some(mut device) = made else {
            draft.prepared = Some((Basis::Object(stored), Prepared::default()));
            return Ok(());
        };
        let object = Subject {
            id: &draft.id,
            version: stored.as_ref().map(|stored| stored.version),
            acl: device.acl.clone(),
            fields: &device.fields,
        };
        let prepared = self.prepare(caller, &draft.schema, &draft.class, kind, object).await?;
        prepared.over(&mut device.fields);
        self.check_size(FieldsText::new(&device.fields).object_bytes())?;
        draft.prepared = Some((prepared.basis(stored), prepared));
        Ok(())
    }

    /// The device that is reached the same way, as long as there is its object.
    async fn known_device(&self, target: &str) -> Result<Option<(ObjectKey, Vec<u8>, Registration)>, AppError> {
        let Some(key) = self.device_at(TARGETS, target).await? else {
            return Ok(None);
        };
        let object = self.fetch_for(Errand::KeepDevices, DEVICE, &key).await?;
        Ok(match (object, self.registration(&key).await?) {
            (Some(_), Some((stored, registration))) => Some((key, stored, registration)),
            _ => None,
        })
    }

    /// The rules of a new device that come with none. Anybody in the original protocol; closed apps keep it to whoever
    /// registers it, who has the cookie besides, and to administrators.
    fn default_acl(&self, caller: &Principal) -> Option<Arc<Acl>> {
        match self.settings().profile {
            Profile::Baqend => None,
            Profile::Secure => {
                let owner = caller.user_id().map_or(ADMIN_ROLE.to_owned(), ToString::to_string);
                Some(Arc::new(Acl::private_to(&owner)))
            }
        }
    }

    /// The device whose cookie this is, as the caller sees it; `None` if there is none, or not any more.
    pub async fn registered_device(&self, caller: &Principal, cookie: &str) -> Result<Option<Seen>, AppError> {
        let Some(key) = self.device_of_cookie(cookie).await? else {
            return Ok(None);
        };
        let Some(object) = self.fetch_for(Errand::KeepDevices, DEVICE, &key).await? else {
            return Ok(None);
        };
        let schema = self.schema();
        let class = self.entity(&schema, DEVICE)?;
        Seen::new(&schema, class, &field_rights(caller, class), object).map(Some)
    }

    /// Deletes the device with this key if the cookie is its own, whatever its rules say; false if it is not.
    pub async fn delete_own_device(
        &self,
        caller: &Principal,
        cookie: &str,
        key: &ObjectKey,
        condition: Condition,
    ) -> Result<bool, AppError> {
        self.despite_other_writes((DEVICE, key), || {
            self.try_delete_own_device(caller, cookie, key, condition)
        })
        .await
    }

    async fn try_delete_own_device(
        &self,
        caller: &Principal,
        cookie: &str,
        key: &ObjectKey,
        condition: Condition,
    ) -> Result<bool, AppError> {
        if self.device_of_cookie(cookie).await?.as_ref() != Some(key) {
            return Ok(false);
        }
        let Some((registration, _)) = self.registration(key).await? else {
            return Ok(false);
        };
        let mut basis = None;
        if self.has_code_before(caller, DEVICE, CodeType::Delete) {
            let schema = self.schema();
            let class = self.entity(&schema, DEVICE)?;
            let id = Self::id_of(class, key);
            let stored = self.before_image(DEVICE, key).await?;
            if let Some(stored) = &stored {
                condition
                    .check(Some(stored))
                    .map_err(|refusal| AppError::from_refusal(refusal, &id.to_string()))?;
                self.before_delete(caller, class, &id).await?;
            }
            basis = Some(Basis::Object(stored));
        }
        self.try_remove_device(key, registration, condition, basis).await?;
        Ok(true)
    }
}

/// What becomes of a device's object.
struct Draft {
    schema: Arc<Schema>,
    class: Arc<Class>,
    id: ObjectId,
    /// Members of what the client sent.
    names: Vec<String>,
    fields: Map<String, Value>,
    acl: Option<Arc<Acl>>,
    default_acl: Option<Arc<Acl>>,
    platform: &'static str,
    is_new: bool,
    /// What code makes of it, and of what.
    prepared: Option<(Basis, Prepared)>,
}

impl Draft {
    fn check_size(&self) -> Result<(), AppError> {
        let bytes = Value::Object(self.fields.clone()).to_string().len();
        if bytes <= MAX_DEVICE {
            return Ok(());
        }
        let text = format!("the device has {bytes} bytes, at most {MAX_DEVICE} are allowed");
        Err(AppError::TooLarge(text))
    }

    /// The device as it is to be without code; `None` if it is that already.
    fn make(&self, before: Option<&Stored>, now: Timestamp) -> Result<Option<Document>, Refusal> {
        let mut device = match (before, self.is_new) {
            (None, true) => Document {
                id: self.id.clone(),
                version: Version::FIRST,
                created_at: now,
                updated_at: now,
                acl: self.acl.clone().or_else(|| self.default_acl.clone()),
                fields: self.fields.clone(),
            },
            (Some(stored), false) => {
                let read = Document::open(self.id.clone(), stored);
                let mut device = read.map_err(|e| AppError::internal("reading a device", e).refuse())?;
                self.schema.complete(&self.class, &mut device.fields);
                device
            }
            (None, false) => return Err(Refusal::Missing),
            (Some(_), true) => return Err(Refusal::Exists),
        };
        let old = before.map(|_| (device.fields.clone(), device.acl.clone()));
        for name in &self.names {
            if let Some(value) = self.fields.get(name) {
                device.fields.insert(name.clone(), value.clone());
            }
        }
        device.fields.insert("deviceOs".to_owned(), json!(self.platform));
        if self.acl.is_some() {
            device.acl = self.acl.clone();
        }
        if old.is_some_and(|(fields, acl)| device.fields == fields && device.acl == acl) {
            return Ok(None);
        }
        Ok(Some(device))
    }

    fn write(self) -> ObjectWrite {
        let grant = system(Errand::KeepDevices).grant(self.class.name());
        let (key, checked_under) = (self.id.key().clone(), self.schema.rev());
        let decide = move |before: Option<&Stored>, moment: Moment| {
            if let Some((basis, _)) = &self.prepared {
                basis.check(before)?;
            }
            let Some(mut device) = self.make(before, moment.now)? else {
                return Ok(Effect::Keep);
            };
            if let Some((_, prepared)) = &self.prepared {
                prepared.over(&mut device.fields);
                device.acl = prepared.acl(NewAcl::Set(device.acl)).over(before);
                // It says how messages get there.
                device.fields.insert("deviceOs".to_owned(), json!(self.platform));
            }
            if let Some(stored) = before {
                device.version = stored.version.next();
                device.updated_at = moment.now;
            }
            Ok(Effect::Put(device.store(self.class.shape())))
        };
        ObjectWrite {
            grant,
            key,
            checked_under,
            decide: Box::new(decide),
        }
    }
}

// `db.Device`: registered devices and messages to them.
'use strict';

const { StatusCode } = require('./connector');
const { Entity } = require('./entity');
const { EntityFactory } = require('./factories');

class PushMessage {
  /** `options`: an object, or a sound, followed by `badge` and `data`. */
  constructor(devices, message, subject, options, badge, data) {
    if (devices instanceof Set) this.devices = devices;
    else if (devices instanceof Entity) this.devices = new Set([devices]);
    else if (!devices || devices[Symbol.iterator]) this.devices = new Set(devices);
    else throw new Error('Only Sets, Lists and Arrays can be used as devices.');
    this.message = message;
    this.subject = subject;
    Object.assign(this, typeof options === 'string' ? { sound: options, badge, data } : options);
  }

  addDevice(device) {
    this.devices.add(device);
  }

  toJSON() {
    if (!this.devices || !this.devices.size) throw new Error('Set of devices is empty.');
    return { ...this, devices: Array.from(this.devices, (device) => device.id) };
  }
}

class DeviceFactory extends EntityFactory {
  get PushMessage() {
    return PushMessage;
  }

  get me() {
    return this.db.deviceMe;
  }

  get isRegistered() {
    return this.db.isDeviceRegistered;
  }

  loadWebPushKey() {
    return this.db.send({ method: 'GET', path: '/config/VAPIDPublicKey', ok: [200], responseType: 'arraybuffer' })
      .then((response) => response.entity);
  }

  register(os, tokenOrSubscription, device, done, fail) {
    if (typeof device === 'function') return this.register(os, tokenOrSubscription, null, device, done);
    const subscription = typeof tokenOrSubscription === 'string' ? { token: tokenOrSubscription } : tokenOrSubscription;
    return this.db.registerDevice(os, subscription, device).then(done, fail);
  }

  push(pushMessage, done, fail) {
    return this.db.pushDevice(pushMessage).then(done, fail);
  }
}

/** Methods of EntityManager. */
const registration = {
  registerDevice(devicetype, subscription, device) {
    return this.send({
      method: 'POST', path: '/db/Device/register', ok: [200], body: { devicetype, subscription, device }, type: 'json',
    }).then((response) => this._updateDevice(response.entity));
  },

  checkDeviceRegistration() {
    return this.send({ method: 'GET', path: '/db/Device/registered', ok: [200] }).then(() => true, (error) => {
      if (error.status === StatusCode.OBJECT_NOT_FOUND) return false;
      throw error;
    });
  },

  pushDevice(pushMessage) {
    return this.send({ method: 'POST', path: '/db/Device/push', ok: [204], body: pushMessage.toJSON(), type: 'json' });
  },

  _updateDevice(json) {
    const device = this.getReference(json.id);
    const state = device._metadata;
    state.type.fromJsonValue(state, json, device, { persisting: true });
    this.deviceMe = device;
    return device;
  },
};

module.exports = { DeviceFactory, PushMessage, registration };

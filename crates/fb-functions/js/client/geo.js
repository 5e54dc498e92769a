// Points on Earth.
'use strict';

const KILOMETERS = 6371; // radius of the Earth
const MILES = 3956;
const RAD = Math.PI / 180;

class GeoPoint {
  /** `(latitude, longitude)`, `'lat;lng'`, `[lat, lng]` or `{latitude, longitude}`; `(0, 0)` if there is nothing. */
  constructor(latitude, longitude) {
    let lat = typeof latitude === 'number' ? latitude : 0;
    let lng = typeof longitude === 'number' ? longitude : 0;
    if (typeof latitude === 'string') {
      const cut = latitude.indexOf(';');
      lat = Number(latitude.substring(0, cut));
      lng = Number(latitude.substring(cut + 1));
    } else if (Array.isArray(latitude)) {
      [lat, lng] = latitude;
    } else if (typeof latitude === 'object') {
      lat = latitude.latitude;
      lng = latitude.longitude;
    }
    this.longitude = lng;
    this.latitude = lat;
    if (lat < -90 || lat > 90) throw new Error(`Latitude ${lat} is not in bound of -90 <= latitude <= 90`);
    if (lng < -180 || lng > 180) throw new Error(`Longitude ${lng} is not in bound of -180 <= longitude <= 180`);
  }

  static current() {
    return Promise.reject(new Error('This seems not to be a browser context.'));
  }

  kilometersTo(point) {
    return Number((KILOMETERS * this.radiansTo(point)).toFixed(3));
  }

  milesTo(point) {
    return Number((MILES * this.radiansTo(point)).toFixed(3));
  }

  /** Length of the great circle between the points, in radians: spherical law of cosines. */
  radiansTo(point) {
    const a = this.latitude * RAD;
    const b = point.latitude * RAD;
    const angle = (point.longitude - this.longitude) * RAD;
    return Math.acos((Math.sin(a) * Math.sin(b)) + (Math.cos(a) * Math.cos(b) * Math.cos(angle)));
  }

  toString() {
    return `${this.latitude};${this.longitude}`;
  }

  toJSON() {
    return { latitude: this.latitude, longitude: this.longitude };
  }
}
GeoPoint.DEG_TO_RAD = RAD;
GeoPoint.EARTH_RADIUS_IN_KILOMETERS = KILOMETERS;
GeoPoint.EARTH_RADIUS_IN_MILES = MILES;

module.exports = { GeoPoint };

// The clock of `performance`, with marks and measures of the running code only.
const began = native.now();
const entries = [];
const MOST = 1000;
native.keep(() => entries.length, (n) => {
  entries.length = Math.min(n, entries.length);
});

function note(entry) {
  if (entries.length < MOST) entries.push(entry);
  return entry;
}

function at(mark, otherwise) {
  if (mark === undefined) return otherwise;
  if (typeof mark === 'number') return mark;
  const found = entries.findLast((entry) => entry.entryType === 'mark' && entry.name === mark);
  if (found === undefined) throw new DOMException(`The "${mark}" performance mark has not been set`, 'SyntaxError');
  return found.startTime;
}

const performance = {
  now: () => native.now() - began,
  get timeOrigin() {
    return Date.now() - performance.now();
  },
  mark: (name, options) => note({ name: `${name}`, entryType: 'mark', startTime: options?.startTime ?? performance.now(), duration: 0, detail: options?.detail ?? null }),
  measure(name, from, to) {
    const [start, end] = typeof from === 'object' && from !== null ? [from.start, from.end] : [from, to];
    const startTime = at(start, 0);
    return note({ name: `${name}`, entryType: 'measure', startTime, duration: at(end, performance.now()) - startTime, detail: null });
  },
  clearMarks: (name) => remove('mark', name),
  clearMeasures: (name) => remove('measure', name),
  getEntries: () => entries.slice(),
  getEntriesByName: (name, type) => entries.filter((entry) => entry.name === name && (type === undefined || entry.entryType === type)),
  getEntriesByType: (type) => entries.filter((entry) => entry.entryType === type),
  timerify: (callback) => callback,
  toJSON: () => ({ timeOrigin: performance.timeOrigin }),
};

function remove(type, name) {
  for (let i = entries.length - 1; i >= 0; i--) {
    if (entries[i].entryType === type && (name === undefined || entries[i].name === name)) entries.splice(i, 1);
  }
}

module.exports = { performance };

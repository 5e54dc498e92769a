// Table and plot of results. Pure.

const LOADS = [['cold', 'cold'], ['warm', 'warm'], ['updated', 'warm, 5 updates']];
const COLOURS = ['#1b6e53', '#8fc7b3', '#27548a', '#9db9d9', '#6b4a8a', '#c3b1d6', '#c79a00', '#e8d184', '#8a6d1f', '#b44c2e', '#e3b09f'];

const median = (numbers) => {
  const sorted = [...numbers].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
};
const medians = (runs, load, what) => median(runs.map((run) => run[load][what]));
const mean = (runs) => LOADS.reduce((sum, [load]) => sum + medians(runs, load, 'ms'), 0) / LOADS.length;

/** Markdown. */
export function table({ machine, build, delayMs, edgeDelayMs, systems, ratios, results }) {
  const runs = systems.map(({ name }) => results[name].length);
  const row = (cells) => `| ${cells.join(' | ')} |`;
  const rows = systems.map(({ name, title }) => {
    const cells = LOADS.map(([load]) => {
      const times = results[name].map((run) => run[load].ms);
      return `${medians(results[name], load, 'ms')} (${Math.min(...times)}–${Math.max(...times)})`;
    });
    return row([title, ...cells, Math.round(mean(results[name]))]);
  });
  const counts = systems.map(({ name, title }) => {
    const cells = LOADS.map(([load]) => `${medians(results[name], load, 'requests')} + ${medians(results[name], load, 'files')}`);
    return row([title, ...cells]);
  });
  const far = systems.filter(({ name }) => results[name][0].cold.far !== undefined)
    .map(({ name, title }) => row([title, ...LOADS.map(([load]) => medians(results[name], load, 'far'))]));
  const factors = ratios.map(([slow, fast]) => {
    const cells = LOADS.map(([load]) => (medians(results[slow], load, 'ms') / medians(results[fast], load, 'ms')).toFixed(1));
    const titles = [slow, fast].map((wanted) => systems.find(({ name }) => name === wanted).title);
    return row([titles.join(' : '), ...cells, (mean(results[slow]) / mean(results[fast])).toFixed(1)]);
  });
  const head = LOADS.map(([, title]) => title).join(' | ');
  return `Milliseconds until the last image is there; median of ${Math.min(...runs)} visitors (least–most). ${delayMs} ms each way to the server, ${edgeDelayMs} ms to an edge:

| | ${head} | mean of the three |
| --- | --- | --- | --- | --- |
${rows.join('\n')}

Requests of the browser, dynamic + for the page and its scripts:

| | ${head} |
| --- | --- | --- | --- |
${counts.join('\n')}

Those of the edge to the server, over the long line:

| | ${head} |
| --- | --- | --- | --- |
${far.join('\n')}

How many times as long the first one takes:

| | ${head} | mean of the three |
| --- | --- | --- | --- | --- |
${factors.join('\n')}

Freshbase: ${build}. ${machine}
`;
}

/** An SVG: one bar per load and system. */
export function plot({ delayMs, edgeDelayMs, systems, results }) {
  const [width, height, left, top, bottom] = [1240, 420, 60, 104, 40];
  const most = Math.max(...systems.flatMap(({ name }) => LOADS.map(([load]) => medians(results[name], load, 'ms'))));
  const step = most > 2500 ? 1000 : 500;
  const scale = Math.ceil(most / step) * step;
  const y = (ms) => height - bottom - (ms / scale) * (height - top - bottom);
  const group = (width - left - 10) / LOADS.length;
  const bar = (group - 30) / systems.length;
  const grid = Array.from({ length: scale / step + 1 }, (_, i) => i * step).map((ms) => `<path d="M${left} ${y(ms)}H${width - 10}" stroke="#ddd"/>`
    + `<text x="${left - 8}" y="${y(ms) + 4}" text-anchor="end">${ms}</text>`);
  const bars = LOADS.flatMap(([load, title], g) => [
    ...systems.map(({ name }, s) => {
      const ms = medians(results[name], load, 'ms');
      const x = left + g * group + 15 + s * bar;
      return `<rect x="${x.toFixed(1)}" y="${y(ms).toFixed(1)}" width="${(bar - 4).toFixed(1)}" height="${(height - bottom - y(ms)).toFixed(1)}" fill="${COLOURS[s]}"/>`
        + `<text x="${(x + (bar - 4) / 2).toFixed(1)}" y="${(y(ms) - 5).toFixed(1)}" text-anchor="middle">${Math.round(ms)}</text>`;
    }),
    `<text x="${(left + g * group + group / 2).toFixed(1)}" y="${height - bottom + 20}" text-anchor="middle">${title}</text>`,
  ]);
  const legend = systems.map(({ title }, s) => {
    const [x, line] = [left + Math.floor(s / 3) * 270, 30 + (s % 3) * 20];
    return `<rect x="${x}" y="${line}" width="11" height="11" fill="${COLOURS[s]}"/><text x="${x + 16}" y="${line + 10}">${title}</text>`;
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="12">
<rect width="${width}" height="${height}" fill="#fff"/>
<text x="${left}" y="18" font-size="14">Page load in ms, ${delayMs} ms each way to the server, ${edgeDelayMs} ms to an edge: 3 streams, 30 news, 30 images</text>
${[...legend, ...grid, ...bars].join('\n')}
</svg>
`;
}

// Writes down what real Node makes of the cases: `node tests/node/record.mjs [name …]`, with Node 20.
import { createRequire } from 'node:module';
import { readdirSync, writeFileSync } from 'node:fs';

const require = createRequire(import.meta.url);
const folder = new URL('.', import.meta.url);
const run = require('./run.js');
const wanted = process.argv.slice(2);
for (const file of readdirSync(folder)) {
  // What Node does not have is checked by hand-written expectations.
  const name = file.replace(/\.js$/, '');
  if (!file.endsWith('.js') || file === 'run.js' || name.startsWith('own-')) continue;
  if (wanted.length > 0 && !wanted.includes(name)) continue;
  const results = await run(require(`./${file}`));
  writeFileSync(new URL(`${name}.json`, folder), `${JSON.stringify(results, null, 1)}\n`);
}

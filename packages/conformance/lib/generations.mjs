// The SDK generations under test and where their packages and specs are.

import { readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';

export const PACKAGE_DIR = path.resolve(import.meta.dirname, '..');
const SPEC_SUFFIX = '.spec.js';

const here = (file) => path.join(import.meta.dirname, file);
const MOCHA_10 = ['--no-config', '--no-package'];

// `alone`: spec files that nothing else may run beside. `user` revokes all tokens of root, which every other
// process holds; a server that enforces this strictly would fail them for a reason that is not theirs.
//
// `apart`: spec files that want a server of their own. A server ends all WebSockets when the schema changes, which every
// other file does, and streams of events do not connect again. They mostly wait, so that they cost little beside the others.
const TABLE = {
  v4: { sdk: 'baqend-v4', mocha: 'mocha-v4', mochaArgs: MOCHA_10, alone: ['user'], apart: [] },
  v3: {
    sdk: 'baqend-v3',
    mocha: 'mocha-v4',
    mochaArgs: [...MOCHA_10, '--ui', here('unskip.cjs'), '--require', here('chai-as-promised.cjs')],
    alone: ['user'],
    apart: ['streamingquery'],
  },
  v2: { sdk: 'baqend-v2', mocha: 'mocha-v2', mochaArgs: [], alone: ['user'], apart: ['streamingquery'] },
};

export const GENERATION_NAMES = Object.keys(TABLE);

/**
 * @returns {{ name: string, label: string, sdkDir: string, mochaBin: string, mochaArgs: string[], alone: string[],
 *   apart: string[], specFiles: string[] }} `specFiles` are names without suffix, sorted
 */
export function loadGeneration(name) {
  const { sdk, mocha, mochaArgs, alone, apart } = TABLE[name];
  const sdkDir = path.join(PACKAGE_DIR, 'node_modules', sdk);
  let manifest;
  try {
    manifest = JSON.parse(readFileSync(path.join(sdkDir, 'package.json'), 'utf8'));
  } catch (cause) {
    throw new Error(`${sdk} is not installed, run "npm ci" in the directory of this package first`, { cause });
  }
  return {
    name,
    label: `${manifest.name}@${manifest.version}`,
    sdkDir,
    mochaBin: path.join(PACKAGE_DIR, 'node_modules', mocha, 'bin', '_mocha'),
    mochaArgs,
    alone,
    apart,
    specFiles: readdirSync(path.join(sdkDir, 'spec'))
      .filter((file) => file.endsWith(SPEC_SUFFIX))
      .map((file) => file.slice(0, -SPEC_SUFFIX.length))
      .sort(),
  };
}

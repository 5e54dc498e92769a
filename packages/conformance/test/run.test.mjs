// The command line as a whole; nothing listens on port 9, so only tests that need no server pass.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';

import { checkExpected } from '../compare.mjs';
import { GENERATION_NAMES, loadGeneration, PACKAGE_DIR } from '../lib/generations.mjs';
import { fakeBinary, LISTEN, tempDir } from './fixture.mjs';

const NOWHERE = ['--url', 'http://127.0.0.1:9/v1'];

function runCli(...args) {
  const script = path.join(PACKAGE_DIR, 'run.mjs');
  const { status, stdout, stderr } = spawnSync(process.execPath, [script, ...args], { encoding: 'utf8' });
  return { status, stdout, stderr, lastLine: stdout.trimEnd().split('\n').at(-1) };
}

test('expected passes end with exit code 0 and the closing line', () => {
  const { status, lastLine } = runCli(...NOWHERE, '--generation', 'v4', '--file', 'deploy', '--file', 'geopoint');
  assert.equal(lastLine, '8 passed, 0 failed, 0 skipped');
  assert.equal(status, 0);
});

test('regressions end with exit code 1 and are listed with their error', (t) => {
  const report = path.join(tempDir(t), 'out.json');
  const { status, stdout, lastLine } = runCli(...NOWHERE, '--generation', 'v4', '--file', 'emf', '--report', report);
  assert.equal(status, 1);
  assert.equal(lastLine, '1 passed, 6 failed, 0 skipped');
  assert.match(stdout, /Regressions \(6\)[^]*should connect to destination: failed\n\s+\w*Error: .*ECONNREFUSED/);
  const { tests, regressions } = JSON.parse(readFileSync(report, 'utf8')).generations.v4.files.emf;
  assert.deepEqual([tests.length, regressions.length], [7, 6]);
});

test('update adds what passes, keeps what regressed, and still reports the regression', (t) => {
  const dir = tempDir(t);
  const expectedOf = () => JSON.parse(readFileSync(path.join(dir, 'v4.json'), 'utf8'));
  const connect = { status: 'full', tests: 2 };
  writeFileSync(path.join(dir, 'v4.json'), JSON.stringify({ connect }));
  const args = [...NOWHERE, '--expected', dir, '--generation', 'v4', '--file', 'connect', '--file', 'emf', '--file', 'geopoint'];

  const without = runCli(...args);
  assert.equal(without.status, 1);
  assert.match(without.stdout, /^6 new passes, run with --update to add them$/m);
  assert.deepEqual(expectedOf(), { connect });

  assert.equal(runCli(...args, '--update').status, 1);
  assert.deepEqual(expectedOf(), {
    connect,
    emf: { status: 'partial', passing: ['Test EntityManagerFactory should reject connect to invalid destination'] },
    geopoint: { status: 'full', tests: 5 },
  });
  assert.doesNotMatch(runCli(...args).stdout, /new passes/);
});

test('with --server each generation gets a server of its own', (t) => {
  const binary = fakeBinary(t, `${LISTEN} note(dataDir);`);
  const { status, stdout } = runCli('--server', binary.file, '--file', 'geopoint');
  const urls = [...stdout.matchAll(/^v\d +baqend@\S+ against http:\/\/127\.0\.0\.1:\d+\/v1$/gm)];
  assert.equal(urls.length, GENERATION_NAMES.length, stdout);
  assert.equal(new Set(binary.notes().trim().split('\n')).size, GENERATION_NAMES.length);
  assert.match(stdout, /v2 geopoint\n {4}"before all" hook: hook failed/); // v2 logs in first, which the stand-in cannot
  assert.equal(status, 1);
});

test('the suite of live queries has a server of its own, unless it runs alone', (t) => {
  const serversOf = (...files) => {
    const binary = fakeBinary(t, `${LISTEN} note(dataDir);`);
    const args = files.flatMap((file) => ['--file', file]);
    runCli('--server', binary.file, '--generation', 'v3', ...args, '--file-timeout', '5');
    return new Set(binary.notes().trim().split('\n')).size;
  };
  assert.equal(serversOf('geopoint', 'streamingquery'), 2);
  assert.equal(serversOf('streamingquery'), 1);
});

test('a server that cannot start or dies is told, and ends with exit code 1 and the closing line', (t) => {
  for (const body of ['process.exit(7);', `${LISTEN} server.on('request', ({ url }) => url.startsWith('/v1') && process.exit(7));`]) {
    const binary = fakeBinary(t, body);
    const { status, stdout, lastLine } = runCli('--server', binary.file, '--generation', 'v4', '--file', 'geopoint', '--file', 'types');
    assert.equal(status, 1);
    assert.match(stdout, /^v4: the server ended by itself \(exit code 7\)/m);
    assert.match(lastLine, /^\d+ passed, [1-9]\d* failed, \d+ skipped$/);
  }
});

test('failures of a file that is in no list leave the exit code alone, but are counted', () => {
  const { status, stdout, lastLine } = runCli(...NOWHERE, '--generation', 'v2', '--file', 'guide');
  assert.equal(status, 0, stdout);
  assert.match(lastLine, /^0 passed, \d+ failed, \d+ skipped$/);
});

test('wrong usage ends with exit code 2 and says what is wrong', () => {
  for (const [args, message] of [
    [[], /exactly one of --server, --url and --list/],
    [['--url', 'http://127.0.0.1:9/v1/'], /without a slash/],
    [[...NOWHERE, '--server', 'x'], /exactly one/],
    [['--server', './no-such-binary'], /no file/],
    [[...NOWHERE, '--tls'], /--tls needs --server/],
    [[...NOWHERE, '--generation', 'v9'], /--generation must be/],
    [[...NOWHERE, '--file', 'crudd'], /no spec file crudd/],
    [[...NOWHERE, '--jobs', '0'], /--jobs must be/],
    [[...NOWHERE, '--what'], /--what/],
  ]) {
    const { status, stderr } = runCli(...args);
    assert.equal(status, 2, args.join(' '));
    assert.match(stderr, message);
  }
});

for (const name of GENERATION_NAMES) {
  test(`${name}: the committed expected list is well formed and promises no more tests than there are`, () => {
    const { specFiles } = loadGeneration(name);
    const expected = JSON.parse(readFileSync(path.join(PACKAGE_DIR, 'expected', `${name}.json`), 'utf8'));
    checkExpected(expected, specFiles);
    const { stdout, status } = runCli('--list', '--generation', name);
    assert.equal(status, 0);
    for (const [file, { tests = 0 }] of Object.entries(expected)) {
      const [, count] = stdout.match(new RegExp(`^  ${file} +(\\d+) tests`, 'm'));
      assert.ok(tests <= Number(count), `${file}: ${tests} expected, ${count} exist`);
    }
  });
}

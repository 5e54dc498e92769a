#!/usr/bin/env node
// Runs spec files of the published SDK with our client in the SDK's place.
//
//   node specs.mjs --server <binary> [file …]
//
// Exit code 0 if exactly the tests fail that excused.json names. The last line is "N passed, N excused, N failed".
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';

import { loadGeneration } from '../conformance/lib/generations.mjs';
import { runSpecs } from '../conformance/lib/schedule.mjs';
import { startServer } from '../conformance/lib/server.mjs';

const FILE_TIMEOUT_MS = 240_000;
const FILES = ['acl', 'crud', 'emf', 'enhancer', 'file', 'geopoint', 'json', 'log', 'metamodel', 'partialupdates',
  'query', 'types', 'user'];

const { values, positionals } = parseArgs({
  options: { server: { type: 'string' } }, allowPositionals: true,
});
if (!values.server) throw new Error('say which binary to start: --server <binary>');

/** Reasons by title, by file. */
const excused = JSON.parse(readFileSync(path.join(import.meta.dirname, 'excused.json'), 'utf8'));
const generation = loadGeneration('v4');
generation.mochaArgs = [...generation.mochaArgs, '--require', path.join(import.meta.dirname, 'lib/use-client.cjs')];

const tmpDir = mkdtempSync(path.join(tmpdir(), 'functions-client-'));
const server = await startServer(values.server);
const sum = { passed: 0, excused: 0, failed: 0 };
try {
  await runSpecs(generation, positionals.length ? positionals : FILES, {
    jobs: 2,
    url: `${server.origin}/v1`,
    tmpDir,
    timeoutMs: FILE_TIMEOUT_MS,
    signal: server.died,
    onReport(file, { tests, hooks, crash, seconds }) {
      const reasons = excused[file] ?? {};
      const count = { passed: 0, excused: 0, failed: 0 };
      const problems = hooks.filter(({ title }) => !reasons[title]).map(({ title, error }) => `${title}\n${error}`);
      if (crash) problems.push(crash);
      for (const { key, status, error } of tests) {
        if (status === 'skipped') continue;
        if (status === 'passed') {
          count.passed += 1;
          if (reasons[key]) problems.push(`${key}: passes now, take it out of excused.json`);
        } else if (reasons[key]) {
          count.excused += 1;
        } else {
          problems.push(`${key}: ${status}\n${error ?? ''}`);
        }
      }
      count.failed = problems.length;
      for (const name of Object.keys(sum)) sum[name] += count[name];
      console.log(`${file.padEnd(18)}${count.passed} passed, ${count.excused} excused, ${count.failed} failed  ${seconds.toFixed(1)} s`);
      for (const problem of problems) console.log(problem.replace(/^/gm, '    '));
    },
  });
} finally {
  const complaint = await server.stop();
  if (complaint) {
    console.log(complaint);
    sum.failed += 1;
  }
  rmSync(tmpDir, { recursive: true });
}
console.log(`${sum.passed} passed, ${sum.excused} excused, ${sum.failed} failed`);
process.exitCode = sum.failed ? 1 : 0;

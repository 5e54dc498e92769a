#!/usr/bin/env node
// Runs the test suites of the published baqend SDKs against a Freshbase server and compares with the expected passes.

import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';

import { addPasses, checkExpected, compareFile } from './compare.mjs';
import { GENERATION_NAMES, loadGeneration, PACKAGE_DIR } from './lib/generations.mjs';
import { runSpec } from './lib/mocha.mjs';
import { totals } from './lib/report.mjs';
import { runSpecs } from './lib/schedule.mjs';
import { startServer } from './lib/server.mjs';

const HELP = `Runs the test suites of the published baqend SDKs against a Freshbase server.

Usage
  node run.mjs --server <binary> [options]   start fresh servers for each generation
  node run.mjs --url <url> [options]         use a running server, e.g. http://127.0.0.1:8080/v1
  node run.mjs --list [options]              list spec files with their number of tests, run nothing

Which tests
  --generation v4|v3|v2|all   SDK generation (default: all)
  --file <name>            only this spec file, e.g. crud; may be repeated
  --all                    all spec files, also those that are not in the expected list
  --expected <dir>         directory of the expected lists v4.json, v3.json and v2.json (default: expected/ of this package)

How
  --jobs <n>               spec files run at the same time (default: 2, see README)
  --file-timeout <s>       kill mocha when one file takes longer (default: 240)
  --tls                    over HTTPS, with a certificate that is made for the run; needs --server
  --twice                  on one database twice, the second time over HTTPS; needs --server
  --server-log <path>      append all output of the started server to this file

Result
  --update                 add new passes to the expected lists; never removes or lowers anything
  --report <path>          write every test result as JSON
  --verbose                also show failures that are no regression (implied by --file)
  --help                   this text

A server given with --url needs an empty database, compatibility mode and the user root with password root.

Exit code: 0 when everything in the expected lists passes, 1 for a regression or a crashed or hanging mocha or server,
2 when nothing could be run. The last line is "N passed, N failed, N skipped". Failures that are no regression leave the
exit code at 0; they count as failed with --file and --all, and as skipped in a run of the expected lists.
`;

const MAX_ERRORS_PER_FILE = 20;
const NAME_WIDTH = 'v4 again'.length;

class UsageError extends Error {}

function readOptions(args) {
  let values;
  try {
    ({ values } = parseArgs({
      args,
      options: {
        server: { type: 'string' },
        url: { type: 'string' },
        list: { type: 'boolean' },
        generation: { type: 'string', default: 'all' },
        file: { type: 'string', multiple: true, default: [] },
        all: { type: 'boolean' },
        expected: { type: 'string', default: path.join(PACKAGE_DIR, 'expected') },
        jobs: { type: 'string', default: '2' },
        'file-timeout': { type: 'string', default: '240' },
        'server-log': { type: 'string' },
        tls: { type: 'boolean' },
        twice: { type: 'boolean' },
        update: { type: 'boolean' },
        report: { type: 'string' },
        verbose: { type: 'boolean' },
        help: { type: 'boolean', short: 'h' },
      },
    }));
  } catch (error) {
    throw new UsageError(error.message);
  }
  if (values.help) return values;

  if ([values.server, values.url, values.list].filter(Boolean).length !== 1) {
    throw new UsageError('give exactly one of --server, --url and --list');
  }
  if (values.url && !/^https?:\/\/[^/]+\/\w+$/.test(values.url)) {
    throw new UsageError(`--url must be scheme://host[:port]/v1 without a slash at the end, not ${values.url}`);
  }
  if (values.server && !existsSync(values.server)) throw new UsageError(`--server: there is no file ${values.server}`);
  if (values['server-log'] && !values.server) throw new UsageError('--server-log needs --server');
  if (values.tls && !values.server) throw new UsageError('--tls needs --server');
  if (values.twice && !values.server) throw new UsageError('--twice needs --server');
  if (values.twice && values.tls) throw new UsageError('--twice and --tls exclude each other');
  if (values.all && values.file.length > 0) throw new UsageError('--all and --file exclude each other');
  if (values.generation !== 'all' && !GENERATION_NAMES.includes(values.generation)) {
    throw new UsageError(`--generation must be one of ${GENERATION_NAMES.join(', ')}, all`);
  }
  for (const name of ['jobs', 'file-timeout']) {
    if (!/^[1-9]\d*$/.test(values[name])) throw new UsageError(`--${name} must be a positive integer`);
  }
  return values;
}

/** The generations to run, each with its expected list and the spec files that were asked for. */
function selectSuites(options) {
  const names = options.generation === 'all' ? GENERATION_NAMES : [options.generation];
  const suites = names.map((name) => {
    const generation = loadGeneration(name);
    const expectedPath = path.join(options.expected, `${name}.json`);
    const expected = JSON.parse(readFileSync(expectedPath, 'utf8'));
    checkExpected(expected, generation.specFiles);
    const wanted = options.all || options.list
      ? () => true
      : (file) => Object.hasOwn(expected, file);
    const files = generation.specFiles.filter(options.file.length > 0 ? (file) => options.file.includes(file) : wanted);
    return { generation, expectedPath, expected, files };
  });

  const unknown = options.file.filter((file) => !suites.some((suite) => suite.files.includes(file)));
  if (unknown.length > 0) {
    const known = [...new Set(suites.flatMap((suite) => suite.generation.specFiles))].sort();
    throw new UsageError(`no spec file ${unknown.join(', ')}; there are ${known.join(', ')}`);
  }
  return suites.filter((suite) => suite.files.length > 0);
}

/**
 * Runs one generation, once or twice on the same server and database, the second time over HTTPS. Resolves with a list of
 * rounds: the results by file, and the server's complaint if it has one.
 */
async function runSuite({ generation, expectedPath, expected, files }, options, { tmpDir, abort }) {
  const rounds = [];
  const servers = [];
  let complaint = null;
  try {
    if (options.server) {
      const start = () => startServer(options.server, { logPath: options['server-log'], tls: options.tls || options.twice });
      servers.push(await start());
      const isApart = (file) => generation.apart.includes(file);
      if (files.some(isApart) && !files.every(isApart)) servers.push(await start());
    }
    for (const overTls of options.twice ? [false, true] : [options.tls]) {
      const targets = options.server ? servers.map((server) => targetOf(server, overTls)) : [{ url: options.url }];
      const [target, apart = null] = targets;
      const results = {};
      rounds.push({ generation, expectedPath, expected, url: target.url, results, complaint: null });
      const isAgain = rounds.length > 1;
      const name = isAgain ? `${generation.name} again` : generation.name;
      console.log(`${name.padEnd(NAME_WIDTH)}  ${generation.label} against ${target.url}${isAgain ? ', on the same database' : ''}`);
      await runSpecs(generation, files, {
        ...target,
        apart,
        tmpDir,
        jobs: Number(options.jobs),
        timeoutMs: Number(options['file-timeout']) * 1000,
        signal: AbortSignal.any([abort, ...servers.map((server) => server.died)]),
        onReport: (file, report) => {
          const overHttps = target.url.startsWith('https:');
          const result = { ...report, totals: totals(report), ...compareFile(expected[file], report, overHttps) };
          results[file] = result;
          console.log(`${name.padEnd(NAME_WIDTH)}  ${fileLine(file, result, expected[file])}`);
        },
      });
    }
  } catch (error) {
    complaint = error.message;
  } finally {
    for (const server of servers) {
      if (server.died.aborted) complaint = server.died.reason.message;
      complaint = (await server.stop()) ?? complaint;
    }
  }
  if (rounds.length === 0) rounds.push({ generation, expectedPath, expected, url: options.url, results: {}, complaint });
  rounds.at(-1).complaint = complaint;
  return rounds;
}

function targetOf(server, overTls) {
  return overTls ? { url: `${server.tls.origin}/v1`, certPath: server.tls.certPath } : { url: `${server.origin}/v1` };
}

function fileLine(file, { totals: { passed, failed, skipped }, regressions, seconds }, entry) {
  const counts = [`${passed} passed`, failed && `${failed} failed`, skipped && `${skipped} skipped`].filter(Boolean);
  const excused = entry?.status === 'full' && failed > 0 ? `, ${failed} excused` : '';
  const verdict = regressions.length > 0 ? 'REGRESSION' : `${entry?.status ?? 'nothing expected'}${excused}`;
  return `${file.padEnd(18)}${counts.join(', ').padEnd(38)}${seconds.toFixed(1).padStart(6)} s  ${verdict}`;
}

const indent = (text, by) => text.replace(/^/gm, ' '.repeat(by));

function printProblems(heading, suites, problemsOf) {
  const groups = suites.flatMap(({ generation, results }) => Object.entries(results)
    .map(([file, result]) => ({ name: `${generation.name} ${file}`, problems: problemsOf(result) }))
    .filter(({ problems }) => problems.length > 0));
  if (groups.length === 0) return;

  const count = groups.reduce((sum, { problems }) => sum + problems.length, 0);
  console.log(`\n${heading} (${count})`);
  for (const { name, problems } of groups) {
    console.log(`\n  ${name}`);
    const notRun = problems.filter(({ reason }) => reason === 'not run');
    const told = problems.filter(({ reason }) => reason !== 'not run');
    for (const { title, reason, error } of told.slice(0, MAX_ERRORS_PER_FILE)) {
      console.log(`    ${title}: ${reason}${error === undefined ? '' : `\n${indent(error, 8)}`}`);
    }
    const rest = told.length - MAX_ERRORS_PER_FILE;
    if (rest > 0) console.log(`    … and ${rest} more, see --report`);
    if (notRun.length > 0) {
      console.log(`    ${notRun.length} tests did not run, the first is: ${notRun[0].title}`);
    }
  }
}

/** Failures of a file that are not in its list of regressions. */
function otherFailures({ tests, hooks, regressions }) {
  const known = new Set(regressions.map(({ title }) => title));
  return [
    ...hooks.map(({ title, error }) => ({ title, reason: 'hook failed', error })),
    ...tests.filter(({ status }) => status === 'failed' || status === 'not run')
      .map(({ key, status, error }) => ({ title: key, reason: status, error })),
  ].filter(({ title }) => !known.has(title));
}

function printNewPasses(suites, update) {
  const files = suites.flatMap(({ generation, results }) => Object.entries(results)
    .filter(([, result]) => result.newPasses > 0)
    .map(([file, result]) => ({ name: `${generation.name} ${file}`, ...result })));
  const count = files.reduce((sum, { newPasses }) => sum + newPasses, 0);
  if (count === 0) return;
  console.log(`\n${count} new passes${update ? '' : ', run with --update to add them'}`);
  for (const { name, newPasses } of files) console.log(`  ${name}: ${newPasses}`);
}

function updateExpected(suites) {
  for (const { expectedPath, expected, results } of suites) {
    const before = JSON.stringify(expected);
    const next = addPasses(expected, results);
    if (JSON.stringify(next) === before) continue;
    writeFileSync(expectedPath, `${JSON.stringify(next, null, 2)}\n`);
    console.log(`\nupdated ${path.relative(process.cwd(), expectedPath)}`);
  }
}

/**
 * Sums over all files. In a run of the expected lists, failures that are no regression count as skipped: they are excused,
 * or in a partly expected file and belong to what the server does not offer yet. `notYet` says how many they are.
 */
function sumTotals(suites, wholeFiles) {
  const sum = { passed: 0, failed: 0, skipped: 0 };
  let notYet = 0;
  for (const { results, complaint } of suites) {
    if (complaint) sum.failed += 1;
    for (const result of Object.values(results)) {
      for (const key of Object.keys(sum)) sum[key] += result.totals[key];
      if (!wholeFiles) notYet += Math.max(0, result.totals.failed - result.regressions.length);
    }
  }
  sum.failed -= notYet;
  sum.skipped += notYet;
  return { sum, notYet };
}

async function list(suites, context) {
  for (const { generation, expected, files } of suites) {
    console.log(`\n${generation.label}`);
    for (const file of files) {
      const { tests, crash } = await runSpec(generation, file, { ...context, timeoutMs: 60_000, list: true });
      if (crash) throw new Error(`${file}: ${crash}`);
      const entry = expected[file];
      const verdict = entry ? `${entry.status}, ${entry.tests ?? entry.passing.length} expected` : 'nothing expected';
      console.log(`  ${file.padEnd(18)}${String(tests.length).padStart(4)} tests  ${verdict}`);
    }
  }
}

async function run(suites, options, context) {
  // With servers of their own, the generations run at once: they mostly wait.
  const done = [];
  if (options.server) {
    done.push(...(await Promise.all(suites.map((suite) => runSuite(suite, options, context)))).flat());
  } else {
    for (const suite of suites) {
      if (!context.abort.aborted) done.push(...await runSuite(suite, options, context));
    }
  }

  if (options.verbose || options.file.length > 0) {
    printProblems('Failures that are no regression', done, otherFailures);
  }
  printProblems('Regressions', done, (result) => result.regressions);
  for (const { generation, complaint } of done) {
    if (complaint) console.log(`\n${generation.name}: ${complaint}`);
  }
  printNewPasses(done, options.update);
  if (options.update && !context.abort.aborted) updateExpected(done);

  const { sum, notYet } = sumTotals(done, options.all || options.file.length > 0);
  if (options.report) {
    const generations = Object.fromEntries(done.map(({ generation, url, results, complaint }, i) => [
      done.findIndex((other) => other.generation === generation) === i ? generation.name : `${generation.name} again`, { sdk: generation.label, url, serverProblem: complaint, files: results },
    ]));
    writeFileSync(options.report, `${JSON.stringify({ totals: sum, generations }, null, 2)}\n`);
  }

  const regressed = done.some(({ results, complaint }) => complaint
    || Object.values(results).some(({ regressions }) => regressions.length > 0));
  if (notYet > 0) console.log(`\n${notYet} failing tests are excused, or not expected to pass yet in a partly expected file`);
  console.log(`\n${sum.passed} passed, ${sum.failed} failed, ${sum.skipped} skipped`);
  return regressed || context.abort.aborted ? 1 : 0;
}

async function main() {
  const options = readOptions(process.argv.slice(2));
  if (options.help) {
    console.log(HELP);
    return 0;
  }
  const suites = selectSuites(options);
  if (suites.length === 0) throw new UsageError('no spec file is expected to pass yet, use --file or --all');

  const abort = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM']) {
    process.once(signal, () => abort.abort(new Error(`stopped by ${signal}`)));
  }
  const tmpDir = mkdtempSync(path.join(tmpdir(), 'freshbase-conformance-run-'));
  try {
    const context = { tmpDir, abort: abort.signal };
    if (options.list) {
      await list(suites, { tmpDir, signal: abort.signal });
      return 0;
    }
    return await run(suites, options, context);
  } finally {
    rmSync(tmpDir, { recursive: true, force: true });
  }
}

try {
  process.exitCode = await main();
} catch (error) {
  console.error(error instanceof UsageError ? `${error.message}\nSee node run.mjs --help` : error.stack);
  process.exitCode = 2;
}

// Runs the spec files of one generation, several at a time where that is safe.

import { runSpec } from './mocha.mjs';

/**
 * Starts files in the given order, `jobs` at a time; files of `generation.alone` follow one by one. `onReport` is called
 * in this order too, whichever process ends first, so that the output of two runs can be compared.
 *
 * @param {(file: string, report: Awaited<ReturnType<typeof runSpec>>) => void} onReport
 */
export async function runSpecs(generation, files, { jobs, onReport, ...specOptions }) {
  const isAlone = (file) => generation.alone.includes(file);
  const shared = files.filter((file) => !isAlone(file));
  const order = [...shared, ...files.filter(isAlone)];

  const finished = new Map();
  let reported = 0;
  const runOne = async (file) => {
    finished.set(file, await runSpec(generation, file, specOptions));
    for (; finished.has(order[reported]); reported += 1) {
      onReport(order[reported], finished.get(order[reported]));
    }
  };

  const queue = shared.values();
  const worker = async () => {
    for (const file of queue) {
      if (specOptions.signal?.aborted) return;
      await runOne(file);
    }
  };
  await Promise.all(Array.from({ length: jobs }, worker));
  for (const file of order.slice(shared.length)) {
    if (specOptions.signal?.aborted) return;
    await runOne(file);
  }
}

// Runs the spec files of one generation, several at a time where that is safe.

import { runSpec } from './mocha.mjs';

/**
 * Starts files in the given order, `jobs` at a time; files of `generation.alone` follow one by one. Those of
 * `generation.apart` run one by one beside all of them if there is a server of their own, else at the very end. `onReport`
 * is called in this order too, whichever process ends first, so that the output of two runs can be compared.
 *
 * @param {{ url: string, certPath?: string } | null} [apart] where a server for the files of `generation.apart` is
 * @param {(file: string, report: Awaited<ReturnType<typeof runSpec>>) => void} onReport
 */
export async function runSpecs(generation, files, { jobs, onReport, apart: apartServer = null, ...specOptions }) {
  const alone = files.filter((file) => generation.alone.includes(file));
  const apart = files.filter((file) => generation.apart.includes(file));
  const shared = files.filter((file) => !alone.includes(file) && !apart.includes(file));
  const order = [...shared, ...alone, ...apart];

  const finished = new Map();
  let reported = 0;
  /** Several of these on one queue share its files. */
  const work = async (queue, options = specOptions) => {
    for (const file of queue) {
      if (specOptions.signal?.aborted) return;
      finished.set(file, await runSpec(generation, file, options));
      for (; finished.has(order[reported]); reported += 1) {
        onReport(order[reported], finished.get(order[reported]));
      }
    }
  };

  const queue = shared.values();
  const onTheServer = async () => {
    await Promise.all(Array.from({ length: jobs }, () => work(queue)));
    await work(alone);
    if (!apartServer) await work(apart);
  };
  await Promise.all([onTheServer(), apartServer && work(apart, { ...specOptions, ...apartServer })]);
}

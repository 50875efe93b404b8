import { readFileSync, writeFileSync } from 'node:fs';
import { report } from '../../../cli/program.ts';
import { ensureWritable } from '../arguments.ts';
import { cpuOfProcess, parseStat } from '../processes.ts';
import { HELP, readOptions } from './options.ts';
import { describe, progress, resultOf } from './report.ts';
import { soak } from './run.ts';
import { openSetup, type Setup } from './setup.ts';

/** The soak: hours of traffic and reconnects, and what they do to the memory of agent and fabric. */

/** CPU seconds of this program, of what it has started and waited for, and of the two that are measured. */
function used({ agent, fabric }: Setup): number {
  const { own, reaped } = parseStat(readFileSync('/proc/self/stat', 'latin1'));
  return own + reaped + cpuOfProcess(agent.pid) + cpuOfProcess(fabric().pid);
}

async function main(argv: readonly string[]): Promise<number> {
  let close = async (): Promise<void> => {};
  try {
    const options = readOptions(argv);
    if (options.help) {
      process.stdout.write(HELP);
      return 0;
    }
    ensureWritable(options.json);
    const setup = await openSetup(options.mbit);
    close = () => setup.close();
    const interrupted = new Promise<number>((resolve) => {
      process.once('SIGINT', () => resolve(130));
      process.once('SIGTERM', () => resolve(143));
    });
    const [from, before] = [performance.now(), used(setup)];
    const measured = (async () => {
      const seen = await soak(setup, options.minutes, options.every * 1e3, (news) =>
        process.stderr.write(`${progress(news)}\n`),
      );
      const result = resultOf(seen);
      const cpu = (used(setup) - before) / ((performance.now() - from) / 1e3);
      process.stdout.write(`\n${describe(result, cpu)}\n`);
      if (options.json !== undefined) writeFileSync(options.json, `${JSON.stringify(result, null, 2)}\n`);
      return result.good ? 0 : 1;
    })();
    measured.catch(() => {}); // after an interruption its programs end under it
    return await Promise.race([measured, interrupted]);
  } catch (error) {
    return report('soak', error);
  } finally {
    await close();
  }
}

process.exit(await main(process.argv.slice(2)));

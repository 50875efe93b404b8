import { describeFindings, examine } from '../../cli/examine.ts';
import { queryJson, runQuery } from '../../os/linux/command.ts';
import { readTrimmed } from '../../os/linux/machine.ts';
import { PLATFORM, VERSION } from '../../os/service/process.ts';
import { isFailure } from '../../protocol/failure.ts';
import { mayUseTpm, renderConfig } from '../config/config.ts';
import { redact } from '../config/redact.ts';
import type { Check } from './check.ts';
import type { Probes } from './probes.ts';

/** What a report is made of besides the probes; a test brings its own. */
export interface Sources {
  /** The last lines of the service's log; undefined where there is no journal. */
  log(): Promise<string | undefined>;
  /** `ip -j` with these arguments; undefined where that does not work. */
  ip(...args: readonly string[]): Promise<unknown>;
  /** A line on the operating system. */
  system(): Promise<string>;
}

const PATIENCE_MS = 10_000;
const LOG_LINES = 200;

/** The sources of this machine. `unit` is the systemd unit of the agent. */
export function machineSources(unit: string): Sources {
  return {
    async log() {
      const options = ['-u', unit, '-n', String(LOG_LINES), '-o', 'short-iso', '--no-pager', '-q'];
      const output = await runQuery('journalctl', options, PATIENCE_MS);
      return output?.code === 0 ? output.text : undefined;
    },
    ip: (...args) => queryJson('ip', ['-j', ...args], PATIENCE_MS),
    async system() {
      const release = await readTrimmed('/etc/os-release');
      const name = /^PRETTY_NAME="?([^"\n]*)/m.exec(release ?? '')?.[1] ?? 'unknown system';
      const kernel = (await readTrimmed('/proc/sys/kernel/osrelease')) ?? 'unknown';
      const uptime = (await readTrimmed('/proc/uptime'))?.split(' ')[0] ?? 'unknown';
      return `${name}, Linux ${kernel}, up ${uptime} s`;
    },
  };
}

/**
 * Everything that remote support needs, as one text. What is known to be secret is never read (only what the state holds is listed, not
 * its content), and the whole goes through `redact`, in case a log or a configuration holds what it should not.
 * Without probes `unusable` says why the configuration cannot be read, and is written instead.
 */
export async function writeReport(
  probes: Probes | undefined,
  unusable: unknown,
  sources: Sources,
  checks: readonly Check[],
): Promise<string> {
  const sections: [title: string, text: string][] = [
    ['program', `enf-agent ${VERSION}, ${PLATFORM}\n${await sources.system()}\n${new Date().toISOString()}`],
    ['configuration', probes ? renderConfig(probes.config) : unreadable(unusable)],
  ];
  if (probes) {
    const status = await probes.status();
    sections.push(
      ['status', status ? json(status) : 'no agent answers on the control socket'],
      ['doctor', describeFindings(await examine(checks, probes))],
      ['state', json(await attempt(() => probes.state()))],
    );
    if (mayUseTpm(probes.config)) {
      sections.push(
        ['tpm capabilities', json(await attempt(() => probes.capabilities()))],
        ['tpm objects', json(await attempt(async () => withoutPoints(await probes.inspection())))],
      );
    }
  }
  for (const what of IP_QUERIES) sections.push([`ip ${what}`, json(await sources.ip(...what.split(' ')))]);
  sections.push([`log, last ${LOG_LINES} lines`, (await sources.log()) ?? 'no journal here']);
  return redact(sections.map(([title, text]) => `==== ${title}\n${text.trimEnd()}\n`).join('\n'));
}

const IP_QUERIES = [
  'address',
  '-4 route show table all',
  '-6 route show table all',
  '-4 rule',
  '-6 rule',
  '-s link',
] as const;

const json = (value: unknown): string =>
  value === undefined ? 'not available' : JSON.stringify(value, null, 1);

/** What came, or the failure that came instead. */
async function attempt(ask: () => Promise<unknown>): Promise<unknown> {
  try {
    return await ask();
  } catch (error) {
    if (!isFailure(error)) throw error;
    return { code: error.code, message: error.message };
  }
}

/** A value that was refused may be a secret in the wrong place: the report names its key, not the value. */
function unreadable(error: unknown): string {
  return isFailure(error) ? `${error.code}: ${error.publicMessage}` : String(error);
}

/** Points are public, but of no use in a report. */
function withoutPoints(inspection: Awaited<ReturnType<Probes['inspection']>>): unknown {
  return {
    ...inspection,
    maps: inspection.maps.map(({ daaKey, ...map }) => ({
      ...map,
      daaKey: daaKey && { handle: daaKey.handle, fault: daaKey.fault ?? null },
    })),
  };
}

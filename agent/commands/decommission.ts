import type { Command, Invocation } from '../../cli/program.ts';
import { askLine } from '../../cli/prompt.ts';
import { Failure } from '../../protocol/failure.ts';
import { formatIpv6, parseIpv6 } from '../../protocol/ipv6.ts';
import type { Config } from '../config/config.ts';
import { removeCredential } from '../identity/decommission.ts';
import type { Leave } from '../status/api.ts';
import { ask, askStatus } from '../status/client.ts';
import type { Status } from '../status/status.ts';
import { CONFIG, readConfig } from './options.ts';

/** For the answer itself, when the end has come. */
const ANSWER_MS = 5_000;
/** What is typed for a device that never got an address. */
const NONE = 'none';

export const decommission: Command = {
  name: 'decommission',
  summary:
    'Takes this device out of service for good: the fabric retires it, then its identity, keys and credential are removed',
  options: [
    CONFIG,
    { name: 'offline', help: 'without the fabric: only remove what is here; retire the device there, too' },
    { name: 'yes', help: 'do not ask; needs --address' },
    {
      name: 'address',
      value: 'ADDRESS',
      help: `with --yes: the address of this device, or "${NONE}" if it never got one`,
    },
    { name: 'timeout', value: 'SECONDS', help: 'how long to wait for the end', default: '60' },
  ],
  examples: [
    'enf-agent decommission',
    'enf-agent decommission --yes --address fd00:8f80:8000:1:4a2e:91c0:7b3d:55f2',
    'enf-agent decommission --offline',
  ],
  async run(invocation) {
    const config = await readConfig(invocation);
    const offline = invocation.flag('offline');
    const seconds = readSeconds(invocation);
    const before = await askStatus(config.control.socket);
    if (before.situation !== 'decommissioned') {
      await requireConfirmed(invocation, before, offline);
      await leave(config, seconds, offline, before);
    }
    await removeHere(config, seconds);
    const after = await askStatus(config.control.socket);
    const view = {
      address: after.address,
      told: after.decommission?.told ?? false,
      credential: after.decommission?.credential ?? null,
    };
    invocation.print(view, () => describe(view, config));
    return undefined;
  },
};

/** @throws Failure `cli.bad-value` */
function readSeconds(invocation: Invocation): number {
  const seconds = Number(invocation.required('timeout'));
  if (seconds > 0 && seconds <= 3_600) return seconds;
  throw new Failure('cli.bad-value', 'operator', '--timeout: expected 1 to 3600 seconds', {
    action: 'Give a number of seconds, e.g. --timeout 60.',
  });
}

/** Asks twice, whether and which, unless both are answered by options. @throws Failure `cli.bad-arguments`, `agent.not-confirmed` */
async function requireConfirmed(
  invocation: Invocation,
  { address, decommission: going }: Status,
  offline: boolean,
): Promise<void> {
  const given = invocation.option('address');
  if (invocation.flag('yes') !== (given !== undefined)) {
    throw new Failure('cli.bad-arguments', 'operator', '--yes and --address go together', {
      action: 'Name the device that is to go out of service: --yes --address and its address.',
    });
  }
  // What was confirmed is only waited for.
  if (going !== null && !offline && given === undefined) return;
  const typed = given ?? (await askTwice(address, offline));
  if (typed === NONE ? address === null : sameAddress(typed, address)) return;
  throw new Failure(
    'agent.not-confirmed',
    'operator',
    `this is ${address === null ? 'a device without an address' : `the device ${address}`}; nothing was changed`,
    { action: `Answer "yes", and give ${address === null ? `"${NONE}"` : 'that address'}.` },
  );
}

async function askTwice(address: string | null, offline: boolean): Promise<string> {
  const what = address === null ? 'this device, which never got an address' : `the device ${address}`;
  const how = offline ? 'The fabric is not told.' : 'The fabric never admits it again.';
  const answer = await askLine(
    `This ends ${what}: its keys and its credential cannot be restored. ${how} Go on? (yes/no) `,
  );
  if (answer !== 'yes') return '';
  return askLine(address === null ? `Type "${NONE}": ` : 'Type its address: ');
}

function sameAddress(typed: string, address: string | null): boolean {
  try {
    return formatIpv6(parseIpv6(typed)) === address;
  } catch {
    return false;
  }
}

/** @throws Failure `agent.fabric-not-asked`, `agent.not-decommissioned`, and the refusal's own code in it */
async function leave(config: Config, seconds: number, offline: boolean, before: Status): Promise<void> {
  const { accepted, end, situation } = await request(config, seconds, offline);
  if (!accepted && before.decommission !== null) throw pending();
  if (!accepted) {
    throw new Failure(
      'agent.fabric-not-asked',
      'retry',
      `the fabric cannot be asked to retire this device: it is ${before.situation}; nothing was changed`,
      {
        action:
          'Try again when it is online. If it never will be: enf-agent decommission --offline, and at the fabric: enf-fabric device retire.',
      },
    );
  }
  if (end !== undefined && end !== null && 'failure' in end) throw unfinished(end.failure, situation);
  if (end == null) throw pending();
}

const pending = (): Failure =>
  new Failure(
    'agent.not-decommissioned',
    'retry',
    'the fabric has not answered yet; it is asked again on each connection, and the device goes out of service when it answers',
    {
      action:
        'See "enf-agent status". A fabric of an earlier version does not answer: retire the device there, then run "enf-agent decommission --offline".',
    },
  );

function unfinished(
  { code, message, action }: { readonly code: string; readonly message: string; readonly action?: string },
  situation: Status['situation'],
): Failure {
  const gone = situation === 'backing-off' || situation === 'blocked' || situation === 'erasing';
  return new Failure(
    'agent.not-decommissioned',
    'retry',
    gone
      ? `the device is out of service, and what is left of it could not be removed: ${message} [${code}]; it is tried again, also after a restart`
      : `${message} [${code}]`,
    { action: action ?? 'See "enf-agent status".' },
  );
}

const request = async (config: Config, seconds: number, offline: boolean): Promise<Leave> =>
  (await ask(
    config.control.socket,
    'POST',
    `/v1/decommission?wait=${seconds}${offline ? '&offline=1' : ''}`,
    seconds * 1_000 + ANSWER_MS,
  )) as Leave;

/** The service may not write everywhere; whoever runs this command perhaps may. */
async function removeHere(config: Config, seconds: number): Promise<void> {
  const { decommission: end } = await askStatus(config.control.socket);
  if (config.identity.mode !== 'software' || end?.credential !== 'kept') return;
  if ((await removeCredential(config)) === 'removed') await request(config, seconds, true);
}

/** Where what could not be removed is. */
const KEPT: Record<Config['identity']['mode'], (identity: Config['identity']) => string> = {
  tpm: () =>
    'Its credential stays in the TPM, of which a hierarchy is locked: "enf-factory device wipe" removes it where that is open.',
  software: ({ credentialDir }) => `Its credential stays in ${credentialDir}: remove that folder.`,
  pki: ({ certificate, key }) => `Its certificate and key stay in ${certificate} and ${key}: remove them.`,
};

function describe(
  { address, told, credential }: { address: string | null; told: boolean; credential: string | null },
  { identity }: Config,
): string {
  const who = address === null ? 'This device' : `The device ${address}`;
  const lines = [`${who} is out of service: its identity and its keys are removed.`];
  lines.push(
    told
      ? 'The fabric has retired it; its address stays reserved.'
      : `The fabric was not told. Retire the device there: enf-fabric device retire ${address ?? 'ADDRESS'}`,
  );
  if (credential !== 'removed') lines.push(KEPT[identity.mode](identity));
  return [...lines, 'To stop the service: systemctl disable --now enf-agent'].join('\n');
}

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { eventually } from '../../e2e/process.ts';
import { program } from '../../e2e/world.ts';
import { type Kind, notHere } from './kind.ts';
import type { Standing } from './measure.ts';
import { FAR_ADDRESS } from './path.ts';
import type { Program, Stage } from './stage.ts';

/**
 * Our agent and our fabric: from the device through the tunnel to the fabric's host, which is what the others do
 * between their two ends. The key is in a file, a TPM has no part in carrying packets.
 */

export type Wire = 'super' | 'legacy';

const NETWORK = 'fd00:e4f:9::/64';
const HOST_ADDRESS = 'fd00:e4f:9::1';
/** The ALPN name under which both ends of ours speak super-frames. */
const SUPER = 'enf/2';

/** What is made once for both wires: fabric, device, its identity. */
interface Site {
  readonly address: string;
  /** The agent can be told which wire to offer. */
  readonly canChoose: boolean;
}

interface Status {
  readonly situation: string;
  readonly address: string | null;
  /** The ALPN name negotiated, by agents that know more than one. */
  readonly wire?: string | null;
}

/** Both wires, over one provisioned device. */
export function ours(): readonly Kind[] {
  let site: Promise<Site> | undefined;
  const kind = (wire: Wire): Kind => ({
    name: `ours-${wire}`,
    async prepare(stage) {
      site ??= makeSite(stage);
      await site;
    },
    async raise(stage) {
      const { address, canChoose } = await site!;
      configure(stage, wire === 'legacy' && canChoose ? 'legacy' : undefined);
      const standing = await start(stage, address);
      const spoken = (await online(stage, standing.device!)).wire ?? undefined;
      if (wire === 'super' && spoken !== SUPER) {
        throw notHere(`the two ends do not speak super-frames (${spoken ?? 'only enftun’s wire'})`);
      }
      if (wire === 'legacy' && spoken === SUPER) {
        throw notHere('the agent cannot be told to use enftun’s wire (tunnel.wire = "legacy")');
      }
      return standing;
    },
  });
  return [kind('super'), kind('legacy')];
}

const dataOf = (stage: Stage): string => join(stage.folder, 'fabric');
const configOf = (stage: Stage): string => join(stage.folder, 'agent.toml');
const credentialOf = (stage: Stage): string => join(stage.folder, 'credential');

async function makeSite(stage: Stage): Promise<Site> {
  const [fabric, factory] = [program('fabric'), program('factory')];
  const data = ['--data', dataOf(stage)];
  const group = join(stage.folder, 'group');
  const fabricSays = (...args: readonly string[]): Promise<string> =>
    stage.run(stage.far, [...fabric, ...args, ...data]);
  await fabricSays('init');
  const named = ['--name', 'Bench', '--basename', 'bench', '--out', group];
  await stage.run(undefined, [...factory, 'group', 'create', ...named]);
  await fabricSays('network', 'add', NETWORK);
  await fabricSays('group', 'add', '--label', join(group, 'label.txt'), '--network', NETWORK);
  const credential = ['--trust', join(dataOf(stage), 'trust.json'), '--software', credentialOf(stage)];
  await stage.run(undefined, [...factory, 'device', 'personalise', '--group', group, ...credential]);
  configure(stage, undefined);
  const effective = await stage.run(undefined, [
    ...program('agent'),
    'check-config',
    '--config',
    configOf(stage),
  ]);
  const { device } = await start(stage, '');
  const { address } = await online(stage, device!);
  return { address: address!, canChoose: /^wire = /m.test(effective) };
}

function configure(stage: Stage, wire: string | undefined): void {
  const text = [
    '[remote]',
    `hosts = ["${FAR_ADDRESS}"]`,
    '[identity]',
    'mode = "software"',
    `credential-dir = "${credentialOf(stage)}"`,
    '[tunnel]',
    ...(wire === undefined ? [] : [`wire = "${wire}"`]),
    '[state]',
    `directory = "${join(stage.folder, 'agent-state')}"`,
    '[control]',
    `socket = "${join(stage.folder, 'agent.sock')}"`,
  ];
  writeFileSync(configOf(stage), `${text.join('\n')}\n`);
}

async function start(stage: Stage, deviceAddress: string): Promise<Standing> {
  const far = stage.start(stage.far, [...program('fabric'), 'serve', '--data', dataOf(stage)]);
  await eventually('the fabric to serve', async () =>
    far.ended || far.said().includes('enf-fabric ready') ? true : undefined,
  );
  const device = stage.start(stage.device, [...program('agent'), 'run', '--config', configOf(stage)]);
  return { device, far, deviceAddress, farAddress: HOST_ADDRESS };
}

/** Waits until the agent is online. */
const online = (stage: Stage, agent: Program): Promise<Status> =>
  eventually(`the agent to be online; it said: ${agent.said().slice(-300)}`, async () => {
    const asked = [...program('agent'), 'status', '--json', '--config', configOf(stage)];
    const status = JSON.parse(await stage.run(stage.device, asked)) as Status;
    return status.situation === 'online' ? status : undefined;
  });

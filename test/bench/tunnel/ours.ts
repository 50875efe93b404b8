import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { eventually } from '../../e2e/process.ts';
import { program } from '../../e2e/world.ts';
import { type Kind, notHere } from './kind.ts';
import type { Standing } from './measure.ts';
import { FAR_ADDRESS } from './path.ts';
import type { Program, Testbed } from './testbed.ts';

/**
 * Our agent and our fabric, in several layouts: from the device through the tunnel to the fabric's host, which is what the
 * others do between their two ends; the same with busy main threads, or as much to do for other programs; and relayed, from device to device through the router, the second device beside it.
 * The keys are in files, a TPM has no part in carrying packets.
 */

export type Wire = 'super' | 'legacy';
/** `busy`: direct, while JavaScript computes for 20 of every 50 ms in both ends; `beside`: in two programs beside them instead. */
export type Layout = 'direct' | 'relayed' | 'busy' | 'beside';

/** The device measured, and the one behind the router in the relayed layout. */
type Role = 'device' | 'far';

const NETWORK = 'fd00:e4f:9::/64';
const HOST_ADDRESS = 'fd00:e4f:9::1';
/** The ALPN name under which both ends of ours speak super-frames. */
const SUPER = 'enf/2';

/** What is made once for all: the fabric, the devices and their identities. */
interface Site {
  readonly addresses: Readonly<Record<Role, string>>;
  /** The agent can be told which wire to offer. */
  readonly canChoose: boolean;
}

interface Status {
  readonly situation: string;
  readonly address: string | null;
  /** The ALPN name negotiated, by agents that know more than one. */
  readonly wire?: string | null;
}

const COMPUTE = 'setInterval(()=>{const end=performance.now()+20;while(performance.now()<end);},50)';
/** Loaded into a program before its own code. Neither keeps it alive nor says anything. */
const BUSY = `${COMPUTE}.unref()`;

/** A program of ours that runs on, as the layout wants it. */
function running(name: 'agent' | 'fabric', layout: Layout): readonly string[] {
  if (layout !== 'busy') return program(name);
  const [node, file] = program(name) as [string, string];
  return [node, `--import=data:text/javascript,${encodeURIComponent(BUSY)}`, file];
}

/** Both wires in the layouts asked for, over one site. */
export function ours(layouts: readonly Layout[]): readonly Kind[] {
  let site: Promise<Site> | undefined;
  const kind = (wire: Wire, layout: Layout): Kind => ({
    name: layout === 'direct' ? `ours-${wire}` : `ours-${wire}-${layout}`,
    async prepare(testbed) {
      site ??= makeSite(testbed);
      await site;
    },
    async start(testbed) {
      const { addresses, canChoose } = await site!;
      const choice = wire === 'legacy' && canChoose ? 'legacy' : undefined;
      const router = await startFabric(testbed, layout);
      const far = layout === 'relayed' ? [await startAgent(testbed, 'far', choice, layout)] : [];
      const device = await startAgent(testbed, 'device', choice, layout);
      for (const agent of [device, ...far]) checkWire(wire, agent.wire);
      const beside = layout === 'beside' ? [testbed.device, testbed.far] : [];
      for (const end of beside) testbed.start(end, [process.execPath, '-e', COMPUTE]);
      return {
        device: device.program,
        far: [router, ...far.map((each) => each.program)],
        deviceAddress: addresses.device,
        farAddress: layout === 'relayed' ? addresses.far : HOST_ADDRESS,
      } satisfies Standing;
    },
  });
  return layouts.flatMap((layout) =>
    layout === 'busy' || layout === 'beside'
      ? [kind('super', layout)]
      : [kind('super', layout), kind('legacy', layout)],
  );
}

/** @throws Failure `bench.not-here` if the ends speak the other wire */
function checkWire(wanted: Wire, spoken: string | undefined): void {
  if (wanted === 'super' && spoken !== SUPER) {
    throw notHere(`the two ends do not speak super-frames (${spoken ?? 'only enftun’s wire'})`);
  }
  if (wanted === 'legacy' && spoken === SUPER) {
    throw notHere('the agent cannot be told to use enftun’s wire (tunnel.wire = "legacy")');
  }
}

const dataOf = (testbed: Testbed): string => join(testbed.folder, 'fabric');
const fileOf = (testbed: Testbed, role: Role, what: string): string =>
  join(testbed.folder, `agent-${role}-${what}`);

async function makeSite(testbed: Testbed): Promise<Site> {
  const group = join(testbed.folder, 'group');
  const fabric = (...args: readonly string[]): Promise<string> =>
    testbed.run(testbed.far, [...program('fabric'), ...args, '--data', dataOf(testbed)]);
  const factory = (...args: readonly string[]): Promise<string> =>
    testbed.run(undefined, [...program('factory'), ...args]);
  await fabric('init');
  await factory('group', 'create', '--name', 'Bench', '--basename', 'bench', '--out', group);
  await fabric('network', 'add', NETWORK);
  await fabric('group', 'add', '--label', join(group, 'label.txt'), '--network', NETWORK);
  const trust = ['--trust', join(dataOf(testbed), 'trust.json')];
  await startFabric(testbed, 'direct');
  const provision = async (role: Role): Promise<string> => {
    const credential = ['--software', fileOf(testbed, role, 'credential')];
    await factory('device', 'personalise', '--group', group, ...trust, ...credential);
    return (await startAgent(testbed, role, undefined, 'direct')).address;
  };
  const addresses = { device: await provision('device'), far: await provision('far') };
  const check = [...program('agent'), 'check-config', '--config', fileOf(testbed, 'device', 'config')];
  const canChoose = /^wire = /m.test(await testbed.run(undefined, check));
  return { addresses, canChoose };
}

/** Whatever is measured may reach the host of the fabric, which of old was open. */
const OFFERED = ['--host-services', 'tcp/1-65535,udp/1-65535'];

/** Relayed, its host has no part in it. */
async function startFabric(testbed: Testbed, layout: Layout): Promise<Program> {
  const help = await testbed.run(undefined, [...program('fabric'), 'serve', '--help']);
  const offered = help.includes('--host-services') ? OFFERED : [];
  const tun = layout === 'relayed' ? ['--tun', 'none'] : offered;
  const fabric = testbed.start(testbed.far, [
    ...running('fabric', layout),
    'serve',
    '--data',
    dataOf(testbed),
    ...tun,
  ]);
  await eventually('the fabric to serve', async () =>
    fabric.ended || fabric.output().includes('enf-fabric ready') ? true : undefined,
  );
  return fabric;
}

/** Starts an agent in its namespace and waits until it is online. */
async function startAgent(
  testbed: Testbed,
  role: Role,
  wire: string | undefined,
  layout: Layout,
): Promise<{ program: Program; address: string; wire: string | undefined }> {
  const config = fileOf(testbed, role, 'config');
  const text = [
    '[remote]',
    `hosts = ["${FAR_ADDRESS}"]`,
    '[identity]',
    'mode = "software"',
    `credential-dir = "${fileOf(testbed, role, 'credential')}"`,
    '[tunnel]',
    ...(wire === undefined ? [] : [`wire = "${wire}"`]),
    '[state]',
    `directory = "${fileOf(testbed, role, 'state')}"`,
    '[control]',
    `socket = "${fileOf(testbed, role, 'socket')}"`,
  ];
  writeFileSync(config, `${text.join('\n')}\n`);
  const agent = testbed.start(testbed[role], [...running('agent', layout), 'run', '--config', config]);
  const online = await eventually('the agent to be online', async () => {
    const asked = [...program('agent'), 'status', '--json', '--config', config];
    const status = JSON.parse(await testbed.run(testbed[role], asked)) as Status;
    return status.situation === 'online' ? status : undefined;
  });
  return { program: agent, address: online.address!, wire: online.wire ?? undefined };
}

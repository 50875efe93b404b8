import type { Command, Invocation } from '../../../cli/program.ts';
import { Failure } from '../../../protocol/failure.ts';
import { counted } from '../../../protocol/words.ts';
import {
  askDrain,
  type DrainView,
  type DrainWish,
  LONGEST_DRAIN,
} from '../../operations/contract/draining.ts';
import { pathOf } from '../../pki/files.ts';
import { DATA } from '../common/context.ts';

const LOOK_MS = 500;

export const drain: Command = {
  name: 'drain',
  summary:
    'Takes the tunnel router out of service: agents move to another host without losing their tunnels; waits for them.',
  options: [
    {
      name: 'within',
      value: 'SECONDS',
      help: 'agents that have another host are gone by then',
      default: '30',
    },
    {
      name: 'retry-after',
      value: 'SECONDS',
      help: 'agents that have none come back so long after the fabric has stopped',
      default: '10',
    },
    { name: 'resume', help: 'the router stays in service; so it does after a restart' },
    { name: 'show', help: 'only shows whether it is drained' },
    DATA,
  ],
  examples: [
    'enf-fabric drain && systemctl restart enf-fabric',
    'enf-fabric drain --within 120 --retry-after 60',
    'enf-fabric drain --show --json',
    'enf-fabric drain --resume',
  ],
  async run(invocation) {
    const socket = pathOf(invocation.required('data'), 'control');
    const [show, resume] = [invocation.flag('show'), invocation.flag('resume')];
    if (show && resume) {
      throw new Failure('cli.bad-value', 'operator', '--show and --resume exclude each other', {
        action: 'Leave out one of them.',
      });
    }
    const wish = { within: seconds(invocation, 'within'), retryAfter: seconds(invocation, 'retry-after') };
    let view = await ask(socket, show ? 'nothing' : resume ? 'resume' : wish);
    if (!show && !resume) view = await gone(socket, wish.within, view);
    invocation.print(view, () => describe(view));
    return undefined;
  },
};

function seconds(invocation: Invocation, name: string): number {
  const text = invocation.required(name);
  if (/^\d{1,4}$/.test(text) && Number(text) <= LONGEST_DRAIN) return Number(text);
  throw new Failure(
    'cli.bad-value',
    'operator',
    `--${name}: expected 0 to ${LONGEST_DRAIN} seconds, got ${text}`,
    {
      action: `Give a whole number of seconds, e.g. --${name} 30.`,
    },
  );
}

/** @throws Failure `fabric.not-serving`, `control.…` */
async function ask(socket: string, wish: DrainWish | 'resume' | 'nothing'): Promise<DrainView> {
  const view = await askDrain(socket, wish);
  if (view) return view;
  throw new Failure(
    'fabric.not-serving',
    'retry',
    view === undefined
      ? 'no fabric is serving here'
      : 'the fabric that is serving here has no router yet, or is of a version that cannot be drained',
    { action: 'See "enf-fabric status". A fabric that does not serve needs no drain.' },
  );
}

/** Looks until no agent is left, or their time is over, or somebody has ended the drain. */
async function gone(socket: string, within: number, first: DrainView): Promise<DrainView> {
  const deadline = performance.now() + within * 1_000;
  let view = first;
  while (
    view.draining !== null &&
    view.tunnels !== null &&
    view.tunnels.agent > 0 &&
    performance.now() < deadline
  ) {
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    view = await ask(socket, 'nothing');
  }
  return view;
}

function describe({ draining, tunnels }: DrainView): string {
  if (tunnels === null) return 'this host serves no tunnels: nobody has to leave it (node.serves)';
  const left = `${counted(tunnels.agent, 'agent')} and ${counted(tunnels.c, 'C peer')} have their tunnels here`;
  if (draining === null) return `in service: ${left}`;
  const { since, retryAfter } = draining;
  return `drained since ${since}: ${left}; agents that stay come back ${retryAfter} s after the fabric has stopped`;
}

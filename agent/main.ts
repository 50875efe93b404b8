import { type Command, type Invocation, type Option, runProgram } from '../os/cli.ts';
import { askControl, serveControl } from '../os/control.ts';
import { readBounded } from '../os/files.ts';
import { exists, openFolder } from '../os/folder.ts';
import { stderrLog } from '../os/log.ts';
import { notify } from '../os/notify.ts';
import { openPresence } from '../os/presence.ts';
import {
  askedToStop,
  leave,
  programArguments,
  systemClocks,
  VERSION,
  watchdogPeriodMs,
} from '../os/process.ts';
import { Failure, isFailure } from '../protocol/failure.ts';
import { type Config, DEFAULT_PATH, parseConfig, renderConfig } from './config.ts';
import { answerControl, describeStatus, type Status, statusLine, statusOf } from './control.ts';
import { startDevice } from './device.ts';
import { duration } from './duration.ts';
import { openEffects } from './effects.ts';
import { advances, patience } from './health.ts';
import { forgetStore } from './state.ts';
import { watchClock } from './wallclock.ts';

const CONFIG: Option = { name: 'config', value: 'FILE', help: 'the configuration', default: DEFAULT_PATH };
const JSON_OUTPUT: Option = { name: 'json', help: 'print JSON' };

const run: Command = {
  name: 'run',
  summary: 'Provisions the device if it has no identity yet and keeps its tunnel up; what the service runs',
  options: [CONFIG],
  examples: ['enf-agent run --config /etc/enf/agent.toml'],
  async run(invocation) {
    const config = await readConfig(invocation);
    // Up to here nothing has touched the system; check-config ends at this line.
    await runAgent(config);
    return undefined;
  },
};

async function runAgent(config: Config): Promise<void> {
  const log = stderrLog();
  const stop = askedToStop();
  const clock = systemClocks.steadyMs;
  const effects = openEffects(config, log);
  let device: ReturnType<typeof startDevice> | undefined;
  const status = (): Status =>
    statusOf({
      version: VERSION,
      config,
      situation: device?.situation() ?? { kind: 'stopped' },
      router: device?.router(),
      facts: effects.facts(),
      nowMs: clock(),
      wallMs: Date.now(),
    });
  const showOnline = openPresence(log);
  showOnline(false);
  const control = await serveControl(config.control.socket, (question) => answerControl(question, status));
  log('notice', `enf-agent ${VERSION} started`);
  // Ready means running, not online: a boot must not wait for a network.
  notify('READY=1');
  device = startDevice({
    effects,
    clock,
    chance: Math.random,
    log,
    onChange(situation) {
      showOnline(situation.kind === 'online');
      notify(`STATUS=${statusLine(situation)}`);
    },
  });
  const running = device;
  const unwatch = watchClock(systemClocks, (byMs) =>
    device?.disturb(`the clock jumped by ${duration(Math.abs(byMs))}, or the machine was asleep`),
  );
  const watchdog = watchdogPeriodMs();
  // The service manager restarts an agent that is silent: one whose loop is stuck, or whose lifecycle is.
  const pulse =
    watchdog &&
    setInterval(() => {
      if (advances(running.situation(), clock(), patience(config.remote.connectTimeout)))
        notify('WATCHDOG=1');
    }, watchdog / 2);
  await stop;
  notify('STOPPING=1');
  clearInterval(pulse || undefined);
  unwatch();
  await running.stop();
  await control.close();
}

const status: Command = {
  name: 'status',
  summary: 'What the running agent is doing, since when, and what is in its way',
  options: [
    CONFIG,
    { name: 'socket', value: 'PATH', help: 'its control socket, instead of asking the configuration' },
    JSON_OUTPUT,
  ],
  examples: ['enf-agent status', 'enf-agent status --json'],
  async run(invocation) {
    const socket = invocation.option('socket') ?? (await readConfig(invocation)).control.socket;
    const answer = (await ask(socket)) as Status;
    invocation.print(answer, () => describeStatus(answer, Date.now()));
    return undefined;
  },
};

async function ask(socket: string): Promise<unknown> {
  try {
    return await askControl(socket, { method: 'GET', path: '/v1/status' });
  } catch (error) {
    if (!isFailure(error, 'control.nobody')) throw error;
    throw new Failure('agent.not-running', 'operator', `no agent is running here: ${error.message}`, {
      action: 'Start it with "systemctl start enf-agent"; "journalctl -u enf-agent" says why it stopped.',
      cause: error,
    });
  }
}

const checkConfig: Command = {
  name: 'check-config',
  summary: 'Checks the configuration and prints it with all defaults filled in; touches nothing else',
  options: [CONFIG],
  async run(invocation) {
    const config = await readConfig(invocation);
    invocation.print(config, () => renderConfig(config));
    return undefined;
  },
};

const forget: Command = {
  name: 'forget',
  summary:
    'Removes the identity of this device, so that the next start provisions it anew; needs a stopped agent',
  options: [CONFIG, { name: 'yes', help: 'really do it' }],
  examples: ['systemctl stop enf-agent && enf-agent forget --yes'],
  async run(invocation) {
    const config = await readConfig(invocation);
    if (!invocation.flag('yes')) {
      throw new Failure(
        'agent.not-confirmed',
        'operator',
        `this removes the identity kept in ${config.state.directory}`,
        {
          action: 'Add --yes if you mean it. The credential of the factory stays.',
        },
      );
    }
    const running = await ask(config.control.socket).then(
      () => true,
      (error) => {
        if (isFailure(error, 'agent.not-running')) return false;
        throw error;
      },
    );
    if (running) {
      throw new Failure('agent.running', 'operator', 'the agent is running and would write its state again', {
        action: 'Stop it first: systemctl stop enf-agent.',
      });
    }
    if (await exists(config.state.directory)) await forgetStore(await openFolder(config.state.directory));
    invocation.print(
      { forgotten: config.state.directory },
      () => 'The identity is removed; the next start provisions this device anew.',
    );
    return undefined;
  },
};

async function readConfig(invocation: Invocation): Promise<Config> {
  const path = invocation.required('config');
  return parseConfig(new TextDecoder().decode(await readBounded(path, 'configuration')), path);
}

leave(
  await runProgram(
    {
      name: 'enf-agent',
      summary: 'gives this device its identity and keeps its tunnel to the Edge Network Fabric',
      version: VERSION,
      commands: [run, status, checkConfig, forget],
    },
    programArguments(),
  ),
);

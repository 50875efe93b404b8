import { hurryCommands } from '../../os/linux/command.ts';
import { watchRoute } from '../../os/linux/route-watch.ts';
import { serveControl, serveLoopback } from '../../os/net/control-socket.ts';
import { type Log, stderrLog } from '../../os/service/log.ts';
import { endWithin, notify } from '../../os/service/notify.ts';
import { openOnlineFlag } from '../../os/service/online-flag.ts';
import {
  askedToStop,
  collectGarbage,
  residentBytes,
  systemClocks,
  VERSION,
  watchdogPeriodMs,
} from '../../os/service/process.ts';
import { isFailure } from '../../protocol/failure.ts';
import type { Config } from '../config/config.ts';
import { duration } from '../lifecycle/duration.ts';
import { advances, longestStepMs } from '../lifecycle/health.ts';
import { policyOf } from '../network/policy.ts';
import { type Agent, answerApi, answerMetrics } from '../status/api.ts';
import { type Status, statusLine, statusOf } from '../status/status.ts';
import { watchClock } from './clock-watch.ts';
import { type Driver, startDriver } from './driver.ts';
import { openEffects } from './effects.ts';
import { ageOfKey, keepRotation, LOOK_MS, type Rotation } from './rotation.ts';

/** From SIGTERM to the end at the latest. */
const STOP_MS = 4_500;
/** A garbage collection takes some ten milliseconds. */
const COLLECT_MS = 600_000;

/** Runs the agent until it is asked to stop; the exit code is 1 if a lockdown did not hold at the end. @throws Failure `control.in-use`, `control.cannot-listen` */
export async function runAgent(config: Config): Promise<number> {
  const log = stderrLog();
  let driver: Driver | undefined;
  let rotation: Rotation | undefined;
  let settled = false;
  const stop = askedToStop(() => {
    const changed = 'a changed configuration takes effect with the next start';
    log('notice', `SIGHUP: credential files and the TLS root are read again; ${changed}`);
    effects.reload();
    driver?.disturb('SIGHUP');
  });
  const clock = systemClocks.steadyMs;
  const effects = openEffects(config, log);
  const status = (): Status =>
    statusOf({
      version: VERSION,
      config,
      situation: driver?.situation() ?? { kind: 'stopped' },
      peer: driver?.peer(),
      facts: { ...effects.facts(), rotation: rotation?.facts() },
      nowMs: clock(),
      wallMs: Date.now(),
    });
  const showOnline = openOnlineFlag(log);
  showOnline(false);
  const agent: Agent = {
    status,
    counters: () => effects.facts().counters,
    residentBytes,
    renew: () => driver?.renew() ?? false,
    handshakeEnd: async () => driver?.handshakeEnd(),
    decommission: (offline) => driver?.decommission(offline) ?? false,
    departureEnd: async () => driver?.departureEnd(),
    async enroll({ code, again }) {
      const certificate = await effects.enroll(code, again);
      driver?.enrolled();
      return certificate;
    },
    enrolled: () => driver?.enrolled(),
  };
  const control = await serveControl(config.control.socket, (question) => answerApi(question, agent));
  const metrics = await openMetrics(config, agent, log);
  log('notice', `enf-agent ${VERSION} started`);
  // Ready means running, not online: a boot must not wait for a network.
  notify('READY=1');
  const running = startDriver({
    effects,
    clock,
    chance: Math.random,
    log,
    onChange(situation) {
      const online = situation.kind === 'online';
      showOnline(online);
      if (online && !settled) {
        // What the start and a first handshake have left behind is most of what there is to collect for hours.
        settled = true;
        collectGarbage();
      }
      notify(`STATUS=${statusLine(situation)}`);
    },
  });
  driver = running;
  const age = ageOfKey(config, effects.facts);
  if (age !== undefined) {
    rotation = keepRotation({
      ...age,
      ...{ driver: running, wallMs: Date.now, clock, chance: Math.random },
    });
  }
  const rotating = rotation && setInterval(rotation.look, LOOK_MS);
  const unwatchClock = watchClock(systemClocks, (byMs) =>
    running.disturb(`the clock jumped by ${duration(Math.abs(byMs))}, or the machine was asleep`),
  );
  const unwatchNetwork = watchNetwork(config, log, effects.addresses, () => running.networkChanged());
  const collecting = setInterval(collectGarbage, COLLECT_MS);
  const watchdog = watchdogPeriodMs();
  // The service manager restarts an agent that sends no keep-alive: its event loop or its lifecycle is stuck.
  const keepalive =
    watchdog &&
    setInterval(() => {
      if (advances(running.situation(), clock(), longestStepMs(config.remote.connectTimeout)))
        notify('WATCHDOG=1');
    }, watchdog / 2);
  await stop;
  notify('STOPPING=1');
  // Whatever hangs, a TPM, a program or a disk: the service ends. What it has not removed by then stays, and is removed by the next start.
  endWithin(STOP_MS);
  hurryCommands();
  const late = setTimeout(() => log('error', 'something hangs: the agent ends without it'), STOP_MS - 500);
  clearInterval(keepalive || undefined);
  clearInterval(collecting);
  clearInterval(rotating);
  unwatchClock();
  unwatchNetwork();
  const open = effects.isOpen?.() ?? false;
  if (open) log('error', 'the lockdown was OPEN: traffic of this host was not blocked');
  await running.stop();
  await metrics?.close();
  await control.close();
  clearTimeout(late);
  return open ? 1 : 0;
}

/** The metrics on loopback, if configured. Without them the agent runs all the same. */
async function openMetrics(
  config: Config,
  agent: Agent,
  log: Log,
): Promise<Awaited<ReturnType<typeof serveLoopback>> | undefined> {
  if (config.metrics.listen === undefined) return undefined;
  try {
    return await serveLoopback(config.metrics.listen, (question) => answerMetrics(question, agent));
  } catch (error) {
    if (!isFailure(error)) throw error;
    log('warning', `${error.code}: ${error.message}; the agent runs without metrics`);
    return undefined;
  }
}

/** Where the agent's own connections go to. */
function destinations({ remote }: Config): readonly string[] {
  return remote.proxy === undefined ? remote.hosts : [remote.proxy.host];
}

/** Without a subscription to network changes the agent runs all the same: timers and heartbeats notice them later. */
function watchNetwork(
  config: Config,
  log: Log,
  known: () => readonly string[],
  onChange: () => void,
): () => void {
  try {
    return watchRoute({ hosts: destinations(config), known, mark: policyOf(config).mark }, onChange).close;
  } catch (error) {
    if (!isFailure(error)) throw error;
    log('warning', `${error.code}: changes of the network are not noticed at once: ${error.message}`);
    return () => {};
  }
}

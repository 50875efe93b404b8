import { watchRoute } from '../../os/linux/route-watch.ts';
import { serveControl, serveLoopback } from '../../os/net/control-socket.ts';
import { type Log, stderrLog } from '../../os/service/log.ts';
import { notify } from '../../os/service/notify.ts';
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
import { advances, patience } from '../lifecycle/health.ts';
import { watchClock } from '../lifecycle/wall-clock.ts';
import { type Agent, answerApi, answerMetrics } from '../status/api.ts';
import { type Status, statusLine, statusOf } from '../status/status.ts';
import { startDevice } from './driver.ts';
import { openEffects, policyOf } from './effects.ts';

/** A collection takes some ten milliseconds. */
const TIDY_MS = 600_000;

/** Runs the agent until it is asked to stop. @throws Failure `control.in-use`, `control.cannot-listen` */
export async function runAgent(config: Config): Promise<void> {
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
      peer: device?.peer(),
      facts: effects.facts(),
      nowMs: clock(),
      wallMs: Date.now(),
    });
  const showOnline = openOnlineFlag(log);
  showOnline(false);
  const agent: Agent = {
    status,
    counters: () => effects.facts().counters,
    residentBytes,
    renew: () => device?.renew() ?? false,
  };
  const control = await serveControl(config.control.socket, (question) => answerApi(question, agent));
  const metrics = await openMetrics(config, agent, log);
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
  const deafen = hearNetwork(config, log, () => running.networkChanged());
  const tidying = setInterval(collectGarbage, TIDY_MS);
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
  clearInterval(tidying);
  unwatch();
  deafen();
  await running.stop();
  await metrics?.close();
  await control.close();
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
    log('warning', `${error.code}: ${error.message}; the agent runs without`);
    return undefined;
  }
}

/** Whom the agent's own connections go to. */
function waysTo({ remote }: Config): readonly string[] {
  return remote.proxy === undefined ? remote.hosts : [remote.proxy.host];
}

/** Without ears for the network the agent lives on: its pauses and heartbeats find out, too, only later. */
function hearNetwork(config: Config, log: Log, onChange: () => void): () => void {
  try {
    return watchRoute({ hosts: waysTo(config), mark: policyOf(config).mark }, onChange).close;
  } catch (error) {
    if (!isFailure(error)) throw error;
    log('warning', `${error.code}: changes of the network go unnoticed: ${error.message}`);
    return () => {};
  }
}

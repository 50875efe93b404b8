import { describe, expect, onTestFinished, test, vi } from 'vitest';
import type { Situation } from '../../../agent/lifecycle/situation.ts';
import { startDriver } from '../../../agent/service/driver.ts';
import type { ConnectionEvent, Effects } from '../../../agent/service/effects.ts';
import { Failure } from '../../../protocol/failure.ts';

/** A driver whose effects follow the script, one entry per call. */
function scripted(script: {
  prepare?: (() => ReturnType<Effects['prepare']>)[];
  provision?: (() => Promise<string>)[];
  connect?: (() => Promise<void>)[];
  probe?: ('moved' | 'probed')[];
  renew?: (() => Promise<string>)[];
  leave?: (() => Promise<void>)[];
  erase?: (() => Promise<'removed' | 'kept'>)[];
}) {
  vi.useFakeTimers();
  onTestFinished(() => void vi.useRealTimers());
  const calls: string[] = [];
  const noted: string[] = [];
  const log: string[] = [];
  const situations: string[] = [];
  let report: ((event: ConnectionEvent) => void) | undefined;
  const next = <T>(name: string, list: (() => T)[] | undefined, otherwise: () => T): T => {
    calls.push(name);
    return (list?.shift() ?? otherwise)();
  };
  const effects: Effects = {
    prepare: () =>
      next('prepare', script.prepare, async () => ({ kind: 'connect' as const, address: 'fd00::7' })),
    provision: () => next('provision', script.provision, async () => 'fd00::7'),
    connect: (tell) => {
      report = tell;
      return next('connect', script.connect, async () => {});
    },
    renew: () => next('renew', script.renew, async () => 'fd00::7'),
    enroll: () => Promise.reject(new Error('nobody enrols here')),
    leave: () => next('leave', script.leave, async () => {}),
    erase: () => next('erase', script.erase, async () => 'removed' as const),
    reload: () => void calls.push('reload'),
    addresses: () => [],
    note: (failure) => void noted.push((failure as Failure).code),
    release: async () => void calls.push('release'),
    probe: () => {
      calls.push('probe');
      return script.probe?.shift() ?? 'probed';
    },
    facts: () => ({
      stateGeneration: undefined,
      quarantined: [],
      handshakes: 0,
      lastHandshake: undefined,
      traffic: undefined,
      counters: undefined,
    }),
  };
  const driver = startDriver({
    effects,
    clock: () => Date.now(),
    chance: () => 0.5,
    log: (_, message) => void log.push(message),
    onChange: (situation: Situation) => void situations.push(situation.kind),
  });
  return {
    driver,
    calls,
    noted,
    log,
    situations,
    tell: (event: ConnectionEvent) => report!(event),
    pass: (ms: number) => vi.advanceTimersByTimeAsync(ms),
  };
}

test('boot to online, and down again when it is stopped', async () => {
  const { driver, calls, situations, tell, pass } = scripted({});
  await pass(0);
  expect(driver.situation().kind).toBe('connecting');
  tell({ kind: 'up', router: '192.0.2.1 port 443', wire: 'enf/2' });
  expect([driver.situation().kind, driver.peer()?.router]).toEqual(['online', '192.0.2.1 port 443']);
  await driver.stop();
  expect(calls).toEqual(['prepare', 'connect', 'release']);
  expect(situations).toEqual(['preparing', 'connecting', 'online', 'stopped']);
});

test('[C-40] what fails is noted, whatever it was; the fabric’s own word is not', async () => {
  const net = new Failure('net.unreachable', 'retry', 'nobody there');
  const { noted, tell, pass } = scripted({
    connect: [
      async () => {
        throw net;
      },
    ],
  });
  await pass(0);
  expect(noted).toEqual(['net.unreachable']);
  await pass(60_000);
  tell({ kind: 'up', router: '192.0.2.1 port 443', wire: 'enf/2' });
  tell({ kind: 'down', failure: new Failure('tunnel.silent', 'retry', 'silence') });
  await pass(60_000);
  tell({ kind: 'verdict', verdict: { kind: 'retry-after', seconds: 30 } });
  expect(noted).toEqual(['net.unreachable', 'tunnel.silent']);
});

test('first boot provisions in between', async () => {
  const { calls, pass } = scripted({ prepare: [async () => ({ kind: 'provision', reason: 'first-boot' })] });
  await pass(0);
  expect(calls).toEqual(['prepare', 'provision', 'connect']);
});

describe('failures', () => {
  test('a broken tunnel is made again after its pause, not before', async () => {
    const { driver, calls, tell, pass } = scripted({});
    await pass(0);
    tell({ kind: 'up', router: 'r', wire: 'enf/2' });
    tell({ kind: 'down', failure: new Failure('tunnel.closed', 'retry', 'closed') });
    expect([driver.situation().kind, driver.peer()?.router]).toEqual(['backing-off', undefined]);
    await pass(499);
    expect(calls).toEqual(['prepare', 'connect']);
    await pass(1);
    expect(calls).toEqual(['prepare', 'connect', 'connect']);
  });

  test('an operator failure keeps the agent alive and is looked at again', async () => {
    const absent = async () => {
      throw new Failure('tpm.absent', 'operator', 'no TPM');
    };
    const { driver, calls, pass, log } = scripted({ prepare: [absent, absent] });
    await pass(0);
    expect(driver.situation()).toMatchObject({ kind: 'blocked', trouble: { code: 'tpm.absent' } });
    await pass(5_000);
    expect(calls).toEqual(['prepare', 'prepare', 'prepare', 'connect']);
    expect(log.filter((line) => line.includes('tpm.absent'))).toHaveLength(1);
  });

  test('a verdict is carried to the lifecycle: evicted provisions', async () => {
    const { calls, tell, pass } = scripted({});
    await pass(0);
    tell({ kind: 'verdict', verdict: { kind: 'evicted' } });
    await pass(500);
    expect(calls).toEqual(['prepare', 'connect', 'provision', 'connect']);
  });

  test('a mistake in the program is logged with its place and tried again', async () => {
    const { driver, log, pass } = scripted({
      connect: [
        async () => {
          throw new TypeError('x is not a function');
        },
      ],
    });
    await pass(0);
    expect(driver.situation()).toMatchObject({
      kind: 'backing-off',
      trouble: { code: 'agent.internal-error' },
    });
    expect(log.join('\n')).toMatch(/TypeError: x is not a function\n\s+at /);
    await pass(500);
    expect(driver.situation().kind).toBe('connecting');
  });
});

test('what ends after the stop changes nothing any more', async () => {
  let finish: (address: string) => void = () => {};
  const { driver, calls, pass } = scripted({
    prepare: [async () => ({ kind: 'provision', reason: 'first-boot' })],
    provision: [
      () =>
        new Promise((resolve) => {
          finish = resolve;
        }),
    ],
  });
  await pass(0);
  await driver.stop();
  finish('fd00::7');
  await pass(600_000);
  expect([driver.situation().kind, calls]).toEqual(['stopped', ['prepare', 'provision', 'release']]);
  await driver.stop();
  expect(calls).toHaveLength(3);
});

test('what breaks because of the stop is no error', async () => {
  let breakIt: (error: Error) => void = () => {};
  const { driver, log, pass } = scripted({
    connect: [
      () =>
        new Promise((_, reject) => {
          breakIt = reject;
        }),
    ],
  });
  await pass(0);
  await driver.stop();
  breakIt(new Error('used after it was closed'));
  await pass(0);
  expect(log.at(-1)).toBe('stopping');
});

describe('what comes from outside', () => {
  test('[C-6] a disturbance probes the tunnel, and cuts a pause short', async () => {
    const { driver, calls, tell, pass } = scripted({});
    await pass(0);
    tell({ kind: 'up', router: 'r', wire: 'enf/2' });
    driver.disturb('the clock jumped');
    expect(calls.at(-1)).toBe('probe');
    tell({ kind: 'down', failure: new Failure('tunnel.silent', 'retry', 'silent') });
    driver.disturb('the clock jumped');
    expect(calls.slice(-1)).toEqual(['connect']);
    // The pause that was cut short does not end a second time.
    await pass(10_000);
    expect(calls.filter((call) => call === 'connect')).toHaveLength(2);
  });

  test('[C-10] a change of the network probes the tunnel; one that has moved is made anew', async () => {
    const { driver, calls, tell, pass } = scripted({ probe: ['probed', 'moved'] });
    await pass(0);
    tell({ kind: 'up', router: 'r', wire: 'enf/2' });
    driver.networkChanged();
    expect([calls.at(-1), driver.situation().kind, driver.peer()?.router]).toEqual(['probe', 'online', 'r']);
    driver.networkChanged();
    expect(calls.slice(-2)).toEqual(['probe', 'connect']);
    expect([driver.situation().kind, driver.peer()?.router]).toEqual(['connecting', undefined]);
  });

  test('a renewal runs the handshake; where there is nothing to renew it is refused', async () => {
    const { driver, calls, tell, pass } = scripted({
      provision: [() => new Promise((resolve) => setTimeout(resolve, 100, 'fd00::7'))],
    });
    expect(driver.renew()).toBe(false);
    await pass(0);
    expect(driver.renew()).toBe(true);
    expect(driver.renew()).toBe(false);
    await pass(100);
    expect(calls).toEqual(['prepare', 'connect', 'provision', 'connect']);
    tell({ kind: 'up', router: 'r', wire: 'enf/2' });
  });

  test('beside a tunnel it runs the handshake without ending it, whose own end is not that of the handshake', async () => {
    const later = () => new Promise<string>((resolve) => setTimeout(resolve, 100, 'fd00::7'));
    const refused = new Failure('xtt.refused', 'retry', 'refused');
    const { driver, calls, noted, tell, pass } = scripted({
      renew: [() => Promise.reject(refused), later, later],
    });
    await pass(0);
    tell({ kind: 'up', router: 'r', wire: 'enf/2' });
    const failed = driver.handshakeEnd();
    expect(driver.renew()).toBe(true);
    expect(await failed).toMatchObject({ failure: { code: 'xtt.refused' } });
    expect([driver.situation().kind, driver.peer()?.router, noted]).toEqual(['online', 'r', ['xtt.refused']]);

    const done = driver.handshakeEnd();
    expect([driver.renew(), driver.renew(), driver.peer()?.router]).toEqual([true, false, 'r']);
    await pass(100);
    expect(await done).toEqual({ address: 'fd00::7' });
    expect(calls).toEqual(['prepare', 'connect', 'renew', 'renew', 'connect']);

    tell({ kind: 'up', router: 'r', wire: 'enf/2' });
    const third = driver.handshakeEnd();
    driver.renew();
    tell({ kind: 'down', failure: new Failure('tunnel.closed', 'retry', 'closed') });
    expect(driver.situation().kind).toBe('provisioning');
    await pass(100);
    expect(await third).toEqual({ address: 'fd00::7' });
    expect(calls.slice(5)).toEqual(['renew', 'connect']);
  });
});

describe('out of service', () => {
  const failure = new Failure('os.write-failed', 'operator', 'read-only');

  test('the fabric is asked while there is a tunnel, and its answer ends all', async () => {
    const { driver, calls, tell, pass } = scripted({});
    const end = driver.departureEnd();
    await pass(0);
    expect(driver.decommission(false)).toBe(false);
    tell({ kind: 'up', router: 'r', wire: 'enf/2' });
    expect(driver.decommission(false)).toBe(true);
    expect([driver.situation().kind, driver.peer()?.router, calls.at(-1)]).toEqual(['online', 'r', 'leave']);
    tell({ kind: 'left', told: true });
    await pass(0);
    expect(await end).toEqual({ told: true, credential: 'removed' });
    expect([driver.situation().kind, driver.peer(), calls.at(-1)]).toEqual([
      'decommissioned',
      undefined,
      'erase',
    ]);
  });

  test('what keeps the fabric from being asked, or its refusal, is the end; the tunnel stays', async () => {
    const { driver, tell, pass } = scripted({ leave: [() => Promise.reject(failure)] });
    await pass(0);
    tell({ kind: 'up', router: 'r', wire: 'enf/2' });
    const failed = driver.departureEnd();
    expect(driver.decommission(false)).toBe(true);
    expect(await failed).toMatchObject({ failure: { code: 'os.write-failed' } });
    const refused = driver.departureEnd();
    tell({ kind: 'stays', failure: new Failure('fabric.decommission-later', 'retry', 'later') });
    expect(await refused).toMatchObject({ failure: { code: 'fabric.decommission-later' } });
    expect([driver.situation().kind, driver.peer()?.router]).toEqual(['online', 'r']);
  });

  test('what cannot be removed is the end for whoever waits, and is tried again', async () => {
    const { driver, calls, pass } = scripted({ erase: [() => Promise.reject(failure)] });
    await pass(0);
    const end = driver.departureEnd();
    expect(driver.decommission(true)).toBe(true);
    expect(driver.decommission(true)).toBe(false);
    await pass(0);
    expect(await end).toMatchObject({ failure: { code: 'os.write-failed' } });
    const next = driver.departureEnd();
    await pass(1_000);
    expect(await next).toEqual({ told: false, credential: 'removed' });
    expect(calls.filter((call) => call === 'erase')).toHaveLength(2);
  });

  test('nobody waits for ever: a stop is an end without a word', async () => {
    const { driver, pass } = scripted({ erase: [() => new Promise(() => {})] });
    await pass(0);
    const end = driver.departureEnd();
    driver.decommission(true);
    await driver.stop();
    expect(await end).toBeUndefined();
  });
});

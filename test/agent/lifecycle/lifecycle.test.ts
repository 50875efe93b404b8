import { describe, expect, test } from 'vitest';
import { step } from '../../../agent/lifecycle/lifecycle.ts';
import type { Event, Situation } from '../../../agent/lifecycle/situation.ts';
import { LINE_EVERY_MS, RETRY, STABLE_MS } from '../../../agent/lifecycle/timing.ts';
import { Failure } from '../../../protocol/failure.ts';
import {
  ADDRESS,
  absent,
  busy,
  clock,
  disturbed,
  failed,
  foreign,
  fresh,
  halfway,
  kinds,
  known,
  live,
  moved,
  network,
  networkChange,
  provisioned,
  renew,
  start,
  stop,
  timeout,
  timer,
  untrusted,
  up,
  verdict,
  waited,
} from './table.ts';

describe('the way up', () => {
  const table: [string, Event[], Situation['kind'], string[]][] = [
    ['nothing yet', [], 'stopped', []],
    ['start opens state and keys', [start], 'preparing', ['prepare']],
    ['a new device provisions', [start, fresh], 'provisioning', ['provision']],
    ['a provisioned one connects', [start, fresh, provisioned], 'connecting', ['connect']],
    ['a later boot connects without a handshake', [start, known], 'connecting', ['connect']],
    ['the router answers', [start, known, up], 'online', []],
    ['state of another TPM: as itself', [start, foreign], 'provisioning', ['provision']],
    ['an interrupted provisioning goes on', [start, halfway], 'provisioning', ['provision']],
  ];
  for (const [name, events, kind, actions] of table) {
    test(name, () => {
      const life = live(events);
      expect(life.situation.kind).toBe(kind);
      expect(kinds(life.actions)).toEqual(actions);
    });
  }

  test('why it provisions is kept, with the former address', () => {
    expect(live([start, fresh]).situation).toMatchObject({
      goal: { kind: 'provision', reason: 'first-boot' },
    });
    const life = live([start, foreign]);
    expect(life.situation).toMatchObject({ goal: { reason: 'foreign-state', address: ADDRESS } });
    expect(life.log.filter((line) => line.includes('state.foreign'))).toHaveLength(1);
  });

  test('another address than before is logged', () => {
    const other: Event = { kind: 'provisioned', address: 'fd00::8' };
    expect(live([start, foreign, other]).log.at(-1)).toContain('fd00::8, formerly fd00::7');
    expect(live([start, foreign, provisioned]).log.at(-1)).not.toContain('formerly');
  });
});

describe('failures', () => {
  const before: [string, Event[], string][] = [
    ['preparing', [start], 'prepare'],
    ['provisioning', [start, fresh], 'provision'],
    ['connecting', [start, known], 'connect'],
    ['online', [start, known, up], 'connect'],
  ];
  for (const [name, events, again] of before) {
    test(`${name}: a transient one backs off and does the same again`, () => {
      const life = live([...events, failed(network)]);
      expect(life.situation).toMatchObject({
        kind: 'backing-off',
        trouble: { code: 'net.unreachable', attempts: 1 },
      });
      expect(kinds(life.actions)).toEqual(['wait']);
      expect(kinds(live([...events, failed(network), timer]).actions)).toEqual([again]);
    });

    test(`${name}: one for a person blocks, and is still looked at again`, () => {
      const life = live([...events, failed(new Failure('os.no-tun', 'operator', 'no TUN'))]);
      expect(life.situation).toMatchObject({ kind: 'blocked', trouble: { code: 'os.no-tun' } });
      expect(waited(life.actions)).toBeLessThanOrEqual(RETRY.capMs);
      expect(kinds(live([...events, failed(absent), timer]).actions)).not.toEqual([]);
    });
  }

  for (const code of [
    'xtt.unknown-root',
    'xtt.bad-server-certificate',
    'net.proxy-login',
    'net.proxy-refused',
  ]) {
    for (const begun of [
      [start, fresh],
      [start, known],
    ]) {
      test(`[H-B7] ${code} comes from somebody who has proved nothing: a pause, and the network wakes it (${begun[1]!.kind})`, () => {
        const failure = new Failure(code, 'operator', 'somebody says so');
        const life = live([...begun, failed(failure)]);
        expect(life.situation).toMatchObject({ kind: 'backing-off', trouble: { code } });
        expect(waited(life.actions)).toBeLessThanOrEqual(RETRY.capMs);
        const rounds = Array.from({ length: 12 }, () => [failed(failure), timer]).flat();
        const woken = live([...begun, ...rounds, failed(failure), networkChange], 0.5);
        expect(woken.situation).toMatchObject({
          kind: 'backing-off',
          attempts: { provision: 0, connect: 0 },
        });
        expect(waited(woken.actions)).toBeLessThanOrEqual(2_000);
      });
    }
  }

  test('[H-B7] what this machine itself finds wrong still blocks', () => {
    for (const code of ['xtt.bad-root-certificate', 'tls.bad-root', 'os.no-tun']) {
      const failure = new Failure(code, 'operator', 'ours');
      expect(live([start, fresh, failed(failure)]).situation.kind).toBe('blocked');
    }
  });

  test('[C-28] after a TPM failure the way back leads through opening the TPM', () => {
    for (const events of [
      [start, fresh],
      [start, known],
      [start, known, up],
    ]) {
      for (const failure of [absent, busy]) {
        expect(kinds(live([...events, failed(failure), timer]).actions)).toEqual(['prepare']);
      }
    }
  });

  test('[C-5] no network, TLS, clock or handshake error ever provisions a device that has an identity', () => {
    const failures = [
      network,
      timeout,
      clock,
      untrusted,
      absent,
      busy,
      new Failure('xtt.refused', 'retry', 'Error message'),
      new Failure('tls.handshake-failed', 'retry', 'alert'),
      new Failure('x.wrongly-marked', 'reprovision', 'a failure that is no verdict'),
    ];
    for (const failure of failures) {
      const round = [failed(failure), timer, known, up] as const;
      const life = live([start, known, up, ...round, ...round, ...round]);
      expect(kinds(life.all)).not.toContain('provision');
    }
  });

  test('[C-14] the tunnel comes back after a stable minute as if nothing had been', () => {
    const shaky = live(
      [start, known, up, failed(timeout), timer, up, failed(timeout), timer, up, failed(timeout)],
      1,
    );
    expect(waited(shaky.actions)).toBe(4 * RETRY.firstMs);
    const almost = live([start, known, failed(timeout), timer, up, [STABLE_MS - 1, failed(timeout)]], 1);
    expect(waited(almost.actions)).toBe(2 * RETRY.firstMs);
    const stable = live([start, known, failed(timeout), timer, up, [STABLE_MS, failed(timeout)]], 1);
    expect(waited(stable.actions)).toBe(RETRY.firstMs);
  });

  test('[C-14] pauses are fully jittered from the first on and never longer than five minutes', () => {
    for (let attempts = 0; attempts < 20; attempts++) {
      const events = [
        start,
        known,
        failed(network),
        ...Array(attempts)
          .fill([timer, failed(network)])
          .flat(),
      ];
      const ceiling = Math.min(300_000, 1_000 * 2 ** attempts);
      expect(waited(live(events, 0).actions)).toBe(0);
      expect(waited(live(events, 0.5).actions)).toBe(ceiling / 2);
      expect(waited(live(events, 0.999999).actions)).toBeLessThan(ceiling);
      expect(waited(live(events, 0.999999).actions)).toBeGreaterThan(ceiling * 0.99);
    }
  });

  test('[C-14] ten thousand agents in an outage of half an hour: at most one in a hundred comes per second', () => {
    let seed = 1;
    const random = (): number => {
      seed = (seed * 48_271) % 2_147_483_647;
      return seed / 2_147_483_647;
    };
    const perSecond = new Array<number>(1_800).fill(0);
    for (let agent = 0; agent < 10_000; agent++) {
      let { situation, ms } = live([start, known, up]);
      for (;;) {
        const lost = step(situation, failed(network), { ms, random: random() });
        ms += waited(lost.actions);
        if (ms >= 1_800_000) break;
        perSecond[Math.floor(ms / 1_000)]!++;
        ({ situation } = step(lost.situation, timer, { ms, random: random() }));
      }
    }
    // From when every agent is at the cap. Before that the first pauses are short, so that a short outage is a short one.
    expect(Math.max(...perSecond.slice(900))).toBeLessThanOrEqual(100);
    expect(Math.min(...perSecond.slice(900))).toBeGreaterThan(0);
  });

  test('a TPM that appeared late does not slow down the connecting', () => {
    const life = live(
      [
        start,
        ...Array(9)
          .fill([failed(absent), timer])
          .flat(),
        known,
        failed(network),
      ],
      1,
    );
    expect(waited(life.actions)).toBe(RETRY.firstMs);
  });
});

describe('the log', () => {
  test('[C-23] one line when it begins, none per attempt, one when it is over', () => {
    const life = live([
      start,
      known,
      ...Array(30)
        .fill([failed(network), timer])
        .flat(),
      up,
    ]);
    const lines = life.log.filter((line) => line.includes('net.unreachable') || line.includes('online'));
    expect(lines).toEqual([
      'net.unreachable: cannot reach it. Plug it in. (1 failed attempt, next try in 0.5 s)',
      `online as ${ADDRESS} after 30 failed attempts`,
    ]);
  });

  test('[C-23] alternating causes stay below ten lines an hour', () => {
    const events: [number, Event][] = [];
    for (let ms = 0; ms < 3_600_000; ms += 10_000) {
      events.push([5_000, failed(ms % 20_000 ? network : timeout)], [5_000, timer]);
    }
    const { log } = live([start, known, ...events]);
    expect(log.length - 1).toBeLessThanOrEqual(10);
    expect(log.length - 1).toBeGreaterThanOrEqual(3_600_000 / LINE_EVERY_MS - 2);
  });

  test('a new cause after a while is logged', () => {
    const { log } = live([start, known, failed(network), timer, [LINE_EVERY_MS, failed(clock)]]);
    expect(log.at(-1)).toMatch(/^tls\.clock: .*2 failed attempts, next try in/);
  });
});

describe('what does not fit changes nothing', () => {
  const situations: [string, Event[]][] = [
    ['stopped', []],
    ['preparing', [start]],
    ['provisioning', [start, fresh]],
    ['connecting', [start, known]],
    ['online', [start, known, up]],
    ['renewing', [start, known, up, renew]],
    ['backing-off', [start, known, failed(network)]],
    ['blocked', [start, failed(absent)]],
  ];
  const fits: Record<string, string[]> = {
    stopped: ['start'],
    preparing: ['prepared', 'failed', 'stop'],
    provisioning: ['provisioned', 'failed', 'stop'],
    connecting: ['up', 'failed', 'verdict', 'renew', 'stop'],
    online: ['failed', 'verdict', 'moved', 'renew', 'stop'],
    renewing: ['failed', 'verdict', 'moved', 'provisioned', 'stop'],
    'backing-off': ['timer', 'disturbed', 'network', 'renew', 'stop'],
    blocked: ['timer', 'stop'],
  };
  const events = [
    start,
    timer,
    up,
    stop,
    fresh,
    provisioned,
    failed(network),
    verdict('evicted'),
    disturbed,
    networkChange,
    moved,
    renew,
  ];
  for (const [name, before] of situations) {
    for (const event of events) {
      const expected = fits[name]!.includes(event.kind);
      test(`${name}: ${event.kind} ${expected ? 'acts' : 'is ignored'}`, () => {
        const { situation, ms } = live(before);
        const next = step(situation, event, { ms, random: 0.5 });
        if (expected) expect(next.situation).not.toBe(situation);
        else if (situation.kind === 'online' && event === disturbed) expect(next.situation).toBe(situation);
        else if (event === networkChange) expect(next.situation).toBe(situation);
        else expect(next).toEqual({ situation, actions: [] });
      });
    }
  }

  test('stop closes everything from anywhere, and start begins again', () => {
    for (const [name, before] of situations.slice(1)) {
      const life = live([...before, stop]);
      expect([name, life.situation.kind, kinds(life.actions)]).toEqual([name, 'stopped', ['release']]);
      expect(live([...before, stop, start]).situation).toMatchObject({
        attempts: { prepare: 0, connect: 0 },
      });
    }
  });
});

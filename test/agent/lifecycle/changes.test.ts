import { describe, expect, test } from 'vitest';
import { advances } from '../../../agent/lifecycle/health.ts';
import type { Event } from '../../../agent/lifecycle/situation.ts';
import { RETRY } from '../../../agent/lifecycle/timing.ts';
import { Failure } from '../../../protocol/failure.ts';
import {
  ADDRESS,
  absent,
  clock,
  disturbed,
  excluded,
  failed,
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
  retryAfter,
  start,
  timer,
  up,
  verdict,
  waited,
} from './table.ts';

describe('a clock jump, a suspend, another network', () => {
  test('[C-6] online: the tunnel is probed at once, and stays what it was', () => {
    const life = live([start, known, up, disturbed]);
    expect([life.situation.kind, kinds(life.actions)]).toEqual(['online', ['probe']]);
    expect(life.log.at(-1)).toContain('the clock jumped');
  });

  test('[C-6] in a pause: tried at once, and the failures before are not forgotten', () => {
    for (const failure of [clock, network]) {
      const life = live([start, known, failed(failure), timer, failed(failure), disturbed]);
      expect([life.situation.kind, kinds(life.actions)]).toEqual(['connecting', ['connect']]);
      expect(life.situation).toMatchObject({ attempts: { connect: 2 }, trouble: { attempts: 2 } });
    }
  });

  test('a pause that the fabric asked for, or that waits for a person, is not cut short', () => {
    for (const events of [
      [start, known, retryAfter(600)],
      [start, known, excluded('banned', 0)],
      [start, failed(absent)],
    ]) {
      expect(live([...events, disturbed]).actions).toEqual([]);
    }
  });
});

describe('a renewal that a person asks for', () => {
  const broken = new Failure('xtt.refused', 'retry', 'refused');

  for (const [name, events] of [
    ['connecting', [start, known]],
    ['in a pause', [start, known, failed(network)]],
    ['banned', [start, known, excluded('banned', 0)]],
  ] as const) {
    test(`${name}: the handshake, then the tunnel with what came of it`, () => {
      const life = live([...events, renew]);
      expect(life.situation).toMatchObject({
        kind: 'provisioning',
        goal: { reason: 'renewal', address: ADDRESS },
      });
      expect(kinds(life.actions)).toEqual(['provision']);
      const goal = { kind: 'connect', address: ADDRESS };
      expect(live([...events, renew, provisioned, up]).situation).toMatchObject({ kind: 'online', goal });
    });
  }

  test('if it fails, the identity that was there goes on', () => {
    const life = live([start, known, renew, failed(broken), timer]);
    expect(life.situation).toMatchObject({ kind: 'connecting', goal: { address: ADDRESS } });
    expect(live([start, known, renew, failed(broken), timer, up]).situation.kind).toBe('online');
  });

  test('if the fabric then does not know it, the key of the broken renewal is finished with', () => {
    const life = live([start, known, renew, failed(broken), timer, verdict('unknown'), timer]);
    expect(life.situation).toMatchObject({ goal: { reason: 'interrupted', address: ADDRESS } });
    expect(kinds(life.actions)).toEqual(['provision']);
  });

  test('a device that waits to get its first identity tries at once', () => {
    expect(kinds(live([start, fresh, failed(network), renew]).actions)).toEqual(['provision']);
  });
});

describe('a renewal beside the tunnel', () => {
  const broken = new Failure('xtt.refused', 'retry', 'refused');
  const failure: Event = { kind: 'not-renewed', failure: broken };
  const online = [start, known, up] as const;

  test('the tunnel stays until there is another key, and then it is made with that one', () => {
    const life = live([...online, renew]);
    expect(life.situation).toMatchObject({ kind: 'online', goal: { address: ADDRESS } });
    expect(life.actions).toContainEqual({ kind: 'renew', address: ADDRESS });
    const next = live([...online, renew, provisioned]);
    expect([next.situation.kind, kinds(next.actions)]).toEqual(['connecting', ['connect']]);
    expect(live([...online, renew, provisioned, up]).situation).not.toHaveProperty('renewingSinceMs');
    expect(live([...online, renew, renew]).actions).toEqual([]);
  });

  test('if it fails, nothing has happened, and it can be asked for again', () => {
    const life = live([...online, renew, failure]);
    expect(life.situation).toMatchObject({ kind: 'online', attempts: { connect: 0, provision: 0 } });
    expect(life.situation).not.toHaveProperty('renewingSinceMs');
    expect(kinds(life.actions)).toEqual([]);
    expect(life.log.at(-1)).toContain('xtt.refused');
    expect(kinds(live([...online, renew, failure, renew]).actions)).toEqual(['renew']);
  });

  for (const [name, event] of [
    ['breaks', failed(network)],
    ['is cut because the fabric has the new key', verdict('unknown')],
    ['is cut because of an eviction', verdict('evicted')],
    ['has moved', moved],
  ] as const) {
    test(`the tunnel ${name} meanwhile: the end of the handshake decides`, () => {
      const life = live([...online, renew, event]);
      expect(life.situation).toMatchObject({ kind: 'provisioning', goal: { reason: 'renewal' } });
      expect(kinds(life.actions)).toEqual([]);
      expect(kinds(live([...online, renew, event, provisioned]).actions)).toEqual(['connect']);
      const after = live([...online, renew, event, failure]);
      expect(after.situation).toMatchObject({
        kind: 'backing-off',
        goal: { kind: 'connect', unfinished: true },
      });
    });
  }

  test('the fabric has the new key, though the handshake has failed here: the same key is finished with', () => {
    const life = live([...online, renew, failure, verdict('unknown'), timer]);
    expect(life.situation).toMatchObject({ kind: 'provisioning', goal: { reason: 'interrupted' } });
    expect(kinds(life.actions)).toEqual(['provision']);
  });

  test('one that hangs is noticed', () => {
    const { situation, ms } = live([...online, renew]);
    expect([advances(situation, ms + 600_000, 600_000), advances(situation, ms + 600_001, 600_000)]).toEqual([
      true,
      false,
    ]);
    expect(advances(live(online).situation, 1e12, 1)).toBe(true);
  });
});

test('a provisioning that was interrupted: the router is asked in turn, which may still know the former key', () => {
  const tries = [start, halfway, failed(network)] as const;
  expect(live(tries).situation).toMatchObject({ goal: { kind: 'connect', unfinished: true } });
  expect(live([...tries, timer, up]).situation.kind).toBe('online');
  const next = live([...tries, timer, verdict('unknown'), timer]);
  expect(next.situation).toMatchObject({ kind: 'provisioning', goal: { reason: 'interrupted' } });
});

describe('the network changes', () => {
  test('[C-10] online: probed; a tunnel whose way has changed is made anew, without a pause and without being a failure', () => {
    expect(live([start, known, up, networkChange]).actions).toEqual([{ kind: 'probe' }]);
    const life = live([start, known, failed(network), timer, up, moved]);
    expect(life.situation).toMatchObject({ kind: 'connecting', attempts: { connect: 1 } });
    expect(life.situation).not.toHaveProperty('trouble');
    expect(kinds(life.actions)).toEqual(['connect']);
  });

  test('while connecting, it is begun again on the new way', () => {
    const life = live([start, known, failed(network), timer, networkChange]);
    expect(kinds(life.actions)).toEqual(['connect']);
    expect(life.situation).toMatchObject({ kind: 'connecting', attempts: { connect: 1 } });
  });

  test('[C-1] a pause for want of a network ends within two seconds, spread; what failed before does not count any more', () => {
    const tries = Array(9)
      .fill([failed(network), timer])
      .flat();
    for (const [random, ms] of [
      [0, 0],
      [0.5, 1_000],
      [0.999, 1_998],
    ] as const) {
      const life = live([start, known, ...tries, failed(network), [100, networkChange]], random);
      if (random > 0) expect(waited(life.actions)).toBe(ms);
      expect(life.situation).toMatchObject({
        kind: 'backing-off',
        attempts: { connect: 0 },
        trouble: { attempts: 10 },
      });
    }
    const again = live(
      [start, known, ...tries, failed(network), networkChange, [1_000, timer], failed(network)],
      0.5,
    );
    expect(waited(again.actions)).toBe(RETRY.firstMs / 2);
  });

  test('a storm of changes does not put the next try off', () => {
    const pauses = [
      start,
      known,
      ...Array(9)
        .fill([failed(network), timer])
        .flat(),
      failed(network),
    ] as Event[];
    const first = live([...pauses, networkChange], 0.5);
    const until = (first.situation as { untilMs: number }).untilMs;
    const storm = live([...pauses, networkChange, [900, networkChange], [50, networkChange]], 0.5);
    expect(storm.situation).toMatchObject({ untilMs: until });
    expect(kinds(storm.actions)).toEqual([]);
  });

  test('what the network has not to do with goes on waiting: the fabric, the TPM, a person', () => {
    const cases: Event[][] = [
      [start, known, excluded('banned', 0)],
      [start, known, retryAfter(600)],
      [start, known, verdict('evicted')],
      [start, failed(absent)],
      [start, known, failed(new Failure('os.no-tun', 'operator', 'no TUN'))],
    ];
    for (const events of cases) {
      const { situation, actions } = live([...events, networkChange]);
      expect([situation, actions]).toEqual([live(events).situation, []]);
    }
  });

  test('a handshake is not disturbed', () => {
    expect(live([start, fresh, networkChange]).actions).toEqual([]);
  });
});

describe('what decides is the area of a failure, not its wording', () => {
  const MESSAGES = ['no answer', 'tpm.lost', 'net.unreachable: the network is down', 'reworded'];
  const failing = (code: string) => MESSAGES.map((message) => failed(new Failure(code, 'retry', message)));

  test('a failure of the TPM leads back to opening the keys; of another area it does not', () => {
    for (const event of failing('tpm.lost'))
      expect(live([start, known, event]).situation).toMatchObject({ goal: { kind: 'prepare' } });
    for (const event of [...failing('net.timeout'), ...failing('agent.internal-error')])
      expect(live([start, known, event]).situation).toMatchObject({ goal: { kind: 'connect' } });
  });

  test('another network may solve what the network, TLS or the tunnel failed with, and nothing else', () => {
    for (const code of ['net.timeout', 'tls.clock', 'tunnel.broken']) {
      for (const event of failing(code)) {
        const tries = Array(9).fill([event, timer]).flat();
        expect(waited(live([start, known, ...tries, event, networkChange], 0.5).actions)).toBe(1_000);
      }
    }
    for (const code of ['tpm.lost', 'os.tun-busy', 'xtt.refused', 'network.none']) {
      for (const event of failing(code))
        expect(live([start, known, event, networkChange]).actions).toEqual([]);
    }
  });
});

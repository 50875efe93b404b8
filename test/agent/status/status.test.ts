import { expect, test } from 'vitest';
import { parseConfig } from '../../../agent/config/config.ts';
import { STOPPED } from '../../../agent/lifecycle/lifecycle.ts';
import type { Situation } from '../../../agent/lifecycle/situation.ts';
import type { Facts } from '../../../agent/status/facts.ts';
import { renderMetrics } from '../../../agent/status/metrics.ts';
import { describeStatus, type Snapshot, statusLine, statusOf } from '../../../agent/status/status.ts';

const NOON = Date.parse('2030-01-01T12:00:00Z');
const attempts = { prepare: 0, provision: 0, connect: 3, erase: 0 };
const goal = { kind: 'connect', address: 'fd00::7' } as const;
const online: Situation = { kind: 'online', goal, attempts, sinceMs: 40_000 };
const waiting: Situation = {
  kind: 'backing-off',
  goal,
  attempts,
  sinceMs: 99_000,
  untilMs: 112_000,
  trouble: {
    area: 'net',
    code: 'net.timeout',
    message: 'no answer',
    action: 'Look.',
    sinceMs: 10_000,
    attempts: 3,
    loggedMs: 10_000,
  },
};

function snapshot(situation: Situation, change: Partial<Snapshot> = {}): Snapshot {
  return {
    version: '1.2.3',
    config: parseConfig('[remote]\nhosts = ["a"]\n', 'x'),
    situation,
    peer: undefined,
    facts: {
      stateGeneration: 4,
      quarantined: [],
      handshakes: 1,
      lastHandshake: '2029-01-01T00:00:00.000Z',
      traffic: undefined,
      counters: undefined,
    },
    nowMs: 100_000,
    wallMs: NOON,
    ...change,
  };
}

test('[H-C13] silent: a situation of its own while the tunnel is up, since the router was heard', () => {
  const facts = { ...snapshot(online).facts, silentMs: 31_000 };
  const status = statusOf(snapshot(online, { facts }));
  expect(status).toMatchObject({ situation: 'silent', since: '2030-01-01T11:59:29.000Z', trouble: null });
  expect(describeStatus(status, NOON)).toMatch(
    /^situation +silent since 2030-01-01T11:59:29\.000Z, 31 s ago/,
  );
  const metrics = renderMetrics(status, undefined, 1);
  for (const line of [
    'enf_agent_online 1',
    'enf_agent_situation{situation="silent"} 1',
    `enf_agent_silent_since_seconds ${NOON / 1_000 - 31}`,
  ])
    expect(metrics.split('\n')).toContain(line);
  // What is not online is not silent, whatever the tunnel says of a connection that is over.
  expect(statusOf(snapshot(waiting, { facts })).situation).toBe('backing-off');
  expect(renderMetrics(statusOf(snapshot(online)), undefined, 1)).not.toContain('silent');
});

test('resident: whether the TPM has signed for the identity, null where that is not known', () => {
  const shown = (resident: boolean | undefined, more = ''): [boolean | null, string | undefined] => {
    const config = parseConfig(`[remote]\nhosts = ["a"]\n${more}`, 'x');
    const status = statusOf(snapshot(online, { config, facts: { ...snapshot(online).facts, resident } }));
    return [status.resident, /^resident +(.*)$/m.exec(describeStatus(status, NOON))?.[1]];
  };
  expect(shown(undefined)).toEqual([null, undefined]);
  expect(shown(true)).toEqual([true, 'yes: the TPM keeps the group key']);
  expect(shown(false)).toEqual([false, 'no: the secret of the group key is sealed in the TPM']);
  const software = '[identity]\nmode = "software"\ncredential-dir = "/c"\n';
  expect(shown(false, software)).toEqual([false, 'no: the group key is in a file']);
});

test('online: address, router, traffic, times by the wall clock', () => {
  const traffic = {
    sentPackets: 1,
    sentBytes: 2,
    receivedPackets: 3,
    receivedBytes: 4,
    droppedSending: 0,
    droppedReceiving: 0,
  };
  const status = statusOf(
    snapshot(online, {
      peer: { router: '192.0.2.1 port 443', wire: 'enf/2' },
      facts: {
        stateGeneration: 4,
        quarantined: ['state-0.bad-1'],
        handshakes: 0,
        lastHandshake: '2029-12-31T12:00:00.000Z',
        roots: { version: 2, learned: '2029-12-30T12:00:00.000Z' },
        traffic,
        counters: undefined,
      },
    }),
  );
  expect(status).toEqual({
    program: 'enf-agent',
    version: '1.2.3',
    situation: 'online',
    since: '2030-01-01T11:59:00.000Z',
    address: 'fd00::7',
    router: '192.0.2.1 port 443',
    proxy: null,
    wire: 'enf/2',
    device: 'enf0',
    mode: 'tpm',
    resident: null,
    trouble: null,
    handshakes: 0,
    lastHandshake: '2029-12-31T12:00:00.000Z',
    rotation: null,
    decommission: null,
    delegation: null,
    longestPause: null,
    roots: { version: 2, learned: '2029-12-30T12:00:00.000Z' },
    certificate: null,
    traffic,
    state: { generation: 4, quarantined: ['state-0.bad-1'] },
  });
  const text = describeStatus(status, NOON);
  for (const part of [
    'online for 60 s',
    'fd00::7',
    "version 2 of the fabric's, learned 48 h ago",
    '192.0.2.1 port 443, with super-frames (enf/2)',
    '3 packets, 4 bytes',
    '24 h ago (2029-12-31',
    'state-0.bad-1',
  ]) {
    expect(text).toContain(part);
  }
});

test('in trouble: what, since when, how often, what to do, when again', () => {
  const status = statusOf(snapshot(waiting));
  expect(status.trouble).toEqual({
    code: 'net.timeout',
    message: 'no answer',
    action: 'Look.',
    since: '2030-01-01T11:58:30.000Z',
    attempts: 3,
    nextTry: '2030-01-01T12:00:12.000Z',
  });
  const text = describeStatus(status, NOON);
  for (const part of ['backing-off', 'no answer [net.timeout]', 'Look.', '3 failed', 'in 12 s'])
    expect(text).toContain(part);
});

test('before the first identity, and stopped, there is no address', () => {
  const fresh: Situation = {
    kind: 'provisioning',
    goal: { kind: 'provision', reason: 'first-boot' },
    attempts,
    sinceMs: 0,
  };
  for (const situation of [fresh, STOPPED]) {
    const status = statusOf(
      snapshot(situation, { facts: { ...snapshot(fresh).facts, stateGeneration: undefined } }),
    );
    expect([status.address, status.state.generation]).toEqual([null, null]);
    expect(describeStatus(status, NOON)).toContain('none yet');
  }
});

test('a certificate is shown with its end, and where its key is', () => {
  const certificate = {
    ...{ subject: 'CN=fd00::7', address: 'fd00::7', key: 'tpm' as const },
    ...{ notBefore: '2029-12-01T12:00:00.000Z', notAfter: '2030-01-03T12:00:00.000Z' },
  };
  const shown = statusOf(snapshot(online, { facts: { ...snapshot(online).facts, certificate } }));
  expect(shown.certificate).toEqual(certificate);
  expect(describeStatus(shown, NOON)).toContain(
    'CN=fd00::7, for 48 h, until 2030-01-03T12:00:00.000Z; its key is in the TPM',
  );
  const token = { ...certificate, key: 'token' as const };
  expect(describeStatus({ ...shown, certificate: token }, NOON)).toContain('its key is in a PKCS#11 token');
  const late = describeStatus(shown, NOON + 2 * 86_400_000);
  expect(late).toContain('EXPIRED since 2030-01-03T12:00:00.000Z');
});

test('a delegated prefix is shown with the LAN that has it, or what it lacks there', () => {
  const shown = (delegation: Facts['delegation']): string =>
    describeStatus(statusOf(snapshot(online, { facts: { ...snapshot(online).facts, delegation } })), NOON);
  const given = { prefix: 'fd00:9::/64', lan: 'eth1', failure: null };
  expect(shown(given)).toMatch(/^prefix +fd00:9::\/64 on eth1$/m);
  expect(shown({ ...given, lan: null })).toMatch(
    /^prefix +fd00:9::\/64; delegation\.interface names no LAN/m,
  );
  const failure = { code: 'delegation.no-forwarding', message: 'this host forwards no IPv6', action: null };
  expect(shown({ ...given, failure })).toMatch(
    /^prefix +fd00:9::\/64, incomplete on eth1: this host forwards no IPv6 \[delegation\.no-forwarding\]$/m,
  );
  expect(shown(undefined)).not.toMatch(/^prefix/m);
});

test('the next key, and how a device goes out of service, are shown', () => {
  const facts = {
    ...snapshot(online).facts,
    rotation: { next: '2030-01-02T12:00:00.000Z', failure: { code: 'net.unreachable', message: 'nobody' } },
    leaving: '2030-01-01T11:00:00.000Z',
  };
  const asked = statusOf(snapshot(online, { facts }));
  expect(asked).toMatchObject({
    rotation: facts.rotation,
    decommission: { step: 'asked', since: facts.leaving, told: false, credential: null },
  });
  expect(describeStatus(asked, NOON)).toMatch(
    /^next key +in 24 h \(2030-01-02T12:00:00\.000Z\); the last attempt has failed: nobody \[net\.unreachable\]$/m,
  );
  const plain = statusOf(snapshot(online));
  expect([plain.rotation, plain.decommission]).toEqual([null, null]);
  expect(describeStatus(plain, NOON)).not.toMatch(/next key|in service/);

  const gone: Situation = {
    kind: 'decommissioned',
    goal: { kind: 'erase', told: true },
    attempts,
    sinceMs: 40_000,
  };
  const end = { at: '2029-12-01T00:00:00.000Z', address: 'fd00::7', told: true } as const;
  const at = (decommissioned: NonNullable<Snapshot['facts']['decommissioned']>) =>
    statusOf(snapshot(gone, { facts: { ...snapshot(gone).facts, decommissioned } }));
  expect(at(end)).toMatchObject({
    situation: 'decommissioned',
    address: 'fd00::7',
    decommission: { step: 'unfinished', since: end.at, told: true, credential: null },
  });
  expect(at({ ...end, credential: 'kept' }).decommission).toMatchObject({ step: 'done', credential: 'kept' });
  expect(describeStatus(at({ ...end, told: false, credential: 'kept' }), NOON)).toMatch(
    /^in service +no more since 2029-12-01T00:00:00\.000Z, the fabric was not told; its credential could not be removed$/m,
  );
  expect([statusLine(gone), renderMetrics(at(end), undefined, 1)]).toEqual([
    'decommissioned',
    expect.stringContaining('enf_agent_online 0'),
  ]);
});

test("systemd's line", () => {
  expect(statusLine(online)).toBe('online as fd00::7');
  expect(statusLine(waiting)).toBe('backing-off: net.timeout: no answer');
  expect(statusLine(STOPPED)).toBe('stopped');
});

import { readFileSync } from 'node:fs';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { CertificateView } from '../../../agent/identity/session.ts';
import { type Agent, answerApi, answerMetrics, ROUTES } from '../../../agent/status/api.ts';
import type { HandshakeEnd } from '../../../agent/status/facts.ts';
import { METRICS, renderMetrics } from '../../../agent/status/metrics.ts';
import type { Status } from '../../../agent/status/status.ts';
import type { Counters } from '../../../agent/tunnel/session.ts';
import { serveLoopback, TextAnswer } from '../../../os/net/control-socket.ts';
import { Failure } from '../../../protocol/failure.ts';

const docs = readFileSync(new URL('../../../docs/api.md', import.meta.url), 'utf8');

const STATUS: Status = {
  program: 'enf-agent',
  version: '1.2.3',
  situation: 'backing-off',
  since: '2030-01-01T12:00:00.000Z',
  address: 'fd00::7',
  router: null,
  proxy: null,
  wire: null,
  device: 'enf0',
  mode: 'tpm',
  resident: true,
  trouble: {
    code: 'net.timeout',
    message: 'no "answer"',
    action: null,
    since: '2030-01-01T11:00:00.000Z',
    attempts: 3,
    nextTry: '2030-01-01T12:00:30.000Z',
  },
  handshakes: 1,
  lastHandshake: '2029-01-01T00:00:00.000Z',
  roots: null,
  certificate: null,
  rotation: null,
  decommission: null,
  delegation: null,
  longestPause: null,
  traffic: null,
  state: { generation: 4, quarantined: ['state-0.bad-1'] },
};

const COUNTERS = Object.fromEntries(
  [
    'sentPackets sentBytes receivedPackets receivedBytes outMalformed outForeign outTooLong outOffline outOverflow outLate',
    'outMarked inMalformed inForeign inRefused tunReads tunWrites sentBursts receivedBursts coalescedPackets supersededAcks sentRecords',
    'receivedRecords socketFull queuedPackets queueDelayMicroseconds queueDelayMaxMicroseconds queueBytes heartbeats',
    'connections resumptions queueDelayTotalMicroseconds',
  ]
    .join(' ')
    .split(' ')
    .map((name, i) => [name, i + 1]),
) as unknown as Counters;

function agent(renewable = true): Agent & { renewals: number; enrolments: number; departures: boolean[] } {
  return {
    renewals: 0,
    enrolments: 0,
    departures: [],
    status: () => STATUS,
    counters: () => COUNTERS,
    residentBytes: () => 50_000_000,
    renew() {
      this.renewals++;
      return renewable;
    },
    decommission(offline) {
      this.departures.push(offline);
      return renewable;
    },
    departureEnd: async () => ({ told: true, credential: 'removed' }),
    async enroll({ code, again }) {
      if (code !== 'right')
        throw new Failure('est.wrong-code', 'operator', 'no such code', { action: 'Ask.' });
      return { ...CERTIFICATE, subject: again ? 'CN=again' : 'CN=first' };
    },
    enrolled() {
      this.enrolments++;
    },
  };
}

const CERTIFICATE: CertificateView = {
  subject: 'CN=first',
  address: 'fd00::7',
  notBefore: '2029-12-01T00:00:00.000Z',
  notAfter: '2030-03-01T00:00:00.000Z',
  key: 'tpm',
};

describe('an enrolment', () => {
  const ask = (body: unknown) =>
    answerApi({ method: 'POST', path: '/v1/enroll', json: async () => body }, agent());

  test('answers with the certificate, or with the failure whole', async () => {
    expect(await ask({ code: 'right' })).toEqual({ certificate: CERTIFICATE });
    expect(await ask({ code: 'right', again: true })).toMatchObject({ certificate: { subject: 'CN=again' } });
    const failure = { code: 'est.wrong-code', remedy: 'operator', message: 'no such code', action: 'Ask.' };
    for (const body of [{ code: 'wrong' }, {}, null, { code: 7 }, [], { code: ['right'] }])
      expect(await ask(body)).toEqual({ failure });
    expect(await answerApi({ method: 'POST', path: '/v1/enroll' }, agent())).toEqual({ failure });
  });
});

test('an enrolment by a command is taken up', async () => {
  const told = agent();
  expect(await answerApi({ method: 'POST', path: '/v1/enrolled' }, told)).toEqual({
    situation: 'backing-off',
  });
  expect(told.enrolments).toBe(1);
});

describe('the control socket', () => {
  test('tells the status', () => {
    expect(answerApi({ method: 'GET', path: '/v1/status' }, agent())).toEqual(STATUS);
  });

  test('takes the wish for a renewal, and says whether it can be', () => {
    for (const accepted of [true, false]) {
      const of = agent(accepted);
      const answer = answerApi({ method: 'POST', path: '/v1/provision' }, of);
      expect([answer, of.renewals]).toEqual([{ accepted, situation: 'backing-off' }, 1]);
    }
  });

  test('[H-B8] is asked to wait for the end, for so long, and as long as somebody waits', async () => {
    const failure = { code: 'xtt.unknown-root', message: 'another root' };
    const ask = (
      wait: string,
      end: Promise<HandshakeEnd | undefined>,
      signal?: AbortSignal,
      accepted = true,
    ) =>
      answerApi(
        {
          method: 'POST',
          path: '/v1/provision',
          query: new URLSearchParams({ wait }),
          ...(signal && { signal }),
        },
        { ...agent(accepted), handshakeEnd: () => end },
      );
    const never = new Promise<undefined>(() => {});
    const situation = 'backing-off';
    expect(await ask('60', Promise.resolve({ failure }))).toEqual({
      accepted: true,
      situation,
      end: { failure },
    });
    expect(await ask('60', Promise.resolve(undefined))).toEqual({ accepted: true, situation, end: null });
    expect(await ask('0.05', never)).toEqual({ accepted: true, situation, end: null });
    expect(await ask('3600', never, AbortSignal.timeout(50))).toEqual({
      accepted: true,
      situation,
      end: null,
    });
    for (const wait of ['', '0', '-1', 'x']) expect(ask(wait, never)).toEqual({ accepted: true, situation });
    expect(ask('60', never, undefined, false)).toEqual({ accepted: false, situation });
  });

  test('takes the wish to go out of service, with the fabric or without, and tells the end to whoever waits', async () => {
    const ask = (of: Agent, query?: string) =>
      answerApi(
        {
          method: 'POST',
          path: '/v1/decommission',
          ...(query !== undefined && { query: new URLSearchParams(query) }),
        },
        of,
      );
    for (const accepted of [true, false]) {
      const of = agent(accepted);
      for (const query of [undefined, 'offline=1', 'offline=0', 'offline=yes'])
        expect(await ask(of, query)).toEqual({ accepted, situation: 'backing-off' });
      expect(of.departures).toEqual([false, true, false, false]);
    }
    expect(await ask(agent(), 'wait=60&offline=1')).toEqual({
      accepted: true,
      situation: 'backing-off',
      end: { told: true, credential: 'removed' },
    });
  });

  test('has no other paths; reading does not renew', () => {
    const of = agent();
    for (const [method, path] of [
      ['GET', '/v1/provision'],
      ['GET', '/v1/decommission'],
      ['POST', '/v1/status'],
      ['POST', '/metrics'],
      ['GET', '/'],
    ] as const) {
      expect(answerApi({ method, path }, of)).toBeUndefined();
    }
    expect([of.renewals, of.departures]).toEqual([0, []]);
  });

  test('is documented, path by path and field by field', () => {
    const rows = [...docs.matchAll(/^\| `(GET|POST) (\S+)` \|/gm)].map(
      ([, method, path]) => `${method} ${path}`,
    );
    expect(rows).toEqual(ROUTES.map(({ method, path }) => `${method} ${path}`));
    const fields = [...docs.matchAll(/^\| `([a-z]\w*)` \| (?:text|time|number|boolean|object)/gim)].map(
      ([, name]) => name,
    );
    expect(fields).toEqual(Object.keys(STATUS));
  });
});

describe('[C-40] the metrics', () => {
  test('are in the text format of Prometheus', () => {
    const text = renderMetrics(STATUS, COUNTERS, 50_000_000);
    for (const line of text.trimEnd().split('\n')) {
      expect(line).toMatch(
        /^(# HELP \w+ \S.*|# TYPE \w+ (gauge|counter)|[a-z_]+(\{\w+="[^"\n]*"(,\w+="[^"\n]*")*\})? \d+(\.\d+)?)$/,
      );
    }
    for (const line of [
      'enf_agent_info{version="1.2.3",mode="tpm",address="fd00::7"} 1',
      'enf_agent_online 0',
      'enf_agent_situation{situation="backing-off"} 1',
      'enf_agent_trouble{code="net.timeout"} 1',
      'enf_agent_failed_attempts 3',
      `enf_agent_next_try_seconds ${Date.parse('2030-01-01T12:00:30Z') / 1000}`,
      'enf_agent_sent_packets_total 1',
      'enf_agent_dropped_packets_total{direction="in",reason="foreign"} 13',
      'enf_agent_resident_bytes 50000000',
    ]) {
      expect(text.split('\n')).toContain(line);
    }
  });

  test('that have no value are absent', () => {
    const calm = renderMetrics(
      { ...STATUS, situation: 'online', trouble: null, lastHandshake: null },
      undefined,
      1,
    );
    expect(calm).toContain('enf_agent_online 1');
    for (const name of ['trouble', 'next_try', 'last_handshake', 'sent_bytes', 'dropped']) {
      expect(calm).not.toContain(`enf_agent_${name}`);
    }
  });

  test('escape what labels may not hold', () => {
    expect(renderMetrics({ ...STATUS, version: 'a"b\\c\nd' }, undefined, 1)).toContain(
      'version="a\\"b\\\\c\\nd"',
    );
  });

  test('are documented, each with its kind', () => {
    const rows = [...docs.matchAll(/^\| `enf_agent_(\w+)` \| (\w+) \| (.*) \|$/gm)].map((row) =>
      row.slice(1),
    );
    expect(rows).toEqual(METRICS.map(({ name, kind, help }) => [name, kind, help]));
  });

  test('are all that loopback answers', async () => {
    const of = agent();
    const server = await serveLoopback({ host: '127.0.0.1', port: 0 }, (question) =>
      answerMetrics(question, of),
    );
    onTestFinished(() => server.close());
    const at = `http://127.0.0.1:${server.port}`;
    const answer = await fetch(`${at}/metrics`);
    expect([answer.status, answer.headers.get('content-type')]).toEqual([
      200,
      'text/plain; version=0.0.4; charset=utf-8',
    ]);
    expect(await answer.text()).toContain('enf_agent_online 0');
    expect((await fetch(`${at}/v1/status`)).status).toBe(404);
    for (const path of ['provision', 'decommission'])
      expect((await fetch(`${at}/v1/${path}`, { method: 'POST' })).status).toBe(404);
    expect([of.renewals, of.departures]).toEqual([0, []]);
    await expect(serveLoopback({ host: '127.0.0.1', port: server.port }, () => '')).rejects.toMatchObject({
      code: 'control.cannot-listen',
    });
    expect(answerMetrics({ method: 'GET', path: '/metrics' }, of)).toBeInstanceOf(TextAnswer);
  });
});

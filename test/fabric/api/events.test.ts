import { connect } from 'node:net';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import type { Role } from '../../../fabric/access/roles.ts';
import { startFeed } from '../../../fabric/api/feed.ts';
import type { Api } from '../../../fabric/api/server.ts';
import type { NewsView } from '../../../fabric/operations/news.ts';
import { invitePerson } from '../../../fabric/operations/people/people.ts';
import { createToken } from '../../../fabric/operations/people/tokens.ts';
import { outageLog } from '../../../fabric/outage-log.ts';
import type { Log } from '../../../os/service/log.ts';
import { Failure } from '../../../protocol/failure.ts';
import { parsePrefix } from '../../../protocol/ipv6.ts';
import { opened, registryFile } from '../place.ts';
import { type Browser, browser, served } from './console.ts';

const POSITION = { change: 0, handshake: 0, audit: 0, tunnel: 0 };
const device = (address: string) => ({ name: 'device', owner: 1, data: { address } }) as const;

/** What is new, as the test says it. */
function newsline() {
  const waiting: NewsView[] = [];
  let wake = (): void => {};
  return {
    async news(since: NewsView['position'] | undefined): Promise<NewsView> {
      if (since === undefined) return { position: POSITION, events: [], missed: [] };
      while (waiting.length === 0)
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      return waiting.shift()!;
    },
    tell(events: NewsView['events'], missed: NewsView['missed'] = []): void {
      waiting.push({ position: POSITION, events, missed });
      wake();
    },
  };
}

const contextOf = (registry: ReturnType<typeof opened>) => ({
  registry,
  running: { notify: async () => 'in force', presence: async () => undefined },
  actor: 'alice',
  now: Date.now,
});

async function place(options: Parameters<typeof served>[1] = {}) {
  const registry = opened(registryFile());
  const api = await served(registry, options);
  const tokenOf = async (role: Role): Promise<{ token: string; id: number }> =>
    createToken.run(contextOf(registry), { name: role, role, days: 1 });
  return { registry, api, tokenOf };
}

const MOST_TEXT = 10_000;

interface Listening {
  readonly status: number;
  readonly headers: Headers;
  /** What has come last. */
  text(): string;
  /** Waits until the pattern has come. */
  until(pattern: RegExp): Promise<RegExpExecArray>;
  isOver(): boolean;
}

async function listen({ port }: Pick<Api, 'port'>, headers: Record<string, string>): Promise<Listening> {
  const leaving = new AbortController();
  onTestFinished(() => leaving.abort());
  const response = await fetch(`http://127.0.0.1:${port}/api/v1/events`, { headers, signal: leaving.signal });
  let text = '';
  const done = (async () => {
    for await (const chunk of response.body!) text = (text + Buffer.from(chunk).toString()).slice(-MOST_TEXT);
  })();
  let over = false;
  const end = (): void => {
    over = true;
  };
  done.then(end, end);
  return {
    status: response.status,
    headers: response.headers,
    text: () => text,
    async until(pattern) {
      await expect.poll(() => text, { timeout: 20_000 }).toMatch(pattern);
      return pattern.exec(text)!;
    },
    isOver: () => over,
  };
}

/** Every 15 seconds all streams are looked at anyway. */
function withoutHeartbeat(): void {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  onTestFinished(() => void vi.useRealTimers());
}

/** Something happens, and the stream tells it. */
async function happens(registry: ReturnType<typeof opened>, stream: Listening, what: number): Promise<void> {
  await registry.addNetwork('alice', parsePrefix(`fd00:${what}::/64`), 'plant');
  await stream.until(new RegExp(`"subject":"fd00:${what}::`));
}

/** Ends the stream, by which it hears little more of what the other one goes on to tell. */
async function ends(
  registry: ReturnType<typeof opened>,
  { ending, other }: { ending: Listening; other: Listening },
  end: () => Promise<unknown>,
): Promise<void> {
  await happens(registry, ending, 7_000);
  await end();
  for (let count = 0; count < 20 && !ending.isOver(); count++) await happens(registry, other, 8_000 + count);
  expect(ending.isOver()).toBe(true);
  await happens(registry, other, 9_000);
}

const bearer = (token: string) => ({ authorization: `Bearer ${token}` });

describe('a stream of events', () => {
  test('tells what happens in the fabric, as it happens', async () => {
    const { registry, api, tokenOf } = await place();
    const stream = await listen(api, bearer((await tokenOf('owner')).token));
    expect(stream.status).toBe(200);
    expect(stream.headers.get('content-type')).toBe('text/event-stream');
    expect(stream.headers.get('cache-control')).toBe('no-store');
    expect(stream.headers.get('content-security-policy')).toContain("default-src 'none'");
    await stream.until(/^id: \d+\n\n/);
    await registry.addNetwork('alice', parsePrefix('fd00:7::/64'), 'plant');
    await stream.until(/event: network\ndata: \{"prefix":"fd00:7::\/64"\}\n\n/);
    await stream.until(/event: audit\ndata: \{.*"action":"network\.add"/);
    await registry.refused({ source: '192.0.2.9', proven: false, result: 'xtt.bad' });
    await stream.until(/event: handshake\ndata: \{.*"source":"192\.0\.2\.9"/);
  });

  test('tells each role what it may see', async () => {
    const line = newsline();
    const { api, tokenOf } = await place({ news: line.news });
    const stream = await listen(api, bearer((await tokenOf('installer')).token));
    await stream.until(/^id/);
    line.tell([
      { name: 'audit', owner: 1, data: { action: 'x' } },
      { name: 'handshake', owner: 1, data: {} },
      device('fd00::1'),
    ]);
    await stream.until(/fd00::1/);
    expect(stream.text()).not.toMatch(/event: (audit|handshake)/);
  });

  test('goes on where it was, if that is kept, and begins anew otherwise', async () => {
    const line = newsline();
    const { api, tokenOf } = await place({ news: line.news });
    const headers = bearer((await tokenOf('owner')).token);
    const first = await listen(api, headers);
    await first.until(/^id/);
    line.tell([device('fd00::1')]);
    const [, id] = await first.until(/id: (\d+)\nevent: device\ndata: \{"address":"fd00::1"\}/);
    line.tell([device('fd00::2'), device('fd00::3')]);
    // Those that come together have one number, which the last one says.
    await first.until(/\n\nevent: device\ndata: .*fd00::2"\}\n\nid: \d+\nevent: device\ndata: .*fd00::3/);
    const again = await listen(api, { ...headers, 'last-event-id': id! });
    await again.until(/fd00::3/);
    expect(again.text()).toMatch(/fd00::2/);
    expect(again.text()).not.toMatch(/fd00::1|reset/);
    for (const last of ['1', String(Number(id) + 1_000_000), 'nonsense', '-1']) {
      const anew = await listen(api, { ...headers, 'last-event-id': last });
      await anew.until(/id: \d+\nevent: reset\ndata: \{\}\n\n/);
      expect(anew.text()).not.toContain('fd00::');
    }
  });

  test('says when events were left out', async () => {
    const line = newsline();
    const { api, tokenOf } = await place({ news: line.news });
    const stream = await listen(api, bearer((await tokenOf('host')).token));
    const ending = await listen(api, bearer((await tokenOf('installer')).token));
    await stream.until(/^id/);
    line.tell([device('fd00::7')], [1]);
    for (const each of [stream, ending]) await each.until(/fd00::7[\s\S]*event: reset/);
    line.tell([], 'all');
    await stream.until(/event: reset[\s\S]*event: reset/);
    // There may be several owners now: who was the only one's asks anew.
    await ending.until(/event: reset[\s\S]*event: reset/);
    await expect.poll(() => ending.isOver()).toBe(true);
    // Of all owners at once is one.
    line.tell([device('fd00::8')], [1, 2, 0]);
    line.tell([device('fd00::9')]);
    await stream.until(/fd00::9/);
    expect(stream.text().match(/event: reset/g)).toHaveLength(3);
  });

  test('is for whoever has a token or a session, ten at most', async () => {
    const { api, tokenOf } = await place();
    expect((await listen(api, {})).status).toBe(401);
    expect((await listen(api, bearer('enf_wrong'))).status).toBe(401);
    const { token } = await tokenOf('auditor');
    for (let count = 0; count < 10; count++) expect((await listen(api, bearer(token))).status).toBe(200);
    const refused = await listen(api, bearer(token));
    expect(refused.status).toBe(503);
    await refused.until(/request\.too-many-streams/);
    expect((await listen(api, bearer((await tokenOf('auditor')).token))).status).toBe(200);
  });

  test('is one of two hundred', async () => {
    const { api, tokenOf } = await place();
    for (let count = 0; count < 20; count++) {
      const { token } = await tokenOf('auditor');
      const all = await Promise.all(Array.from({ length: 10 }, () => listen(api, bearer(token))));
      expect(all.every(({ status }) => status === 200)).toBe(true);
    }
    expect((await listen(api, bearer((await tokenOf('auditor')).token))).status).toBe(503);
  });

  test('ends when the token is revoked', async () => {
    withoutHeartbeat();
    const { registry, api, tokenOf } = await place();
    const [one, two] = [await tokenOf('owner'), await tokenOf('owner')];
    const [ending, other] = [await listen(api, bearer(one.token)), await listen(api, bearer(two.token))];
    await ends(registry, { ending, other }, () => registry.revokeToken('alice', one.id));
  });

  test.each<[string, (there: Browser, registry: ReturnType<typeof opened>) => Promise<unknown>]>([
    ['signing out', (there) => there.send('DELETE', '/session')],
    ['signing out everywhere', (there) => there.send('DELETE', '/sessions')],
    ['another role', (_, registry) => registry.setRole('alice', 1, 'host')],
  ])('ends with %s', async (_, end) => {
    withoutHeartbeat();
    const { registry, api, tokenOf } = await place();
    const there = browser(api);
    const { invite } = await invitePerson.run(contextOf(registry), { role: 'owner', hours: 1 });
    await there.send('POST', '/setup', { invite, name: 'Anna', password: 'correct horse battery' });
    const ending = await listen(api, { cookie: there.cookie() });
    const other = await listen(api, bearer((await tokenOf('owner')).token));
    await ends(registry, { ending, other }, () => end(there, registry));
  });

  test('that nobody reads is dropped, and others go on', async () => {
    const line = newsline();
    const { api, tokenOf } = await place({ news: line.news });
    const { token } = await tokenOf('owner');
    const reader = await listen(api, bearer((await tokenOf('owner')).token));
    await reader.until(/^id/);
    const lazy = connect(api.port, '127.0.0.1');
    lazy.pause();
    lazy.write(`GET /api/v1/events HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${token}\r\n\r\n`);
    const closed = new Promise((resolve) => lazy.on('close', resolve));
    lazy.on('error', () => {});
    const long = 'x'.repeat(60_000);
    for (let count = 0; count < 400; count++) {
      line.tell([{ name: 'device', owner: 1, data: { address: `${long} ${count}` } }]);
      await reader.until(new RegExp(` ${count}"`));
    }
    // What is left is in the buffers of the kernel, and all of it cannot be.
    lazy.resume();
    await closed;
    line.tell([device('fd00::9')]);
    await reader.until(/fd00::9/);
  });
});

describe('the feed', () => {
  /** A feed of what the test tells, at a time that it says. */
  function telling() {
    const line = newsline();
    let time = 5_000;
    const feed = startFeed(
      line,
      () => {},
      () => time,
    );
    onTestFinished(() => feed.close());
    const passed: number[] = [];
    feed.subscribe((events) => void passed.push(events[0]!.id));
    return {
      feed,
      passed,
      async tell(at: number, events: NewsView['events'], missed: NewsView['missed'] = []): Promise<number> {
        time = at;
        const before = passed.length;
        line.tell(events, missed);
        await expect.poll(() => passed.length).toBe(before + 1);
        return passed.at(-1)!;
      },
    };
  }
  const of = (owner: number, count: number) =>
    Array.from({ length: count }, (_, i) => ({ ...device(`${owner} ${i}`), owner }));

  /** Passes on news of a fabric whose server is away at first. */
  async function awayAtFirst(log: Log): Promise<void> {
    let asked = 0;
    const answers = newsline();
    const feed = startFeed(
      {
        news: (since) => {
          if (++asked > 3) return answers.news(since);
          return Promise.reject(new Failure('registry.unreachable', 'retry', 'the server is away'));
        },
      },
      log,
      Date.now,
    );
    onTestFinished(() => feed.close());
    let passed = 0;
    feed.subscribe(() => passed++);
    await expect.poll(() => asked, { timeout: 10_000 }).toBeGreaterThan(3);
    answers.tell([device('fd00::7')]);
    await expect.poll(() => passed, { timeout: 5_000 }).toBe(1);
  }

  test('says once that there are no news, and once that there are again', async () => {
    const lines: string[] = [];
    await awayAtFirst((level, message) => lines.push(`${level} ${message}`));
    expect(lines).toEqual([
      'error no news of the fabric: the server is away',
      'notice there are news of the fabric again',
    ]);
  });

  test('leaves it to a log of outages to say that the server is away, and that it is back', async () => {
    const lines: string[] = [];
    const outage = outageLog((level, message) => lines.push(`${level} ${message}`));
    await awayAtFirst(outage.log);
    expect(lines).toEqual(['error the server is away']);
    outage.worked();
    outage.close();
    expect(lines.slice(1)).toEqual([
      expect.stringMatching(/^notice the registry answers again after \d+ s$/),
    ]);
  });

  test('keeps the newest thousand events, which have the time at which they came', async () => {
    const { feed, tell } = telling();
    expect(await tell(6_000, of(1, 600))).toBe(6_000);
    expect(await tell(6_100, of(1, 600))).toBe(6_100);
    // Two at one time, or of a clock that was set back, are one after the other.
    expect(await tell(6_100, of(1, 1))).toBe(6_101);
    expect(await tell(6_000, of(1, 1))).toBe(6_102);
    expect(feed.since(5_999, null)).toBeUndefined();
    expect(feed.since(6_000, null)).toHaveLength(602);
    expect(feed.since(6_101, null)).toMatchObject([{ id: 6_102, data: { address: '1 0' } }]);
    expect(feed.since(6_102, null)).toEqual([]);
    expect(feed.since(6_103, null)).toBeUndefined();
    // A number that was given out is before all that comes.
    const mark = feed.mark();
    const next = await tell(6_000, of(1, 1));
    expect(next).toBeGreaterThan(mark);
    expect(feed.since(mark, null)).toHaveLength(1);
  });

  test('tells an owner nothing of how much happens to others', async () => {
    const { feed, passed, tell } = telling();
    await tell(6_000, of(1, 1));
    await tell(6_100, of(2, 1));
    // Another's flood: the owner's own events are not pushed out of its sight, and its numbers do not count it.
    for (let at = 6_200; at < 6_500; at += 100) await tell(at, of(1, 900), [1]);
    await tell(7_000, of(2, 1));
    expect(passed).toEqual([6_000, 6_100, 6_200, 6_300, 6_400, 7_000]);
    expect(feed.since(6_100, 2)).toMatchObject([{ id: 7_000 }]);
    expect(feed.since(6_050, 3)).toEqual([]);
    expect(feed.since(6_100, 1)).toBeUndefined();
    expect(feed.since(6_100, null)).toBeUndefined();
    // Of the second owner one event is gone.
    expect(feed.since(6_050, 2)).toBeUndefined();
    expect(feed.since(6_400, 1)).toEqual([]);
    // What nobody knows whose it was everybody hears of.
    await tell(7_100, [], 'all');
    expect(feed.since(7_000, 3)).toMatchObject([{ name: 'reset' }]);
  });

  test('goes on after a fabric that was away', async () => {
    const answers: (NewsView | undefined | Error)[] = [
      { position: POSITION, events: [], missed: [] },
      undefined,
      new Error('broken'),
      { position: POSITION, events: [device('fd00::1')], missed: [] },
    ];
    const log: string[] = [];
    const news = async (): Promise<NewsView | undefined> => {
      const answer = answers.length === 0 ? new Promise<undefined>(() => {}) : answers.shift();
      if (answer instanceof Error) throw answer;
      return answer;
    };
    const feed = startFeed(
      { news },
      (level, text) => log.push(`${level} ${text}`),
      () => 5_000,
    );
    onTestFinished(() => feed.close());
    await expect.poll(() => feed.since(5_000, null), { timeout: 10_000 }).toMatchObject([{ id: 5_001 }]);
    expect(log).toEqual([expect.stringContaining('broken'), 'notice there are news of the fabric again']);
  });
});

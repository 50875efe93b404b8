import { createHmac } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import { type AddressInfo, createServer as createTcpServer } from 'node:net';
import { join } from 'node:path';
import { afterEach, describe, expect, onTestFinished, test } from 'vitest';
import { parseDestination, resolveDestination } from '../../../fabric/alarms/destination.ts';
import { mailOf, readMail } from '../../../fabric/alarms/mail.ts';
import { type SendOptions, sendDue, signature } from '../../../fabric/alarms/sender.ts';
import type { Attempt, DueDelivery } from '../../../fabric/registry/alarms.ts';
import { scratch } from '../place.ts';

interface Request {
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

let server: Server | undefined;
afterEach(() => {
  server?.closeAllConnections();
  server?.close();
});

/** A receiver that answers with a status; `-1`: not at all. Returns its address and what it got. */
async function receiver(status: number, headers: Record<string, string> = {}) {
  const requests: Request[] = [];
  server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      requests.push({ headers: request.headers, body: Buffer.concat(chunks).toString() });
      if (status > 0) response.writeHead(status, headers).end('x'.repeat(100_000));
    });
  });
  await new Promise<void>((resolve) => server!.listen(0, '127.0.0.1', resolve));
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`, requests };
}

const BODY = JSON.stringify({ event: 'hook.test', by: 'anna' });
const delivery = (url: string, more: Partial<DueDelivery> = {}): DueDelivery => ({
  ...{ id: 7, hook: 1, event: 'hook.test', body: BODY, created: 1_000_000, attempts: 0 },
  ...{ status: 'waiting', at: 0, url, secret: 'key', ...more },
});

/** Sends one delivery; what became of it. */
async function sent(due: DueDelivery, options: Partial<SendOptions> = {}, now = 1_000_000): Promise<Attempt> {
  const attempts: Attempt[] = [];
  const registry = {
    dueDeliveries: async () => [due],
    recordAttempt: async (_id: number, attempt: Attempt) => void attempts.push(attempt),
  };
  expect(await sendDue(registry, { allowPrivate: true, ...options }, () => now)).toBe(1);
  return attempts[0]!;
}

describe('a delivery', () => {
  test('is posted with a signature over time and body', async () => {
    const { url, requests } = await receiver(204);
    expect(await sent(delivery(url))).toEqual({ kind: 'sent' });
    const [{ headers, body }] = requests as [Request];
    expect(body).toBe(BODY);
    const expected = createHmac('sha256', 'key').update(`1000.${BODY}`).digest('hex');
    expect(headers['enf-signature']).toBe(`t=1000,v1=${expected}`);
    expect(signature('key', BODY, 1_000)).toBe(headers['enf-signature']);
    expect([headers['content-type'], headers['enf-event'], headers['enf-delivery']]).toEqual([
      'application/json',
      'hook.test',
      '7',
    ]);
  });

  test('that is not accepted is tried later, and given up after a day', async () => {
    for (const status of [301, 404, 500]) {
      const { url, requests } = await receiver(status, { location: 'http://127.0.0.1:1/' });
      const attempt = await sent(delivery(url));
      expect(attempt).toMatchObject({ kind: 'later', error: `HTTP ${status}` });
      expect((attempt as { next: number }).next).toBeGreaterThan(1_000_000);
      expect(requests).toHaveLength(1);
      expect(await sent(delivery(url), {}, 1_000_000 + 86_400_000)).toMatchObject({ kind: 'given-up' });
      server!.close();
    }
    const { url } = await receiver(410);
    expect(await sent(delivery(url))).toMatchObject({ kind: 'given-up' });
  });

  test('is tried later when nobody listens, or the fabric stops meanwhile', async () => {
    expect(await sent(delivery('http://127.0.0.1:1/'))).toMatchObject({ kind: 'later' });
    const { url } = await receiver(-1);
    const stopping = new AbortController();
    const waiting = sent(delivery(url), { signal: stopping.signal });
    setTimeout(() => stopping.abort(), 50);
    expect(await waiting).toMatchObject({ kind: 'later' });
  });

  test('does not lead into private networks unless that is allowed', async () => {
    const { url, requests } = await receiver(200);
    for (const each of [
      url,
      url.replace('127.0.0.1', 'localhost'),
      'https://[::1]/',
      'https://10.0.0.1/',
      'https://[::ffff:192.168.0.1]/',
    ]) {
      const attempt = await sent(delivery(each), { allowPrivate: false });
      expect(attempt, each).toMatchObject({
        kind: 'later',
        error: expect.stringContaining('private network'),
      });
    }
    expect(requests).toEqual([]);
    await expect(resolveDestination(new URL('http://8.8.8.8/'), true)).rejects.toThrow('only for private');
    const { address, lookup } = await resolveDestination(new URL('https://8.8.8.8/'), false);
    expect(address).toBe('8.8.8.8');
    const looked = await new Promise((resolve) =>
      lookup('other.example', { all: true }, (_error, found) => resolve(found)),
    );
    expect(looked).toEqual([{ address: '8.8.8.8', family: 4 }]);
  });
});

describe('a destination', () => {
  test('is an https: or http: address without a password, or a mailbox', () => {
    expect(parseDestination('https://a.example/x?y#z')).toMatchObject({ kind: 'http' });
    expect(parseDestination('mailto:ops@example.org')).toEqual({ kind: 'mail', to: 'ops@example.org' });
    for (const text of [
      ...['', 'a.example', 'ftp://a.example', 'file:///etc/passwd', 'https://u:p@a.example/'],
      ...[
        'mailto:',
        'mailto:a',
        'mailto:a@b,c@d',
        'mailto:a@b?cc=c@d',
        'mailto:"x"@b',
        'mailto:a@b\nBcc: c@d',
      ],
      `https://${'a'.repeat(500)}.example/`,
    ]) {
      expect(() => parseDestination(text), text).toThrow(
        expect.objectContaining({ code: 'fabric.bad-hook' }),
      );
    }
  });
});

describe('mail', () => {
  test('goes to the server of the file, with what the event is about', async () => {
    const lines: string[] = [];
    const smtp = createTcpServer((socket) => {
      socket.write('220 here\r\n');
      let data = false;
      let rest = '';
      socket.on('data', (chunk) => {
        const all = `${rest}${chunk}`.split('\r\n');
        rest = all.pop()!;
        for (const line of all) {
          lines.push(line);
          if (data && line !== '.') continue;
          data = line === 'DATA';
          socket.write(data ? '354 go on\r\n' : '250 ok\r\n');
        }
      });
    });
    await new Promise<void>((resolve) => smtp.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => void smtp.close());
    const file = join(scratch(), 'mail');
    writeFileSync(file, `smtp://127.0.0.1:${(smtp.address() as AddressInfo).port}\nenf@example.org\n`);
    const mail = await readMail(file);
    const body = JSON.stringify({
      event: 'alarm.opened',
      alarm: { kind: 'device.twins', subject: 'fd00::1' },
    });
    const due = delivery('mailto:ops@example.org', { event: 'alarm.opened', body });
    expect(await sent(due, { mail })).toEqual({ kind: 'sent' });
    expect(lines).toContain('RCPT TO:<ops@example.org>');
    expect(lines).toContain('Subject: [enf] alarm.opened: device.twins fd00::1');
    expect(await sent(due)).toMatchObject({ kind: 'later', error: expect.stringContaining('--mail') });
  });

  test('does not hold up a fabric that stops', async () => {
    const silent = createTcpServer();
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => void silent.close());
    const server = `smtp://127.0.0.1:${(silent.address() as AddressInfo).port}`;
    const stopping = new AbortController();
    silent.once('connection', () => stopping.abort());
    const mail = { server, from: 'enf@example.org' };
    const attempt = await sent(delivery('mailto:ops@example.org'), { mail, signal: stopping.signal });
    expect(attempt).toMatchObject({ kind: 'later', error: 'the fabric stopped' });
  });

  test('has a file of two lines', async () => {
    const file = join(scratch(), 'mail');
    for (const text of [
      '',
      'smtps://a.example',
      'http://a.example\nx@y',
      'smtps://a\nx',
      'smtps://a\nx@y\nmore',
    ]) {
      writeFileSync(file, text);
      await expect(readMail(file), text).rejects.toMatchObject({ code: 'fabric.bad-mail' });
    }
    writeFileSync(file, 'smtps://u:p@mail.example.org\nenf@example.org\n');
    expect(await readMail(file)).toEqual({ server: 'smtps://u:p@mail.example.org', from: 'enf@example.org' });
    await expect(readMail('/nowhere')).rejects.toMatchObject({ code: 'os.no-file' });
    expect(mailOf('hook.test', BODY).subject).toBe('[enf] hook.test');
  });
});

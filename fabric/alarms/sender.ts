import { createHmac } from 'node:crypto';
import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { pause } from '../../protocol/backoff.ts';
import type { Alarms, Attempt, DueDelivery } from '../registry/alarms.ts';
import { parseDestination, resolveDestination } from './destination.ts';
import { type Mail, sendMail } from './mail.ts';

/** How the fabric sends to hooks. */
export interface SendOptions {
  /** Hooks may lead into private networks, and to this host. */
  readonly allowPrivate: boolean;
  /** By which server mail leaves; undefined: there is none. */
  readonly mail?: Mail;
  /** What is under way ends when it aborts, and is tried again. */
  readonly signal?: AbortSignal;
  /** PEM of roots beside those of the system. */
  readonly ca?: string;
}

const TIMEOUT_MS = 10_000;
/** For so long a delivery is tried. */
const TRIED_MS = 24 * 3_600_000;
const RETRY = { firstMs: 10_000, capMs: 3_600_000 };
/** Deliveries under way at once: one of each hook. */
const AT_ONCE = 20;
const LONGEST_ERROR = 200;

/** `t=SECONDS,v1=HEX`: HMAC-SHA-256 with the hook's secret over `SECONDS.BODY`. */
export function signature(secret: string, body: string, seconds: number): string {
  return `t=${seconds},v1=${createHmac('sha256', secret).update(`${seconds}.${body}`).digest('hex')}`;
}

/** Sends what is due, and records what became of it. Resolves to how many there were. */
export async function sendDue(
  registry: Pick<Alarms, 'dueDeliveries' | 'recordAttempt'>,
  options: SendOptions,
  now: () => number = Date.now,
): Promise<number> {
  const due = await registry.dueDeliveries(AT_ONCE);
  await Promise.all(
    due.map(async (delivery) => registry.recordAttempt(delivery.id, await attempt(delivery, options, now()))),
  );
  return due.length;
}

/** One attempt, and what follows from it. */
async function attempt(delivery: DueDelivery, options: SendOptions, now: number): Promise<Attempt> {
  try {
    const destination = parseDestination(delivery.url);
    if (destination.kind === 'mail') await sendMail(options, destination.to, delivery);
    else {
      const status = await post(destination.url, delivery, options, now);
      if (status === 410) return { kind: 'given-up', error: 'HTTP 410: the receiver is gone' };
      if (status < 200 || status > 299) throw new Error(`HTTP ${status}`);
    }
    return { kind: 'sent' };
  } catch (error) {
    const why = (error as Error).message.slice(0, LONGEST_ERROR);
    if (now - delivery.created >= TRIED_MS) return { kind: 'given-up', error: why };
    const wait = RETRY.firstMs / 2 + pause(RETRY, delivery.attempts, Math.random());
    return { kind: 'later', next: now + Math.floor(wait), error: why };
  }
}

/** Posts the body; resolves to the status. Redirects are not followed, and the answer's body is not read. */
async function post(
  url: URL,
  { body, secret, event, id }: DueDelivery,
  { allowPrivate, ca, signal }: SendOptions,
  now: number,
): Promise<number> {
  const { lookup } = await resolveDestination(url, allowPrivate);
  const headers = {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(body),
    'user-agent': 'enf-fabric',
    'enf-event': event,
    'enf-delivery': String(id),
    'enf-signature': signature(secret, body, Math.floor(now / 1_000)),
  };
  const send = url.protocol === 'https:' ? httpsRequest : httpRequest;
  const timeout = AbortSignal.timeout(TIMEOUT_MS);
  const ended = signal === undefined ? timeout : AbortSignal.any([timeout, signal]);
  return new Promise((resolve, reject) => {
    const request = send(url, {
      ...{ method: 'POST', headers, lookup, agent: false, signal: ended },
      ...(ca !== undefined && { ca }),
    });
    request.on('response', (response) => {
      resolve(response.statusCode ?? 0);
      response.destroy();
    });
    request.on('error', (error) => reject(timeout.aborted ? timedOut() : error));
    request.end(body);
  });
}

const timedOut = (): Error => new Error(`no answer within ${TIMEOUT_MS / 1_000} s`);

import { readBounded } from '../../os/files/read.ts';
import { Failure } from '../../protocol/failure.ts';
import type { DueDelivery } from '../registry/alarms.ts';

/** By which server mail leaves: an smtp: or smtps: URL, perhaps with user name and password, and the sender. */
export interface Mail {
  readonly server: string;
  readonly from: string;
}

const TIMEOUT_MS = 20_000;

/** Reads the file of `--mail`: two lines, the server's URL and the sender. @throws Failure `fabric.bad-mail`, `os.…` */
export async function readMail(path: string): Promise<Mail> {
  const text = new TextDecoder().decode(await readBounded(path, 'mail server'));
  const [server = '', from = '', ...rest] = text.split('\n').map((line) => line.trim());
  const known = URL.canParse(server) && ['smtp:', 'smtps:'].includes(new URL(server).protocol);
  if (!known || !/^[^\s@]+@[^\s@]+$/.test(from) || rest.some((line) => line !== '')) {
    throw new Failure('fabric.bad-mail', 'operator', `${path}: expected the URL of a server and a sender`, {
      action: 'Write two lines, e.g. smtps://user:password@mail.example.org and enf@example.org.',
    });
  }
  return { server, from };
}

/** Sends an event as a mail. @throws Error why it was not accepted */
export async function sendMail(
  { mail, signal }: { readonly mail?: Mail; readonly signal?: AbortSignal },
  to: string,
  { event, body }: Pick<DueDelivery, 'event' | 'body'>,
): Promise<void> {
  if (mail === undefined) throw new Error('this fabric has no mail server (serve --mail)');
  const { createTransport } = await import('nodemailer');
  const transport = createTransport({
    url: mail.server,
    ...{ connectionTimeout: TIMEOUT_MS, greetingTimeout: TIMEOUT_MS, socketTimeout: TIMEOUT_MS },
    ...{ disableFileAccess: true, disableUrlAccess: true },
  });
  // A server that does not answer must not hold up a fabric that stops.
  const over = new AbortController();
  try {
    await Promise.race([
      transport.sendMail({ from: mail.from, to, ...mailOf(event, body) }),
      aborted(signal, over.signal),
    ]);
  } finally {
    over.abort();
    transport.close();
  }
}

/** Rejects when `signal` aborts, unless `over` does before that and nobody waits any more. */
const aborted = (signal: AbortSignal | undefined, over: AbortSignal): Promise<never> =>
  new Promise((_, reject) =>
    signal?.addEventListener('abort', () => reject(new Error('the fabric stopped')), {
      once: true,
      signal: over,
    }),
  );

/** Subject and text of an event. */
export function mailOf(event: string, body: string): { readonly subject: string; readonly text: string } {
  const { alarm } = JSON.parse(body) as { alarm?: { kind: string; subject: string } };
  const about = alarm === undefined ? event : `${event}: ${alarm.kind} ${alarm.subject}`;
  return { subject: `[enf] ${about}`, text: `${JSON.stringify(JSON.parse(body), null, 2)}\n` };
}

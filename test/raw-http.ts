import type { Duplex } from 'node:stream';

/** What a server has answered to bytes, until it has closed the connection. */
export interface RawAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  /** All of it, also what came before, such as `100 Continue`. */
  readonly whole: string;
}

/** Reads a connection to its end and takes the last answer apart. @throws Error if there is none */
export async function lastAnswer(socket: Duplex): Promise<RawAnswer> {
  const parts: Buffer[] = [];
  await new Promise<void>((resolve) => {
    socket.on('data', (part: Buffer) => void parts.push(part));
    socket.once('close', () => resolve()).once('end', () => resolve());
    // A reset after the answer is an end, too.
    socket.on('error', () => {});
  });
  const whole = Buffer.concat(parts).toString('latin1');
  const start = [...whole.matchAll(/HTTP\/1\.1 \d{3} /g)].at(-1)?.index;
  const [head = '', body = ''] = start === undefined ? [] : split(whole.slice(start));
  const [line = '', ...lines] = head.split('\r\n');
  const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(line)?.[1]);
  if (Number.isNaN(status)) throw new Error(`no answer of HTTP: ${JSON.stringify(whole.slice(0, 200))}`);
  const headers = Object.fromEntries(
    lines.map((each) => {
      const colon = each.indexOf(':');
      return [each.slice(0, colon).toLowerCase(), each.slice(colon + 1).trim()];
    }),
  );
  return { status, headers, body, whole };
}

function split(answer: string): [head: string, body: string] {
  const end = answer.indexOf('\r\n\r\n');
  return [answer.slice(0, end), answer.slice(end + 4)];
}

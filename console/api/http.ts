import { Problem } from './problem.ts';

export const PREFIX = '/api/v1';

/** Called when the session has ended, whatever was asked. */
let onSignedOut: () => void = () => {};

export function whenSignedOut(listener: () => void): void {
  onSignedOut = listener;
}

/** For which of its owners whoever is here asks; undefined: for the first one, or for all. */
let owner: string | undefined;

export function actFor(name: string | undefined): void {
  owner = name;
}

/** The owner that was chosen, for links, to which a browser adds no header. */
export const actingFor = (): string | undefined => owner;

/** The address of the stream of what happens, to which a browser adds no header. */
export const eventsAddress = (): string =>
  `${PREFIX}/events${owner === undefined ? '' : `?owner=${encodeURIComponent(owner)}`}`;

/** Asks whoever sits there to show that; resolves to whether it has. */
let confirm: () => Promise<boolean> = async () => false;

export function whenNotFresh(ask: () => Promise<boolean>): void {
  confirm = ask;
}

/**
 * Sends a request of the own session. If the fabric wants a fresh sign-in for it, it is sent once more after that.
 * @throws Problem
 */
export async function send<View>(method: string, path: string, body?: object): Promise<View> {
  try {
    return await sendOnce<View>(method, path, body);
  } catch (error) {
    const isStale = error instanceof Problem && error.code === 'access.fresh-sign-in';
    if (!isStale || !(await confirm())) throw error;
    return sendOnce<View>(method, path, body);
  }
}

async function sendOnce<View>(method: string, path: string, body?: object): Promise<View> {
  let response: Response;
  try {
    response = await fetch(`${PREFIX}${path}`, {
      method,
      // No form of another site can send it.
      headers: {
        'x-enf-request': '1',
        ...(owner === undefined ? {} : { 'enf-owner': owner }),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  } catch {
    throw new Problem(
      'console.unreachable',
      0,
      'The console does not answer.',
      'Look at your network; the page tries again by itself.',
      true,
    );
  }
  const answer: unknown = await response.json().catch(() => undefined);
  if (response.ok) return answer as View;
  const problem = problemFrom(response.status, answer);
  if (problem.code === 'access.not-signed-in') onSignedOut();
  throw problem;
}

function problemFrom(status: number, answer: unknown): Problem {
  const { code, title, detail, remedy } = (answer ?? {}) as Readonly<
    Record<'code' | 'title' | 'detail' | 'remedy', string | undefined>
  >;
  return new Problem(
    code ?? 'console.bad-answer',
    status,
    title ?? `The console answered with status ${status}.`,
    detail ?? 'Try again; if it stays so, see the log of the console.',
    remedy === 'retry',
  );
}

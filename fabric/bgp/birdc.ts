import { createConnection } from 'node:net';
import { Failure } from '../../protocol/failure.ts';
import { SESSION_PREFIX } from './bird.ts';

/** A session of the BGP daemon with another node. */
export interface BgpSession {
  /** The name of the node. */
  readonly node: string;
  readonly established: boolean;
  /** As the daemon says: `Established`, `Active`, `Connect`, an error. */
  readonly state: string;
}

const PATIENCE_MS = 3_000;
const MOST_BYTES = 1_000_000;
const QUESTION = 'show protocols';
/** Whoever says so may only look from then on. */
const RESTRICT = 'restrict';
/** Its greeting, and one to each of the two. */
const ANSWERS = 3;

/**
 * The sessions that "enf-fabric bgp config" has made; undefined: nothing is at that socket, so BIRD does not run. What is said there is BIRD's client protocol, as `birdc` speaks it.
 * @throws Failure `bgp.not-permitted`, `bgp.no-answer`
 */
export async function bgpSessions(
  path: string,
  patienceMs = PATIENCE_MS,
): Promise<readonly BgpSession[] | undefined> {
  try {
    return parseProtocols(await ask(path, patienceMs));
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return undefined;
    if (code === 'EACCES')
      throw new Failure('bgp.not-permitted', 'operator', `BIRD may not be asked at ${path}`, {
        action:
          'Ask it as root or as a member of the group bird; the fabric itself becomes one by "adduser enf-fabric bird" and a restart.',
      });
    const why = code === 'ECONNREFUSED' ? 'it does not run' : message;
    throw new Failure('bgp.no-answer', 'operator', `BIRD does not answer: ${why}`, {
      action: 'Start it ("systemctl start bird"); see "journalctl -u bird".',
    });
  }
}

/** The whole answer to the question, with its codes. @throws Error */
function ask(path: string, patienceMs: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = createConnection(path);
    const said: string[] = [];
    let rest = '';
    let [bytes, answers] = [0, 0];
    const end = (error?: Error): void => {
      clearTimeout(timer);
      socket.destroy();
      if (error === undefined) resolve(said.join('\n'));
      else reject(error);
    };
    const timer = setTimeout(() => end(new Error(`no answer within ${patienceMs / 1_000} s`)), patienceMs);
    socket.setEncoding('utf8');
    socket.on('error', end);
    socket.on('close', () => end(new Error('it has closed the connection')));
    socket.on('data', (chunk: string) => {
      const lines = (rest + chunk).split('\n');
      rest = lines.pop()!;
      said.push(...lines);
      bytes += chunk.length;
      // Each answer ends with a line that has a space behind its code.
      answers += lines.filter((line) => /^\d{4} /.test(line)).length;
      if (answers >= ANSWERS) end();
      else if (bytes > MOST_BYTES) end(new Error('the answer is too long'));
    });
    socket.write(`${RESTRICT}\n${QUESTION}\n`);
  });
}

/**
 * The sessions in the answer to `show protocols`. Each line begins with a code of four digits, or a space where it has that of the line before it
 * (BIRD's client protocol): 1002 is a protocol, with its name, kind, table, state, when that began, and what is to say of it.
 */
export function parseProtocols(answer: string): readonly BgpSession[] {
  const sessions: BgpSession[] = [];
  let code = '';
  for (const line of answer.split('\n')) {
    const match = /^(\d{4})[ -](.*)$/.exec(line);
    code = match?.[1] ?? code;
    if (code !== '1002') continue;
    const [name = '', kind, , , , ...info] = (match?.[2] ?? line).trim().split(/\s+/);
    if (kind !== 'BGP' || !name.startsWith(SESSION_PREFIX)) continue;
    const state = info.join(' ');
    sessions.push({ node: name.slice(SESSION_PREFIX.length), established: state === 'Established', state });
  }
  return sessions;
}

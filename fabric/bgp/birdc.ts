import { runCommand } from '../../os/linux/command.ts';
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

/** The sessions that "enf-fabric bgp config" has made; undefined: BIRD is not installed. @throws Failure `bgp.no-answer` */
export async function bgpSessions(socket?: string): Promise<readonly BgpSession[] | undefined> {
  const words = [...(socket === undefined ? [] : ['-s', socket]), '-r', '-v', 'show', 'protocols'];
  const said = await runCommand('birdc', words, { timeoutMs: PATIENCE_MS, maxBytes: MOST_BYTES });
  if (said.kind === 'not-installed') return undefined;
  if (said.kind === 'killed' || said.code !== 0) {
    const why = said.kind === 'killed' ? 'no answer' : (said.stdout || said.stderr).trim().split('\n').at(-1);
    throw new Failure('bgp.no-answer', 'operator', `BIRD does not answer: ${why}`, {
      action:
        'Start it ("systemctl start bird"); ask it as root or as a member of the group bird; see "journalctl -u bird".',
    });
  }
  return parseProtocols(said.stdout);
}

/**
 * The sessions in the answer to `show protocols`. With `-v` each line begins with a code of four digits, or a space where it has that of the line before it
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

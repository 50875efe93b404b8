import { Failure } from '../../protocol/failure.ts';
import { runCommand } from './command.ts';

/** What systemd-resolved asks on a link: the servers, and the domains for whose names it asks them. */
export interface LinkNames {
  /** IPv6 addresses. */
  readonly servers: readonly string[];
  /** `~` in front: for names in it, and no other reason (systemd.network(5)). */
  readonly domains: readonly string[];
}

/** systemd-resolved, as its command line tells it. Its functions @throws Failure `os.no-resolved`, `os.resolved-refused` */
export interface Resolved {
  read(link: string): Promise<LinkNames>;
  set(link: string, names: LinkNames): Promise<void>;
  /** Takes away what was set. */
  revert(link: string): Promise<void>;
}

const OPTIONS = { timeoutMs: 5_000, maxBytes: 65_536 } as const;

/** `path`: folders that are searched for `resolvectl`. */
export function systemdResolved(path?: string): Resolved {
  const run = async (...words: readonly string[]): Promise<string> => {
    const options = { ...OPTIONS, ...(path !== undefined && { path }) };
    const ended = await runCommand('resolvectl', ['--no-ask-password', '--no-pager', ...words], options);
    if (ended.kind === 'not-installed') throw notInstalled(ended.cause);
    if (ended.kind === 'exited' && ended.code === 0) return ended.stdout;
    throw refused(words[0]!, ended.stderr.split('\n', 1)[0] || 'it did not answer');
  };
  return {
    read: async (link) => ({
      servers: wordsOf(await run('dns', link)),
      domains: wordsOf(await run('domain', link)),
    }),
    async set(link, { servers, domains }) {
      await run('dns', link, ...servers);
      await run('domain', link, ...domains);
    },
    revert: async (link) => void (await run('revert', link)),
  };
}

/** Of `Link 5 (enf0): fd00::1 fd00::2`. */
const wordsOf = (line: string): string[] =>
  line
    .split('\n', 1)[0]!
    .replace(/^[^)]*\):/, '')
    .split(/\s+/)
    .filter((word) => word !== '');

const notInstalled = (cause: Error): Failure =>
  new Failure('os.no-resolved', 'operator', 'there is no resolvectl on this machine', {
    action:
      'Install systemd-resolved, or leave dns.zone empty and tell your resolver yourself (docs/dns.md).',
    cause,
  });

const refused = (what: string, why: string): Failure =>
  new Failure('os.resolved-refused', 'operator', `systemd-resolved refuses "resolvectl ${what}": ${why}`, {
    action:
      'See that it runs and that polkitd is installed: by the rule of the package the user enf may set servers and domains (docs/dns.md).',
  });

import type { Invocation, Option } from '../../../cli/program.ts';
import { readBounded } from '../../../os/files/read.ts';
import { Failure } from '../../../protocol/failure.ts';
import { decodeUtf8 } from '../../../protocol/utf8.ts';
import type { Remote } from '../../api/client.ts';
import { isLoopback } from '../../config/origin.ts';

/** The options by which a command works on a fabric elsewhere. */
export const REMOTE: readonly Option[] = [
  {
    name: 'api',
    value: 'URL',
    help: 'a fabric elsewhere, by its API (or ENF_API), e.g. https://fabric.example:8480',
  },
  {
    name: 'token-file',
    value: 'FILE',
    help: 'file with the token (or ENF_TOKEN_FILE)',
    required: 'with --api',
  },
  { name: 'api-ca', value: 'FILE', help: "with --api: root of the API's certificate, PEM (or ENF_API_CA)" },
];

/**
 * The fabric elsewhere that `--api` or the environment names; undefined: the one in `--data`.
 * @throws Failure `cli.bad-option`, `cli.missing-option`, and those of reading files
 */
export async function remoteOf(invocation: Invocation): Promise<Remote | undefined> {
  const given = (option: string, variable: string): string | undefined =>
    invocation.option(option) ?? (process.env[variable] || undefined);
  const text = given('api', 'ENF_API');
  if (text === undefined) return undefined;
  const url = parseUrl(text);
  const tokenFile = given('token-file', 'ENF_TOKEN_FILE');
  if (tokenFile === undefined) {
    throw new Failure('cli.missing-option', 'operator', '--api needs --token-file', {
      action: 'Make a token on the host of the fabric with "enf-fabric token create", and keep it in a file.',
    });
  }
  const ca = given('api-ca', 'ENF_API_CA');
  return {
    url,
    token: (decodeUtf8(await readBounded(tokenFile, 'token', 1_024)) ?? '').trim(),
    ca: ca === undefined ? undefined : decodeUtf8(await readBounded(ca, 'root of the API')),
  };
}

/**
 * Commands on the data folder work on the host alone: with ENF_API whoever calls means a fabric elsewhere, unless a folder is named.
 * @throws Failure `cli.host-only`
 */
export function requireHere(invocation: Invocation, { default: usual }: Option): void {
  const api = process.env.ENF_API;
  if (!api || invocation.option('data') !== usual) return;
  throw new Failure(
    'cli.host-only',
    'operator',
    `this works on the host of a fabric only, and ENF_API is ${api.slice(0, 100)}`,
    {
      action:
        'Run it on that host. For a fabric on this machine: unset ENF_API, or name its folder with --data.',
    },
  );
}

function parseUrl(text: string): URL {
  const bad = (what: string): Failure =>
    new Failure('cli.bad-option', 'operator', `--api: ${what}`, {
      action: 'Give an address such as https://fabric.example:8480.',
    });
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    throw bad(`${JSON.stringify(text.slice(0, 100))} is no address`);
  }
  if (url.protocol !== 'https:' && url.protocol !== 'http:') throw bad('expected https://');
  if (url.protocol === 'http:' && !isLoopback(url.hostname)) {
    throw bad('without TLS a token may go to this machine only, expected https://');
  }
  if (url.username !== '' || url.password !== '')
    throw bad('a token goes into --token-file, not into the address');
  return url;
}

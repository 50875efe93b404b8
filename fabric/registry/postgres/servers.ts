import { lstatSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { Failure } from '../../../protocol/failure.ts';

/** The file of a data folder that says on which servers its registry is, instead of a file: an address on each line. */
export const SERVERS_FILE = 'registry.url';

/** Where that file is of the data folder of a registry file at `path`. */
export const serversFile = (path: string): string => join(dirname(path), SERVERS_FILE);

const MOST_SERVERS = 10;
const MOST_BYTES = 16_384;

/** The addresses in the file at `file`; undefined if there is none. @throws Failure `registry.bad-url`, `registry.exposed` */
export function readServers(file: string): readonly string[] | undefined {
  const found = lstatSync(file, { throwIfNoEntry: false });
  if (found === undefined) return undefined;
  if (!found.isFile() || found.size > MOST_BYTES) throw badUrl(file, 'it is no small file');
  // It may hold a password.
  if ((found.mode & 0o007) !== 0) {
    throw new Failure('registry.exposed', 'operator', `${file} may be read or written by everybody`, {
      action: `Run "chmod 0600 ${file}"; change the password in it.`,
    });
  }
  const urls = readFileSync(file, 'utf8')
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'));
  if (urls.length === 0 || urls.length > MOST_SERVERS) {
    throw badUrl(file, `it has ${urls.length} addresses, and 1 to ${MOST_SERVERS} are expected`);
  }
  for (const [at, url] of urls.entries()) {
    if (!isAddress(url)) throw badUrl(file, `address ${at + 1} is none of PostgreSQL's`);
    // They would replace what the program sets, such as that a commit waits for the disk.
    if (parsed(url).searchParams.has('options')) throw badUrl(file, `address ${at + 1} sets "options"`);
  }
  return urls;
}

function isAddress(text: string): boolean {
  if (!/^postgres(ql)?:\/\/\S+$/.test(text) || !URL.canParse(withHost(text))) return false;
  try {
    serverPlace(text);
    return true;
  } catch (error) {
    // A host with a "%" that begins no byte of UTF-8.
    if (error instanceof URIError) return false;
    throw error;
  }
}

const withHost = (text: string): string => text.replace('@/', '@localhost/');
const parsed = (url: string): URL => new URL(withHost(url));

// What is in the file is not shown: it may be a password.
const badUrl = (file: string, why: string): Failure =>
  new Failure('registry.bad-url', 'operator', `${file} does not name a database server: ${why}`, {
    action: 'Write an address on each line, such as postgres://enf@db.example.org/enf?sslmode=verify-full.',
  });

/** Where an address leads, for messages: without passwords, wherever one may be in it. */
export function shownAddress(url: string): string {
  const { protocol, username, host, pathname, searchParams } = parsed(url);
  const socket = searchParams.get('host');
  const where = url.includes('@/') ? '' : host;
  // A password with an "@" or a "/" that is not written as "%40" or "%2F" would be in the place of something else.
  const database = /^\/[\w%.-]*$/.test(pathname) ? pathname : '/…';
  return `${protocol}//${username === '' ? '' : `${username}@`}${where}${database}${socket === null ? '' : `?host=${socket}`}`;
}

/** The same in short: host and port, or the folder of its socket. */
export function serverPlace(url: string): string {
  const { hostname, port, searchParams } = parsed(url);
  const host = searchParams.get('host') ?? (url.includes('@/') ? 'localhost' : decodeURIComponent(hostname));
  return host.startsWith('/') ? host : `${host}:${port || (searchParams.get('port') ?? '5432')}`;
}

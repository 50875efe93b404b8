import { constants } from 'node:fs';
import { access, readdir, readFile, stat, statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import { Failure } from '../../protocol/failure.ts';

/** What a diagnosis needs to know of a device file. */
export interface DeviceFile {
  readonly character: boolean;
  /** Permission bits, e.g. 0o660. */
  readonly mode: number;
  readonly owner: string;
  readonly group: string;
  /** This process may read and write it. */
  readonly usable: boolean;
}

/** The user and groups of this process. */
export interface Identity {
  readonly user: string;
  readonly groups: readonly string[];
}

export interface FreeSpace {
  readonly freeBytes: number;
  /** Undefined where the file system has no fixed number of files. */
  readonly freeFiles: number | undefined;
  readonly readOnly: boolean;
}

/** The file at `path`; undefined if there is none. */
export async function deviceFile(path: string): Promise<DeviceFile | undefined> {
  const found = await stat(path).catch(() => undefined);
  if (found === undefined) return undefined;
  return {
    character: found.isCharacterDevice(),
    mode: found.mode & 0o7777,
    owner: await nameOf('/etc/passwd', found.uid),
    group: await nameOf('/etc/group', found.gid),
    usable: await access(path, constants.R_OK | constants.W_OK).then(
      () => true,
      () => false,
    ),
  };
}

export async function ownIdentity(): Promise<Identity> {
  const groups = new Set([process.getegid!(), ...process.getgroups!()]);
  return {
    user: await nameOf('/etc/passwd', process.geteuid!()),
    groups: await Promise.all([...groups].map((gid) => nameOf('/etc/group', gid))),
  };
}

/** The name that /etc/passwd or /etc/group gives an id, else the number. */
async function nameOf(file: string, id: number): Promise<string> {
  const text = await readFile(file, 'latin1').catch(() => '');
  const line = text.split('\n').find((each) => each.split(':')[2] === String(id));
  return line?.split(':')[0] ?? String(id);
}

/** The names in a folder that fit, sorted; none if it is not there. */
export async function namesIn(folder: string, pattern: RegExp): Promise<string[]> {
  return (await readdir(folder).catch(() => [])).filter((name) => pattern.test(name)).sort();
}

/** The free space of the file system that holds `path`, or would hold it. @throws Failure `os.not-readable` */
export async function freeSpace(path: string): Promise<FreeSpace> {
  for (let at = path; ; at = dirname(at)) {
    try {
      const { bavail, bsize, files, ffree } = await statfs(at);
      return {
        freeBytes: bavail * bsize,
        freeFiles: files > 0 ? ffree : undefined,
        readOnly: await isReadOnly(at),
      };
    } catch (error) {
      const { code = 'unknown' } = error as NodeJS.ErrnoException;
      if (code === 'ENOENT' && at !== '/') continue;
      throw new Failure(
        'os.not-readable',
        'operator',
        `cannot read the free space of the file system of ${at}: ${code}`,
        {
          action: `Check ${at} and the file system that is mounted there.`,
          cause: error,
        },
      );
    }
  }
}

/** Whether the mount that holds `path` is read-only; /proc/self/mountinfo has the longest fitting mount point last. */
async function isReadOnly(path: string): Promise<boolean> {
  const mounts = await readFile('/proc/self/mountinfo', 'utf8').catch(() => '');
  let best = '';
  let readOnly = false;
  for (const line of mounts.split('\n')) {
    const [, , , , point, options] = line.split(' ');
    if (point === undefined || options === undefined || point.length < best.length) continue;
    const inside = point === '/' || path === point || path.startsWith(`${point}/`);
    if (!inside) continue;
    best = point;
    readOnly = options.split(',').includes('ro');
  }
  return readOnly;
}

/** The trimmed text of a small file; undefined if it cannot be read. */
export async function readTrimmed(path: string): Promise<string | undefined> {
  return readFile(path, 'utf8').then(
    (text) => text.trim(),
    () => undefined,
  );
}

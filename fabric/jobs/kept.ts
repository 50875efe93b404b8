import Compile from 'typebox/compile';
import { openFolder } from '../../os/files/folder.ts';
import { isFailure } from '../../protocol/failure.ts';
import { encodeUtf8 } from '../../protocol/utf8.ts';
import { JobView } from './view.ts';

/*
 * What is known of the jobs that are under way, on the disk: a file for each, which is there from before it changes anything until it has ended. One that the
 * end of the fabric has cut short is found by the next one.
 */

/** A job and whose it is. */
export interface KeptJob {
  readonly owner: number;
  readonly job: JobView;
}

export interface JobKeeper {
  /** Those that were under way when the fabric ended, as they were last kept, oldest first. */
  readonly found: readonly KeptJob[];
  /** Keeps how far a job is. @throws Failure `os.disk-full`, `os.write-failed` */
  keep(kept: KeptJob): Promise<void>;
  /** It has ended, or nobody asks for it any more. @throws Failure `os.no-folder` */
  drop(id: number): Promise<void>;
}

const NAME = /^(\d{1,15})\.json$/;
/** Of all owners; older ones are forgotten. */
const MOST_FOUND = 1_000;
/** As much as `Folder` reads of a file; inputs of jobs have some hundred bytes. */
const LARGEST = 65_536;

const check = Compile(JobView);

/**
 * Opens the folder of these files, makes it if it is missing, and removes what is no job. No other fabric may have it open.
 * @throws Failure `os.no-folder`, `os.not-readable`
 */
export async function openJobKeeper(path: string): Promise<JobKeeper> {
  const folder = await openFolder(path);
  const ids = (await folder.list())
    .flatMap((name) => NAME.exec(name)?.[1] ?? [])
    .map(Number)
    .sort((a, b) => a - b);
  const drop = (id: number): Promise<void> => folder.remove(nameOf(id));
  const found: KeptJob[] = [];
  for (const [i, id] of ids.entries()) {
    const kept = i < ids.length - MOST_FOUND ? undefined : parse(await read(id), id);
    if (kept === undefined) await drop(id);
    else found.push(kept);
  }

  async function read(id: number): Promise<Uint8Array> {
    try {
      return await folder.read(nameOf(id));
    } catch (error) {
      if (isFailure(error, 'os.file-too-large')) return new Uint8Array(0);
      throw error;
    }
  }

  return {
    found,
    keep: ({ owner, job }) => folder.write(nameOf(job.id), encode({ owner, job })),
    drop,
  };
}

const nameOf = (id: number): string => `${id}.json`;

/** Of its failures only those for which there is room in what is read. */
function encode({ owner, job }: KeptJob): Uint8Array {
  for (let failures = job.failures; ; failures = failures.slice(0, failures.length >> 1)) {
    const bytes = encodeUtf8(`${JSON.stringify({ owner, job: { ...job, failures } })}\n`);
    if (bytes.length <= LARGEST || failures.length === 0) return bytes;
  }
}

/** Undefined for anything else. */
function parse(bytes: Uint8Array, id: number): KeptJob | undefined {
  try {
    const { owner, job } = JSON.parse(new TextDecoder().decode(bytes)) as Partial<KeptJob>;
    return typeof owner === 'number' && check.Check(job) && job.id === id ? { owner, job } : undefined;
  } catch {
    return undefined;
  }
}

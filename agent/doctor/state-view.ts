import { listFiles, readBounded } from '../../os/files/read.ts';
import { isFailure } from '../../protocol/failure.ts';
import { shown } from '../identity/enrolled.ts';
import type { CertificateView } from '../identity/session.ts';
import { decommissionedOf } from '../state/decommission.ts';
import { lastGoodOf } from '../state/last-good.ts';
import { readGeneration, type SavedCertificate, type SavedKey, STATE_FILES } from '../state/state.ts';

/** What is in the state's folder, without any secret; nothing there is changed. */
export interface StateView {
  /** Undefined: no record that can be read. */
  readonly generation: number | undefined;
  readonly address: string | undefined;
  readonly keyKind: SavedKey['kind'] | undefined;
  /** With which the device was enrolled. */
  readonly certificate?: CertificateView;
  /** The device is out of service. */
  readonly decommissioned: boolean;
  /** A provisioning has begun that is not done. */
  readonly unfinished: boolean;
  readonly lastGoodMs: number | undefined;
  /** Files that are there but no whole record. */
  readonly bad: readonly string[];
  /** Files that were set aside earlier. */
  readonly quarantined: readonly string[];
}

interface Found {
  readonly newest: ReturnType<typeof readGeneration>;
  readonly names: readonly string[];
  readonly bad: readonly string[];
}

async function findNewest(folder: string): Promise<Found> {
  const names = await listFiles(folder, 'state folder').catch((error: unknown) => {
    if (isFailure(error, 'os.no-file')) return [] as string[];
    throw error;
  });
  const bad: string[] = [];
  let newest: ReturnType<typeof readGeneration>;
  for (const name of STATE_FILES.filter((each) => names.includes(each))) {
    const path = `${folder}/${name}`;
    const found = readGeneration(await readBounded(path, 'state file'), path);
    if (found === undefined) bad.push(name);
    else if (newest === undefined || found.generation > newest.generation) newest = found;
  }
  return { newest, names, bad };
}

/**
 * What the device was enrolled with, its key included: not to be shown.
 * @throws Failure as `viewState`
 */
export const enrolledWith = async (folder: string): Promise<SavedCertificate | undefined> =>
  (await findNewest(folder)).newest?.record.enrolment?.current;

/**
 * Reads the state while an agent may be running. A missing folder counts as empty.
 * @throws Failure `os.not-readable`, `state.newer-version`
 */
export async function viewState(folder: string): Promise<StateView> {
  const { newest, names, bad } = await findNewest(folder);
  const { identity, pending, enrolment } = newest?.record ?? {};
  const { current } = enrolment ?? {};
  return {
    generation: newest?.generation,
    address: identity?.address,
    keyKind: identity?.key.kind,
    ...(current !== undefined && { certificate: shown(current) }),
    decommissioned: newest !== undefined && decommissionedOf(newest.record) !== undefined,
    unfinished: pending !== undefined,
    lastGoodMs: newest && lastGoodOf(newest.record)?.timeMs,
    bad,
    quarantined: names.filter((name) => name.includes('.bad-')),
  };
}

import { foundAuthority } from '../pki/authority.ts';

/**
 * Founds a fabric in a folder that was not there or was empty. The only operation that needs no registry: it makes one.
 * @throws Failure `fabric.already-initialised`, `os.write-failed`, `os.disk-full`
 */
export async function foundFabric(
  data: string,
  actor: string,
): Promise<{ readonly data: string; readonly trust: string }> {
  return { data, trust: await foundAuthority(data, actor) };
}

import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from '../place.ts';

/** Files of the gateway's image, where packaging/image/root has them. */
export const onGateway = (path: string): string => join(ROOT, 'packaging/image/root', path);
export const gatewayText = (path: string): string => readFileSync(onGateway(path), 'utf8');

/** Runs one of its scripts, as its shell would. */
export function script(
  name: string,
  args: readonly string[],
  env: Record<string, string> = {},
): { readonly code: number | null; readonly output: string } {
  const { status, stdout, stderr } = spawnSync('sh', [onGateway(`usr/lib/enf-gateway/${name}`), ...args], {
    env: { ...process.env, ...env },
    encoding: 'utf8',
  });
  return { code: status, output: (stdout + stderr).trim() };
}

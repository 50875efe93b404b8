import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';

/**
 * A name for network namespaces that this process alone uses, so that two runs on a machine do not disturb each other. What killed
 * runs have left behind under the same name is removed.
 */
export function ownName(name: string): string {
  const names = execFileSync('ip', ['netns', 'list'], { encoding: 'utf8' }).matchAll(/^\S+/gm);
  for (const [each] of names) {
    const pid = new RegExp(`^enf-${name}(\\d+)-`).exec(each)?.[1];
    if (pid !== undefined && !existsSync(`/proc/${pid}`)) execFileSync('ip', ['netns', 'del', each]);
  }
  return `${name}${process.pid}`;
}

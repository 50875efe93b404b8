import { readFileSync } from 'node:fs';

/** The present name of the interface behind a TUN descriptor, whoever has renamed it; undefined if that is no TUN. */
export function tunName(fd: number): string | undefined {
  try {
    return /^iff:\s*(\S+)$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'latin1'))?.[1];
  } catch {
    return undefined;
  }
}

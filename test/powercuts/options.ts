import { existsSync } from 'node:fs';

/** Of the random cuts: `npm run test:power-cuts -- --seed` gives it. */
export const SEED = Number(process.env.ENF_POWER_CUTS_SEED ?? Math.floor(Math.random() * 2 ** 31));

/** What a disk of ours becomes a mount by; without them `npm run test:power-cuts` says so. */
export const MOUNTABLE = ['/dev/fuse', '/dev/loop-control'].every((path) => existsSync(path));

export const say = (text: string): void => void process.stderr.write(`    ${text}\n`);

import { failed, failing, ok, warning } from '../../../cli/check.ts';
import { isFailure } from '../../../protocol/failure.ts';
import type { Check } from '../check.ts';

/** A record has a few kilobytes; below this it is a matter of luck. */
const LEAST_BYTES = 262_144;
const FEW_BYTES = 10_485_760;
const LEAST_FILES = 8;

export const disk: Check = {
  id: 'disk',
  about: 'the state can be written',
  async run(probes) {
    const { directory } = probes.config.state;
    let space: Awaited<ReturnType<typeof probes.freeSpace>>;
    try {
      space = await probes.freeSpace(directory);
    } catch (error) {
      if (!isFailure(error)) throw error;
      return failing(error);
    }
    const free = `${Math.floor(space.freeBytes / 1024)} KB free for ${directory}`;
    if (space.readOnly) {
      return failed(
        `${directory} is on a file system that is mounted read-only`,
        'Mount a writable one there, or set state.directory to one.',
      );
    }
    if (space.freeBytes < LEAST_BYTES) return failed(free, 'Free space there.');
    if (space.freeFiles !== undefined && space.freeFiles < LEAST_FILES) {
      return failed(
        `no more files can be made for ${directory}`,
        'Remove files there: the inodes are used up.',
      );
    }
    return space.freeBytes < FEW_BYTES ? warning(free, 'Free space there before it is needed.') : ok(free);
  },
};

import { BaseSequencer, type TestSpecification } from 'vitest/node';

/**
 * The files that take longest, longest first. Vitest starts with large files where it has no times of an earlier run, as after `npm ci`; one
 * of these that started last would leave a worker without work for minutes.
 */
const LONGEST = [
  'test/packaging/packages.test.ts',
  'test/console/story.test.ts',
  'test/e2e/device/firstboot.test.ts',
  'test/fabric/registry/postgres/duties.test.ts',
  'test/fabric/registry/postgres/est-duties.test.ts',
  'test/e2e/cluster/cut.test.ts',
  'test/native/ecdaa/build.test.ts',
  'test/e2e/device/prefix.test.ts',
  'test/fabric/commands/commands.test.ts',
  'test/e2e/fabric/host-services.test.ts',
  'test/fabric/commands/remote.test.ts',
  'test/native/build.test.ts',
  'test/e2e/cluster/cluster.test.ts',
];

/** Where the longest files come first, all else as Vitest has it. */
export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification): number => {
      const place = LONGEST.findIndex((name) => moduleId.endsWith(`/${name}`));
      return place < 0 ? LONGEST.length : place;
    };
    return (await super.sort(files)).sort((a, b) => rank(a) - rank(b));
  }
}

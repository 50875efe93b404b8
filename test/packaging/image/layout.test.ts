import { describe, expect, test } from 'vitest';
import { layoutOf, sfdiskScript, shellVariables } from '../../../packaging/image/layout.ts';

const sizes = { slot: 768, data: 192 };

describe('the layout of a gateway', () => {
  test('[H-F1] partitions follow each other without a gap, and leave room for both partition tables', () => {
    const { size, partitions } = layoutOf('amd64', sizes);
    let end = 1;
    for (const { start, size: own } of partitions) {
      expect(start).toBe(end);
      end += own;
    }
    expect(size).toBe(end + 1);
  });

  test('[H-F1] the slots are alike, data is the last and the only one that repart finds', () => {
    const { partitions } = layoutOf('arm64', sizes);
    const [boot, config, a, b, data] = partitions;
    expect([boot!.label, config!.label, data!.label]).toEqual(['enf-boot', 'enf-config', 'enf-data']);
    expect([a!.size, a!.type]).toEqual([b!.size, b!.type]);
    expect(partitions.filter(({ type }) => type === data!.type)).toEqual([data]);
    expect(a!.type).not.toBe(layoutOf('amd64', sizes).partitions[2]!.type);
  });

  test('[H-F1] an update for another size of slots finds the same partitions', () => {
    const guids = (slot: number): string[] =>
      layoutOf('amd64', { ...sizes, slot }).partitions.map(({ guid }) => guid);
    expect(guids(256)).toEqual(guids(1024));
    expect(new Set(guids(256)).size).toBe(5);
    for (const guid of guids(256))
      expect(guid).toMatch(/^[0-9A-F]{8}-[0-9A-F]{4}-8[0-9A-F]{3}-[89AB][0-9A-F]{3}-[0-9A-F]{12}$/);
  });

  test.each([
    [{ slot: 255, data: 192 }, /slot/],
    [{ slot: 768, data: 63 }, /data/],
    [{ slot: 768.5, data: 192 }, /slot/],
    [{ slot: Number.NaN, data: 192 }, /slot/],
  ])('[H-F1] %o is refused', (wrong, message) => {
    expect(() => layoutOf('amd64', wrong)).toThrow(message);
  });

  test('both forms say the same', () => {
    const layout = layoutOf('amd64', sizes);
    expect(sfdiskScript(layout)).toContain(
      `start=99MiB, size=768MiB, type=4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709, uuid=${layout.partitions[2]!.guid}, name="enf-root-a"`,
    );
    expect(shellVariables(layout)).toContain(
      `root_a_start=99\nroot_a_size=768\nroot_a_guid=${layout.partitions[2]!.guid}\n`,
    );
  });
});

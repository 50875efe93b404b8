import { describe, expect, test } from 'vitest';
import { eachPage, type Page, type PageRequest } from '../../../../fabric/registry/pages.ts';
import { parsePrefix } from '../../../../protocol/ipv6.ts';
import type { WholeRegistry as Registry } from '../../place.ts';
import { allOf, anyGroup, random } from '../../place.ts';
import { applicant, type OpenEmpty, withGroup } from './place.ts';

/** A list: how it is read, and how one more row comes into it. */
interface List {
  read(registry: Registry, page: PageRequest): Promise<Page<unknown>>;
  add(registry: Registry, gid: Uint8Array, n: number): Promise<unknown>;
  /** True if new rows come first. */
  readonly newestFirst: boolean;
}

/** The rows of each page of a list, with something done after each of them; of 100 pages, if they do not end. */
async function pagesOf(
  read: (page: PageRequest) => Promise<Page<unknown>>,
  limit: number,
  between: () => Promise<void> = async () => {},
): Promise<(readonly unknown[])[]> {
  const pages: (readonly unknown[])[] = [];
  let after: string | undefined;
  do {
    const { rows, next } = await read({ limit, after });
    pages.push(rows);
    after = next;
    await between();
  } while (after !== undefined && pages.length < 100);
  return pages;
}

const refuse = (registry: Registry, n: number): Promise<void> =>
  registry.refused({ source: `192.0.2.${n}`, proven: false, result: 'net.timeout' });

const LISTS: Record<string, List> = {
  networks: {
    read: (registry, page) => registry.networks(page),
    add: (registry, _, n) => registry.addNetwork('owner', parsePrefix(`fd00:77:${n}::/64`), `n${n}`),
    newestFirst: false,
  },
  groups: {
    read: (registry, page) => registry.groups(page),
    add: (registry, _, n) => registry.addGroup('owner', anyGroup(`group ${n}`)),
    newestFirst: false,
  },
  devices: {
    read: (registry, page) => registry.devices(page),
    add: (registry, gid) => registry.admit(applicant({ gid })),
    newestFirst: false,
  },
  handshakes: {
    read: (registry, page) => registry.handshakes(page),
    add: (registry, _, n) => refuse(registry, n),
    newestFirst: true,
  },
  audit: {
    read: (registry, page) => registry.audit(page),
    add: (registry, _, n) => registry.addNetwork('owner', parsePrefix(`fd00:77:${n}::/64`), ''),
    newestFirst: true,
  },
};

/** Lists are read in pages. */
export function pagesContract(openEmpty: OpenEmpty): void {
  /** Times count up, so that the order of groups is that of their making. */
  async function filled(list: List, count: number) {
    let now = 10_000;
    const { registry, group } = await withGroup(openEmpty, { now: () => now++ });
    for (let n = 0; n < count; n++) await list.add(registry, group.gid, n);
    const read = (page: PageRequest): Promise<Page<unknown>> => list.read(registry, page);
    return { registry, gid: group.gid, read };
  }

  describe.each(Object.entries(LISTS))('pages of %s', (name, list) => {
    test('join up without a gap or a double, whatever their size', async () => {
      const { read } = await filled(list, 9);
      const { rows: all, next } = await read({ limit: 1_000 });
      expect(all.length).toBeGreaterThanOrEqual(9);
      expect(next).toBeUndefined();
      for (const limit of [1, 3, all.length - 1, all.length]) {
        const pages = await pagesOf(read, limit);
        const sizes = pages.map((page) => page.length);
        const joined = pages.flat();
        expect(joined).toEqual(all);
        expect(sizes.slice(0, -1).every((size) => size === limit)).toBe(true);
        expect(sizes.at(-1)).toBeGreaterThan(0);
      }
    });

    test('join up while rows are added between them', async () => {
      const { registry, gid, read } = await filled(list, 6);
      const before = (await read({ limit: 1_000 })).rows;
      let added = 100;
      const pages = await pagesOf(read, 2, async () => {
        if (added < 103) await list.add(registry, gid, added++);
      });
      const joined = pages.flat();
      const now = (await read({ limit: 1_000 })).rows;
      expect(joined).toEqual(list.newestFirst ? before : now);
      expect(now.length).toBe(before.length + 3);
    });

    test('an altered cursor, and one of another list, is refused by name', async () => {
      const { registry, read } = await filled(list, 3);
      const { next } = await read({ limit: 1 });
      const others = Object.entries(LISTS).filter(([other]) => other !== name);
      const foreign = await Promise.all(
        others.map(async ([, other]) => (await other.read(registry, { limit: 1 })).next),
      );
      const cursors = [
        ...foreign.filter((each) => each !== undefined),
        '',
        'nonsense',
        `${next}x`,
        `${next} `,
      ];
      expect(cursors.length).toBeGreaterThan(4);
      for (const after of cursors) {
        await expect(read({ limit: 1, after }), after).rejects.toMatchObject({ code: 'fabric.bad-cursor' });
      }
    });
  });

  test('the handshakes of one device have pages of their own', async () => {
    const { registry, group } = await withGroup(openEmpty);
    const [one, other] = [applicant(group), applicant(group)];
    const address = await registry.admit(one);
    for (let n = 0; n < 5; n++) {
      await registry.admit({ ...one, longtermKey: random(65), source: `192.0.2.${n}` });
      await registry.admit(other);
    }
    const device = await registry.device(address);
    const sources = (await allOf((page) => registry.handshakes({ ...page, limit: 2 }, { device }))).map(
      (each) => each.source,
    );
    expect(sources).toEqual([
      ...['192.0.2.4', '192.0.2.3', '192.0.2.2', '192.0.2.1', '192.0.2.0'],
      '192.0.2.7',
    ]);
  });

  test('whoever reads page after page gets at most what was asked for', async () => {
    const { registry } = await filled(LISTS.networks!, 9);
    const counts: number[] = [];
    const read = (page: PageRequest): Promise<Page<unknown>> => {
      counts.push(page.limit);
      return registry.networks({ ...page, limit: Math.min(page.limit, 3) });
    };
    const rows: unknown[] = [];
    for await (const page of eachPage(read, { most: 7 })) rows.push(...page.rows);
    expect([rows.length, counts]).toEqual([7, [7, 4, 1]]);
  });
}

import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { EVERYTHING } from '../../fabric/access/scope.ts';
import { emptyRegistry } from '../../fabric/open-registry.ts';
import type { Context } from '../../fabric/operations/contract/operation.ts';
import { eachRow, type Page, type PageRequest } from '../../fabric/registry/pages.ts';
import type { NewGroup, OwnedRegistry, Registry, RegistryOptions } from '../../fabric/registry/registry.ts';
import { openSqliteRegistry } from '../../fabric/registry/sqlite/open.ts';
import { parsePrefix } from '../../protocol/ipv6.ts';

/** A folder that is removed after the test. */
export function scratch(): string {
  const folder = mkdtempSync(join(tmpdir(), 'enf-fabric-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Made once for all tests of a file: it runs each migration there ever was. */
let empty: Uint8Array | undefined;

/** The path of a new registry file. */
export function registryFile(): string {
  const path = join(scratch(), 'registry.db');
  empty ??= emptyRegistry('test', 1_000);
  writeFileSync(path, empty);
  return path;
}

/** A registry that also is what sees everything of it, as it is with one owner. */
export type WholeRegistry = Registry & OwnedRegistry;

/** Opens a registry in a file, closed after the test. Its changes come one after the other, and none waits for others to be committed with it. */
export function opened(path: string, options: RegistryOptions = {}): WholeRegistry {
  const registry = wholeOf(openSqliteRegistry(path, { commitEveryMs: 0, ...options }));
  onTestFinished(() => registry.close());
  return registry;
}

export const wholeOf = (registry: Registry): WholeRegistry => ({
  ...registry.of(EVERYTHING),
  ...registry,
});

type ListDevices = OwnedRegistry['devices'];

/** Has devices listed otherwise, whoever asks. */
export function replaceDevices(registry: Registry, make: (devices: ListDevices) => ListDevices): void {
  const { of } = registry;
  registry.of = (scope) => {
    const owned = of(scope);
    return { ...owned, devices: make(owned.devices) };
  };
}

/** What operations work on in tests: on a whole registry. */
export type TestContext = Context & { readonly registry: WholeRegistry };

/** What operations see of it whom nothing is hidden from. */
export const seenBy = (registry: WholeRegistry) => ({ registry, whole: registry });

/** All rows of a list. */
export async function allOf<Row>(read: (page: PageRequest) => Promise<Page<Row>>): Promise<Row[]> {
  const rows: Row[] = [];
  for await (const row of eachRow(read)) rows.push(row);
  return rows;
}

export const NETWORK = parsePrefix('fd00:1:2:3::/64');

/** A group whose key is not verified. */
export function anyGroup(name = 'batch'): NewGroup {
  return { gid: random(32), gpk: random(258), basename: random(8), name, network: NETWORK };
}

export const random = (length: number): Uint8Array => new Uint8Array(randomBytes(length));

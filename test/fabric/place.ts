import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { emptyRegistry } from '../../fabric/open-registry.ts';
import { eachRow, type Page, type PageRequest } from '../../fabric/registry/pages.ts';
import type { Group } from '../../fabric/registry/records.ts';
import type { Registry, RegistryOptions } from '../../fabric/registry/registry.ts';
import { openSqliteRegistry } from '../../fabric/registry/sqlite/registry.ts';
import { parsePrefix } from '../../protocol/ipv6.ts';

/** A folder that is removed after the test. */
export function scratch(): string {
  const folder = mkdtempSync(join(tmpdir(), 'enf-fabric-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** The path of a new registry file. */
export function registryFile(): string {
  const path = join(scratch(), 'registry.db');
  writeFileSync(path, emptyRegistry('test', 1_000));
  return path;
}

/** Opens a registry in a file, closed after the test. */
export function opened(path: string, options: RegistryOptions = {}): Registry {
  const registry = openSqliteRegistry(path, options);
  onTestFinished(() => registry.close());
  return registry;
}

/** All rows of a list. */
export async function allOf<Row>(read: (page: PageRequest) => Promise<Page<Row>>): Promise<Row[]> {
  const rows: Row[] = [];
  for await (const row of eachRow(read)) rows.push(row);
  return rows;
}

export const NETWORK = parsePrefix('fd00:1:2:3::/64');

/** A group whose key is not verified. */
export function anyGroup(name = 'batch'): Omit<Group, 'status' | 'created'> {
  return { gid: random(32), gpk: random(258), basename: random(8), name, network: NETWORK };
}

export const random = (length: number): Uint8Array => new Uint8Array(randomBytes(length));

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect } from 'vitest';
import { generateP256 } from '../../crypto/primitives.ts';
import { readRows, withJournal } from '../../factory/batch/journal.ts';
import type { Row } from '../../factory/batch/row.ts';
import type { Group } from '../../factory/group/group.ts';
import { Failure } from '../../protocol/failure.ts';
import type { Trust } from '../../protocol/identity/trust.ts';
import { makeRootCertificate } from '../../protocol/xtt/certificate.ts';

/** A scratch folder for one test file, gone when it is done. */
export function scratch(): (name: string) => string {
  const root = mkdtempSync(join(tmpdir(), 'enf-factory-'));
  afterAll(() => rmSync(root, { recursive: true, force: true }));
  return (name) => join(root, name);
}

/** A trust bundle with a fresh XTT root; the TLS root is any PEM text. */
export function someTrust(): Trust {
  const { publicKey } = generateP256();
  return {
    xttRoot: makeRootCertificate(new Uint8Array(16).fill(0x52), publicKey),
    tlsRoot: '-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n',
  };
}

/** The promise must be refused with this code. */
export async function expectFailure(run: Promise<unknown>, code: string): Promise<Failure> {
  const error = await run.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(Failure);
  expect((error as Failure).code).toBe(code);
  return error as Failure;
}

/** The devices in a batch's journal. */
export async function readManifest(group: Group): Promise<Row[]> {
  // What a former version left is taken over first.
  await withJournal(group, async () => {});
  const rows: Row[] = [];
  for await (const row of readRows(group, 'passed')) rows.push(row);
  return rows;
}

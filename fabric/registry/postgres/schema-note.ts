import { readFileSync } from 'node:fs';
import { writeBeside } from '../sql/trail/kept-head.ts';
import { SERVER_VERSION } from './migrate.ts';

/** Which schema the registry on servers had when this host last opened it, beside `path`, the file that names them. */
export const schemaNote = (path: string): string => `${path}-schema`;

/**
 * Notes that the registry has the schema of this program: an older package asks no database, and reads here that it must not replace this one
 * (packaging/fabric/debian/preinst).
 */
export function noteSchema(path: string, onError: (error: unknown) => void): void {
  const text = `${SERVER_VERSION}\n`;
  try {
    if (noted(path) !== text) writeBeside(path, schemaNote(path), text);
  } catch (error) {
    onError(error);
  }
}

function noted(path: string): string | undefined {
  try {
    return readFileSync(schemaNote(path), 'latin1');
  } catch {
    return undefined;
  }
}

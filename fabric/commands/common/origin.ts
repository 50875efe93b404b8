import { Failure } from '../../../protocol/failure.ts';
import { originOf } from '../../config/origin.ts';

/** Where a console is that was started without options: by this name a browser may have passkeys for it, too. */
export const CONSOLE_URL = 'http://localhost:8480';

/** The address of a console in an option: scheme, name and port alone. @throws Failure `cli.bad-option` */
export function parseOrigin(option: string, text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  const origin = originOf(text);
  if (origin !== undefined) return origin;
  throw new Failure(
    'cli.bad-option',
    'operator',
    `--${option}: expected an address such as https://console.example, got ${JSON.stringify(text.slice(0, 100))}`,
    { action: 'Give scheme, name and port alone; http:// is for this machine only.' },
  );
}

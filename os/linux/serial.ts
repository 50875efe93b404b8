import { readFile } from 'node:fs/promises';

/** The serial number that a machine has of itself: of its firmware (DMI), or of its board (device tree). */
export interface MachineSerial {
  readonly serial: string;
  readonly from: 'dmi' | 'board';
}

const SOURCES = [
  { path: 'sys/class/dmi/id/product_serial', from: 'dmi' },
  { path: 'sys/class/dmi/id/board_serial', from: 'dmi' },
  { path: 'proc/device-tree/serial-number', from: 'board' },
] as const;
/** What firmware says where its maker has entered nothing. */
const NONE =
  /^(none|default string|to be filled by o\.?e\.?m\.?|system serial number|not (specified|applicable)|0+|x+)?$/i;

/** The first of them that is one; undefined if the machine has none, or does not let this user read it. */
export async function machineSerial(root = '/'): Promise<MachineSerial | undefined> {
  for (const { path, from } of SOURCES) {
    // The kernel gives at most a page.
    const bytes = await readFile(`${root}${path}`).catch(() => undefined);
    const serial = String.fromCharCode(...(bytes ?? []))
      .replace(/[\0\s]+$/g, '')
      .trim();
    if (!NONE.test(serial)) return { serial, from };
  }
  return undefined;
}

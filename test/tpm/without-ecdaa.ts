import { concat, fromHex, toHex, u16, u32 } from '../../protocol/bytes.ts';
import type { Swtpm } from '../../swtpm/swtpm.ts';
import { CC, type Fault, type FaultyTpm, faultyTpm } from './proxy.ts';

const [ALGORITHMS, COMMANDS, CURVES] = [0, 2, 8];
const TEST_PARAMETERS = 0x18a;
const ECDAA = 0x001a;
/** TPM_RC_COMMAND_CODE; TPM_RC_SCHEME for the first parameter. */
const REFUSED = { command: 0x143, scheme: 0x1d2 };
/** What an ECDAA key's template and parameters have: ECDAA with SHA-256 and a count of 1, on BN_P256. */
const KEY = '001a000b00010010';

/** An answer to TPM2_GetCapability: nothing more follows, and these entries. */
function listed(capability: number, entries: readonly Uint8Array[]): Fault {
  const body = concat(Uint8Array.of(0), u32(capability), u32(entries.length), ...entries);
  const head = concat(fromHex('8001'), u32(10 + body.length), u32(0));
  return { kind: 'bytes', bytes: concat(head, body) };
}

/** As a TPM answers whose maker has left ECDAA out: the list of algorithms, commands and curves, and what it refuses. */
function answer(command: Buffer): Fault | undefined {
  const code = command.readUInt32BE(6);
  if (code === CC.commit) return { kind: 'answer', rc: REFUSED.command };
  if ((code === CC.create || code === TEST_PARAMETERS) && toHex(command).includes(KEY))
    return { kind: 'answer', rc: REFUSED.scheme };
  if (code !== CC.getCapability) return undefined;
  const [capability, first] = [command.readUInt32BE(10), command.readUInt32BE(14)];
  if (capability === ALGORITHMS && first === ECDAA)
    return listed(capability, [concat(u16(0x0022), u32(0x0000_0400))]);
  if (capability === COMMANDS && first === CC.commit) return listed(capability, [u32(0x018e)]);
  if (capability === CURVES) return listed(capability, [u16(0x0003), u16(0x0004)]);
  return undefined;
}

/** The swtpm as a TPM that cannot do ECDAA; ends with the test. */
export const withoutEcdaa = ({ port }: Pick<Swtpm, 'port'>): Promise<FaultyTpm> => faultyTpm(port, answer);

import type { Invocation, Option } from '../../cli/program.ts';
import { machineSerial } from '../../os/linux/serial.ts';
import { Failure } from '../../protocol/failure.ts';
import { hasUnprintable } from '../../protocol/text.ts';
import type { Marks, Operator } from '../batch/record.ts';
import { checkSerial } from '../batch/row.ts';

const MOST_NAME = 60;

/** Who makes the entries. */
export const OPERATOR_OPTIONS: readonly Option[] = [
  { name: 'station-name', value: 'NAME', help: 'name of this station, for the journal' },
  { name: 'operator', value: 'NAME', help: 'who works at it, for the journal' },
];

export const RECORD_EK_OPTION: Option = {
  name: 'record-ek',
  help: "note the hash of the chip's endorsement key in the journal: it names the chip for ever",
};

/** The serial number of one device. */
export const SERIAL_OPTIONS: readonly Option[] = [
  { name: 'serial', value: 'TEXT', help: "the device's serial number" },
  {
    name: 'machine-serial',
    help: 'take the serial number from the firmware or the device tree of this machine',
  },
];

/** @throws Failure `cli.bad-value` */
export function readOperator(invocation: Invocation): Operator {
  const name = (option: string): string | undefined => {
    const text = invocation.option(option);
    if (text === undefined || (text.length >= 1 && text.length <= MOST_NAME && !hasUnprintable(text)))
      return text;
    throw new Failure(
      'cli.bad-value',
      'operator',
      `--${option}: expected 1 to ${MOST_NAME} characters that can be seen`,
      { action: 'Give a shorter name.' },
    );
  };
  return { station: name('station-name'), operator: name('operator') };
}

/** @throws Failure `cli.bad-value`, `cli.bad-arguments`, `factory.bad-serial`, `factory.no-serial` */
export async function readMarks(invocation: Invocation): Promise<Marks> {
  const typed = invocation.option('serial');
  const operator = readOperator(invocation);
  if (!invocation.flag('machine-serial'))
    return typed === undefined ? operator : { ...operator, serial: checkSerial(typed), serialFrom: 'typed' };
  if (typed !== undefined) {
    throw new Failure('cli.bad-arguments', 'operator', '--serial cannot be combined with --machine-serial', {
      action: 'Remove one of the two options.',
    });
  }
  const found = await machineSerial();
  if (found === undefined) {
    throw new Failure(
      'factory.no-serial',
      'operator',
      'this machine says no serial number, or not to this user',
      {
        action: 'Run the command as root, or give the number: --serial.',
      },
    );
  }
  return { ...operator, serial: checkSerial(found.serial), serialFrom: found.from };
}

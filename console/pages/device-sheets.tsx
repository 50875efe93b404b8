import { useState } from 'preact/hooks';
import type { DeviceDetails } from '../../fabric/operations/views/devices.ts';
import type { StandingChange } from '../../fabric/registry/records.ts';
import { run } from '../api/operations.ts';
import { Problem } from '../api/problem.ts';
import { within } from '../app/words.ts';
import { TextField } from '../parts/field.tsx';
import { Sheet } from '../parts/sheet.tsx';
import { GrantSheet } from '../prefixes/grant-sheet.tsx';

/** What one asks of a device before it is done. */
export type DeviceAction = StandingChange | 'name' | 'retire' | 'replace' | 'delegate' | 'withdraw';

interface SheetProps {
  readonly device: DeviceDetails;
  readonly close: () => void;
  /** Says what was done. */
  readonly done: (text: string) => void;
}

/** The sheet of an action. */
export function DeviceSheet({ action, ...props }: SheetProps & { readonly action: DeviceAction }) {
  switch (action) {
    case 'name':
      return <NameSheet {...props} />;
    case 'retire':
      return <RetireSheet {...props} />;
    case 'replace':
      return <ReplaceSheet {...props} />;
    case 'delegate':
    case 'withdraw':
      return <PrefixSheet {...props} granted={action === 'delegate'} />;
    default:
      return <StandingSheet {...props} change={action} />;
  }
}

const WHAT: Readonly<
  Record<StandingChange, { title: string; verb: string; danger: boolean; will: string; did: string }>
> = {
  evict: {
    title: 'Evict this device?',
    verb: 'Evict',
    danger: true,
    will: 'Its tunnel is cut now. It has to prove its batch anew, and may: then it has the same address. Evict when its key may be in other hands.',
    did: 'The device is evicted',
  },
  ban: {
    title: 'Ban this device?',
    verb: 'Ban',
    danger: true,
    will: 'Its tunnel is cut now, and it is refused until somebody unbans it. Other devices of the batch notice nothing.',
    did: 'The device is banned',
  },
  unban: {
    title: 'Admit this device again?',
    verb: 'Unban',
    danger: false,
    will: 'It may connect again. If it is running, it asks soon by itself.',
    did: 'The device may connect again',
  },
};

const Which = ({ device }: Pick<SheetProps, 'device'>) => (
  <p>
    <b>{device.name ?? device.address}</b>
  </p>
);

function StandingSheet({ device, change, close, done }: SheetProps & { readonly change: StandingChange }) {
  const { title, verb, danger, will, did } = WHAT[change];
  const act = async (): Promise<void> => {
    const { view, effect } = await run('device-standing', { address: device.address, change });
    done(`${did} (${effect}).${within(view.backWithin)}`);
  };
  return (
    <Sheet title={title} verb={verb} danger={danger} act={act} close={close}>
      <Which device={device} />
      <p>{will}</p>
    </Sheet>
  );
}

function PrefixSheet({ device, granted, close, done }: SheetProps & { readonly granted: boolean }) {
  const act = async (): Promise<void> => {
    const { view, effect } = await run('device-delegate', { address: device.address, granted });
    if (granted) done(`The device has ${view.delegated} (${effect}).`);
    else if (view.delegated === null) done(`The device has no prefix any more (${effect}).`);
    else done(`The device keeps ${view.delegated}, which is granted to its batch (${effect}).`);
  };
  return (
    <GrantSheet
      whom="device"
      name={device.name ?? device.address}
      granted={granted}
      act={act}
      close={close}
    />
  );
}

function RetireSheet({ device, close, done }: SheetProps) {
  const [typed, setTyped] = useState('');
  const end = device.address.split(':').at(-1)!;
  const act = async (): Promise<void> => {
    if (typed.trim().toLowerCase() !== end)
      throw new Problem(
        'console.not-confirmed',
        0,
        'That is not the last group of its address.',
        `Type ${end}.`,
      );
    const { effect } = await run('device-retire', { address: device.address });
    done(`The device is retired (${effect}).`);
  };
  return (
    <Sheet title="Retire this device for good?" verb="Retire" danger act={act} close={close}>
      <Which device={device} />
      <p>
        Its tunnel is cut now, and it is never admitted again. Nobody gets its address; its name is free. This
        cannot be undone.
      </p>
      <TextField
        label={`Type ${end}, the last group of its address`}
        value={typed}
        change={setTyped}
        required
        maxLength={8}
      />
    </Sheet>
  );
}

function ReplaceSheet({ device, close, done }: SheetProps) {
  const [by, setBy] = useState('');
  const act = async (): Promise<void> => {
    const { view, effect } = await run('device-replace', { address: device.address, by: by.trim() });
    done(`The device that had ${view.former} provisions again and has this address then (${effect}).`);
  };
  return (
    <Sheet title="Replace this device?" verb="Replace" danger act={act} close={close}>
      <Which device={device} />
      <p>
        A new device takes over this address, the name and the note. Plug it in first: it gets an address of
        its own in the same network. The chip that is here now is retired. This cannot be undone.
      </p>
      <TextField
        label="Address or name of the new device"
        value={by}
        change={setBy}
        required
        maxLength={64}
        hint="As the list of devices shows it now."
      />
    </Sheet>
  );
}

function NameSheet({ device, close, done }: SheetProps) {
  const [name, setName] = useState(device.name ?? '');
  const [note, setNote] = useState(device.note ?? '');
  const act = async (): Promise<void> => {
    const { view } = await run('device-name', { address: device.address, name, note });
    done(view.name === null ? 'The device has no name.' : `The device is called ${view.name}.`);
  };
  return (
    <Sheet title="Name this device" verb="Save" act={act} close={close}>
      <TextField
        label="Name"
        value={name}
        change={setName}
        maxLength={63}
        hint="Lower-case letters, digits and hyphens, e.g. berlin-3. Empty: none."
      />
      <TextField label="Note" value={note} change={setNote} maxLength={500} />
    </Sheet>
  );
}

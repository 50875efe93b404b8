import { Sheet } from '../parts/sheet.tsx';

/** Asks before prefixes for the machines behind devices are granted, or withdrawn. */
export function GrantSheet({
  whom,
  name,
  granted,
  act,
  close,
}: {
  readonly whom: 'batch' | 'device';
  readonly name: string;
  /** What is to be. */
  readonly granted: boolean;
  readonly act: () => Promise<void>;
  readonly close: () => void;
}) {
  const each = whom === 'batch' ? 'Each of its devices' : 'It';
  return (
    <Sheet
      title={granted ? `Delegate prefixes to this ${whom}?` : `Withdraw the prefixes of this ${whom}?`}
      verb={granted ? 'Delegate' : 'Withdraw'}
      danger={!granted}
      act={act}
      close={close}
    >
      <p>
        <b>{name}</b>
      </p>
      <p>
        {granted
          ? `${each} gets a /64 out of the pool of the network, and announces it on the LAN that its configuration names. The machines there are reached at addresses of their own, which stay theirs until the device is retired.`
          : `Nothing reaches the machines behind ${whom === 'batch' ? 'its devices' : 'it'} any more, and nothing of theirs gets out. Tunnels stay. If prefixes are granted again, they are the same.`}
      </p>
    </Sheet>
  );
}

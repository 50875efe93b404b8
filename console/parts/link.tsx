import { hrefOf } from '../app/address.ts';

/** The name or address of a device, as a link to its page; the last group of the address is bold: that is what differs. */
export function DeviceLink({
  address,
  name,
}: {
  readonly address: string;
  readonly name?: string | null | undefined;
}) {
  const cut = address.lastIndexOf(':') + 1;
  return (
    <a href={hrefOf(['devices', address])} title={address}>
      {name ?? (
        <span class="address">
          {address.slice(0, cut)}
          <b>{address.slice(cut)}</b>
        </span>
      )}
    </a>
  );
}

export function GroupLink({ gid, name }: { readonly gid: string; readonly name: string }) {
  return <a href={hrefOf(['batches', gid])}>{name}</a>;
}

import { hrefOf } from '../app/address.ts';

/** The name or address of a device, as a link to its page. */
export function DeviceLink({
  address,
  name,
}: {
  readonly address: string;
  readonly name?: string | null | undefined;
}) {
  return (
    <a href={hrefOf(['devices', address])} title={address}>
      {name ?? <Address address={address} />}
    </a>
  );
}

/** An address; its last group is bold: that is what differs. */
export function Address({ address }: { readonly address: string }) {
  const cut = address.lastIndexOf(':') + 1;
  return (
    <span class="address">
      {address.slice(0, cut)}
      <b>{address.slice(cut)}</b>
    </span>
  );
}

/** The node where a tunnel ends, as a link to the devices that have theirs there. */
export function NodeLink({ name }: { readonly name: string }) {
  return <a href={hrefOf(['devices'], { node: name })}>{name}</a>;
}

export function GroupLink({ gid, name }: { readonly gid: string; readonly name: string }) {
  return <a href={hrefOf(['batches', gid])}>{name}</a>;
}

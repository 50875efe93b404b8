import { useState } from 'preact/hooks';
import type { AnchorView } from '../../fabric/operations/views/pki.ts';
import { encodeBase64 } from '../../protocol/identity/base64.ts';
import { revocationListIn } from '../../protocol/identity/revocation-list.ts';
import { run } from '../api/operations.ts';
import { hrefOf } from '../app/address.ts';
import { go } from '../app/route.ts';
import { count } from '../app/words.ts';
import { SmallFileField, TextField } from '../parts/field.tsx';
import { Sheet } from '../parts/sheet.tsx';

/** What is done with one CA: `done` gets a sentence of what has become of it. */
export interface CaSheetProps {
  readonly ca: AnchorView;
  readonly close: () => void;
  readonly done: (text: string) => void;
}

/** As much as a request carries, in base64. */
const LARGEST_LIST = 47_000;

/** Takes a list of revoked certificates. */
export function CrlSheet({ ca, close, done }: CaSheetProps) {
  const [list, setList] = useState<Uint8Array>();
  const [wrong, setWrong] = useState<string>();
  const take = (bytes: Uint8Array | undefined, name: string): void => {
    const der = bytes && revocationListIn(bytes);
    const fits = der !== undefined && der.length <= LARGEST_LIST;
    setList(fits ? der : undefined);
    if (fits) setWrong(undefined);
    else if (der !== undefined) setWrong(`${name} is larger than 47 KB, some 1,300 certificates.`);
    else setWrong(`${name} is no list of revoked certificates in PEM or DER.`);
  };
  const act = async (): Promise<void> => {
    const { view } = await run('pki-crl', { id: ca.id, crl: encodeBase64(list!) });
    done(
      view.changed
        ? 'The list counts. Who is on it is cut.'
        : 'A list of this issuer that is as new is there.',
    );
  };
  return (
    <Sheet
      title="Give a list of revoked certificates"
      verb="Give"
      ready={list !== undefined}
      act={act}
      close={close}
    >
      <SmallFileField
        label="The list"
        accept=".crl,.pem,.der"
        most={2 * LARGEST_LIST}
        take={take}
        hint="A complete one that this CA, or an intermediate added with it, has signed."
      />
      {wrong !== undefined && (
        <p class="problem" role="alert">
          {wrong}
        </p>
      )}
      <p>
        Devices whose certificates are on it are cut at once. What a newer list no longer has is no longer
        revoked.
      </p>
    </Sheet>
  );
}

/** Has the list fetched from an address, or no more. */
export function FetchSheet({ ca, close, done }: CaSheetProps) {
  const [url, setUrl] = useState(ca.crl?.from ?? '');
  const act = async (): Promise<void> => {
    const { view } = await run('pki-crl-from', { id: ca.id, url: url.trim() });
    done(
      view.crl === null
        ? 'The list is fetched no more.'
        : 'The list is fetched now, and before each end of it.',
    );
  };
  return (
    <Sheet title="Fetch the list of revoked certificates" verb="Fetch" act={act} close={close}>
      <TextField
        label="Address"
        value={url}
        change={setUrl}
        maxLength={500}
        placeholder="http://…"
        hint="Where the CA publishes it; http: will do, since the list is signed. Empty: it is given here."
      />
      <p>
        One that cannot be had, is older or is not signed by this CA changes nothing: the last one goes on
        counting.
      </p>
    </Sheet>
  );
}

/** Revokes one certificate by its serial number. */
export function RevokeSheet({ ca, close, done }: CaSheetProps) {
  const [serial, setSerial] = useState('');
  const [reason, setReason] = useState('');
  const act = async (): Promise<void> => {
    const { view } = await run('pki-revoke', { id: ca.id, serial: serial.trim(), reason });
    done(
      view.changed
        ? `The certificate ${serial} is revoked.`
        : `The certificate ${serial} was revoked already.`,
    );
  };
  return (
    <Sheet title="Revoke a certificate" verb="Revoke" danger act={act} close={close}>
      <TextField
        label="Its serial number"
        value={serial}
        change={setSerial}
        required
        maxLength={64}
        placeholder="4f:02:9a"
        hint="Hex digits, as “openssl x509 -serial” prints them."
      />
      <TextField label="Reason" value={reason} change={setReason} required maxLength={200} />
      <p>
        Its device is cut, and does not come in with it again. This has no end: with another certificate it
        does, unless it is banned.
      </p>
    </Sheet>
  );
}

/** How many of its devices have a tunnel. */
export const connectedOf = ({ groups }: Pick<AnchorView, 'groups'>): number =>
  groups.reduce((sum, { connected }) => sum + connected, 0);

/** Removes the CA, once it is known what that cuts. */
export function RemoveSheet({ ca, close }: CaSheetProps) {
  const connected = connectedOf(ca);
  const act = async (): Promise<void> => {
    await run('pki-remove', { id: ca.id });
    go(hrefOf(['cas']));
  };
  return (
    <Sheet title={`Remove “${ca.name}”?`} verb="Remove" danger act={act} close={close}>
      <p>
        {connected === 0
          ? 'None of its devices has a tunnel now.'
          : `${count(connected, 'device')} with a tunnel ${connected === 1 ? 'is' : 'are'} cut at once.`}{' '}
        {ca.devices > 0 && `None of the ${count(ca.devices, 'device')} that came comes in any more.`}
      </p>
      <p>
        They stay in the list with their addresses. What was listed and revoked is forgotten. Added again, the
        CA admits them again.
      </p>
    </Sheet>
  );
}

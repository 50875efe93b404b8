import type { DeviceView } from '../../fabric/operations/views/devices.ts';
import { presenceOf } from '../app/words.ts';

/** Shapes beside the colours: nobody needs to see colours. */
const SHAPES = { online: '●', silent: '◐', offline: '○', never: '·', unknown: '?' } as const;

export function Presence({ device, long = false }: { readonly device: DeviceView; readonly long?: boolean }) {
  const { word, how } = presenceOf(device);
  return (
    <span class={`presence presence-${word}`} title={how}>
      <span aria-hidden="true">{SHAPES[word]}</span> {word}
      {long && <span class="quiet">: {how}</span>}
    </span>
  );
}

export function Standing({ standing }: { readonly standing: string }) {
  return <span class={`badge badge-${standing}`}>{standing}</span>;
}

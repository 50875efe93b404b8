import type { DeviceView } from '../../fabric/operations/views/devices.ts';
import type { NodeView } from '../../fabric/operations/views/nodes.ts';
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

const NODE_SHAPES: Readonly<Record<NodeView['state'], string>> = {
  serving: '●',
  draining: '◐',
  'routes-lost': '◌',
  lost: '✕',
  stopped: '○',
};

export function NodeState({ state }: { readonly state: NodeView['state'] }) {
  return (
    <span class={`presence node-${state}`}>
      <span aria-hidden="true">{NODE_SHAPES[state]}</span> {state}
    </span>
  );
}

export function Standing({ standing }: { readonly standing: string }) {
  return <span class={`badge badge-${standing}`}>{standing}</span>;
}

import { counted } from '../../protocol/words.ts';

/** A box of devices, as its label names it. */
export interface Box {
  /** From 1. */
  readonly number: number;
  readonly boxes: number;
  readonly devices: number;
  /** The lowest and the highest serial number in it; undefined if its devices have none. */
  readonly from: string | undefined;
  readonly to: string | undefined;
}

const collator = new Intl.Collator('en', { numeric: true });

/** Boxes of `size` devices each, in the order in which they were made; `total` of them. The last one may have fewer. */
export async function* fillBoxes(
  serials: AsyncIterable<string | undefined>,
  size: number,
  total: number,
): AsyncGenerator<Box> {
  const boxes = Math.ceil(total / size);
  let inside: (string | undefined)[] = [];
  let number = 0;
  const full = (): Box => {
    const named = inside.filter((each) => each !== undefined).sort(collator.compare);
    return { number: ++number, boxes, devices: inside.length, from: named[0], to: named.at(-1) };
  };
  let count = 0;
  for await (const serial of serials) {
    // What is made while the labels are drawn comes into a box of the next time.
    if (count++ === total) break;
    inside.push(serial);
    if (inside.length < size) continue;
    yield full();
    inside = [];
  }
  if (inside.length > 0) yield full();
}

/** The lines on a box's label, below those of its batch. */
export const describeBox = ({ number, boxes, devices, from, to }: Box): string[] => [
  `Box: ${number} of ${boxes}, ${counted(devices, 'device')}`,
  ...(from === undefined ? [] : [`From: ${from}`, `To: ${to}`]),
];

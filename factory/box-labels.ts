import { createFileFrom, createFolder, type NewFile } from '../os/files/create.ts';
import { Failure } from '../protocol/failure.ts';
import type { LabelBox } from '../protocol/label.ts';
import { encodeUtf8 } from '../protocol/utf8.ts';
import { readRows } from './batch/journal.ts';
import { countDevices } from './batch/record.ts';
import { type Group, labelSaying, openGroup, readLabelText } from './group/group.ts';
import { type Box, describeBox, fillBoxes } from './label/boxes.ts';
import { describeGroup, drawPng, drawSvg, type LabelLayout, layOut } from './label/label.ts';
import { drawSheets, type PlacedLabel } from './label/pdf.ts';
import { levelFor, type QrCode, qrCode } from './label/qr.ts';
import { drawZpl, type ZplDpi, zplDots } from './label/zpl.ts';
import { type LabelSigner, signing } from './maker/maker.ts';

/** Where labels of boxes go; nothing that exists is overwritten. */
export interface BoxFiles {
  /** Sheets of A4. */
  readonly pdf?: string | undefined;
  readonly zpl?: { readonly file: string; readonly dpi: ZplDpi } | undefined;
  /** New folders with a file for each box. */
  readonly svg?: string | undefined;
  readonly png?: string | undefined;
}

/** What the codes of boxes say beyond that of their batch. Fabrics from before the numbers refuse codes that have them. */
export interface BoxCodes {
  /** Which box it is, and how many devices box and batch have. */
  readonly numbers: boolean;
  readonly signer?: LabelSigner | undefined;
}

interface BoxLabel {
  readonly box: Box;
  readonly code: QrCode;
  /** The lines beside the code. */
  readonly text: readonly string[];
}

/**
 * Draws one label for each box of `size` devices, the code at most `widthMm` wide. Returns how many there are.
 * @throws Failure `factory.no-devices`, those of `readLabelText`, `labelSaying`, `signing`, `qrCode`, `layOut` and of writing files
 */
export async function drawBoxLabels(
  folder: string,
  size: number,
  widthMm: number,
  files: BoxFiles,
  { numbers, signer }: BoxCodes = { numbers: false },
): Promise<number> {
  const group = await openGroup(folder);
  const devices = await countDevices(group);
  if (devices === 0) {
    throw new Failure(
      'factory.no-devices',
      'operator',
      `${group.name} has no devices that could be in boxes`,
      {
        action: 'Make devices first: "enf-factory batch run".',
      },
    );
  }
  const label = await readLabelText(group);
  const batch = describeGroup(group, devices);
  const boxes = (): AsyncGenerator<Box> => fillBoxes(serialsOf(group), size, devices);
  return signing(signer, async (sign) => {
    const codeSaying = async (says: Parameters<typeof labelSaying>[1]): Promise<QrCode> =>
      qrCode(await labelSaying(label, says, sign), levelFor(widthMm));
    const codeOf = ({ number, boxes, devices: inside }: LabelBox): Promise<QrCode> =>
      codeSaying({ count: devices, box: { number, boxes, devices: inside } });
    const common = numbers ? undefined : await codeSaying({});
    // All have the same size: what differs in them has always as many bytes.
    const one = common ?? (await codeOf({ number: 1, boxes: 1, devices }));
    const drawn: Drawn = {
      widthMm,
      one,
      async *labels() {
        for await (const box of boxes())
          yield { box, code: common ?? (await codeOf(box)), text: [...batch, ...describeBox(box)] };
      },
      async *layouts() {
        for await (const box of boxes()) yield layOut(one, widthMm, [...batch, ...describeBox(box)]);
      },
    };
    return writeLabels(drawn, files);
  });
}

async function* serialsOf(group: Group): AsyncGenerator<string | undefined> {
  for await (const { serial } of readRows(group, 'passed')) yield serial;
}

/** The labels of a batch's boxes, made anew each time that they are asked for. */
interface Drawn {
  readonly widthMm: number;
  /** A code of the size that all have. */
  readonly one: QrCode;
  labels(): AsyncGenerator<BoxLabel>;
  /** The same without the code, which takes most of the time. */
  layouts(): AsyncGenerator<LabelLayout>;
}

async function writeLabels(
  { widthMm, one, labels, layouts }: Drawn,
  { pdf, zpl, svg, png }: BoxFiles,
): Promise<number> {
  const dots = zpl && requireDots(one, widthMm, zpl.dpi);
  let [count, width, height] = [0, 0, 0];
  for await (const layout of layouts()) {
    count++;
    width = Math.max(width, layout.width);
    height = Math.max(height, layout.height);
  }
  async function* placed(): AsyncGenerator<PlacedLabel> {
    for await (const { code, text } of labels()) yield { code, layout: layOut(code, widthMm, text) };
  }
  async function* printed(dots: number, dpi: ZplDpi): AsyncGenerator<Uint8Array> {
    for await (const { code, layout } of placed()) yield encodeUtf8(drawZpl(code, dots, layout, dpi));
  }
  async function* each(
    suffix: string,
    draw: (label: BoxLabel) => NewFile['content'],
  ): AsyncGenerator<NewFile> {
    for await (const label of labels()) {
      const number = String(label.box.number).padStart(String(count).length, '0');
      yield { name: `box-${number}.${suffix}`, content: draw(label) };
    }
  }
  // As secret as the label of the batch: whoever reads one can admit all devices.
  if (pdf !== undefined) await createFileFrom(pdf, drawSheets(placed(), { width, height }), async () => {});
  if (zpl !== undefined && dots !== undefined)
    await createFileFrom(zpl.file, printed(dots, zpl.dpi), async () => {});
  if (svg !== undefined)
    await createFolder(
      svg,
      each('svg', ({ code, text }) => drawSvg(code, widthMm, text)),
    );
  if (png !== undefined)
    await createFolder(
      png,
      each('png', ({ code }) => drawPng(code, widthMm)),
    );
  return count;
}

/** @throws Failure `factory.label-too-small` */
function requireDots(code: QrCode, widthMm: number, dpi: ZplDpi): number {
  const dots = zplDots(code, widthMm, dpi);
  if (dots !== undefined) return dots;
  throw new Failure(
    'factory.label-too-small',
    'operator',
    `a width of ${widthMm} mm is too small for this code at ${dpi} dpi`,
    {
      action: 'Give a larger --width-mm, or use a printer with more dots.',
    },
  );
}

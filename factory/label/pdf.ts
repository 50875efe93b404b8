import { deflate } from '../../os/files/deflate.ts';
import { concat } from '../../protocol/bytes.ts';
import { darkRuns, type LabelLayout, mm } from './label.ts';
import { type QrCode, QUIET_ZONE } from './qr.ts';

/** A4, in millimetres. */
const PAGE = { width: 210, height: 297, margin: 10, gap: 4 };
const POINTS_PER_MM = 72 / 25.4;

/** A label with its code. */
export interface PlacedLabel {
  readonly code: QrCode;
  readonly layout: LabelLayout;
}

/** Objects of the file whose numbers are known beforehand. */
const OBJECT = { catalog: 1, pages: 2, font: 3, first: 4 } as const;

/**
 * Labels on sheets of A4 as a PDF 1.4, in millimetres, each with its code and text; all have the room of the largest, and neighbours with one code share
 * it. It comes in parts, of which only the places are remembered. Text is in Courier; what Latin-1 does not have becomes a question mark.
 */
export async function* drawSheets(
  labels: AsyncIterable<PlacedLabel>,
  size: Pick<LabelLayout, 'width' | 'height'>,
): AsyncGenerator<Uint8Array> {
  const offsets: number[] = [];
  const pages: number[] = [];
  let length = 0;
  const part = (bytes: Uint8Array): Uint8Array => {
    length += bytes.length;
    return bytes;
  };
  const object = (number: number, content: string | Uint8Array): Uint8Array => {
    offsets[number] = length;
    const bytes = typeof content === 'string' ? latin1(content) : content;
    return part(concat(latin1(`${number} 0 obj\n`), bytes, latin1('\nendobj\n')));
  };

  // The second line says that it is no text.
  yield part(latin1('%PDF-1.4\n%\xe2\xe3\xcf\xd3\n'));
  yield object(
    OBJECT.font,
    '<< /Type /Font /Subtype /Type1 /BaseFont /Courier /Encoding /WinAnsiEncoding >>',
  );
  let next: number = OBJECT.first;
  let last: { readonly code: QrCode; readonly number: number } | undefined;
  for await (const sheet of sheetsOf(labels, size)) {
    const drawn: string[] = [];
    const codes = new Set<number>();
    for (const { code, layout, x, y } of sheet) {
      if (last?.code !== code) {
        last = { code, number: next++ };
        yield object(last.number, formOf(code));
      }
      codes.add(last.number);
      drawn.push(drawAt(layout, last.number, x, y));
    }
    const [content, page] = [next++, next++];
    yield object(content, stream('', inMillimetres(drawn)));
    const forms = [...codes].map((code) => `/Q${code} ${code} 0 R`).join(' ');
    yield object(
      page,
      `<< /Type /Page /Parent ${OBJECT.pages} 0 R /MediaBox [0 0 ${points(PAGE.width)} ${points(PAGE.height)}] /Contents ${content} 0 R /Resources << /Font << /F ${OBJECT.font} 0 R >> /XObject << ${forms} >> >> >>`,
    );
    pages.push(page);
  }
  yield object(
    OBJECT.pages,
    `<< /Type /Pages /Count ${pages.length} /Kids [${pages.map((page) => `${page} 0 R`).join(' ')}] >>`,
  );
  yield object(OBJECT.catalog, `<< /Type /Catalog /Pages ${OBJECT.pages} 0 R >>`);
  const table = length;
  const entries = offsets.slice(1).map((offset) => `${String(offset).padStart(10, '0')} 00000 n \n`);
  yield part(
    latin1(
      `xref\n0 ${offsets.length}\n0000000000 65535 f \n${entries.join('')}trailer\n<< /Size ${offsets.length} /Root ${OBJECT.catalog} 0 R >>\nstartxref\n${table}\n%%EOF\n`,
    ),
  );
}

const stream = (dictionary: string, content: string): Uint8Array => {
  const bytes = deflate(latin1(content));
  const head = `<< ${dictionary} /Filter /FlateDecode /Length ${bytes.length} >>\nstream\n`;
  return concat(latin1(head), bytes, latin1('\nendstream'));
};

/** A code, of which one module is one unit; rows count down from the top. */
function formOf(code: QrCode): Uint8Array {
  const side = code.size + 2 * QUIET_ZONE;
  const modules = darkRuns(code).map(
    ({ row, column, length: run }) => `${column} ${side - row - 1} ${run} 1 re`,
  );
  return stream(`/Type /XObject /Subtype /Form /BBox [0 0 ${side} ${side}]`, `${modules.join('\n')}\nf`);
}

/** The labels of each sheet with their upper left corners, in millimetres from the lower left of the page. */
async function* sheetsOf(
  labels: AsyncIterable<PlacedLabel>,
  size: Pick<LabelLayout, 'width' | 'height'>,
): AsyncGenerator<(PlacedLabel & { readonly x: number; readonly y: number })[]> {
  const [stepX, stepY] = [size.width + PAGE.gap, size.height + PAGE.gap];
  const columns = Math.max(1, Math.floor((PAGE.width - 2 * PAGE.margin + PAGE.gap) / stepX));
  const rows = Math.max(1, Math.floor((PAGE.height - 2 * PAGE.margin + PAGE.gap) / stepY));
  let sheet: (PlacedLabel & { readonly x: number; readonly y: number })[] = [];
  for await (const label of labels) {
    const [column, row] = [sheet.length % columns, Math.floor(sheet.length / columns)];
    sheet.push({ ...label, x: PAGE.margin + column * stepX, y: PAGE.height - PAGE.margin - row * stepY });
    if (sheet.length < columns * rows) continue;
    yield sheet;
    sheet = [];
  }
  if (sheet.length > 0) yield sheet;
}

const inMillimetres = (drawn: readonly string[]): string =>
  `${POINTS_PER_MM.toFixed(9)} 0 0 ${POINTS_PER_MM.toFixed(9)} 0 0 cm\n${drawn.join('\n')}`;

/** `code`: the number of its object. */
function drawAt(
  { moduleMm, codeMm, lines, fontMm }: LabelLayout,
  code: number,
  x: number,
  y: number,
): string {
  return [
    `q ${moduleMm.toFixed(6)} 0 0 ${moduleMm.toFixed(6)} ${mm(x)} ${mm(y - codeMm)} cm /Q${code} Do Q`,
    'BT',
    `/F ${fontMm} Tf`,
    ...lines.map(
      (line) => `1 0 0 1 ${mm(x + codeMm)} ${mm(y - line.y)} Tm (${line.text.replace(/[\\()]/g, '\\$&')}) Tj`,
    ),
    'ET',
  ].join('\n');
}

const points = (length: number): string => (length * POINTS_PER_MM).toFixed(3);

function latin1(text: string): Uint8Array {
  return Uint8Array.from([...text], (character) => {
    const point = character.codePointAt(0)!;
    return point < 0x100 ? point : 0x3f;
  });
}

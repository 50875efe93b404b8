import { darkRuns, type LabelLayout, mm } from './label.ts';
import type { QrCode } from './qr.ts';

/** A4, in millimetres. */
const PAGE = { width: 210, height: 297, margin: 10, gap: 4 };
const POINTS_PER_MM = 72 / 25.4;

/**
 * Labels on sheets of A4 as a PDF 1.4, in millimetres: all have the same code and size (that of the largest), each its own text. It comes in parts, of
 * which only the places are remembered. Text is in Courier; what Latin-1 does not have becomes a question mark.
 */
export async function* drawSheets(
  code: QrCode,
  labels: AsyncIterable<LabelLayout>,
  size: Pick<LabelLayout, 'width' | 'height'>,
): AsyncGenerator<Uint8Array> {
  const offsets: number[] = [];
  const pages: number[] = [];
  let length = 0;
  const part = (text: string): Uint8Array => {
    const bytes = latin1(text);
    length += bytes.length;
    return bytes;
  };
  const object = (number: number, content: string): Uint8Array => {
    offsets[number] = length;
    return part(`${number} 0 obj\n${content}\nendobj\n`);
  };
  const stream = (dictionary: string, content: string): string =>
    `<< ${dictionary} /Length ${latin1(content).length} >>\nstream\n${content}\nendstream`;

  yield part('%PDF-1.4\n');
  yield object(3, '<< /Type /Font /Subtype /Type1 /BaseFont /Courier /Encoding /WinAnsiEncoding >>');
  // One module is one unit; rows count down from the top.
  const side = code.size + 8;
  const modules = darkRuns(code).map(
    ({ row, column, length: run }) => `${column} ${side - row - 1} ${run} 1 re`,
  );
  yield object(
    4,
    stream(`/Type /XObject /Subtype /Form /BBox [0 0 ${side} ${side}]`, `${modules.join('\n')}\nf`),
  );
  let next = 5;
  for await (const sheet of sheetsOf(labels, size)) {
    yield object(next, stream('', sheet));
    pages.push(next + 1);
    yield object(
      next + 1,
      `<< /Type /Page /Parent 2 0 R /MediaBox [0 0 ${points(PAGE.width)} ${points(PAGE.height)}] /Contents ${next} 0 R /Resources << /Font << /F 3 0 R >> /XObject << /Q 4 0 R >> >> >>`,
    );
    next += 2;
  }
  yield object(
    2,
    `<< /Type /Pages /Count ${pages.length} /Kids [${pages.map((page) => `${page} 0 R`).join(' ')}] >>`,
  );
  yield object(1, '<< /Type /Catalog /Pages 2 0 R >>');
  const table = length;
  const entries = offsets.slice(1).map((offset) => `${String(offset).padStart(10, '0')} 00000 n \n`);
  yield part(
    `xref\n0 ${offsets.length}\n0000000000 65535 f \n${entries.join('')}trailer\n<< /Size ${offsets.length} /Root 1 0 R >>\nstartxref\n${table}\n%%EOF\n`,
  );
}

/** What is drawn on each sheet. */
async function* sheetsOf(
  labels: AsyncIterable<LabelLayout>,
  size: Pick<LabelLayout, 'width' | 'height'>,
): AsyncGenerator<string> {
  const [stepX, stepY] = [size.width + PAGE.gap, size.height + PAGE.gap];
  const columns = Math.max(1, Math.floor((PAGE.width - 2 * PAGE.margin + PAGE.gap) / stepX));
  const rows = Math.max(1, Math.floor((PAGE.height - 2 * PAGE.margin + PAGE.gap) / stepY));
  let drawn: string[] = [];
  let count = 0;
  for await (const label of labels) {
    const [column, row] = [count % columns, Math.floor(count / columns)];
    drawn.push(drawAt(label, PAGE.margin + column * stepX, PAGE.height - PAGE.margin - row * stepY));
    if (++count < columns * rows) continue;
    yield inMillimetres(drawn);
    [drawn, count] = [[], 0];
  }
  if (count > 0) yield inMillimetres(drawn);
}

const inMillimetres = (drawn: readonly string[]): string =>
  `${POINTS_PER_MM.toFixed(9)} 0 0 ${POINTS_PER_MM.toFixed(9)} 0 0 cm\n${drawn.join('\n')}`;

/** `x`, `y`: the upper left corner, millimetres from the lower left of the page. */
function drawAt({ moduleMm, codeMm, lines, fontMm }: LabelLayout, x: number, y: number): string {
  return [
    `q ${moduleMm.toFixed(6)} 0 0 ${moduleMm.toFixed(6)} ${mm(x)} ${mm(y - codeMm)} cm /Q Do Q`,
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

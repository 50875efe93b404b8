import { concat, readU32, u32 } from '../../protocol/bytes.ts';
import type { Packed, Request, Response } from './messages.ts';

/**
 * The most frequent messages between worker and main process, as bytes: objects with byte arrays in them cost several times
 * as much to send as their content.
 *
 *   0    4     36          101           166         182      186     187             188
 *   +----+-----+-----------+-------------+-----------+--------+-------+---------------+--------+
 *   | id | gid | pseudonym | longterm key| requested | waited | suite | source length | source |   admit
 *   +----+-----+-----------+-------------+-----------+--------+-------+---------------+--------+
 *   | id | address |                                                                              its response, 20 bytes
 *   +----+---------+
 *
 * What it has waited is in microseconds.
 */
const [GID, PSEUDONYM, LONGTERM, REQUESTED, WAITED, SUITE, SOURCE] = [4, 36, 101, 166, 182, 186, 188];
const MOST_MICROSECONDS = 0xffffffff;
const ADDRESS = 16;

export function packRequests(requests: readonly Request[]): Packed<Request> {
  const rows: Uint8Array[] = [];
  const others = requests.filter((request) => {
    if (request.method !== 'admit') return true;
    const { gid, pseudonym, longtermKey, requested, suite, source } = request.applicant;
    const from = Buffer.from(source, 'latin1');
    rows.push(
      u32(request.id),
      gid,
      pseudonym,
      longtermKey,
      requested,
      u32(Math.min(Math.round(request.waitedMs * 1_000), MOST_MICROSECONDS)),
      Uint8Array.of(suite, from.length),
      from,
    );
    return false;
  });
  return { rows: concat(...rows), others };
}

export function unpackRequests({ rows, others }: Packed<Request>): Request[] {
  const requests = [...others];
  const text = Buffer.from(rows.buffer, rows.byteOffset, rows.length);
  for (let at = 0, next = 0; at < rows.length; at = next) {
    next = at + SOURCE + rows[at + SOURCE - 1]!;
    const part = (from: number, to: number): Uint8Array => rows.subarray(at + from, at + to);
    requests.push({
      id: readU32(rows, at),
      method: 'admit',
      applicant: {
        gid: part(GID, PSEUDONYM),
        pseudonym: part(PSEUDONYM, LONGTERM),
        longtermKey: part(LONGTERM, REQUESTED),
        requested: part(REQUESTED, WAITED),
        suite: rows[at + SUITE]!,
        source: text.toString('latin1', at + SOURCE, next),
      },
      waitedMs: readU32(rows, at + WAITED) / 1_000,
    });
  }
  return requests;
}

export function packResponses(responses: readonly Response[]): Packed<Response> {
  const rows: Uint8Array[] = [];
  const others = responses.filter((response) => {
    const address = 'value' in response && response.value instanceof Uint8Array ? response.value : undefined;
    if (address?.length !== ADDRESS) return true;
    rows.push(u32(response.id), address);
    return false;
  });
  return { rows: concat(...rows), others };
}

export function unpackResponses({ rows, others }: Packed<Response>): Response[] {
  const responses = [...others];
  for (let at = 0; at < rows.length; at += 4 + ADDRESS) {
    responses.push({ id: readU32(rows, at), value: rows.slice(at + 4, at + 4 + ADDRESS) });
  }
  return responses;
}

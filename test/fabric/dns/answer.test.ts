import packet, { type Packet } from 'dns-packet';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { answerQuery, type Names } from '../../../fabric/dns/answer.ts';
import { reverseName } from '../../../fabric/dns/zone.ts';
import { formatIpv6, parseIpv6 } from '../../../protocol/ipv6.ts';

const PREFIX = parseIpv6('fd00:8f80:8000:1::').subarray(0, 8);
const ZONE = { suffix: 'plant.internal', prefix: PREFIX };
const PUMP = parseIpv6('fd00:8f80:8000:1:1234:5678:9abc:def0');
const FAN = parseIpv6('fd00:8f80:8000:1::a1');
const long = 'l'.repeat(63);
const NAMES: Names = {
  addressOf: async (label) => ({ pump: PUMP, [long]: FAN })[label],
  nameOf: async (address) => ({ [formatIpv6(PUMP)]: 'pump', [formatIpv6(FAN)]: 'ns' })[formatIpv6(address)],
};

interface Asked {
  readonly name: string;
  readonly type?: string;
  readonly klass?: string;
  readonly edns?: { readonly version?: number; readonly size?: number } | undefined;
  readonly tcp?: boolean;
}

function query({ name, type = 'AAAA', klass = 'IN', edns }: Asked): Buffer {
  return packet.encode({
    type: 'query',
    id: 4_711,
    flags: packet.RECURSION_DESIRED,
    questions: [{ name, type: type as 'AAAA', class: klass as 'IN' }],
    ...(edns && {
      additionals: [
        {
          type: 'OPT' as const,
          name: '.' as const,
          udpPayloadSize: edns.size ?? 4_096,
          extendedRcode: 0,
          ednsVersion: edns.version ?? 0,
          flags: 0,
          flag_do: false,
          options: [],
        },
      ],
    }),
  });
}

async function ask(asked: Asked): Promise<Packet & { rcode: string }> {
  const answer = await answerQuery(query(asked), ZONE, NAMES, asked.tcp ?? false);
  return packet.decode(Buffer.from(answer!)) as unknown as Packet & { rcode: string };
}

const dataOf = ({ answers }: Packet): unknown[] => answers!.map((answer) => 'data' in answer && answer.data);

describe('a question', () => {
  it('for a name is answered with its address, in the letters in which it was asked', async () => {
    const answer = await ask({ name: 'PuMp.plant.INTERNAL' });
    expect(answer).toMatchObject({
      id: 4_711,
      rcode: 'NOERROR',
      flag_aa: true,
      flag_rd: true,
      flag_ra: false,
      flag_tc: false,
    });
    expect(answer.questions).toMatchObject([{ name: 'PuMp.plant.INTERNAL' }]);
    expect(answer.answers).toMatchObject([
      { type: 'AAAA', name: 'PuMp.plant.INTERNAL', ttl: 60, data: formatIpv6(PUMP) },
    ]);
    expect(answer.additionals).toEqual([]);
  });

  it('for an address is answered with its name', async () => {
    const answer = await ask({ name: reverseName(PUMP), type: 'PTR' });
    expect(dataOf(answer)).toEqual(['pump.plant.internal']);
    expect(dataOf(await ask({ name: reverseName(parseIpv6('fd00:8f80:8000:1::1')), type: 'PTR' }))).toEqual([
      'ns.plant.internal',
    ]);
  });

  it('for the zone is answered with SOA and NS, and for the server with its address', async () => {
    expect(dataOf(await ask({ name: 'plant.internal', type: 'NS' }))).toEqual(['ns.plant.internal']);
    expect(dataOf(await ask({ name: 'plant.internal', type: 'SOA' }))).toMatchObject([
      { mname: 'ns.plant.internal', minimum: 60 },
    ]);
    expect(dataOf(await ask({ name: reverseName(PREFIX), type: 'SOA' }))).toMatchObject([
      { mname: 'ns.plant.internal' },
    ]);
    expect(dataOf(await ask({ name: 'ns.plant.internal' }))).toEqual(['fd00:8f80:8000:1::1']);
    expect(dataOf(await ask({ name: 'plant.internal', type: 'ANY' }))).toHaveLength(2);
  });

  it('for another type of a name is answered with nothing, and for how long', async () => {
    for (const name of ['pump.plant.internal', 'plant.internal']) {
      const answer = await ask({ name, type: 'A' });
      expect(answer).toMatchObject({
        rcode: 'NOERROR',
        answers: [],
        authorities: [{ type: 'SOA', name: 'plant.internal' }],
      });
    }
    const between = await ask({ name: `0.f.${reverseName(PREFIX)}`, type: 'PTR' });
    expect(between).toMatchObject({
      rcode: 'NOERROR',
      answers: [],
      authorities: [{ type: 'SOA', name: reverseName(PREFIX) }],
    });
  });

  it('for a name that nothing has is answered so', async () => {
    for (const name of [
      'fan.plant.internal',
      'a.pump.plant.internal',
      reverseName(FAN),
      reverseName(parseIpv6('fd00:8f80:8000:1::a2')),
    ])
      expect(await ask({ name })).toMatchObject({
        rcode: 'NXDOMAIN',
        flag_aa: true,
        authorities: [{ type: 'SOA' }],
      });
  });

  it('for a name elsewhere, of another class, or for the whole zone is refused', async () => {
    for (const asked of [
      { name: 'example.org' },
      { name: '.', type: 'NS' },
      { name: 'pump.plant.internal', klass: 'CH' },
      { name: 'plant.internal', type: 'AXFR', tcp: true },
      { name: 'plant.internal', type: 'IXFR' },
    ])
      expect(await ask(asked)).toMatchObject({
        rcode: 'REFUSED',
        answers: [],
        authorities: [],
        flag_aa: false,
      });
  });

  it('with EDNS is answered with it, and a version that is not known is named', async () => {
    const answer = await ask({ name: 'pump.plant.internal', edns: {} });
    expect(answer.additionals).toMatchObject([
      { type: 'OPT', udpPayloadSize: 1_232, ednsVersion: 0, extendedRcode: 0 },
    ]);
    const other = await ask({ name: 'pump.plant.internal', edns: { version: 1 } });
    expect(other).toMatchObject({
      answers: [],
      additionals: [{ type: 'OPT', ednsVersion: 0, extendedRcode: 1 }],
    });
  });

  it('whose answer is too long is told to come over TCP', async () => {
    const suffix = `${'s'.repeat(63)}.${'t'.repeat(63)}.${'u'.repeat(50)}`;
    const wide = { ...ZONE, suffix };
    const name = `${long.slice(1)}.${suffix}`;
    const ask = async (edns: Asked['edns'], tcp: boolean) =>
      packet.decode(Buffer.from((await answerQuery(query({ name, edns }), wide, NAMES, tcp))!));
    expect(await ask(undefined, false)).toMatchObject({ flag_tc: true, authorities: [] });
    expect(await ask({ size: 100 }, false)).toMatchObject({ flag_tc: true, authorities: [] });
    expect(await ask({}, false)).toMatchObject({ flag_tc: false, authorities: [{ type: 'SOA' }] });
    expect(await ask(undefined, true)).toMatchObject({ flag_tc: false, authorities: [{ type: 'SOA' }] });
  });
});

describe('what is no question', () => {
  const answered = async (message: Uint8Array) => {
    const answer = await answerQuery(message, ZONE, NAMES, false);
    return answer && { id: (answer[0]! << 8) | answer[1]!, rcode: answer[3]! & 15, length: answer.length };
  };

  it('gets no answer', async () => {
    expect(await answered(new Uint8Array(11))).toBeUndefined();
    const response = query({ name: 'pump.plant.internal' });
    response.writeUInt16BE(0x8000, 2);
    expect(await answered(response)).toBeUndefined();
  });

  it('is answered with what is wrong', async () => {
    const update = query({ name: 'plant.internal' });
    update.writeUInt16BE(5 << 11, 2);
    expect(await answered(update)).toEqual({ id: 4_711, rcode: 4, length: 12 });
    const good = query({ name: 'pump.plant.internal' });
    const cases = [4, 6, 8, 10].map((at) => {
      const bad = Buffer.from(good);
      bad.writeUInt16BE(at === 10 ? 2 : at === 4 ? 0 : 1, at);
      return bad;
    });
    const loop = Buffer.concat([good.subarray(0, 12), Buffer.from([0xc0, 12, 0, 28, 0, 1])]);
    for (const bad of [...cases, loop, good.subarray(0, 20)])
      expect(await answered(bad)).toEqual({ id: 4_711, rcode: 1, length: 12 });
  });

  it('is answered so, too, if its name is not what the codec reads', async () => {
    /** A question for labels of these bytes. */
    const ofLabels = (...labels: readonly Uint8Array[]): Buffer =>
      Buffer.concat([
        query({ name: 'x' }).subarray(0, 12),
        ...labels.map((label) => Buffer.concat([Buffer.of(label.length), label])),
        Buffer.of(0, 0, 28, 0, 1),
      ]);
    const [plant, internal] = [Buffer.from('plant'), Buffer.from('internal')];
    expect(await answered(ofLabels(Buffer.from('pump'), plant, internal))).toMatchObject({ rcode: 0 });
    for (const bad of [
      ofLabels(Buffer.alloc(63, 0xff), plant, internal),
      ofLabels(Buffer.from('pump.plant'), internal),
      ofLabels(Buffer.from('pump.'), plant, internal),
    ])
      expect(await answered(bad)).toEqual({ id: 4_711, rcode: 1, length: 12 });
  });

  it('never ends in an error, whatever it is', async () => {
    const good = query({ name: 'pump.plant.internal', edns: {} });
    const changed = fc
      .array(fc.tuple(fc.nat(good.length - 1), fc.nat(255)), { maxLength: 6 })
      .map((changes) => {
        const bytes = new Uint8Array(good);
        for (const [at, byte] of changes) bytes[at] = byte;
        return bytes;
      });
    await fc.assert(
      fc.asyncProperty(fc.oneof(changed, fc.uint8Array({ maxLength: 600 })), async (message) => {
        const answer = await answerQuery(message, ZONE, NAMES, false);
        if (answer === undefined) return;
        expect(answer.length).toBeGreaterThanOrEqual(12);
        expect(answer.length).toBeLessThanOrEqual(1_232);
      }),
      { numRuns: 2_000 },
    );
  });
});

import { describe, expect, it } from 'vitest';
import { runChild } from '../child.ts';
import { runParts } from '../parts.ts';

const PARTS = [
  'router/admission/ratelimit',
  'router/ring',
  'router/addresstable',
  'router/echo',
  'router/lookup/networks',
  'packet/checksum',
];

describe("the router's gate, rings, map, networks and echo", () => {
  for (const sanitizer of ['address,undefined', 'thread']) {
    it(`[H-A3] hold what they promise (${sanitizer})`, async () => {
      const done = await runParts('router/router_parts', PARTS, sanitizer);
      expect(done).toEqual({ code: 0, signal: null, stdout: 'ok\n', stderr: '' });
    });
  }
});

describe('[H-A2] places for connections that have proved nothing', () => {
  for (const sanitizer of ['address,undefined', 'thread']) {
    it(`go to whoever is not of a crowd (${sanitizer})`, async () => {
      const parts = ['router/admission/pending', 'router/admission/ratelimit', 'backlog/backlog'];
      const done = await runParts('router/pending_parts', parts, sanitizer);
      expect(done).toEqual({ code: 0, signal: null, stdout: 'ok\n', stderr: '' });
    });
  }
});

describe("the router's face", () => {
  it('refuses wrong arguments with a TypeError, and does nothing with them', async () => {
    const { code, stdout, stderr } = await runChild(`
      const settings = { threads: 1, pending: 1, pendingPerSource: 1, refusalBurst: 1, refusalsPerSecond: 0, sources: 1,
        handshakeMs: 1, lingerMs: 0, stallMs: 8, queueBytes: 1, tun: undefined, offload: 0, several: false };
      const good = [settings, '127.0.0.1', 0, 'no PEM', 'no PEM', () => {}];
      const wrong = [[0, {}], [0, { ...settings, threads: 0 }], [0, { ...settings, threads: 17 }], [0, { ...settings, stallMs: 7 }],
        [0, { ...settings, queueBytes: -1 }], [0, { ...settings, tun: -1 }], [0, { ...settings, tun: 1, offload: 3 }],
        [1, 'localhost'], [1, 'x'.repeat(1000)], [2, 65536], [3, 5], [4, 'a\\0b'], [5, undefined]];
      let refused = 0;
      for (const [at, value] of wrong) {
        try { addon.routerStart(...good.map((each, i) => (i === at ? value : each))); } catch (error) {
          if (error instanceof TypeError) refused += 1; else console.log(at, error);
        }
      }
      try { addon.routerStart(...good); } catch (error) { console.log(error.code); }
      const names = ['routerPort', 'routerPending', 'routerAdmit', 'routerDisconnect', 'routerAnswer', 'routerForget', 'routerForgetAll', 'routerBarrier', 'routerNetworks',
        'routerPeerCounters', 'routerCounters', 'routerClose'];
      for (const name of names) for (const value of [undefined, {}, 1]) {
        try { addon[name](value, value, value, value); } catch (error) { if (error instanceof TypeError) refused += 1; }
      }
      console.log(refused === wrong.length + names.length * 3);
    `);
    expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: 'EKEYREJECTED\ntrue\n', stderr: '' });
  });
});

/**
 * What an `xtt` failure says of the peer whose handshake it ended. `hostile`: it forged, replayed or does not speak the
 * protocol. `harmless`: an honest device may run into it. `client`: only clients and start-up meet it, no handshake of the
 * server ends so. Every `xtt` code has to be here (test/fabric/identity/hostile.test.ts).
 */
export const XTT_FAILURES: Readonly<Record<string, 'hostile' | 'harmless' | 'client'>> = {
  'xtt.bad-cookie': 'hostile',
  'xtt.bad-group-signature': 'hostile',
  'xtt.bad-header': 'hostile',
  'xtt.bad-length': 'hostile',
  'xtt.bad-longterm-signature': 'hostile',
  'xtt.bad-type': 'hostile',
  'xtt.bad-version': 'hostile',
  'xtt.not-authentic': 'hostile',
  'xtt.spent-cookie': 'hostile',
  'xtt.unknown-suite': 'hostile',
  'xtt.weak-share': 'hostile',
  'xtt.wrong-suite': 'hostile',

  'xtt.cookie-jar-full': 'harmless',
  'xtt.error-received': 'harmless',
  'xtt.expired-cookie': 'harmless',

  'xtt.bad-root-certificate': 'client',
  'xtt.bad-root-signature': 'client',
  'xtt.bad-server-certificate': 'client',
  'xtt.bad-server-signature': 'client',
  'xtt.unknown-root': 'client',
  'xtt.wrong-identity': 'client',
  'xtt.wrong-longterm-key': 'client',
};

/** True if only a hostile or broken peer makes a handshake end with this code. */
export function isHostile(code: string): boolean {
  return XTT_FAILURES[code] === 'hostile';
}

import { expect, test } from 'vitest';
import { addon } from '../../../native/index.ts';

const nothing = (): void => {};

test('an ICMPv6 socket sends what it is given until it is closed', () => {
  const socket = addon().icmp6Open('lo', nothing);
  // The loopback interface may have no link-local address; whatever the kernel says has a code.
  const send = (message: Uint8Array): string => {
    try {
      addon().icmp6Advertise(socket, message);
      return 'sent';
    } catch (error) {
      return (error as NodeJS.ErrnoException).code ?? String(error);
    }
  };
  expect(send(Uint8Array.of(134, 0, 0, 0, 0, 0, 0, 0))).toMatch(/^(sent|E[A-Z]+)$/);
  addon().icmp6Close(socket);
  addon().icmp6Close(socket);
  expect(send(Uint8Array.of(134))).toBe('EBADF');
});

test('wrong arguments and interfaces that are not there are refused', () => {
  const { icmp6Open, icmp6Advertise, icmp6Close } = addon();
  const open = icmp6Open as (...args: unknown[]) => unknown;
  for (const args of [[], ['lo'], ['lo', 7], ['', nothing], ['x'.repeat(16), nothing], [7, nothing]])
    expect(() => open(...args)).toThrow(TypeError);
  expect(() => open('none0', nothing)).toThrow(expect.objectContaining({ code: 'ENODEV' }));
  const socket = icmp6Open('lo', nothing);
  const advertise = icmp6Advertise as (...args: unknown[]) => unknown;
  for (const args of [
    [],
    [socket],
    [socket, 'x'],
    [socket, new Uint8Array(0)],
    [socket, new Uint8Array(1_501)],
    [{}, new Uint8Array(8)],
  ])
    expect(() => advertise(...args)).toThrow(TypeError);
  expect(() => (icmp6Close as (...args: unknown[]) => unknown)({})).toThrow(TypeError);
  icmp6Close(socket);
});

// Lengths of the protocol in bytes (docs/spec/xtt-protocol.md §2.4, §3), and where the fields of its messages begin.
#pragma once

enum {
  HASH = 64,
  KEY = 32,
  IV = 12,
  TAG = 16,
  SHARE = 32,
  HINT = 8,
  COOKIE = 130,
  CERTIFICATE = 169,
  IDENTITY = 16,

  CLIENT_INIT = 70,
  CLIENT_INIT_NONCE = 6,
  CLIENT_INIT_SHARE = 38,

  SERVER_INIT = 417,
  SERVER_INIT_SHARE = 6,
  SERVER_INIT_COOKIE = 38,
  SERVER_INIT_CLEAR = 168,

  CLIENT_ATTEST = 750,
  CLIENT_ATTEST_COOKIE = 6,
  CLIENT_ATTEST_CLEAR = 136,

  // What is sealed in it
  CLAIM = 598,
  CLAIM_LONGTERM_KEY = 0,
  CLAIM_LONGTERM_SIGNATURE = 113,

  FINISHED = 103,
  FINISHED_CLEAR = 6,
};
